/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-family: connections of a takeover that must be decided together.
 *
 * A main connection whose module expects others waits until each of the living others has answered
 * or was given up. Then its plan is made with all of them in sight (takeover.h). Pure; belongs to
 * the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_FAMILY_H
#define APPLIANCE_FAILOVER_FAMILY_H

#include "watch/takeover.h"

struct family {
	uint64_t key; /* worker and flow of the main connection */
	struct takeover_item *main;
	struct list others;    /* items that came before the main one */
	uint32_t expected, in; /* how many others there are; how many have come */
};

/* All zero is a valid empty table. */
struct family_table {
	struct family *v; /* by key */
	uint32_t n, cap;
	uint32_t waiting; /* items held in this table */
};

void family_deinit(struct family_table *t); /* frees the items that still wait */
/*
 * Announces one more related connection, @item. Called before family_sort(). Returns 0 or -ENOMEM.
 */
int family_expect(struct family_table *t, const struct takeover_item *item);
void family_sort(struct family_table *t);

/*
 * Takes an item that is READY or GONE. Returns the item to be settled now: @item itself if it has
 * no family; the main one with its others (takeover_item.others) if @item was the last of its
 * family; otherwise NULL.
 */
struct takeover_item *family_add(struct family_table *t, struct takeover_item *item);
/*
 * No more items will come: returns the next one that waits. It is a main connection with the others
 * that have come, or another one without its main. NULL: none is left.
 */
struct takeover_item *family_give_up(struct family_table *t);

#endif
