/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pool.h"

#include <stdlib.h>

void pool_init(struct pool *p, size_t max_bytes, size_t idle_max_bytes)
{
	*p = (struct pool){
		.max = max_bytes,
		.block_max = (size_t)1 << POOL_MAX_SHIFT,
		.idle_max = idle_max_bytes,
	};
}

void pool_deinit(struct pool *p)
{
	for (int i = 0; i < POOL_CLASSES; i++) {
		while (p->free[i]) {
			struct pool_block *b = p->free[i];
			p->free[i] = b->next;
			free(b);
		}
	}
	p->idle = 0;
}

static uint32_t shift_for(size_t n)
{
	if (n <= (size_t)1 << POOL_MIN_SHIFT)
		return POOL_MIN_SHIFT;
	return (uint32_t)(64 - __builtin_clzll((unsigned long long)n - 1));
}

static struct pool_block *take_idle(struct pool *p, uint32_t shift)
{
	struct pool_block *b = p->free[shift - POOL_MIN_SHIFT];

	if (b) {
		p->free[shift - POOL_MIN_SHIFT] = b->next;
		p->idle -= pool_block_size(b);
	}
	return b;
}

static struct pool_block *allocate(uint32_t shift)
{
	struct pool_block *b = malloc(sizeof *b + ((size_t)1 << shift));

	if (b)
		b->shift = shift;
	return b;
}

struct pool_block *pool_get(struct pool *p, size_t n)
{
	struct pool_block *b = NULL;

	if (n <= p->block_max && n <= (size_t)1 << POOL_MAX_SHIFT) {
		uint32_t shift = shift_for(n);
		bool fits = p->used <= p->max && (size_t)1 << shift <= p->max - p->used;

		if (fits)
			b = take_idle(p, shift);
		if (fits && !b)
			b = allocate(shift);
	}
	if (!b) {
		p->refused++;
		return NULL;
	}
	b->next = NULL;
	p->used += pool_block_size(b);
	return b;
}

void pool_put(struct pool *p, struct pool_block *b)
{
	if (!b)
		return;
	size_t size = pool_block_size(b);

	p->used -= size;
	if (size > p->idle_max || p->idle > p->idle_max - size) {
		free(b);
		return;
	}
	b->next = p->free[b->shift - POOL_MIN_SHIFT];
	p->free[b->shift - POOL_MIN_SHIFT] = b;
	p->idle += size;
}

bool pool_claim(struct pool *p, size_t n)
{
	if (p->used > p->max || n > p->max - p->used) {
		p->refused++;
		return false;
	}
	p->used += n;
	return true;
}

void pool_unclaim(struct pool *p, size_t n)
{
	p->used -= n;
}
