/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "harness-join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/private-memory.h"

#define DEFAULT_LOG_MAX    (64u << 20)
#define DEFAULT_QUEUE_MAX  (1u << 20)
#define DEFAULT_OUTPUT_MAX (64u << 20)
#define RANDOM_CHUNK_MAX   1500u

void harness_violation(struct harness *h, const char *what)
{
	if (!h->violation)
		h->violation = what;
}

/* xorshift64. It is enough that a module sees no pattern. */
static uint64_t next_random(struct harness *h, uint64_t seed)
{
	uint64_t x = h->random ^ seed;

	if (x == 0)
		x = UINT64_C(0x9e3779b97f4a7c15);
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	h->random = x ^ seed;
	return x;
}

size_t harness_chunk(struct harness *h, const struct harness_chunks *c, size_t n)
{
	size_t k = c->max ? c->max : n;

	if (c->seed)
		k = 1 + (size_t)((next_random(h, c->seed) >> 20) %
				 (c->max ? c->max : RANDOM_CHUNK_MAX));
	return k < n ? k : n;
}

/* Logs. */

static struct jeebs_bytes view(const struct harness *h, const struct harness_log *l, uint64_t off)
{
	struct bytes b = span_at(&l->span, off);
	size_t n = b.n;

	/* Views end at fixed offsets, as those of a log in blocks. */
	if (h->options.view_max && n > h->options.view_max - off % h->options.view_max)
		n = h->options.view_max - (size_t)(off % h->options.view_max);
	return (struct jeebs_bytes){b.p, n};
}

static struct jeebs_bytes log_view(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness *h = (struct harness *)f;

	if (h->logs_shown && dir < 2)
		return view(h, &h->log[dir], off);
	harness_violation(h, "log read outside of the callbacks that may");
	return (struct jeebs_bytes){NULL, 0};
}

/*
 * The log of a related connection: while its channel exists, or as long as the main connection's
 * logs.
 */
static struct jeebs_bytes related_view(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness_relation *r = (struct harness_relation *)(void *)f;

	if ((r->h->logs_shown || (r->h->resuming && r->channel)) && dir < 2)
		return view(r->h, &r->log[dir], off);
	harness_violation(r->h, "related log read outside of the callbacks that may");
	return (struct jeebs_bytes){NULL, 0};
}

static uint8_t *scratch(struct harness *h, size_t n)
{
	if (h->logs_shown && !h->live_call)
		return scratch_take(n);
	harness_violation(h, "scratch outside of the callbacks that may");
	return NULL;
}

static uint8_t *cut_scratch(struct jeebs_flow *f, size_t n)
{
	return scratch((struct harness *)f, n);
}

static uint8_t *related_scratch(struct jeebs_flow *f, size_t n)
{
	return scratch(((struct harness_relation *)(void *)f)->h, n);
}

static void log_keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness *h = (struct harness *)f;
	struct harness_log *l = &h->log[dir & 1];

	uint64_t end = dir == h->dir ? h->end : span_end(&l->span);

	if (!h->live_call || dir > 1)
		harness_violation(h, "keep_from outside of a live callback");
	else if (off > end && !h->misled)
		harness_violation(h, "keep_from beyond the bytes shown");
	else if (l->kept && off < l->keep && !h->misled)
		harness_violation(h, "keep_from backwards");
	if (h->violation || off > end || (l->kept && off < l->keep))
		return;
	l->kept = true;
	l->keep = off;
}

static void log_expect(struct jeebs_flow *f, const struct jeebs_expect *e)
{
	struct harness *h = (struct harness *)f;
	uint32_t n = 0;

	if (!h->live_call || !h->module->companion) {
		harness_violation(h, "expect outside of a live callback, or without a companion");
		return;
	}
	for (uint32_t i = 0; i < h->expected_n; i++)
		if (h->expected[i].tag != e->tag)
			h->expected[n++] = h->expected[i];
	if (e->server_port || e->client_port) {
		if (n == JEEBS_EXPECT_MAX)
			memmove(h->expected, h->expected + 1, --n * sizeof h->expected[0]);
		h->expected[n++] = *e;
	}
	h->expected_n = n;
}

/* Whether the log of @dir, with the chunk being shown, reaches back to @off. */
static bool log_reaches(const struct harness *h, uint32_t dir, uint64_t off)
{
	const struct harness_log *l = &h->log[dir];

	return off >= l->span.off && off <= (dir == h->dir ? h->end : span_end(&l->span));
}

