/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * chain: the memory of a run of stream offsets, in blocks of a pool.
 *
 *	first->from               last->from            end
 *	|===== first =====|== ... ==|====== last ======|
 *
 * A chain grows at its end and shrinks at its beginning, and no byte moves. Each further block is
 * as large as those before it together, up to CHAIN_BLOCK_MAX. So a short log takes little memory,
 * and a long one has blocks of one size, which the pool hands from log to log while they are warm.
 *
 * All zero is the empty chain. Its blocks belong to the chain until they are back in the pool.
 */
#ifndef CAPTURE_CHAIN_H
#define CAPTURE_CHAIN_H

#include "base/bytes.h"
#include "pool.h"

#define CHAIN_BLOCK_MAX ((size_t)64 * 1024)

struct chain {
	struct pool_block *first, *last; /* NULL: it is empty */
};

/* Offset behind the last byte there is memory for; 0 for an empty chain. */
static inline uint64_t chain_end(const struct chain *c)
{
	return c->last ? c->last->from + pool_block_size(c->last) : 0;
}

/*
 * Makes the chain reach to @end at least; an empty one begins at @from. False: the pool's ceiling
 * or no memory, and the chain is as before.
 */
bool chain_cover(struct chain *c, struct pool *pool, uint64_t from, uint64_t end);
/* Gives back the blocks that end at @off or before. */
void chain_drop_before(struct chain *c, struct pool *pool, uint64_t off);
/* Gives back all of them. */
void chain_free(struct chain *c, struct pool *pool);

/*
 * The single block of the chain moves along, with the bytes in it, until it reaches to @end, which
 * is beyond it. This is for a pool at its ceiling.
 */
void chain_slide(struct chain *c, uint64_t end);

/* Contiguous memory of [off, end), perhaps not of all; the chain covers it. Valid until the block
 * is given back. */
struct bytes chain_view(const struct chain *c, uint64_t off, uint64_t end);
/* Copies @data to @off; the chain covers it. */
void chain_write(struct chain *c, uint64_t off, struct bytes data);

#endif
