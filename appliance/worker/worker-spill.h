/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-spill: moves the older part of long logs out of a worker's memory, into the store.
 *
 * One batch at a time is under way. Its bytes stay in the flows' own logs until the store
 * says that it has them; so a module never sees a hole, and what the store refuses is where it
 * was: the log then ends at the ceiling of the buffers, as if there were no store. Nothing
 * is waited for.
 */
#ifndef APPLIANCE_WORKER_SPILL_H
#define APPLIANCE_WORKER_SPILL_H

#include "store/store.h"
#include "watch/watch.h"

struct worker_config;

struct worker_spill {
	const struct worker_config *cfg;
	struct store_batch batch;
	struct list under_way; /* flows with parts in the batch that was submitted last */
	bool submitted;        /* and not answered */
	uint64_t number;       /* of that batch */
	uint64_t next_id;
	int64_t flushed_ns;
	uint64_t refused; /* flows whose log gets no longer in the store */
};

void worker_spill_init(struct worker_spill *s, const struct worker_config *cfg);
void worker_spill_deinit(struct worker_spill *s);

/* Once per interval: hears of the last batch, and sends the next. */
void worker_spill_flush(struct worker_spill *s, struct watch *w, int64_t now_ns);
/* A flow goes: what the store has of it goes too. */
void worker_spill_closed(struct worker_spill *s, struct jeebs_flow *jf);
/* For watch_hooks.spilled. */
void worker_spill_open(const struct worker_spill *s, const struct jeebs_flow *jf,
		       struct spilled *ret);

#endif
