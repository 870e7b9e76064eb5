/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fence: calls the operator's program that silences a dead server for good
 * (switch port off, power off) before its address moves.
 *
 * The program gets its configured arguments and, in its environment,
 * JEEBS_SERVER, JEEBS_ADDRESS and JEEBS_REASON. Its output goes to our stderr.
 * It succeeded when it exits 0 within the time limit; beyond it, its whole
 * process group is killed. Nobody waits for it: see fence.pidfd.
 */
#ifndef APPLIANCE_FENCE_H
#define APPLIANCE_FENCE_H

#include <stdint.h>
#include <sys/types.h>

enum fence_outcome {
	FENCE_OK = 0,
	FENCE_RUNNING = 1,
	FENCE_FAILED = 2,  /* exit code other than 0, or a signal */
	FENCE_TIMEOUT = 3, /* killed */
};

struct fence {
	pid_t pid;           /* 0: it has ended */
	int pidfd;           /* readable when it has ended; -1: ended, or before Linux 5.3 */
	int64_t deadline_ns; /* CLOCK_MONOTONIC */
	int status;          /* as from waitpid, once ended */
};

/* Starts the program. 0 or negative errno (-ENOENT: no such program; -EPERM: others than root
 * could have written it, see file-trust.h). */
int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence *ret);
/* Has it ended? Kills it past its deadline. FENCE_*. */
enum fence_outcome fence_poll(struct fence *f, int64_t now_ns);
/* When to ask next at the latest, whatever its pidfd says. */
int64_t fence_due_ns(const struct fence *f, int64_t now_ns);
/* Nobody wants it any more: kills it. Also one that has ended. */
void fence_cancel(struct fence *f);

#endif
