/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * subprocess: starts a program as a child that inherits nothing but what it is given. It has three
 * standard descriptors and no other, no signal blocked or ignored, and a process group of its own,
 * so that what it starts can be killed with it. Its standard input is /dev/null.
 */
#ifndef APPLIANCE_SUBPROCESS_H
#define APPLIANCE_SUBPROCESS_H

#include <sys/types.h>

struct subprocess {
	const char *program; /* a path */
	char *const *argv;
	char *const *envp;
	int out, err; /* borrowed; -1: /dev/null; err may not be STDOUT_FILENO */
};

/* Returns 0 or a negative errno (-ENOENT: there is no such program). */
int subprocess_start(const struct subprocess *s, pid_t *ret);

#endif
