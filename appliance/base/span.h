/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * span: the bytes of one direction of a connection from an offset on, in memory or in the store.
 *
 *	spilled.from ========= off ========= end
 *	|      spilled        |  in memory  |
 *
 * Offsets count the data bytes of the direction from 0. A span has no hole. All zero is the empty
 * span at 0.
 *
 * A span owns its bytes and its view, so span_free() is due. It is passed on by value. Whoever
 * gives it away calls span_give() when nothing can fail any more, and then owns nothing.
 *
 * A span that is lent (span_lend(), track_span()) shows somebody else's bytes. It is read like any
 * other, as long as the lender says, and neither freed nor given away.
 */
#ifndef BASE_SPAN_H
#define BASE_SPAN_H

#include "buf.h"
#include "spilled.h"

struct span {
	struct spilled spilled; /* [spilled.from, off); empty without a view */
	uint64_t off;           /* offset of the first byte in memory */
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
 * A contiguous view from @off on, perhaps not all of it. Empty outside of the span, and where
 * spilled bytes cannot be read. Valid until span_free(); for bytes in memory, until more are added.
 */
struct bytes span_at(const struct span *s, uint64_t off);
/*
 * Whether the span has all of [from, to). @from must not exceed @to. Of spilled bytes only the
 * first one is looked at.
 */
bool span_has(const struct span *s, uint64_t from, uint64_t to);
/*
 * Copies @s, as far as it can be read, into a span of its own that is wholly in memory. Returns 0,
 * or -ENOMEM with *ret empty.
 */
int span_copy(const struct span *s, struct span *ret);
/* Frees what the span owns and leaves it empty. May be called again. */
void span_free(struct span *s);

/* Somebody else, who has a copy of the struct, owns the bytes now. */
static inline void span_give(struct span *s)
{
	*s = (struct span){0};
}

/* A span that shows somebody else's bytes, from @off on. */
static inline struct span span_lend(uint64_t off, struct bytes b)
{
	return (struct span){.off = off, .bytes = {.p = (uint8_t *)b.p, .n = b.n}};
}

#endif
