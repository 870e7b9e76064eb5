/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "replay-oracle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"

/* Ceiling of each direction. Captured bytes beyond it count as lost. */
#define STREAM_MAX (size_t)(2047u << 20)

/* The bytes of one direction, from `begin` to the first gap. */
struct stream {
	struct buf bytes;
	uint64_t begin, end;
	bool lost, fin;
};

/* The server had come to `server` when the client had come to `client`. */
struct turn {
	uint64_t client, server;
};

struct oracle {
	struct stream stream[2];
	struct turn *turns;
	size_t turn_n, turn_cap;
};

struct connection {
	const struct oracle *oracle;
	size_t heard, said; /* offsets from `begin` */
	size_t turn;
	bool eof;
	uint32_t state;
};

static void *oracle_open(const struct jeebs_service *svc)
{
	struct oracle *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	for (int i = 0; i < 2; i++) {
		struct stream *s = &o->stream[i];
		s->bytes = BUF_INIT(STREAM_MAX);
		s->begin = s->end = svc ? svc->begin[i] : 0;
	}
	return o;
}

static void oracle_close(void *oracle)
{
	struct oracle *o = oracle;

	if (!o)
		return;
	buf_deinit(&o->stream[0].bytes);
	buf_deinit(&o->stream[1].bytes);
	free(o->turns);
	free(o);
}

static int note_turn(struct oracle *o)
{
	struct turn t = {o->stream[JEEBS_TO_SERVER].end, o->stream[JEEBS_TO_CLIENT].end};

	if (o->turn_n > 0 && o->turns[o->turn_n - 1].client == t.client) {
		o->turns[o->turn_n - 1].server = t.server;
		return 0;
	}
	if (o->turn_n == o->turn_cap) {
		size_t cap = o->turn_cap ? 2 * o->turn_cap : 16;
		struct turn *more = reallocarray(o->turns, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		o->turns = more;
		o->turn_cap = cap;
	}
	o->turns[o->turn_n++] = t;
	return 0;
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct oracle *o = oracle;

	(void)from;
	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	struct stream *s = &o->stream[dir];
	if (to <= s->end)
		return 0;
	s->lost = true;
	s->end = to;
	/* Known or not, something was said: note the turn. */
	return dir == JEEBS_TO_CLIENT ? note_turn(o) : 0;
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	struct stream *s = &o->stream[dir];
	/* Bytes before the beginning belong to another module's conversation. */
	struct bytes in = bytes_of(b.p, b.n);
	if (off < s->end) {
		uint64_t before = s->end - off;
		in = before < in.n ? bytes_from(in, (size_t)before) : BYTES_NONE;
		off = s->end;
	}
	if (in.n == 0)
		return 0;
	int r = oracle_gap(o, dir, s->end, off);
	if (r == 0 && !s->lost)
		r = buf_bytes(&s->bytes, in);
	if (r == -ENOBUFS)
		s->lost = true;
	else if (r < 0)
		return r;
	s->end += in.n;
	return dir == JEEBS_TO_CLIENT ? note_turn(o) : 0;
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	o->stream[dir].fin = true;
	return oracle_gap(o, dir, o->stream[dir].end, off);
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	(void)oracle;
	*ret_unasked = UINT64_MAX;
	return 0;
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	struct connection *c = calloc(1, sizeof *c);

	(void)cut;
	if (c)
		c->oracle = oracle;
	return c;
}

/* Takes the bytes that equal the client's. Returns false when some do not. */
static bool hear(struct connection *c, struct bytes b)
{
	const struct stream *s = &c->oracle->stream[JEEBS_TO_SERVER];
	struct bytes known = bytes_from(buf_view(&s->bytes), c->heard);
	size_t n = 0;

	while (n < known.n && n < b.n && known.p[n] == b.p[n])
		n++;
	c->heard += n;
	return n == b.n;
}

/* How far the server had come when the client had come as far as now. */
static size_t due(struct connection *c)
{
	const struct oracle *o = c->oracle;
	const struct stream *in = &o->stream[JEEBS_TO_SERVER], *out = &o->stream[JEEBS_TO_CLIENT];

	while (c->turn < o->turn_n && o->turns[c->turn].client - in->begin <= c->heard)
		c->turn++;
	return c->turn ? (size_t)(o->turns[c->turn - 1].server - out->begin) : 0;
}

static int speak(struct connection *c, int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx)
{
	const struct stream *out = &c->oracle->stream[JEEBS_TO_CLIENT];
	struct bytes all = buf_view(&out->bytes);
	size_t to = due(c);

	if (to > all.n) {
		c->state = JEEBS_ORACLE_UNKNOWN;
		to = all.n;
	}
	if (to <= c->said)
		return 0;
	struct bytes b = bytes_from(bytes_head(all, to), c->said);
	c->said = to;
	return answer(ctx, (struct jeebs_bytes){b.p, b.n});
}

/* Whether everything was said on both sides. */
static bool ended(const struct connection *c)
{
	const struct stream *in = &c->oracle->stream[JEEBS_TO_SERVER],
			    *out = &c->oracle->stream[JEEBS_TO_CLIENT];

	return out->fin && !in->lost && !out->lost && c->heard == in->bytes.n &&
	       c->said == out->bytes.n && (c->eof || !in->fin);
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;
	int r = 0;

	c->eof |= eof != 0;
	if (c->state == JEEBS_ORACLE_OPEN) {
		bool known = hear(c, bytes_of(b.p, b.n));
		r = speak(c, answer, ctx);
		if (!known)
			c->state = JEEBS_ORACLE_UNKNOWN;
	} else if (c->state == JEEBS_ORACLE_CLOSE && b.n > 0) {
		/* More than the client had said when the server finished, in whatever chunks. */
		c->state = JEEBS_ORACLE_UNKNOWN;
	}
	if (r < 0)
		return r;
	if (c->state == JEEBS_ORACLE_OPEN && ended(c))
		c->state = JEEBS_ORACLE_CLOSE;
	else if (c->state == JEEBS_ORACLE_OPEN && c->eof)
		/* The capture does not show how the server handled this. */
		c->state = JEEBS_ORACLE_UNKNOWN;
	*ret_state = c->state;
	return 0;
}

static void oracle_disconnect(void *connection)
{
	free(connection);
}

const struct jeebs_oracle replay_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "replay",
	.open = oracle_open,
	.data = oracle_data,
	.gap = oracle_gap,
	.fin = oracle_fin,
	.learned = oracle_learned,
	.connect = oracle_connect,
	.receive = oracle_receive,
	.disconnect = oracle_disconnect,
	.close = oracle_close,
};

JEEBS_ORACLE_EXPORT(replay_oracle);
