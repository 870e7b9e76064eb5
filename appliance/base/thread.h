/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * thread: starts a thread, and ends it even if it does not end. Signals belong to the main thread,
 * so a new thread has all of them blocked from its first instruction.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

/* Returns 0 or a negative errno. */
static inline int thread_start(pthread_t *ret, void *(*main)(void *arg), void *arg)
{
	sigset_t all, before;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	int r = pthread_create(ret, NULL, main, arg);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

/*
 * Until when threads that are told to end now are waited for, CLOCK_MONOTONIC: one deadline for all
 * that are told together. @stands_still: they are known to, so that there is little to wait for.
 */
int64_t thread_deadline(bool stands_still);
/*
 * Waits for a thread that was told to end. Returns false, and logs it, when the thread is left.
 * Until the process ends it may then use everything it was given.
 */
bool thread_end(pthread_t thread, const char *what, int64_t deadline_ns);
/* How many threads were left. */
uint32_t threads_left(void);

#endif
