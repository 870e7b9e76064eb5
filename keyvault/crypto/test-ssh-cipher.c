/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ssh-cipher.h"

static const char *const pairs[][2] = {
	{"chacha20-poly1305@openssh.com", NULL},
	{"aes128-gcm@openssh.com", NULL},
	{"aes256-gcm@openssh.com", "hmac-sha2-256"},
	{"aes128-ctr", "umac-64@openssh.com"},
	{"aes192-ctr", "umac-128@openssh.com"},
	{"aes256-ctr", "hmac-sha2-256"},
	{"aes128-ctr", "hmac-sha2-512"},
	{"aes128-ctr", "hmac-sha1"},
	{"aes192-ctr", "umac-64-etm@openssh.com"},
	{"aes256-ctr", "umac-128-etm@openssh.com"},
	{"aes128-ctr", "hmac-sha2-256-etm@openssh.com"},
	{"aes128-ctr", "hmac-sha2-512-etm@openssh.com"},
	{"aes128-ctr", "hmac-sha1-etm@openssh.com"},
};
#define PAIRS (sizeof pairs / sizeof *pairs)

static struct ssh_keys keys_of(const char *k)
{
	return (struct ssh_keys){SSH_SHA256, bytes_str(k), bytes_str("hash of the exchange"),
				 bytes_str("session")};
}

static struct ssh_cipher *cipher_of(size_t i, const char *k, bool to_server)
{
	struct ssh_keys keys = keys_of(k);
	struct ssh_cipher *c = NULL;

	assert_int_equal(ssh_cipher_new(&keys, to_server, pairs[i][0], pairs[i][1], &c),
			 SSH_CIPHER_OK);
	return c;
}

static bool is_ctr(size_t i)
{
	return strstr(pairs[i][0], "-ctr");
}

static bool is_etm(size_t i)
{
	return is_ctr(i) && strstr(pairs[i][1], "-etm");
}

/* 64 bytes of 4 and 60, or in one piece: lawful for all but those that count from the length. */
static size_t plain_of(size_t i, uint8_t *plain)
{
	size_t n = !is_ctr(i) || is_etm(i) ? 68 : 64;

	for (size_t k = 0; k < n; k++)
		plain[k] = (uint8_t)(k * 7 + 1);
	memcpy(plain, (const uint8_t[]){0, 0, 0, (uint8_t)(n - 4), 7}, 5);
	return n;
}

static const uint8_t seq[] = {0, 0, 0, 9};

static struct bytes aad_of(size_t i)
{
	return bytes_of(seq, is_ctr(i) ? 4 : 0);
}

static void sealed_is_opened(void **state)
{
	(void)state;
	for (size_t i = 0; i < PAIRS; i++) {
		uint8_t plain[68], wire[68 + SSH_TAG_MAX_BYTES], again[68];
		size_t n = plain_of(i, plain);
		struct ssh_cipher *c = cipher_of(i, "k", true), *other = cipher_of(i, "j", true),
				  *back = cipher_of(i, "k", false);
		struct bytes all = {wire, n + ssh_cipher_tag_bytes(c)};

		assert_int_equal(ssh_cipher_seal(c, 9, aad_of(i), bytes_of(plain, n), wire), 0);
		assert_memory_not_equal(wire + 16, plain + 16, n - 16);
		assert_int_equal(ssh_cipher_open(c, 9, aad_of(i), all, again), 0);
		assert_memory_equal(again, plain, n);
		assert_int_equal(ssh_cipher_open(other, 9, aad_of(i), all, again),
				 SSH_CIPHER_FORGED);
		assert_int_equal(ssh_cipher_open(back, 9, aad_of(i), all, again),
				 SSH_CIPHER_FORGED);
		ssh_cipher_free(c);
		ssh_cipher_free(other);
		ssh_cipher_free(back);
	}
}

