/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failover-retry.h"

static void test_later_each_time(void **state)
{
	static const int64_t seconds[] = {1, 2, 4, 8, 16, 32, 60, 60};
	struct failover_retry r = {0};

	for (size_t i = 0; i < sizeof seconds / sizeof seconds[0]; i++)
		assert_int_equal(failover_retry_failed(&r, "out-of-memory"), seconds[i] * NS_PER_S);
	for (uint32_t i = 0; i < 1000; i++)
		assert_int_equal(failover_retry_failed(&r, "fence-failed"), RETRY_LAST_NS);
	assert_string_equal(atomic_load(&r.reason), "fence-failed");
}

static void test_clear(void **state)
{
	struct failover_retry r = {0};

	failover_retry_failed(&r, "out-of-memory");
	failover_retry_failed(&r, "out-of-memory");
	failover_retry_clear(&r);
	assert_null(atomic_load(&r.reason));
	assert_int_equal(failover_retry_failed(&r, "out-of-memory"), RETRY_FIRST_NS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_later_each_time),
		cmocka_unit_test(test_clear),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
