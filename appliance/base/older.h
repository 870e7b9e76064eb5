/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * older: the part of a log that is not in memory any more, and a way to read it.
 *
 * A view of bytes that somebody else holds, as they were when it was opened: [from, end) of one
 * direction without a hole, where the log in memory begins at end. Reading needs no lock and
 * what was read stays where it is until older_free(); any thread may read.
 */
#ifndef APPLIANCE_OLDER_H
#define APPLIANCE_OLDER_H

#include "bytes.h"

struct older {
	void *view;    /* NULL: there is none */
	uint64_t from; /* where it begins */
	/* From @off on, perhaps not all; empty before the beginning and behind the end. */
	struct bytes (*at)(const void *view, uint64_t off);
	void (*free)(void *view);
};

static inline struct bytes older_at(const struct older *o, uint64_t off)
{
	return o->view != NULL ? o->at(o->view, off) : BYTES_NONE;
}

static inline void older_free(struct older *o)
{
	if (o->view != NULL)
		o->free(o->view);
	*o = (struct older){0};
}

#endif
