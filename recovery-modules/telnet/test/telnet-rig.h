/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * telnet-rig: a conversation up to the cut, a backup that says its lines, and a client that says
 * more: for test-telnet*.c.
 */
#ifndef TELNET_TEST_TELNET_RIG_H
#define TELNET_TEST_TELNET_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "recovery-modules/harness/harness.h"
#include "recovery-modules/telnet/telnet.h"

#define IAC  "\xff"
#define DONT "\xfe"
#define DO   "\xfd"
#define WONT "\xfc"
#define WILL "\xfb"
#define SB   "\xfa"
#define SE   "\xf0"
#define ECHO "\x01"
#define SGA  "\x03"
#define TT   "\x18"
#define NAWS "\x1f"

#define NOTICE "[moved]"
#define B(s)   bytes_of(s, sizeof(s) - 1)

/* The backup sends a line once it has received what stands before it. */
struct line {
	const char *heard;
	size_t heard_n;
	const char *say;
	size_t say_n;
};
#define LINE(h, s)                                 \
	{                                          \
		h, sizeof(h) - 1, s, sizeof(s) - 1 \
	}

#define GREETING LINE("", IAC WILL ECHO "new login: ")
#define LOGIN    LINE("me\r", "me\r\nPassword: "), LINE("secret\r", "\r\nHello\r\nnew$ ")

extern const struct jeebs_service login_replay, replay_all;

void begin(struct harness *h, const struct jeebs_service *svc);

#define SERVER(h, s) harness_data(h, JEEBS_TO_CLIENT, B(s))
#define CLIENT(h, s) harness_data(h, JEEBS_TO_SERVER, B(s))

/* The user "me" logs in and gets a prompt. */
void log_in(struct harness *h);
/* Asks for the plan, from a checkpoint. */
void expect_plan(struct harness *h, uint32_t verdict, const char *reason);

/* Resumes, and gives the client's bytes @more. The outcome stays in @h. */
void resume(struct harness *h, const struct line *lines, size_t n, struct bytes more);
/* The same, and then the client finishes. */
void resume_finished(struct harness *h, const struct line *lines, size_t n, struct bytes more);
#define RESUME(h, lines, more) resume(h, lines, sizeof(lines) / sizeof((lines)[0]), B(more))

/* The client sends this once it has received so many bytes. */
struct says {
	uint64_t received;
	struct bytes b;
};

void resume_with(struct harness *h, const struct line *lines, size_t n, const struct says *says,
		 size_t says_n);

/* All that the client received. */
void expect_client(struct harness *h, struct bytes want);
#define EXPECT_CLIENT(h, s) expect_client(h, B(s))
void expect_abort(struct harness *h, const char *reason);
bool backend_got(const struct harness *h, const char *word);

#endif
