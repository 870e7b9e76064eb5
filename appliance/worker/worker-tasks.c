/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-tasks.h"

#include <assert.h>
#include <errno.h>
#include <string.h>
#include <time.h>

#include "base/log.h"

/* Patience is counted in slices of time that were really waited. If the whole machine stood
 * still, that is not the worker's fault. */
#define SLICES 30

int worker_tasks_init(struct worker_tasks *t, uint32_t worker)
{
	pthread_condattr_t monotonic;

	*t = (struct worker_tasks){.worker = worker};
	for (uint32_t i = 0; i < WORKER_TASKS_MAX; i++)
		list_init(&t->task[i].node);
	pthread_condattr_init(&monotonic);
	pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
	pthread_cond_init(&t->moved, &monotonic);
	pthread_condattr_destroy(&monotonic);
	pthread_mutex_init(&t->lock, NULL);
	return mailbox_init(&t->mail);
}

void worker_tasks_deinit(struct worker_tasks *t)
{
	mailbox_deinit(&t->mail);
	pthread_mutex_destroy(&t->lock);
	pthread_cond_destroy(&t->moved);
}

/* ---- who asks: all of it locked ---- */

static void set_state(struct worker_tasks *t, struct worker_task *task,
		      enum worker_task_state state)
{
	task->state = state;
	if (state == WORKER_TASK_DONE || state == WORKER_TASK_FREE)
		pthread_cond_broadcast(&t->moved);
}

static struct worker_task *free_place(struct worker_tasks *t)
{
	for (uint32_t i = 0; i < WORKER_TASKS_MAX; i++)
		if (t->task[i].state == WORKER_TASK_FREE)
			return &t->task[i];
	return NULL;
}

static bool stands_still(const struct worker_tasks *t)
{
	return t->given_up == atomic_load(&t->turns) + 1;
}

/*
 * Waits one slice. Returns false when the worker has not turned for all slices, or is known to
 * stand still.
 */
static bool wait_slice(struct worker_tasks *t, uint64_t *io_turns, int *io_slices)
{
	int64_t until = clock_mono_ns() + WORKER_TASK_PATIENCE / SLICES;
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

	if (stands_still(t))
		return false;
	bool slept = pthread_cond_timedwait(&t->moved, &t->lock, &ts) == ETIMEDOUT;
	uint64_t turns = atomic_load(&t->turns);
	*io_slices = turns != *io_turns ? 0 : *io_slices + slept;
	*io_turns = turns;
	if (*io_slices < SLICES)
		return true;
	t->given_up = turns + 1;
	log_event(LOG_ERROR, "worker-stands-still", LOG_INT("worker", t->worker));
	return false;
}

static struct worker_task *post(struct worker_tasks *t, struct worker_task *task,
				void (*fn)(struct worker *w, void *arg), void *arg)
{
	task->fn = fn;
	task->arg = arg;
	set_state(t, task, WORKER_TASK_WAITS);
	mailbox_post(&t->mail, &task->node);
	return task;
}

/* ---- who asks ---- */

void worker_tasks_call(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *arg)
{
	struct worker_task *task;

	pthread_mutex_lock(&t->lock);
	while (!(task = free_place(t)))
		pthread_cond_wait(&t->moved, &t->lock);
	post(t, task, fn, arg);
	while (task->state != WORKER_TASK_DONE)
		pthread_cond_wait(&t->moved, &t->lock);
	set_state(t, task, WORKER_TASK_FREE);
	pthread_mutex_unlock(&t->lock);
}

static int ask(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *io_arg,
	       size_t size)
{
	uint64_t turns = atomic_load(&t->turns);
	struct worker_task *task;
	int slices = 0;

	while (!(task = free_place(t)))
		if (!wait_slice(t, &turns, &slices))
			return -ETIMEDOUT;
	if (stands_still(t))
		return -ETIMEDOUT;
	memcpy(task->copy, io_arg, size);
	post(t, task, fn, task->copy);
	while (task->state != WORKER_TASK_DONE) {
		if (wait_slice(t, &turns, &slices) || task->state == WORKER_TASK_DONE)
			continue;
		bool begun = task->state == WORKER_TASK_RUNS;
		set_state(t, task, WORKER_TASK_LEFT);
		return begun ? -EINPROGRESS : -ETIMEDOUT;
	}
	memcpy(io_arg, task->copy, size);
	set_state(t, task, WORKER_TASK_FREE);
	return 0;
}

int worker_tasks_ask(struct worker_tasks *t, void (*fn)(struct worker *w, void *arg), void *io_arg,
		     size_t size)
{
	assert(size <= WORKER_TASK_ARG_MAX);
	pthread_mutex_lock(&t->lock);
	int r = ask(t, fn, io_arg, size);
	pthread_mutex_unlock(&t->lock);
	return r;
}

bool worker_tasks_stand_still(struct worker_tasks *t)
{
	pthread_mutex_lock(&t->lock);
	bool still = stands_still(t);
	pthread_mutex_unlock(&t->lock);
	return still;
}

/* ---- the worker ---- */

void worker_tasks_turn(struct worker_tasks *t)
{
	atomic_fetch_add(&t->turns, 1);
}

/* Returns false when nobody waits for the task any more. */
static bool begin(struct worker_tasks *t, struct worker_task *task)
{
	pthread_mutex_lock(&t->lock);
	bool wanted = task->state == WORKER_TASK_WAITS;
	set_state(t, task, wanted ? WORKER_TASK_RUNS : WORKER_TASK_FREE);
	pthread_mutex_unlock(&t->lock);
	return wanted;
}

static void end(struct worker_tasks *t, struct worker_task *task)
{
	worker_tasks_turn(t);
	pthread_mutex_lock(&t->lock);
	set_state(t, task, task->state == WORKER_TASK_LEFT ? WORKER_TASK_FREE : WORKER_TASK_DONE);
	pthread_mutex_unlock(&t->lock);
}

void worker_tasks_run(struct worker_tasks *t, struct worker *w)
{
	struct list todo;

	list_init(&todo);
	mailbox_take(&t->mail, &todo);
	list_for_each_safe (it, tmp, &todo) {
		struct worker_task *task = list_entry(it, struct worker_task, node);
		list_del(it);
		if (!begin(t, task))
			continue;
		task->fn(w, task->arg);
		end(t, task);
	}
}
