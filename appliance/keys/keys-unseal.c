/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-unseal.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/thread.h"

struct keys_unseal {
	struct keys_unseal_config config;
	pthread_t thread[KEYS_UNSEAL_THREADS_MAX];
	unsigned threads;     /* that were started */
	pthread_mutex_t lock; /* protects all below */
	pthread_cond_t work;
	struct list queue;
	unsigned epochs; /* being opened */
	bool closing;
};

static int outcome(int r)
{
	return r < 0 ? KEYS_NOT_OPENED : r;
}

static int open_record(const struct keys_unseal_config *c, struct keys_unseal_task *t)
{
	uint8_t *room;

	if (keys_arena_take(c->arena, &t->handle, &room))
		return KEYS_NO_ROOM;
	int r = outcome(opener_record(c->opener, t->blob, &t->expected, t->now_ns, t->max_age_ns,
				      room, &t->opened));
	keys_arena_done(c->arena, t->handle);
	if (r != SEAL_OK) {
		keys_arena_release(c->arena, t->handle);
		t->handle = (struct keys_handle){0};
	}
	return r;
}

static void do_task(const struct keys_unseal_config *c, struct keys_unseal_task *t)
{
	if (clock_mono_ns() >= t->deadline_ns)
		t->reason = KEYS_DEADLINE;
	else if (t->kind == KEYS_UNSEAL_EPOCH)
		t->reason = outcome(opener_epoch(c->opener, t->blob, t->now_ns, t->epoch));
	else
		t->reason = open_record(c, t);
}

/* The next task that may begin; NULL: none. */
static struct keys_unseal_task *next_task(struct keys_unseal *u)
{
	if (list_empty(&u->queue))
		return NULL;
	struct keys_unseal_task *t = list_entry(u->queue.next, struct keys_unseal_task, node);

	if (t->kind == KEYS_UNSEAL_RECORD && u->epochs > 0)
		return NULL;
	list_del(&t->node);
	return t;
}

static void *work(void *arg)
{
	struct keys_unseal *u = arg;

	pthread_mutex_lock(&u->lock);
	while (!u->closing) {
		struct keys_unseal_task *t = next_task(u);

		if (!t) {
			pthread_cond_wait(&u->work, &u->lock);
			continue;
		}
		bool is_epoch = t->kind == KEYS_UNSEAL_EPOCH;

		u->epochs += is_epoch;
		pthread_mutex_unlock(&u->lock);
		do_task(&u->config, t);
		mailbox_post(u->config.results, &t->node); /* no longer ours */
		pthread_mutex_lock(&u->lock);
		u->epochs -= is_epoch;
		if (is_epoch && u->epochs == 0)
			pthread_cond_broadcast(&u->work);
	}
	pthread_mutex_unlock(&u->lock);
	return NULL;
}

int keys_unseal_open(const struct keys_unseal_config *c, struct keys_unseal **ret)
{
	if (c->threads < 1 || c->threads > KEYS_UNSEAL_THREADS_MAX)
		return -EINVAL;
	struct keys_unseal *u = calloc(1, sizeof *u);

	if (!u)
		return -ENOMEM;
	u->config = *c;
	pthread_mutex_init(&u->lock, NULL);
	pthread_cond_init(&u->work, NULL);
	list_init(&u->queue);
	for (; u->threads < c->threads; u->threads++) {
		int r = thread_start(&u->thread[u->threads], work, u);

		if (r) {
			keys_unseal_close(u);
			return r;
		}
	}
	*ret = u;
	return 0;
}

static void give_back(struct keys_unseal *u)
{
	while (!list_empty(&u->queue)) {
		struct keys_unseal_task *t =
			list_entry(u->queue.next, struct keys_unseal_task, node);

		list_del(&t->node);
		t->reason = KEYS_CLOSING;
		mailbox_post(u->config.results, &t->node);
	}
}

bool keys_unseal_close(struct keys_unseal *u)
{
	bool all = true;

	if (!u)
		return true;
	pthread_mutex_lock(&u->lock);
	u->closing = true;
	give_back(u);
	pthread_cond_broadcast(&u->work);
	pthread_mutex_unlock(&u->lock);
	int64_t deadline_ns = thread_deadline(false);
	for (unsigned i = 0; i < u->threads; i++)
		all &= thread_end(u->thread[i], "keys-unseal", deadline_ns);
	if (!all)
		return false;
	pthread_cond_destroy(&u->work);
	pthread_mutex_destroy(&u->lock);
	free(u);
	return true;
}

void keys_unseal_post(struct keys_unseal *u, struct keys_unseal_task *t)
{
	t->handle = (struct keys_handle){0};
	pthread_mutex_lock(&u->lock);
	list_add_tail(&u->queue, &t->node);
	pthread_cond_signal(&u->work);
	pthread_mutex_unlock(&u->lock);
}
