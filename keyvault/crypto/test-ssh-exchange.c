/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Key exchanges with OpenSSL as the client, and host keys of ssh-keygen whose signatures OpenSSL
 * verifies. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/reader.h"
#include "ssh-exchange.h"
#include "ssh-host-key.h"

#define VALUE_MAX 1100

/* As K is hashed. */
static struct bytes mpint(const uint8_t *p, size_t n, uint8_t *room)
{
	struct writer w = writer_init(room, SSH_K_MAX_BYTES);

	while (n > 0 && *p == 0)
		p++, n--;
	bool sign = n > 0 && (*p & 0x80);

	writer_u32be(&w, (uint32_t)(n + sign));
	if (sign)
		writer_u8(&w, 0);
	writer_copy(&w, p, n);
	return writer_view(&w);
}

static void point_exchange(const char *method, const char *type, const char *curve)
{
	EVP_PKEY *own = curve ? EVP_PKEY_Q_keygen(NULL, NULL, type, curve)
			      : EVP_PKEY_Q_keygen(NULL, NULL, type);
	uint8_t mine[VALUE_MAX], theirs[VALUE_MAX], shared[80], room[SSH_K_MAX_BYTES];
	static struct ssh_exchange_secret s;
	size_t mine_n, theirs_n, n = sizeof shared;

	assert_int_equal(EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
							 mine, sizeof mine, &mine_n),
			 1);
	assert_int_equal(ssh_exchange_make(method, BYTES_NONE, BYTES_NONE, bytes_of(mine, mine_n),
					   &s, theirs, sizeof theirs, &theirs_n),
			 SSH_EXCHANGE_OK);
	EVP_PKEY *peer = EVP_PKEY_new();

	assert_int_equal(EVP_PKEY_copy_parameters(peer, own), 1);
	if (!curve) {
		EVP_PKEY_free(peer);
		peer = EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, theirs, theirs_n);
	} else {
		assert_int_equal(EVP_PKEY_set1_encoded_public_key(peer, theirs, theirs_n), 1);
	}
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);

	assert_int_equal(EVP_PKEY_derive_init(c), 1);
	assert_int_equal(EVP_PKEY_derive_set_peer(c, peer), 1);
	assert_int_equal(EVP_PKEY_derive(c, shared, &n), 1);
	assert_true(bytes_eq(mpint(shared, n, room), bytes_of(s.k, s.k_n)));
	/* What is no point of the curve. */
	for (size_t i = 0; i < mine_n; i++)
		mine[i] = 0;
	assert_int_equal(ssh_exchange_make(method, BYTES_NONE, BYTES_NONE, bytes_of(mine, mine_n),
					   &s, theirs, sizeof theirs, &theirs_n),
			 SSH_EXCHANGE_UNLAWFUL);
	assert_int_equal(ssh_exchange_make(method, BYTES_NONE, BYTES_NONE,
					   bytes_of(theirs, theirs_n - 1), &s, mine, sizeof mine,
					   &mine_n),
			 SSH_EXCHANGE_UNLAWFUL);
	EVP_PKEY_CTX_free(c);
	EVP_PKEY_free(peer);
	EVP_PKEY_free(own);
}

static void points(void **state)
{
	(void)state;
	for (int i = 0; i < 20; i++) /* some have a zero or a sign in front */
		point_exchange("curve25519-sha256", "X25519", NULL);
	point_exchange("curve25519-sha256@libssh.org", "X25519", NULL);
	point_exchange("ecdh-sha2-nistp256", "EC", "P-256");
	point_exchange("ecdh-sha2-nistp384", "EC", "P-384");
	point_exchange("ecdh-sha2-nistp521", "EC", "P-521");
}

