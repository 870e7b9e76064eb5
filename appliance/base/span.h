/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * span: the bytes of one direction of a connection from an offset on, wherever they are.
 *
 *	spilled.from ========= off ========= end
 *	|     elsewhere       |  in memory  |
 *
 * Offsets count the data bytes of the direction from 0. There is no hole in it. All zero is the
 * empty span at 0.
 *
 * A span owns its bytes and its view: span_free() is due. It is handed on by value: who gave
 * it away says so with span_give(), once nothing can fail any more, and owes nothing for it.
 *
 * A span that is lent (span_lend(), track_span()) shows bytes of somebody else: it is read like any
 * other, for as long as the lender says, and neither freed nor given away.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include "buf.h"
#include "spilled.h"

struct span {
	struct spilled spilled; /* [spilled.from, off); without a view there is nothing of it */
	uint64_t off;           /* where the bytes in memory begin */
	struct buf bytes;
};

static inline uint64_t span_from(const struct span *s)
{
	return s->spilled.view != NULL ? s->spilled.from : s->off;
}

static inline uint64_t span_end(const struct span *s)
{
	return s->off + s->bytes.n;
}

/*
 * A contiguous view from @off on, perhaps not of all there is; empty before the beginning, behind
 * the end, and where what is elsewhere cannot be read. Valid until span_free(), and of bytes in
 * memory until more are added.
 */
struct bytes span_at(const struct span *s, uint64_t off);
/* All of [from, to), from <= to? Of what is elsewhere only its first byte is looked at. */
bool span_has(const struct span *s, uint64_t from, uint64_t to);
/*
 * A span of its own, all of it in memory, with what @s has as far as it can be read. 0, or -ENOMEM:
 * then *ret is empty.
 */
int span_copy(const struct span *s, struct span *ret);
/* Frees what it owns and leaves it empty; may be done twice. */
void span_free(struct span *s);

/* Somebody else owns it now, and has a copy of the struct. */
static inline void span_give(struct span *s)
{
	*s = (struct span){0};
}

/* Bytes of somebody else, from @off on. */
static inline struct span span_lend(uint64_t off, struct bytes b)
{
	return (struct span){.off = off, .bytes = {.p = (uint8_t *)b.p, .n = b.n}};
}

#endif
