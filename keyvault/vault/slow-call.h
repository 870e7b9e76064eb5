/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * slow-call: a call that a disk may hold up, on a thread of its own, one at a time. The owner
 * starts it, goes on with other things, and waits for the bell among its other descriptors.
 *
 * Between slow_call_start() and the end of the call what it was given is the thread's; from
 * slow_call_over() on it is the owner's again.
 */
#ifndef KEYVAULT_SLOW_CALL_H
#define KEYVAULT_SLOW_CALL_H

#include <pthread.h>
#include <stdbool.h>

enum slow_call_state {
	SLOW_CALL_IDLE,
	SLOW_CALL_RUNS,
	SLOW_CALL_OVER, /* its result waits for the owner */
	SLOW_CALL_ENDS, /* the thread is to end */
};

struct slow_call {
	pthread_t thread;
	bool started;
	pthread_mutex_t lock; /* of what follows */
	pthread_cond_t changed;
	enum slow_call_state state;
	int (*fn)(void *ctx);
	void *ctx;
	int result;
	int bell; /* rings when it is over */
};

/* Returns 0 or a negative errno; slow_call_deinit() is due either way. */
int slow_call_init(struct slow_call *c);
/* Waits for what runs. A zeroed one is fine. */
void slow_call_deinit(struct slow_call *c);

/* Only when nothing runs and no result waits. */
void slow_call_start(struct slow_call *c, int (*fn)(void *ctx), void *ctx);
/* Has it come to its end? Once for each; *ret: what it returned. */
bool slow_call_over(struct slow_call *c, int *ret);
/* Waits until it has. */
void slow_call_wait(struct slow_call *c);

#endif
