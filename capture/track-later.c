/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is shown later than it was seen. Most connections are short, and nobody asks about one that
 * ends in time. So the beginning of a conversation may stay in the logs unread, with a note of each
 * piece; whoever wants to know is shown the pieces as if they came now.
 *
 * Nobody may see a difference. So this is for bytes that come in order, one piece behind the other:
 * before anything else happens to a flow (a gap, a hole, an old byte again, a ceiling) it is shown
 * what was put off, and nothing is put off any more.
 */
#include <stdlib.h>

#include "track-internal.h"

#define LATER_FLOWS  1024
#define LATER_PIECES 12

struct piece {
	int64_t time_ns;
	uint32_t n;
	uint8_t dir;
	bool fin; /* there are no bytes */
};

struct track_later {
	struct list node; /* in track.later: the oldest first */
	struct flow *flow;
	struct track_later *next_free;
	uint32_t bytes, count;
	struct piece v[LATER_PIECES];
};

void track_later_deinit(struct track *t)
{
	free(t->later_slots);
}

static struct flow *oldest(const struct track *t)
{
	return list_entry(t->later.next, struct track_later, node)->flow;
}

/* A place for one more flow. When all are taken, the oldest flow is shown what it has. */
static struct track_later *take_slot(struct track *t)
{
	struct track_later *l;

	if (!t->later_slots) {
		t->later_slots = calloc(LATER_FLOWS, sizeof *t->later_slots);
		if (!t->later_slots)
			return NULL;
	}
	if (!t->later_free && t->later_used == LATER_FLOWS)
		track_catch_up(t, oldest(t));
	l = t->later_free;
	if (l)
		t->later_free = l->next_free;
	else
		l = &t->later_slots[t->later_used++];
	l->bytes = l->count = 0;
	list_init(&l->node);
	list_add_tail(&t->later, &l->node);
	return l;
}

void track_later_free(struct track *t, struct flow *f)
{
	struct track_later *l = f->later;

	if (!l)
		return;
	f->later = NULL;
	list_del(&l->node);
	l->next_free = t->later_free;
	t->later_free = l;
}

void track_put_off(struct flow *f)
{
	f->put_off = true;
}

/* Whether nothing of it was shown before, and nothing is missing, in doubt, or further than that.
 */
static bool is_fresh(const struct flow *f, enum flow_dir d)
{
	const struct stream *s = &f->stream[d];

	return f->syn[d].seen && s->next == 0 && s->high == s->shown && s->range_count == 0 &&
	       s->doubt_to == 0 && f->acked[d] == 0;
}

static bool is_plain(const struct track *t, const struct flow *f)
{
	return is_fresh(f, FLOW_TO_SERVER) && is_fresh(f, FLOW_TO_CLIENT) && !f->waiting &&
	       !f->fin_seen[0] && !f->fin_seen[1] && !track_memory_is_short(t);
}

static bool begin(struct track *t, struct flow *f)
{
	if (f->later)
		return true;
	if (!is_plain(t, f) || !(f->later = take_slot(t)))
		return false;
	f->later->flow = f;
	f->keep_asked[0] = f->keep_asked[1] = 0;
	return true;
}

static bool note(struct track *t, struct flow *f, const struct piece *p)
{
	if (!begin(t, f) || f->later->count == LATER_PIECES ||
	    p->n > TRACK_LATER_BYTES - f->later->bytes)
		return false;
	f->later->bytes += p->n;
	f->later->v[f->later->count++] = *p;
	return true;
}

bool track_put_off_data(struct track *t, struct flow *f, enum flow_dir d, size_t n)
{
	const struct piece p = {.time_ns = f->last_ns[d], .n = (uint32_t)n, .dir = (uint8_t)d};

	if (n <= TRACK_LATER_BYTES && note(t, f, &p)) {
		if (stream_make_room(&f->stream[d], &t->pool))
			return true;
		f->later->count--;
	}
	track_catch_up(t, f);
	return false;
}

bool track_put_off_fin(struct track *t, struct flow *f, enum flow_dir d)
{
	const struct piece p = {.time_ns = f->last_ns[d], .dir = (uint8_t)d, .fin = true};

	if (f->later && note(t, f, &p))
		return true;
	track_catch_up(t, f);
	return false;
}

/* Shows the bytes at @from, which are in one block of the log or several. */
static void show_bytes(struct track *t, struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
{
	struct stream *s = &f->stream[d];

	while (from < to) {
		struct bytes b = stream_kept(s, from, to);
		f->log_end[d] = from;
		s->shown = from + b.n;
		t->sink.data(t->ctx, f, d, from, b);
		from += b.n;
	}
	f->log_end[d] = to;
}

static void show_pieces(struct track *t, struct flow *f, const struct track_later *l)
{
	for (uint32_t i = 0; i < l->count; i++) {
		const struct piece *p = &l->v[i];
		const enum flow_dir d = (enum flow_dir)p->dir;
		const uint64_t at = f->log_end[d];

		f->last_ns[d] = p->time_ns;
		if (!p->fin)
			show_bytes(t, f, d, at, at + p->n);
		else if (t->sink.fin)
			t->sink.fin(t->ctx, f, d, at);
	}
}

void track_catch_up(struct track *t, struct flow *f)
{
	struct track_later *l = f->later;
	uint64_t shown[2];
	int64_t last_ns[2];

	track_pass_end(t, f);
	f->put_off = false;
	if (!l)
		return;
	f->later = NULL; /* what is said from here on is shown at once */
	for (int d = 0; d < 2; d++) {
		shown[d] = f->stream[d].shown;
		last_ns[d] = f->last_ns[d];
		f->keep_asked[d] = TRACK_KEEP_NOTHING;
		f->stream[d].shown = f->log_end[d] = 0;
	}
	show_pieces(t, f, l);
	for (int d = 0; d < 2; d++) {
		f->last_ns[d] = last_ns[d];
		f->log_end[d] = UINT64_MAX;
		f->stream[d].shown = f->stream[d].next;
		track_apply_keep(t, f, (enum flow_dir)d);
		f->stream[d].shown = shown[d]; /* beyond next, if a piece is about to be shown */
	}
	f->later = l;
	track_later_free(t, f);
}

void track_later_expire(struct track *t)
{
	while (!list_empty(&t->later)) {
		const struct track_later *l = oldest(t)->later;
		if (t->now_ns - l->v[0].time_ns < TRACK_LATER_NS && !track_memory_is_short(t))
			return;
		track_catch_up(t, oldest(t));
	}
}
