/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * talk: a conversation up to the cut, and a backup that answers from a table: for test-ftp*.c.
 */
#ifndef FTP_TEST_TALK_H
#define FTP_TEST_TALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "recovery-modules/ftp/ftp.h"
#include "recovery-modules/harness/harness.h"

#define FILE_N 200000

extern struct jeebs_service service;
extern struct harness_options options;
extern uint8_t file[FILE_N];

/* Resets the variables above, before each test. */
int setup(void **state);

struct talk {
	struct harness h, data;
	bool has_data; /* there is a data connection, between ports 4001 and 5001 */
	struct jeebs_plan plan;
};

void begin(struct talk *t);
void end(struct talk *t);
void client(struct talk *t, const char *s);
void server(struct talk *t, const char *s);
/* Logs in as "me" with the password "it". */
void login(struct talk *t);
struct harness *open_data(struct talk *t);
void plan(struct talk *t);
void planned(struct talk *t, uint32_t verdict, const char *reason);

struct answer {
	const char *command, *reply;
};

struct backup {
	const struct answer *answers; /* used before the usual answers; ends with a NULL */
	struct buf in;
	const char *greeting; /* NULL: the usual one */
	bool greeted;
	const char *fails_after; /* this command, the connection is reset */
	struct bytes content;    /* what it sends on its data connection */
	bool content_sent, content_ends, connected;
	struct buf got; /* what it gets there */
	bool got_end;
	char asked[1024]; /* every command, each followed by '|' */
};

/* Resumes; the client goes on to say @more. */
void resume(struct talk *t, struct backup *b, const char *more);
/* The same, but the client speaks when it has received something. */
void resume_answering(struct talk *t, struct backup *b, const char *more);
/* Expects what the client got on the control connection. */
void got(struct talk *t, const char *s);

#endif
