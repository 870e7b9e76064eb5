/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "buf.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "writer.h"

void buf_deinit(struct buf *b)
{
	free(b->p);
	*b = BUF_INIT(b->max);
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->error = 0;
}

int buf_reserve(struct buf *b, size_t n)
{
	if (b->error)
		return b->error;
	if (n > b->max - b->n)
		return b->error = -ENOBUFS;
	if (n <= b->cap - b->n)
		return 0;
	size_t cap = b->cap ? b->cap : 64;
	while (cap - b->n < n)
		cap = cap > b->max / 2 ? b->max : cap * 2;
	uint8_t *p = realloc(b->p, cap);
	if (!p)
		return b->error = -ENOMEM;
	b->p = p;
	b->cap = cap;
	return 0;
}

int buf_append(struct buf *b, const void *p, size_t n)
{
	if (n == 0)
		return b->error;
	int r = buf_reserve(b, n);
	if (r < 0)
		return r;
	memcpy(b->p + b->n, p, n);
	b->n += n;
	return 0;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n >= b->n) {
		b->n = 0;
		return;
	}
	if (n == 0)
		return;
	memmove(b->p, b->p + n, b->n - n);
	b->n -= n;
}

int buf_u8(struct buf *b, uint8_t v)
{
	return buf_append(b, &v, 1);
}

int buf_u16be(struct buf *b, uint16_t v)
{
	uint8_t room[sizeof v];
	struct writer w = WRITER_IN(room);

	writer_u16be(&w, v);
	return buf_bytes(b, writer_view(&w));
}

int buf_u32be(struct buf *b, uint32_t v)
{
	uint8_t room[sizeof v];
	struct writer w = WRITER_IN(room);

	writer_u32be(&w, v);
	return buf_bytes(b, writer_view(&w));
}

int buf_u64be(struct buf *b, uint64_t v)
{
	uint8_t room[sizeof v];
	struct writer w = WRITER_IN(room);

	writer_u64be(&w, v);
	return buf_bytes(b, writer_view(&w));
}

int buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	int n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		return b->error = -EINVAL;
	/* vsnprintf() also writes a terminating zero, which is not counted as content. */
	int r = buf_reserve(b, (size_t)n + 1);
	if (r < 0)
		return r;
	va_start(ap, fmt);
	vsnprintf((char *)b->p + b->n, (size_t)n + 1, fmt, ap);
	va_end(ap);
	b->n += (size_t)n;
	return 0;
}
