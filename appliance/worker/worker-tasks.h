/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-tasks: what other threads ask a worker to do in its own, one after the other. They come
 * through its mailbox, which is closed when it is to stop.
 */
#ifndef APPLIANCE_WORKER_TASKS_H
#define APPLIANCE_WORKER_TASKS_H

#include "base/mailbox.h"

struct worker;

/* From any other thread: waits until @fn was called by worker_tasks_run(). */
void worker_tasks_call(struct mailbox *tasks, void (*fn)(struct worker *w, void *arg), void *arg);
/* By the worker. */
void worker_tasks_run(struct mailbox *tasks, struct worker *w);

#endif
