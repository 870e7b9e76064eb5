/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * record-queue: sealed records that are not yet where they have to be, in the order in which they
 * were sealed, and the epochs they are of. Pure.
 *
 * Its bytes have a ceiling. When there is no room, the oldest record of the owner that has most
 * goes first: who tells much cannot push out what others told. Owners are the peers, and one for
 * all who are gone.
 */
#ifndef KEYVAULT_RECORD_QUEUE_H
#define KEYVAULT_RECORD_QUEUE_H

#include "base/list.h"
#include "keyvault/seal/seal.h"

#define COLLECTOR_VAULTS_MAX 8
#define QUEUE_SPAN_MAX       ((uint64_t)1 << 20) /* from the oldest record to the newest */

enum at_vault {
	AT_TO_SEND = 0,
	AT_SENT,
	AT_STORED,
	AT_REFUSED,
};

struct queue_epoch {
	struct list node;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed blob;
	size_t records; /* in the queue; the newest epoch stays without any */
	unsigned told;  /* a bit for each vault: in this connection */
};

struct queue_owner {
	struct list node; /* of record_queue.owners, while it has records */
	struct list records;
	size_t bytes;
};

struct tap_peer;

struct queue_record {
	struct list of_owner;
	struct list waiting; /* for the answer; in no list: nobody waits */
	struct queue_owner *owner;
	struct queue_epoch *epoch;
	struct session_index index;
	struct sealed blob;
	uint64_t place; /* in the queue */
	int64_t taken_ns;
	struct tap_peer *peer; /* who waits */
	bool is_stored;        /* by as many as are demanded */
	uint32_t number;       /* of the tap's message */
	uint8_t at[COLLECTOR_VAULTS_MAX];
	uint8_t epoch_tries[COLLECTOR_VAULTS_MAX];
	uint32_t request[COLLECTOR_VAULTS_MAX]; /* under which it was sent */
};

struct record_queue {
	struct queue_record **ring; /* @room places, a power of two */
	size_t room;
	uint64_t first, next; /* places in use: [first, next) */
	size_t records, bytes, max_bytes;
	struct list owners, epochs;
};

void record_queue_init(struct record_queue *q, size_t max_bytes);
void record_queue_deinit(struct record_queue *q);
void queue_owner_init(struct queue_owner *o);

/* The newest epoch from now on; takes the blob on success. 0 or -ENOMEM. */
int record_queue_epoch(struct record_queue *q, const uint8_t id[EPOCH_ID_BYTES],
		       struct sealed *io_blob);
/* NULL: none has begun. */
struct queue_epoch *record_queue_newest(const struct record_queue *q);
/* Who has to go before @bytes more have room. NULL: nobody. */
struct queue_record *record_queue_crowded(const struct record_queue *q, size_t bytes);
/* Adds a record of the newest epoch; takes the blob on success. 0 or -ENOMEM. */
int record_queue_add(struct record_queue *q, struct queue_owner *o, struct sealed *io_blob,
		     const struct session_index *index, struct queue_record **ret);
/* Frees it, and its epoch when that was the last one of an old one. */
void record_queue_remove(struct record_queue *q, struct queue_record *r);
/* NULL: it is no longer there. */
struct queue_record *record_queue_at(const struct record_queue *q, uint64_t place);
/* All of @from belongs to @to from now on. */
void record_queue_inherit(struct record_queue *q, struct queue_owner *from, struct queue_owner *to);

#endif
