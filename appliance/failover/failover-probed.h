/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-probed: the clients that a takeover has probed, and which of them are settled. Pure;
 * belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_PROBED_H
#define APPLIANCE_FAILOVER_PROBED_H

#include "watch/takeover.h"
#include "tcprepair/tcprepair.h"

struct probed {
	uint64_t key; /* worker and flow */
	struct snapshot snapshot;
	const struct watch_service *service;
	bool handshake_only; /* as in takeover_item */
	bool held;           /* the open guard still drops its packets */
	bool done;
};

/* All zero is a valid empty table. */
struct probed_table {
	struct probed *entry;
	uint32_t count, cap;
	uint32_t outstanding; /* entries that are not done */
	uint32_t *index;      /* open addressing: position + 1; 0: empty */
	uint32_t index_mask;
};

void probed_deinit(struct probed_table *t);
/* Adds the client of an item. Called before probed_index(). Returns 0 or -ENOMEM. */
int probed_add(struct probed_table *t, const struct takeover_item *item);
/*
 * Builds the index, after the last probed_add() and before the first probed_done(). Returns 0 or
 * -ENOMEM.
 */
int probed_index(struct probed_table *t);
/*
 * Marks the flow of this item as settled and returns its entry. NULL: it is unknown, or was settled
 * before. Without the index (no memory) the entries are searched.
 */
const struct probed *probed_done(struct probed_table *t, const struct takeover_item *item);
/*
 * Writes the clients that are not settled to @ret, at most @max, and marks exactly these as held.
 * Clients that may never have been connected come last, because a flood can make any number of
 * them. Returns how many there are.
 */
uint32_t probed_hold(struct probed_table *t, struct guard_flow *ret, uint32_t max);

#endif
