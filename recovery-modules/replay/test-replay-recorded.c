/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations recorded with real servers, cut at every byte. The module goes on against the
 * oracle made from the same recording: what the client gets is what the real server went on to
 * send, all of it.
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
#include "replay-oracle.h"
#include "replay.h"
#include "test-conversation.h"

#define SKIPPED 5u /* bytes of each direction that were another conversation */

static const struct jeebs_service plain = {.protocol = "replay", .retain = 1 << 20},
				  behind = {.protocol = "replay",
					    .retain = 1 << 20,
					    .begin = {SKIPPED, SKIPPED}};

struct options {
	struct harness_options harness;
	bool reopen; /* checkpoint and restore at the cut */
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

	(void)fail;
	assert_int_equal(replay_oracle.receive(k->connection, (struct jeebs_bytes){b.p, b.n}, eof,
					       take, answer, &state),
			 0);
	*close = state == JEEBS_ORACLE_CLOSE;
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
	bool fin[2]; /* recorded, before or after the cut */
};

static void *learn(struct bytes file, const struct jeebs_service *svc, size_t *ret_total)
{
	static const uint8_t other[SKIPPED];
	struct reader r = reader_init(file);
	struct conversation_record c;
	uint64_t end[2] = {svc->begin[0], svc->begin[1]}, unasked;
	void *o = replay_oracle.open(svc);

	/* It is told everything of the flow; the beginning is none of its own. */
	for (uint32_t dir = 0; dir < 2; dir++)
		assert_int_equal(replay_oracle.data(o, dir, 0,
						    (struct jeebs_bytes){other, (size_t)end[dir]}),
				 0);
	*ret_total = 0;
	while (conversation_next(&r, &c)) {
		uint32_t dir = c.kind == 'C' || c.kind == 'F';
		if (c.kind == 'E' || c.kind == 'F')
			assert_int_equal(replay_oracle.fin(o, dir, end[dir]), 0);
		else
			assert_int_equal(replay_oracle.data(o, dir, end[dir],
							    (struct jeebs_bytes){c.b.p, c.b.n}),
					 0);
		end[dir] += c.b.n;
		*ret_total += c.kind == 'E' || c.kind == 'F' ? 1 : c.b.n;
	}
	assert_int_equal(replay_oracle.learned(o, &unasked), 0);
	assert_true(unasked == UINT64_MAX);
	return o;
}

/* The server dies after @cut bytes of both directions; the rest is put aside. */
static void live(struct run *u, struct bytes file, size_t cut, const struct options *options)
{
	struct reader r = reader_init(file);
	struct conversation_record c;

	*u = (struct run){.rest = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	assert_int_equal(harness_init(&u->h, &replay_module, &options->harness), 0);
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
		assert_int_equal(buf_bytes(&u->rest[dir], bytes_from(c.b, before.n)), 0);
	}
}

static void check_cut(const char *name, struct bytes file, void *oracle, size_t cut,
		      const struct options *options)
{
	const struct jeebs_cut nowhere = {0};
	struct run u;
	struct jeebs_plan plan;

	live(&u, file, cut, options);
	if (options->reopen)
		assert_int_equal(harness_reopen(&u.h), 0);
	harness_plan(&u.h, &plan);
	if (plan.verdict != JEEBS_CONTINUE)
		fail_msg("%s: cut at %zu refused: %s", name, cut, plan.reason);
	struct backup backup = {.connection = replay_oracle.connect(oracle, &nowhere)};
	struct harness_backend backend = {.receive = receive, .ctx = &backup};
	harness_resume(&u.h, &backend, buf_view(&u.rest[JEEBS_TO_SERVER]), u.fin[JEEBS_TO_SERVER]);
	replay_oracle.disconnect(backup.connection);

	struct bytes got = buf_view(&u.h.client), real = buf_view(&u.rest[JEEBS_TO_CLIENT]);
	if (!bytes_eq(got, real) || backup.unknown)
		fail_msg("%s: cut at %zu (%s): %zu bytes of %zu, outcome %d (%s)%s", name, cut,
			 plan.reason, got.n, real.n, u.h.outcome,
			 u.h.abort_reason ? u.h.abort_reason : "",
			 backup.unknown ? ", asked what was not recorded" : "");
	assert_int_equal(u.h.outcome, u.fin[JEEBS_TO_CLIENT] ? HARNESS_FINISHED : HARNESS_JOINED);
	assert_null(u.h.violation);
	harness_deinit(&u.h);
	for (int i = 0; i < 2; i++)
		buf_deinit(&u.rest[i]);
}

static size_t check_file(const char *name, const struct options *options)
{
	char path[512];
	size_t n;

	snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, name);
	struct buf file = read_file(path);
	void *oracle = learn(buf_view(&file), options->harness.service, &n);
	for (size_t cut = 0; cut <= n; cut++) /* the last one: after everything */
		check_cut(name, buf_view(&file), oracle, cut, options);
	replay_oracle.close(oracle);
	buf_deinit(&file);
	return n + 1;
}

static void check_all(struct options options)
{
	struct dirent *e;
	unsigned files = 0;
	size_t cuts = 0;
	DIR *d = opendir(TEST_RECORDINGS);

	if (!options.harness.service)
		options.harness.service = &plain;
	assert_non_null(d);
	while ((e = readdir(d))) {
		if (strncmp(e->d_name, "redis-", 6) != 0 &&
		    strncmp(e->d_name, "memcached-", 10) != 0)
			continue;
		cuts += check_file(e->d_name, &options);
		files++;
	}
	closedir(d);
	assert_true(files >= 8);
	print_message("%u conversations, %zu cuts, all exact\n", files, cuts);
}

static void test_every_cut(void **state)
{
	check_all((struct options){0});
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

static void test_every_cut_behind_an_upgrade(void **state)
{
	check_all((struct options){.harness = {.service = &behind}, .reopen = true});
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
