/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * test-failover-rig: a takeover whose workers, network and joins are played (link option --wrap);
 * the order, the pool and the numbers are the real ones.
 */
#ifndef TEST_FAILOVER_RIG_H
#define TEST_FAILOVER_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failover/failover-run.h"

#define FLOWS_MAX 4000

/* ---- what the world does ---- */

extern struct world {
	uint32_t flows;       /* number of live flows; flow i has id i + 1 */
	uint32_t answer_soon; /* how many are READY before the guard opens */
	uint32_t collected;   /* how many of the rest are READY at the end */
	uint32_t unwatched;   /* how many are refused without having been asked */
	int guard_error, restore_error, submit_error, release_error;
	int pending_error; /* error of the guard if packets must be held back */
	bool no_memory;    /* for the list of probed clients */
	uint32_t families; /* flow i expects flow families + i */
	bool related_refused, main_refused, main_gone;
	bool main_missing; /* the main connections of the others are missing */
	uint32_t ended;    /* further connections, expected by flow 1, that had ended before */
	uint32_t sealed;   /* flows up to this id are continued only with their keys; */
	uint32_t huge;     /* unsealing this one takes until it is told to end */
	_Atomic bool huge_ends;
	int64_t probe_timeout_ns;
	bool ended_alike; /* the ended ones have the tag of the living one */
	bool handed;      /* the plans hand the connections to a program */
	bool long_logs;   /* the logs' beginnings are spilled */
	bool talking;     /* joins report, see tell() */
	/* The worker stands still: result of the first worker_ask(), then -ETIMEDOUT. */
	int worker_error;
	bool answers; /* the server answers, although it was declared dead */
	/* Turns that a worker needs to read its rings, in which the server has spoken. */
	uint32_t behind;
} world;

/* ---- what was done to it ---- */

extern struct done {
	_Atomic uint32_t related, related_open;
	_Atomic uint32_t frames, restored, abandoned, held, not_held;
	uint32_t pending, releases, released, refused_for[6], told;
	uint32_t adopt_releases, downs, addresses;
	/* Views that are not freed; views passed on with the logs. */
	_Atomic uint32_t views, views_given;
	bool opened;
	struct failover_summary summary;
	uint32_t finished, all_settled;
	uint32_t ends; /* how often the worker was told */
	_Atomic uint32_t settled[FATE_COUNT_], aborted;
	struct join_report_to {
		void (*report)(void *ctx, const struct join_report *r);
		void *ctx;
	} joined[FLOWS_MAX];       /* with world.talking: by id */
	uint32_t seen[FLOWS_MAX];  /* by flow: outcomes that were reported */
	_Atomic uint32_t unsealed; /* modules that were shown keys */
	uint32_t keys_missing;     /* refused for that */
} done;

/* The server that is taken over. */
extern struct failover_server rig_server;

/* An item of a worker about @flow. The rig's inbox takes it. */
struct takeover_item *rig_item(enum takeover_kind kind, uint32_t flow, bool answered);
void rig_put(struct takeover_item *it);

/* Before and after each test. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
#define RIG_TEST(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

/* Gives the connections of the service to a local program. */
void rig_with_program(void);
/* Keys are lent. */
void rig_with_keys(const struct failover_keys *keys);
/* Has the server fenced by this program. */
void rig_with_fence(const char *program);
struct failover_cause rig_cause(void);
/* Runs a takeover up to the opened guard. */
void rig_begin(void);
/* Steps until so many connections are told. */
void rig_step_until_told(uint32_t connections);
/* Steps with a time late enough for everything that is waited for. */
void rig_step_until_over(void);
/*
 * Runs the takeover to its end. Checks that each connection has one fate, and that the sums agree.
 */
void rig_finish(void);
void rig_each_told_once(uint32_t flows);
/*
 * Takes over @count main connections, each with another one. @answer_soon of all of them answer
 * early.
 */
void rig_take_families(uint32_t count, uint32_t answer_soon);

#endif
