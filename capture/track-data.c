/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "track-internal.h"

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

static uint64_t max_u64(uint64_t a, uint64_t b)
{
	return a > b ? a : b;
}

static void remember_acked_byte(struct flow *f)
{
	uint64_t acked = f->acked[FLOW_TO_CLIENT];

	if (acked == 0 || acked == f->acked_byte_end)
		return;
	struct bytes b = stream_view(&f->stream[FLOW_TO_CLIENT], acked - 1);
	if (b.n > 0) {
		f->acked_byte = b.p[0];
		f->acked_byte_end = acked;
	} else if (f->pass && track_pass_acked_byte(f, &f->acked_byte)) {
		f->acked_byte_end = acked;
	}
}

void track_apply_keep(struct track *t, struct flow *f, enum flow_dir d)
{
	uint64_t from = f->keep_asked[d];

	if (d == FLOW_TO_CLIENT) {
		from = min_u64(from, f->acked[d]);
		remember_acked_byte(f);
	}
	stream_keep_from(&f->stream[d], &t->pool, from);
	if (f->pass)
		track_pass_keep(t, f);
}

void track_keep_from(struct track *t, struct flow *f, enum flow_dir dir, uint64_t off)
{
	uint64_t asked = f->keep_asked[dir];

	if (off != TRACK_KEEP_NOTHING) {
		off = min_u64(off, f->stream[dir].shown);
		if (asked != TRACK_KEEP_NOTHING)
			off = max_u64(off, asked);
	}
	/* Another exchange begins. If the client has all that the server said before, a doubt
	 * about those bytes is over. */
	if (dir == FLOW_TO_SERVER && off != TRACK_KEEP_NOTHING && asked != TRACK_KEEP_NOTHING &&
	    off > asked && f->stream[FLOW_TO_CLIENT].doubt_to <= f->acked[FLOW_TO_CLIENT])
		f->stream[FLOW_TO_CLIENT].doubt_to = 0;
	f->keep_asked[dir] = off;
	/* The bytes being shown may be in the buffer. show() releases them after the callback. */
	if (f->log_end[dir] == UINT64_MAX)
		track_apply_keep(t, f, dir);
}

struct bytes track_log(const struct flow *f, enum flow_dir dir, uint64_t off)
{
	if (off >= f->log_end[dir])
		return BYTES_NONE;
	return bytes_head(stream_view(&f->stream[dir], off), (size_t)(f->log_end[dir] - off));
}

struct span track_span(const struct flow *f, enum flow_dir dir)
{
	return stream_span(&f->stream[dir]);
}

static void show(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	if (f->put_off && track_put_off_data(t, f, d, b.n))
		return;
	do {
		f->log_end[d] = off;
		if (t->sink.data)
			t->sink.data(t->ctx, f, d, off, b);
		f->log_end[d] = UINT64_MAX;
		/* It may have put them off. If that cannot be, they are shown again now. */
	} while (f->put_off && !track_put_off_data(t, f, d, b.n));
	track_apply_keep(t, f, d);
}

void track_show_held(struct track *t, struct flow *f, enum flow_dir d)
{
	uint64_t off;
	struct bytes b;

	if (f->stream[d].range_count == 0)
		return;
	while ((b = stream_next_held(&f->stream[d], track_showable(f, d), &off)).n > 0)
		show(t, f, d, off, b);
}

void track_commit(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b,
		  struct loans *loans)
{
	uint64_t lost_from;

	if (stream_commit(&f->stream[d], &t->pool, loans, off, b, &lost_from) == STREAM_E_CEILING) {
		t->stats.buffer_refused += f->stream[d].keep - lost_from;
		track_mark(t, f, FLOW_MARK_LOG_CEILING, 0);
	}
}

void track_show(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b,
		struct loans *loans)
{
	show(t, f, d, off, b);
	track_commit(t, f, d, off, b, loans);
}

void track_show_fin(struct track *t, struct flow *f, enum flow_dir d)
{
	if (!f->fin_seen[d] || f->fin_shown[d] || f->stream[d].next != f->fin_off[d])
		return;
	if (track_waits(f, d, 0)) {
		f->waiting = true;
		return;
	}
	track_pass_end_before_fin(t, f);
	f->fin_shown[d] = true;
	if (f->put_off && track_put_off_fin(t, f, d))
		return;
	if (t->sink.fin && !flow_is_opaque(f))
		t->sink.fin(t->ctx, f, d, f->fin_off[d]);
}

struct push {
	uint64_t off, need;
	struct bytes b;
	/* The part that is new and in order. */
	uint64_t new_off;
	struct bytes new;
};

/* Holds the bytes until their cause was seen. STREAM_E_CEILING: there was no room, so waiting
 * for the cause was given up. */
