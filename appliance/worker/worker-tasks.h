/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-tasks: calls that other threads ask a worker to make in its own thread, one after the
 * other. They arrive in the worker's mailbox, which is closed when the worker is to stop.
 *
 * A caller gives up a worker that stands still. So a task lives here, with a copy of its argument:
 * the caller may be gone when the worker comes to it. As long as the worker has not turned since,
 * the next caller gives up at once.
 */
#ifndef APPLIANCE_WORKER_TASKS_H
#define APPLIANCE_WORKER_TASKS_H

#include <stddef.h>

#include "base/clock.h"
#include "base/mailbox.h"

struct worker;

/* More than there are threads that call. */
#define WORKER_TASKS_MAX     16
#define WORKER_TASK_ARG_MAX  128
#define WORKER_TASK_PATIENCE (3 * NS_PER_S) /* with one that does not turn */

enum worker_task_state {
	WORKER_TASK_FREE,
	WORKER_TASK_WAITS,
	WORKER_TASK_RUNS,
	WORKER_TASK_DONE,
	WORKER_TASK_LEFT, /* by the caller: it becomes free when the worker has finished with it */
};

struct worker_task {
	struct list node;
	enum worker_task_state state; /* under the lock, like all members until the task runs */
	void (*fn)(struct worker *w, void *arg);
	void *arg;
	_Alignas(max_align_t) uint8_t copy[WORKER_TASK_ARG_MAX];
};

struct worker_tasks {
	struct mailbox mail;    /* closed: the worker is to stop */
	uint32_t worker;        /* for the log */
	pthread_mutex_t lock;   /* protects what follows */
	pthread_cond_t moved;   /* a task is done, or a place is free */
	_Atomic uint64_t turns; /* of the worker's loop; not under the lock */
	uint64_t given_up;      /* number of turns when a caller gave up, plus 1 */
	struct worker_task task[WORKER_TASKS_MAX];
};

/* Returns 0 or a negative errno; worker_tasks_deinit() is due in any case. */
int worker_tasks_init(struct worker_tasks *t, uint32_t worker);
void worker_tasks_deinit(struct worker_tasks *t);

/* Called in any other thread: waits until worker_tasks_run() has called @fn, without a bound. */
void worker_tasks_call(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *arg);
/* The same, but gives up a worker that does not turn, see worker_ask(). */
int worker_tasks_ask(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *io_arg,
		     size_t size);
/* Whether a caller has given up and the worker has not turned since. Any thread. */
bool worker_tasks_stand_still(struct worker_tasks *t);
/* Called by the worker: runs all tasks; and notes, on each turn of its loop, that it turns. */
void worker_tasks_run(struct worker_tasks *t, struct worker *w);
void worker_tasks_turn(struct worker_tasks *t);

#endif
