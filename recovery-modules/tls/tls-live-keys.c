/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The keys are there while the server lives: each record is opened when it is complete, and the
 * inner module follows. Only what it asks to keep is kept, and the record under way.
 */
#include "tls-show.h"

/* How often the beginning is read again if keys have come that do not open it: others may come. */
#define TRIES_MAX 3

/* The logs with the chunk being shown behind them. To a struct jeebs_cut it is the flow. */
struct now {
	const struct tls *s;
	uint32_t dir;
	uint64_t off;
	struct jeebs_bytes b;
};

static struct jeebs_bytes now_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	const struct now *n = (const struct now *)(const void *)f;

	if (dir != n->dir || off < n->off)
		return n->s->ops->log(n->s->flow, dir, off);
	struct bytes b = bytes_of(n->b.p, n->b.n);
	b = bytes_from(b, off - n->off < b.n ? (size_t)(off - n->off) : b.n);
	return (struct jeebs_bytes){b.p, b.n};
}

static uint8_t *now_scratch(struct jeebs_flow *f, size_t n)
{
	const struct now *now = (const struct now *)(const void *)f;

	return now->s->ops->scratch(now->s->flow, n);
}

/* The first time: all that was said so far. */
static bool catch_up(struct tls *s, struct tls_plain *p)
{
	s->hole.lost = true; /* the beginning makes room for what is inside */
	bool shown = tls_show_begin(s, p) && tls_show_all(s, p);

	if (!s->lost) {
		s->live = true;
		return shown;
	}
	/* Everything is kept still, so nothing is lost but the time. */
	tls_close(s);
	s->tries++;
	s->lost = NULL;
	s->inner = s->service.inner;
	s->inner_gave_up = false;
	for (int dir = 0; dir < 2; dir++) {
		s->plain[dir] = s->inner_want[dir] = 0;
		s->inner_keeps[dir] = false;
	}
	return false;
}

/* A layer that asks for nothing needs nothing. */
static void keep_needed(struct tls *s)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		if (!s->inner_keeps[dir] || s->inner_want[dir] >= s->to[dir].plain)
			s->from[dir] = s->to[dir];
		s->ops->keep_from(s->flow, dir, s->service.begin[dir] + s->from[dir].wire);
	}
}

static bool is_something_new(const struct tls *s, uint32_t dir)
{
	const struct tls_side *side = s->session.side;

	if (side[0].phase != TLS_SEALED || side[1].phase != TLS_SEALED || s->tries == TRIES_MAX)
		return false;
	return !s->live || tls_complete_end(s, dir) > s->to[dir].wire;
}

static void show_new(struct tls *s, struct tls_plain *p, uint32_t dir)
{
	if (s->live)
		tls_show_more(s, p, dir);
	else if (!catch_up(s, p))
		return;
	s->session = p->session; /* with what EncryptedExtensions have said */
}

int tls_live_follow(struct tls *s, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct now now = {s, dir, off, b};
	struct jeebs_cut cut = {
		.flow = (struct jeebs_flow *)(void *)&now, .log = now_log, .scratch = now_scratch};
	uint8_t wire[TLS_RECORD_MAX];

	if (!JEEBS_HAS(s->ops, scratch) || !s->inner || s->holed || !is_something_new(s, dir))
		return JEEBS_OK;
	int there = s->ops->keys(s->flow, &cut.keys, &cut.crypto);
	s->awaited = there == JEEBS_KEYS_AWAITED;
	if (there != JEEBS_KEYS_THERE)
		return JEEBS_OK;
	struct tls_plain *p = tls_plain_with(s, &cut, wire);
	if (!p)
		return JEEBS_OK; /* later */
	p->now_ns = now_ns;
	s->called = true;
	show_new(s, p, dir);
	s->called = false;
	if (s->live)
		keep_needed(s);
	return s->lost || s->inner_gave_up ? JEEBS_GIVE_UP : JEEBS_OK;
}
