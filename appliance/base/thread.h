/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * thread: starting one. Signals belong to the main thread, so a new thread has all
 * of them blocked, from its first instruction. And ending it, though it may not end.
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
 * It was told to end: waits for it, but not for ever. False: it is left, and said so; it may still
 * use all that it was given, until the process ends.
 */
bool thread_end(pthread_t thread, const char *what);
/* How many were left. */
uint32_t threads_left(void);

#endif
