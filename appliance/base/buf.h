/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * buf: a growing byte buffer with a ceiling. Formats are written by writer.h.
 *
 * The ceiling is set once, at init. The error is sticky like reader's: after a
 * failed append nothing more is added and buf_error() says why (-ENOBUFS: the
 * ceiling, -ENOMEM: memory). Views of the content are valid until the next
 * append or deinit.
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "bytes.h"

struct buf {
	uint8_t *p;
	size_t n;
	size_t cap;
	size_t max;
	int error;
};

#define BUF_INIT(max_bytes) ((struct buf){NULL, 0, 0, (max_bytes), 0})
/* A buf whose memory is @array. The array's size is the ceiling, and buf_deinit() is not needed. */
#define BUF_IN(array) ((struct buf){(array), 0, sizeof(array), sizeof(array), 0})

void buf_deinit(struct buf *b);
/* Empties the buffer and clears the error. The memory is kept. */
void buf_reset(struct buf *b);
/*
 * Makes room for @n more bytes at b->p + b->n; the caller writes them and adds to b->n. Returns 0,
 * -ENOBUFS or -ENOMEM.
 */
int buf_reserve(struct buf *b, size_t n);
int buf_append(struct buf *b, const void *p, size_t n);
/* Drops the first @n bytes. @n may not exceed b->n. */
void buf_consume(struct buf *b, size_t n);

static inline int buf_error(const struct buf *b)
{
	return b->error;
}

static inline struct bytes buf_view(const struct buf *b)
{
	return (struct bytes){b->p, b->n};
}

static inline int buf_bytes(struct buf *b, struct bytes v)
{
	return buf_append(b, v.p, v.n);
}

int buf_u8(struct buf *b, uint8_t v);
int buf_u16be(struct buf *b, uint16_t v);
int buf_u32be(struct buf *b, uint32_t v);
int buf_u64be(struct buf *b, uint64_t v);
/* Appends formatted text without its terminating zero. */
int buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
