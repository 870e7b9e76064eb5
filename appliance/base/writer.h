/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * writer: the twin of reader: the bounds-checked cursor by which our own formats are written.
 *
 * The error is sticky: what does not fit is not written, nor is anything behind it, but it is
 * counted. So writer_pos() says how much room all of it needs, and a writer of no room is a way
 * to measure. Write everything, then ask writer_ok() once, before using what was written.
 * Lengths are compared against what is left, never by adding to a pointer.
 */
#ifndef BASE_WRITER_H
#define BASE_WRITER_H

#include "bytes.h"

struct writer {
	uint8_t *start;
	size_t room;
	size_t n; /* bytes written, or, after an error, needed */
};

/* A writer into @array, whose size is the room. */
#define WRITER_IN(array) writer_init((array), sizeof(array))

static inline struct writer writer_init(void *p, size_t room)
{
	return (struct writer){(uint8_t *)p, room, 0};
}

static inline bool writer_ok(const struct writer *w)
{
	return w->n <= w->room;
}

/*
 * Bytes asked for so far, including those that did not fit. When that exceeds the room, it tells
 * how much room is needed.
 */
static inline size_t writer_pos(const struct writer *w)
{
	return w->n;
}

/* The bytes that were written; empty after an error. */
static inline struct bytes writer_view(const struct writer *w)
{
	return writer_ok(w) ? bytes_of(w->start, w->n) : BYTES_NONE;
}

/* Returns where the next @n bytes go, or NULL when they do not fit. They count in either case. */
static inline uint8_t *writer_need(struct writer *w, size_t n)
{
	bool fits = w->n <= w->room && n <= w->room - w->n;
	uint8_t *p = fits ? w->start + w->n : NULL;

	w->n = n <= SIZE_MAX - w->n ? w->n + n : SIZE_MAX;
	return p;
}

static inline void writer_copy(struct writer *w, const void *in, size_t n)
{
	uint8_t *p = n > 0 ? writer_need(w, n) : NULL;

	if (p)
		memcpy(p, in, n);
}

static inline void writer_bytes(struct writer *w, struct bytes b)
{
	writer_copy(w, b.p, b.n);
}

static inline void writer_u8(struct writer *w, uint8_t v)
{
	uint8_t *p = writer_need(w, 1);

	if (p)
		*p = v;
}

static inline void writer_u16be(struct writer *w, uint16_t v)
{
	const uint8_t b[] = {(uint8_t)(v >> 8), (uint8_t)v};

	writer_copy(w, b, sizeof b);
}

static inline void writer_u32be(struct writer *w, uint32_t v)
{
	const uint8_t b[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};

	writer_copy(w, b, sizeof b);
}

static inline void writer_u64be(struct writer *w, uint64_t v)
{
	const uint8_t b[] = {(uint8_t)(v >> 56), (uint8_t)(v >> 48), (uint8_t)(v >> 40),
			     (uint8_t)(v >> 32), (uint8_t)(v >> 24), (uint8_t)(v >> 16),
			     (uint8_t)(v >> 8),  (uint8_t)v};

	writer_copy(w, b, sizeof b);
}

#endif
