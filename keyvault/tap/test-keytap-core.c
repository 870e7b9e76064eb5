/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "client-hello.h"
#include "keylog.h"
#include "ssh-derivation.h"
#include "wait-budget.h"

#define SECOND 1000000000ULL

/* ---- keylog ---------------------------------------------------------------------------------- */

static const char *line_of(const char *label, int random, int secret, int bytes)
{
	static char line[512];
	int n = snprintf(line, sizeof line, "%s ", label);

	for (int i = 0; i < TLS_RANDOM_BYTES; i++)
		n += snprintf(line + n, sizeof line - n, "%02x", random);
	line[n++] = ' ';
	for (int i = 0; i < bytes; i++)
		n += snprintf(line + n, sizeof line - n, "%02X", secret);
	line[n] = '\0';
	return line;
}

static void test_a_handshake_of_tls_1_3(void **state)
{
	struct keylog k = {0};
	struct tls_keys t = {0};

	assert_int_equal(keylog_line(&k, line_of("SERVER_HANDSHAKE_TRAFFIC_SECRET", 7, 1, 48)),
			 KEYLOG_MORE);
	assert_int_equal(keylog_line(&k, line_of("CLIENT_HANDSHAKE_TRAFFIC_SECRET", 7, 2, 48)),
			 KEYLOG_MORE);
	assert_int_equal(keylog_line(&k, line_of("EXPORTER_SECRET", 7, 3, 48)), KEYLOG_OTHER);
	assert_int_equal(keylog_line(&k, line_of("SERVER_TRAFFIC_SECRET_0", 7, 4, 48)),
			 KEYLOG_MORE);
	assert_int_equal(keylog_line(&k, line_of("CLIENT_TRAFFIC_SECRET_0", 7, 0xab, 48)),
			 KEYLOG_DONE);
	keylog_secrets(&k, &t);
	assert_int_equal(t.client_random[31], 7);
	assert_int_equal(t.secret[TLS_MASTER].n, 0);
	for (int i = TLS_CLIENT_HANDSHAKE; i < TLS_SECRETS; i++)
		assert_int_equal(t.secret[i].n, 48);
	assert_int_equal(t.secret[TLS_SERVER_HANDSHAKE].p[0], 1);
	assert_int_equal(t.secret[TLS_CLIENT_APPLICATION].p[47], 0xab);
	/* Later generations have no names that would tell them apart, and are derived. */
	assert_int_equal(keylog_line(&k, line_of("CLIENT_TRAFFIC_SECRET_N", 7, 9, 48)),
			 KEYLOG_OTHER);
}

static void test_a_handshake_of_tls_1_2(void **state)
{
	struct keylog k = {0};
	struct tls_keys t = {0};

	assert_int_equal(keylog_line(&k, line_of("CLIENT_RANDOM", 1, 5, 48)), KEYLOG_DONE);
	keylog_secrets(&k, &t);
	assert_int_equal(t.secret[TLS_MASTER].n, 48);
	/* A renegotiation. */
	assert_int_equal(keylog_line(&k, line_of("CLIENT_RANDOM", 2, 6, 48)), KEYLOG_DONE);
	keylog_secrets(&k, &t);
	assert_int_equal(t.client_random[0], 2);
	assert_int_equal(t.secret[TLS_MASTER].p[0], 6);
}

static void test_another_random_begins_anew(void **state)
{
	struct keylog k = {0};

	assert_int_equal(keylog_line(&k, line_of("SERVER_TRAFFIC_SECRET_0", 1, 4, 32)),
			 KEYLOG_MORE);
	assert_int_equal(keylog_line(&k, line_of("CLIENT_TRAFFIC_SECRET_0", 2, 4, 32)),
			 KEYLOG_MORE);
	assert_int_equal(k.bytes[TLS_SERVER_APPLICATION], 0);
}

static void test_lines_that_are_none(void **state)
{
	struct keylog k = {0}, none = {0};
	char cut[512];
	const char *whole = line_of("CLIENT_RANDOM", 1, 5, 48);
	size_t n = strlen(whole);

	for (size_t i = 0; i < n; i++) {
		snprintf(cut, sizeof cut, "%.*s", (int)i, whole);
		/* A secret that is shorter by whole bytes cannot be told from one that is so long.
		 */
		if (i > strlen("CLIENT_RANDOM ") + 65 && (n - i) % 2 == 0)
			continue;
		assert_int_equal(keylog_line(&k, cut), KEYLOG_OTHER);
	}
	assert_int_equal(keylog_line(&k, line_of("CLIENT_RANDOM", 1, 5, TLS_SECRET_MAX_BYTES + 1)),
			 KEYLOG_OTHER);
	assert_int_equal(keylog_line(&k, line_of("CLIENT_RANDOM_OF", 1, 5, 48)), KEYLOG_OTHER);
	assert_int_equal(keylog_line(&k, line_of("RSA", 1, 5, 48)), KEYLOG_OTHER);
	assert_memory_equal(&k, &none, sizeof k);
}

