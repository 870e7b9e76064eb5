/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-queue.h"

#include <errno.h>

void store_queue_init(struct store_queue *q, uint32_t max)
{
	*q = (struct store_queue){.max = max < STORE_QUEUE_MAX ? max : STORE_QUEUE_MAX};
	pthread_mutex_init(&q->lock, NULL);
	pthread_cond_init(&q->wake, NULL);
}

void store_queue_deinit(struct store_queue *q)
{
	while (q->spares > 0)
		buf_deinit(&q->spare[--q->spares]);
	for (; q->count > 0; q->count--) {
		buf_deinit(&q->waiting[q->first].ops);
		q->first = (q->first + 1) % STORE_QUEUE_MAX;
	}
	pthread_cond_destroy(&q->wake);
	pthread_mutex_destroy(&q->lock);
}

int store_queue_push(struct store_queue *q, struct store_batch *b, _Atomic uint64_t *receipt,
		     uint64_t answer)
{
	struct buf empty = BUF_INIT(0);

	pthread_mutex_lock(&q->lock);
	if (q->count == q->max) {
		pthread_mutex_unlock(&q->lock);
		return -EAGAIN;
	}
	if (q->spares > 0)
		empty = q->spare[--q->spares];
	q->waiting[(q->first + q->count++) % STORE_QUEUE_MAX] =
		(struct store_queue_item){b->ops, receipt, answer};
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
	b->ops = empty;
	store_batch_reset(b);
	return 0;
}

/*
 * Keeps the buffer for reuse if one of this size will be wanted. Called under the lock; otherwise
 * the caller frees the memory without it.
 */
static bool keep_spare(struct store_queue *q, const struct buf *b)
{
	if (b->cap == 0 || q->spares == q->max)
		return false;
	q->spare[q->spares++] = *b;
	return true;
}

bool store_queue_pop(struct store_queue *q, struct store_queue_item *io)
{
	struct store_queue_item next = {BUF_INIT(0), NULL, 0};

	pthread_mutex_lock(&q->lock);
	bool kept = keep_spare(q, &io->ops);
	while (q->count == 0 && !q->closed)
		pthread_cond_wait(&q->wake, &q->lock);
	bool got = q->count > 0;
	if (got) {
		next = q->waiting[q->first];
		q->first = (q->first + 1) % STORE_QUEUE_MAX;
		q->count--;
	}
	pthread_mutex_unlock(&q->lock);
	if (!kept)
		buf_deinit(&io->ops);
	*io = next;
	return got;
}

void store_queue_close(struct store_queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->closed = true;
	pthread_cond_signal(&q->wake);
	pthread_mutex_unlock(&q->lock);
}
