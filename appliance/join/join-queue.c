/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-queue.h"

#include <errno.h>
#include <stdlib.h>

/* Small pieces from a module share a chunk of this size. */
#define CHUNK_MIN 4096
/* What a system call takes at most is a little less than 2 GiB. */
#define VIEW_MAX ((size_t)1 << 30)

struct join_chunk {
	struct join_chunk *next;
	uint8_t *p;
	size_t off, end, cap; /* [off, end) is unsent */
	bool lent;
	uint32_t buffer; /* of a lent chunk: its shared buffer */
	/* Of a log's chunk: p is a view, and [at, to) of the log comes after it. Such a chunk is
	 * never written to. */
	const struct span *log;
	uint64_t at, to;
};

static struct join_chunk *chunk_new(uint8_t *p, size_t n, size_t cap)
{
	struct join_chunk *c = malloc(sizeof *c);
	if (c != NULL)
		*c = (struct join_chunk){.p = p, .end = n, .cap = cap};
	return c;
}

static bool has_memory(const struct join_chunk *c)
{
	return !c->lent && c->log == NULL;
}

static void chunk_free(struct join_queue *q, struct join_chunk *c, struct join_buffer *pool)
{
	if (c->lent)
		join_buffer_put(pool, c->buffer);
	if (has_memory(c)) {
		free(c->p);
		q->memory -= c->cap;
	}
	free(c);
}

static void queue_add(struct join_queue *q, struct join_chunk *c)
{
	if (q->tail != NULL)
		q->tail->next = c;
	else
		q->head = c;
	q->tail = c;
	q->bytes += c->end - c->off;
	if (has_memory(c))
		q->memory += c->cap;
}

/*
 * The tail may grow while it is being sent: the send covers only the bytes that were there before.
 */
static size_t fill_tail(struct join_queue *q, struct bytes b)
{
	struct join_chunk *c = q->tail;
	if (c == NULL || c->lent)
		return 0;
	struct bytes part = bytes_head(b, c->cap - c->end);
	if (part.n == 0)
		return 0;
	memcpy(c->p + c->end, part.p, part.n);
	c->end += part.n;
	q->bytes += part.n;
	return part.n;
}

int join_queue_copy(struct join_queue *q, struct bytes b)
{
	size_t room = q->tail != NULL && !q->tail->lent ? q->tail->cap - q->tail->end : 0;
	struct bytes rest = bytes_from(b, room);
	if (rest.n > 0) {
		size_t cap = rest.n < CHUNK_MIN ? CHUNK_MIN : rest.n;
		uint8_t *p = malloc(cap);
		struct join_chunk *c = p != NULL ? chunk_new(p, rest.n, cap) : NULL;
		if (c == NULL) {
			free(p);
			return -ENOMEM;
		}
		memcpy(p, rest.p, rest.n);
		fill_tail(q, b);
		queue_add(q, c);
		return 0;
	}
	fill_tail(q, b);
	return 0;
}

int join_queue_adopt(struct join_queue *q, uint8_t *p, size_t n)
{
	struct join_chunk *c = chunk_new(p, n, n);
	if (c == NULL)
		return -ENOMEM;
	queue_add(q, c);
	return 0;
}

int join_queue_lend(struct join_queue *q, struct join_buffer *pool, uint32_t id, size_t n)
{
	struct join_chunk *c = chunk_new(pool->memory + (size_t)id * pool->bytes, n, n);
	if (c == NULL)
		return -ENOMEM;
	c->lent = true;
	c->buffer = id;
	queue_add(q, c);
	return 0;
}

int join_queue_log(struct join_queue *q, const struct span *log, uint64_t from, uint64_t to)
{
	if (from == to)
		return 0;
	if (to - from > SIZE_MAX - q->bytes)
		return -EOVERFLOW;
	struct join_chunk *c = chunk_new(NULL, 0, 0);
	if (c == NULL)
		return -ENOMEM;
	c->log = log;
	c->at = from;
	c->to = to;
	queue_add(q, c);
	q->bytes += (size_t)(to - from);
	q->log_bytes += (size_t)(to - from);
	return 0;
}

/* Makes the next part of a log the chunk's view. */
static void look_further(struct join_chunk *c)
{
	uint64_t left = c->to - c->at;
	struct bytes b = bytes_head(span_at(c->log, c->at), left < VIEW_MAX ? left : VIEW_MAX);
	c->p = (uint8_t *)b.p;
	c->off = 0;
	c->end = c->cap = b.n;
	c->at += b.n;
}

struct bytes join_queue_head(struct join_queue *q)
{
	struct join_chunk *c = q->head;
	if (c != NULL && c->off == c->end && c->log != NULL)
		look_further(c);
	return c == NULL ? BYTES_NONE : bytes_of(c->p + c->off, c->end - c->off);
}

bool join_queue_head_is_lent(const struct join_queue *q)
{
	return q->head != NULL && q->head->lent;
}

void join_queue_consume(struct join_queue *q, struct join_buffer *pool, size_t n)
{
	struct join_chunk *c = q->head;
	c->off += n;
	q->bytes -= n;
	if (c->log != NULL)
		q->log_bytes -= n;
	if (c->off < c->end || (c->log != NULL && c->at < c->to))
		return;
	q->head = c->next;
	if (q->head == NULL)
		q->tail = NULL;
	chunk_free(q, c, pool);
}

int join_queue_settle(struct join_queue *q, struct join_buffer *pool)
{
	struct join_chunk *c = q->head;
	if (c == NULL || !c->lent)
		return 0;
	size_t n = c->end - c->off;
	uint8_t *p = malloc(n);
	if (p == NULL)
		return -ENOMEM;
	memcpy(p, c->p + c->off, n);
	join_buffer_put(pool, c->buffer);
	c->p = p;
	c->off = 0;
	c->end = c->cap = n;
	c->lent = false;
	q->memory += n;
	return 0;
}

void join_queue_disown(struct join_queue *q)
{
	while (q->head != NULL) {
		struct join_chunk *c = q->head;
		q->head = c->next;
		free(c);
	}
	*q = (struct join_queue){0};
}

void join_queue_clear(struct join_queue *q, struct join_buffer *pool)
{
	while (q->head != NULL) {
		struct join_chunk *c = q->head;
		q->head = c->next;
		chunk_free(q, c, pool);
	}
	*q = (struct join_queue){0};
}
