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

#include "base/bytes.h"
#include "join-buffer.h"
#include "join-log.h"

struct join_chunk;

struct join_queue {
	struct join_chunk *head, *tail;
	size_t bytes;
	size_t log_bytes; /* of them, those of logs */
	size_t memory;    /* malloc()ed for the others */
};

/* Copies @b to the end. 0 or -ENOMEM (then nothing was added). */
int join_queue_copy(struct join_queue *q, struct bytes b);
/* Appends @n bytes at @p, malloc()ed, which the queue owns from now on; on -ENOMEM it does not. */
int join_queue_adopt(struct join_queue *q, uint8_t *p, size_t n);
/* Appends @n bytes of the taken buffer @id. The queue puts it back; on -ENOMEM it does not. */
int join_queue_lend(struct join_queue *q, struct join_buffer *pool, uint32_t id, size_t n);

/*
 * Appends [from, to) of @log, which has it and stays until log_bytes is 0. 0, -ENOMEM, or
 * -EOVERFLOW (more than there can be). Adds nothing where that is empty.
 */
int join_queue_log(struct join_queue *q, const struct join_log *log, uint64_t from, uint64_t to);

/* The unsent part of the head chunk; empty when the queue is, or if a log cannot be read. */
struct bytes join_queue_head(struct join_queue *q);
/* The head is a shared buffer: it must be sent at once or given back by join_queue_settle(). */
bool join_queue_head_is_lent(const struct join_queue *q);
/* The first @n bytes (of the head only) are sent. */
void join_queue_consume(struct join_queue *q, struct join_buffer *pool, size_t n);
/* Moves what is left of a lent head into memory of its own. 0 or -ENOMEM. */
int join_queue_settle(struct join_queue *q, struct join_buffer *pool);
/* Forgets everything, without freeing what was adopted. */
void join_queue_disown(struct join_queue *q);
/* Forgets everything. */
void join_queue_clear(struct join_queue *q, struct join_buffer *pool);

#endif