/* ---- client-hello ---------------------------------------------------------------------------- */

static void test_client_hello(void **state)
{
	uint8_t record[64] = {22, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3}, random[TLS_RANDOM_BYTES];
	struct client_hello h = {0};

	memset(record + 11, 0x5a, 32);
	memset(random, 0x5a, 32);
	assert_int_equal(client_hello_fd(&h, random), -1);
	for (size_t n = 0; n < 43; n++)
		client_hello_see(&h, 9, bytes_of(record, n));
	assert_int_equal(client_hello_fd(&h, random), -1);
	client_hello_see(&h, 9, bytes_of(record, 43));
	assert_int_equal(client_hello_fd(&h, random), 9);
	/* Without the header, which was read alone. */
	client_hello_see(&h, 11, bytes_of(record + 5, 59));
	assert_int_equal(client_hello_fd(&h, random), 11);
	/* What comes then is no ClientHello. */
	client_hello_see(&h, 12, bytes_of("GET / HTTP/1.1\r\nHost: a.example.net\r\n\r\n", 40));
	record[5] = 2;
	client_hello_see(&h, 13, bytes_of(record, 64));
	assert_int_equal(client_hello_fd(&h, random), 11);
	random[31]++;
	assert_int_equal(client_hello_fd(&h, random), -1);
}

/* ---- ssh-derivation -------------------------------------------------------------------------- */

static const uint8_t mpint[37] = {0, 0, 0, 33, 0, 0x99, 1, 2, 3};
static const uint8_t h32[32] = {4, 5, 6};
static const uint8_t id32[32] = {7, 8, 9};
static int digest, other; /* only their addresses matter */

static bool hashed(struct ssh_derivation *d, enum ssh_hash hash, struct bytes k, struct bytes h,
		   const char *letter, struct bytes id, struct ssh_keys *ret)
{
	ssh_derivation_begin(d, &digest, hash);
	ssh_derivation_part(d, &digest, k);
	ssh_derivation_part(d, &digest, h);
	ssh_derivation_part(d, &digest, bytes_str(letter));
	ssh_derivation_part(d, &digest, id);
	return ssh_derivation_end(d, &digest, ret);
}

static const struct bytes k_of = {mpint, 37}, h_of = {h32, 32}, id_of = {id32, 32};

static bool all_zero(const struct ssh_derivation *d)
{
	static const struct ssh_derivation none;

	return memcmp(d->k, none.k, sizeof d->k) == 0 && memcmp(d->h, none.h, sizeof d->h) == 0 &&
	       memcmp(d->session_id, none.session_id, sizeof d->session_id) == 0;
}

static void test_a_derivation(void **state)
{
	struct ssh_derivation d = {0};
	struct ssh_keys k;

	assert_true(hashed(&d, SSH_SHA256, k_of, h_of, "A", id_of, &k));
	assert_int_equal(k.hash, SSH_SHA256);
	assert_true(bytes_eq(k.k, k_of));
	assert_true(bytes_eq(k.h, h_of));
	assert_true(bytes_eq(k.session_id, id_of));
	ssh_derivation_forget(&d);
	assert_true(all_zero(&d));
	/* The session id is of the first exchange, whose hash may have been another. */
	static const uint8_t h64[64] = {1};
	assert_true(hashed(&d, SSH_SHA512, k_of, bytes_of(h64, 64), "A", id_of, &k));
	ssh_derivation_forget(&d);
	static const uint8_t large[1 + 4 + 1024] = {0, 0, 4, 1};
	assert_true(hashed(&d, SSH_SHA256, bytes_of(large, sizeof large), h_of, "A", id_of, &k));
	ssh_derivation_forget(&d);
}