static enum stream_outcome keep_back(struct track *t, struct flow *f, enum flow_dir d,
				     const struct push *p)
{
	uint64_t from = max_u64(p->off, f->stream[d].next);
	enum stream_outcome o = stream_hold(&f->stream[d], &t->pool, p->off, p->b);

	f->waiting = true;
	if (o == STREAM_HELD)
		t->stats.waited[d]++;
	if (o == STREAM_DUPLICATE || (o == STREAM_HELD && track_need(t, f, d, from, p->need)))
		return o;
	if (o == STREAM_E_CEILING)
		t->stats.wait_refused[d]++;
	/* The missing bytes count as lost then. */
	while (track_stop_waiting(t, f, d) && track_waits(f, d, p->need))
		;
	return o == STREAM_HELD ? o : STREAM_E_CEILING;
}

static enum stream_outcome push_or_hold(struct track *t, struct flow *f, enum flow_dir d,
					struct push *p)
{
	struct stream *s = &f->stream[d];

	if (stream_holds_next(s) ||
	    (!track_nothing_waits(f, d, p->need) && track_waits(f, d, p->need))) {
		enum stream_outcome o = keep_back(t, f, d, p);
		if (o != STREAM_E_CEILING || stream_holds_next(s))
			return o;
	}
	enum stream_outcome o = stream_push(s, &t->pool, p->off, p->b, &p->new_off, &p->new);
	if (o == STREAM_HELD) {
		(void)track_need(t, f, d, p->off, p->need); /* without room it does not wait */
		t->stats.out_of_order[d]++;
	}
	return o;
}

/* A keep-alive may carry one meaningless byte (RFC 9293 section 3.8.4). */
static bool may_be_keep_alive(const struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	return b.n == 1 && off + 1 == f->stream[d].next && f->acked[d] >= off + 1;
}

/* Pushes all captured bytes of a segment. The loop repeats only when held ranges were in
 * between. */
static bool push(struct track *t, struct flow *f, enum flow_dir d, struct push *p)
{
	const uint64_t off = p->off;
	const struct bytes b = p->b;
	enum stream_outcome o;
	bool advanced = false;

	while ((o = push_or_hold(t, f, d, p)) == STREAM_ADVANCED) {
		track_show(t, f, d, p->new_off, p->new, &t->loans);
		track_show_held(t, f, d);
		advanced = true;
	}
	switch (o) {
	case STREAM_HELD:
		break;
	case STREAM_E_CEILING:
		t->stats.buffer_refused += b.n;
		break;
	case STREAM_DUPLICATE:
		if (advanced)
			break;
		if (may_be_keep_alive(f, d, off, b))
			break;
		f->retransmits[d]++;
		t->stats.retransmits[d]++;
		break;
	case STREAM_ADVANCED:
		break;
	}
	return advanced;
}

/* Follows only the position of a flow whose bytes are not watched. */
static bool skip(struct flow *f, enum flow_dir d, uint64_t end)
{
	struct stream *s = &f->stream[d];

	if (end <= s->next)
		return false;
	s->next = s->keep = s->shown = s->high = end;
	return true;
}

/*
 * Compares bytes with their first copy. If they differ, nobody knows which copy the receiver took.
 * An ACK of the first copy does not tell: whoever forges a segment that is dropped can also forge
 * its ACK.
 */
static void compare(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	struct stream *s = &f->stream[d];
	uint64_t from, to;

	if (may_be_keep_alive(f, d, off, b) || stream_agrees(s, off, b, &from, &to))
		return;
	t->stats.ambiguous[d]++;
	s->doubt_from = s->doubt_to ? min_u64(s->doubt_from, from) : from;
	s->doubt_to = max_u64(s->doubt_to, to);
	track_mark(t, f,
		   d == FLOW_TO_SERVER ? FLOW_MARK_AMBIGUOUS_TO_SERVER
				       : FLOW_MARK_AMBIGUOUS_TO_CLIENT,
		   0);
}

/* Whether the bytes come in order, behind all that was said. Nearly always. */
static bool comes_next(const struct flow *f, enum flow_dir d, const struct push *p, uint64_t end)
{
	const struct stream *s = &f->stream[d];

	return p->off == s->next && p->off == s->high && end - p->off == p->b.n &&
	       track_nothing_waits(f, d, p->need);
}

/* Whether the bytes pass unread. */
static bool passes(struct track *t, struct flow *f, enum flow_dir d, const struct push *p,
		   uint64_t end)
{
	if (p->b.n > 0 && comes_next(f, d, p, end) && track_pass_data(t, f, d, p->off, p->b))
		return true;
	/* The last segment often comes twice, before its ACK (RFC 8985 section 7). */
	bool old = end <= f->stream[d].next && end - p->off == p->b.n;
	if (!old || !track_pass_agrees(t, f, d, p->off, p->b))
		track_pass_end_before_data(t, f, d);
	return false;
}

bool track_data(struct track *t, struct flow *f, enum flow_dir d, int64_t off, uint32_t wire_len,
		struct bytes b, uint64_t need)
{
	if (wire_len > b.n)
		track_mark(t, f, FLOW_MARK_TRUNCATED, 0);
	if (off < 0) {
		b = bytes_from(b, (size_t)-off);
		wire_len = (uint64_t)-off < wire_len ? (uint32_t)(wire_len + off) : 0;
		off = 0;
	}