static int log_hand_over(struct jeebs_flow *f, uint64_t to_server, uint64_t to_client)
{
	struct harness *h = (struct harness *)f;

	if (!h->live_call) {
		harness_violation(h, "hand_over outside of a live callback");
		return 0;
	}
	if (!h->options.service || !h->options.service->upgrade)
		return 0;
	if (!h->misled && (!log_reaches(h, JEEBS_TO_SERVER, to_server) ||
			   !log_reaches(h, JEEBS_TO_CLIENT, to_client)))
		harness_violation(h, "hand_over from where the log does not reach");
	h->handed_over = true;
	h->handed_over_at[JEEBS_TO_SERVER] = to_server;
	h->handed_over_at[JEEBS_TO_CLIENT] = to_client;
	return 1;
}

static int live_keys(struct jeebs_flow *f, struct jeebs_keys **ret_keys,
		     const struct jeebs_crypto_ops **ret_crypto)
{
	struct harness *h = (struct harness *)f;

	if (!h->live_call)
		harness_violation(h, "keys outside of a live callback");
	*ret_keys = h->live_keys;
	*ret_crypto = h->live_crypto;
	if (h->live_call && h->live_keys)
		return JEEBS_KEYS_THERE;
	return h->live_awaited ? JEEBS_KEYS_AWAITED : JEEBS_KEYS_NONE;
}

static uint8_t *live_scratch(struct jeebs_flow *f, size_t n)
{
	struct harness *h = (struct harness *)f;

	if (h->live_call)
		return scratch_take(n);
	harness_violation(h, "scratch outside of the callbacks that may");
	return NULL;
}

static const struct jeebs_live_ops live_ops = {
	.size = sizeof(struct jeebs_live_ops),
	.keep_from = log_keep_from,
	.log = log_view,
	.expect = log_expect,
	.hand_over = log_hand_over,
	.keys = live_keys,
	.scratch = live_scratch,
};

/* Drops what the module did not ask for. @end: where the stream ends, now or soon. */
static void log_trim(struct harness_log *l, uint64_t end)
{
	uint64_t need = l->kept ? l->keep : end;
	struct span *s = &l->span;

	if (need <= s->off)
		return;
	uint64_t drop = need - s->off;
	buf_consume(&s->bytes, drop < s->bytes.n ? (size_t)drop : s->bytes.n);
	s->off = need;
}

/* Drops the whole log, which goes on at @next. */
static void log_lose(struct harness_log *l, uint64_t next)
{
	buf_reset(&l->span.bytes);
	l->span.off = next;
}

static void log_append(struct harness_log *l, struct bytes b)
{
	uint64_t off = span_end(&l->span), end = off + b.n;

	log_trim(l, end);
	b = bytes_from(b, (size_t)(span_end(&l->span) - off));
	if (buf_bytes(&l->span.bytes, b) < 0)
		log_lose(l, end);
}

/* Live half. */

static void live_begin(struct harness *h, uint32_t dir, uint64_t end)
{
	h->live_call = h->logs_shown = true;
	h->dir = dir;
	h->end = end;
}

static void live_end(struct harness *h, int r)
{
	h->live_call = h->logs_shown = false;
	scratch_give_back();
	if (r != JEEBS_OK && r != JEEBS_GIVE_UP && (r != JEEBS_HAND_OVER || !h->handed_over))
		harness_violation(h, "a live callback returned what it may not");
	else if (h->handed_over && r != JEEBS_HAND_OVER)
		harness_violation(h, "a live callback handed over and goes on");
	if (r == JEEBS_OK)
		return;
	h->gave_up = true;
	for (int i = 0; i < 2; i++)
		log_lose(&h->log[i], span_end(&h->log[i].span));
}

static int open_state(struct harness *h)
{
	static const struct jeebs_service defaults = {.protocol = "harness", .retain = 1 << 20};

	memset(h->state, 0, h->module->state_size);
	live_begin(h, JEEBS_TO_SERVER, span_end(&h->log[JEEBS_TO_SERVER].span));
	int r = h->module->open(h->state, (struct jeebs_flow *)h, &live_ops,
				h->options.service ? h->options.service : &defaults);
	h->live_call = h->logs_shown = false;
	return r == JEEBS_OK ? 0 : -EPROTO;
}

static void init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options)
{
	memset(h, 0, sizeof *h);
	if (options)
		h->options = *options;
	if (h->options.log_max == 0)
		h->options.log_max = DEFAULT_LOG_MAX;
	if (h->options.queue_max == 0)
		h->options.queue_max = DEFAULT_QUEUE_MAX;
	if (h->options.room_max == 0)
		h->options.room_max = JEEBS_ROOM;
	if (h->options.room_max > h->options.queue_max)
		h->options.room_max = h->options.queue_max;
	if (h->options.output_max == 0)
		h->options.output_max = DEFAULT_OUTPUT_MAX;
	h->module = m;
	h->acked = UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		struct span *s = &h->log[i].span;
		s->bytes = BUF_INIT(h->options.log_max);
		s->off = h->options.service ? h->options.service->begin[i] : 0;
	}
	h->client = BUF_INIT(h->options.output_max);
	h->backend = BUF_INIT(DEFAULT_OUTPUT_MAX);
}

