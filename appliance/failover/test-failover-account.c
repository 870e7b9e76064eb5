/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "failover-account.h"

static struct account a;

static uint32_t number(enum fate fate)
{
	struct account_numbers n;

	account_get(&a, &n);
	return n.n[fate];
}

static int set_up(void **state)
{
	account_init(&a);
	return 0;
}

static int tear_down(void **state)
{
	account_deinit(&a);
	return 0;
}

static void test_each_has_one_fate(void **state)
{
	account_add(&a, FATE_CONTINUING, NULL, 5);
	account_add(&a, FATE_REFUSED, "response-gap", 2);
	account_add(&a, FATE_CONTINUING, NULL, 3);
	account_undo(&a, 3); /* joining failed */
	assert_false(account_settle(&a, FATE_CONTINUED, NULL, 2));
	assert_false(account_settle(&a, FATE_ABORTED, "entity-differs", 1));
	assert_false(account_settle(&a, FATE_GONE, NULL, 1));
	assert_int_equal(number(FATE_CONTINUING), 1);
	assert_true(account_settle(&a, FATE_CONTINUED, NULL, 1));
	assert_int_equal(number(FATE_CONTINUING), 0);
	assert_int_equal(number(FATE_CONTINUED), 3);
	assert_int_equal(number(FATE_REFUSED), 2);
	assert_int_equal(number(FATE_ABORTED), 1);
	assert_int_equal(number(FATE_GONE), 1);
	account_begin(&a);
	for (int f = 0; f < FATE_COUNT_; f++)
		assert_int_equal(number((enum fate)f), 0);
}

static void assert_why(const char *refused, const char *aborted)
{
	char text[ACCOUNT_WHY_STRLEN];
	struct account_numbers n;

	account_get(&a, &n);
	assert_string_equal(account_why(&n.refused, text), refused);
	assert_string_equal(account_why(&n.aborted, text), aborted);
}

static void test_by_reason(void **state)
{
	assert_why("", "");
	account_add(&a, FATE_CONTINUING, NULL, 10);
	account_settle(&a, FATE_ABORTED, "entity-differs", 1);
	account_settle(&a, FATE_ABORTED, "backend-failed", 2);
	account_settle(&a, FATE_ABORTED, "entity-differs", 1);
	account_settle(&a, FATE_GONE, "client-reset", 1);
	account_add(&a, FATE_REFUSED, "response-gap", 2);
	account_add(&a, FATE_REFUSED, "out-of-memory", 0);
	account_add(&a, FATE_REFUSED, "request-gap", 1);
	account_add(&a, FATE_REFUSED, "response-gap", 1);
	assert_why("response-gap 3, request-gap 1", "entity-differs 2, backend-failed 2");
}

/* More reasons than places: none is lost, and the sum is right. */
static void test_many_reasons(void **state)
{
	static char name[40][64];
	struct account_numbers n;
	uint32_t sum = 0;
	char text[ACCOUNT_WHY_STRLEN];

	account_add(&a, FATE_CONTINUING, NULL, 40);
	for (int i = 0; i < 40; i++) {
		memset(name[i], 'x', sizeof name[i] - 1);
		snprintf(name[i] + 50, 14, "%d", i);
		account_settle(&a, FATE_ABORTED, name[i], 1);
	}
	account_get(&a, &n);
	assert_int_equal(n.aborted.n, ACCOUNT_REASONS_MAX);
	for (uint32_t i = 0; i < n.aborted.n; i++)
		sum += n.aborted.v[i].n;
	assert_int_equal(sum, 40);
	assert_string_equal(n.aborted.v[ACCOUNT_REASONS_MAX - 1].reason, "others");
	assert_true(strlen(account_why(&n.aborted, text)) < ACCOUNT_WHY_STRLEN);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_each_has_one_fate),
		TEST(test_by_reason),
		TEST(test_many_reasons),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
