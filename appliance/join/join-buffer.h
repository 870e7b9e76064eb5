/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-buffer: the receive buffers that all joins of one thread share.
 *
 * The kernel takes one when bytes have come (IORING_OP_RECV with buffer
 * selection) and names it in the completion; it is ours until join_buffer_put().
 * Belongs to the thread of the ring. Nothing keeps a buffer beyond the next
 * completions: what a slow peer does not take at once is copied elsewhere. So
 * buffers always come back, and few serve many.
 */
#ifndef APPLIANCE_JOIN_BUFFER_H
#define APPLIANCE_JOIN_BUFFER_H

#include <liburing.h>
#include <stdbool.h>
#include <stdint.h>

#define JOIN_BUFFER_GROUP 0

struct join_buffer {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	uint32_t count; /* power of two */
	uint32_t bytes; /* of each */
	uint32_t most;  /* so much of each is offered to the kernel */
	uint32_t free;  /* with the kernel, as far as completions told */
};

/* Of a buffer while memory is scarce. */
#define JOIN_BUFFER_SCARCE 4096

/* 0, -ENOMEM, or the kernel's errno. */
int join_buffer_init(struct join_buffer *b, struct io_uring *uring, uint32_t count, uint32_t bytes);
/* After io_uring_queue_exit(): the kernel holds the buffers until then. */
void join_buffer_deinit(struct join_buffer *b);

/* A completion named buffer @id: it is ours now. */
uint8_t *join_buffer_take(struct join_buffer *b, uint32_t id);
void join_buffer_put(struct join_buffer *b, uint32_t id);

/* From now on buffers are put back small, or whole again; those with the kernel stay as they are.
 */
void join_buffer_set_scarce(struct join_buffer *b, bool scarce);

#endif
