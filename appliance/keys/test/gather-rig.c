/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "gather-rig.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

static void open_side(struct box *b, unsigned v)
{
	struct side *s = &b->side[v];

	s->web1.who = (struct subject){.role = IDENTITY_ORIGIN, .name = "web1", .addresses = 1};
	assert_int_equal(netaddr_parse("10.9.0.1", &s->web1.who.address[0]), 0);
	s->us.who.role = IDENTITY_RECOVERY;
	vault_rig_init(&s->rig);
	vault_rig_enter(&s->rig, &s->web1);
	vault_rig_enter(&s->rig, &s->us);
	assert_int_equal(keys_vault_new(v, b->index, &s->vault), 0);
	keys_vault_up(s->vault, &s->us.to_vault);
}

void gather_rig_disconnect(struct side *s)
{
	vault_rig_leave(&s->rig, &s->us);
	keys_vault_down(s->vault);
}

void gather_rig_lose_all(struct side *s)
{
	vault_rig_leave(&s->rig, &s->us);
	vault_rig_leave(&s->rig, &s->web1);
	vault_rig_deinit(&s->rig);
	vault_rig_init(&s->rig);
	vault_rig_enter(&s->rig, &s->web1);
	vault_rig_enter(&s->rig, &s->us);
}

static void close_side(struct side *s)
{
	gather_rig_disconnect(s);
	keys_vault_free(s->vault);
	vault_rig_leave(&s->rig, &s->web1);
	vault_rig_deinit(&s->rig);
	vault_rig_peer_deinit(&s->web1);
	vault_rig_peer_deinit(&s->us);
}

static void post(void *ctx, struct keys_unseal_task *t)
{
	struct box *b = ctx;

	list_add_tail(&b->tasks, &t->node);
}

static void found(struct keys_want *w, size_t session, struct keys_found *f)
{
	struct box *b = w->ctx;

	assert_int_equal(b->done, 0);
	assert_true(session < w->n);
	assert_int_equal(b->times[session]++, 0);
	b->found[session] = *f;
	b->told++;
}

static void done(struct keys_want *w)
{
	struct box *b = w->ctx;

	assert_int_equal(b->done++, 0);
	assert_int_equal(b->told, w->n);
}

int gather_rig_setup(void **state)
{
	const struct siphash_key key = {{1, 2}};
	struct box *b = calloc(1, sizeof *b);

	seal_rig_init(&b->seal);
	assert_int_equal(keys_index_open(1000, &key, &b->index), 0);
	assert_int_equal(keys_arena_open(SLOTS, &b->arena), 0);
	assert_int_equal(keys_approval_new(BUDGET_NS, &b->approval), 0);
	assert_int_equal(mailbox_init(&b->results), 0);
	const struct keys_unseal_config threads = {b->seal.opener, b->arena, &b->results, 2};
	assert_int_equal(keys_unseal_open(&threads, &b->unseal), 0);
	list_init(&b->tasks);
	b->now_ns = clock_mono_ns();
	for (unsigned v = 0; v < 2; v++)
		open_side(b, v);
	assert_int_equal(sealer_epoch(b->seal.sealer, RIG_NOW_NS, b->epoch_id, &b->epoch), 0);
	*state = b;
	return 0;
}

/* The threads open what is posted. False: there was nothing. */
static bool open_tasks(struct box *b)
{
	unsigned n = 0;

	while (!list_empty(&b->tasks)) {
		struct keys_unseal_task *t =
			list_entry(b->tasks.next, struct keys_unseal_task, node);

		list_del(&t->node);
		keys_unseal_post(b->unseal, t);
		n++;
	}
	bool any = n > 0;
	while (n > 0) {
		struct list back;

		list_init(&back);
		mailbox_wait(&b->results, clock_mono_ns() + NS_PER_S);
		mailbox_take(&b->results, &back);
		list_for_each_safe (it, tmp, &back) {
			struct keys_unseal_task *t = list_entry(it, struct keys_unseal_task, node);

			assert_ptr_equal(keys_gather_back(t), b->gather);
			n--;
		}
	}
	return any;
}

