/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keys-index.h"

#define NOW_NS (INT64_C(1796000000) * NS_PER_S)
#define MAX    3000

static int setup(void **state)
{
	const struct siphash_key key = {{1, 2}};
	struct keys_index *x;

	assert_int_equal(keys_index_open(MAX, &key, &x), 0);
	keys_index_begin(x, 0);
	keys_index_begin(x, 1);
	*state = x;
	return 0;
}

static int teardown(void **state)
{
	keys_index_close(*state);
	return 0;
}

/* Session @n of web1: ends and id are its own. */
static struct session_index tls(unsigned n)
{
	struct session_index i = {.protocol = KEYS_TLS, .number = n, .time_ns = NOW_NS + n};

	assert_int_equal(endpoint_parse("10.9.0.1:443", false, &i.server), 0);
	assert_int_equal(endpoint_parse("10.8.0.2:40000", false, &i.client), 0);
	i.client.addr.b[1] = (uint8_t)(n >> 16);
	i.client.port = (uint16_t)n;
	memset(i.epoch, 7, sizeof i.epoch);
	memcpy(i.id, &n, sizeof n);
	return i;
}

/* Key exchange @n of SSH session @id, all between the same ends. */
static struct session_index ssh(uint8_t id, unsigned n, int64_t time_ns)
{
	struct session_index i = tls(n);

	i.protocol = KEYS_SSH;
	i.server.port = 22;
	i.client.port = 50000;
	i.client.addr.b[1] = 8;
	memset(i.id, id, sizeof i.id);
	i.time_ns = time_ns;
	return i;
}

static struct keys_session session_of(const struct session_index *i, int64_t began_ns)
{
	struct keys_session s = {
		.protocol = i->protocol,
		.server = i->server,
		.client = i->client,
		.began_ns = began_ns,
	};

	if (i->protocol == KEYS_TLS)
		memcpy(s.client_random, i->id, sizeof s.client_random);
	return s;
}

static void add(struct keys_index *x, unsigned v, uint64_t number, struct session_index i)
{
	assert_int_equal(keys_index_add(x, v, number, &i), 0);
}

static size_t found(const struct keys_index *x, const struct session_index *i)
{
	struct keys_session s = session_of(i, 0);
	struct keys_record r;

	return keys_index_find(x, &s, &r, 1);
}

static uint32_t records(const struct keys_index *x)
{
	struct keys_index_counters c;

	keys_index_count(x, &c);
	return c.records;
}

static void a_tls_session_is_found_by_its_random_and_ends(void **state)
{
	struct keys_index *x = *state;
	struct session_index a = tls(1), b = tls(2);
	struct keys_session s = session_of(&a, 0);
	struct keys_record r;

	add(x, 0, 100, a);
	add(x, 0, 101, b);
	assert_int_equal(keys_index_find(x, &s, &r, 1), 1);
	assert_true(session_index_eq(&r.index, &a));
	assert_int_equal(r.vaults, 1);
	assert_int_equal(r.number[0], 100);

	s.client_random[31] ^= 1;
	assert_int_equal(keys_index_find(x, &s, &r, 1), 0);
	s = session_of(&a, 0);
	s.client.port++;
	assert_int_equal(keys_index_find(x, &s, &r, 1), 0);
	s = session_of(&a, 0);
	s.server.addr.b[3] = 2; /* another origin says that it has this client random */
	assert_int_equal(keys_index_find(x, &s, &r, 1), 0);
	s = session_of(&a, 0);
	s.protocol = KEYS_SSH;
	assert_int_equal(keys_index_find(x, &s, &r, 1), 0);
}

static void two_secrets_of_one_random_are_two_candidates(void **state)
{
	struct keys_index *x = *state;
	struct session_index a = tls(1), b = tls(1);
	struct keys_session s = session_of(&a, 0);
	struct keys_record r[2];

	b.number = 9;
	b.time_ns = a.time_ns - 1;
	add(x, 0, 100, a);
	add(x, 0, 101, b);
	assert_int_equal(keys_index_find(x, &s, r, 2), 2);
	assert_int_equal(r[0].index.number, 9);
	assert_int_equal(r[1].index.number, 1);
}

