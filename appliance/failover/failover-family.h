/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-family: the connections of a takeover that can only be decided together.
 *
 * A main connection whose module expects others waits until each of those that live has
 * answered, or is given up; then its plan is made with all of them in sight (takeover.h).
 * Pure; belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_FAMILY_H
#define APPLIANCE_FAILOVER_FAMILY_H

#include "watch/takeover.h"

struct family {
	uint64_t key; /* worker and flow of the main connection */
	struct takeover_item *main;
	struct list others;    /* items that came before it */
	uint32_t expected, in; /* how many others there are, how many have come */
};

/* All zero is a valid empty table. */
struct family_table {
	struct family *v; /* by key */
	uint32_t n, cap;
	uint32_t waiting; /* items that are held here */
};

void family_deinit(struct family_table *t); /* frees what still waits */
/* One more related connection, of @item, is there. Before family_sort(). 0 or -ENOMEM. */
int family_expect(struct family_table *t, const struct takeover_item *item);
void family_sort(struct family_table *t);

/*
 * An item that is READY or GONE. Returns what is to be dealt with now: @item itself if it
 * is of no family, the main one with its others (takeover_item.others) if it was the
 * last of its family, else NULL: it waits.
 */
struct takeover_item *family_add(struct family_table *t, struct takeover_item *item);
/*
 * Nothing more comes: the next of those that wait, a main connection with the others that have
 * come, or another one without its main. NULL: none is left.
 */
struct takeover_item *family_give_up(struct family_table *t);

#endif
