/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "failover-refused.h"

static uint32_t asked[4], total;
static bool no_memory;

void *__real_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n);
void *__wrap_realloc(void *p, size_t n)
{
	return no_memory ? NULL : __real_realloc(p, n);
}

static void ask(void *ctx, const struct snapshot *s)
{
	assert_ptr_equal(ctx, &total);
	if (s->client.port < 4)
		asked[s->client.port]++;
	total++;
}

static int set_up(void **state)
{
	for (int i = 0; i < 4; i++)
		asked[i] = 0;
	total = 0;
	no_memory = false;
	return 0;
}

static void add(struct refused_table *t, uint16_t port, int64_t at_ms)
{
	struct snapshot s = {.client = {.port = port}};

	assert_int_equal(refused_add(t, &s, at_ms * NS_PER_MS), 0);
}

static void step(struct refused_table *t, int64_t at_ms)
{
	refused_step(t, at_ms * NS_PER_MS, ask, &total);
}

static void test_asked_three_times(void **state)
{
	struct refused_table t = {0};
	static const int64_t when_ms[] = {250, 1000, 3000};

	assert_int_equal(refused_due_ns(&t), INT64_MAX);
	add(&t, 0, 0);
	for (uint32_t i = 0; i < REFUSED_ROUNDS; i++) {
		assert_int_equal(refused_due_ns(&t), when_ms[i] * NS_PER_MS);
		step(&t, when_ms[i] - 1);
		assert_int_equal(asked[0], i);
		step(&t, when_ms[i]);
		assert_int_equal(asked[0], i + 1);
	}
	assert_int_equal(refused_due_ns(&t), INT64_MAX);
	assert_null(t.entry);
	step(&t, 100000);
	assert_int_equal(total, REFUSED_ROUNDS);
}

static void test_each_in_its_time(void **state)
{
	struct refused_table t = {0};

	add(&t, 0, 0);
	add(&t, 1, 100);
	step(&t, 250);
	assert_int_equal(asked[0], 1);
	assert_int_equal(asked[1], 0);
	assert_int_equal(refused_due_ns(&t), 350 * NS_PER_MS);
	step(&t, 350);
	add(&t, 2, 400);
	assert_int_equal(refused_due_ns(&t), 650 * NS_PER_MS);
	step(&t, 5000); /* late: each is asked once, not for every round missed */
	assert_int_equal(asked[0], 2);
	assert_int_equal(asked[1], 2);
	assert_int_equal(asked[2], 1);
	for (int64_t ms = 5000; ms < 20000; ms += 100)
		step(&t, ms);
	for (int i = 0; i < 3; i++)
		assert_int_equal(asked[i], REFUSED_ROUNDS);
	refused_deinit(&t);
}

static void test_ceilings(void **state)
{
	struct refused_table t = {0};
	struct snapshot s = {.client = {.port = 9}};

	no_memory = true;
	assert_int_equal(refused_add(&t, &s, 0), -ENOMEM);
	no_memory = false;
	for (uint32_t i = 0; i < REFUSED_MAX; i++)
		assert_int_equal(refused_add(&t, &s, 0), 0);
	assert_int_equal(refused_add(&t, &s, 0), -ENOSPC);
	step(&t, 250);
	assert_int_equal(total, REFUSED_MAX);
	refused_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_asked_three_times, set_up),
		cmocka_unit_test_setup(test_each_in_its_time, set_up),
		cmocka_unit_test_setup(test_ceilings, set_up),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
