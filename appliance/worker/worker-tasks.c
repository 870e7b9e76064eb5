/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-tasks.h"

#include <errno.h>
#include <semaphore.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct task {
	struct list node;
	void (*fn)(struct worker *w, void *arg);
	void *arg;
	sem_t done;
};

void worker_tasks_init(struct worker_tasks *t)
{
	*t = (struct worker_tasks){.wake = -1};
	list_init(&t->list);
	pthread_mutex_init(&t->lock, NULL);
}

int worker_tasks_open(struct worker_tasks *t)
{
	t->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return t->wake < 0 ? -errno : 0;
}

void worker_tasks_deinit(struct worker_tasks *t)
{
	if (t->wake >= 0)
		close(t->wake);
	pthread_mutex_destroy(&t->lock);
}

static void wake(struct worker_tasks *t)
{
	uint64_t one = 1;

	(void)!write(t->wake, &one, sizeof one);
}

void worker_tasks_call(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *arg)
{
	struct task task = {.fn = fn, .arg = arg};

	list_init(&task.node);
	sem_init(&task.done, 0, 0);
	pthread_mutex_lock(&t->lock);
	list_add_tail(&t->list, &task.node);
	pthread_mutex_unlock(&t->lock);
	wake(t);
	while (sem_wait(&task.done) < 0 && errno == EINTR)
		;
	sem_destroy(&task.done);
}

void worker_tasks_stop(struct worker_tasks *t)
{
	pthread_mutex_lock(&t->lock);
	t->stop = true;
	pthread_mutex_unlock(&t->lock);
	wake(t);
}

void worker_tasks_run(struct worker_tasks *t, struct worker *w)
{
	struct list todo;
	uint64_t n;

	(void)!read(t->wake, &n, sizeof n);
	list_init(&todo);
	pthread_mutex_lock(&t->lock);
	list_for_each_safe (it, tmp, &t->list) {
		list_del(it);
		list_add_tail(&todo, it);
	}
	pthread_mutex_unlock(&t->lock);
	list_for_each_safe (it, tmp, &todo) {
		struct task *task = list_entry(it, struct task, node);
		list_del(it);
		task->fn(w, task->arg);
		sem_post(&task->done); /* the caller's stack: not touched after this */
	}
}

bool worker_tasks_stopped(struct worker_tasks *t)
{
	pthread_mutex_lock(&t->lock);
	bool stop = t->stop;
	pthread_mutex_unlock(&t->lock);
	return stop;
}
