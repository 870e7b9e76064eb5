/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-tasks: calls that other threads ask a worker to make in its own thread, one after the
 * other. They arrive in the worker's mailbox, which is closed when the worker is to stop.
 */
#ifndef APPLIANCE_WORKER_TASKS_H
#define APPLIANCE_WORKER_TASKS_H

#include "base/mailbox.h"

struct worker;

/* Called in any other thread: waits until worker_tasks_run() has called @fn. */
void worker_tasks_call(struct mailbox *tasks, void (*fn)(struct worker *w, void *arg), void *arg);
/* Called by the worker. */
void worker_tasks_run(struct mailbox *tasks, struct worker *w);

#endif
