/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with Exim and Postfix, cut at every byte. The module goes on against
 * the oracle made from the same recording: what the client gets is what the real server went
 * on to send, all of it. Where a message was sent and its reply is not known, the client gets a
 * reply of ours to it, and everything else as it was.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include "recovery-modules/harness/harness.h"
#include "smtp-oracle.h"
#include "smtp.h"
#include "test-conversation.h"

#define STEPS_MAX 64

static const struct jeebs_service login = {
	.protocol = "smtp", .retain = 1 << 20, .login = JEEBS_LOGIN_REPLAY};

struct options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
};

struct count {
	unsigned files, cuts, exact, alone, refused;
};

/* The oracle as the harness's backend. */
struct backup {
	void *connection;
	bool unknown;
};

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct backup *k = ctx;
	uint32_t state;

	assert_int_equal(smtp_oracle.receive(k->connection, (struct jeebs_bytes){b.p, b.n}, eof,
					     take, answer, &state),
			 0);
	*close = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
	k->unknown |= state == JEEBS_ORACLE_UNKNOWN;
}

static struct buf read_file(const char *path)
{
	struct buf b = BUF_INIT(1u << 20);
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, 1u << 19), 0);
	b.n = fread(b.p, 1, 1u << 19, f);
	fclose(f);
	return b;
}

/* What the client says when the server has said so much behind the cut. */
struct step {
	uint64_t received;
	struct bytes says;
};

/* One conversation: what of it was said by the cut, and the rest. */
struct run {
	struct harness h;
	struct buf said; /* by the server, before the cut */
	struct buf rest; /* of the server */
	struct step steps[STEPS_MAX];
	unsigned step_n, step;
	bool at_once; /* it says it without waiting */
	bool fin[2];  /* recorded, before or after the cut */
};

static struct buf joined(struct bytes a, struct bytes b)
{
	struct buf all = BUF_INIT(1u << 20);

	assert_int_equal(buf_bytes(&all, a), 0);
	assert_int_equal(buf_bytes(&all, b), 0);
	return all;
}

static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct run *u = ctx;
	struct bytes b = BYTES_NONE;

	if (u->step < u->step_n && (u->at_once || u->steps[u->step].received <= received))
		b = u->steps[u->step++].says;
	*ret_eof = u->step == u->step_n && u->fin[JEEBS_TO_SERVER];
	return b;
}

static void *learn(struct bytes file, size_t *ret_total)
{
	struct reader r = reader_init(file);
	struct conversation_record c;
	uint64_t end[2] = {0, 0}, unasked;
	void *o = smtp_oracle.open(&login);

	*ret_total = 0;
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F')
			assert_int_equal(smtp_oracle.fin(o, dir, end[dir]), 0);
		else
			assert_int_equal(smtp_oracle.data(o, dir, end[dir],
							  (struct jeebs_bytes){c.b.p, c.b.n}),
					 0);
		end[dir] += c.b.n;
		*ret_total += c.kind == 'E' || c.kind == 'F' ? 1 : c.b.n;
	}
	assert_int_equal(smtp_oracle.learned(o, &unasked), 0);
	assert_true(unasked == UINT64_MAX);
	return o;
}

/* The server dies after @cut bytes of both directions; the rest is put aside. */
static void live(struct run *u, struct bytes file, size_t cut, const struct options *options)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	memset(u, 0, sizeof *u);
	u->said = u->rest = BUF_INIT(1u << 20);
	assert_int_equal(harness_init(&u->h, &smtp_module, &options->harness), 0);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F') {
			u->fin[dir] = true;
			if (cut > 0) {
				harness_fin(&u->h, dir);
				cut--;
			}
		}
		struct bytes before = bytes_head(c.b, cut), after = bytes_from(c.b, before.n);
		cut -= before.n;
		if (before.n > 0)
			harness_data(&u->h, dir, before);
		if (dir == JEEBS_TO_CLIENT) {
			buf_bytes(&u->said, before);
			buf_bytes(&u->rest, after);
		} else if (after.n > 0) {
			assert_true(u->step_n < STEPS_MAX);
			u->steps[u->step_n++] = (struct step){u->rest.n, after};
		}
	}
}

/* The next reply of @io. */
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

/* Reply by reply the same, but for the one that was cut, in its text, and those to messages. */
static void check_alone(const char *name, size_t cut, const struct run *u, bool settled)
{
	struct buf got = joined(buf_view(&u->said), buf_view(&u->h.client)),
		   real = joined(buf_view(&u->said), buf_view(&u->rest));
	struct bytes g = buf_view(&got), r = buf_view(&real);
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
			fail_msg("%s: cut at %zu: '%.*s' for '%.*s'", name, cut, (int)a.n, a.p,
				 (int)b.n, b.p);
	}
	if (g.n != r.n || ours + cuts == 0 || (settled && ours > 0) || cuts > 1)
		fail_msg("%s: cut at %zu: %u replies of ours, %u completed, %zu and %zu left", name,
			 cut, ours, cuts, g.n, r.n);
	buf_deinit(&got);
	buf_deinit(&real);
}

