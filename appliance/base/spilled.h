/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * spilled: the part of a log that went to the store, and a way to read it.
 *
 * A view of bytes that somebody else holds, as they were when it was opened: [from, end) of one
 * direction without a hole, where the log in memory begins at end. Reading needs no lock and
 * what was read stays where it is until spilled_free(); any thread may read.
 */
#ifndef BASE_SPILLED_H
#define BASE_SPILLED_H

#include "bytes.h"

struct spilled {
	void *view;    /* NULL: there is none */
	uint64_t from; /* the offset of the first byte */
	/* Bytes from offset @off on, perhaps fewer than there are. Empty when @off is outside. */
	struct bytes (*at)(const void *view, uint64_t off);
	void (*free)(void *view);
};

static inline struct bytes spilled_at(const struct spilled *s, uint64_t off)
{
	return s->view != NULL && off >= s->from ? s->at(s->view, off) : BYTES_NONE;
}

static inline void spilled_free(struct spilled *s)
{
	if (s->view != NULL)
		s->free(s->view);
	*s = (struct spilled){0};
}

#endif
