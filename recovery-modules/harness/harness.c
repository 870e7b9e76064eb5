/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "harness-join.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

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
	if (off < l->base || off - l->base >= l->bytes.n)
		return (struct jeebs_bytes){NULL, 0};
	size_t at = (size_t)(off - l->base), n = l->bytes.n - at;
	/* Views end at fixed offsets, as in a circular buffer. */
	if (h->options.view_max && n > h->options.view_max - off % h->options.view_max)
		n = h->options.view_max - (size_t)(off % h->options.view_max);
	return (struct jeebs_bytes){l->bytes.p + at, n};
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

static void log_keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness *h = (struct harness *)f;
	struct harness_log *l = &h->log[dir & 1];

	uint64_t end = dir == h->dir ? h->end : l->next;

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

	return off >= l->base && off <= (dir == h->dir ? h->end : l->next);
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

static const struct jeebs_live_ops live_ops = {
	.keep_from = log_keep_from,
	.log = log_view,
	.expect = log_expect,
	.hand_over = log_hand_over,
};

/* Drops what the module did not ask for. */
static void log_trim(struct harness_log *l)
{
	uint64_t need = l->kept ? l->keep : l->next;

	if (need <= l->base)
		return;
	uint64_t drop = need - l->base;
	buf_consume(&l->bytes, drop < l->bytes.n ? (size_t)drop : l->bytes.n);
	l->base = need;
}

/* Drops the whole log, which goes on at @next. */
static void log_lose(struct harness_log *l, uint64_t next)
{
	buf_reset(&l->bytes);
	l->base = l->next = next;
}

static void log_append(struct harness_log *l, struct bytes b)
{
	uint64_t off = l->next, need = l->kept ? l->keep : off + b.n;

	l->next = off + b.n;
	log_trim(l);
	if (need > off)
		b = bytes_from(b, (size_t)(need - off));
	if (buf_bytes(&l->bytes, b) < 0)
		log_lose(l, l->next);
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
	if (r != JEEBS_OK && r != JEEBS_GIVE_UP && (r != JEEBS_HAND_OVER || !h->handed_over))
		harness_violation(h, "a live callback returned what it may not");
	else if (h->handed_over && r != JEEBS_HAND_OVER)
		harness_violation(h, "a live callback handed over and goes on");
	if (r == JEEBS_OK)
		return;
	h->gave_up = true;
	for (int i = 0; i < 2; i++)
		log_lose(&h->log[i], h->log[i].next);
}

