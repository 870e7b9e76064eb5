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

#define LATE_NS (clock_mono_ns() + 60 * NS_PER_S)

struct waiter {
	pthread_t thread;
	sem_t word;
	int ended; /* the thread's, until it has ended: the thread sanitizer looks at it as well */
};

static void *wait_for_word(void *arg)
{
	struct waiter *w = arg;

	while (sem_wait(&w->word) < 0) /* EINTR */
		;
	w->ended++;
	return NULL;
}

static void begin(struct waiter *w)
{
	*w = (struct waiter){0};
	sem_init(&w->word, 0, 0);
	assert_int_equal(thread_start(&w->thread, wait_for_word, w), 0);
}

static void end(struct waiter *w)
{
	sem_post(&w->word);
	assert_true(thread_end(w->thread, "test", LATE_NS));
	assert_int_equal(w->ended, 1);
	sem_destroy(&w->word);
}

static void test_one_that_ends(void **state)
{
	struct waiter w;

	(void)state;
	begin(&w);
	end(&w);
	assert_int_equal(threads_left(), 0);
}

/* Nobody waits behind the deadline, however many are left; from then on there is less patience. */
static void test_those_that_do_not(void **state)
{
	int64_t all = thread_deadline(false), last = thread_deadline(true);
	struct waiter w[3];

	(void)state;
	assert_true(last < all);
	for (uint32_t i = 0; i < 3; i++)
		begin(&w[i]);
	for (uint32_t i = 0; i < 3; i++) {
		assert_false(thread_end(w[i].thread, "test", clock_mono_ns()));
		assert_int_equal(threads_left(), i + 1);
	}
	assert_true(thread_deadline(false) < all);
	for (uint32_t i = 0; i < 3; i++)
		end(&w[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_that_ends),
		cmocka_unit_test(test_those_that_do_not),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
