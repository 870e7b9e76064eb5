/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "keys-sessions.h"

#define NOW_NS INT64_C(1000000000000)
#define MAX    100

struct rig {
	struct keys_sessions *t;
	int64_t now_ns;
	unsigned over;
};

static int setup(void **state)
{
	static struct rig g;
	const struct siphash_key key = {{3, 4}};

	g = (struct rig){.now_ns = NOW_NS};
	assert_int_equal(keys_sessions_open(MAX, 2, &key, &g.t), 0);
	*state = &g;
	return 0;
}

static void remove_one(void *ctx, struct keys_live *l)
{
	struct rig *g = ctx;

	keys_sessions_remove(g->t, l);
}

static int teardown(void **state)
{
	struct rig *g = *state;
	struct keys_sessions_counters c;

	keys_sessions_each(g->t, remove_one, g);
	keys_sessions_count(g->t, &c);
	assert_int_equal(c.live, 0);
	keys_sessions_close(g->t);
	return 0;
}

/* The @n-th session; @twin of them are between the same ends. */
static struct keys_session session(unsigned n, unsigned twin)
{
	struct keys_session s = {.protocol = KEYS_TLS};

	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &s.server), 0);
	assert_int_equal(endpoint_parse("10.9.0.3:1", false, &s.client), 0);
	s.client.port = (uint16_t)(1000 + n / twin);
	s.client_random[0] = (uint8_t)n;
	return s;
}

static struct keys_live *begin(struct rig *g, unsigned n, uint32_t service)
{
	struct keys_session s = session(n, 1);

	return keys_sessions_begin(g->t, n + 1, service, &s, g->now_ns);
}

static void over(void *ctx, struct keys_live *l)
{
	struct rig *g = ctx;

	assert_true(l->ended);
	g->over++;
	keys_sessions_remove(g->t, l);
}

static void judge(struct rig *g)
{
	keys_sessions_judge(g->t, g->now_ns, over, g);
}

static void expect(struct rig *g, uint32_t service, uint32_t sessions, uint32_t with_keys)
{
	struct keys_cover_now c;

	keys_sessions_cover(g->t, service, g->now_ns, &c);
	assert_int_equal(c.sessions, sessions);
	assert_int_equal(c.with_keys, with_keys);
}

static void a_session_is_judged_when_its_time_has_come(void **state)
{
	struct rig *g = *state;

	assert_int_equal(keys_sessions_next_ns(g->t), INT64_MAX);
	begin(g, 0, 0);
	g->now_ns++;
	begin(g, 1, 0);
	assert_int_equal(keys_sessions_next_ns(g->t), NOW_NS + KEYS_JUDGE_NS);
	g->now_ns = NOW_NS + KEYS_JUDGE_NS - 1;
	judge(g);
	expect(g, 0, 0, 0);
	g->now_ns++;
	judge(g);
	expect(g, 0, 1, 0);
	expect(g, 1, 0, 0);
	g->now_ns++;
	judge(g);
	expect(g, 0, 2, 0);
	assert_int_equal(keys_sessions_next_ns(g->t), INT64_MAX);
}

static void one_with_keys_is_judged_at_once(void **state)
{
	struct rig *g = *state;
	struct keys_live *l = begin(g, 0, 1);
	struct keys_cover_now c;

	assert_false(keys_sessions_keyed(g->t, l, true));
	expect(g, 1, 1, 1);
	/* Its keys are gone, and there again. */
	assert_false(keys_sessions_keyed(g->t, l, false));
	expect(g, 1, 1, 0);
	assert_false(keys_sessions_keyed(g->t, l, true));
	expect(g, 1, 1, 1);
	keys_sessions_cover(g->t, 1, g->now_ns, &c);
	assert_int_equal(c.handshakes[0], 0);
	assert_int_equal(c.handshakes[1], 1);
	keys_sessions_remove(g->t, l);
	expect(g, 1, 0, 0);
}

