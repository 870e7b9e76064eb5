/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What OpenSSL says is understood, from any place on, and nothing else is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "tls-judge.h"

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",
	"TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",
	"TLS_AES_128_CCM_SHA256",
	"TLS_AES_128_CCM_8_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-ECDSA-AES128-CCM",
	"ECDHE-ECDSA-AES256-CCM8",
	"ECDHE-ECDSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA",
	"ECDHE-ECDSA-AES128-SHA256",
	"ECDHE-ECDSA-AES256-SHA384",
	/* Again, without encrypt-then-MAC. */
	"ECDHE-ECDSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA",
	"ECDHE-ECDSA-AES128-SHA256",
	"ECDHE-ECDSA-AES256-SHA384",
};
#define SUITES (sizeof suites / sizeof suites[0])

static bool is_without_etm(unsigned i)
{
	return i >= SUITES - 4;
}

static struct tls_rig *conversation(unsigned suite)
{
	struct tls_rig *r = tls_rig_new(
		&(struct tls_rig_options){.suite = suites[suite],
					  .alpn = "h2",
					  .no_encrypt_then_mac = is_without_etm(suite)});
	static uint8_t much[40000];

	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("a question"));
	if (SSL_version(r->end[0]) == TLS1_3_VERSION)
		tls_rig_key_update(r, JEEBS_TO_CLIENT, true);
	for (size_t i = 0; i < sizeof much; i++)
		much[i] = (uint8_t)(i * i >> 3);
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(much, sizeof much));
	if (SSL_version(r->end[0]) == TLS1_3_VERSION)
		tls_rig_key_update(r, JEEBS_TO_SERVER, false);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("another one"));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str("an answer"));
	tls_rig_close(r, JEEBS_TO_CLIENT);
	return r;
}

static struct tls_judge *judge_of(struct tls_rig *r)
{
	struct session_secrets s = tls_rig_secrets(r);
	const struct tls_judge_secrets secrets = {s.find, s.ctx};
	const struct bytes wire[2] = {buf_view(&r->wire[0]), buf_view(&r->wire[1])};
	struct tls_judge *j = tls_judge_new(&secrets, wire);

	assert_non_null(j);
	return j;
}

static void test_understands(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct tls_rig *r = conversation(i);
		struct tls_judge *j = judge_of(r);
		for (uint32_t dir = 0; dir < 2; dir++) {
			assert_int_equal(tls_judge_understood(j, dir), r->wire[dir].n);
			assert_true(bytes_eq(tls_judge_plain(j, dir), buf_view(&r->plain[dir])));
		}
		assert_string_equal(tls_judge_alpn(j), "h2");
		assert_true(tls_judge_closed(j, 1, r->wire[1].n));
		assert_false(tls_judge_closed(j, 1, r->wire[1].n - 1));
		assert_false(tls_judge_closed(j, 0, r->wire[0].n));
		tls_judge_free(j);
		tls_rig_free(r);
	}
}

/* Whoever has any part of it understands the rest, and has the plaintext that the judge says. */
static void test_listens_from_anywhere(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct tls_rig *r = conversation(i);
		struct tls_judge *j = judge_of(r);
		for (uint64_t cut = i; cut <= r->wire[1].n; cut += cut < 3000 ? 1 : 997) {
			struct tls_ear *e;
			int said = tls_ear_new(j, 1, cut, &e);
			if (said == -ENODATA)
				continue; /* in a message of several records */
			assert_int_equal(said, 0);
			assert_int_equal(
				tls_ear_hear(e, bytes_from(buf_view(&r->wire[1]), (size_t)cut)), 0);
			assert_null(tls_ear_why(e));
			assert_true(tls_ear_closed(e) && tls_ear_between(e));
			uint64_t had = tls_judge_plain_ended(j, 1, cut);
			assert_true(bytes_eq(tls_ear_plain(e),
					     bytes_from(buf_view(&r->plain[1]), (size_t)had)));
			assert_in_range(tls_judge_plain_begun(j, 1, cut), had, had + 16384);
			assert_in_range(tls_judge_record_end(j, 1, cut), cut, cut + 16700);
			tls_ear_free(e);
		}
		tls_judge_free(j);
		tls_rig_free(r);
	}
}

