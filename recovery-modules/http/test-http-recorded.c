/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with nginx, Apache and lighttpd, cut at every byte. The module goes on
 * against the oracle made from the same recording: what the client gets is what the real
 * server went on to send, all of it, or the module refused aloud.
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
#include "http-oracle.h"
#include "http.h"
#include "test-conversation.h"

struct options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
};

struct count {
	unsigned cuts, exact, unknown, refused, aborted, answered;
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

	assert_int_equal(http_oracle.receive(k->connection, (struct jeebs_bytes){b.p, b.n}, eof,
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
	struct buf rest[2];
	uint64_t to_client;
	bool fin[2]; /* recorded, before or after the cut */
};

static void *learn(struct bytes file, size_t *ret_total)
{
	struct reader r = reader_init(file);
	struct conversation_record c;
	uint64_t end[2] = {0, 0};
	void *o = http_oracle.open(NULL);

	*ret_total = 0;
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F')
			assert_int_equal(http_oracle.fin(o, dir, end[dir]), 0);
		else
			assert_int_equal(http_oracle.data(o, dir, end[dir],
							  (struct jeebs_bytes){c.b.p, c.b.n}),
					 0);
		end[dir] += c.b.n;
		*ret_total += c.kind == 'E' || c.kind == 'F' ? 1 : c.b.n;
	}
	uint64_t unasked;
	assert_int_equal(http_oracle.learned(o, &unasked), 0);
	return o;
}

/* The server dies after @cut bytes of both directions; the rest is put aside. */
static void live(struct run *u, struct bytes file, size_t cut, const struct options *options)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	*u = (struct run){.rest = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	assert_int_equal(harness_init(&u->h, &http_module, &options->harness), 0);
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F') {
			u->fin[dir] = true;
			if (cut > 0) {
				harness_fin(&u->h, dir);
				cut--;
			}
		}
		struct bytes before = bytes_head(c.b, cut);
		cut -= before.n;
		if (before.n > 0)
			harness_data(&u->h, dir, before);
		if (dir == JEEBS_TO_CLIENT)
			u->to_client += before.n;
		assert_int_equal(buf_bytes(&u->rest[dir], bytes_from(c.b, before.n)), 0);
	}
}

/* A POST is not repeated: behind what was asked before it, the client is told so. */
static void check_answered(const struct harness *h, struct bytes got, struct bytes real)
{
	static const char status[] = "HTTP/1.1 502 ";
	const uint8_t *p = memmem(got.p, got.n, status, sizeof status - 1);

	assert_non_null(p);
	struct bytes before = bytes_head(got, (size_t)(p - got.p));
	assert_true(bytes_eq(before, bytes_head(real, before.n)));
	assert_int_equal(h->outcome, HARNESS_FINISHED);
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
		count->refused++;
		goto out;
	}
	struct jeebs_cut at = {.to_client_end = u.to_client, .server_fin = u.h.log[1].fin};
	struct backup backup = {.connection = http_oracle.connect(oracle, &at)};
	struct harness_backend backend = {.receive = receive, .ctx = &backup};
	harness_resume(&u.h, &backend, buf_view(&u.rest[JEEBS_TO_SERVER]),
		       u.fin[JEEBS_TO_SERVER] && !u.h.log[JEEBS_TO_SERVER].fin);
	http_oracle.disconnect(backup.connection);

	struct bytes got = buf_view(&u.h.client), real = buf_view(&u.rest[JEEBS_TO_CLIENT]);
	if (plan.style == JEEBS_STYLE_STANDALONE) {
		check_answered(&u.h, got, real);
		count->answered++;
		goto out;
	}
	bool true_so_far = bytes_eq(got, bytes_head(real, got.n));
	if (!true_so_far || (u.h.outcome != HARNESS_ABORTED && !backup.unknown && got.n != real.n))
		fail_msg("%s: cut at %zu (%s): %zu bytes of %zu, outcome %d", name, cut,
			 plan.reason, got.n, real.n, u.h.outcome);
	/* It ends as the real server did, who in one recording lost patience. */
	if (u.h.outcome == HARNESS_FINISHED)
		assert_true(u.fin[JEEBS_TO_CLIENT]);
	else if (u.h.outcome == HARNESS_JOINED && !strstr(name, "timeout"))
		assert_false(u.fin[JEEBS_TO_CLIENT]);
	count->exact += got.n == real.n;
	count->unknown += backup.unknown;
	if (u.h.outcome == HARNESS_ABORTED) {
		count->aborted++;
		print_message("%s: cut at %zu (%s) aborted: %s\n", name, cut, plan.reason,
			      u.h.abort_reason);
	}
out:
	assert_null(u.h.violation);
	harness_deinit(&u.h);
	for (int i = 0; i < 2; i++)
		buf_deinit(&u.rest[i]);
}

static void check_file(const char *name, const struct options *options, struct count *total)
{
	char path[512];
	struct count count = {0};
	size_t n;

	snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, name);
	struct buf file = read_file(path);
	void *oracle = learn(buf_view(&file), &n);
	for (size_t cut = 0; cut <= n; cut++) /* the last one: after everything */
		check_cut(name, buf_view(&file), oracle, cut, options, &count);
	http_oracle.close(oracle);
	buf_deinit(&file);
	total->cuts += count.cuts;
	total->exact += count.exact;
	total->unknown += count.unknown;
	total->refused += count.refused;
	total->aborted += count.aborted;
	total->answered += count.answered;
}

static void check_all(const struct options *options)
{
	struct count total = {0};
	struct dirent *e;
	unsigned files = 0;
	DIR *d = opendir(TEST_RECORDINGS);

	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "nginx-", 6) != 0 && strncmp(e->d_name, "apache-", 7) != 0 &&
		    strncmp(e->d_name, "lighttpd-", 9) != 0)
			continue;
		check_file(e->d_name, options, &total);
		files++;
	}
	closedir(d);
	assert_true(files >= 49);
	print_message("%u cuts: %u exact, %u answered, %u unknown, %u refused, %u aborted\n",
		      total.cuts, total.exact, total.answered, total.unknown, total.refused,
		      total.aborted);
	/* The recordings are whole. What is refused: a POST partly answered, and what is no
	 * request. */
	assert_int_equal(total.unknown, 0);
	assert_int_equal(total.aborted, 0);
	assert_int_equal(total.exact + total.answered + total.refused, total.cuts);
	assert_true(total.answered > 0);
	assert_true(total.exact > total.cuts / 100 * 95);
}

static void test_every_cut(void **state)
{
	check_all(&(struct options){0});
}

static void test_every_cut_in_small_chunks(void **state)
{
	const struct options options = {.harness = {.live = {.max = 11, .seed = 3},
						    .backend = {.max = 17, .seed = 5},
						    .view_max = 16}};

	check_all(&options);
}

static void test_every_cut_after_restore(void **state)
{
	check_all(&(struct options){.reopen = true});
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
