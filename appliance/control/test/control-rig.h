/* SPDX-License-Identifier: GPL-3.0-or-later */
/* control-rig: ops that note what they are asked, a socket with them behind it, and a client. */
#ifndef CONTROL_TEST_CONTROL_RIG_H
#define CONTROL_TEST_CONTROL_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/types.h>

#include "control/control.h"

/* What the ops were asked, and what they answer. */
struct asked {
	char last[200];
	uid_t uid;
	size_t connections;
	bool huge; /* connections: one text as long as the longest reply */
	const char *state;
};

extern const struct control_ops control_rig_ops; /* their ctx is a struct asked */

/* A copy of it, taken when its thread is not writing. */
struct asked control_rig_asked(const struct asked *a);
void assert_asked(const struct asked *a, const char *expected);
void set_state(struct asked *a, const char *text);
void set_connections(struct asked *a, size_t n);

struct fixture {
	char folder[64], path[96];
	struct asked asked;
	struct control *control;
};

/* *state becomes a struct fixture, whose socket is open. */
int control_rig_setup(void **state);
int control_rig_teardown(void **state);

int control_rig_connect(const char *path);
void control_rig_send(int fd, const char *text);
/* One line, without its newline; NULL at the end of the stream. */
char *control_rig_receive(int fd);
void assert_receive(int fd, const char *expected);
void assert_end(int fd);

#define ERROR(code) "{\"api\":1,\"ok\":false,\"error\":{\"code\":\"" code "\",\"message\":\""
#define DONE(data)  "{\"api\":1,\"ok\":true,\"data\":" data

#endif
