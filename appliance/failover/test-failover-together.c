/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Conversations of several connections in a takeover: they go on together, or none of them does. */
#include "test/failover-rig.h"

#include <errno.h>

static void test_family_goes_together(void **state)
{
	rig_take_families(200, 400);
	assert_int_equal(done.held, 200);
	assert_int_equal(done.related_open, 200);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 400);
}

static void test_family_waits_for_the_late(void **state)
{
	rig_take_families(200, 250); /* all mains answer in time, and 50 of the others */
	assert_int_equal(done.held, 50);
	assert_int_equal(done.not_held, 150);
	assert_int_equal(done.related_open, 200);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 400);
	assert_int_equal(done.released, 150); /* the mains had answered, and were not held back */
}

/* A log's spilled beginning goes along, and its view is freed exactly once. */
static void test_family_with_long_logs(void **state)
{
	world.long_logs = true;
	rig_take_families(20, 40);
	assert_int_equal(done.held, 20);
	assert_int_equal(done.views_given, 40);
	assert_int_equal(done.views, 0);
}

static void test_family_with_long_logs_is_undone(void **state)
{
	world.long_logs = true;
	world.submit_error = -ENOSPC;
	rig_take_families(20, 40);
	assert_int_equal(done.views_given, 0);
	assert_int_equal(done.views, 0);
}

static void test_other_cannot_be_restored(void **state)
{
	world.related_refused = true;
	rig_take_families(20, 40);
	assert_int_equal(done.held, 20);
	assert_int_equal(done.related, 20);
	assert_int_equal(done.related_open, 0);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
}

static void test_main_is_refused(void **state)
{
	world.main_refused = true;
	rig_take_families(20, 40);
	assert_int_equal(done.restored, 0);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 40);
	assert_int_equal(done.frames, 40); /* resets: all had spoken before they were asked */
}

static void test_main_is_gone(void **state)
{
	world.main_gone = true;
	rig_take_families(20, 40);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.summary.account.n[FATE_GONE], 20);
}

/*
 * The main connection ended after it had said what it expects. The others are reset and counted,
 * not forgotten.
 */
static void test_main_has_ended_before(void **state)
{
	world.main_missing = true;
	rig_take_families(20, 40);
	assert_int_equal(done.held, 20); /* the other mains */
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.frames, 20); /* one RST each */
}

static void test_main_has_ended_before_and_others_are_late(void **state)
{
	world.main_missing = true;
	rig_take_families(20, 20);
	assert_int_equal(done.summary.account.n[FATE_REFUSED], 20);
	assert_int_equal(done.released, 20);
}

static void test_family_is_undone(void **state)
{
	world.submit_error = -ENOSPC;
	rig_take_families(20, 40);
	assert_int_equal(done.abandoned, 40);
	assert_int_equal(done.refused_for[3], 40);
}

static void test_ended_is_no_connection(void **state)
{
	world.ended = 2;
	rig_take_families(20, 40);
	assert_int_equal(done.related, 22);
	assert_int_equal(done.related_open, 20);
	assert_int_equal(done.summary.account.n[FATE_GONE], 0);
}

/* More ended ones than the module is told of, and they came first. The living one is still among
 * those it is told of. */
static void test_more_ended_than_are_told(void **state)
{
	world.ended = 7;
	rig_take_families(20, 40);
	assert_int_equal(done.related_open, 20);
	assert_int_equal(done.related, 20 + JEEBS_EXPECT_MAX - 1);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 40);
	assert_int_equal(done.frames, 0);
}

static void test_ended_of_the_tag_that_lives(void **state)
{
	world.ended = 3;
	world.ended_alike = true;
	rig_take_families(20, 40);
	assert_int_equal(done.related_open, 20);
	assert_int_equal(done.related, 20);
	assert_int_equal(done.summary.account.n[FATE_CONTINUING], 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		RIG_TEST(test_family_goes_together),
		RIG_TEST(test_family_waits_for_the_late),
		RIG_TEST(test_family_with_long_logs),
		RIG_TEST(test_family_with_long_logs_is_undone),
		RIG_TEST(test_other_cannot_be_restored),
		RIG_TEST(test_main_is_refused),
		RIG_TEST(test_main_is_gone),
		RIG_TEST(test_main_has_ended_before),
		RIG_TEST(test_main_has_ended_before_and_others_are_late),
		RIG_TEST(test_family_is_undone),
		RIG_TEST(test_ended_is_no_connection),
		RIG_TEST(test_more_ended_than_are_told),
		RIG_TEST(test_ended_of_the_tag_that_lives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
