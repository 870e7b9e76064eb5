/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * harness-join: one harness_resume(). harness-join.c steps through it, harness-ops.c is what the
 * module may do meanwhile, and harness.c has the live half.
 */
#ifndef SDK_HARNESS_JOIN_H
#define SDK_HARNESS_JOIN_H

#include "harness.h"

void harness_violation(struct harness *h, const char *what);
/* The length of the next chunk of @n bytes. */
size_t harness_chunk(struct harness *h, const struct harness_chunks *c, size_t n);
/* Fills in the cut for plan and resume. */
void harness_set_cut(struct harness *h);

/* State of one harness_resume(). */
struct harness_run {
	const struct harness_backend *backend;
	const struct harness_client *client; /* NULL: the client says only what is in `more` */
	struct harness_channel main;
	bool bounded;   /* a bound has ended the run, perhaps within an event */
	bool disturbed; /* something happened at the backend: its other connections may speak */
	uint32_t alive; /* channels, without the main one, that are not gone */
};

static inline bool harness_is_main(const struct harness_channel *c)
{
	return c->kind == HARNESS_MAIN;
}

static inline struct jeebs_join *harness_opaque(struct harness_channel *c)
{
	return (struct jeebs_join *)(void *)c;
}

extern const struct jeebs_join_ops harness_ops;

/* Whether nothing can happen on the channel any more. */
bool harness_over(const struct harness_channel *c);
/* Ends the run, because a bound was reached. */
void harness_bound(struct harness_channel *c);
void harness_append(struct harness_channel *c, struct buf *to, struct bytes b);

void harness_init_channel(struct harness_channel *c, struct harness *h, enum harness_kind kind);
/* Makes a channel. NULL: there are too many, or the main one is over. */
struct harness_channel *harness_new_channel(struct harness *h, enum harness_kind kind);
/* Frees the memory that the module was given for the channel. */
void harness_memory_free(struct harness_channel *c);

#endif
