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
#define JOIN_NO_BUFFER    UINT32_MAX /* where a buffer is named: the bytes are somewhere else */

struct join_buffer {
	struct io_uring_buf_ring *ring;
	uint8_t *memory;
	uint32_t count; /* a power of two */
	uint32_t bytes; /* size of each */
	uint32_t most;  /* how many bytes of each are offered to the kernel */
	uint32_t free;  /* buffers that the kernel has, as far as completions have told */
};

/* What is offered of a buffer while memory is scarce. */
#define JOIN_BUFFER_SCARCE 4096

/* Returns 0, -ENOMEM, or the kernel's errno. */
int join_buffer_init(struct join_buffer *b, struct io_uring *uring, uint32_t count, uint32_t bytes);
/* Must follow io_uring_queue_exit(): until then the kernel holds the buffers. */
void join_buffer_deinit(struct join_buffer *b);

/* Called when a completion names buffer @id. The buffer is ours until it is put back. */
uint8_t *join_buffer_take(struct join_buffer *b, uint32_t id);
void join_buffer_put(struct join_buffer *b, uint32_t id);

/* Sets how much of each buffer is offered to the kernel when it is put back. Buffers that the
 * kernel has do not change. */
void join_buffer_set_scarce(struct join_buffer *b, bool scarce);

#endif
