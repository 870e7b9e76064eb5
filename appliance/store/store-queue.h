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
	_Atomic uint64_t *receipt; /* where `answer` goes when they are done; NULL: nowhere */
	uint64_t answer;
};

struct store_queue {
	pthread_mutex_t lock;
	pthread_cond_t wake; /* something was put in, or it was closed */
	struct store_queue_item waiting[STORE_QUEUE_MAX]; /* ring: count from first on */
	uint32_t first, count, max;
	struct buf spare[STORE_QUEUE_MAX];
	uint32_t spares;
	bool closed;
};

/* @max: at most STORE_QUEUE_MAX batches wait. */
void store_queue_init(struct store_queue *q, uint32_t max);
void store_queue_deinit(struct store_queue *q);
/* Takes the changes of @b and leaves it empty. 0, or -EAGAIN: full, @b is untouched. */
int store_queue_push(struct store_queue *q, struct store_batch *b, _Atomic uint64_t *receipt,
		     uint64_t answer);
/*
 * Gives @io's buffer back and waits for the next batch, into @io; starts with BUF_INIT(0). False
 * when the queue is closed and empty.
 */
bool store_queue_pop(struct store_queue *q, struct store_queue_item *io);
void store_queue_close(struct store_queue *q);

#endif
