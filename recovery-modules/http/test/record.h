/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * record: what the tests of this module share: conversations recorded with
 * the server in memory, and short ways to show bytes and to demand a decision.
 */
#ifndef HTTP_TEST_RECORD_H
#define HTTP_TEST_RECORD_H

#include "recovery-modules/harness/harness.h"
#include "recovery-modules/http/http.h"
#include "server.h"

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define OK_10     "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"

#define STEPS_MAX 32

/* A recorded conversation: its steps in the order of the wire. */
struct step {
	uint32_t dir;
	size_t from, to; /* in stream[dir] */
};

struct record {
	struct buf stream[2];
	struct step steps[STEPS_MAX];
	size_t step_count;
	size_t total; /* of both directions */
	bool closed;  /* the server closes at the end */
};

/* Records requests in this order. One that begins with '+' is sent together with the one before. */
struct record record_new(struct test_server server, const char *const *requests);
void record_free(struct record *r);
/* Five requests, of which four are sent at once. */
extern const char *const record_pipelined[];

/* Shows the harness the first @cut bytes. *ret_more is what the client has not sent by then. */
void feed(struct harness *h, const struct record *r, size_t cut, struct bytes *ret_more);
/* Makes a checkpoint after the first @cut bytes, shown in chunks of @chunk. */
void get_checkpoint(const struct record *r, size_t cut, size_t chunk, struct buf *out);

void to_server(struct harness *h, const char *text);
void to_client(struct harness *h, const char *text);
/* Checks the plan, before and after a checkpoint. */
void assert_plan(struct harness *h, uint32_t verdict, const char *reason);

#endif
