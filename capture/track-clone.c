/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A second tracker that goes on from one flow of the first: the drill kills copies. */
#include <errno.h>
#include <stdlib.h>

#include "track-internal.h"

static void copy_facts(struct flow *to, const struct flow *f)
{
	struct flow own = *to;

	*to = *f;
	to->id = own.id;
	to->hash = own.hash;
	to->user = own.user;
	to->dirty = own.dirty;
	to->lru = own.lru;
	to->lru_ns = own.lru_ns;
	to->hole = own.hole;
	to->reuse_syn = NULL;
	to->infer = NULL;
	/* No receiver has confirmed what was set aside, and the server that could is dead. */
	to->aside[0] = to->aside[1] = NULL;
	to->put_off = false;
	to->later = NULL;
	to->pass = NULL;
	to->counted_live = false;
	for (int d = 0; d < 2; d++)
		to->stream[d] = own.stream[d];
	to->needs[0] = to->needs[1] = NULL;
	list_init(&to->dirty);
	list_init(&to->hole);
}

static int copy_memory(struct track *t, struct flow *to, const struct flow *f)
{
	int r = 0;

	if (f->infer) {
		to->infer = malloc(sizeof *to->infer);
		if (!to->infer)
			return -ENOMEM;
		*to->infer = *f->infer;
	}
	for (int d = 0; d < 2 && r == 0; d++)
		r = stream_clone(&to->stream[d], &t->pool, &f->stream[d]);
	return r == 0 ? track_clone_needs(t, to, f) : r;
}

struct flow *track_clone(struct track *to, const struct flow *f)
{
	struct track_place p = {.key = {f->server, f->client}, .service = f->service};

	p.hash = flow_table_hash(&to->table, &p.key);
	if (flow_table_find(&to->table, &p.key, p.hash))
		return NULL;
	struct flow *c = track_open(to, &p, FLOW_SYN_SENT);
	if (!c)
		return NULL;
	copy_facts(c, f);
	if (copy_memory(to, c, f) < 0) {
		track_close(to, c, TRACK_CLOSE_DROPPED);
		return NULL;
	}
	track_set_state(to, c, (enum flow_state)f->state);
	c->lru_ns = f->lru_ns; /* @to may not have seen any time pass yet */
	track_list_hole(to, c);
	track_announce(to, c);
	/* When a module is opened, it asks for less than it has asked for by now. */
	for (int d = 0; d < 2; d++)
		c->keep_asked[d] = f->keep_asked[d];
	return c;
}