static void each_altered_byte_is_seen(void **state)
{
	(void)state;
	for (size_t i = 0; i < PAIRS; i++) {
		uint8_t plain[68], wire[68 + SSH_TAG_MAX_BYTES], again[68], none[68] = {0};
		size_t n = plain_of(i, plain);
		struct ssh_cipher *c = cipher_of(i, "k", true);
		struct bytes all = {wire, n + ssh_cipher_tag_bytes(c)};

		assert_int_equal(ssh_cipher_seal(c, 9, aad_of(i), bytes_of(plain, n), wire), 0);
		for (size_t k = 0; k < all.n; k++) {
			wire[k] ^= 0x10;
			assert_int_equal(ssh_cipher_open(c, 9, aad_of(i), all, again),
					 SSH_CIPHER_FORGED);
			assert_memory_equal(again, none, n);
			wire[k] ^= 0x10;
		}
		/* Another place, another number. */
		assert_int_equal(ssh_cipher_open(c, 10, aad_of(i), all, again),
				 is_etm(i) ? SSH_CIPHER_OK : SSH_CIPHER_FORGED);
		if (is_ctr(i))
			assert_int_equal(
				ssh_cipher_open(c, 9, bytes_of("\0\0\0\10", 4), all, again),
				SSH_CIPHER_FORGED);
		assert_int_equal(ssh_cipher_open(c, 9, aad_of(i), bytes_head(all, 3), again),
				 SSH_CIPHER_FORGED);
		ssh_cipher_free(c);
	}
}

static void any_part_can_be_read(void **state)
{
	(void)state;
	for (size_t i = 0; i < PAIRS; i++) {
		uint8_t plain[68], wire[68 + SSH_TAG_MAX_BYTES], part[68];
		size_t n = plain_of(i, plain);
		struct ssh_cipher *c = cipher_of(i, "k", true);

		assert_int_equal(ssh_cipher_seal(c, 9, aad_of(i), bytes_of(plain, n), wire), 0);
		for (size_t from = 0; from < n; from++)
			for (size_t to = from; to <= n; to++) {
				assert_int_equal(ssh_cipher_peek(c, 9, from,
								 bytes_of(wire + from, to - from),
								 part),
						 0);
				assert_memory_equal(part, plain + from, to - from);
			}
		ssh_cipher_free(c);
	}
}

static void no_number_is_sealed_twice(void **state)
{
	(void)state;
	for (size_t i = 0; i < PAIRS; i++) {
		uint8_t plain[68], wire[68 + SSH_TAG_MAX_BYTES];
		size_t n = plain_of(i, plain);
		struct ssh_cipher *c = cipher_of(i, "k", true);
		struct bytes b = bytes_of(plain, n);
		uint64_t step = is_ctr(i) ? 4 : 1;

		assert_int_equal(ssh_cipher_seal(c, 1000, aad_of(i), b, wire), 0);
		for (uint64_t at = 990; at < 1010; at++)
			if (at != 1000 + step)
				assert_int_equal(ssh_cipher_seal(c, at, aad_of(i), b, wire),
						 SSH_CIPHER_USED);
		assert_int_equal(ssh_cipher_seal(c, 1000 + step, aad_of(i), b, wire), 0);
		assert_int_equal(ssh_cipher_seal(c, 1000 + step, aad_of(i), b, wire),
				 SSH_CIPHER_USED);
		ssh_cipher_free(c);
	}
}

static void the_unknown_is_named(void **state)
{
	struct ssh_keys keys = keys_of("k");
	struct ssh_cipher *c = NULL;

	(void)state;
	assert_int_equal(ssh_cipher_new(&keys, true, "aes128-cbc", "hmac-sha2-256", &c),
			 SSH_CIPHER_UNKNOWN);
	assert_int_equal(ssh_cipher_new(&keys, true, "aes128-ctr", "hmac-md5", &c),
			 SSH_CIPHER_UNKNOWN);
	assert_int_equal(ssh_cipher_new(&keys, true, "aes128-ctr", NULL, &c), SSH_CIPHER_UNKNOWN);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sealed_is_opened),     cmocka_unit_test(each_altered_byte_is_seen),
		cmocka_unit_test(any_part_can_be_read), cmocka_unit_test(no_number_is_sealed_twice),
		cmocka_unit_test(the_unknown_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
