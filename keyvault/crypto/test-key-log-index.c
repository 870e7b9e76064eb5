/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "key-log-index.h"
#include "keyvault/record/key-log.h"

#define RANDOM "000102030405060708090a0b0c0d0e0f101112131415161718191A1B1C1D1E1F"
#define OTHER  "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

static void test_lines(void **state)
{
	static const char *const wrong[] = {
		"",
		"# a comment",
		"CLIENT_RANDOM",
		"CLIENT_RANDOM ",
		"CLIENT_RANDOM " RANDOM,
		"CLIENT_RANDOM " RANDOM " ",
		"CLIENT_RANDOM " RANDOM " 0",
		"CLIENT_RANDOM " RANDOM " 0g",
		"CLIENT_RANDOM " RANDOM "  00",
		"CLIENT_RANDOM " RANDOM " 00 ",
		"CLIENT_RANDOM 00 00",
		" CLIENT_RANDOM " RANDOM " 00",
		"EXPORTER_SECRET " RANDOM " 00",
		"CLIENT_RANDOM " RANDOM " " RANDOM RANDOM "00", /* 65 bytes */
	};
	struct key_log_line l;

	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		assert_false(key_log_read(bytes_str(wrong[i]), &l));
	assert_true(key_log_read(bytes_str("SERVER_TRAFFIC_SECRET_0 " RANDOM " 0aFf"), &l));
	assert_int_equal(l.label, TLS_SERVER_APPLICATION);
	assert_int_equal(l.n, 2);
	assert_memory_equal(l.secret, "\x0a\xff", 2);
	for (int i = 0; i < TLS_RANDOM_BYTES; i++)
		assert_int_equal(l.client_random[i], i);
	assert_true(key_log_read(bytes_str("CLIENT_RANDOM " RANDOM " " RANDOM RANDOM), &l));
	assert_int_equal(l.n, 64);
}

static bool has(struct key_log_index *k, const char *random, enum tls_secret label,
		uint32_t candidate, const char *secret)
{
	struct session_secrets s = key_log_index_secrets(k);
	struct key_log_line l;
	struct bytes b;
	char line[300];

	snprintf(line, sizeof line, "CLIENT_RANDOM %s 00", random);
	assert_true(key_log_read(bytes_str(line), &l));
	if (!s.find(s.ctx, l.client_random, label, candidate, &b))
		return false;
	assert_int_equal(b.n, strlen(secret));
	assert_memory_equal(b.p, secret, b.n);
	return true;
}

/* Late, twice, out of order, with other line ends, and two for one session: in their order. */
static void test_index(void **state)
{
	struct key_log_index *k = key_log_index_new();
	char line[300];

	assert_int_equal(key_log_index_count(k), 0);
	assert_false(has(k, RANDOM, TLS_MASTER, 0, ""));
	assert_int_equal(
		key_log_index_add(k, bytes_str("# made by hand\r\nCLIENT_RANDOM " OTHER " 62\r\n\n"
					       "CLIENT_RANDOM " RANDOM " 61\nnonsense\n"
					       "CLIENT_TRAFFIC_SECRET_0 " RANDOM " 63")),
		0);
	assert_int_equal(key_log_index_count(k), 3);
	assert_int_equal(key_log_index_add(k, bytes_str("CLIENT_RANDOM " RANDOM " 60\n"
							"CLIENT_RANDOM " RANDOM " 61\n"
							"CLIENT_RANDOM " RANDOM " 6162\n")),
			 0);
	assert_int_equal(key_log_index_count(k), 5);
	assert_true(has(k, RANDOM, TLS_MASTER, 0, "a"));
	assert_true(has(k, RANDOM, TLS_MASTER, 1, "`"));
	assert_true(has(k, RANDOM, TLS_MASTER, 2, "ab"));
	assert_false(has(k, RANDOM, TLS_MASTER, 3, ""));
	assert_false(has(k, RANDOM, TLS_MASTER, UINT32_MAX, ""));
	assert_true(has(k, OTHER, TLS_MASTER, 0, "b"));
	assert_true(has(k, RANDOM, TLS_CLIENT_APPLICATION, 0, "c"));
	assert_false(has(k, OTHER, TLS_CLIENT_APPLICATION, 0, ""));
	/* Many. */
	for (int i = 0; i < 1000; i++) {
		snprintf(line, sizeof line, "SERVER_TRAFFIC_SECRET_0 %04x%s 7a\n",
			 (i * 7919) & 0xffff, &RANDOM[4]);
		assert_int_equal(key_log_index_add(k, bytes_str(line)), 0);
	}
	assert_int_equal(key_log_index_count(k), 1005);
	for (int i = 0; i < 1000; i += 37) {
		snprintf(line, sizeof line, "%04x%s", (i * 7919) & 0xffff, &RANDOM[4]);
		assert_true(has(k, line, TLS_SERVER_APPLICATION, 0, "z"));
	}
	assert_null(key_log_index_free(k));
	assert_null(key_log_index_free(NULL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines),
		cmocka_unit_test(test_index),
	};
	return cmocka_run_group_tests_name("key-log-index", tests, NULL, NULL);
}
