/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recent: the flows of the newest segments, looked up before the flow table.
 *
 * The table's hash is keyed, because strangers choose its keys, and for each end it must be asked
 * whether it is a service. Both cost more than the rest of finding a flow. A hash without a key is
 * enough here: flows that are made to collide are looked up in the table. Entries contain the whole
 * hash, so that a failed look-up touches no flow. Both directions of a flow share an entry.
 *
 * A flow is in here only if its addresses and ports determine it: just one end is a service, and no
 * other flow (in another VLAN) has the same.
 */
#ifndef CAPTURE_RECENT_H
#define CAPTURE_RECENT_H

#include "decode.h"
#include "flow.h"

#define RECENT_BITS 10

struct recent {
	struct recent_entry {
		uint64_t hash;
		struct flow *flow; /* NULL: the entry is free */
	} entry[1 << RECENT_BITS];
};

/* The same hash for @a and @b in either order. */
static inline uint64_t recent_hash(const struct endpoint *a, const struct endpoint *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a->addr.b, sizeof x);
	memcpy(y, b->addr.b, sizeof y);
	uint64_t h =
		(x[0] ^ y[0] ^ (uint64_t)(a->port ^ b->port) << 32) * UINT64_C(0x9e3779b97f4a7c15) ^
		(x[1] ^ y[1]) * UINT64_C(0xc2b2ae3d27d4eb4f);
	return h ^ h >> 29;
}

static inline struct recent_entry *recent_entry(struct recent *r, uint64_t hash)
{
	return &r->entry[hash >> (64 - RECENT_BITS)];
}

/* Finds the flow of @s and its direction. NULL: it is not here. */
static inline struct flow *recent_find(struct recent *r, const struct segment *s,
				       enum flow_dir *ret_dir)
{
	uint64_t hash = recent_hash(&s->src, &s->dst);
	const struct recent_entry *e = recent_entry(r, hash);
	struct flow *f = e->flow;

	if (!f || e->hash != hash)
		return NULL;
	if (endpoint_eq(&f->server, &s->dst) && endpoint_eq(&f->client, &s->src)) {
		*ret_dir = FLOW_TO_SERVER;
		return f;
	}
	*ret_dir = FLOW_TO_CLIENT;
	return endpoint_eq(&f->server, &s->src) && endpoint_eq(&f->client, &s->dst) ? f : NULL;
}

static inline void recent_note(struct recent *r, struct flow *f)
{
	uint64_t hash = recent_hash(&f->server, &f->client);

	*recent_entry(r, hash) = (struct recent_entry){hash, f};
}

static inline void recent_forget(struct recent *r, const struct flow *f)
{
	struct recent_entry *e = recent_entry(r, recent_hash(&f->server, &f->client));

	if (e->flow == f)
		e->flow = NULL;
}

#endif
