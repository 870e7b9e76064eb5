/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-tasks: what other threads ask a worker to do in its own, one after the other, and the
 * order to stop.
 */
#ifndef APPLIANCE_WORKER_TASKS_H
#define APPLIANCE_WORKER_TASKS_H

#include <pthread.h>
#include <stdbool.h>

#include "base/list.h"

struct worker;

struct worker_tasks {
	int wake;             /* readable when there is something to do, or to stop; -1: not open */
	pthread_mutex_t lock; /* protects what follows */
	struct list list;
	bool stop;
};

void worker_tasks_init(struct worker_tasks *t);
int worker_tasks_open(struct worker_tasks *t); /* 0 or negative errno */
void worker_tasks_deinit(struct worker_tasks *t);

/* From any other thread: waits until @fn was called by worker_tasks_run(). */
void worker_tasks_call(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *arg);
void worker_tasks_stop(struct worker_tasks *t);

/* By the worker. */
void worker_tasks_run(struct worker_tasks *t, struct worker *w);
bool worker_tasks_stopped(struct worker_tasks *t);

#endif
