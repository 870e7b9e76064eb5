/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-tasks.h"

#include <errno.h>
#include <semaphore.h>

struct task {
	struct list node;
	void (*fn)(struct worker *w, void *arg);
	void *arg;
	sem_t done;
};

void worker_tasks_call(struct mailbox *tasks, void (*fn)(struct worker *w, void *arg), void *arg)
{
	struct task task = {.fn = fn, .arg = arg};

	list_init(&task.node);
	sem_init(&task.done, 0, 0);
	mailbox_post(tasks, &task.node);
	while (sem_wait(&task.done) < 0 && errno == EINTR)
		;
	sem_destroy(&task.done);
}

void worker_tasks_run(struct mailbox *tasks, struct worker *w)
{
	struct list todo;

	list_init(&todo);
	mailbox_take(tasks, &todo);
	list_for_each_safe (it, tmp, &todo) {
		struct task *task = list_entry(it, struct task, node);
		list_del(it);
		task->fn(w, task->arg);
		/* The task is on the caller's stack: it must not be touched after this. */
		sem_post(&task->done);
	}
}