/* One bit, anywhere behind the cut, is heard; so are a record twice, and one that is left out. */
static void test_hears_what_is_wrong(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct tls_rig *r = conversation(i);
		struct tls_judge *j = judge_of(r);
		uint64_t n = r->wire[1].n, cut = n - 200;
		uint8_t tail[200];
		struct tls_ear *e;
		/* A header that lies about its length may wait for the rest for ever. */
		for (size_t at = tls_judge_record_end(j, 1, cut) - cut; at < 200; at++) {
			memcpy(tail, r->wire[1].p + cut, sizeof tail);
			tail[at] ^= 1;
			assert_int_equal(tls_ear_new(j, 1, cut, &e), 0);
			tls_ear_hear(e, bytes_of(tail, sizeof tail));
			assert_true(tls_ear_why(e) || !tls_ear_between(e) || !tls_ear_closed(e));
			tls_ear_free(e);
		}
		uint64_t begin = tls_judge_record_end(j, 1, cut);
		uint64_t end = tls_judge_record_end(j, 1, begin + 1);
		assert_int_equal(tls_ear_new(j, 1, end, &e), 0);
		tls_ear_hear(e, bytes_of(r->wire[1].p + begin, (size_t)(end - begin)));
		assert_string_equal(tls_ear_why(e), "record-forged");
		tls_ear_free(e);
		assert_int_equal(tls_ear_new(j, 1, begin, &e), 0);
		tls_ear_hear(e, bytes_of(r->wire[1].p + end, (size_t)(n - end)));
		assert_string_equal(tls_ear_why(e), "record-forged");
		tls_ear_free(e);
		assert_int_equal(tls_ear_new(j, 1, n, &e), 0);
		tls_ear_hear(e, bytes_of(r->wire[1].p + end, (size_t)(n - end)));
		assert_string_equal(tls_ear_why(e), "behind-close-notify");
		tls_ear_free(e);
		tls_judge_free(j);
		tls_rig_free(r);
	}
}

/* Numbers of records that ended are used, others are not. */
static void test_numbers(void **state)
{
	struct tls_rig *r = conversation(0);
	struct tls_judge *j = judge_of(r);
	uint64_t n = r->wire[1].n;

	/* Three records of much, the answer and close_notify are under the last key. */
	for (uint64_t number = 0; number < 8; number++) {
		assert_int_equal(tls_judge_is_used(j, 1, n, number), number < 5);
		assert_int_equal(tls_judge_is_used(j, 1, n - 1, number), number < 4);
	}
	tls_judge_free(j);
	tls_rig_free(r);
}

/* Without keys only what is in the clear is understood; and nothing that is no TLS. */
static bool find_none(void *ctx, const uint8_t random[static TLS_RANDOM_BYTES],
		      enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	return false;
}

static void test_without_keys(void **state)
{
	const struct tls_judge_secrets none = {find_none, NULL};
	struct tls_rig *r = conversation(0);
	const struct bytes wire[2] = {buf_view(&r->wire[0]), buf_view(&r->wire[1])};
	const struct bytes other[2] = {bytes_str("GET / HTTP/1.1\r\n\r\n"),
				       bytes_str("HTTP/1.1 200")};
	struct tls_judge *j = tls_judge_new(&none, wire);
	struct tls_ear *e;

	assert_non_null(j);
	assert_in_range(tls_judge_understood(j, 1), 60, 300);
	assert_int_equal(tls_judge_plain(j, 1).n, 0);
	assert_int_equal(tls_ear_new(j, 1, r->wire[1].n, &e), -ENODATA);
	tls_judge_free(j);
	j = tls_judge_new(&none, other);
	assert_int_equal(tls_judge_understood(j, 0), 0);
	assert_int_equal(tls_judge_understood(j, 1), 0);
	tls_judge_free(j);
	tls_rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_understands),
		cmocka_unit_test(test_listens_from_anywhere),
		cmocka_unit_test(test_hears_what_is_wrong),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_without_keys),
	};
	return cmocka_run_group_tests_name("tls-judge", tests, NULL, NULL);
}