static void one_record_may_be_in_several_vaults(void **state)
{
	struct keys_index *x = *state;
	struct session_index a = tls(1);
	struct keys_session s = session_of(&a, 0);
	struct keys_record r[2];

	add(x, 0, 100, a);
	add(x, 1, 7, a);
	add(x, 1, 7, a); /* told again */
	assert_int_equal(keys_index_find(x, &s, r, 2), 1);
	assert_int_equal(r[0].vaults, 3);
	assert_int_equal(r[0].number[0], 100);
	assert_int_equal(r[0].number[1], 7);
	keys_index_gone(x, 1, 100); /* another vault's number */
	keys_index_gone(x, 0, 100);
	assert_int_equal(keys_index_find(x, &s, r, 2), 1);
	assert_int_equal(r[0].vaults, 2);
	keys_index_gone(x, 1, 7);
	keys_index_gone(x, 1, 7);
	assert_int_equal(keys_index_find(x, &s, r, 2), 0);
	assert_int_equal(records(x), 0);
}

static void key_exchanges_of_ssh_come_in_order(void **state)
{
	struct keys_index *x = *state;
	struct keys_record r[3];
	const unsigned order[] = {3, 1, 5, 2, 4};

	for (unsigned i = 0; i < 5; i++)
		add(x, 0, 200 + order[i], ssh(0xaa, order[i], NOW_NS + order[i] * NS_PER_S));
	struct session_index any = ssh(0, 0, 0);
	struct keys_session s = session_of(&any, NOW_NS);
	assert_int_equal(keys_index_find(x, &s, r, 3), 5);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(r[i].index.number, 3 + i);
	assert_int_equal(keys_index_find(x, &s, r, 0), 5);
}

static void ports_of_ssh_are_used_again(void **state)
{
	struct keys_index *x = *state;
	struct session_index any = ssh(0, 0, 0);
	struct keys_session s = session_of(&any, 0);
	struct keys_record r[4];
	int64_t hour = 3600 * NS_PER_S;

	add(x, 0, 1, ssh(0xaa, 1, NOW_NS));
	add(x, 0, 2, ssh(0xaa, 2, NOW_NS + hour));
	add(x, 0, 3, ssh(0xbb, 3, NOW_NS + 2 * hour));
	add(x, 0, 4, ssh(0xbb, 4, NOW_NS + 2 * hour)); /* at one time: by number */

	/* The newest session id, when it is not known when the connection began. */
	assert_int_equal(keys_index_find(x, &s, r, 4), 2);
	assert_int_equal(r[0].index.number, 3);
	assert_int_equal(r[1].index.number, 4);
	s.began_ns = NOW_NS + 2 * hour + KEYS_CLOCK_SKEW_NS;
	assert_int_equal(keys_index_find(x, &s, r, 4), 2);
	s.began_ns++;
	assert_int_equal(keys_index_find(x, &s, r, 4), 0);
	s.began_ns = NOW_NS;
	assert_int_equal(keys_index_find(x, &s, r, 4), 4);
}

static void what_is_not_told_again_is_gone(void **state)
{
	struct keys_index *x = *state;
	struct session_index a = tls(1), b = tls(2), c = tls(3);

	add(x, 0, 1, a);
	add(x, 0, 2, b);
	add(x, 1, 1, b);
	add(x, 0, 3, c);
	assert_int_equal(keys_index_live(x, 0), 0);
	keys_index_begin(x, 0);
	add(x, 0, 3, c);
	assert_int_equal(found(x, &a), 1); /* until it is known better */
	assert_int_equal(keys_index_live(x, 0), 2);
	assert_int_equal(found(x, &a), 0);
	assert_int_equal(found(x, &b), 1); /* vault 1 has it */
	assert_int_equal(found(x, &c), 1);
	assert_int_equal(records(x), 2);
}

static void a_vault_made_anew_uses_numbers_again(void **state)
{
	struct keys_index *x = *state;
	struct session_index a = tls(1), b = tls(2);

	add(x, 0, 1, a);
	keys_index_begin(x, 0);
	add(x, 0, 1, b);
	assert_int_equal(found(x, &a), 0);
	assert_int_equal(found(x, &b), 1);
	add(x, 0, 5, b); /* and another number for the same */
	keys_index_gone(x, 0, 1);
	assert_int_equal(found(x, &b), 1);
	keys_index_gone(x, 0, 5);
	assert_int_equal(records(x), 0);
}

static void the_ceiling_is_reached(void **state)
{
	struct keys_index *x = *state;
	struct keys_index_counters c;

	for (unsigned i = 0; i < MAX; i++)
		add(x, 0, i, tls(i));
	struct session_index more = tls(MAX);
	assert_int_equal(keys_index_add(x, 0, MAX, &more), -ENOSPC);
	assert_int_equal(found(x, &more), 0);
	add(x, 1, 1, tls(1)); /* needs no place */
	for (unsigned i = 0; i < MAX; i++) {
		struct session_index index = tls(i);

		assert_int_equal(found(x, &index), 1);
	}
	keys_index_gone(x, 0, 17);
	add(x, 0, MAX, more);
	assert_int_equal(found(x, &more), 1);
	keys_index_count(x, &c);
	assert_int_equal(c.full, 1);
	assert_int_equal(c.records, MAX);
	for (unsigned i = 0; i <= MAX; i++)
		keys_index_gone(x, 0, i);
	assert_int_equal(records(x), 1);
	keys_index_gone(x, 1, 1);
	assert_int_equal(records(x), 0);
}

