/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/thread.h"
#include "join-conn.h"
#include "join-family.h"
#include "join-thread.h"
#include "join.h"

#define THREADS_MAX 64
#define BUFFERS_MAX 32768 /* the kernel's limit for a ring of provided buffers */

struct join_pool {
	struct join_config config;
	struct join_counters count; /* counts outside of threads: `refused` only */
	uint32_t thread_count;      /* threads that were initialised */
	struct join_thread threads[];
};

static bool config_ok(const struct join_config *c)
{
	return c->threads >= 1 && c->threads <= THREADS_MAX && c->max_joins >= 1 &&
	       c->buffers >= 1 && c->buffers <= BUFFERS_MAX &&
	       (c->buffers & (c->buffers - 1)) == 0 && c->buffer_bytes >= 1 &&
	       c->connect_timeout_ns > 0 && c->handshake_timeout_ns > 0 && c->client_timeout_ns > 0;
}

int join_pool_new(const struct join_config *config, struct join_pool **ret)
{
	if (!config_ok(config))
		return -EINVAL;
	struct join_pool *p = calloc(1, sizeof *p + config->threads * sizeof p->threads[0]);
	if (p == NULL)
		return -ENOMEM;
	p->config = *config;
	while (p->thread_count < config->threads) {
		int r = join_thread_init(&p->threads[p->thread_count++], &p->config);
		if (r < 0) {
			join_pool_free(p);
			return r;
		}
	}
	*ret = p;
	return 0;
}

struct join_pool *join_pool_free(struct join_pool *p)
{
	bool ended = true;

	if (p == NULL)
		return NULL;
	for (uint32_t i = 0; i < p->thread_count; i++)
		join_thread_stop(&p->threads[i]);
	int64_t deadline_ns = thread_deadline(false);
	for (uint32_t i = 0; i < p->thread_count; i++)
		ended &= join_thread_deinit(&p->threads[i], deadline_ns);
	if (ended)
		free(p);
	return NULL;
}

static uint64_t load_of(const struct join_thread *t)
{
	return join_thread_broken(t) ? UINT64_MAX
				     : atomic_load_explicit(&t->count.active, memory_order_relaxed);
}

static struct join_thread *least_busy(struct join_pool *p)
{
	struct join_thread *best = &p->threads[0];
	for (uint32_t i = 1; i < p->thread_count; i++)
		if (load_of(&p->threads[i]) < load_of(best))
			best = &p->threads[i];
	return best;
}

/* Returns a thread with @n places reserved; NULL: there is none. */
static struct join_thread *reserve(struct join_pool *p, uint32_t n)
{
	/* Another caller may have taken the places meanwhile. With @n > 1 even the least busy
	 * thread may have too few. */
	for (uint32_t tries = 0; tries <= p->config.threads; tries++) {
		struct join_thread *t = least_busy(p);
		if (join_thread_reserve(t, n))
			return t;
	}
	return NULL;
}

int join_submit(struct join_pool *p, const struct join_request *r)
{
	uint32_t n = join_family_size(r);
	struct join_thread *t = reserve(p, n);
	if (t == NULL) {
		join_count(&p->count.refused, 1);
		return -ENOSPC;
	}
	struct join *j;
	int err = join_new(r, &j);
	if (err < 0) {
		join_thread_unreserve(t, n);
		return err;
	}
	join_thread_post(t, j, r->hold);
	return 0;
}

uint32_t join_release(struct join_pool *p, uint32_t group)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < p->thread_count; i++)
		n += join_thread_release(&p->threads[i], group);
	return n;
}

uint64_t join_active(const struct join_pool *p)
{
	struct join_stats s;
	join_pool_stats(p, &s);
	return s.active;
}

static void add_counters(struct join_stats *io, const struct join_counters *c)
{
#define ADD(field, ...) io->field += atomic_load_explicit(&c->field, memory_order_relaxed);
	JOIN_COUNTERS(ADD, ADD)
#undef ADD
}

void join_pool_stats(const struct join_pool *p, struct join_stats *ret)
{
	*ret = (struct join_stats){0};
	add_counters(ret, &p->count);
	for (uint32_t i = 0; i < p->thread_count; i++) {
		add_counters(ret, &p->threads[i].count);
		ret->threads_broken += join_thread_broken(&p->threads[i]);
	}
}
