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

#include "thread-pool.h"

#define PIECES 5000
#define ROUNDS 300

struct job {
	uint32_t plain[PIECES];     /* by piece, written by its thread without lock or atomic */
	_Atomic uint32_t meeting;   /* pieces that wait for one in another thread */
	pthread_barrier_t together; /* passed only by that many threads at once */
	uint32_t meet_at;
};

static void add_index(void *ctx, uint32_t i)
{
	struct job *job = ctx;

	job->plain[i] += i + 1;
}

static void run_many(uint32_t threads)
{
	struct job *job = calloc(1, sizeof *job);
	struct thread_pool *c;

	assert_non_null(job);
	assert_int_equal(thread_pool_new(threads, &c), 0);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		/* Sizes around the one at which threads join in, and large ones. */
		uint32_t n = round % 3 ? round % (2 * THREAD_POOL_ALONE + 1) : PIECES;
		thread_pool_run(c, add_index, job, n);
		for (uint32_t i = 0; i < PIECES; i++) {
			assert_int_equal(job->plain[i], i < n ? i + 1 : 0); /* each exactly once */
			job->plain[i] = 0;
		}
	}
	thread_pool_free(c);
	free(job);
}

static void test_each_piece_once(void **state)
{
	run_many(1);
	run_many(2);
	run_many(5);
}

static void wait_together(void *ctx, uint32_t i)
{
	struct job *job = ctx;

	/* The first piece of each thread. */
	if (atomic_fetch_add(&job->meeting, 1) < job->meet_at)
		pthread_barrier_wait(&job->together);
}

/* One thread alone would wait at the barrier for ever. */
static void test_several_threads_at_once(void **state)
{
	struct job *job = calloc(1, sizeof *job);
	struct thread_pool *c;

	assert_non_null(job);
	job->meet_at = 3;
	pthread_barrier_init(&job->together, NULL, 3);
	assert_int_equal(thread_pool_new(3, &c), 0);
	thread_pool_run(c, wait_together, job, 100);
	assert_int_equal(atomic_load(&job->meeting), 100);
	thread_pool_free(c);
	pthread_barrier_destroy(&job->together);
	free(job);
}

static void test_sizes(void **state)
{
	struct thread_pool *c = NULL;

	assert_int_equal(thread_pool_new(0, &c), -EINVAL);
	assert_int_equal(thread_pool_new(THREAD_POOL_MAX + 1, &c), -EINVAL);
	assert_null(thread_pool_free(NULL));
	assert_int_equal(thread_pool_size(1), 1);
	assert_true(thread_pool_size(THREAD_POOL_MAX) >= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_piece_once),
		cmocka_unit_test(test_several_threads_at_once),
		cmocka_unit_test(test_sizes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
