/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "slow-call.h"

#include "base/bell.h"
#include "base/thread.h"

static void *serve(void *arg)
{
	struct slow_call *c = arg;

	pthread_mutex_lock(&c->lock);
	for (;;) {
		while (c->state == SLOW_CALL_IDLE || c->state == SLOW_CALL_OVER)
			pthread_cond_wait(&c->changed, &c->lock);
		if (c->state == SLOW_CALL_ENDS)
			break;
		pthread_mutex_unlock(&c->lock);
		int r = c->fn(c->ctx);
		pthread_mutex_lock(&c->lock);
		c->result = r;
		c->state = SLOW_CALL_OVER;
		pthread_cond_broadcast(&c->changed);
		bell_ring(c->bell);
	}
	pthread_mutex_unlock(&c->lock);
	return NULL;
}

int slow_call_init(struct slow_call *c)
{
	*c = (struct slow_call){.bell = bell_open()};
	if (c->bell < 0)
		return c->bell;
	pthread_mutex_init(&c->lock, NULL);
	pthread_cond_init(&c->changed, NULL);
	int r = thread_start(&c->thread, serve, c);
	c->started = r == 0;
	if (r < 0)
		close(c->bell);
	return r;
}

void slow_call_deinit(struct slow_call *c)
{
	if (!c->started)
		return;
	slow_call_wait(c);
	pthread_mutex_lock(&c->lock);
	c->state = SLOW_CALL_ENDS;
	pthread_cond_broadcast(&c->changed);
	pthread_mutex_unlock(&c->lock);
	pthread_join(c->thread, NULL);
	pthread_cond_destroy(&c->changed);
	pthread_mutex_destroy(&c->lock);
	close(c->bell);
	c->started = false;
}

void slow_call_start(struct slow_call *c, int (*fn)(void *ctx), void *ctx)
{
	pthread_mutex_lock(&c->lock);
	c->fn = fn;
	c->ctx = ctx;
	c->state = SLOW_CALL_RUNS;
	pthread_mutex_unlock(&c->lock);
	/* Behind the lock, which the thread takes as soon as it wakes. */
	pthread_cond_broadcast(&c->changed);
}

bool slow_call_over(struct slow_call *c, int *ret)
{
	pthread_mutex_lock(&c->lock);
	/* It rings under the lock, too: what is silenced here is what is taken here. */
	bell_silence(c->bell);
	bool over = c->state == SLOW_CALL_OVER;
	if (over) {
		c->state = SLOW_CALL_IDLE;
		*ret = c->result;
	}
	pthread_mutex_unlock(&c->lock);
	return over;
}

void slow_call_wait(struct slow_call *c)
{
	pthread_mutex_lock(&c->lock);
	while (c->state == SLOW_CALL_RUNS)
		pthread_cond_wait(&c->changed, &c->lock);
	pthread_mutex_unlock(&c->lock);
}
