/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "chain.h"

static uint64_t block_end(const struct pool_block *b)
{
	return b->from + pool_block_size(b);
}

/* Most often it is the last one: bytes come at the end. */
static struct pool_block *block_at(const struct chain *c, uint64_t off)
{
	struct pool_block *b = c->first;

	if (off >= c->last->from)
		return c->last;
	while (off >= block_end(b))
		b = b->next;
	return b;
}

static uint64_t min_u64(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

/* As large as all blocks together, in a whole power of two; @need, where that is more. */
static size_t next_size(const struct chain *c, const struct pool *pool, uint64_t need)
{
	uint64_t size = need, all = c->first ? chain_end(c) - c->first->from : 0;

	if (all > need)
		size = UINT64_C(1) << (63 - __builtin_clzll((unsigned long long)all));
	return (size_t)min_u64(size, min_u64(CHAIN_BLOCK_MAX, pool->block_max));
}

static struct pool_block *get_block(const struct chain *c, struct pool *pool, uint64_t need)
{
	size_t size = next_size(c, pool, need);
	struct pool_block *b = pool_get(pool, size);

	/* Near the ceiling there may be room for no more than is needed. */
	return !b && need < size ? pool_get(pool, (size_t)need) : b;
}

static bool add_block(struct chain *c, struct pool *pool, uint64_t from, uint64_t need)
{
	struct pool_block *b = get_block(c, pool, need);

	if (!b)
		return false;
	b->from = from;
	if (c->last)
		c->last->next = b;
	else
		c->first = b;
	c->last = b;
	return true;
}

static void put_all(struct pool *pool, struct pool_block *b)
{
	while (b) {
		struct pool_block *next = b->next;
		pool_put(pool, b);
		b = next;
	}
}

/* Back to what it was when @last was the last block; NULL: to nothing. */
static void undo(struct chain *c, struct pool *pool, struct pool_block *last)
{
	put_all(pool, last ? last->next : c->first);
	if (last)
		last->next = NULL;
	else
		c->first = NULL;
	c->last = last;
}

bool chain_cover(struct chain *c, struct pool *pool, uint64_t from, uint64_t end)
{
	struct pool_block *last = c->last;
	uint64_t at = last ? block_end(last) : from;

	while (at < end) {
		if (!add_block(c, pool, at, end - at)) {
			undo(c, pool, last);
			return false;
		}
		at = block_end(c->last);
	}
	return true;
}

void chain_drop_before(struct chain *c, struct pool *pool, uint64_t off)
{
	while (c->first && block_end(c->first) <= off) {
		struct pool_block *b = c->first;
		c->first = b->next;
		pool_put(pool, b);
	}
	if (!c->first)
		c->last = NULL;
}

void chain_free(struct chain *c, struct pool *pool)
{
	put_all(pool, c->first);
	*c = (struct chain){0};
}

void chain_slide(struct chain *c, uint64_t end)
{
	struct pool_block *b = c->first;
	size_t size = pool_block_size(b);
	uint64_t by = end - size - b->from;

	if (by < size)
		memmove(b->data, b->data + by, size - (size_t)by);
	b->from += by;
}

struct bytes chain_view(const struct chain *c, uint64_t off, uint64_t end)
{
	const struct pool_block *b = block_at(c, off);
	size_t at = (size_t)(off - b->from), n = pool_block_size(b) - at;

	return bytes_of(b->data + at, end - off < n ? (size_t)(end - off) : n);
}

void chain_write(struct chain *c, uint64_t off, struct bytes data)
{
	struct pool_block *b = data.n > 0 ? block_at(c, off) : NULL;

	while (data.n > 0) {
		size_t at = (size_t)(off - b->from), room = pool_block_size(b) - at;
		struct bytes part = bytes_head(data, room);
		memcpy(b->data + at, part.p, part.n);
		data = bytes_from(data, part.n);
		off += part.n;
		b = b->next;
	}
}