static void number_exchange(const char *method, BIGNUM *p, bool named)
{
	uint8_t prime[VALUE_MAX], mine[VALUE_MAX], theirs[VALUE_MAX], shared[VALUE_MAX],
		room[SSH_K_MAX_BYTES];
	static struct ssh_exchange_secret s;
	BN_CTX *c = BN_CTX_new();
	BIGNUM *g = BN_new(), *x = BN_new(), *v = BN_new();
	struct bytes group = {prime, (size_t)BN_bn2bin(p, prime)};
	size_t n;

	assert_true(BN_set_word(g, 2) && BN_set_word(x, 0x7fffffffffffffff) &&
		    BN_mod_exp(v, g, x, p, c));
	struct bytes e = {mine, (size_t)BN_bn2bin(v, mine)};

	assert_int_equal(ssh_exchange_make(method, named ? BYTES_NONE : group,
					   named ? BYTES_NONE : bytes_of("\2", 1), e, &s, theirs,
					   sizeof theirs, &n),
			 SSH_EXCHANGE_OK);
	assert_true(BN_bin2bn(theirs, (int)n, v) && BN_mod_exp(v, v, x, p, c));
	n = (size_t)BN_bn2bin(v, shared);
	assert_true(bytes_eq(mpint(shared, n, room), bytes_of(s.k, s.k_n)));
	/* 0, 1, p - 1 and p give the secret away. */
	const struct bytes unlawful[] = {
		bytes_of("\0", 1), bytes_of("\1", 1),
		bytes_of(mine, (BN_sub_word(p, 1), (size_t)BN_bn2bin(p, mine))), group};

	for (size_t i = 0; i < sizeof unlawful / sizeof *unlawful; i++)
		assert_int_equal(ssh_exchange_make(method, named ? BYTES_NONE : group,
						   named ? BYTES_NONE : bytes_of("\2", 1),
						   unlawful[i], &s, theirs, sizeof theirs, &n),
				 SSH_EXCHANGE_UNLAWFUL);
	BN_free(g);
	BN_free(x);
	BN_free(v);
	BN_free(p);
	BN_CTX_free(c);
}

static void numbers(void **state)
{
	(void)state;
	number_exchange("diffie-hellman-group14-sha256", BN_get_rfc3526_prime_2048(NULL), true);
	number_exchange("diffie-hellman-group16-sha512", BN_get_rfc3526_prime_4096(NULL), true);
	number_exchange("diffie-hellman-group-exchange-sha256", BN_get_rfc3526_prime_3072(NULL),
			false);
}

static void groups(void **state)
{
	uint8_t p[VALUE_MAX];
	size_t n;

	(void)state;
	assert_true(ssh_exchange_group(2048, 3000, 8192, p, sizeof p, &n));
	assert_int_equal(n, 3072 / 8);
	assert_true(ssh_exchange_group(1024, 1024, 8192, p, sizeof p, &n));
	assert_int_equal(n, 2048 / 8);
	assert_true(ssh_exchange_group(2048, 7680, 8192, p, sizeof p, &n));
	assert_int_equal(n, 8192 / 8);
	assert_true(ssh_exchange_group(2048, 8192, 4096, p, sizeof p, &n));
	assert_int_equal(n, 4096 / 8);
	assert_false(ssh_exchange_group(1024, 1024, 1024, p, sizeof p, &n));
	assert_false(ssh_exchange_group(2048, 2048, 8192, p, 100, &n));
}

static void what_is_hashed(void **state)
{
	static struct ssh_exchange_secret s = {.hash = SSH_SHA256, .k_n = 5, .k = "\0\0\0\1\7"};
	uint8_t h[SSH_HASH_MAX_BYTES], expected[32];
	size_t n;

	(void)state;
	assert_int_equal(ssh_exchange_hash(&s, bytes_str("head"), h, &n), 0);
	assert_int_equal(n, 32);
	assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, "head\0\0\0\1\7", 9, expected, NULL),
			 1);
	assert_memory_equal(h, expected, 32);
	assert_int_equal(ssh_exchange_make("kex-of-tomorrow", BYTES_NONE, BYTES_NONE,
					   bytes_of("x", 1), &s, h, sizeof h, &n),
			 SSH_EXCHANGE_UNKNOWN);
}

/* ---- host keys ------------------------------------------------------------------------------ */

static struct bytes string(struct reader *r)
{
	uint32_t n = reader_u32be(r);

	return reader_bytes(r, n);
}

static struct ssh_host_key *load(const char *name, int expected)
{
	char path[512];
	uint8_t text[8192];
	struct ssh_host_key *k = NULL;

	snprintf(path, sizeof path, "%s/%s", TEST_HOST_KEYS, name);
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	size_t n = fread(text, 1, sizeof text, f);

	fclose(f);
	assert_int_equal(ssh_host_key_read(bytes_of(text, n), &k), expected);
	/* Cut off or altered anywhere it is no key, or another one. */
	for (size_t i = 0; i < n; i += 97) {
		struct ssh_host_key *other = NULL;

		if (ssh_host_key_read(bytes_of(text, i), &other) == SSH_HOST_KEY_OK)
			fail_msg("%s: %zu bytes are enough", name, i);
		text[i] ^= 1;
		if (ssh_host_key_read(bytes_of(text, n), &other) == SSH_HOST_KEY_OK)
			ssh_host_key_free(other);
		text[i] ^= 1;
	}
	return k;
}