int harness_init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options)
{
	init(h, m, options);
	h->state = malloc(m->state_size ? m->state_size : 1);
	if (!h->state)
		return -ENOMEM;
	int r = open_state(h);
	if (r < 0) {
		free(h->state);
		h->state = NULL;
	}
	return r;
}

/* Takes over @span, which ends at @cut. */
static void logs_set(struct harness_log log[static 2], struct span span[static 2],
		     const struct jeebs_cut *cut)
{
	for (int i = 0; i < 2; i++) {
		log[i].span = span[i];
		log[i].keep = span_end(&span[i]);
		span_give(&span[i]);
	}
	log[JEEBS_TO_SERVER].fin = cut->client_fin;
	log[JEEBS_TO_CLIENT].fin = cut->server_fin;
}

void harness_init_cut(struct harness *h, const struct jeebs_module *m,
		      const struct harness_options *options, void *state,
		      const struct jeebs_cut *cut, struct span log[static 2])
{
	init(h, m, options);
	h->state = state;
	h->acked = cut->to_client_acked;
	h->options.more_may_be_out = !cut->nothing_more;
	h->keys = cut->keys;
	h->crypto = cut->crypto;
	logs_set(h->log, log, cut);
}

int harness_relate(struct harness *h, const struct jeebs_related *r,
		   const struct span log[static 2])
{
	struct span copy[2];

	if (h->related_n == JEEBS_EXPECT_MAX)
		return -ENOSPC;
	if (span_copy(&log[0], &copy[0]) < 0)
		return -ENOMEM;
	if (span_copy(&log[1], &copy[1]) < 0) {
		span_free(&copy[0]);
		return -ENOMEM;
	}
	struct harness_relation *rel = &h->relation[h->related_n++];
	*rel = (struct harness_relation){.h = h, .seen = *r};
	logs_set(rel->log, copy, &r->cut);
	return 0;
}

int harness_relate_live(struct harness *h, const struct jeebs_related *r,
			const struct harness *companion)
{
	const struct harness_log *s = &companion->log[JEEBS_TO_SERVER],
				 *c = &companion->log[JEEBS_TO_CLIENT];
	struct jeebs_related seen = *r;
	const struct span log[2] = {s->span, c->span};

	seen.cut.to_server_end = span_end(&s->span);
	seen.cut.to_client_end = seen.cut.to_client_acked = span_end(&c->span);
	seen.cut.client_fin = s->fin;
	seen.cut.server_fin = c->fin;
	seen.cut.nothing_more = !companion->options.more_may_be_out;
	seen.cut.layered = companion->module->flags & JEEBS_MODULE_LAYERED ? 1 : 0;
	seen.cut.keys = companion->keys;
	seen.cut.crypto = companion->crypto;
	/* A layer says itself what it has lost. */
	seen.state = companion->gave_up && !seen.cut.layered ? NULL : companion->state;
	return harness_relate(h, &seen, log);
}

static void channels_deinit(struct harness *h)
{
	for (uint32_t i = 0; i < h->channels; i++) {
		buf_deinit(&h->channel[i]->client);
		buf_deinit(&h->channel[i]->backend);
		free(h->channel[i]);
	}
	for (uint32_t i = 0; i < h->related_n; i++)
		for (int d = 0; d < 2; d++)
			span_free(&h->relation[i].log[d].span);
	h->channels = h->related_n = 0;
}

void harness_deinit(struct harness *h)
{
	if (h->state)
		h->module->close(h->state);
	free(h->state);
	h->state = NULL;
	channels_deinit(h);
	for (int i = 0; i < 2; i++)
		span_free(&h->log[i].span);
	buf_deinit(&h->client);
	buf_deinit(&h->backend);
}

void harness_data(struct harness *h, uint32_t dir, struct bytes b)
{
	struct harness_log *l = &h->log[dir];

	while (b.n > 0) {
		struct bytes part = bytes_head(b, harness_chunk(h, &h->options.live, b.n));
		b = bytes_from(b, part.n);
		uint64_t off = span_end(&l->span);
		if (h->gave_up) {
			log_lose(l, off + part.n);
			continue;
		}
		live_begin(h, dir, off + part.n);
		int r = h->module->data(h->state, dir, off, (struct jeebs_bytes){part.p, part.n},
					h->now_ns);
		log_append(l, part);
		/* The module may have released bytes of the other direction. */
		log_trim(&h->log[!dir], span_end(&h->log[!dir].span));
		live_end(h, r);
	}
}

void harness_gap(struct harness *h, uint32_t dir, uint64_t n)
{
	struct harness_log *l = &h->log[dir];
	uint64_t from = span_end(&l->span);

	log_lose(l, from + n);
	if (h->gave_up)
		return;
	live_begin(h, dir, from + n);
	live_end(h, h->module->gap(h->state, dir, from, from + n));
}

