/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-view: parts of spilled logs, read where they lie. A view is a read transaction of its own;
 * what it shows cannot be overwritten while it is open, and neither can what was freed since.
 *
 * Thread-safe. Of the store's own files alone.
 */
#ifndef APPLIANCE_STORE_VIEW_H
#define APPLIANCE_STORE_VIEW_H

#include <lmdb.h>
#include <pthread.h>

#include "base/list.h"
#include "base/spilled.h"

#define STORE_VIEWS_MAX 4096 /* open at once */

struct store_views {
	pthread_mutex_t lock;
	struct list open; /* oldest first */
	uint64_t count;
};

struct store_spilled {
	uint64_t id, from, to;
};

void store_views_init(struct store_views *v);
void store_views_deinit(struct store_views *v);
/* See store_view(). */
int store_views_open(struct store_views *v, MDB_env *env, MDB_dbi dbi, struct store_spilled what,
		     struct spilled *ret);
uint64_t store_views_count(struct store_views *v);
/* How long the oldest has been open; 0: none is. */
int64_t store_views_age_ns(struct store_views *v);

#endif