static void test_what_is_no_derivation(void **state)
{
	struct ssh_derivation d = {0};
	struct ssh_keys k;
	uint8_t text[37];

	for (const char *letter = "BCDEF"; *letter; letter++)
		assert_false(hashed(&d, SSH_SHA256, k_of, h_of, (char[]){*letter, 0}, id_of, &k));
	assert_false(hashed(&d, SSH_SHA256, k_of, h_of, "AA", id_of, &k));
	assert_false(hashed(&d, SSH_SHA256, k_of, bytes_of(h32, 31), "A", id_of, &k));
	assert_false(hashed(&d, SSH_SHA512, k_of, h_of, "A", id_of, &k));
	assert_false(hashed(&d, SSH_SHA256, bytes_of(mpint, 36), h_of, "A", id_of, &k));
	assert_false(hashed(&d, SSH_SHA256, k_of, h_of, "A", BYTES_NONE, &k));
	memset(text, 'x', sizeof text);
	assert_false(hashed(&d, SSH_SHA256, bytes_of(text, sizeof text), h_of, "A", id_of, &k));
	static uint8_t much[SSH_K_MAX_BYTES + 1];
	much[2] = (sizeof much - 4) >> 8, much[3] = (sizeof much - 4) & 0xff;
	assert_false(hashed(&d, SSH_SHA256, bytes_of(much, sizeof much), h_of, "A", id_of, &k));
	assert_true(all_zero(&d));
	/* The rounds that make a longer key: three parts. */
	ssh_derivation_begin(&d, &digest, SSH_SHA256);
	ssh_derivation_part(&d, &digest, k_of);
	ssh_derivation_part(&d, &digest, h_of);
	ssh_derivation_part(&d, &digest, h_of);
	assert_false(ssh_derivation_end(&d, &digest, &k));
	/* And five. */
	ssh_derivation_begin(&d, &digest, SSH_SHA256);
	ssh_derivation_part(&d, &digest, k_of);
	ssh_derivation_part(&d, &digest, h_of);
	ssh_derivation_part(&d, &digest, bytes_str("A"));
	ssh_derivation_part(&d, &digest, id_of);
	ssh_derivation_part(&d, &digest, id_of);
	assert_false(ssh_derivation_end(&d, &digest, &k));
	/* One that is not finished, as when a digest is copied, leaves nothing. */
	ssh_derivation_begin(&d, &digest, SSH_SHA256);
	ssh_derivation_part(&d, &digest, k_of);
	ssh_derivation_begin(&d, &other, SSH_SHA256);
	assert_true(all_zero(&d));
}

static void test_two_digests(void **state)
{
	struct ssh_derivation d = {0};
	struct ssh_keys k;

	ssh_derivation_begin(&d, &digest, SSH_SHA256);
	ssh_derivation_part(&d, &digest, k_of);
	ssh_derivation_part(&d, &other, k_of); /* goes on with something that began before */
	ssh_derivation_part(&d, &digest, h_of);
	ssh_derivation_part(&d, &digest, bytes_str("A"));
	ssh_derivation_part(&d, &digest, id_of);
	assert_false(ssh_derivation_end(&d, &other, &k));
	assert_true(ssh_derivation_end(&d, &digest, &k));
	ssh_derivation_forget(&d);
	assert_false(ssh_derivation_end(&d, &digest, &k));
}

/* ---- wait-budget ----------------------------------------------------------------------------- */

static void test_waits_until_it_was_missed_in_a_row(void **state)
{
	struct wait_budget b = {.wait_ns = 50};
	uint64_t now = SECOND;

	for (int i = 0; i < WAIT_BUDGET_MISSES - 1; i++) {
		assert_int_equal(wait_budget_take(&b, now), 50);
		wait_budget_missed(&b, now);
	}
	wait_budget_answered(&b);
	for (int i = 0; i < WAIT_BUDGET_MISSES; i++) {
		assert_int_equal(wait_budget_take(&b, now), 50);
		wait_budget_missed(&b, now);
	}
	assert_int_equal(wait_budget_take(&b, now), 0);
	assert_int_equal(wait_budget_take(&b, now + SECOND - 1), 0);
	/* One tries, the others do not. */
	assert_int_equal(wait_budget_take(&b, now + SECOND), 50);
	assert_int_equal(wait_budget_take(&b, now + SECOND), 0);
	wait_budget_answered(&b);
	for (int i = 0; i < 5; i++)
		assert_int_equal(wait_budget_take(&b, now + SECOND), 50);
}

static void test_tries_become_rare(void **state)
{
	struct wait_budget b = {.wait_ns = 50};
	uint64_t now = SECOND, waited = 0;

	/* An hour of handshakes every 10 ms, side by side. */
	for (; now < 3601 * SECOND; now += SECOND / 100) {
		for (int i = 0; i < 4; i++) {
			uint64_t ns = wait_budget_take(&b, now);
			waited += ns > 0;
			if (ns > 0)
				wait_budget_missed(&b, now + ns);
		}
	}
	assert_in_range(waited, 60, 75);
}

static void test_closed_waits_always(void **state)
{
	struct wait_budget b = {.wait_ns = 50, .closed = true};

	for (int i = 0; i < 10; i++) {
		assert_int_equal(wait_budget_take(&b, SECOND), 50);
		wait_budget_missed(&b, SECOND);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_handshake_of_tls_1_3),
		cmocka_unit_test(test_a_handshake_of_tls_1_2),
		cmocka_unit_test(test_another_random_begins_anew),
		cmocka_unit_test(test_lines_that_are_none),
		cmocka_unit_test(test_client_hello),
		cmocka_unit_test(test_a_derivation),
		cmocka_unit_test(test_what_is_no_derivation),
		cmocka_unit_test(test_two_digests),
		cmocka_unit_test(test_waits_until_it_was_missed_in_a_row),
		cmocka_unit_test(test_tries_become_rare),
		cmocka_unit_test(test_closed_waits_always),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
