/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What passes unread. Whoever reads a file can read a place of it again. So of bytes that matter
 * only if the connection does not get beyond them, the body of a message, a note is enough of where
 * they are: they are neither shown nor copied. If all of them come, the callee is told that they
 * have passed. If anything else comes before, or somebody asks, they are read again and shown as if
 * they came now.
 *
 * Nobody may see a difference, so this is for bytes that come in order. A flow on which bytes were
 * read again passes none any more: no byte is read more than twice.
 *
 * The notes also stand for the log. When the bytes have passed, those that are still kept stay
 * where they are, until the log is read or goes on behind them.
 */
#include <stdlib.h>

#include "track-internal.h"

#define PIECES_FIRST 64
#define PIECES_MAX   16384
/* Of all flows together. */
#define PASS_NOTES_MAX ((size_t)4 << 20)

struct note {
	uint64_t at; /* in the source */
	int64_t time_ns;
	uint32_t n;
};

struct track_pass {
	enum flow_dir dir;
	bool passed; /* all of it: the callee was told */
	uint8_t last_byte;
	uint64_t from, to;
	uint32_t count, room;
	struct note v[];
};

void track_read_again(struct track *t, const struct track_source *s)
{
	t->source = *s;
}

bool track_can_pass(const struct track *t)
{
	return t->source.read != NULL;
}

static size_t size_of(uint32_t room)
{
	return sizeof(struct track_pass) + room * sizeof(struct note);
}

/* Makes *io larger, or one. Returns false at a ceiling, or without memory. */
static bool grow(struct track *t, struct track_pass **io, uint32_t room)
{
	size_t more = size_of(room) - (*io ? size_of((*io)->room) : 0);

	if (room > PIECES_MAX || more > PASS_NOTES_MAX - t->pass_bytes)
		return false;
	struct track_pass *p = realloc(*io, size_of(room));
	if (!p)
		return false;
	p->room = room;
	t->pass_bytes += more;
	*io = p;
	return true;
}

static void release(struct track *t, struct track_pass *p)
{
	if (p)
		t->pass_bytes -= size_of(p->room);
	free(p);
}

void track_pass_free(struct track *t, struct flow *f)
{
	release(t, f->pass);
	f->pass = NULL;
	f->stream[0].apart = f->stream[1].apart = 0;
}

/*
 * Whether the bytes from @from on come next. Not so those that have come, which were held or are
 * shown later, or that were acknowledged before they came.
 */
static bool is_next(const struct flow *f, enum flow_dir d, uint64_t from)
{
	const struct stream *s = &f->stream[d];

	return s->next < s->shown && s->shown == from && s->range_count == 0 && f->acked[d] <= from;
}

/* A doubt may be over when the callee asks to keep less (track_keep_from()), which it does later
 * here. */
static bool is_in_doubt(const struct flow *f)
{
	return f->stream[0].doubt_to || f->stream[1].doubt_to;
}

void track_pass(struct track *t, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to)
{
	const struct stream *s = &f->stream[dir];
	struct track_pass *p = NULL;

	if (!track_can_pass(t) || f->pass || f->pass_over || f->put_off || to <= from ||
	    !is_next(f, dir, from) || is_in_doubt(f))
		return;
	/* Neither would have room in the log, if it came to that. */
	if (f->keep_asked[dir] == TRACK_KEEP_NOTHING || to - s->keep > t->pool.block_max ||
	    track_memory_is_short(t) || !grow(t, &p, PIECES_FIRST))
		return;
	p->dir = dir;
	p->passed = false;
	p->from = from;
	p->to = to;
	p->count = 0;
	f->pass = p;
	f->stream[dir].apart = from;
}

static bool note(struct track *t, struct flow *f, uint64_t at, size_t n)
{
	struct track_pass *p = f->pass;

	if (p->count == p->room && !grow(t, &f->pass, p->room * 2))
		return false;
	p = f->pass;
	p->v[p->count++] = (struct note){.at = at, .time_ns = f->last_ns[p->dir], .n = (uint32_t)n};
	return true;
}

static void tell_passed(struct track *t, struct flow *f)
{
	struct track_pass *p = f->pass;
	const enum flow_dir d = p->dir;

	p->passed = true;
	f->log_end[d] = p->to;
	if (t->sink.data)
		t->sink.data(t->ctx, f, d, p->to, BYTES_NONE);
	f->log_end[d] = UINT64_MAX;
	track_apply_keep(t, f, d);
}

bool track_pass_data(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	const struct track_pass *p = f->pass;
	struct stream *s = &f->stream[d];
	uint64_t end = off + b.n, at;

	if (p->dir != d || p->passed || end > p->to || track_memory_is_short(t) ||
	    !t->source.where(t->source.ctx, b.p, &at) || !note(t, f, at, b.n))
		return false;
	s->next = s->shown = s->high = end;
	f->pass->last_byte = b.p[b.n - 1];
	if (end == f->pass->to)
		tell_passed(t, f);
	return true;
}

bool track_pass_acked_byte(const struct flow *f, uint8_t *ret)
{
	const struct track_pass *p = f->pass;

	if (!p || p->dir != FLOW_TO_CLIENT || p->count == 0 ||
	    f->acked[FLOW_TO_CLIENT] != f->stream[FLOW_TO_CLIENT].next)
		return false;
	*ret = p->last_byte;
	return true;
}

