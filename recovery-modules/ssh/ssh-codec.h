/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-codec: a state as bytes. What is written and what is read is one list of members: they cannot
 * differ. Big-endian.
 */
#ifndef SSH_CODEC_H
#define SSH_CODEC_H

#include "base/reader.h"
#include "base/writer.h"

/* Writes, or reads, what it is shown. */
struct codec {
	struct writer *w;
	struct reader *r; /* NULL: it writes */
	bool bad;
};

static inline void codec_u8_max(struct codec *c, uint8_t *v, uint8_t max)
{
	if (!c->r)
		writer_u8(c->w, *v);
	else if ((*v = reader_u8(c->r)) > max)
		c->bad = true;
}

static inline void codec_flag(struct codec *c, bool *v)
{
	uint8_t b = *v;

	codec_u8_max(c, &b, 1);
	*v = b;
}

static inline void codec_u16(struct codec *c, uint16_t *v, size_t max)
{
	if (!c->r)
		writer_u16be(c->w, *v);
	else if ((*v = reader_u16be(c->r)) > max)
		c->bad = true;
}

static inline void codec_u32(struct codec *c, uint32_t *v)
{
	if (c->r)
		*v = reader_u32be(c->r);
	else
		writer_u32be(c->w, *v);
}

static inline void codec_u64(struct codec *c, uint64_t *v)
{
	if (c->r)
		*v = reader_u64be(c->r);
	else
		writer_u64be(c->w, *v);
}

/* As many bytes as @n, which has been read and is lawful, or the codec is bad. */
static inline void codec_raw(struct codec *c, uint8_t *p, size_t n)
{
	if (!c->r)
		writer_copy(c->w, p, n);
	else if (!c->bad)
		reader_copy(c->r, p, n);
}

static inline void codec_sized(struct codec *c, uint16_t *n, uint8_t *p, size_t max)
{
	codec_u16(c, n, max);
	codec_raw(c, p, *n);
}

#endif
