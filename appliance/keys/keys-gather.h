/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-gather: the keys of many sessions at once, for one reason: which records the vaults have of
 * them, fetched by one errand to each vault, opened by the threads of keys-unseal. Pure: time is an
 * argument, vaults and threads are the owner's.
 *
 * Where an operator has to approve, nothing is fetched before he has. The time that a want has
 * begins then.
 *
 * What one vault does not have, refuses, keeps for itself too long or loses with its connection,
 * and what the opener refuses of it, is asked of the next one that has the record. While there is a
 * next one, a vault has half of the time that is left. Nobody waits for a vault that is not
 * connected.
 *
 * A session comes back as soon as all that was found of it is open, or has a reason why it is not;
 * so nobody waits for the keys of others. At its deadline the rest of a want comes back. What is
 * opened after that is released at once.
 */
#ifndef APPLIANCE_KEYS_GATHER_H
#define APPLIANCE_KEYS_GATHER_H

#include "keys-approval.h"
#include "keys-unseal.h"
#include "keys-vault.h"

struct keys_got {
	struct keys_handle handle; /* the want's owner's, to release */
	struct opened opened;      /* views into the slot: only while it is in use */
};

/* Of one session. */
struct keys_found {
	struct keys_got *got; /* in the order of keys_index_find() */
	size_t n;
	/* 0: all that the vaults have of the session is there. Else why the newest that is not
	 * there is not: enum keys_reason. TLS needs one. */
	int reason;
};

/* The caller's, and stays until keys_gather_over(). */
struct keys_want {
	const struct keys_session *sessions;
	size_t n;
	enum vault_reason reason;
	const char *text;     /* for the audit log */
	const char *failover; /* NULL: nobody has to approve */
	int64_t budget_ns;
	int64_t now_ns; /* CLOCK_REALTIME at keys_gather_new() */
	int64_t max_age_ns;
	/*
	 * Called by keys_gather_step(), once for each session. What is in @found is the owner's
	 * from then on: handles to release, and `got` to free.
	 */
	void (*found)(struct keys_want *w, size_t session, struct keys_found *found);
	/* Called once, behind the last of these. */
	void (*done)(struct keys_want *w);
	void *ctx;
};

/* All must stay. */
struct keys_gather_config {
	const struct keys_index *index;
	struct keys_vault *vault[KEYS_VAULTS_MAX];
	unsigned vaults;
	struct opener *opener;
	struct keys_arena *arena;
	struct keys_approval *approval;                      /* NULL: no want names a failover */
	void (*post)(void *ctx, struct keys_unseal_task *t); /* as keys_unseal_post() */
	void *ctx;
};

struct keys_gather;

/* 0 or -ENOMEM. Nothing happens before the first step. @now_ns here and below: CLOCK_MONOTONIC. */
int keys_gather_new(const struct keys_gather_config *c, struct keys_want *w, int64_t now_ns,
		    struct keys_gather **ret);
/* Goes on. After frames and ticks of the vaults, tasks that are back, decisions of the operator,
 * and when keys_gather_next_ns() has come. */
void keys_gather_step(struct keys_gather *g, int64_t now_ns);
/* INT64_MAX: not by time. */
int64_t keys_gather_next_ns(const struct keys_gather *g);
/* A task that was posted is back. Returns whose it was. */
struct keys_gather *keys_gather_back(struct keys_unseal_task *t);
/* The want is back, and neither vaults nor threads have anything of it. */
bool keys_gather_over(const struct keys_gather *g);
/* Only when it is over, or before the first step. */
void keys_gather_free(struct keys_gather *g);

#endif
