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

#define RECORDED_CONNECTIONS 9 /* the main one, and others */
#define RECORDED_SAYS        512

/* What there are so many of. */
struct recorded_count {
	unsigned files, cuts;
	unsigned exact;   /* the client got what the real server went on to send */
	unsigned other;   /* or what the module promises otherwise: test.other */
	unsigned unknown; /* the oracle could not answer */
	unsigned refused, aborted;
};

/* A connection as it was recorded. */
struct recording_connection {
	uint16_t server_port, client_port; /* of one besides the main one */
	struct buf all[2];
	bool fin[2];
	/* When the client had said so much it had got so much of the server. */
	struct {
		uint64_t said, has;
	} says[RECORDED_SAYS];
	size_t says_n;
	uint64_t fin_has; /* and when it, or the server, finished */
};

struct recording {
	const char *name;
	struct buf file;
	struct recording_connection connection[RECORDED_CONNECTIONS];
	unsigned connection_n;
	void *oracle;
	uint64_t unasked; /* as the oracle says */
	size_t size;      /* places where it can be cut */
};

struct recorded_options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
};

/* Both directions in chunks, also of the backup, and short views of the logs. */
#define RECORDED_SMALL_CHUNKS \
	.live = {.max = 11, .seed = 3}, .backend = {.max = 17, .seed = 5}, .view_max = 16

/* One recording, cut once. */
struct recorded_run {
	const struct recorded_test *test;
	const struct recorded_options *options;
	const struct recording *recording;
	size_t cut;
	struct harness h;
	/* Of each connection, by its number in the recording: how far it had come at the cut. */
	struct recorded_connection {
		bool begun;
		uint64_t before[2];
		bool fin[2];
		struct harness companion; /* of one besides the main one */
	} connection[RECORDED_CONNECTIONS];
	struct jeebs_plan plan;
	bool unknown; /* the oracle was asked what it does not know */

	/* Private. */
	unsigned at;   /* the connection that was cut last */
	uint64_t said; /* by the client, from the beginning on */
};

struct recorded_test {
	const struct jeebs_module *module;
	const struct jeebs_module *companion; /* NULL: there is one connection */
	const struct jeebs_oracle *oracle;
	const char *folder;
	const char *const *names; /* of recordings, how they begin; NULL: all. Ends with NULL */
	unsigned least;           /* recordings that there are */
	const char *other;        /* what count.other is, for people */
	size_t step;              /* bytes of other connections between two cuts */

	/* After the plan, and, where it continues, after the module went on. Counts and demands. */
	void (*check)(struct recorded_run *u, struct recorded_count *count);
	/* The client speaks as it spoke: when it has got what it had got then. NULL: at once. */
	bool (*waits)(const struct recorded_run *u);
	/* Another client; NULL: one that says what it said. */
	struct harness_client (*client)(struct recorded_run *u);
	/* What else is configured for this recording; may be NULL. */
	void (*configure)(const char *name, struct harness_options *io);
};

/* Each recording, cut everywhere. */
struct recorded_count recorded_check(const struct recorded_test *t,
				     const struct recorded_options *options);

/* What was said from the cut on, as recorded, and what the client got instead. */
struct bytes recorded_rest(const struct recorded_run *u, unsigned connection, uint32_t dir);
struct bytes recorded_got(const struct recorded_run *u);
/* It got what the real server went on to send: all of it, but where it was reset, or the oracle
 * does not know. */
void recorded_exact(const struct recorded_run *u, struct recorded_count *count);
/* It was not reset, and ends as the real server did. */
void recorded_ends(const struct recorded_run *u);
/* It was reset: counts and tells it. */
void recorded_aborted(const struct recorded_run *u, struct recorded_count *count);

bool recorded_contains(struct bytes b, const char *word);

#define RECORDED_FAIL(u, format, ...)                                                              \
	fail_msg("%s: cut at %zu (%s): " format, (u)->recording->name, (u)->cut, (u)->plan.reason, \
		 __VA_ARGS__)

#endif
