/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-spill.h"

#include <errno.h>

#include "watch/spill.h"
#include "worker.h"

/* Ceiling of one batch. The worker copies it while packets wait, about a millisecond. */
#define BATCH_MAX_BYTES ((size_t)4 * 1024 * 1024)
/* While a log moves on, parts are deleted in steps of this size. */
#define FORGET_BYTES ((uint64_t)4 * 1024 * 1024)

void worker_spill_init(struct worker_spill *s, const struct worker_config *cfg)
{
	/* Ids are unique among workers. Parts of an earlier process are deleted at start. */
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
	const struct spill_part *sp = spill_of(jf);

	watch_close_spilled(jf);
	spill_arrived(jf);
	/* The module may have stopped wanting the log meanwhile. What it does not want is not
	 * kept. */
	if (sp->want < sp->to)
		track_keep_from(watch_track(jf->watch), jf->flow, FLOW_TO_SERVER, sp->to);
}

static void hear(struct worker_spill *s)
{
	uint64_t answer = store_spilled(s->cfg->store, s->cfg->index);

	if (!s->submitted || answer / 2 != s->number)
		return;
	s->submitted = false;
	for (struct jeebs_flow *jf; (jf = spill_pop(&s->under_way));) {
		if (answer % 2 == 0) {
			arrived(jf);
			continue;
		}
		spill_refused(jf);
		s->refused++;
	}
}

/* ---- the next batch ------------------------------------------------------------------------- */

static int forget(struct worker_spill *s, struct jeebs_flow *jf, uint64_t before)
{
	int r = store_batch_forget(&s->batch, spill_of(jf)->id, before);

	if (r == 0)
		watch_close_spilled(jf);
	return r;
}

/*
 * Deletes from the store what the module does not want any more: everything, or at least
 * FORGET_BYTES.
 */
static void let_go(struct worker_spill *s, struct jeebs_flow *jf)
{
	const struct spill_part *sp = spill_of(jf);

	if (!sp->id || spill_is_under_way(jf))
		return;
	if (sp->want >= sp->to) {
		if (forget(s, jf, UINT64_MAX) == 0)
			spill_forget(jf);
	} else if (sp->want > sp->from + FORGET_BYTES) {
		/* The part that contains the byte at `want` stays. */
		uint64_t before = sp->want - STORE_SPILL_BYTES;
		if (forget(s, jf, before) == 0)
			spill_forget_before(jf, sp->want);
	}
}

/* Adds the part of the log at @off to the batch. Returns false when there is no room. */
static bool put_part(struct worker_spill *s, struct jeebs_flow *jf, uint64_t off)
{
	const struct span log = track_span(jf->flow, FLOW_TO_SERVER);

	return store_batch_spill(&s->batch, spill_of(jf)->id, &log, off, STORE_SPILL_BYTES) == 0;
}

/* Moves whole parts of the log to the store, until half of the allowed length is left. */
static void spill(struct worker_spill *s, struct jeebs_flow *jf)
{
	const struct stream *st = &jf->flow->stream[FLOW_TO_SERVER];
	const struct spill_part *sp = spill_of(jf);
	uint64_t rest = s->cfg->watch.spill_above / 2;

	if (sp->ended || st->next - st->keep <= s->cfg->watch.spill_above)
		return;
	if (sp->id && st->keep != sp->to) {
		/* The stream dropped bytes at a ceiling of its own. The log would have a hole,
		 * so it ends here. */
		spill_end(jf);
		return;
	}
	if (!sp->id)
		spill_begin(jf, s->next_id++, st->keep);
	while (st->next - sp->sent >= rest + STORE_SPILL_BYTES && put_part(s, jf, sp->sent))
		spill_sent(jf, STORE_SPILL_BYTES);
	if (sp->sent > sp->to)
		spill_set_off(jf, &s->under_way);
	else if (sp->from == sp->to)
		spill_forget(jf);
}

static void fill(struct worker_spill *s, struct watch *w)
{
	for (struct jeebs_flow *jf = spill_next_long(w, NULL), *next; jf; jf = next) {
		const struct stream *st = &jf->flow->stream[FLOW_TO_SERVER];

		next = spill_next_long(w, jf);
		let_go(s, jf);
		if (spill_of(jf)->want < UINT64_MAX)
			spill(s, jf);
		/* It joins the list again when it is long again. */
		if (!spill_of(jf)->id && st->next - st->keep <= s->cfg->watch.spill_above)
			spill_leave_long(jf);
	}
}

/*
 * Closes the views opened since the last flush; their readers have finished. Freed room can be
 * reused only when no view is open.
 */
static void close_views(struct watch *w)
{
	for (struct jeebs_flow *jf = NULL; (jf = spill_next_long(w, jf));)
		watch_close_spilled(jf);
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
	/* If the store's queue was full, the batch that is still there goes first. */
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
	if (spill_of(jf)->id)
		store_batch_forget(&s->batch, spill_of(jf)->id, UINT64_MAX);
	spill_forget(jf);
}

void worker_spill_open(const struct worker_spill *s, const struct jeebs_flow *jf,
		       struct spilled *ret)
{
	const struct spill_part *sp = spill_of(jf);

	if (s->cfg->store && sp->id && sp->to > sp->from)
		store_view(s->cfg->store, sp->id, sp->from, sp->to, ret);
}
