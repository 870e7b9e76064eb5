/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The base: the place in the client's bytes from which on the log is kept, and HPACK's table as it
 * was there. So the requests in the log can be read again. It lies where the oldest request begins
 * whose stream is open, and between two header blocks.
 */
#include "h2.h"

#include <string.h>

struct jeebs_bytes h2_source_at(const struct h2_source *src, uint32_t dir, uint64_t off)
{
	if (off < src->off)
		return src->log(src->flow, dir, off);
	if (off - src->off >= src->shown.n)
		return (struct jeebs_bytes){NULL, 0};
	size_t from = (size_t)(off - src->off);
	return (struct jeebs_bytes){src->shown.p + from, src->shown.n - from};
}

static bool ignore(void *ctx, const struct hpack_field *f)
{
	return true;
}

struct walk {
	struct h2_frames frames;
	uint8_t block[H2_UP_BLOCK_MAX];
	size_t block_n;
};

/* Takes one step of the frames in @v into the table. Returns how many bytes; 0: it cannot be read.
 */
static size_t step(struct h2 *s, struct walk *w, struct jeebs_bytes v)
{
	struct h2_piece p;
	size_t n = h2_frames_take(&w->frames, v, &p);

	if (p.what == H2_BAD)
		return 0;
	if (p.what == H2_BLOCK) {
		if (p.b.n > sizeof w->block - w->block_n)
			return 0;
		memcpy(w->block + w->block_n, p.b.p, p.b.n);
		w->block_n += p.b.n;
	}
	bool block = w->frames.type == H2_HEADERS || w->frames.type == H2_CONTINUATION;
	if (p.ends && block && w->frames.block == 0) {
		if (hpack_decode(&s->base, bytes_of(w->block, w->block_n), ignore, NULL) !=
		    HPACK_OK)
			return 0;
		w->block_n = 0;
	}
	return n;
}

/* Reads the log up to @to. Returns false when it cannot. */
static bool read_up_to(struct h2 *s, const struct h2_source *src, uint64_t to)
{
	struct walk w;

	w.frames = s->base_frames;
	w.block_n = 0;
	while (s->base_off < to) {
		struct jeebs_bytes v = h2_source_at(src, JEEBS_TO_SERVER, s->base_off);
		if (v.n > to - s->base_off)
			v.n = (size_t)(to - s->base_off);
		size_t n = v.n ? step(s, &w, v) : 0;
		if (n == 0)
			return false;
		s->base_off += n;
	}
	s->base_frames = (struct h2_frames){0};
	return h2_frames_rest(&w.frames);
}

/* Where the oldest request begins that may be asked again; UINT64_MAX: there is none. */
static uint64_t oldest(const struct h2 *s)
{
	uint64_t from = UINT64_MAX;

	for (unsigned i = 0; i < s->stream_n; i++) {
		const struct h2_stream *t = &s->stream[i];
		if (!(t->flags & (H2_STREAM_PUSHED | H2_STREAM_BLIND)) && t->start < from)
			from = t->start;
	}
	return from;
}

void h2_base_lose(struct h2 *s)
{
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];

	for (unsigned i = 0; i < s->stream_n; i++)
		s->stream[i].flags |= H2_STREAM_BLIND;
	up->unit = up->at;
	s->base_off = up->at;
	s->base_frames = up->frames;
	hpack_table_copy(&s->base, &up->table);
}

void h2_base_move(struct h2 *s, const struct h2_source *src)
{
	struct h2_side *up = &s->side[JEEBS_TO_SERVER];
	uint64_t to = oldest(s);

	if (to < up->unit && to > s->base_off && !read_up_to(s, src, to)) {
		/* A ceiling has cut the log. */
		for (unsigned i = 0; i < s->stream_n; i++)
			s->stream[i].flags |= H2_STREAM_BLIND;
		to = UINT64_MAX;
	}
	if (to >= up->unit && s->base_off < up->unit) {
		/* All blocks before the unit are in the table that is followed. */
		hpack_table_copy(&s->base, &up->table);
		s->base_frames = (struct h2_frames){0};
		s->base_off = up->unit;
	}
	if (!up->kept || s->base_off > up->keep) {
		up->kept = true;
		up->keep = s->base_off;
		s->ops->keep_from(s->flow, JEEBS_TO_SERVER, s->base_off);
	}
}
