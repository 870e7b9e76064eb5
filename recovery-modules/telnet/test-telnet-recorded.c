/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with real servers and clients, cut at every byte. The module goes on
 * against the oracle made from the same recording. Before the session what the client gets is what
 * the real server went on to send, all of it; in the session it gets a notice and a new prompt,
 * well-formed, without a word of the password; or the module refused aloud.
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
#include "telnet-oracle.h"
#include "telnet.h"
#include "test-conversation.h"

#define PASSWORD "s3cret"
#define NOTICE   "[a new session]"

struct options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
};

struct count {
	unsigned cuts, exact, session, unknown, refused, aborted;
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

	assert_int_equal(telnet_oracle.receive(k->connection, (struct jeebs_bytes){b.p, b.n}, eof,
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

/* One conversation: what of it was said by the cut, and the rest of each direction. */
struct run {
	struct harness h;
	struct buf before[2], rest[2];
	bool fin[2]; /* recorded, before or after the cut */
	/* What the client said after the cut, and how much of the server's it had then. */
	struct {
		size_t end; /* in rest */
		uint64_t has;
	} said[512];
	size_t said_n, said_at;
	uint64_t fin_has;
};

/* It says the next when it has got what it had got then. */
static struct bytes client_says(void *ctx, uint64_t received, bool *ret_eof)
{
	struct run *u = ctx;
	const struct buf *rest = &u->rest[JEEBS_TO_SERVER];
	uint64_t has = u->before[JEEBS_TO_CLIENT].n + received;
	size_t from = u->said_at > 0 ? u->said[u->said_at - 1].end : 0, to = from;

	while (u->said_at < u->said_n && u->said[u->said_at].has <= has)
		to = u->said[u->said_at++].end;
	*ret_eof = to == rest->n && u->fin[JEEBS_TO_SERVER] && !u->h.log[JEEBS_TO_SERVER].fin &&
		   has >= u->fin_has;
	return bytes_head(bytes_from(buf_view(rest), from), to - from);
}

static void *learn(struct bytes file, size_t *ret_total)
{
	struct reader r = reader_init(file);
	struct conversation_record c;
	uint64_t end[2] = {0, 0};
	void *o = telnet_oracle.open(NULL);

	*ret_total = 0;
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F')
			assert_int_equal(telnet_oracle.fin(o, dir, end[dir]), 0);
		else
			assert_int_equal(telnet_oracle.data(o, dir, end[dir],
							    (struct jeebs_bytes){c.b.p, c.b.n}),
					 0);
		end[dir] += c.b.n;
		*ret_total += c.kind == 'E' || c.kind == 'F' ? 1 : c.b.n;
	}
	uint64_t unasked;
	assert_int_equal(telnet_oracle.learned(o, &unasked), 0);
	return o;
}

/* The server dies after @cut bytes of both directions; the rest is put aside. */
static void live(struct run *u, struct bytes file, size_t cut, const struct options *options)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	*u = (struct run){.rest = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)},
			  .before = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	assert_int_equal(harness_init(&u->h, &telnet_module, &options->harness), 0);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F') {
			u->fin[dir] = true;
			u->fin_has = u->before[1].n + u->rest[1].n;
			if (cut > 0) {
				harness_fin(&u->h, dir);
				cut--;
			}
		}
		struct bytes before = bytes_head(c.b, cut);
		cut -= before.n;
		if (before.n > 0)
			harness_data(&u->h, dir, before);
		assert_int_equal(buf_bytes(&u->before[dir], before), 0);
		assert_int_equal(buf_bytes(&u->rest[dir], bytes_from(c.b, before.n)), 0);
		if (dir == JEEBS_TO_SERVER && c.b.n > before.n) {
			assert_true(u->said_n < sizeof u->said / sizeof u->said[0]);
			u->said[u->said_n].end = u->rest[dir].n;
			u->said[u->said_n++].has = u->before[1].n + u->rest[1].n;
		}
	}
}

static bool contains(struct bytes b, const char *word)
{
	return b.p && memmem(b.p, b.n, word, strlen(word)) != NULL;
}

/* All that the client got, from the first byte on, can be read to its end. */
static void check_wellformed(const struct run *u)
{
	struct telnet_parser p = {0};
	struct bytes parts[2] = {buf_view(&u->before[JEEBS_TO_CLIENT]), buf_view(&u->h.client)};

	for (int i = 0; i < 2; i++) {
		while (parts[i].n > 0) {
			struct telnet_token t;
			parts[i] = bytes_from(parts[i], telnet_parse(&p, parts[i], &t));
			assert_true(t.kind != TELNET_COMMAND || t.verb >= TELNET_NOP);
		}
	}
	assert_int_equal(p.step, TELNET_IN_TEXT);
}

static void check_session(const char *name, size_t cut, const char *manner, const struct run *u)
{
	struct bytes got = buf_view(&u->h.client);

	if (u->h.outcome == HARNESS_ABORTED || !contains(got, NOTICE "\r\n"))
		fail_msg("%s: cut at %zu: %s, no notice in %zu bytes: %.*s", name, cut,
			 u->h.abort_reason ? u->h.abort_reason : "", got.n, (int)got.n, got.p);
	check_wellformed(u);
	if (strcmp(manner, "login-again") == 0)
		return; /* the user goes on from the backup's first prompt */
	assert_true(contains(buf_view(&u->h.backend), PASSWORD));
	assert_true(contains(got, "Welcome to the lab."));
	/* Nothing of the dialogue is shown again. */
	assert_false(contains(got, "login:"));
	assert_false(contains(got, "assword"));
}

