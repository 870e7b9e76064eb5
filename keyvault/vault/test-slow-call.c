/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "slow-call.h"

#define CALLS 5000

static int count(void *ctx)
{
	int *n = ctx;

	return ++*n;
}

static bool rings(const struct slow_call *c)
{
	struct pollfd p = {c->bell, POLLIN, 0};

	return poll(&p, 1, 0) > 0;
}

/* Whose end was taken before it was heard does not ring for it later: its owner would spin. */
static void test_a_bell_that_was_heeded_is_silent(void **state)
{
	struct slow_call c;
	int n = 0, r = 0;

	assert_int_equal(slow_call_init(&c), 0);
	for (int i = 1; i <= CALLS; i++) {
		slow_call_start(&c, count, &n);
		while (!slow_call_over(&c, &r))
			;
		assert_int_equal(r, i);
		assert_false(rings(&c));
		assert_false(slow_call_over(&c, &r));
	}
	slow_call_deinit(&c);
}

static void test_it_rings(void **state)
{
	struct slow_call c;
	int n = 0, r = 0;

	assert_int_equal(slow_call_init(&c), 0);
	for (int i = 1; i <= 100; i++) {
		struct pollfd p = {c.bell, POLLIN, 0};
		slow_call_start(&c, count, &n);
		assert_int_equal(poll(&p, 1, 10000), 1);
		assert_true(slow_call_over(&c, &r));
		slow_call_start(&c, count, &n);
		slow_call_wait(&c);
		assert_true(slow_call_over(&c, &r));
		assert_int_equal(r, 2 * i);
	}
	slow_call_start(&c, count, &n);
	slow_call_deinit(&c); /* waits for what runs */
	assert_int_equal(n, 201);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_bell_that_was_heeded_is_silent),
		cmocka_unit_test(test_it_rings),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
