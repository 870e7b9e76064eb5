/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-unseal.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/thread.h"

/* Queues, by the number of bits in how much there is to read. */
#define QUEUES 65

struct unseal {
	void (*work)(void *ctx, struct takeover_item *item);
	pthread_mutex_t lock;
	pthread_cond_t posted;
	/* Under the lock: */
	struct list queue[QUEUES];
	void *at_work[UNSEAL_THREADS_MAX]; /* for whom; by thread */
	uint32_t begun;                    /* threads that have a number */
	bool stop;

	uint32_t started;
	pthread_t thread[UNSEAL_THREADS_MAX];
};

static struct takeover_item *item_of(struct list *node)
{
	return list_entry(node, struct takeover_item, node);
}

static uint32_t queue_of(const struct takeover_item *item)
{
	uint64_t bytes = takeover_to_unseal(item);

	return bytes == 0 ? 0 : 64 - (uint32_t)__builtin_clzll(bytes);
}

static struct takeover_item *next_item(struct unseal *u)
{
	for (uint32_t q = 0; q < QUEUES; q++) {
		if (list_empty(&u->queue[q]))
			continue;
		struct takeover_item *item = item_of(u->queue[q].next);
		list_del(&item->node);
		return item;
	}
	return NULL;
}

static void *unseal_main(void *arg)
{
	struct unseal *u = arg;

	pthread_mutex_lock(&u->lock);
	const uint32_t me = u->begun++;
	while (!u->stop) {
		struct takeover_item *item = next_item(u);
		if (!item) {
			pthread_cond_wait(&u->posted, &u->lock);
			continue;
		}
		void *ctx = u->at_work[me] = item->taker;
		pthread_mutex_unlock(&u->lock);
		u->work(ctx, item);
		pthread_mutex_lock(&u->lock);
		u->at_work[me] = NULL;
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

int unseal_new(uint32_t threads, void (*work)(void *ctx, struct takeover_item *item),
	       struct unseal **ret)
{
	if (threads < 1 || threads > UNSEAL_THREADS_MAX)
		return -EINVAL;
	struct unseal *u = calloc(1, sizeof *u);

	if (!u)
		return -ENOMEM;
	u->work = work;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->posted, NULL);
	for (uint32_t q = 0; q < QUEUES; q++)
		list_init(&u->queue[q]);
	while (u->started < threads) {
		int r = thread_start(&u->thread[u->started], unseal_main, u);
		if (r < 0) {
			(void)unseal_free(u); /* they have nothing to do */
			return r;
		}
		pthread_setname_np(u->thread[u->started++], "unseal");
	}
	*ret = u;
	return 0;
}

bool unseal_free(struct unseal *u)
{
	bool all = true;

	if (!u)
		return true;
	pthread_mutex_lock(&u->lock);
	u->stop = true;
	pthread_cond_broadcast(&u->posted);
	pthread_mutex_unlock(&u->lock);
	int64_t deadline_ns = thread_deadline(false);
	for (uint32_t i = 0; i < u->started; i++)
		all &= thread_end(u->thread[i], "unseal", deadline_ns);
	if (!all)
		return false;
	pthread_cond_destroy(&u->posted);
	pthread_mutex_destroy(&u->lock);
	free(u);
	return true;
}

void unseal_post(struct unseal *u, void *ctx, struct takeover_item *item)
{
	uint32_t q = queue_of(item);

	item->taker = ctx;
	pthread_mutex_lock(&u->lock);
	list_add_tail(&u->queue[q], &item->node);
	pthread_cond_signal(&u->posted);
	pthread_mutex_unlock(&u->lock);
}

bool unseal_is_at_work(struct unseal *u, const void *ctx)
{
	bool is = false;

	if (!u)
		return false;
	pthread_mutex_lock(&u->lock);
	for (uint32_t i = 0; i < u->started; i++)
		is |= u->at_work[i] == ctx;
	pthread_mutex_unlock(&u->lock);
	return is;
}

void unseal_drop(struct unseal *u, const void *ctx, struct list *out)
{
	if (!u)
		return;
	pthread_mutex_lock(&u->lock);
	for (uint32_t q = 0; q < QUEUES; q++)
		list_for_each_safe (it, tmp, &u->queue[q]) {
			if (item_of(it)->taker != ctx)
				continue;
			list_del(it);
			list_add_tail(out, it);
		}
	pthread_mutex_unlock(&u->lock);
}