	uint64_t from = (uint64_t)off, end = from + wire_len;
	if (f->fin_seen[d]) {
		end = min_u64(end, f->fin_off[d]);
		b = end > from ? bytes_head(b, (size_t)(end - from)) : BYTES_NONE;
	}
	if (flow_is_opaque(f))
		return skip(f, d, end);
	struct push p = {.off = from, .need = need, .b = b};
	if (f->pass && passes(t, f, d, &p, end)) {
		f->hole_since_ns[d] = 0;
		track_note_hole(t, f, d);
		return true;
	}
	if (f->put_off && !comes_next(f, d, &p, end))
		track_catch_up(t, f);
	if (track_memory_is_short(t))
		track_later_expire(t);
	if (from < f->stream[d].high)
		compare(t, f, d, from, b);
	/* Bytes that the capture cut off were on the wire too. */
	f->stream[d].high = max_u64(f->stream[d].high, end);
	if (b.n == 0 || !push(t, f, d, &p))
		return false;
	f->hole_since_ns[d] = 0; /* next has moved: another hole, if there is one */
	track_note_hole(t, f, d);
	return true;
}

void track_time_hole(struct track *t, struct flow *f, enum flow_dir d)
{
	bool hole = f->acked[d] > f->stream[d].next && !flow_is_opaque(f);

	/* In a server's stream the SYN may be what is missing. */
	hole = hole || (d == FLOW_TO_CLIENT && f->early.seen);
	if (hole)
		track_catch_up(t, f);
	if (!hole)
		f->hole_since_ns[d] = 0;
	else if (f->hole_since_ns[d] == 0)
		f->hole_since_ns[d] = t->now_ns ? t->now_ns : 1;
	track_list_hole(t, f);
}

void track_list_hole(struct track *t, struct flow *f)
{
	bool timed = f->hole_since_ns[0] || f->hole_since_ns[1] || f->wait_since_ns[0] ||
		     f->wait_since_ns[1];

	if (!timed)
		list_del(&f->hole);
	else if (list_empty(&f->hole))
		list_add_tail(&t->holes, &f->hole);
}

void track_gap(struct track *t, struct flow *f, enum flow_dir d, uint64_t to)
{
	t->stats.gaps[d]++;
	t->stats.gap_bytes[d] += to - f->stream[d].next;
	stream_gap(&f->stream[d], &t->pool, to);
	track_mark(t, f, d == FLOW_TO_SERVER ? FLOW_MARK_GAP_TO_SERVER : FLOW_MARK_GAP_TO_CLIENT,
		   0);
}

bool track_declare_gap(struct track *t, struct flow *f, enum flow_dir d)
{
	struct stream *s = &f->stream[d];

	if (f->acked[d] <= s->next || flow_is_opaque(f) || stream_holds_next(s))
		return false;
	track_catch_up(t, f);
	uint64_t from = s->next, held = stream_first_held(s);
	uint64_t to = held > from ? min_u64(held, f->acked[d]) : f->acked[d];

	track_gap(t, f, d, to);
	if (t->sink.gap)
		t->sink.gap(t->ctx, f, d, from, to);
	track_show_held(t, f, d);
	/* What was held behind the hole may wait for something else, the other SYN perhaps. */
	f->waiting = f->waiting || stream_holds_next(s);
	if (f->waiting)
		track_release(t, f);
	return true;
}

bool track_declare_gaps(struct track *t, struct flow *f, enum flow_dir d)
{
	bool any = d == FLOW_TO_CLIENT && track_miss_answer(t, f);

	/* Bytes that were captured are no gap. What they wait for may be one. */
	while (track_declare_gap(t, f, d) || (f->acked[d] > f->stream[d].next &&
					      f->wait_since_ns[d] && track_stop_waiting(t, f, d)))
		any = true;
	track_note_hole(t, f, d);
	track_show_fin(t, f, d);
	return any;
}

bool track_expire_holes(struct track *t, struct flow *f)
{
	bool any = false;

	/* Bytes that the capture cut off do not come later: a retransmission is cut as well. */
	int64_t age = f->marks & FLOW_MARK_TRUNCATED ? 0 : t->hole_timeout_ns;

	for (int d = 0; d < 2; d++) {
		if (f->hole_since_ns[d] != 0 && t->now_ns - f->hole_since_ns[d] >= age)
			any |= track_declare_gaps(t, f, (enum flow_dir)d);
	}
	if (f->waiting)
		any |= track_expire_waits(t, f, age);
	return any;
}

bool track_settle_all(struct track *t, struct flow *f)
{
	bool any = track_declare_gaps(t, f, FLOW_TO_SERVER);

	any |= track_declare_gaps(t, f, FLOW_TO_CLIENT);
	while (track_expire_waits(t, f, 0))
		any = true;
	return any;
}

void track_settle(struct track *t, struct flow *f)
{
	bool any = track_settle_all(t, f);

	track_mark_fragments(t);
	if (any && t->sink.changed)
		t->sink.changed(t->ctx, f);
}
