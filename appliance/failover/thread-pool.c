/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "thread-pool.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/thread.h"

/* pieces taken at once: few, so that nobody waits long for the last ones */
#define PIECES 8

struct thread_pool {
	pthread_mutex_t lock;
	pthread_cond_t begun, ended;
	/* Under the lock: */
	uint64_t round;
	bool open; /* the round may be joined; a thread that wakes too late is not waited for */
	bool stop;
	uint32_t at_work;
	/* Of the round; written by the caller while no thread works: */
	void (*fn)(void *ctx, uint32_t i);
	void *ctx;
	uint32_t count;
	_Atomic uint32_t next;

	uint32_t started;
	pthread_t thread[];
};

uint32_t thread_pool_size(uint32_t limit)
{
	cpu_set_t set;
	uint32_t n = 1;

	if (sched_getaffinity(0, sizeof set, &set) == 0 && CPU_COUNT(&set) > 0)
		n = (uint32_t)CPU_COUNT(&set);
	return n < limit ? n : limit;
}

static void work(struct thread_pool *c)
{
	uint32_t i;

	while ((i = atomic_fetch_add_explicit(&c->next, PIECES, memory_order_relaxed)) < c->count)
		for (uint32_t k = i; k < i + PIECES && k < c->count; k++)
			c->fn(c->ctx, k);
}

static void *helper_main(void *arg)
{
	struct thread_pool *c = arg;
	uint64_t seen = 0;

	pthread_mutex_lock(&c->lock);
	while (!c->stop) {
		if (!c->open || c->round == seen) {
			pthread_cond_wait(&c->begun, &c->lock);
			continue;
		}
		seen = c->round;
		c->at_work++;
		pthread_mutex_unlock(&c->lock);
		work(c);
		pthread_mutex_lock(&c->lock);
		if (--c->at_work == 0)
			pthread_cond_signal(&c->ended);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

void thread_pool_run(struct thread_pool *c, void (*fn)(void *ctx, uint32_t i), void *ctx,
		     uint32_t count)
{
	if (c->started == 0 || count < THREAD_POOL_ALONE) {
		for (uint32_t i = 0; i < count; i++)
			fn(ctx, i);
		return;
	}
	pthread_mutex_lock(&c->lock);
	c->fn = fn;
	c->ctx = ctx;
	c->count = count;
	atomic_store_explicit(&c->next, 0, memory_order_relaxed);
	c->round++;
	c->open = true;
	pthread_cond_broadcast(&c->begun);
	pthread_mutex_unlock(&c->lock);
	work(c);
	pthread_mutex_lock(&c->lock);
	c->open = false;
	while (c->at_work > 0)
		pthread_cond_wait(&c->ended, &c->lock);
	pthread_mutex_unlock(&c->lock);
}

int thread_pool_new(uint32_t threads, struct thread_pool **ret)
{
	if (threads < 1 || threads > THREAD_POOL_MAX)
		return -EINVAL;
	struct thread_pool *c = calloc(1, sizeof *c + (threads - 1) * sizeof c->thread[0]);
	if (!c)
		return -ENOMEM;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->begun, NULL);
	pthread_cond_init(&c->ended, NULL);
	while (c->started < threads - 1) {
		int r = thread_start(&c->thread[c->started], helper_main, c);
		if (r < 0) {
			thread_pool_free(c);
			return r;
		}
		pthread_setname_np(c->thread[c->started++], "restore");
	}
	*ret = c;
	return 0;
}

struct thread_pool *thread_pool_free(struct thread_pool *c)
{
	if (!c)
		return NULL;
	pthread_mutex_lock(&c->lock);
	c->stop = true;
	pthread_cond_broadcast(&c->begun);
	pthread_mutex_unlock(&c->lock);
	for (uint32_t i = 0; i < c->started; i++)
		pthread_join(c->thread[i], NULL);
	pthread_cond_destroy(&c->begun);
	pthread_cond_destroy(&c->ended);
	pthread_mutex_destroy(&c->lock);
	free(c);
	return NULL;
}
