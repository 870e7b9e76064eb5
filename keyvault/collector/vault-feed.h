/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-feed: what one vault still has to get of the queue, what is under way to it, and what its
 * answers mean. Pure: frames in, frames out, time as an argument.
 *
 * Records go in their order, each epoch once in a connection and before its records. A connection
 * that is lost takes what was not answered back into the queue: it is sent again to the next one,
 * and the vault stores it once.
 *
 * Refused, and what then:
 *	full, too-fast, store-failed   later, all of it: after a pause that doubles
 *	no-such-epoch                  again, with its epoch, twice at most
 *	the others                     several: each alone, so that one does not take others along;
 *	                               one alone: that vault will not have it
 */
#ifndef KEYVAULT_VAULT_FEED_H
#define KEYVAULT_VAULT_FEED_H

#include "keyvault/vault/vault-wire.h"
#include "record-queue.h"

#define FEED_RECORDS_MAX  256 /* in one request */
#define FEED_BYTES_MAX    ((size_t)512 << 10)
#define FEED_REQUESTS_MAX 64                  /* under way, before more is sent */
#define FEED_OUT_LOW      ((size_t)256 << 10) /* that much to be sent is enough for now */
#define FEED_EPOCH_TRIES  2
#define FEED_PAUSE_MIN_NS INT64_C(250000000)
#define FEED_PAUSE_MAX_NS INT64_C(8000000000)

struct vault_feed {
	struct record_queue *queue;
	unsigned vault;
	struct buf *out; /* NULL: not connected */
	uint64_t next;   /* the first place that was not looked at in this connection */
	uint32_t request;
	struct list requests; /* under way, oldest first */
	size_t under_way;
	int64_t pause_ns, paused_until_ns;
	uint32_t probe;                   /* request that asks whether it answers; 0: none */
	int64_t probe_ns;                 /* in how much time it did; INT64_MAX: not yet */
	uint64_t refused[VAULT_REFUSALS]; /* requests, by reason */
	struct vault_item item[FEED_RECORDS_MAX];
};

/* A record is stored here, or will never be (r->at says which). It may be freed. */
typedef void (*feed_settled_fn)(void *ctx, struct queue_record *r);

void vault_feed_init(struct vault_feed *f, struct record_queue *q, unsigned vault);
void vault_feed_deinit(struct vault_feed *f);
/* @out must stay until vault_feed_down(). */
void vault_feed_up(struct vault_feed *f, struct buf *out);
void vault_feed_down(struct vault_feed *f);
/* Puts into the queue to the vault what has room there. */
void vault_feed_fill(struct vault_feed *f, int64_t now_ns);
/* 0, or -EPROTO: no answer to anything. */
int vault_feed_answer(struct vault_feed *f, const struct vault_frame *frame, int64_t now_ns,
		      feed_settled_fn settled, void *ctx);
/* When the oldest request without an answer was put; INT64_MAX: there is none. */
int64_t vault_feed_oldest_ns(const struct vault_feed *f);
/*
 * Asks whether it stores, by the newest epoch once more, which it has: .probe_ns tells. False: it
 * has other things to answer, is not connected, or pauses.
 */
bool vault_feed_probe(struct vault_feed *f, int64_t now_ns);
/* Everything before @place has been sent, in this connection or before. */
bool vault_feed_is_past(const struct vault_feed *f, uint64_t place);
/* Marks sessions as over; not sent again when the connection is lost: it is of use, not of need. */
void vault_feed_ended(struct vault_feed *f, const struct vault_place *places, size_t n,
		      int64_t now_ns);

#endif
