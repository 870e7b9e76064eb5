/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-asked: the clients a takeover has probed, and which of them have been
 * dealt with. Pure; belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_ASKED_H
#define APPLIANCE_FAILOVER_ASKED_H

#include "takeover.h"

struct asked {
	uint64_t key; /* worker and flow */
	struct snapshot snapshot;
	const struct watch_service *service;
	bool done;
};

/* All zero is a valid empty table. */
struct asked_table {
	struct asked *entry;
	uint32_t count, cap;
	uint32_t outstanding; /* entries not done */
	uint32_t *index;      /* open addressing: position + 1; 0 is empty */
	uint32_t index_mask;
};

void asked_deinit(struct asked_table *t);
/* Before asked_index(). 0 or -ENOMEM. */
int asked_add(struct asked_table *t, const struct takeover_item *item);
/* After the last asked_add(), before the first asked_done(). 0 or -ENOMEM. */
int asked_index(struct asked_table *t);
/*
 * The flow of this item is dealt with: true. An unknown one, or a second time, is nothing: false.
 * Without the index (no memory) it is searched for.
 */
bool asked_done(struct asked_table *t, const struct takeover_item *item);

#endif
