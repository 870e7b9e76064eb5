/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-batch: changes on their way to the store, in order.
 *
 * A worker fills its own batch and hands it to store_submit(). Records and deletions have
 * separate ceilings, so that many records cannot push out a deletion: a record that does
 * not fit stays in the worker's dirty list and comes with the next batch, a deletion would
 * be forgotten. With `dels_max` at least the number of flows the worker can have plus the
 * records a batch can have, none ever is: each deletion is of a record that was stored or lies in
 * this batch.
 */
#ifndef APPLIANCE_STORE_BATCH_H
#define APPLIANCE_STORE_BATCH_H

#include "base/buf.h"
#include "base/reader.h"
#include "store-format.h"

struct store_batch {
	struct buf ops;
	size_t puts_max_bytes, puts_bytes;
	uint32_t dels_max, dels;
	uint32_t puts;
};

/* @puts_max_bytes is limited to STORE_BATCH_MAX_BYTES. */
#define STORE_BATCH_MAX_BYTES (64u * 1024 * 1024)
void store_batch_init(struct store_batch *b, size_t puts_max_bytes, uint32_t dels_max);
void store_batch_deinit(struct store_batch *b);
/* Empties the batch. */
void store_batch_reset(struct store_batch *b);
static inline bool store_batch_empty(const struct store_batch *b)
{
	return b->puts == 0 && b->dels == 0;
}

/*
 * Adds a record with at most @log_max bytes of each log; the bytes are copied. Returns 0, -ENOBUFS
 * when the batch is full, -ENOMEM, or -EINVAL as store_record_encode(). After an error the batch is
 * as before.
 */
int store_batch_put(struct store_batch *b, const struct store_record *r, size_t log_max);
/*
 * Adds the deletion of a connection's record, which need not exist. Returns 0, -ENOBUFS or -ENOMEM.
 */
int store_batch_del(struct store_batch *b, const struct endpoint *server,
		    const struct endpoint *client);

/*
 * Adds a part of a log whose connection is still watched: [off, off + n) of @s, at most
 * STORE_SPILL_BYTES. @id is the worker's name for the stream. Errors as store_batch_put(), also
 * -EINVAL: @s does not have these bytes.
 */
#define STORE_SPILL_KEY_BYTES 16
/* Together with LMDB's header of 16 bytes this fills whole pages. */
#define STORE_SPILL_BYTES (16 * 4096 - 16)
int store_batch_spill(struct store_batch *b, uint64_t id, const struct span *s, uint64_t off,
		      size_t n);
/*
 * Adds the deletion of the parts of @id that begin before @before. Returns 0, -ENOBUFS or -ENOMEM.
 */
int store_batch_forget(struct store_batch *b, uint64_t id, uint64_t before);

/* One change, as the store reads it from a batch. */
struct store_op {
	bool del;
	/* The key is that of a log's part; with `del`, all parts before it are deleted. */
	bool spill;
	struct bytes key, value;
};

/* Reads the next change of @ops, in the order of their addition. Returns false at the end. */
bool store_batch_next(struct reader *ops, struct store_op *ret);

#endif
