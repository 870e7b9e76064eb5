/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with real servers and clients, cut at every byte. Before the session what
 * the client gets is what the real server went on to send, all of it; in the session it gets a
 * notice and a new prompt, well-formed, without a word of the password; or the module refused
 * aloud.
 */
#include "recovery-modules/harness/test/recorded.h"
#include "telnet-oracle.h"
#include "telnet.h"

#define PASSWORD "s3cret"
#define NOTICE   "[a new session]"

/* All that the client got, from the first byte on, is well-formed to its end. */
static void check_wellformed(const struct recorded_run *u)
{
	const struct buf *said = &u->recording->connection[0].all[JEEBS_TO_CLIENT];
	size_t before = (size_t)u->connection[0].before[JEEBS_TO_CLIENT];
	struct bytes parts[2] = {bytes_head(buf_view(said), before), recorded_got(u)};
	struct telnet_parser p = {0};

	for (int i = 0; i < 2; i++) {
		while (parts[i].n > 0) {
			struct telnet_token t;
			parts[i] = bytes_from(parts[i], telnet_parse(&p, parts[i], &t));
			assert_true(t.kind != TELNET_COMMAND || t.verb >= TELNET_NOP);
		}
	}
	assert_int_equal(p.step, TELNET_IN_TEXT);
}

static void check_session(const struct recorded_run *u)
{
	struct bytes got = recorded_got(u);

	if (u->h.outcome == HARNESS_ABORTED || !recorded_contains(got, NOTICE "\r\n"))
		RECORDED_FAIL(u, "%s, no notice in %zu bytes: %.*s",
			      u->h.abort_reason ? u->h.abort_reason : "", got.n, (int)got.n,
			      (const char *)got.p);
	check_wellformed(u);
	if (strcmp(u->plan.reason, "login-again") == 0)
		return; /* the user goes on from the backup's first prompt */
	assert_true(recorded_contains(buf_view(&u->h.backend), PASSWORD));
	assert_true(recorded_contains(got, "Welcome to the lab."));
	/* No part of the login is shown again. */
	assert_false(recorded_contains(got, "login:"));
	assert_false(recorded_contains(got, "assword"));
}

static bool waits(const struct recorded_run *u)
{
	(void)u;
	return true;
}

/* The module refused or aborted, for a reason that the recording gives. */
static bool is_refused(const struct recorded_run *u)
{
	if (u->plan.verdict == JEEBS_REFUSE)
		return true;
	if (u->h.outcome != HARNESS_ABORTED)
		return false;
	if (u->recording->connection[0].fin[JEEBS_TO_SERVER] &&
	    strcmp(u->h.abort_reason, "client-finished") == 0)
		return true; /* it had not waited for the new session */
	/* After a failed login the recorded server does not accept the password at the first
	 * prompt. */
	if (!u->unknown || !strstr(u->recording->name, "-failed"))
		return false;
	assert_string_equal(u->h.abort_reason, "login-stalled");
	return true;
}

static void check(struct recorded_run *u, struct recorded_count *count)
{
	assert_false(recorded_contains(recorded_got(u), PASSWORD));
	if (is_refused(u)) {
		count->refused++;
		return;
	}
	if (u->plan.style == JEEBS_STYLE_STANDALONE) {
		count->other++;
		check_session(u);
	} else {
		recorded_exact(u, count);
	}
	if (u->h.outcome == HARNESS_ABORTED)
		recorded_aborted(u, count);
}

static struct recorded_count check_all(const struct recorded_options *options)
{
	static const char *const names[] = {"busybox-", "inetutils-", "made-", "netkit-", NULL};
	static const struct recorded_test test = {.module = &telnet_module,
						  .oracle = &telnet_oracle,
						  .folder = TEST_RECORDINGS,
						  .names = names,
						  .least = 5,
						  .other = "new sessions",
						  .check = check,
						  .waits = waits};
	struct recorded_count n = recorded_check(&test, options);

	assert_int_equal(n.unknown, 0);
	assert_int_equal(n.aborted, 0);
	assert_int_equal(n.exact + n.other + n.refused, n.cuts);
	return n;
}

static const struct jeebs_service replay = {
	.login = JEEBS_LOGIN_REPLAY, .protocol = "telnet", .notice = NOTICE};
static const struct jeebs_service no_login = {.protocol = "telnet", .notice = NOTICE};

static void test_every_cut(void **state)
{
	struct recorded_count n =
		check_all(&(struct recorded_options){.harness = {.service = &replay}});

	assert_true(n.exact > n.cuts / 2);
	assert_true(n.other > n.cuts / 10);
	assert_true(n.refused < n.cuts / 20);
}

static void test_every_cut_in_small_chunks(void **state)
{
	struct recorded_count n = check_all(
		&(struct recorded_options){.harness = {.service = &replay,
						       .live = {.max = 5, .seed = 3},
						       .backend = {.max = 7, .seed = 5}}});

	assert_true(n.exact > n.cuts / 2);
}

static void test_every_cut_after_restore(void **state)
{
	struct recorded_count n = check_all(
		&(struct recorded_options){.harness = {.service = &replay}, .reopen = true});

	assert_true(n.exact > n.cuts / 2);
}

/* Where passwords may not be kept, a cut from the first byte of a password on is refused. */
static void test_every_cut_without_login(void **state)
{
	struct recorded_count n =
		check_all(&(struct recorded_options){.harness = {.service = &no_login}});

	assert_true(n.other < n.cuts / 100); /* cuts at a first prompt after a failed login */
	assert_true(n.exact > n.cuts / 4);
	assert_true(n.refused > n.cuts / 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_cut_in_small_chunks),
		cmocka_unit_test(test_every_cut_after_restore),
		cmocka_unit_test(test_every_cut_without_login),
	};
	return cmocka_run_group_tests_name("telnet-recorded", tests, NULL, NULL);
}
