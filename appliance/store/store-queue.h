/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-queue: batches between the workers and the store's thread.
 *
 * Bounded, first in first out. Buffers go round: who hands one in gets an empty one
 * back that has grown before, so that a steady state allocates nothing. The lock is
 * held for a few instructions, never while anything is written.
 *
 * No mailbox: who is refused keeps collecting into its own batch, which needs the bound and the
 * refusal in one step, and buffers come back the same way.
 */
#ifndef APPLIANCE_STORE_QUEUE_H
#define APPLIANCE_STORE_QUEUE_H

#include <pthread.h>
#include <stdatomic.h>

#include "store-batch.h"

#define STORE_QUEUE_MAX 64

struct store_queue_item {
	struct buf ops;
	_Atomic uint64_t *receipt; /* set to `answer` when the changes are done; NULL: no receipt */
	uint64_t answer;
};

struct store_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* a batch was pushed, or the queue was closed */
	/* A ring of `count` batches from `first` on. */
	struct store_queue_item waiting[STORE_QUEUE_MAX];
	uint32_t first, count, max;
	struct buf spare[STORE_QUEUE_MAX];
	uint32_t spares;
	bool closed;
};

/* @max limits the batches that wait; it is at most STORE_QUEUE_MAX. */
void store_queue_init(struct store_queue *q, uint32_t max);
void store_queue_deinit(struct store_queue *q);
/*
 * Moves the changes of @b into the queue and leaves @b empty. Returns 0, or -EAGAIN when the queue
 * is full; then @b is untouched.
 */
int store_queue_push(struct store_queue *q, struct store_batch *b, _Atomic uint64_t *receipt,
		     uint64_t answer);
/*
 * Gives back the buffer of @io, waits for the next batch, and moves it into @io. The first call
 * passes BUF_INIT(0). Returns false when the queue is closed and empty.
 */
bool store_queue_pop(struct store_queue *q, struct store_queue_item *io);
void store_queue_close(struct store_queue *q);

#endif