void harness_fin(struct harness *h, uint32_t dir)
{
	uint64_t end = span_end(&h->log[dir].span);

	h->log[dir].fin = true;
	if (h->gave_up)
		return;
	live_begin(h, dir, end);
	live_end(h, h->module->fin(h->state, dir, end));
}

int harness_checkpoint(struct harness *h, struct buf *out)
{
	size_t n = h->module->checkpoint(h->state, NULL, 0);

	if (buf_reserve(out, n) < 0)
		return -ENOMEM;
	if (h->module->checkpoint(h->state, out->p + out->n, n) != n)
		harness_violation(h, "checkpoint: two lengths for one state");
	out->n += n;
	return 0;
}

static bool restore(struct harness *h, struct bytes checkpoint)
{
	h->module->close(h->state);
	bool ok = open_state(h) == 0 &&
		  h->module->restore(h->state, (struct jeebs_bytes){checkpoint.p, checkpoint.n}) ==
			  JEEBS_OK;
	if (!ok) {
		/* After a failed restore a host begins with a new state. */
		h->module->close(h->state);
		(void)open_state(h);
		h->gave_up = true;
	}
	return ok;
}

bool harness_restore(struct harness *h, struct bytes checkpoint)
{
	h->misled = true;
	return restore(h, checkpoint);
}

int harness_reopen(struct harness *h)
{
	struct buf before = BUF_INIT(1u << 20), after = BUF_INIT(1u << 20);
	bool gave_up = h->gave_up;
	int r = harness_checkpoint(h, &before);

	if (r == 0 && !restore(h, buf_view(&before)))
		r = -EPROTO;
	h->gave_up = gave_up;
	if (r == 0)
		r = harness_checkpoint(h, &after);
	if (r == 0 && !bytes_eq(buf_view(&before), buf_view(&after)))
		harness_violation(h, "checkpoint: restored state differs");
	buf_deinit(&before);
	buf_deinit(&after);
	return r;
}

/* Recovery half. */

void harness_set_cut(struct harness *h)
{
	const struct harness_log *s = &h->log[JEEBS_TO_SERVER], *c = &h->log[JEEBS_TO_CLIENT];
	uint64_t end = span_end(&c->span);

	h->cut = (struct jeebs_cut){
		.to_server_end = span_end(&s->span),
		.to_client_end = end,
		.to_client_acked = h->acked < end ? h->acked : end,
		.client_fin = s->fin,
		.server_fin = c->fin,
		.nothing_more = !h->options.more_may_be_out,
		.flow = (struct jeebs_flow *)h,
		.log = log_view,
		.related_n = h->related_n,
		.related = h->related,
		.keys = h->keys,
		.crypto = h->keys ? h->crypto : NULL,
		.scratch = cut_scratch,
	};
	for (uint32_t i = 0; i < h->related_n; i++) {
		h->related[i] = h->relation[i].seen;
		h->related[i].cut.flow = (struct jeebs_flow *)(void *)&h->relation[i];
		h->related[i].cut.log = related_view;
		h->related[i].cut.scratch = related_scratch;
		h->related[i].cut.related = NULL;
		h->related[i].cut.related_n = 0;
	}
}

void harness_unseal(struct harness *h, struct jeebs_keys *keys,
		    const struct jeebs_crypto_ops *crypto)
{
	h->keys = keys;
	h->crypto = crypto;
	if (!JEEBS_HAS(h->module, unseal) || !h->module->unseal)
		return;
	harness_set_cut(h);
	h->logs_shown = true;
	int r = h->module->unseal(h->state, &h->cut);
	h->logs_shown = false;
	scratch_give_back();
	if (r != JEEBS_OK && r != JEEBS_GIVE_UP)
		harness_violation(h, "unseal returned what it may not");
	h->gave_up |= r == JEEBS_GIVE_UP;
}

void harness_plan(struct harness *h, struct jeebs_plan *ret)
{
	memset(ret, 0xff, sizeof *ret);
	harness_set_cut(h);
	h->logs_shown = true;
	h->module->plan(h->state, &h->cut, ret);
	h->logs_shown = false;
	scratch_give_back();
	if (ret->verdict == JEEBS_IF_KEYS && h->keys)
		harness_violation(h, "plan: the keys are there");
	if (ret->verdict != JEEBS_CONTINUE && ret->verdict != JEEBS_REFUSE &&
	    ret->verdict != JEEBS_IF_KEYS)
		harness_violation(h, "plan: no verdict");
	if (!memchr(ret->detail, 0, sizeof ret->detail))
		harness_violation(h, "plan: detail is not terminated");
	if (h->gave_up && ret->verdict != JEEBS_REFUSE)
		harness_violation(h, "plan: continues what was given up");
}
