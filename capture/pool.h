/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pool: blocks of memory in power-of-two sizes, with one ceiling for all.
 *
 * One pool per worker, without locks. Freed blocks are kept on a free list per size and used again.
 * So the packet path touches warm memory and rarely calls malloc(). The ceiling counts bytes handed
 * out.
 */
#ifndef CAPTURE_POOL_H
#define CAPTURE_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define POOL_MIN_SHIFT 11 /* 2 KiB */
#define POOL_MAX_SHIFT 26 /* 64 MiB: the ceiling of a single stream */
#define POOL_CLASSES   (POOL_MAX_SHIFT - POOL_MIN_SHIFT + 1)

struct pool_block {
	/* Both belong to the user of a block; `next` of a free block belongs to the pool. */
	struct pool_block *next;
	uint64_t from;
	uint32_t shift; /* the size is 1 << shift */
	_Alignas(16) uint8_t data[];
};

struct pool {
	size_t used, max; /* bytes handed out; ceiling */
	/* The largest request, which is the ceiling of one stream; initially the largest block. */
	size_t block_max;
	size_t idle, idle_max; /* bytes on the free lists; beyond idle_max they go back to libc */
	uint64_t refused;      /* requests refused by the ceiling or by malloc */
	struct pool_block *free[POOL_CLASSES];
};

void pool_init(struct pool *p, size_t max_bytes, size_t idle_max_bytes);
void pool_deinit(struct pool *p);
/* Returns a block of at least @n bytes with undefined content, or NULL (counted in refused). */
struct pool_block *pool_get(struct pool *p, size_t n);
void pool_put(struct pool *p, struct pool_block *b); /* NULL is fine */
/* Counts memory of others as handed out until it is unclaimed. Returns false at the ceiling. */
bool pool_claim(struct pool *p, size_t n);
void pool_unclaim(struct pool *p, size_t n);

static inline size_t pool_block_size(const struct pool_block *b)
{
	return (size_t)1 << b->shift;
}

#endif
