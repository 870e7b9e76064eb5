/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-spill.h"

#include <errno.h>

#include "worker.h"

/* What one batch takes: copied by the worker while packets wait, about a millisecond. */
#define BATCH_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* Parts are forgotten so many bytes at a time while a log moves on. */
#define FORGET_BYTES ((uint64_t)4 * 1024 * 1024)

void worker_spill_init(struct worker_spill *s, const struct worker_config *cfg)
{
	/* Another worker's ids, and those of a process before, are others. */
	*s = (struct worker_spill){.cfg = cfg, .next_id = ((uint64_t)cfg->index << 48) + 1};
	store_batch_init(&s->batch, BATCH_MAX_BYTES, cfg->watch.track.max_flows + UINT16_MAX);
	list_init(&s->under_way);
}

void worker_spill_deinit(struct worker_spill *s)
{
	store_batch_deinit(&s->batch);
}

/* ---- what the store said -------------------------------------------------------------------- */

static void arrived(struct jeebs_flow *jf)
{
	struct watch_spill *sp = &jf->spill;

	watch_close_older(jf);
	sp->to = sp->sent;
	/* Who wants nothing any more must not be given what comes from here on. */
	if (sp->want < sp->to)
		track_keep_from(watch_track(jf->watch), jf->flow, FLOW_TO_SERVER, sp->to);
}

static void hear(struct worker_spill *s)
{
	uint64_t answer = store_spilled(s->cfg->store, s->cfg->index);

	if (!s->submitted || answer / 2 != s->number)
		return;
	s->submitted = false;
	list_for_each_safe (it, tmp, &s->under_way) {
		struct jeebs_flow *jf = list_entry(it, struct jeebs_flow, spill.under_way);
		list_del(it);
		if (answer % 2 == 0) {
			arrived(jf);
			continue;
		}
		jf->spill.sent = jf->spill.to;
		jf->spill.ended = true;
		s->refused++;
	}
}

/* ---- the next batch ------------------------------------------------------------------------- */

static int forget(struct worker_spill *s, struct jeebs_flow *jf, uint64_t before)
{
	int r = store_batch_forget(&s->batch, jf->spill.id, before);

	if (r == 0)
		watch_close_older(jf);
	return r;
}

/* What is no longer asked for. All of it, or so much that it is worth a change. */
static void let_go(struct worker_spill *s, struct jeebs_flow *jf)
{
	struct watch_spill *sp = &jf->spill;

	if (!sp->id || !list_empty(&sp->under_way))
		return;
	if (sp->want >= sp->to) {
		if (forget(s, jf, UINT64_MAX) == 0)
			sp->id = 0;
	} else if (sp->want > sp->from + FORGET_BYTES) {
		/* The part that has the first byte stays. */
		uint64_t before = sp->want - STORE_SPILL_BYTES;
		if (forget(s, jf, before) == 0)
			sp->from = sp->want;
	}
}

/* One part of the log at @off into the batch. False: no room. */
static bool put_part(struct worker_spill *s, struct jeebs_flow *jf, uint64_t off)
{
	struct bytes part[2] = {
		bytes_head(track_log(jf->flow, FLOW_TO_SERVER, off), STORE_SPILL_BYTES),
		BYTES_NONE};

	if (part[0].n < STORE_SPILL_BYTES)
		part[1] = bytes_head(track_log(jf->flow, FLOW_TO_SERVER, off + part[0].n),
				     STORE_SPILL_BYTES - part[0].n);
	return store_batch_spill(&s->batch, jf->spill.id, off, part) == 0;
}

/* Down to half of what it may have, in whole parts. */
static void spill(struct worker_spill *s, struct jeebs_flow *jf)
{
	const struct stream *st = &jf->flow->stream[FLOW_TO_SERVER];
	struct watch_spill *sp = &jf->spill;
	uint64_t rest = s->cfg->watch.spill_above / 2;

	if (sp->ended || st->next - st->keep <= s->cfg->watch.spill_above)
		return;
	if (sp->id && st->keep != sp->to) {
		/* A ceiling came first: what follows is not what comes behind. */
		sp->ended = true;
		return;
	}
	if (!sp->id) {
		sp->id = s->next_id++;
		sp->from = sp->to = sp->sent = st->keep;
	}
	while (st->next - sp->sent >= rest + STORE_SPILL_BYTES && put_part(s, jf, sp->sent))
		sp->sent += STORE_SPILL_BYTES;
	if (sp->sent > sp->to)
		list_add_tail(&s->under_way, &sp->under_way);
	else if (sp->from == sp->to)
		sp->id = 0;
}

static void fill(struct worker_spill *s, struct watch *w)
{
	list_for_each_safe (it, tmp, watch_long(w)) {
		struct jeebs_flow *jf = list_entry(it, struct jeebs_flow, spill.node);
		const struct stream *st = &jf->flow->stream[FLOW_TO_SERVER];
		let_go(s, jf);
		if (jf->spill.want < UINT64_MAX)
			spill(s, jf);
		/* It comes back when it is long again. */
		if (!jf->spill.id && st->next - st->keep <= s->cfg->watch.spill_above) {
			list_del(it);
			jf->spill.ended = false;
		}
	}
}

/* Whoever has read since the last time is through with it: room that is freed waits for it. */
static void close_views(struct watch *w)
{
	list_for_each (it, watch_long(w))
		watch_close_older(list_entry(it, struct jeebs_flow, spill.node));
}

void worker_spill_flush(struct worker_spill *s, struct watch *w, int64_t now_ns)
{
	if (!s->cfg->store || now_ns - s->flushed_ns < s->cfg->store_interval_ns)
		return;
	s->flushed_ns = now_ns;
	close_views(w);
	hear(s);
	if (s->submitted)
		return;
	/* Parts that found no place in the queue go first. */
	if (list_empty(&s->under_way))
		fill(s, w);
	if (!store_batch_empty(&s->batch) &&
	    store_submit_spill(s->cfg->store, &s->batch, s->cfg->index, s->number + 1) == 0) {
		s->number++;
		s->submitted = true;
	}
}

void worker_spill_closed(struct worker_spill *s, struct jeebs_flow *jf)
{
	list_del(&jf->spill.node);
	list_del(&jf->spill.under_way);
	if (jf->spill.id)
		store_batch_forget(&s->batch, jf->spill.id, UINT64_MAX);
	jf->spill.id = 0;
}

void worker_spill_older(const struct worker_spill *s, const struct jeebs_flow *jf,
			struct older *ret)
{
	const struct watch_spill *sp = &jf->spill;

	if (s->cfg->store && sp->id && sp->to > sp->from)
		store_view(s->cfg->store, sp->id, sp->from, sp->to, ret);
}
