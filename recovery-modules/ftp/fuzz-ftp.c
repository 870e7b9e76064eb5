/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A conversation from hostile bytes, a cut, and a backend that answers hostile bytes. Input: four
 * bytes of options, then records as in conversation.h of the control connection (0) and two data
 * connections, and besides them
 *
 *	'G' 'g'  a gap of the client's, of the server's bytes, so many as the first byte says
 *	'R'      checkpoint and restore, the checkpoint xored with the payload from four times the
 *	         offset on that its first byte says
 *	'B'      behind the cut, one answer of the backend: to the control connection (0), or on
 *	         data connections
 *	'M'      behind the cut, more of the client
 */
#include "ftp.h"
#include "recovery-modules/harness/test/conversation.h"
#include "recovery-modules/harness/test/module-fuzz.h"

const char *const fuzz_outcomes[] = {
	"continue", "refuse", "joined", "finished", "aborted", "restored", "altered state refused",
	"related",  NULL};

#define FLOWS 3

struct script {
	struct harness h[FLOWS];
	bool open[FLOWS];
	struct jeebs_expect ports[FLOWS];
	struct bytes rest;   /* records behind the cut */
	struct reader at[2]; /* answers of the control connection, of data connections */
	bool said;
	bool dead; /* a state is not what it was */
};

/* The next answer for it; none: it waits for ever. */
static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct reader *r = ctx;
	struct conversation_record c;

	(void)fail;
	if (b.n == 0 && eof)
		*close = true;
	while (conversation_next_numbered(r, &c)) {
		/* An empty answer is its end. */
		if (c.kind != 'B')
			continue;
		if (c.b.n == 0)
			*close = true;
		buf_bytes(answer, c.b);
		return;
	}
}

static void *connect_data(void *ctx, uint16_t port)
{
	struct reader *main = ctx;

	return port % 7 ? main + 1 : NULL;
}

static struct bytes next(void *ctx, uint64_t received, bool *ret_eof)
{
	struct script *s = ctx;
	struct reader r = reader_init(s->rest);
	struct conversation_record c;

	(void)received;
	if (s->said) {
		*ret_eof = true;
		return BYTES_NONE;
	}
	s->said = true;
	while (conversation_next_numbered(&r, &c)) {
		if (c.kind == 'M')
			return c.b;
	}
	return BYTES_NONE;
}

static enum harness_opening open_data(void *ctx, const struct harness_channel *c, void **ret)
{
	(void)ctx;
	*ret = NULL;
	return c->service_port % 5 ? HARNESS_THERE : HARNESS_NOT_YET;
}

/* False: the cut. */
static bool record(struct script *s, const struct harness_options *o,
		   const struct conversation_record *c)
{
	unsigned i = c->connection % FLOWS;
	struct harness *h = &s->h[i];
	uint32_t dir = c->kind == 'C' || c->kind == 'F' || c->kind == 'g';

	if (c->kind == 'B' || c->kind == 'M')
		return false;
	if (c->kind == 'P' && i > 0 && !s->open[i] && c->b.n == 4) {
		s->open[i] = true;
		s->ports[i].server_port = (uint16_t)(c->b.p[0] << 8 | c->b.p[1]);
		s->ports[i].client_port = (uint16_t)(c->b.p[2] << 8 | c->b.p[3]);
		demand(harness_init(h, &ftp_data_module, o) == 0);
	}
	if (!s->open[i])
		return true;
	if (c->kind == 'R') {
		s->dead |= !module_fuzz_reopen(h, c->b, 4);
		return true;
	}
	if (h->log[dir].fin)
		return true;
	switch (c->kind) {
	case 'S':
	case 'C':
		harness_data(h, dir, c->b);
		break;
	case 'E':
	case 'F':
		harness_fin(h, dir);
		break;
	case 'G':
	case 'g':
		harness_gap(h, dir, c->b.n ? c->b.p[0] : 0);
		break;
	default:
		break;
	}
	return true;
}

static void relate(struct script *s)
{
	for (unsigned i = 1; i < FLOWS; i++) {
		struct harness *h = &s->h[i];
		for (uint32_t e = 0; s->open[i] && e < s->h[0].expected_n; e++) {
			const struct jeebs_expect *x = &s->h[0].expected[e];
			if ((x->server_port && x->server_port != s->ports[i].server_port) ||
			    (x->client_port && x->client_port != s->ports[i].client_port))
				continue;
			struct jeebs_related r = {.tag = x->tag,
						  .server_port = s->ports[i].server_port,
						  .client_port = s->ports[i].client_port,
						  .cut = {.ended = h->log[0].fin && h->log[1].fin}};
			reached("related");
			if (harness_relate_live(&s->h[0], &r, h) < 0)
				return;
		}
	}
}

static void resume(struct script *s)
{
	const struct harness_backend backend = {
		.receive = receive, .ctx = &s->at[0], .connect = connect_data};
	const struct harness_client client = {.next = next, .ctx = s, .open = open_data};

	s->at[0] = s->at[1] = reader_init(s->rest);
	harness_resume_with(&s->h[0], &backend, &client);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));
	struct harness_options o = {
		.live = {.max = reader_u8(&r) % 64},
		.backend = {.max = reader_u8(&r) % 64},
		.view_max = reader_u8(&r) % 32,
		.log_max = 4096,
		.output_max = 1u << 20,
	};
	uint8_t flags = reader_u8(&r);
	const struct jeebs_service service = {.protocol = "ftp",
					      .replay = (flags >> 1) % 3,
					      .login = flags & 1,
					      .upgrade = flags & 8 ? "replay" : NULL,
					      .retain = flags & 16 ? 64 : 4096};
	o.service = &service;
	o.service_address.family = o.client_address.family = flags & 32 ? 6 : 4;
	struct script s = {.open = {true}};
	struct conversation_record c;
	struct jeebs_plan plan;

	if (!reader_ok(&r))
		return 0;
	demand(harness_init(&s.h[0], &ftp_module, &o) == 0);
	do
		s.rest = bytes_of(r.p, reader_left(&r));
	while (conversation_next_numbered(&r, &c) && record(&s, &o, &c));
	if (!s.h[0].handed_over && !s.dead) {
		relate(&s);
		harness_plan(&s.h[0], &plan);
		if (plan.verdict == JEEBS_CONTINUE)
			resume(&s);
		module_fuzz_tell(&s.h[0], &plan);
	}
	for (unsigned i = 0; i < FLOWS; i++) {
		if (!s.open[i])
			continue;
		demand(!s.h[i].violation);
		harness_deinit(&s.h[i]);
	}
	return 0;
}
