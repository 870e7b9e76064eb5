/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flow-table: where the flows of one worker live, and the index to find them.
 *
 * Flows sit in slabs: their addresses never change, a freed one is used again.
 * The index is open addressing with linear probing over entries that carry the
 * hash, so that a look-up touches one line of the index and the flow. Both grow
 * with use; slabs are given back only at the end.
 */
#ifndef CAPTURE_FLOW_TABLE_H
#define CAPTURE_FLOW_TABLE_H

#include "flow.h"
#include "base/siphash.h"

#define FLOW_SLAB 64

struct flow_key {
	struct endpoint server, client;
};

struct flow_table {
	struct flow_entry {
		uint64_t hash;
		struct flow *flow; /* NULL: the entry is free */
	} * entry;
	uint32_t mask; /* entries - 1 */
	uint32_t count, max;
	struct flow **slab;
	uint32_t slab_count, slab_room;
	struct flow *free; /* free places, linked through `user` */
	struct siphash_key key;
	uint32_t next_id;
};

/* Returns 0 or -ENOMEM. */
int flow_table_init(struct flow_table *t, uint32_t max, const struct siphash_key *key);
void flow_table_deinit(
	struct flow_table *t); /* the flows must have been removed or be plain memory */

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k);
struct flow *flow_table_find(const struct flow_table *t, const struct flow_key *k, uint64_t hash);
/* The next flow with the same key after @f; there may be several. */
struct flow *flow_table_twin(const struct flow_table *t, const struct flow *f);
/*
 * Returns a zeroed flow with its key, hash and id. NULL: the ceiling is reached, or there is no
 * memory.
 */
struct flow *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash);
void flow_table_remove(struct flow_table *t, struct flow *f);

/* The flow at place @i of all slabs, or NULL when it is free. @i is below flow_table_places(). */
struct flow *flow_table_at(const struct flow_table *t, uint32_t i);
uint32_t flow_table_places(const struct flow_table *t);

#endif
