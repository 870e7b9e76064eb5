/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with real servers, cut at every byte: what the client gets is what the
 * real server went on to send, all of it.
 */
#include "recovery-modules/harness/test/recorded.h"
#include "replay-oracle.h"
#include "replay.h"

#define SKIPPED 5u /* bytes of each direction that belong to an earlier conversation */

static const struct jeebs_service plain = {.protocol = "replay", .retain = 1 << 20},
				  behind = {.protocol = "replay",
					    .retain = 1 << 20,
					    .begin = {SKIPPED, SKIPPED}};

static void check(struct recorded_run *u, struct recorded_count *count)
{
	assert_true(u->recording->unasked == UINT64_MAX);
	if (u->plan.verdict != JEEBS_CONTINUE)
		RECORDED_FAIL(u, "%s", "refused");
	if (u->unknown)
		RECORDED_FAIL(u, "%s", "asked what was not recorded");
	recorded_ends(u);
	recorded_exact(u, count);
}

static void check_all(const struct recorded_options *options)
{
	static const char *const names[] = {"redis-", "memcached-", NULL};
	static const struct recorded_test test = {.module = &replay_module,
						  .oracle = &replay_oracle,
						  .folder = TEST_RECORDINGS,
						  .names = names,
						  .least = 8,
						  .check = check};
	struct recorded_count n = recorded_check(&test, options);

	assert_int_equal(n.exact, n.cuts);
}

static void test_every_cut(void **state)
{
	check_all(&(struct recorded_options){.harness = {.service = &plain}});
}

static void test_every_cut_in_small_chunks(void **state)
{
	check_all(
		&(struct recorded_options){.harness = {.service = &plain, RECORDED_SMALL_CHUNKS}});
}

static void test_every_cut_after_restore(void **state)
{
	check_all(&(struct recorded_options){.harness = {.service = &plain}, .reopen = true});
}

static void test_every_cut_behind_an_upgrade(void **state)
{
	check_all(&(struct recorded_options){.harness = {.service = &behind}, .reopen = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_cut_in_small_chunks),
		cmocka_unit_test(test_every_cut_after_restore),
		cmocka_unit_test(test_every_cut_behind_an_upgrade),
	};
	return cmocka_run_group_tests_name("replay-recorded", tests, NULL, NULL);
}
