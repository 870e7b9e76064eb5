/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with Exim and Postfix, cut at every byte: what the client gets is what the
 * real server went on to send, all of it. Where a message was sent and its reply is not known, the
 * client gets a reply of ours to it, and everything else as it was.
 */
#include "recovery-modules/harness/test/recorded.h"
#include "smtp-oracle.h"
#include "smtp.h"

static const struct jeebs_service login = {
	.protocol = "smtp", .retain = 1 << 20, .login = JEEBS_LOGIN_REPLAY};

/* What the server had sent before the cut, followed by @after. */
static struct buf said_and(const struct recorded_run *u, struct bytes after)
{
	const struct buf *said = &u->recording->connection[0].all[JEEBS_TO_CLIENT];
	struct buf all = BUF_INIT(1u << 20);

	assert_int_equal(buf_append(&all, said->p, u->connection[0].before[JEEBS_TO_CLIENT]), 0);
	assert_int_equal(buf_bytes(&all, after), 0);
	return all;
}

/* Takes the next reply from @io. */
static struct bytes next_reply(struct bytes *io)
{
	struct smtp_reply r = {0};
	size_t n = 0;

	while (n < io->n && smtp_reply_byte(&r, io->p[n]) != SMTP_REPLY_DONE)
		n++;
	struct bytes b = bytes_head(*io, n + 1);
	*io = bytes_from(*io, b.n);
	return b;
}

/*
 * The replies are the same one by one, except the text of the reply that was cut, and the replies
 * to messages.
 */
static void check_alone(const struct recorded_run *u)
{
	struct buf got = said_and(u, recorded_got(u)),
		   real = said_and(u, recorded_rest(u, 0, JEEBS_TO_CLIENT));
	struct bytes g = buf_view(&got), r = buf_view(&real);
	bool settled = strcmp(u->plan.reason, "message-settled") == 0;
	unsigned ours = 0, cuts = 0;

	while (r.n > 0 && g.n > 0) {
		struct bytes a = next_reply(&g), b = next_reply(&r);
		if (bytes_eq(a, b))
			continue;
		if (memcmp(a.p, b.p, 3) == 0)
			cuts++;
		else if (a.n > 4 && memcmp(a.p, "451 ", 4) == 0)
			ours++;
		else
			RECORDED_FAIL(u, "'%.*s' for '%.*s'", (int)a.n, (const char *)a.p, (int)b.n,
				      (const char *)b.p);
	}
	if (g.n != r.n || ours + cuts == 0 || (settled && ours > 0) || cuts > 1)
		RECORDED_FAIL(u, "%u replies of ours, %u completed, %zu and %zu left", ours, cuts,
			      g.n, r.n);
	buf_deinit(&got);
	buf_deinit(&real);
}

/* A client whose message the box answers does not wait for what came then. */
static bool waits(const struct recorded_run *u)
{
	return u->plan.style != JEEBS_STYLE_STANDALONE;
}

static void check(struct recorded_run *u, struct recorded_count *count)
{
	assert_true(u->recording->unasked == UINT64_MAX);
	if (u->plan.verdict == JEEBS_REFUSE) {
		if (!strstr(u->recording->name, "auth") || strcmp(u->plan.reason, "auth") != 0 ||
		    u->options->harness.service->login == JEEBS_LOGIN_REPLAY)
			RECORDED_FAIL(u, "%s", "refused");
		count->refused++;
		return;
	}
	if (u->unknown)
		RECORDED_FAIL(u, "%s", "asked what was not recorded");
	recorded_ends(u);
	if (u->plan.style != JEEBS_STYLE_STANDALONE) {
		recorded_exact(u, count);
		return;
	}
	count->other++;
	if (!bytes_eq(recorded_got(u), recorded_rest(u, 0, JEEBS_TO_CLIENT)))
		check_alone(u);
}

static struct recorded_count check_all(const struct recorded_options *options)
{
	static const char *const names[] = {"exim-", "postfix-", NULL};
	static const struct recorded_test test = {.module = &smtp_module,
						  .oracle = &smtp_oracle,
						  .folder = TEST_RECORDINGS,
						  .names = names,
						  .least = 24,
						  .other = "with a reply of ours",
						  .check = check,
						  .waits = waits};
	struct recorded_count n = recorded_check(&test, options);

	assert_true(n.exact > n.cuts / 100 * 85);
	return n;
}

static void test_every_cut(void **state)
{
	struct recorded_count n =
		check_all(&(struct recorded_options){.harness = {.service = &login}});

	assert_int_equal(n.refused, 0);
}

static void test_every_cut_in_small_chunks(void **state)
{
	check_all(
		&(struct recorded_options){.harness = {.service = &login, RECORDED_SMALL_CHUNKS}});
}

static void test_every_cut_after_restore(void **state)
{
	check_all(&(struct recorded_options){.harness = {.service = &login}, .reopen = true});
}

static void test_logins_are_not_repeated(void **state)
{
	static const struct jeebs_service refuse = {.protocol = "smtp", .retain = 1 << 20};
	struct recorded_count n =
		check_all(&(struct recorded_options){.harness = {.service = &refuse}});

	assert_true(n.refused > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_every_cut_in_small_chunks),
		cmocka_unit_test(test_every_cut_after_restore),
		cmocka_unit_test(test_logins_are_not_repeated),
	};
	return cmocka_run_group_tests_name("smtp-recorded", tests, NULL, NULL);
}
