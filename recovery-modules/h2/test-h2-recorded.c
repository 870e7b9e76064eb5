/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations of nghttp, h2load and curl with nghttpd and nginx, cut at every byte: stream by
 * stream the client gets what the real server went on to send, all of it, or the module refused
 * aloud.
 */
#include "h2-oracle.h"
#include "h2.h"
#include "recovery-modules/harness/test/recorded.h"

static void check(struct recorded_run *u, struct recorded_count *count)
{
	struct bytes got = recorded_got(u);
	const char *wrong;
	uint32_t missing;

	if (u->plan.verdict == JEEBS_REFUSE) {
		count->refused++;
		return;
	}
	if (u->h.outcome == HARNESS_ABORTED) {
		recorded_aborted(u, count);
		return;
	}
	if (u->plan.style == JEEBS_STYLE_STANDALONE) {
		count->other++;
		return;
	}
	assert_int_equal(h2_oracle.judge(u->recording->oracle, &u->h.cut,
					 (struct jeebs_bytes){got.p, got.n}, &wrong, &missing),
			 0);
	if (wrong)
		RECORDED_FAIL(u, "%s", wrong);
	if (u->unknown) {
		count->unknown++;
		print_message("%s: cut at %zu (%s): the oracle cannot tell\n", u->recording->name,
			      u->cut, u->plan.reason);
		return;
	}
	if (missing)
		RECORDED_FAIL(u, "something is missing (%zu bytes came)", got.n);
	count->exact++;
}

static void check_all(const char *const *names, unsigned least,
		      const struct recorded_options *options)
{
	const struct recorded_test test = {.module = &h2_module,
					   .oracle = &h2_oracle,
					   .folder = TEST_RECORDINGS,
					   .names = names,
					   .least = least,
					   .check = check};
	struct recorded_count n = recorded_check(&test, options);

	assert_int_equal(n.unknown, 0);
	assert_int_equal(n.aborted, 0);
	assert_int_equal(n.exact + n.other + n.refused, n.cuts);
	assert_true(n.exact > n.cuts / 100 * 75);
}

static void test_every_cut(void **state)
{
	static const char *const names[] = {"nghttpd-", "nginx-", NULL};

	check_all(names, 16, &(struct recorded_options){0});
}

static void test_small_chunks_after_restore(void **state)
{
	static const char *const names[] = {"nginx-nghttp-small", "nghttpd-head", NULL};

	check_all(names, 2,
		  &(struct recorded_options){.harness = {RECORDED_SMALL_CHUNKS}, .reopen = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_small_chunks_after_restore),
	};
	return cmocka_run_group_tests_name("h2-recorded", tests, NULL, NULL);
}
