/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "collector-rig.h"

#include <stdlib.h>

#include "base/demand.h"

static bool answer(void *ctx, struct bytes message)
{
	struct rig_tap *t = ctx;
	struct tap_message m;

	if (t->deaf)
		return false;
	demand(tap_wire_read(message, &m) == TAP_WIRE_OK);
	if (m.type == TAP_WELCOME) {
		t->welcomed = true;
		t->welcome = m.welcome;
		return true;
	}
	demand(m.type == TAP_ANSWER && t->answers < RIG_ANSWERS);
	t->answer[t->answers++] = m.answer;
	return true;
}

void collector_rig_begin(struct collector_rig *g, struct collector_config config)
{
	static const struct collector_ops ops = {answer};

	g->now_ns = 1000 * NS_PER_S;
	config.vaults = config.vaults ? config.vaults : 1;
	config.wait_ms = config.wait_ms ? config.wait_ms : 50;
	config.queue_bytes = config.queue_bytes ? config.queue_bytes : (size_t)1 << 20;
	demand(collector_new(&config, &ops, g->seal.sealer, &g->c) == 0);
	for (unsigned i = 0; i < RIG_VAULTS; i++)
		g->vault[i] = (struct rig_vault){.out = BUF_INIT((size_t)4 << 20)};
	collector_begin(g->c, g->now_ns, RIG_NOW_NS);
}

void collector_rig_end(struct collector_rig *g)
{
	collector_free(g->c);
	for (unsigned i = 0; i < RIG_VAULTS; i++)
		buf_deinit(&g->vault[i].out);
}

void collector_rig_init(struct collector_rig *g, struct collector_config config)
{
	seal_rig_init(&g->seal);
	collector_rig_begin(g, config);
}

void collector_rig_deinit(struct collector_rig *g)
{
	collector_rig_end(g);
	seal_rig_deinit(&g->seal);
}

void rig_turn(struct collector_rig *g, int64_t ns)
{
	collector_turn(g->c);
	g->now_ns += ns;
	collector_begin(g->c, g->now_ns, RIG_NOW_NS + g->now_ns - 1000 * NS_PER_S);
}

static bool hand_in(struct collector_rig *g, struct rig_tap *t, uint8_t *message, size_t n)
{
	bool ok = collector_message(g->c, t->peer, message, n);

	for (size_t i = 0; i < n; i++)
		demand(message[i] == 0);
	return ok;
}

bool rig_tap_join(struct collector_rig *g, struct rig_tap *t, uid_t uid, const char *client)
{
	struct tap_hello h = {.program = "test", .one_connection = client != NULL};
	uint8_t room[128];
	struct writer w = WRITER_IN(room);

	*t = (struct rig_tap){0};
	if (client) {
		demand(endpoint_parse("10.9.0.1:22", false, &h.server) == 0);
		demand(endpoint_parse(client, false, &h.client) == 0);
	}
	tap_wire_hello(&w, &h);
	demand(writer_ok(&w));
	t->peer = collector_peer(g->c, t, uid);
	return t->peer && hand_in(g, t, room, writer_pos(&w));
}

void rig_tap_leave(struct collector_rig *g, struct rig_tap *t)
{
	collector_peer_gone(g->c, t->peer);
	t->peer = NULL;
	t->deaf = true;
}

bool rig_tell_of(struct collector_rig *g, struct rig_tap *t, uint32_t number, const char *server,
		 unsigned i)
{
	uint8_t room[TAP_MESSAGE_MAX], keys[SESSION_KEYS_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, TAP_WIRE_VERSION);
	writer_u8(&w, TAP_KEYS);
	writer_u32be(&w, number);
	writer_copy(&w, keys, seal_rig_keys(server, i, keys));
	demand(writer_ok(&w));
	return hand_in(g, t, room, writer_pos(&w));
}

bool rig_tell(struct collector_rig *g, struct rig_tap *t, uint32_t number)
{
	return rig_tell_of(g, t, number, "10.9.0.1:443", number);
}

int rig_answered(const struct rig_tap *t, uint32_t number)
{
	for (size_t i = t->answers; i > 0; i--) {
		if (t->answer[i - 1].number == number)
			return (int)t->answer[i - 1].result;
	}
	return -1;
}

void rig_up(struct collector_rig *g, unsigned vault)
{
	collector_vault_up(g->c, vault, &g->vault[vault].out);
}

void rig_down(struct collector_rig *g, unsigned vault)
{
	collector_vault_down(g->c, vault);
	buf_reset(&g->vault[vault].out);
	g->vault[vault].used = 0;
}

bool rig_frame(struct collector_rig *g, unsigned vault, struct vault_frame *ret)
{
	struct rig_vault *v = &g->vault[vault];
	int outcome;

	buf_consume(&v->out, v->used);
	v->used = 0;
	demand(!buf_error(&v->out));
	outcome = vault_wire_read(buf_view(&v->out), ret, &v->used);
	demand(outcome != VAULT_WIRE_MALFORMED);
	if (outcome != VAULT_WIRE_OK)
		return false;
	v->last_request = ret->request;
	v->epochs += ret->type == VAULT_EPOCH;
	v->appends += ret->type == VAULT_APPEND;
	if (ret->type == VAULT_APPEND)
		v->last_list = ret->list.n;
	v->ended += ret->type == VAULT_ENDED ? ret->list.n : 0;
	return true;
}

void rig_answer(struct collector_rig *g, unsigned vault, uint32_t request, enum vault_refusal why)
{
	struct buf b = BUF_INIT(1024);
	struct vault_frame f;
	size_t used;

	if (why)
		vault_wire_put_refused(&b, request, why, "test");
	else
		vault_wire_put_plain(&b, VAULT_STORED, request);
	demand(vault_wire_read(buf_view(&b), &f, &used) == VAULT_WIRE_OK);
	demand(collector_frame(g->c, vault, &f) == 0);
	buf_deinit(&b);
}

static bool has(const struct rig_vault *v, const struct session_index *i)
{
	for (size_t k = 0; k < v->stored; k++) {
		if (session_index_eq(&v->index[k], i))
			return true;
	}
	return false;
}

/* Whatever is stored opens, and is of an epoch that came before it. */
static void take_records(struct collector_rig *g, struct rig_vault *v, struct vault_list l)
{
	uint8_t room[SESSION_KEYS_MAX_BYTES];
	struct vault_item item;
	struct opened o;

	for (uint16_t i = 0; i < l.n; i++) {
		vault_wire_item(&l, &item);
		demand(opener_record(g->seal.opener, item.blob, &item.index, item.index.time_ns,
				     SEAL_AGE_ANY, room, &o) == SEAL_OK);
		demand(v->stored < RIG_STORED);
		if (has(v, &item.index))
			v->again++;
		else
			v->index[v->stored++] = item.index;
	}
}

void rig_take_epoch(struct collector_rig *g, const struct vault_frame *f)
{
	int64_t real_ns = RIG_NOW_NS + g->now_ns - 1000 * NS_PER_S;
	uint8_t id[EPOCH_ID_BYTES];

	demand(opener_epoch(g->seal.opener, f->epoch.blob, real_ns, id) == SEAL_OK);
}

void rig_store(struct collector_rig *g, unsigned vault)
{
	struct rig_vault *v = &g->vault[vault];
	struct vault_frame f;

	while (rig_frame(g, vault, &f)) {
		if (f.type == VAULT_EPOCH)
			rig_take_epoch(g, &f);
		else if (f.type == VAULT_APPEND)
			take_records(g, v, f.list);
		rig_answer(g, vault, f.request, (enum vault_refusal)0);
	}
}