static void check_exact(const char *name, size_t cut, const char *manner, const struct run *u,
			bool unknown, struct count *count)
{
	struct bytes got = buf_view(&u->h.client), real = buf_view(&u->rest[JEEBS_TO_CLIENT]);
	bool same = bytes_eq(got, bytes_head(real, got.n));

	if (!same || (u->h.outcome != HARNESS_ABORTED && !unknown && got.n != real.n))
		fail_msg("%s: cut at %zu (%s): %zu bytes of %zu, outcome %d, %s", name, cut, manner,
			 got.n, real.n, u->h.outcome, same ? "too few" : "others");
	count->exact += got.n == real.n;
	count->unknown += unknown;
}

static void check_cut(const char *name, struct bytes file, void *oracle, size_t cut,
		      const struct options *options, struct count *count)
{
	struct run u;
	struct jeebs_plan plan;
	const struct jeebs_cut at = {0};

	live(&u, file, cut, options);
	count->cuts++;
	if (options->reopen)
		assert_int_equal(harness_reopen(&u.h), 0);
	harness_plan(&u.h, &plan);
	if (plan.verdict == JEEBS_REFUSE) {
		count->refused++;
		goto out;
	}
	struct backup backup = {.connection = telnet_oracle.connect(oracle, &at)};
	struct harness_backend backend = {.receive = receive, .ctx = &backup};
	const struct harness_client client = {.next = client_says, .ctx = &u};
	harness_resume_with(&u.h, &backend, &client);
	telnet_oracle.disconnect(backup.connection);
	assert_false(contains(buf_view(&u.h.client), PASSWORD));
	if (u.h.outcome == HARNESS_ABORTED && u.fin[JEEBS_TO_SERVER] &&
	    strcmp(u.h.abort_reason, "client-finished") == 0) {
		count->refused++; /* it had not waited for the new session */
		goto out;
	}
	/* After a failed attempt the recorded server does not know the password at the first
	 * prompt. */
	if (backup.unknown && strstr(name, "-failed") && u.h.outcome == HARNESS_ABORTED) {
		assert_string_equal(u.h.abort_reason, "login-stalled");
		count->refused++;
		goto out;
	}
	if (plan.style == JEEBS_STYLE_STANDALONE) {
		count->session++;
		check_session(name, cut, plan.reason, &u);
	} else {
		check_exact(name, cut, plan.reason, &u, backup.unknown, count);
	}
	if (u.h.outcome == HARNESS_ABORTED) {
		count->aborted++;
		print_message("%s: cut at %zu (%s) aborted: %s\n", name, cut, plan.reason,
			      u.h.abort_reason);
	}
out:
	assert_null(u.h.violation);
	harness_deinit(&u.h);
	for (int i = 0; i < 2; i++) {
		buf_deinit(&u.rest[i]);
		buf_deinit(&u.before[i]);
	}
}

static void check_all(const struct options *options, struct count *total)
{
	struct dirent *e;
	unsigned files = 0;
	DIR *d = opendir(TEST_RECORDINGS);

	*total = (struct count){0};
	assert_non_null(d);
	while ((e = readdir(d))) {
		char path[512];
		size_t n;
		if (!strchr(e->d_name, '-'))
			continue;
		snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, e->d_name);
		struct buf file = read_file(path);
		void *oracle = learn(buf_view(&file), &n);
		for (size_t cut = 0; cut <= n; cut++) /* the last one: after everything */
			check_cut(e->d_name, buf_view(&file), oracle, cut, options, total);
		telnet_oracle.close(oracle);
		buf_deinit(&file);
		files++;
	}
	closedir(d);
	assert_true(files >= 5);
	print_message("%u cuts: %u exact, %u new sessions, %u unknown, %u refused, %u aborted\n",
		      total->cuts, total->exact, total->session, total->unknown, total->refused,
		      total->aborted);
	assert_int_equal(total->unknown, 0);
	assert_int_equal(total->aborted, 0);
	assert_int_equal(total->exact + total->session + total->refused, total->cuts);
}

static const struct jeebs_service replay = {
	.login = JEEBS_LOGIN_REPLAY, .protocol = "telnet", .notice = NOTICE};
static const struct jeebs_service no_login = {.protocol = "telnet", .notice = NOTICE};

static void test_every_cut(void **state)
{
	struct count c;

	check_all(&(struct options){.harness = {.service = &replay}}, &c);
	assert_true(c.exact > c.cuts / 2);
	assert_true(c.session > c.cuts / 10);
	assert_true(c.refused < c.cuts / 20);
}

static void test_every_cut_in_small_chunks(void **state)
{
	struct count c;

	check_all(&(struct options){.harness = {.service = &replay,
						.live = {.max = 5, .seed = 3},
						.backend = {.max = 7, .seed = 5}}},
		  &c);
	assert_true(c.exact > c.cuts / 2);
}

static void test_every_cut_after_restore(void **state)
{
	struct count c;

	check_all(&(struct options){.harness = {.service = &replay}, .reopen = true}, &c);
	assert_true(c.exact > c.cuts / 2);
}

/* Where passwords may not be kept none is: from the first byte of one on it is refused. */
static void test_every_cut_without_login(void **state)
{
	struct count c;

	check_all(&(struct options){.harness = {.service = &no_login}}, &c);
	assert_true(c.session < c.cuts / 100); /* back at a first prompt after a failed attempt */
	assert_true(c.exact > c.cuts / 4);
	assert_true(c.refused > c.cuts / 10);
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
