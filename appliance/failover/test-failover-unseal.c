/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "failover-unseal.h"

#define ITEMS 500

static struct {
	pthread_mutex_t lock;
	pthread_cond_t changed;
	uint32_t done[ITEMS]; /* flows, in their order */
	uint32_t n;
	uint32_t blocked; /* this flow waits until it is not any more; 0: none */
	bool is_blocked;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static int ours, theirs; /* addresses alone */

static void work(void *ctx, struct takeover_item *item)
{
	assert_ptr_equal(ctx, item->taker);
	pthread_mutex_lock(&seen.lock);
	while (seen.blocked == item->flow) {
		seen.is_blocked = true;
		pthread_cond_broadcast(&seen.changed);
		pthread_cond_wait(&seen.changed, &seen.lock);
	}
	seen.done[seen.n++] = item->flow;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
	free(item);
}

static void wait_for_done(uint32_t n)
{
	pthread_mutex_lock(&seen.lock);
	while (seen.n < n)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
}

static void unblock(void)
{
	pthread_mutex_lock(&seen.lock);
	seen.blocked = 0;
	pthread_cond_broadcast(&seen.changed);
	pthread_mutex_unlock(&seen.lock);
}

static void post(struct unseal *u, void *ctx, uint32_t flow, size_t to_server, size_t to_client)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	assert_non_null(item);
	list_init(&item->node);
	item->flow = flow;
	item->taken.remains.log[0].bytes.n = to_server;
	item->taken.remains.log[1].bytes.n = to_client;
	unseal_post(u, ctx, item);
}

static void post_blocked(struct unseal *u, void *ctx, uint32_t flow)
{
	seen.blocked = flow;
	seen.is_blocked = false;
	post(u, ctx, flow, 0, 0);
	pthread_mutex_lock(&seen.lock);
	while (!seen.is_blocked)
		pthread_cond_wait(&seen.changed, &seen.lock);
	pthread_mutex_unlock(&seen.lock);
}

static struct unseal *begin(uint32_t threads)
{
	struct unseal *u;

	seen.n = 0;
	assert_int_equal(unseal_new(threads, work, &u), 0);
	return u;
}

static void who_has_least_to_read_comes_first(void **state)
{
	static const uint32_t order[] = {9, 4, 2, 3, 1};
	struct unseal *u = begin(1);

	post_blocked(u, &ours, 9);
	post(u, &ours, 1, 100, (size_t)16 << 20);
	post(u, &ours, 2, 5000, 0);
	post(u, &ours, 3, 0, 5001); /* about as much: in the order of posting */
	post(u, &ours, 4, 10, 20);
	unblock();
	wait_for_done(5);
	assert_memory_equal(seen.done, order, sizeof order);
	assert_true(unseal_free(u));
}

static void each_once_by_several_threads(void **state)
{
	bool told[ITEMS + 1] = {false};
	struct unseal *u = begin(4);

	for (uint32_t i = 1; i <= ITEMS; i++)
		post(u, &ours, i, i * 1000, 0);
	wait_for_done(ITEMS);
	assert_true(unseal_free(u));
	for (uint32_t i = 0; i < ITEMS; i++) {
		assert_false(told[seen.done[i]]);
		told[seen.done[i]] = true;
	}
}

static void one_that_takes_long_holds_up_no_other(void **state)
{
	struct unseal *u = begin(2);

	post_blocked(u, &ours, 1);
	for (uint32_t i = 2; i <= 100; i++)
		post(u, &ours, i, 0, 0);
	wait_for_done(99);
	unblock();
	wait_for_done(100);
	assert_int_equal(seen.done[99], 1);
	assert_true(unseal_free(u));
}

/* What was begun may hang: nobody waits for it. */
static void what_is_dropped_is_handed_back(void **state)
{
	struct unseal *u = begin(1);
	struct list out;
	uint32_t n = 0;

	post_blocked(u, &ours, 1);
	post(u, &ours, 2, 0, 0);
	post(u, &theirs, 3, 0, 0);
	post(u, &ours, 4, 1000, 0);
	list_init(&out);
	unseal_drop(u, &ours, &out);
	assert_true(unseal_is_at_work(u, &ours));
	assert_false(unseal_is_at_work(u, &theirs));
	list_for_each_safe (it, tmp, &out) {
		n++;
		free(list_entry(it, struct takeover_item, node));
	}
	assert_int_equal(n, 2);
	assert_int_equal(seen.n, 0);
	unblock();
	wait_for_done(2);
	assert_int_equal(seen.done[0], 1);
	assert_int_equal(seen.done[1], 3); /* others' goes on */
	assert_true(unseal_free(u));
	unseal_drop(NULL, &ours, NULL);
	assert_false(unseal_is_at_work(NULL, &ours));
}

static uint64_t more_of(const void *state)
{
	return *(const uint64_t *)state;
}

/* What a module has to do besides its logs counts as well. */
static void what_is_not_in_a_log_counts(void **state)
{
	static const struct jeebs_module module = {.size = sizeof module, .unseal_more = more_of};
	static const uint32_t order[] = {9, 2, 1};
	static uint64_t much = 1 << 20;
	struct unseal *u = begin(1);
	struct takeover_item *item = calloc(1, sizeof *item);

	assert_non_null(item);
	list_init(&item->node);
	item->flow = 1;
	item->taken.remains.module = &module;
	item->taken.remains.state = &much;
	post_blocked(u, &ours, 9);
	unseal_post(u, &ours, item);
	post(u, &ours, 2, 5000, 0);
	unblock();
	wait_for_done(3);
	assert_memory_equal(seen.done, order, sizeof order);
	assert_true(unseal_free(u));
}

static void the_number_of_threads_has_bounds(void **state)
{
	struct unseal *none;

	assert_int_equal(unseal_new(0, work, &none), -EINVAL);
	assert_int_equal(unseal_new(UNSEAL_THREADS_MAX + 1, work, &none), -EINVAL);
	assert_true(unseal_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_least_to_read_comes_first),
		cmocka_unit_test(each_once_by_several_threads),
		cmocka_unit_test(one_that_takes_long_holds_up_no_other),
		cmocka_unit_test(what_is_dropped_is_handed_back),
		cmocka_unit_test(what_is_not_in_a_log_counts),
		cmocka_unit_test(the_number_of_threads_has_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