static void one_session_does_not_crowd_the_index(void **state)
{
	struct keys_index *x = *state;
	struct session_index any = ssh(0xaa, 0, 0);
	struct keys_session s = session_of(&any, NOW_NS);
	struct keys_index_counters c;
	struct keys_record r;

	for (unsigned i = 0; i < KEYS_SESSION_RECORDS_MAX + 10; i++)
		add(x, i % 2, i, ssh(0xaa, i, NOW_NS + i));
	assert_int_equal(keys_index_find(x, &s, &r, 1), KEYS_SESSION_RECORDS_MAX);
	assert_int_equal(r.index.number, KEYS_SESSION_RECORDS_MAX + 9);
	keys_index_count(x, &c);
	assert_int_equal(c.crowded, 10);
	assert_int_equal(c.records, KEYS_SESSION_RECORDS_MAX);
}

static void services_without_keys_are_told(void **state)
{
	struct keys_index *x = *state;
	struct keys_session s[130];
	struct keys_cover cover[2];
	char text[128];
	size_t left;

	for (unsigned i = 0; i < 120; i++) {
		struct session_index index = tls(i);

		s[i] = session_of(&index, 0);
	}
	for (unsigned i = 120; i < 130; i++) {
		struct session_index index = tls(i);

		index.server.port = 8443;
		s[i] = session_of(&index, 0);
		if (i % 2)
			add(x, 0, i, index);
	}
	assert_int_equal(keys_index_cover(x, s, 130, cover, 2, &left), 2);
	assert_int_equal(left, 0);
	assert_string_equal(keys_cover_text(&cover[0], "web1", text, sizeof text),
			    "web1:443: 0 of 120 sessions have keys");
	assert_string_equal(keys_cover_text(&cover[1], NULL, text, sizeof text),
			    "10.9.0.1:8443: 5 of 10 sessions have keys");
	assert_int_equal(keys_index_cover(x, s, 130, cover, 1, &left), 1);
	assert_int_equal(left, 10);
	assert_int_equal(keys_index_cover(x, s, 0, cover, 2, &left), 0);
}

#define SESSIONS 40

static uint32_t count(const bool has[SESSIONS])
{
	uint32_t n = 0;

	for (unsigned i = 0; i < SESSIONS; i++)
		n += has[i];
	return n;
}

/* Against a table that is searched from end to end. */
static void it_agrees_with_a_plain_list(void **state)
{
	struct keys_index *x = *state;
	bool has[2][SESSIONS] = {{false}};
	uint64_t random = 1;

	for (unsigned step = 0; step < 20000; step++) {
		random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
		unsigned v = random >> 40 & 1, n = (unsigned)(random >> 41) % SESSIONS;

		switch (random >> 60) {
		case 0 ... 6:
			add(x, v, n, tls(n));
			has[v][n] = true;
			break;
		case 15:
			keys_index_begin(x, v);
			add(x, v, n, tls(n));
			assert_int_equal(keys_index_live(x, v), count(has[v]) - has[v][n]);
			memset(has[v], 0, sizeof has[v]);
			has[v][n] = true;
			break;
		default:
			keys_index_gone(x, v, n);
			has[v][n] = false;
		}
		struct session_index index = tls(n);
		assert_int_equal(found(x, &index), has[0][n] || has[1][n]);
	}
	bool any[SESSIONS];
	for (unsigned i = 0; i < SESSIONS; i++)
		any[i] = has[0][i] || has[1][i];
	assert_int_equal(records(x), count(any));
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_tls_session_is_found_by_its_random_and_ends),
		TEST(two_secrets_of_one_random_are_two_candidates),
		TEST(one_record_may_be_in_several_vaults),
		TEST(key_exchanges_of_ssh_come_in_order),
		TEST(ports_of_ssh_are_used_again),
		TEST(what_is_not_told_again_is_gone),
		TEST(a_vault_made_anew_uses_numbers_again),
		TEST(the_ceiling_is_reached),
		TEST(one_session_does_not_crowd_the_index),
		TEST(services_without_keys_are_told),
		TEST(it_agrees_with_a_plain_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
