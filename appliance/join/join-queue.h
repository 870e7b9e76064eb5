/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-queue: the bytes that one side of a join still has to be sent, in order.
 *
 * A chunk is a shared receive buffer (passed through without a copy), memory of its own, or
 * a part of a log. The head is what a send works on; it stays where it is until it is
 * consumed, also when bytes are appended behind it.
 */
#ifndef APPLIANCE_JOIN_QUEUE_H
#define APPLIANCE_JOIN_QUEUE_H

#include "base/span.h"
#include "join-buffer.h"

struct join_chunk;

struct join_queue {
	struct join_chunk *head, *tail;
	size_t bytes;
	size_t log_bytes; /* how many of the bytes are in logs */
	size_t memory;    /* how many bytes are malloc()ed for the others */
};

/* Appends a copy of @b. Returns 0, or -ENOMEM; then nothing was added. */
int join_queue_copy(struct join_queue *q, struct bytes b);
/*
 * Appends @n bytes at @p, which were malloc()ed. The queue owns them afterwards, except on -ENOMEM.
 */
int join_queue_adopt(struct join_queue *q, uint8_t *p, size_t n);
/*
 * Appends the first @n bytes of the shared buffer @id. The queue puts the buffer back, except on
 * -ENOMEM.
 */
int join_queue_lend(struct join_queue *q, struct join_buffer *pool, uint32_t id, size_t n);

/*
 * Appends [from, to) of @log, without a copy; nothing if that is empty. The log must have all of
 * it, and must stay until log_bytes is 0. Returns 0, -ENOMEM, or -EOVERFLOW when the sum does not
 * fit.
 */
int join_queue_log(struct join_queue *q, const struct span *log, uint64_t from, uint64_t to);

/*
 * The unsent part of the head chunk. Empty when the queue is empty, or when a log cannot be read.
 */
struct bytes join_queue_head(struct join_queue *q);
/*
 * Whether the head is a shared buffer. Then it must be sent at once, or copied by
 * join_queue_settle().
 */
bool join_queue_head_is_lent(const struct join_queue *q);
/* Removes the first @n bytes, which were sent. All of them are in the head chunk. */
void join_queue_consume(struct join_queue *q, struct join_buffer *pool, size_t n);
/* Moves the rest of a lent head into memory of the queue's own. Returns 0 or -ENOMEM. */
int join_queue_settle(struct join_queue *q, struct join_buffer *pool);
/* Empties the queue without freeing what it adopted. */
void join_queue_disown(struct join_queue *q);
/* Empties the queue. */
void join_queue_clear(struct join_queue *q, struct join_buffer *pool);

#endif
