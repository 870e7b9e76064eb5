/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "flow-table.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#define ENTRIES_MIN 256

_Static_assert(offsetof(struct flow, server) == offsetof(struct flow_key, server) &&
		       offsetof(struct flow, client) == offsetof(struct flow_key, client) &&
		       sizeof(struct flow_key) == 40,
	       "a flow begins with its key, without holes");

int flow_table_init(struct flow_table *t, uint32_t max, const struct siphash_key *key)
{
	*t = (struct flow_table){.max = max, .key = *key, .mask = ENTRIES_MIN - 1};
	t->entry = calloc(ENTRIES_MIN, sizeof t->entry[0]);
	return t->entry ? 0 : -ENOMEM;
}

void flow_table_deinit(struct flow_table *t)
{
	for (uint32_t i = 0; i < t->slab_count; i++)
		free(t->slab[i]);
	free(t->slab);
	free(t->entry);
	*t = (struct flow_table){0};
}

uint64_t flow_table_hash(const struct flow_table *t, const struct flow_key *k)
{
	return siphash13(k, sizeof *k, &t->key);
}

static struct flow *find_from(const struct flow_table *t, uint32_t i, const void *k, uint64_t hash)
{
	for (; t->entry[i].flow; i = (i + 1) & t->mask) {
		if (t->entry[i].hash == hash &&
		    memcmp(t->entry[i].flow, k, sizeof(struct flow_key)) == 0)
			return t->entry[i].flow;
	}
	return NULL;
}

struct flow *flow_table_find(const struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	return find_from(t, (uint32_t)hash & t->mask, k, hash);
}

static uint32_t entry_of(const struct flow_table *t, const struct flow *f)
{
	uint32_t i = (uint32_t)f->hash & t->mask;

	while (t->entry[i].flow != f) {
		assert(t->entry[i].flow);
		i = (i + 1) & t->mask;
	}
	return i;
}

struct flow *flow_table_twin(const struct flow_table *t, const struct flow *f)
{
	return find_from(t, (entry_of(t, f) + 1) & t->mask, f, f->hash);
}

static void put(struct flow_entry *entry, uint32_t mask, uint64_t hash, struct flow *f)
{
	uint32_t i = (uint32_t)hash & mask;

	while (entry[i].flow)
		i = (i + 1) & mask;
	entry[i] = (struct flow_entry){hash, f};
}

/* Keeps the index at most half full. */
static int grow_index(struct flow_table *t)
{
	if (t->count < (t->mask + 1) / 2)
		return 0;

	uint32_t mask = t->mask * 2 + 1;
	struct flow_entry *bigger = calloc((size_t)mask + 1, sizeof *bigger);
	if (!bigger)
		return -ENOMEM;
	for (uint32_t i = 0; i <= t->mask; i++) {
		if (t->entry[i].flow)
			put(bigger, mask, t->entry[i].hash, t->entry[i].flow);
	}
	free(t->entry);
	t->entry = bigger;
	t->mask = mask;
	return 0;
}

static int grow_slabs(struct flow_table *t)
{
	if (t->slab_count == t->slab_room) {
		uint32_t room = t->slab_room ? t->slab_room * 2 : 16;
		struct flow **bigger = realloc(t->slab, room * sizeof t->slab[0]);
		if (!bigger)
			return -ENOMEM;
		t->slab = bigger;
		t->slab_room = room;
	}

	struct flow *slab = calloc(FLOW_SLAB, sizeof *slab);
	if (!slab)
		return -ENOMEM;
	t->slab[t->slab_count++] = slab;
	for (int i = FLOW_SLAB - 1; i >= 0; i--) {
		slab[i].user = t->free;
		t->free = &slab[i];
	}
	return 0;
}

struct flow *flow_table_add(struct flow_table *t, const struct flow_key *k, uint64_t hash)
{
	if (t->count >= t->max || grow_index(t) < 0)
		return NULL;
	if (!t->free && grow_slabs(t) < 0)
		return NULL;

	struct flow *f = t->free;
	t->free = f->user;
	memset(f, 0, sizeof *f);
	f->server = k->server;
	f->client = k->client;
	f->hash = hash;
	if (++t->next_id == 0)
		t->next_id = 1;
	f->id = t->next_id;
	put(t->entry, t->mask, hash, f);
	t->count++;
	return f;
}

/*
 * Closes the hole at @i, so that no probe sequence is interrupted (Knuth, TAOCP 6.4, algorithm R).
 */
static void close_hole(struct flow_table *t, uint32_t i)
{
	for (uint32_t j = (i + 1) & t->mask; t->entry[j].flow; j = (j + 1) & t->mask) {
		uint32_t home = (uint32_t)t->entry[j].hash & t->mask;
		if (((j - home) & t->mask) >= ((j - i) & t->mask)) {
			t->entry[i] = t->entry[j];
			i = j;
		}
	}
	t->entry[i] = (struct flow_entry){0};
}

void flow_table_remove(struct flow_table *t, struct flow *f)
{
	close_hole(t, entry_of(t, f));
	f->id = 0;
	f->user = t->free;
	t->free = f;
	t->count--;
}

uint32_t flow_table_places(const struct flow_table *t)
{
	return t->slab_count * FLOW_SLAB;
}

struct flow *flow_table_at(const struct flow_table *t, uint32_t i)
{
	struct flow *f = &t->slab[i / FLOW_SLAB][i % FLOW_SLAB];

	return f->id ? f : NULL;
}
