/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-probed: the clients a takeover has probed, and which of them have been
 * dealt with. Pure; belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_PROBED_H
#define APPLIANCE_FAILOVER_PROBED_H

#include "watch/takeover.h"
#include "tcprepair/tcprepair.h"

struct probed {
	uint64_t key; /* worker and flow */
	struct snapshot snapshot;
	const struct watch_service *service;
	bool handshake_only; /* see takeover_item */
	bool held;           /* the guard, open, still drops its packets */
	bool done;
};

/* All zero is a valid empty table. */
struct probed_table {
	struct probed *entry;
	uint32_t count, cap;
	uint32_t outstanding; /* entries not done */
	uint32_t *index;      /* open addressing: position + 1; 0 is empty */
	uint32_t index_mask;
};

void probed_deinit(struct probed_table *t);
/* Before probed_index(). 0 or -ENOMEM. */
int probed_add(struct probed_table *t, const struct takeover_item *item);
/* After the last probed_add(), before the first probed_done(). 0 or -ENOMEM. */
int probed_index(struct probed_table *t);
/*
 * The flow of this item is dealt with: its entry. An unknown one, or a second time, is nothing:
 * NULL. Without the index (no memory) it is searched for.
 */
const struct probed *probed_done(struct probed_table *t, const struct takeover_item *item);
/*
 * Into @ret those who are not done, at most @max, and marks them as held; nobody else is. Those
 * come last that have perhaps never been connections: a flood makes any number of them. Returns
 * how many there are.
 */
uint32_t probed_hold(struct probed_table *t, struct guard_flow *ret, uint32_t max);

#endif
