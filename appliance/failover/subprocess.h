/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * subprocess: starts a program as a child that has nothing of ours but what it is given: three
 * standard descriptors, no other; no signal blocked or ignored; a process group of its own, so that
 * what it starts can be killed with it. Its standard input is /dev/null.
 */
#ifndef APPLIANCE_SUBPROCESS_H
#define APPLIANCE_SUBPROCESS_H

#include <sys/types.h>

struct subprocess {
	const char *program; /* a path */
	char *const *argv;
	char *const *envp;
	int out, err; /* borrowed; -1: /dev/null; err is not STDOUT_FILENO */
};

/* 0 or negative errno (-ENOENT: no such program). */
int subprocess_start(const struct subprocess *s, pid_t *ret);

#endif
