/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * fence: runs the operator's program that silences a dead server for good (switch port off, power
 * off) before its address is taken.
 *
 * The program gets its configured arguments and, in its environment, JEEBS_SERVER, JEEBS_ADDRESS
 * and JEEBS_REASON. Its output goes to our stderr. It has succeeded when it exits with 0 within the
 * time limit. After that its whole process group is killed.
 *
 * A thread of its own checks the program, starts it and waits for it. Each of these may hang as
 * long as a disk does, even after SIGKILL. The caller waits for none of them.
 */
#ifndef APPLIANCE_FENCE_H
#define APPLIANCE_FENCE_H

#include <stdint.h>
#include <sys/types.h>

/* Ceiling of threads at once, including those of fences that nobody waits for. */
#define FENCES_MAX 64

enum fence_outcome {
	FENCE_OK = 0,
	FENCE_RUNNING = 1,
	FENCE_FAILED = 2,      /* exit status other than 0, or a signal */
	FENCE_TIMEOUT = 3,     /* killed */
	FENCE_NOT_STARTED = 4, /* see fence_error() */
};

struct fence;

/*
 * Starts the program; everything is copied. Returns 0 or a negative errno. -EAGAIN: FENCES_MAX
 * fences hang.
 */
int fence_start(char *const argv[], const char *server, const char *address, const char *reason,
		int64_t deadline_ns, struct fence **ret);
/*
 * Whether the program has ended. Kills it after its deadline (CLOCK_MONOTONIC). Returns FENCE_*; a
 * final outcome does not change.
 */
enum fence_outcome fence_poll(struct fence *f, int64_t now_ns);
/* A descriptor that becomes readable when the program has ended. */
int fence_fd(const struct fence *f);
/* When fence_poll() must be called at the latest. */
int64_t fence_due_ns(const struct fence *f);
/* The status as from waitpid(); 0 before the end. */
int fence_status(struct fence *f);
/* Why the program was not started; otherwise 0. -ENOENT: there is no such program. -EPERM: users
 * other than root could have written it, see file-trust.h. */
int fence_error(struct fence *f);
/* The program's process; 0: not started yet, or ended. */
pid_t fence_pid(struct fence *f);
/* The owner does not want it any more: kills it if it runs. NULL is fine; returns NULL. */
struct fence *fence_end(struct fence *f);
/*
 * Waits for fences that were ended, at most so long: one that was about to start is killed as soon
 * as it has, which nobody does who has left.
 */
void fences_settle(int64_t limit_ns);

#endif
