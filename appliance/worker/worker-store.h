/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-store: what a worker writes to the store, at most once per interval.
 *
 * Only live connections that changed since the last flush are written, in their current state.
 * Bytes that arrived and were acknowledged in between never reach the store. When the store is
 * behind, the worker keeps its batch and its dirty list: records get older, nothing is lost.
 */
#ifndef APPLIANCE_WORKER_STORE_H
#define APPLIANCE_WORKER_STORE_H

#include "store/store.h"
#include "watch/watch.h"

struct worker_config;

struct worker_store {
	const struct worker_config *cfg;
	struct store_batch batch;
	uint8_t *checkpoint; /* scratch for a module's state */
	size_t checkpoint_cap;
	int64_t flushed_ns;
	uint64_t deferred;      /* intervals in which the store was behind */
	uint64_t cut_short;     /* flushes that left flows to the next one */
	uint64_t record_errors; /* records that could not be made, and deletions that did not fit */
};

void worker_store_init(struct worker_store *s, const struct worker_config *cfg);
void worker_store_deinit(struct worker_store *s);

/* If the interval has passed, hands the changed flows to the store. */
void worker_store_flush(struct worker_store *s, struct watch *w, int64_t now_ns);
/* The flow ends: the next flush deletes its record, if there is one. */
void worker_store_closed(struct worker_store *s, const struct jeebs_flow *jf);

#endif
