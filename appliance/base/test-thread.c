/* SPDX-License-Identifier: GPL-3.0-or-later */
/* thread: what ends, and what does not. */
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "clock.h"
#include "thread.h"

static void *wait_for_word(void *word)
{
	while (sem_wait(word) < 0) /* EINTR */
		;
	return NULL;
}

static void test_one_that_ends(void **state)
{
	pthread_t thread;
	sem_t word;

	(void)state;
	sem_init(&word, 0, 0);
	assert_int_equal(thread_start(&thread, wait_for_word, &word), 0);
	sem_post(&word);
	assert_true(thread_end(thread, "test", INT64_MAX));
	assert_int_equal(threads_left(), 0);
	sem_destroy(&word);
}

/* Nobody waits behind the deadline, however many are left; from then on there is less patience. */
static void test_those_that_do_not(void **state)
{
	int64_t all = thread_deadline(false), last = thread_deadline(true);
	pthread_t thread[3];
	sem_t word;

	(void)state;
	sem_init(&word, 0, 0);
	assert_true(last < all);
	for (uint32_t i = 0; i < 3; i++)
		assert_int_equal(thread_start(&thread[i], wait_for_word, &word), 0);
	for (uint32_t i = 0; i < 3; i++) {
		assert_false(thread_end(thread[i], "test", clock_mono_ns()));
		assert_int_equal(threads_left(), i + 1);
	}
	assert_true(thread_deadline(false) < all);
	for (uint32_t i = 0; i < 3; i++)
		sem_post(&word);
	for (uint32_t i = 0; i < 3; i++)
		assert_true(thread_end(thread[i], "test", INT64_MAX));
	sem_destroy(&word);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_ends),
		cmocka_unit_test(test_those_that_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