static int open_state(struct harness *h)
{
	static const struct jeebs_service defaults = {.protocol = "harness", .retain = 1 << 20};

	memset(h->state, 0, h->module->state_size);
	live_begin(h, JEEBS_TO_SERVER, h->log[JEEBS_TO_SERVER].next);
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
	if (h->options.output_max == 0)
		h->options.output_max = DEFAULT_OUTPUT_MAX;
	h->module = m;
	h->acked = UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		struct harness_log *l = &h->log[i];
		l->bytes = BUF_INIT(h->options.log_max);
		l->base = l->next = h->options.service ? h->options.service->begin[i] : 0;
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

/* Sets the log to the bytes @b, whose last one is before offset @end. */
static int log_set(struct harness_log *l, struct bytes b, uint64_t end, bool fin)
{
	int r = buf_bytes(&l->bytes, b) < 0 ? -ENOMEM : 0;

	l->next = l->keep = end;
	l->base = end - l->bytes.n;
	l->fin = fin;
	return r;
}

static int logs_set(struct harness_log log[static 2], const struct bytes b[static 2],
		    const struct jeebs_cut *cut)
{
	int s = log_set(&log[JEEBS_TO_SERVER], b[JEEBS_TO_SERVER], cut->to_server_end,
			cut->client_fin);
	int c = log_set(&log[JEEBS_TO_CLIENT], b[JEEBS_TO_CLIENT], cut->to_client_end,
			cut->server_fin);

	return s < 0 ? s : c;
}

int harness_init_cut(struct harness *h, const struct jeebs_module *m,
		     const struct harness_options *options, void *state,
		     const struct jeebs_cut *cut, const struct bytes log[static 2])
{
	init(h, m, options);
	h->state = state;
	h->acked = cut->to_client_acked;
	return logs_set(h->log, log, cut);
}

int harness_relate(struct harness *h, const struct jeebs_related *r,
		   const struct bytes log[static 2])
{
	if (h->related_n == JEEBS_EXPECT_MAX)
		return -ENOSPC;
	struct harness_relation *rel = &h->relation[h->related_n++];
	*rel = (struct harness_relation){.h = h, .seen = *r};
	for (int i = 0; i < 2; i++)
		rel->log[i].bytes = BUF_INIT(h->options.log_max);
	return logs_set(rel->log, log, &r->cut);
}

int harness_relate_live(struct harness *h, const struct jeebs_related *r,
			const struct harness *companion)
{
	const struct harness_log *s = &companion->log[JEEBS_TO_SERVER],
				 *c = &companion->log[JEEBS_TO_CLIENT];
	struct jeebs_related seen = *r;
	const struct bytes log[2] = {buf_view(&s->bytes), buf_view(&c->bytes)};

	seen.cut.to_server_end = s->next;
	seen.cut.to_client_end = seen.cut.to_client_acked = c->next;
	seen.cut.client_fin = s->fin;
	seen.cut.server_fin = c->fin;
	seen.state = companion->gave_up ? NULL : companion->state;
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
			buf_deinit(&h->relation[i].log[d].bytes);
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
		buf_deinit(&h->log[i].bytes);
	buf_deinit(&h->client);
	buf_deinit(&h->backend);
}

void harness_data(struct harness *h, uint32_t dir, struct bytes b)
{
	struct harness_log *l = &h->log[dir];

	while (b.n > 0) {
		struct bytes part = bytes_head(b, harness_chunk(h, &h->options.live, b.n));
		b = bytes_from(b, part.n);
		if (h->gave_up) {
			log_lose(l, l->next + part.n);
			continue;
		}
		live_begin(h, dir, l->next + part.n);
		int r = h->module->data(h->state, dir, l->next,
					(struct jeebs_bytes){part.p, part.n}, h->now_ns);
		log_append(l, part);
		/* The module may have released bytes of the other direction. */
		log_trim(&h->log[!dir]);
		live_end(h, r);
	}
}

void harness_gap(struct harness *h, uint32_t dir, uint64_t n)
{
	struct harness_log *l = &h->log[dir];
	uint64_t from = l->next;

	log_lose(l, from + n);
	if (h->gave_up)
		return;
	live_begin(h, dir, l->next);
	live_end(h, h->module->gap(h->state, dir, from, from + n));
}

void harness_fin(struct harness *h, uint32_t dir)
{
	h->log[dir].fin = true;
	if (h->gave_up)
		return;
	live_begin(h, dir, h->log[dir].next);
	live_end(h, h->module->fin(h->state, dir, h->log[dir].next));
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

	h->cut = (struct jeebs_cut){
		.to_server_end = s->next,
		.to_client_end = c->next,
		.to_client_acked = h->acked < c->next ? h->acked : c->next,
		.client_fin = s->fin,
		.server_fin = c->fin,
		.flow = (struct jeebs_flow *)h,
		.log = log_view,
		.related_n = h->related_n,
		.related = h->related,
	};
	for (uint32_t i = 0; i < h->related_n; i++) {
		h->related[i] = h->relation[i].seen;
		h->related[i].cut.flow = (struct jeebs_flow *)(void *)&h->relation[i];
		h->related[i].cut.log = related_view;
		h->related[i].cut.related = NULL;
		h->related[i].cut.related_n = 0;
	}
}

void harness_plan(struct harness *h, struct jeebs_plan *ret)
{
	memset(ret, 0xff, sizeof *ret);
	harness_set_cut(h);
	h->logs_shown = true;
	h->module->plan(h->state, &h->cut, ret);
	h->logs_shown = false;
	if (ret->verdict != JEEBS_CONTINUE && ret->verdict != JEEBS_REFUSE)
		harness_violation(h, "plan: no verdict");
	if (!memchr(ret->detail, 0, sizeof ret->detail))
		harness_violation(h, "plan: detail is not terminated");
	if (h->gave_up && ret->verdict != JEEBS_REFUSE)
		harness_violation(h, "plan: continues what was given up");
}
