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
	struct join *channel; /* NULL: there is none, or none any more */
	/* The logs, while there is no channel; otherwise they are in the channel. */
	struct span log[2];
	void *state;
	void *ctx;
	void (*state_free)(void *ctx, void *state);
};

struct join_family {
	struct join *main;
	struct list channels; /* by struct join.sibling, the oldest first */
	uint32_t channel_n;
	uint32_t related_n;
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct join_relation relation[JEEBS_EXPECT_MAX];
};

/*
 * The main join of the conversation: its module is called and its id reported. For a join without
 * family it is the join itself.
 */
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
 * Gives the main join @j the related connections of @r, and shows them in its cut. Only for a
 * request that has some. Returns 0, -ENOMEM or -EINVAL; after an error the caller owns everything.
 */
int join_family_init(struct join *j, const struct join_request *r);
/* Undoes join_family_init(): the caller owns again what it had taken. */
void join_family_give_back(struct join *j);
/* Assigns all joins of the conversation to the thread @t. */
void join_family_move(struct join *j, struct join_thread *t);
/* Starts the channels. Called after JEEBS_EV_START. */
void join_family_start(struct join *j);

/*
 * Makes a new channel, in the loop, with neither client nor backend. It counts as active. NULL: a
 * ceiling was reached.
 */
struct join *join_family_add(struct join *main);
/* Called when a channel has ended: the module has no handle of it any more. */
void join_family_remove(struct join *channel);
/* Aborts every channel. */
void join_family_abort(struct join *main, const char *reason);
/* Frees the related connections' logs: the module does not read its cut any more. */
void join_family_let_logs_go(struct join *main);
/*
 * Frees the family together with the main join, after the module's state. No channel may be left.
 */
void join_family_free(struct join *main);

#endif