static void keys_that_come_late_count(void **state)
{
	struct rig *g = *state;
	struct keys_live *l = begin(g, 0, 0);

	g->now_ns += KEYS_JUDGE_NS;
	judge(g);
	expect(g, 0, 1, 0);
	assert_false(keys_sessions_keyed(g->t, l, true));
	expect(g, 0, 1, 1);
}

static void what_ends_early_is_judged_before_it_is_over(void **state)
{
	struct rig *g = *state;
	struct keys_live *without = begin(g, 0, 0), *with = begin(g, 1, 0);

	assert_false(keys_sessions_ended(g->t, without));
	assert_false(keys_sessions_ended(g->t, with));
	expect(g, 0, 0, 0);
	assert_true(keys_sessions_keyed(g->t, with, true));
	keys_sessions_remove(g->t, with);
	expect(g, 0, 1, 1);
	g->now_ns += KEYS_JUDGE_NS;
	judge(g);
	assert_int_equal(g->over, 1);
	expect(g, 0, 2, 1);
}

static void what_has_ended_counts_for_a_while(void **state)
{
	struct rig *g = *state;
	struct keys_live *l[3];

	for (unsigned i = 0; i < 3; i++)
		l[i] = begin(g, i, 0);
	assert_false(keys_sessions_keyed(g->t, l[0], true));
	g->now_ns += KEYS_JUDGE_NS;
	judge(g);
	for (unsigned i = 0; i < 3; i++) {
		assert_true(keys_sessions_ended(g->t, l[i]));
		keys_sessions_remove(g->t, l[i]);
	}
	expect(g, 0, 3, 1);
	g->now_ns += KEYS_RECENT_NS;
	expect(g, 0, 3, 1);
	g->now_ns += KEYS_RECENT_NS;
	expect(g, 0, 0, 0);
	l[0] = begin(g, 9, 0);
	assert_false(keys_sessions_keyed(g->t, l[0], true));
	assert_true(keys_sessions_ended(g->t, l[0]));
	keys_sessions_remove(g->t, l[0]);
	g->now_ns += 10 * KEYS_RECENT_NS; /* nobody has looked meanwhile */
	expect(g, 0, 0, 0);
}

static void each_is_found_by_its_id_and_by_its_ends(void **state)
{
	struct rig *g = *state;

	for (unsigned i = 0; i < MAX; i++) {
		struct keys_session s = session(i, 2);
		assert_non_null(keys_sessions_begin(g->t, 7 * i, 0, &s, g->now_ns));
	}
	assert_null(keys_sessions_find(g->t, 1));
	for (unsigned i = 0; i < MAX; i++) {
		struct keys_session s = session(i, 2);
		const struct keys_live *l = keys_sessions_find(g->t, 7 * i);
		assert_non_null(l);
		assert_memory_equal(l->session.client_random, s.client_random, TLS_RANDOM_BYTES);
		unsigned n = 0;
		for (l = keys_sessions_between(g->t, &s.server, &s.client); l;
		     l = keys_sessions_next(l))
			n++;
		assert_int_equal(n, 2);
	}
}

static void what_finds_no_room_is_counted(void **state)
{
	struct rig *g = *state;
	struct keys_sessions_counters c;

	for (unsigned i = 0; i < MAX; i++)
		assert_non_null(begin(g, i, 0));
	assert_null(begin(g, MAX, 0));
	keys_sessions_remove(g->t, keys_sessions_find(g->t, 5));
	assert_non_null(begin(g, MAX, 0));
	assert_null(begin(g, MAX + 1, 2)); /* there is no such service */
	keys_sessions_count(g->t, &c);
	assert_int_equal(c.refused, 2);
	assert_int_equal(c.live, MAX);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_session_is_judged_when_its_time_has_come),
		TEST(one_with_keys_is_judged_at_once),
		TEST(keys_that_come_late_count),
		TEST(what_ends_early_is_judged_before_it_is_over),
		TEST(what_has_ended_counts_for_a_while),
		TEST(each_is_found_by_its_id_and_by_its_ends),
		TEST(what_finds_no_room_is_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
