/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * pool: threads that share the failover thread's work on many connections.
 *
 * The caller works too and waits for the others, so that what comes before thread_pool_run()
 * happened before each piece, and each piece before what comes after it: pieces need no lock
 * for what only the caller changes, and the order of a takeover stays what it says.
 */
#ifndef APPLIANCE_THREAD_POOL_H
#define APPLIANCE_THREAD_POOL_H

#include <stdint.h>

/* Fewer pieces than these are not worth a wake-up: the caller does them alone. */
#define THREAD_POOL_ALONE 16
#define THREAD_POOL_MAX   64

struct thread_pool;

/* How many threads, the caller's included, there are cores for (at most @limit). */
uint32_t thread_pool_size(uint32_t limit);
/* @threads includes the caller's: 1..THREAD_POOL_MAX. 0, -EINVAL, or negative errno. */
int thread_pool_new(uint32_t threads, struct thread_pool **ret);
struct thread_pool *thread_pool_free(struct thread_pool *c); /* NULL is fine; returns NULL */

/*
 * Calls @fn once for each @i below @count, from several threads, in about that order. Returns
 * when every call has. One caller at a time.
 */
void thread_pool_run(struct thread_pool *c, void (*fn)(void *ctx, uint32_t i), void *ctx,
		     uint32_t count);

#endif
