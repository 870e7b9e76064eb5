/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fence: calls the operator's program that silences a dead server for good
 * (switch port off, power off) before its address moves.
 *
 * The program gets its configured arguments and, in its environment,
 * JEEBS_SERVER, JEEBS_ADDRESS and JEEBS_REASON. Its output goes to our stderr.
 * It succeeded when it exits 0 within the time limit; beyond it, its whole
 * process group is killed.
 *
 * A thread of its own looks at the program, starts it and buries it: each of these may hang as long
 * as a disk does, also after SIGKILL. Its caller waits for none of them.
 */
#ifndef APPLIANCE_FENCE_H
#define APPLIANCE_FENCE_H

#include <stdint.h>
#include <sys/types.h>

/* Threads at once, of fences that nobody waits for any more as well. */
#define FENCES_MAX 64

enum fence_outcome {
	FENCE_OK = 0,
	FENCE_RUNNING = 1,
	FENCE_FAILED = 2,      /* exit code other than 0, or a signal */
	FENCE_TIMEOUT = 3,     /* killed */
	FENCE_NOT_STARTED = 4, /* see fence_error() */
};

struct fence;

/* 0 or negative errno; -EAGAIN: FENCES_MAX hang already. Everything is copied. */
int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence **ret);
/* Has it ended? Kills it past its deadline (CLOCK_MONOTONIC). FENCE_*; what ended stays so. */
enum fence_outcome fence_poll(struct fence *f, int64_t now_ns);
/* Readable when it has ended. */
int fence_fd(const struct fence *f);
/* When to ask at the latest, whatever that says. */
int64_t fence_due_ns(const struct fence *f);
/* As from waitpid(); 0 before the end. */
int fence_status(struct fence *f);
/* Why it was not started: -ENOENT: no such program; -EPERM: others than root could have written it,
 * see file-trust.h. Else 0. */
int fence_error(struct fence *f);
/* Its process, 0: not yet, or no more. */
pid_t fence_pid(struct fence *f);
/* Nobody wants it any more; kills it if it still runs. NULL is fine; returns NULL. */
struct fence *fence_end(struct fence *f);

#endif
