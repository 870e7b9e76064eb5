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
	uint32_t flows;       /* live, flow i + 1 */
	uint32_t answer_soon; /* of them: READY before the guard opens */
	uint32_t collected;   /* READY at the end, of the rest */
	uint32_t unwatched;   /* refused without having been asked */
	int guard_error, restore_error, submit_error, release_error;
	int pending_error; /* of the guard, if anybody is to be held back */
	bool no_memory;    /* for the list of who was asked */
	uint32_t families; /* flow i expects flow families + i */
	bool related_refused, main_refused, main_gone;
	bool main_missing; /* the others' main connections are none of these */
	uint32_t ended;    /* further ones, of flow 1, that were over before */
	bool ended_alike;  /* and have the tag of the one that lives */
	bool handed;       /* the plans are to hand them to a program */
	bool long_logs;    /* whose beginning is elsewhere */
	bool talking;      /* joins report: see tell() */
	int worker_error;  /* it stands still: what worker_ask() says, then -ETIMEDOUT */
	bool answers;      /* the server does, though it is said to be dead */
	uint32_t behind;   /* so many turns a worker has to read; then it has seen the server */
} world;

/* ---- what was done to it ---- */

extern struct done {
	_Atomic uint32_t related, related_open;
	_Atomic uint32_t frames, restored, abandoned, held, not_held;
	uint32_t pending, releases, released, refused_for[6], told;
	uint32_t adopt_releases, downs, addresses;
	_Atomic uint32_t views, views_given; /* not freed; handed over with the logs */
	bool opened;
	struct failover_summary summary;
	uint32_t finished, all_settled;
	uint32_t ends; /* the worker was told */
	_Atomic uint32_t settled[FATE_COUNT_], aborted;
	struct join_report_to {
		void (*report)(void *ctx, const struct join_report *r);
		void *ctx;
	} joined[FLOWS_MAX];      /* with world.talking: by id */
	uint32_t seen[FLOWS_MAX]; /* outcomes told, by flow */
} done;

/* Whom it is done to. */
extern struct failover_server rig_server;

/* What a worker says of @flow; the rig's inbox takes it. */
struct takeover_item *rig_item(enum takeover_kind kind, uint32_t flow, bool answered);
void rig_put(struct takeover_item *it);

/* Before and after each test. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
#define RIG_TEST(t) cmocka_unit_test_setup_teardown(t, rig_set_up, rig_tear_down)

/* The service is one whose connections a local program takes. */
void rig_with_program(void);
/* The server is to be fenced by that program. */
void rig_with_fence(const char *program);
struct failover_cause rig_cause(void);
/* A takeover, up to the opened guard. */
void rig_begin(void);
/* Late enough for everything that is waited for. */
void rig_step_until_over(void);
/* To the end. Whatever happened: each connection once, and the sums agree. */
void rig_finish(void);
void rig_each_told_once(uint32_t flows);
/* A whole takeover of @count main connections, each with another one; @answer_soon of all. */
void rig_take_families(uint32_t count, uint32_t answer_soon);

#endif
