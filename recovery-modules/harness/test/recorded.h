/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recorded: conversations recorded with real servers (conversation.h), cut at every byte and at
 * every end. The module goes on against the oracle made from the same recording, and the test of
 * the module judges what the client got: all that the real server went on to send, or what else
 * this module promises. A test is this driver, the names of module and oracle, and that judgement:
 *
 *	static void check(struct recorded_run *u, struct recorded_count *count) { ... }
 *	static const struct recorded_test test = {
 *		.module = &http_module, .oracle = &http_oracle, .check = check,
 *		.folder = TEST_RECORDINGS, .names = names, .least = 49};
 *	...
 *	struct recorded_count c = recorded_check(&test, &(struct recorded_options){0});
 *	assert_int_equal(c.aborted, 0);
 *
 * A test may bring a backup of its own instead of the oracle (backup): another server than the
 * recorded one.
 *
 * Where the module has a companion a recording is of several connections: cut at every byte of the
 * main one and at some of the others, and cut everywhere at once.
 */
#ifndef HARNESS_TEST_RECORDED_H
#define HARNESS_TEST_RECORDED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buf.h"
#include "jeebs/recovery-oracle.h"
#include "recovery-modules/harness/harness.h"

#define RECORDED_CONNECTIONS 9 /* the main one and others */
#define RECORDED_SAYS        512

/* Counts of cuts by their result. */
struct recorded_count {
	unsigned files, cuts;
	unsigned exact;   /* the client got what the real server went on to send */
	unsigned other;   /* the client got what the module promises otherwise, see test.other */
	unsigned unknown; /* the oracle could not answer */
	unsigned refused, aborted;
};

/* A recorded connection. */
struct recording_connection {
	uint16_t server_port, client_port; /* of a connection other than the main one */
	struct buf all[2];
	bool fin[2];
	/* How much of the server the client had when it had said so much. */
	struct {
		uint64_t said, has;
	} says[RECORDED_SAYS];
	size_t says_n;
	uint64_t fin_has; /* the same when the client, or the server, finished */
};

struct recording {
	const char *name;
	struct buf file;
	struct recording_connection connection[RECORDED_CONNECTIONS];
	unsigned connection_n;
	void *oracle;
	uint64_t unasked; /* the oracle's result */
	size_t size;      /* number of places where it can be cut */
};

struct recorded_options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
	void *ctx;   /* the test's own */
};

/* Small chunks in both directions and of the backup, and short views of the logs. */
#define RECORDED_SMALL_CHUNKS \
	.live = {.max = 11, .seed = 3}, .backend = {.max = 17, .seed = 5}, .view_max = 16

/* One recording, cut at one place. */
struct recorded_run {
	const struct recorded_test *test;
	const struct recorded_options *options;
	const struct recording *recording;
	size_t cut;
	struct harness h;
	/* By number in the recording: how far each connection had come at the cut. */
	struct recorded_connection {
		bool begun;
		uint64_t before[2];
		bool fin[2];
		struct harness companion; /* of a connection other than the main one */
	} connection[RECORDED_CONNECTIONS];
	struct jeebs_plan plan;
	bool unknown; /* the oracle was asked something that it does not know */

	/* Private. */
	unsigned at;   /* the connection that was cut last */
	uint64_t said; /* by the client, from the beginning */
};

struct recorded_test {
	const struct jeebs_module *module;
	const struct jeebs_module *companion; /* NULL: there is only one connection */
	const struct jeebs_oracle *oracle;    /* NULL with a backup of the test's own */
	const char *folder;
	/* Prefixes of the recordings' names, ending with NULL; NULL: all. */
	const char *const *names;
	unsigned least;    /* the least number of recordings */
	const char *other; /* what count.other means, for people */
	size_t step;       /* bytes of other connections between two cuts */

	/* Called after the plan or, if that continues, after the resume. Counts the result and
	 * checks it. */
	void (*check)(struct recorded_run *u, struct recorded_count *count);
	/* Whether the client must wait before it speaks: until it has got what it had got then.
	 * NULL: it speaks at once. */
	bool (*waits)(const struct recorded_run *u);
	/* Another backup, for the connection that goes on now. NULL: the oracle. */
	struct harness_backend (*backup)(struct recorded_run *u);
	/* Another client. NULL: one that says what the recorded client said. */
	struct harness_client (*client)(struct recorded_run *u);
	/* Sets options for this recording. May be NULL. */
	void (*configure)(const char *name, struct harness_options *io);
};

/* Cuts each recording at every place. */
struct recorded_count recorded_check(const struct recorded_test *t,
				     const struct recorded_options *options);

/* What was said from the cut on: as recorded; and what the client got instead. */
struct bytes recorded_rest(const struct recorded_run *u, unsigned connection, uint32_t dir);
struct bytes recorded_got(const struct recorded_run *u);
/* Checks that the client got what the real server went on to send. All of it, unless the
 * connection was reset, or the oracle does not know. */
void recorded_exact(const struct recorded_run *u, struct recorded_count *count);
/* Checks that the connection was not reset, and ends as it did with the real server. */
void recorded_ends(const struct recorded_run *u);
/* Checks that the connection was reset; counts and prints that. */
void recorded_aborted(const struct recorded_run *u, struct recorded_count *count);

bool recorded_contains(struct bytes b, const char *word);

#define RECORDED_FAIL(u, format, ...)                                                              \
	fail_msg("%s: cut at %zu (%s): " format, (u)->recording->name, (u)->cut, (u)->plan.reason, \
		 __VA_ARGS__)

#endif
