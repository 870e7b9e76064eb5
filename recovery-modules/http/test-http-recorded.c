/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with nginx, Apache and lighttpd, cut at every byte: what the client gets
 * is what the real server went on to send, all of it, or the module refused aloud.
 */
#include "http-oracle.h"
#include "http.h"
#include "recovery-modules/harness/test/recorded.h"

/* A POST is not repeated. After the responses to earlier requests the client gets a 502. */
static void check_answered(const struct recorded_run *u)
{
	static const char status[] = "HTTP/1.1 502 ";
	struct bytes got = recorded_got(u), real = recorded_rest(u, 0, JEEBS_TO_CLIENT);
	const uint8_t *p = memmem(got.p, got.n, status, sizeof status - 1);

	assert_non_null(p);
	struct bytes before = bytes_head(got, (size_t)(p - got.p));
	assert_true(bytes_eq(before, bytes_head(real, before.n)));
	assert_int_equal(u->h.outcome, HARNESS_FINISHED);
}

static void check(struct recorded_run *u, struct recorded_count *count)
{
	bool fin = u->recording->connection[0].fin[JEEBS_TO_CLIENT];

	if (u->plan.verdict == JEEBS_REFUSE) {
		count->refused++;
		return;
	}
	if (u->plan.style == JEEBS_STYLE_STANDALONE) {
		check_answered(u);
		count->other++;
		return;
	}
	recorded_exact(u, count);
	/* The connection ends as with the real server, which timed out in one recording. */
	if (u->h.outcome == HARNESS_FINISHED)
		assert_true(fin);
	else if (u->h.outcome == HARNESS_JOINED && !strstr(u->recording->name, "timeout"))
		assert_false(fin);
	if (u->h.outcome == HARNESS_ABORTED)
		recorded_aborted(u, count);
}

static void check_all(const struct recorded_options *options)
{
	static const char *const names[] = {"nginx-", "apache-", "lighttpd-", NULL};
	static const struct recorded_test test = {.module = &http_module,
						  .oracle = &http_oracle,
						  .folder = TEST_RECORDINGS,
						  .names = names,
						  .least = 49,
						  .other = "answered",
						  .check = check};
	struct recorded_count n = recorded_check(&test, options);

	/* The recordings are complete. Refused are a POST that is partly answered, and what is
	 * no request. */
	assert_int_equal(n.unknown, 0);
	assert_int_equal(n.aborted, 0);
	assert_int_equal(n.exact + n.other + n.refused, n.cuts);
	assert_true(n.other > 0);
	assert_true(n.exact > n.cuts / 100 * 95);
}

static void test_every_cut(void **state)
{
	check_all(&(struct recorded_options){0});
}

static void test_every_cut_in_small_chunks(void **state)
{
	check_all(&(struct recorded_options){.harness = {RECORDED_SMALL_CHUNKS}});
}

static void test_every_cut_after_restore(void **state)
{
	check_all(&(struct recorded_options){.reopen = true});
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_cut_in_small_chunks),
		cmocka_unit_test(test_every_cut_after_restore),
	};
	return cmocka_run_group_tests_name("http-recorded", tests, NULL, NULL);
}