/* What this side makes of the answer @f. */
static void spoil(const struct side *s, struct vault_frame *f)
{
	uint8_t id[EPOCH_ID_BYTES];

	if (f->type != VAULT_EPOCH_BLOB)
		return;
	if (s->other_epoch)
		f->epoch.blob = bytes_of(s->other_epoch->p, s->other_epoch->n);
	if (!s->without_epochs)
		return;
	memcpy(id, f->epoch.id, sizeof id);
	f->type = VAULT_EPOCH_MISSING;
	memcpy(f->epoch_missing, id, sizeof id);
}

static bool side_turn(struct box *b, struct side *s)
{
	bool more = vault_rig_turn(&s->rig, &s->web1, RIG_NOW_NS);
	struct vault_frame f;
	size_t used;

	buf_reset(&s->web1.from_vault);
	if (s->hangs || !s->us.visitor)
		return more;
	more |= vault_rig_turn(&s->rig, &s->us, RIG_NOW_NS);
	while (s->us.from_vault.n > 0) {
		assert_int_equal(vault_wire_read(buf_view(&s->us.from_vault), &f, &used),
				 VAULT_WIRE_OK);
		spoil(s, &f);
		assert_int_equal(keys_vault_frame(s->vault, &f), 0);
		buf_consume(&s->us.from_vault, used);
		more = true;
	}
	return more;
}

void gather_rig_talk(struct box *b)
{
	bool more = true;

	while (more) {
		more = false;
		for (unsigned v = 0; v < 2; v++) {
			struct side *s = &b->side[v];

			more |= side_turn(b, s);
			keys_vault_tick(s->vault, b->now_ns);
			more |= !s->hangs && s->us.visitor && s->us.to_vault.n > 0;
		}
		more |= !b->hold && open_tasks(b);
		if (b->gather)
			keys_gather_step(b->gather, b->now_ns);
		for (unsigned v = 0; v < 2; v++)
			more |= !b->side[v].hangs && b->side[v].us.visitor &&
				b->side[v].us.to_vault.n > 0;
	}
}

/* Session @i as the box sees it. */
static void see(struct box *b, unsigned i)
{
	const struct session_index *x = &b->known[i];

	b->sessions[i] = (struct keys_session){x->protocol, x->server, x->client, {0}, 0};
	if (x->protocol == KEYS_TLS)
		memcpy(b->sessions[i].client_random, x->id, TLS_RANDOM_BYTES);
}

void gather_rig_seal(struct box *b, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		b->sealed[i] = seal_rig_record(b->seal.sealer, SERVER, i, &b->known[i]);
		see(b, i);
	}
}