void track_pass_keep(struct track *t, struct flow *f)
{
	const struct track_pass *p = f->pass;
	const struct stream *s = &f->stream[p->dir];

	if (p->passed && s->keep >= s->next)
		track_pass_free(t, f);
}

/* ---- read again ---- */

/* Reads the piece to the scratch memory. */
static bool read_piece(struct track *t, const struct note *n, struct bytes *ret)
{
	if (n->n > t->again_room) {
		uint8_t *p = realloc(t->again, n->n);
		if (!p)
			return false;
		t->again = p;
		t->again_room = n->n;
	}
	*ret = bytes_of(t->again, n->n);
	return t->source.read(t->source.ctx, n->at, t->again, n->n) == 0;
}

/* Whether the byte before what the client has acknowledged is in these, and is not known yet. */
static bool has_acked_byte(const struct flow *f, enum flow_dir d, uint64_t off, size_t n)
{
	uint64_t acked = f->acked[d];

	return d == FLOW_TO_CLIENT && acked > off && acked <= off + n && acked != f->acked_byte_end;
}

/* It was kept until it was acknowledged. */
static void find_acked_byte(struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	if (!has_acked_byte(f, d, off, b.n))
		return;
	f->acked_byte = b.p[f->acked[d] - 1 - off];
	f->acked_byte_end = f->acked[d];
}

/* What cannot be read again is lost. Whoever reads the source has been told why. */
static void lose(struct track *t, struct flow *f, const struct track_pass *p, uint64_t to)
{
	uint64_t from = f->stream[p->dir].next;

	track_gap(t, f, p->dir, to);
	if (!p->passed && t->sink.gap)
		t->sink.gap(t->ctx, f, p->dir, from, to);
}

/* Whether the piece at @at is as the part of @b, bytes at @off, that is of it. */
static bool piece_agrees(struct track *t, const struct note *n, uint64_t at, uint64_t off,
			 struct bytes b)
{
	struct bytes piece;

	if (!read_piece(t, n, &piece))
		return false;
	if (at < off)
		piece = bytes_from(piece, (size_t)(off - at));
	else
		b = bytes_from(b, (size_t)(at - off));
	size_t both = piece.n < b.n ? piece.n : b.n;
	return memcmp(piece.p, b.p, both) == 0;
}

bool track_pass_agrees(struct track *t, struct flow *f, enum flow_dir d, uint64_t off,
		       struct bytes b)
{
	const struct track_pass *p = f->pass;
	uint64_t at = f->stream[d].next;

	if (p->dir != d)
		return p->passed;
	/* From the newest back: that is what comes again. */
	for (uint32_t i = p->count; i > 0 && at > off; i--) {
		const struct note *n = &p->v[i - 1];
		at -= n->n;
		if (at < off + b.n && !piece_agrees(t, n, at, off, b))
			return false;
	}
	return true;
}

/*
 * Shows the piece, or, where all has passed, puts what is kept of it to the log. Returns false when
 * it cannot be read.
 */
static bool replay_piece(struct track *t, struct flow *f, const struct track_pass *p,
			 const struct note *n)
{
	struct loans none = {0}; /* the next piece is read to the same memory */
	const enum flow_dir d = p->dir;
	struct stream *s = &f->stream[d];
	const uint64_t off = s->next;
	struct bytes b;

	if (p->passed && off + n->n <= s->keep && !has_acked_byte(f, d, off, n->n)) {
		s->next = s->shown = off + n->n;
		return true;
	}
	if (!read_piece(t, n, &b))
		return false;
	f->last_ns[d] = n->time_ns;
	s->shown = off + n->n;
	find_acked_byte(f, d, off, b);
	if (p->passed)
		track_commit(t, f, d, off, b, &none);
	else
		track_show(t, f, d, off, b, &none);
	return true;
}

static void replay(struct track *t, struct flow *f, const struct track_pass *p)
{
	struct stream *s = &f->stream[p->dir];
	const uint64_t end = s->next;
	const int64_t last_ns = f->last_ns[p->dir];

	s->next = s->shown = p->from;
	for (uint32_t i = 0; i < p->count; i++) {
		if (!replay_piece(t, f, p, &p->v[i])) {
			lose(t, f, p, end);
			break;
		}
	}
	f->last_ns[p->dir] = last_ns;
}

void track_pass_end(struct track *t, struct flow *f)
{
	struct track_pass *p = f->pass;

	if (!p)
		return;
	f->pass = NULL;
	f->pass_over = true;
	f->stream[p->dir].apart = 0;
	replay(t, f, p);
	release(t, p);
}

void track_pass_end_before_data(struct track *t, struct flow *f, enum flow_dir d)
{
	if (f->pass && (!f->pass->passed || f->pass->dir == d))
		track_pass_end(t, f);
}

void track_pass_end_before_fin(struct track *t, struct flow *f)
{
	if (f->pass && !f->pass->passed)
		track_pass_end(t, f);
}

void track_recall(struct track *t, struct flow *f)
{
	if (f->pass && f->pass->passed)
		track_pass_end(t, f);
}
