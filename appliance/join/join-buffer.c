/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-buffer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static void *map_memory(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return p == MAP_FAILED ? NULL : p;
}

static size_t ring_bytes(const struct join_buffer *b)
{
	return b->count * sizeof(struct io_uring_buf);
}

static size_t memory_bytes(const struct join_buffer *b)
{
	return (size_t)b->count * b->bytes;
}

int join_buffer_init(struct join_buffer *b, struct io_uring *uring, uint32_t count, uint32_t bytes)
{
	*b = (struct join_buffer){.count = count, .bytes = bytes, .most = bytes};
	b->ring = map_memory(ring_bytes(b));
	b->memory = map_memory(memory_bytes(b));
	if (b->ring == NULL || b->memory == NULL) {
		join_buffer_deinit(b);
		return -ENOMEM;
	}

	struct io_uring_buf_reg reg = {
		.ring_addr = (uintptr_t)b->ring,
		.ring_entries = count,
		.bgid = JOIN_BUFFER_GROUP,
	};
	int r = io_uring_register_buf_ring(uring, &reg, 0);
	if (r < 0) {
		join_buffer_deinit(b);
		return r;
	}
	io_uring_buf_ring_init(b->ring);
	for (uint32_t i = 0; i < count; i++)
		join_buffer_put(b, i);
	return 0;
}

void join_buffer_deinit(struct join_buffer *b)
{
	if (b->ring != NULL)
		munmap(b->ring, ring_bytes(b));
	if (b->memory != NULL)
		munmap(b->memory, memory_bytes(b));
	*b = (struct join_buffer){0};
}

uint8_t *join_buffer_take(struct join_buffer *b, uint32_t id)
{
	b->free--;
	return b->memory + (size_t)id * b->bytes;
}

void join_buffer_put(struct join_buffer *b, uint32_t id)
{
	io_uring_buf_ring_add(b->ring, b->memory + (size_t)id * b->bytes, b->most, (uint16_t)id,
			      io_uring_buf_ring_mask(b->count), 0);
	io_uring_buf_ring_advance(b->ring, 1);
	b->free++;
}

void join_buffer_set_scarce(struct join_buffer *b, bool scarce)
{
	b->most = scarce && b->bytes > JOIN_BUFFER_SCARCE ? JOIN_BUFFER_SCARCE : b->bytes;
}