static void check_resumed(const char *name, size_t cut, struct run *u,
			  const struct jeebs_plan *plan, const struct backup *backup,
			  struct count *count)
{
	struct bytes got = buf_view(&u->h.client), real = buf_view(&u->rest);

	if (u->h.violation || u->h.outcome == HARNESS_ABORTED || backup->unknown)
		fail_msg("%s: cut at %zu (%s): %s", name, cut, plan->reason,
			 u->h.violation    ? u->h.violation
			 : backup->unknown ? "asked what was not recorded"
					   : u->h.abort_reason);
	if (plan->style == JEEBS_STYLE_STANDALONE) {
		count->alone++;
		if (!bytes_eq(got, real))
			check_alone(name, cut, u, strcmp(plan->reason, "message-settled") == 0);
	} else {
		count->exact++;
		if (!bytes_eq(got, real))
			fail_msg("%s: cut at %zu (%s): outcome %d, '%.*s' for '%.*s'", name, cut,
				 plan->reason, u->h.outcome, (int)got.n, got.p, (int)real.n,
				 real.p);
	}
	if (u->fin[JEEBS_TO_CLIENT])
		assert_int_equal(u->h.outcome, HARNESS_FINISHED);
	else
		assert_int_equal(u->h.outcome, HARNESS_JOINED);
}

static void check_cut(const char *name, struct bytes file, void *oracle, size_t cut,
		      const struct options *options, struct count *count)
{
	struct run u;
	struct jeebs_plan plan;

	live(&u, file, cut, options);
	count->cuts++;
	if (options->reopen)
		assert_int_equal(harness_reopen(&u.h), 0);
	harness_plan(&u.h, &plan);
	if (plan.verdict == JEEBS_REFUSE) {
		if (!strstr(name, "auth") || strcmp(plan.reason, "auth") != 0 ||
		    options->harness.service->login == JEEBS_LOGIN_REPLAY)
			fail_msg("%s: cut at %zu refused: %s", name, cut, plan.reason);
		count->refused++;
	} else {
		struct jeebs_cut at = {.to_client_end = u.said.n,
				       .to_server_end = u.h.log[JEEBS_TO_SERVER].next};
		struct backup backup = {.connection = smtp_oracle.connect(oracle, &at)};
		struct harness_backend backend = {.receive = receive, .ctx = &backup};
		struct harness_client client = {.next = client_says, .ctx = &u};
		u.at_once = plan.style == JEEBS_STYLE_STANDALONE;
		harness_resume_with(&u.h, &backend, &client);
		smtp_oracle.disconnect(backup.connection);
		check_resumed(name, cut, &u, &plan, &backup, count);
	}
	assert_null(u.h.violation);
	harness_deinit(&u.h);
	buf_deinit(&u.said);
	buf_deinit(&u.rest);
}

static void check_file(const char *name, const struct options *options, struct count *count)
{
	char path[512];
	size_t n;

	snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, name);
	struct buf file = read_file(path);
	void *oracle = learn(buf_view(&file), &n);
	for (size_t cut = 0; cut <= n; cut++) /* the last one: after everything */
		check_cut(name, buf_view(&file), oracle, cut, options, count);
	smtp_oracle.close(oracle);
	buf_deinit(&file);
	count->files++;
}

static struct count check_all(struct options options)
{
	struct count count = {0};
	struct dirent *e;
	DIR *d = opendir(TEST_RECORDINGS);

	if (!options.harness.service)
		options.harness.service = &login;
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "exim-", 5) == 0 || strncmp(e->d_name, "postfix-", 8) == 0)
			check_file(e->d_name, &options, &count);
	}
	closedir(d);
	assert_true(count.files >= 24);
	print_message("%u conversations, %u cuts: %u exact, %u with a reply of ours, %u refused\n",
		      count.files, count.cuts, count.exact, count.alone, count.refused);
	assert_true(count.exact > count.cuts / 100 * 85);
	return count;
}

static void test_every_cut(void **state)
{
	struct count c = check_all((struct options){0});

	assert_int_equal(c.refused, 0);
}

static void test_every_cut_in_small_chunks(void **state)
{
	check_all((struct options){.harness = {.live = {.max = 11, .seed = 3},
					       .backend = {.max = 17, .seed = 5},
					       .view_max = 16}});
}

static void test_every_cut_after_restore(void **state)
{
	check_all((struct options){.reopen = true});
}

static void test_logins_are_not_repeated(void **state)
{
	static const struct jeebs_service refuse = {.protocol = "smtp", .retain = 1 << 20};
	struct count c = check_all((struct options){.harness = {.service = &refuse}});

	assert_true(c.refused > 100);
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
