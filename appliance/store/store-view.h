/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store-view: reads parts of spilled logs in place. A view is an LMDB read transaction. While it is
 * open, the pages it shows are not overwritten, and neither are pages freed since it was opened.
 *
 * Thread-safe. Private to the store.
 */
#ifndef APPLIANCE_STORE_VIEW_H
#define APPLIANCE_STORE_VIEW_H

#include <lmdb.h>
#include <pthread.h>

#include "base/list.h"
#include "base/spilled.h"

#define STORE_VIEWS_MAX 4096 /* views open at the same time */

struct store_views {
	pthread_mutex_t lock;
	struct list open; /* the oldest first */
	uint64_t count;
};

struct store_spilled {
	uint64_t id, from, to;
};

void store_views_init(struct store_views *v);
void store_views_deinit(struct store_views *v);
/* Opens a view as store_view(). */
int store_views_open(struct store_views *v, MDB_env *env, MDB_dbi dbi, struct store_spilled what,
		     struct spilled *ret);
uint64_t store_views_count(struct store_views *v);
/* How long the oldest view has been open; 0: no view is open. */
int64_t store_views_age_ns(struct store_views *v);

#endif
