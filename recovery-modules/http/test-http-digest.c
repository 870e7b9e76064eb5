/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The digest of a body: its loop against XXH3 itself, and what two digests say of each other. */
#include <endian.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "http-digest.h"

#define BYTES (3 * HTTP_BLOCK_BYTES + 1000)

static uint8_t *bytes;

static int setup(void **state)
{
	uint64_t x = 1;

	bytes = malloc(BYTES);
	for (size_t i = 0; bytes && i < BYTES; i++) {
		x = x * UINT64_C(6364136223846793005) + 1;
		bytes[i] = (uint8_t)(x >> 56);
	}
	return bytes ? 0 : -1;
}

static int teardown(void **state)
{
	free(bytes);
	return 0;
}

/* ---- the loop ---- */

static uint64_t load64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof v);
	return le64toh(v);
}

static void secret_bytes(uint8_t secret[static sizeof http_stripe_key])
{
	for (size_t i = 0; i < HTTP_STRIPE_KEYS; i++) {
		uint64_t v = htole64(http_stripe_key[i]);
		memcpy(secret + 8 * i, &v, sizeof v);
	}
}

static uint64_t folded(uint64_t a, uint64_t b)
{
	unsigned __int128 product = (unsigned __int128)a * b;

	return (uint64_t)product ^ (uint64_t)(product >> 64);
}

/* How XXH3 ends a long input: the last 64 bytes with a key of their own, and all sums folded. */
static uint64_t xxh3_end(struct http_stripes s, const uint8_t *p, size_t n)
{
	uint8_t secret[sizeof http_stripe_key];
	uint64_t h = n * UINT64_C(0x9e3779b185ebca87);

	secret_bytes(secret);
	for (size_t i = 0; i < 8; i++) {
		uint64_t w = load64(p + n - 64 + 8 * i);
		uint64_t keyed = w ^ load64(secret + sizeof secret - 64 - 7 + 8 * i);
		s.sum[i ^ 1] += w;
		s.sum[i] += (keyed & UINT32_MAX) * (keyed >> 32);
	}
	for (size_t i = 0; i < 4; i++)
		h += folded(s.sum[2 * i] ^ load64(secret + 11 + 16 * i),
			    s.sum[2 * i + 1] ^ load64(secret + 11 + 16 * i + 8));
	h ^= h >> 37;
	h *= UINT64_C(0x165667919e3779f9);
	return h ^ h >> 32;
}

static void test_the_loop_is_that_of_xxh3(void **state)
{
	uint8_t secret[sizeof http_stripe_key];

	secret_bytes(secret);
	for (size_t n = 241; n < 5000; n++) {
		struct http_stripes s;
		http_stripes_init(&s);
		http_stripes_add(&s, 0, bytes, (n - 1) / 64);
		assert_int_equal(xxh3_end(s, bytes, n),
				 XXH3_64bits_withSecret(bytes, n, secret, sizeof secret));
	}
}

/* Whatever the processor has. */
static void test_all_ways_agree(void **state)
{
	struct http_stripes plain, vector, sse2;

	http_stripes_init(&plain);
	vector = sse2 = plain;
	uint64_t before = 0;
	for (size_t count = 0; count < 50; count++) {
		const uint8_t *p = bytes + 7 * count; /* at any address */
		http_stripes_add_plain(&plain, before, p, count);
		http_stripes_add(&vector, before, p, count);
		assert_memory_equal(&plain, &vector, sizeof plain);
#ifdef __x86_64__
		http_stripes_add_sse2(&sse2, before, p, count);
		assert_memory_equal(&plain, &sse2, sizeof plain);
#endif
		before += count;
	}
}

/* ---- the digest ---- */

/* The bytes [from, to) in pieces of @piece. */
static struct http_digest digest(uint64_t from, uint64_t to, size_t piece)
{
	struct http_digest d;

	http_digest_init(&d, from);
	while (from < to) {
		size_t n = to - from < piece ? (size_t)(to - from) : piece;
		http_digest_update(&d, (struct jeebs_bytes){bytes + from, n});
		from += n;
	}
	assert_int_equal(d.to, to);
	return d;
}

static void test_pieces_make_no_difference(void **state)
{
	static const size_t ends[] = {0,     1,     63,    64,     65,     1023, 1024,
				      65535, 65536, 65537, 131072, 131135, BYTES};
	static const size_t pieces[] = {1, 63, 64, 65, 127, 1448, 65536};

	for (size_t i = 0; i < sizeof ends / sizeof *ends; i++) {
		struct http_digest whole = digest(0, ends[i], BYTES);
		for (size_t k = 0; k < sizeof pieces / sizeof *pieces; k++) {
			struct http_digest d = digest(0, ends[i], pieces[k]);
			assert_true(http_digest_same(&whole, &d));
		}
	}
}

/* Alone from its window on, as from the beginning. */
static void test_the_window_alone(void **state)
{
	for (uint64_t to = 65000; to < BYTES; to += 4999) {
		struct http_digest whole = digest(0, to, 1448);
		uint64_t from = http_digest_window(&whole);
		struct http_digest got = digest(from, to, 1000);
		assert_true(http_digest_same(&whole, &got));
		bytes[from] ^= 1;
		got = digest(from, to, 1000);
		bytes[from] ^= 1;
		assert_false(http_digest_same(&whole, &got));
	}
}

static void test_a_gap_begins_anew(void **state)
{
	struct http_digest d = digest(0, 70000, 1448), got = digest(70100, 140000, BYTES);

	http_digest_gap(&d, 100);
	assert_false(http_digest_whole(&d));
	for (uint64_t at = 70100; at < 140000; at += 100)
		http_digest_update(&d, (struct jeebs_bytes){bytes + at, 100});
	assert_true(http_digest_same(&d, &got));
}

static void test_any_bit_counts(void **state)
{
	const uint64_t to = 2 * HTTP_BLOCK_BYTES + 100;
	struct http_digest d = digest(0, to, BYTES);

	for (uint64_t at = 0; at < to; at += at < to - 100 ? 61 : 1) {
		for (int bit = 0; bit < 8; bit += 7) {
			bytes[at] ^= (uint8_t)(1 << bit);
			struct http_digest got = digest(0, to, BYTES);
			bytes[at] ^= (uint8_t)(1 << bit);
			assert_false(http_digest_same(&d, &got));
		}
	}
	struct http_digest shorter = digest(0, to - 1, BYTES);
	assert_false(http_digest_same(&d, &shorter));
}

/* The order of stripes counts too, within a mix and beyond. */
static void test_order_counts(void **state)
{
	struct http_digest d = digest(0, 10000, BYTES);

	for (size_t by = 64; by <= 2048; by += 64) {
		uint8_t a[64];
		memcpy(a, bytes, 64);
		memcpy(bytes, bytes + by, 64);
		memcpy(bytes + by, a, 64);
		struct http_digest got = digest(0, 10000, BYTES);
		memcpy(bytes + by, bytes, 64);
		memcpy(bytes, a, 64);
		assert_false(http_digest_same(&d, &got));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_loop_is_that_of_xxh3),
		cmocka_unit_test(test_all_ways_agree),
		cmocka_unit_test(test_pieces_make_no_difference),
		cmocka_unit_test(test_the_window_alone),
		cmocka_unit_test(test_a_gap_begins_anew),
		cmocka_unit_test(test_any_bit_counts),
		cmocka_unit_test(test_order_counts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
