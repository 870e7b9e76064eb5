/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What is seen before its cause. Two capture interfaces, or two queues of one, may show one
 * direction later than the other: the answer before the question. A segment says by its ACK
 * what its sender had received, so its bytes (and its FIN) are shown behind that. Until then they
 * are held like bytes beyond a hole, in the same buffer and for as long at most.
 */
#include <errno.h>
#include <stdlib.h>

#include "track-internal.h"

#define NEEDS_FIRST 8
/* Ceiling of the entries. Each is an exchange ahead of the other direction. It allows 8 in each
 * millisecond of the longest wait. */
#define NEEDS_MAX 4096

static bool half_shaken(const struct flow *f)
{
	return f->syn[0].seen != f->syn[1].seen && !f->half_alone;
}

/*
 * The direction has shown nothing since bytes of it were given up, so it is not waited for again.
 */
static bool is_silent(const struct stream *s)
{
	return s->next > 0 && s->gap_end == s->next;
}

/* Whether some of the first @need bytes of direction @a, with its FIN, have not been shown yet. */
static bool is_due(const struct flow *f, enum flow_dir a, uint64_t need)
{
	const struct stream *s = &f->stream[a];

	return need > s->next && !is_silent(s) && !(f->fin_seen[a] && s->next == f->fin_off[a]);
}

uint64_t track_showable(const struct flow *f, enum flow_dir d)
{
	const struct flow_needs *n = f->needs[d];
	uint64_t next = f->stream[d].next;

	if (half_shaken(f))
		return next;
	for (uint32_t i = n ? n->first : 0; n && i < n->end; i++) {
		bool passed = i + 1 < n->end && n->v[i + 1].from <= next;
		if (!passed && is_due(f, flow_other(d), n->v[i].need))
			return n->v[i].from > next ? n->v[i].from : next;
	}
	return UINT64_MAX;
}

static bool waits(const struct flow *f, enum flow_dir d)
{
	return track_showable(f, d) <= f->stream[d].next;
}

bool track_waits(const struct flow *f, enum flow_dir d, uint64_t need)
{
	if (f->probe_wanted ||
	    flow_is_opaque(f)) /* no cause can come any more, or no module watches the bytes */
		return false;
	return is_due(f, flow_other(d), need) || waits(f, d);
}

static size_t size_of(uint32_t room)
{
	return sizeof(struct flow_needs) + room * sizeof(struct flow_need);
}

static struct flow_needs *resize(struct pool *pool, struct flow_needs *n, uint32_t room)
{
	size_t more = size_of(room) - (n ? size_of(n->room) : 0);

	if (!pool_claim(pool, more))
		return NULL;
	struct flow_needs *bigger = realloc(n, size_of(room));
	if (!bigger) {
		pool_unclaim(pool, more);
		return NULL;
	}
	if (!n)
		bigger->first = bigger->end = 0;
	bigger->room = room;
	return bigger;
}

void track_needs_free(struct track *t, struct flow *f, enum flow_dir d)
{
	if (f->needs[d])
		pool_unclaim(&t->pool, size_of(f->needs[d]->room));
	free(f->needs[d]);
	f->needs[d] = NULL;
}

static bool make_room(struct track *t, struct flow *f, enum flow_dir d)
{
	struct flow_needs *n = f->needs[d];
	uint32_t room = n ? n->room : 0;

	if (n && n->end < room)
		return true;
	if (n && n->first > room / 2) {
		memmove(n->v, n->v + n->first, (n->end - n->first) * sizeof n->v[0]);
		n->end -= n->first;
		n->first = 0;
		return true;
	}
	if (room == NEEDS_MAX)
		return false;
	n = resize(&t->pool, n, room ? room * 2 : NEEDS_FIRST);
	if (!n)
		return false;
	f->needs[d] = n;
	return true;
}

bool track_need(struct track *t, struct flow *f, enum flow_dir d, uint64_t from, uint64_t need)
{
	if (!is_due(f, flow_other(d), need))
		return true;
	if (!make_room(t, f, d)) {
		t->stats.wait_refused[d]++;
		return false;
	}

	struct flow_needs *n = f->needs[d];
	uint32_t i = n->end;
	while (i > n->first && n->v[i - 1].from > from)
		i--;
	if (i > n->first && n->v[i - 1].need >= need)
		return true; /* the entry before it also covers what follows */
	memmove(&n->v[i + 1], &n->v[i], (n->end - i) * sizeof n->v[0]);
	n->v[i] = (struct flow_need){from, need};
	n->end++;
	f->waiting = true;
	return true;
}

