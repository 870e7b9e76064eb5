/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-spill: moves the beginning of long logs from a worker's memory to the store.
 *
 * One batch at a time is under way. Its bytes stay in the flows' own logs until the store has
 * confirmed them, so a module never sees a hole. If the store refuses a batch, its bytes are still
 * where they were. Such a log then ends at the ceiling of the buffers, as it does without a store.
 * Nothing here waits.
 */
#ifndef APPLIANCE_WORKER_SPILL_H
#define APPLIANCE_WORKER_SPILL_H

#include "store/store.h"
#include "watch/watch.h"

struct worker_config;

struct worker_spill {
	const struct worker_config *cfg;
	struct store_batch batch;
	struct list under_way; /* flows with parts in the batch submitted last */
	bool submitted;        /* ... and not answered yet */
	uint64_t number;       /* of the batch submitted last */
	uint64_t next_id;
	int64_t flushed_ns;
	uint64_t refused; /* flows whose log does not go to the store any more */
};

void worker_spill_init(struct worker_spill *s, const struct worker_config *cfg);
void worker_spill_deinit(struct worker_spill *s);

/* Called once per interval. Takes the answer to the last batch, and submits the next one. */
void worker_spill_flush(struct worker_spill *s, struct watch *w, int64_t now_ns);
/* The flow ends: its parts are deleted from the store. */
void worker_spill_closed(struct worker_spill *s, struct jeebs_flow *jf);
/* Implements watch_hooks.spilled. */
void worker_spill_open(const struct worker_spill *s, const struct jeebs_flow *jf,
		       struct spilled *ret);

#endif