static EVP_PKEY *public_of(const char *type, const char *curve, struct bytes a, struct bytes b)
{
	OSSL_PARAM_BLD *bld = OSSL_PARAM_BLD_new();
	BIGNUM *e = BN_bin2bn(a.p, (int)a.n, NULL), *n = BN_bin2bn(b.p, (int)b.n, NULL);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *k = NULL;

	if (curve) {
		OSSL_PARAM_BLD_push_utf8_string(bld, OSSL_PKEY_PARAM_GROUP_NAME, curve, 0);
		OSSL_PARAM_BLD_push_octet_string(bld, OSSL_PKEY_PARAM_PUB_KEY, b.p, b.n);
	} else {
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_E, e);
		OSSL_PARAM_BLD_push_BN(bld, OSSL_PKEY_PARAM_RSA_N, n);
	}
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(bld);

	assert_int_equal(EVP_PKEY_fromdata_init(c), 1);
	assert_int_equal(EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, params), 1);
	OSSL_PARAM_free(params);
	OSSL_PARAM_BLD_free(bld);
	EVP_PKEY_CTX_free(c);
	BN_free(e);
	BN_free(n);
	return k;
}

/* r and s as DER, for OpenSSL. */
static size_t der_of(struct bytes b, uint8_t *out)
{
	struct reader r = reader_init(b);
	struct bytes x = string(&r), y = string(&r);
	ECDSA_SIG *s = ECDSA_SIG_new();

	assert_true(reader_ok(&r) && reader_left(&r) == 0 && !(x.p[0] & 0x80) && !(y.p[0] & 0x80));
	assert_int_equal(
		ECDSA_SIG_set0(s, BN_bin2bn(x.p, (int)x.n, NULL), BN_bin2bn(y.p, (int)y.n, NULL)),
		1);
	size_t n = (size_t)i2d_ECDSA_SIG(s, &out);

	ECDSA_SIG_free(s);
	return n;
}

static void verify(const char *file, const char *algorithm, const char *curve, const char *digest)
{
	struct ssh_host_key *k = load(file, SSH_HOST_KEY_OK);
	uint8_t out[2200], der[300];
	size_t n = 0;
	EVP_PKEY *public;

	assert_true(ssh_host_key_can(k, algorithm));
	assert_false(ssh_host_key_can(k, "ssh-dss"));
	assert_int_equal(ssh_host_key_sign(k, "ssh-dss", bytes_str("H"), out, sizeof out, &n),
			 SSH_HOST_KEY_ALGORITHM);
	struct reader r = reader_init(ssh_host_key_public(k));

	(void)string(&r);
	struct bytes a = string(&r), b = reader_left(&r) ? string(&r) : BYTES_NONE;

	assert_true(reader_ok(&r) && reader_left(&r) == 0);
	if (b.n == 0)
	public = EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, a.p, a.n);
	else public = public_of(curve ? "EC" : "RSA", curve, a, b);
	assert_non_null(public);
	for (int i = 0; i < (b.n && !curve ? 1 : 20); i++) {
		assert_int_equal(
			ssh_host_key_sign(k, algorithm, bytes_str("H"), out, sizeof out, &n),
			SSH_HOST_KEY_OK);
		struct reader s = reader_init(bytes_of(out, n));

		assert_true(bytes_eq(string(&s), bytes_str(algorithm)));
		struct bytes signature = string(&s);

		assert_true(reader_ok(&s) && reader_left(&s) == 0);
		if (curve)
			signature = bytes_of(der, der_of(signature, der));
		EVP_MD_CTX *c = EVP_MD_CTX_new();

		assert_int_equal(EVP_DigestVerifyInit_ex(c, NULL, digest, NULL, NULL, public, NULL),
				 1);
		assert_int_equal(
			EVP_DigestVerify(c, signature.p, signature.n, (const uint8_t *)"H", 1), 1);
		EVP_MD_CTX_free(c);
	}
	assert_int_equal(ssh_host_key_sign(k, algorithm, bytes_str("H"), out, 8, &n), -ENOBUFS);
	EVP_PKEY_free(public);
	ssh_host_key_free(k);
}

static void host_keys_sign(void **state)
{
	(void)state;
	verify("ed25519", "ssh-ed25519", NULL, NULL);
	verify("ecdsa-256", "ecdsa-sha2-nistp256", "P-256", "SHA256");
	verify("ecdsa-384", "ecdsa-sha2-nistp384", "P-384", "SHA384");
	verify("ecdsa-521", "ecdsa-sha2-nistp521", "P-521", "SHA512");
	verify("rsa-2048", "rsa-sha2-256", NULL, "SHA256");
	verify("rsa-2048", "rsa-sha2-512", NULL, "SHA512");
	assert_null(load("locked", SSH_HOST_KEY_ENCRYPTED));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(points),         cmocka_unit_test(numbers),
		cmocka_unit_test(groups),         cmocka_unit_test(what_is_hashed),
		cmocka_unit_test(host_keys_sign),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