void gather_rig_seal_ssh(struct box *b, unsigned n)
{
	static const uint8_t zero[32] = {0, 0, 0, 1, 7};
	uint8_t room[SESSION_KEYS_MAX_BYTES], h[32];
	struct session_keys k = {.protocol = KEYS_SSH};

	assert_int_equal(endpoint_parse("10.9.0.1:22", false, &k.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.10:40000", false, &k.client), 0);
	k.ssh = (struct ssh_keys){SSH_SHA256, bytes_of(zero, 5), bytes_of(h, 32),
				  bytes_of(zero, 32)};
	for (unsigned i = 0; i < n; i++) {
		struct writer w = writer_init(room, sizeof room);

		memset(h, (int)i, sizeof h);
		session_keys_write(&w, &k);
		assert_true(writer_ok(&w));
		struct bytes keys = bytes_of(room, writer_pos(&w));
		assert_int_equal(sealer_batch(b->seal.sealer, RIG_NOW_NS + i * NS_PER_S, &keys, 1,
					      &b->sealed[i], &b->known[i]),
				 0);
		see(b, i);
	}
}

void gather_rig_store_epoch(struct box *b, unsigned v)
{
	vault_wire_put_epoch(&b->side[v].web1.to_vault, VAULT_EPOCH, 1, b->epoch_id,
			     bytes_of(b->epoch.p, b->epoch.n));
}

void gather_rig_store(struct box *b, unsigned v, unsigned first, unsigned n, bool forged)
{
	for (unsigned i = first; i < first + n; i++) {
		uint8_t blob[SEAL_RECORD_MAX_BYTES];

		memcpy(blob, b->sealed[i].p, b->sealed[i].n);
		blob[b->sealed[i].n / 2] ^= forged;
		const struct vault_item item = {b->known[i], bytes_of(blob, b->sealed[i].n)};
		vault_wire_put_append(&b->side[v].web1.to_vault, 2 + i, &item, 1);
	}
}

void gather_rig_both_have(struct box *b, unsigned n)
{
	for (unsigned v = 0; v < 2; v++) {
		gather_rig_store_epoch(b, v);
		gather_rig_store(b, v, 0, n, false);
	}
	gather_rig_talk(b);
}

void gather_rig_want(struct box *b, unsigned n)
{
	const struct keys_gather_config config = {
		.index = b->index,
		.vault = {b->side[0].vault, b->side[1].vault},
		.vaults = 2,
		.opener = b->seal.opener,
		.arena = b->arena,
		.approval = b->approval,
		.post = post,
		.ctx = b,
	};

	b->want = (struct keys_want){
		.sessions = b->sessions,
		.n = n,
		.reason = VAULT_FOR_FAILOVER,
		.text = "web1-1",
		.failover = b->want.failover,
		.budget_ns = BUDGET_NS,
		.now_ns = RIG_NOW_NS + 60 * NS_PER_S,
		.max_age_ns = SEAL_AGE_ANY,
		.found = found,
		.done = done,
		.ctx = b,
	};
	assert_int_equal(keys_gather_new(&config, &b->want, b->now_ns, &b->gather), 0);
	keys_gather_step(b->gather, b->now_ns);
}

uint32_t gather_rig_live(struct box *b)
{
	struct keys_arena_counters c;

	keys_arena_count(b->arena, &c);
	return c.live;
}

void gather_rig_expect_all(struct box *b, unsigned n)
{
	assert_int_equal(b->done, 1);
	assert_int_equal(gather_rig_live(b), n);
	for (unsigned i = 0; i < n; i++) {
		uint8_t room[SESSION_KEYS_MAX_BYTES];
		struct session_keys keys;
		size_t bytes = seal_rig_keys(SERVER, i, room);

		assert_int_equal(session_keys_read(bytes_of(room, bytes), &keys), SESSION_KEYS_OK);
		assert_int_equal(b->found[i].reason, SEAL_OK);
		assert_int_equal(b->found[i].n, 1);
		const struct keys_got *got = b->found[i].got;
		assert_non_null(keys_arena_use(b->arena, got->handle));
		assert_true(bytes_eq(got->opened.keys.tls.secret[TLS_CLIENT_APPLICATION],
				     keys.tls.secret[TLS_CLIENT_APPLICATION]));
		keys_arena_done(b->arena, got->handle);
	}
}

void gather_rig_expect_none(struct box *b, unsigned n, int reason)
{
	assert_int_equal(b->done, 1);
	for (unsigned i = 0; i < n; i++) {
		assert_string_equal(keys_reason_name(b->found[i].reason), keys_reason_name(reason));
		assert_int_equal(b->found[i].n, 0);
	}
	assert_int_equal(gather_rig_live(b), 0);
}

uint64_t gather_rig_fetched(struct box *b, unsigned v)
{
	return vault_desk_counters(b->side[v].rig.desk)->records_fetched;
}

int gather_rig_teardown(void **state)
{
	struct box *b = *state;

	for (size_t s = 0; s < b->want.n; s++) {
		for (size_t k = 0; k < b->found[s].n; k++)
			assert_int_equal(keys_arena_release(b->arena, b->found[s].got[k].handle),
					 0);
		free(b->found[s].got);
	}
	assert_int_equal(gather_rig_live(b), 0);
	for (unsigned v = 0; v < 2; v++)
		close_side(&b->side[v]);
	open_tasks(b);
	assert_true(!b->gather || keys_gather_over(b->gather));
	keys_gather_free(b->gather);
	assert_int_equal(gather_rig_live(b), 0);
	assert_true(keys_unseal_close(b->unseal));
	mailbox_deinit(&b->results);
	keys_approval_free(b->approval);
	keys_arena_close(b->arena);
	keys_index_close(b->index);
	for (unsigned i = 0; i < SESSIONS; i++)
		sealed_free(&b->sealed[i]);
	sealed_free(&b->epoch);
	seal_rig_deinit(&b->seal);
	free(b);
	return 0;
}
