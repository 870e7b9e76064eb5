/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-family: the connections of one conversation.
 *
 * A main join, as it was submitted, and its channels: related connections that were restored
 * with it, and those the module opened. Each is a join with two sides, in the same thread.
 * The module and its state are the main one's; so it stays, without sockets, until the last of its
 * channels has ended, and reports its end then. Most joins are alone: they have no family.
 */
#ifndef APPLIANCE_JOIN_FAMILY_H
#define APPLIANCE_JOIN_FAMILY_H

#include "join-conn.h"

struct join_relation {
	struct join *channel;   /* NULL: there is none (any more) */
	struct join_log log[2]; /* while there is none: then they are the channel's */
	void *state;
	void *ctx;
	void (*state_free)(void *ctx, void *state);
};

struct join_family {
	struct join *main;
	struct list channels; /* by struct join.sibling, oldest first */
	uint32_t channel_n;
	uint32_t related_n;
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct join_relation relation[JEEBS_EXPECT_MAX];
};

/* The one whose module is told and whose id is reported; itself, where it is no channel. */
static inline struct join *join_main(struct join *j)
{
	return j->family != NULL ? j->family->main : j;
}

static inline bool join_is_channel(const struct join *j)
{
	return j->family != NULL && j->family->main != j;
}

/* How many joins a request makes. */
uint32_t join_family_size(const struct join_request *r);
/*
 * Gives the main join @j the relations of @r, and shows them in its cut. 0; -ENOMEM, -EINVAL:
 * then nothing was taken. Not needed for a request without.
 */
int join_family_init(struct join *j, const struct join_request *r);
/* Takes back what join_family_init() took: somebody else owns it again. */
void join_family_give_back(struct join *j);
/* All of them belong to @t. */
void join_family_move(struct join *j, struct join_thread *t);
/* After JEEBS_EV_START. */
void join_family_start(struct join *j);

/* A new channel in the loop, with neither client nor backend; counted. NULL: at a ceiling. */
struct join *join_family_add(struct join *main);
/* It has ended: no handle leads to it any more. */
void join_family_remove(struct join *channel);
/* Aborts every channel. */
void join_family_abort(struct join *main, const char *reason);
/* The cut of the main one is not read any more. */
void join_family_let_logs_go(struct join *main);
/* With the main one, after its state. No channel is left. */
void join_family_free(struct join *main);

#endif
