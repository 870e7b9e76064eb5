/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "failover-probed.h"

#define FLOWS 5000

static struct takeover_item item(uint16_t worker, uint32_t flow)
{
	return (struct takeover_item){
		.worker = worker, .flow = flow, .probe = {.snapshot = {.snd_una = flow}}};
}

static void test_each_is_done_once(void **state)
{
	struct probed_table t = {0};

	for (uint32_t i = 1; i <= FLOWS; i++) {
		struct takeover_item it = item((uint16_t)(i % 3), i);
		assert_int_equal(probed_add(&t, &it), 0);
	}
	assert_int_equal(probed_index(&t), 0);
	assert_int_equal(t.outstanding, FLOWS);
	for (uint32_t i = 1; i <= FLOWS; i += 2) {
		struct takeover_item it = item((uint16_t)(i % 3), i);
		assert_true(probed_done(&t, &it));
		assert_false(probed_done(&t, &it)); /* the second time there is none */
	}
	assert_int_equal(t.outstanding, FLOWS / 2);
	for (uint32_t i = 0; i < t.count; i++)
		assert_int_equal(t.entry[i].done, t.entry[i].snapshot.snd_una % 2);
	probed_deinit(&t);
	assert_null(t.entry);
}

/* Without memory for the index it is slower, not wrong. */
static void test_without_index(void **state)
{
	struct probed_table t = {0};
	struct takeover_item a = item(0, 7), b = item(1, 7), stranger = item(2, 7);

	probed_add(&t, &a);
	probed_add(&t, &b);
	assert_true(probed_done(&t, &b));
	assert_false(probed_done(&t, &b));
	assert_false(probed_done(&t, &stranger));
	assert_int_equal(t.outstanding, 1);
	assert_false(t.entry[0].done);
	probed_deinit(&t);
}

/* Flow ids are unique within their worker only. */
static void test_workers_are_told_apart(void **state)
{
	struct probed_table t = {0};
	struct takeover_item a = item(0, 7), b = item(1, 7), stranger = item(2, 7);

	probed_add(&t, &a);
	probed_add(&t, &b);
	assert_int_equal(probed_index(&t), 0);
	assert_false(probed_done(&t, &stranger));
	assert_int_equal(t.outstanding, 2);
	assert_true(probed_done(&t, &b));
	assert_int_equal(t.outstanding, 1);
	assert_false(t.entry[0].done);
	assert_true(t.entry[1].done);
	probed_deinit(&t);
}

static void test_empty(void **state)
{
	struct probed_table t = {0};
	struct takeover_item a = item(0, 1);

	probed_done(&t, &a); /* not indexed, so not found */
	assert_int_equal(probed_index(&t), 0);
	probed_done(&t, &a);
	assert_int_equal(t.outstanding, 0);
	probed_deinit(&t);
}

static void test_handshakes_are_held_last(void **state)
{
	struct probed_table t = {0};
	struct guard_flow held[4];

	for (uint32_t i = 0; i < 6; i++) {
		struct takeover_item it = item(0, i);
		it.probe.handshake_only = i % 2 == 0;
		it.probe.snapshot.client.port = (uint16_t)i;
		assert_int_equal(probed_add(&t, &it), 0);
	}
	struct takeover_item done = item(0, 1);
	assert_non_null(probed_done(&t, &done));
	assert_int_equal(probed_hold(&t, held, 3), 3);
	assert_int_equal(held[0].client.port, 3);
	assert_int_equal(held[1].client.port, 5);
	assert_int_equal(held[2].client.port, 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_int_equal(t.entry[i].held, i == 0 || i == 3 || i == 5);
	assert_int_equal(probed_hold(&t, NULL, 0), 0);
	for (uint32_t i = 0; i < 6; i++)
		assert_false(t.entry[i].held);
	probed_deinit(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_each_is_done_once),
		cmocka_unit_test(test_workers_are_told_apart),
		cmocka_unit_test(test_without_index),
		cmocka_unit_test(test_empty),
		cmocka_unit_test(test_handshakes_are_held_last),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
