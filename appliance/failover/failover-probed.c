/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-probed.h"

#include <errno.h>
#include <stdlib.h>

static uint64_t item_key(const struct takeover_item *item)
{
	return (uint64_t)item->worker << 32 | item->flow;
}

static uint32_t key_slot(const struct probed_table *t, uint64_t key)
{
	/* The keys are our own numbers, so multiplicative hashing is enough. */
	return (uint32_t)(key * UINT64_C(0x9e3779b97f4a7c15) >> 32) & t->index_mask;
}

void probed_deinit(struct probed_table *t)
{
	free(t->entry);
	free(t->index);
	*t = (struct probed_table){0};
}

int probed_add(struct probed_table *t, const struct takeover_item *item)
{
	if (t->count == t->cap) {
		uint32_t cap = t->cap ? t->cap * 2 : 256;
		struct probed *p = realloc(t->entry, cap * sizeof *p);
		if (!p)
			return -ENOMEM;
		t->entry = p;
		t->cap = cap;
	}
	t->entry[t->count++] = (struct probed){
		.key = item_key(item),
		.snapshot = item->probe.snapshot,
		.service = item->service,
		.handshake_only = item->probe.handshake_only,
	};
	t->outstanding++;
	return 0;
}

int probed_index(struct probed_table *t)
{
	uint32_t size = 16;

	while (size < t->count * 2)
		size *= 2;
	t->index = calloc(size, sizeof *t->index);
	if (!t->index)
		return -ENOMEM;
	t->index_mask = size - 1;
	for (uint32_t i = 0; i < t->count; i++) {
		uint32_t at = key_slot(t, t->entry[i].key);
		while (t->index[at])
			at = (at + 1) & t->index_mask;
		t->index[at] = i + 1;
	}
	return 0;
}

static struct probed *find(const struct probed_table *t, uint64_t key)
{
	for (uint32_t i = 0; !t->index && i < t->count; i++)
		if (t->entry[i].key == key)
			return &t->entry[i];
	if (!t->index)
		return NULL;
	for (uint32_t at = key_slot(t, key); t->index[at]; at = (at + 1) & t->index_mask)
		if (t->entry[t->index[at] - 1].key == key)
			return &t->entry[t->index[at] - 1];
	return NULL;
}

const struct probed *probed_done(struct probed_table *t, const struct takeover_item *item)
{
	struct probed *a = find(t, item_key(item));

	if (!a || a->done)
		return NULL;
	a->done = true;
	t->outstanding--;
	return a;
}

uint32_t probed_hold(struct probed_table *t, struct guard_flow *ret, uint32_t max)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < t->count; i++)
		t->entry[i].held = false;
	for (int handshake = 0; handshake < 2; handshake++)
		for (uint32_t i = 0; i < t->count && n < max; i++) {
			struct probed *a = &t->entry[i];
			if (a->done || a->handshake_only != (handshake == 1))
				continue;
			a->held = true;
			ret[n++] = (struct guard_flow){a->snapshot.server, a->snapshot.client};
		}
	return n;
}
