/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * reader: the bounds-checked cursor through which all foreign bytes pass.
 *
 * The error is sticky: the first read past the end sets it, that read and all
 * later ones return zero (or an empty view), and the position no longer moves.
 * Read everything, then ask reader_ok() once, before acting on any value.
 * Lengths are compared against what is left, never by adding to a pointer.
 */
#ifndef BASE_READER_H
#define BASE_READER_H

#include "bytes.h"

struct reader {
	const uint8_t *p;   /* next byte */
	const uint8_t *end; /* one past the last */
	const uint8_t *start;
	bool failed;
};

static inline struct reader reader_init(struct bytes b)
{
	return (struct reader){b.p, b.p ? b.p + b.n : b.p, b.p, false};
}

static inline bool reader_ok(const struct reader *r)
{
	return !r->failed;
}

static inline size_t reader_left(const struct reader *r)
{
	return r->failed ? 0 : (size_t)(r->end - r->p);
}

/* How many bytes have been consumed. After an error this is the place of the error. */
static inline size_t reader_pos(const struct reader *r)
{
	return (size_t)(r->p - r->start);
}

static inline bool reader_need(struct reader *r, size_t n)
{
	if (r->failed || n > (size_t)(r->end - r->p)) {
		r->failed = true;
		return false;
	}
	return true;
}

/* A view of the next @n bytes. It is valid as long as the bytes under the reader. */
static inline struct bytes reader_bytes(struct reader *r, size_t n)
{
	if (!reader_need(r, n))
		return BYTES_NONE;
	struct bytes b = {r->p, n};
	if (n > 0)
		r->p += n;
	return b;
}

static inline void reader_skip(struct reader *r, size_t n)
{
	(void)reader_bytes(r, n);
}

/* A reader over the next @n bytes. The outer reader moves past them. */
static inline struct reader reader_sub(struct reader *r, size_t n)
{
	struct bytes b = reader_bytes(r, n);
	struct reader s = reader_init(b);
	s.failed = r->failed;
	return s;
}

static inline void reader_copy(struct reader *r, void *out, size_t n)
{
	struct bytes b = reader_bytes(r, n);
	if (b.n == n && n > 0)
		memcpy(out, b.p, n);
	else if (n > 0)
		memset(out, 0, n);
}

static inline uint8_t reader_u8(struct reader *r)
{
	return reader_need(r, 1) ? *r->p++ : 0;
}

static inline uint16_t reader_u16be(struct reader *r)
{
	struct bytes b = reader_bytes(r, 2);
	return b.n ? (uint16_t)((uint32_t)b.p[0] << 8 | b.p[1]) : 0;
}

static inline uint32_t reader_u32be(struct reader *r)
{
	struct bytes b = reader_bytes(r, 4);
	return b.n ? (uint32_t)b.p[0] << 24 | (uint32_t)b.p[1] << 16 | (uint32_t)b.p[2] << 8 |
			       b.p[3]
		   : 0;
}

static inline uint64_t reader_u64be(struct reader *r)
{
	uint64_t hi = reader_u32be(r);
	return hi << 32 | reader_u32be(r);
}

static inline uint16_t reader_u16le(struct reader *r)
{
	uint16_t v = reader_u16be(r);
	return __builtin_bswap16(v);
}

static inline uint32_t reader_u32le(struct reader *r)
{
	return __builtin_bswap32(reader_u32be(r));
}

#endif
