/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pool: threads that share the failover thread's work on many connections.
 *
 * The caller works too, and waits for the others. So everything before thread_pool_run() happens
 * before each piece of work, and each piece before everything after it. Pieces need no lock for
 * data that only the caller changes, and the order of a takeover is kept.
 */
#ifndef APPLIANCE_THREAD_POOL_H
#define APPLIANCE_THREAD_POOL_H

#include <stdint.h>

/* With fewer pieces a wakeup is not worth it: the caller does them alone. */
#define THREAD_POOL_ALONE 16
#define THREAD_POOL_MAX   64

struct thread_pool;

/* How many threads fit the number of cores, including the caller's; at most @limit. */
uint32_t thread_pool_size(uint32_t limit);
/* @threads includes the caller's: 1 to THREAD_POOL_MAX. Returns 0, -EINVAL, or a negative errno. */
int thread_pool_new(uint32_t threads, struct thread_pool **ret);
struct thread_pool *thread_pool_free(struct thread_pool *c); /* NULL is fine; returns NULL */

/*
 * Calls @fn once for each @i below @count, from several threads, in about that order. Returns when
 * all calls have returned. One caller at a time.
 */
void thread_pool_run(struct thread_pool *c, void (*fn)(void *ctx, uint32_t i), void *ctx,
		     uint32_t count);

#endif