/* Drops the entries at the front that hold nothing back any more. */
static void drop_met(struct track *t, struct flow *f, enum flow_dir d)
{
	struct flow_needs *n = f->needs[d];

	while (n && n->first < n->end &&
	       ((n->first + 1 < n->end && n->v[n->first + 1].from <= f->stream[d].next) ||
		!is_due(f, flow_other(d), n->v[n->first].need)))
		n->first++;
	if (n && n->first == n->end)
		track_needs_free(t, f, d);
}

/* Whether anything waits. */
static bool holds_back(const struct flow *f, enum flow_dir d)
{
	const struct stream *s = &f->stream[d];
	bool bytes = s->range_count > 0 && stream_first_held(s) == s->next;
	bool fin = f->fin_seen[d] && !f->fin_shown[d] && f->fin_off[d] == s->next;

	return (bytes || fin) && waits(f, d);
}

static bool show_what_may(struct track *t, struct flow *f, enum flow_dir d)
{
	uint64_t next = f->stream[d].next;
	bool fin = f->fin_shown[d];

	track_show_held(t, f, d);
	track_show_fin(t, f, d);
	if (f->stream[d].next == next && f->fin_shown[d] == fin)
		return false;
	f->wait_since_ns[d] = f->hole_since_ns[d] = 0; /* next has moved */
	drop_met(t, f, d);
	track_note_hole(t, f, d);
	return true;
}

static void note_waits(const struct track *t, struct flow *f)
{
	for (int d = 0; d < 2; d++)
		if (!holds_back(f, (enum flow_dir)d))
			f->wait_since_ns[d] = 0;
		else if (!f->wait_since_ns[d])
			f->wait_since_ns[d] = t->now_ns ? t->now_ns : 1;
}

static bool drop_need(struct track *t, struct flow *f, enum flow_dir d)
{
	drop_met(t, f, d);
	if (!f->needs[d])
		return false;
	f->needs[d]->first++;
	return true;
}

/*
 * Resolves a deadlock: each direction waits for the other, and both have bytes. The first copy of
 * one segment was not captured. Its second copy, sent later, has a newer ACK.
 */
static bool untangle(struct track *t, struct flow *f)
{
	const int64_t *since = f->wait_since_ns;

	return since[0] && since[1] && !half_shaken(f) &&
	       drop_need(t, f, since[0] > since[1] ? FLOW_TO_SERVER : FLOW_TO_CLIENT);
}

void track_release(struct track *t, struct flow *f)
{
	bool moved = true;

	while (moved) {
		moved = false;
		for (int d = 0; d < 2; d++)
			if (f->wait_since_ns[d] || stream_holds_next(&f->stream[d]))
				moved |= show_what_may(t, f, (enum flow_dir)d);
		note_waits(t, f);
		moved = moved || untangle(t, f);
	}
	drop_met(t, f, FLOW_TO_SERVER);
	drop_met(t, f, FLOW_TO_CLIENT);
	f->waiting = f->needs[0] || f->needs[1] || f->wait_since_ns[0] || f->wait_since_ns[1];
	track_list_hole(t, f);
}

bool track_stop_waiting(struct track *t, struct flow *f, enum flow_dir d)
{
	if (half_shaken(f))
		f->half_alone = true;
	else if (!track_declare_gap(t, f, flow_other(d)) && !drop_need(t, f, d))
		return false;
	track_release(t, f);
	return true;
}

/* Gives up what @d waits for, until some of @d was shown. Returns false when nothing waits. */
static bool show_next(struct track *t, struct flow *f, enum flow_dir d)
{
	uint64_t next = f->stream[d].next;
	bool fin = f->fin_shown[d];

	while (f->stream[d].next == next && f->fin_shown[d] == fin)
		if (!holds_back(f, d) || !track_stop_waiting(t, f, d))
			return false;
	return true;
}

bool track_expire_waits(struct track *t, struct flow *f, int64_t age_ns)
{
	bool any = false;

	for (int d = 0; d < 2; d++) {
		if (!f->wait_since_ns[d] || t->now_ns - f->wait_since_ns[d] < age_ns)
			continue;
		if (show_next(t, f, (enum flow_dir)d))
			any = true;
		else
			f->wait_since_ns[d] = 0;
	}
	return any;
}

int track_clone_needs(struct track *t, struct flow *to, const struct flow *f)
{
	for (int d = 0; d < 2; d++) {
		const struct flow_needs *n = f->needs[d];
		if (!n)
			continue;
		to->needs[d] = resize(&t->pool, NULL, n->room);
		if (!to->needs[d])
			return -ENOMEM;
		memcpy(to->needs[d], n, size_of(n->end));
	}
	return 0;
}
