/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-schedule.h"

#include <openssl/core_names.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "jeebs/recovery-module.h"

static char *hash_name(const struct tls_suite *s)
{
	return s->sha384 ? "SHA384" : "SHA256";
}

static bool derive(const char *kdf, const OSSL_PARAM *params, uint8_t *ret, size_t n)
{
	EVP_KDF *k = EVP_KDF_fetch(NULL, kdf, NULL);
	EVP_KDF_CTX *c = k ? EVP_KDF_CTX_new(k) : NULL;
	bool ok = c && EVP_KDF_derive(c, ret, n, params) == 1;

	EVP_KDF_CTX_free(c);
	EVP_KDF_free(k);
	return ok;
}

/* Where the bytes of one direction are in the key block: keys of MACs only CBC has, and no IV. */
static void split(const struct tls_suite *s, const uint8_t *block, uint32_t dir,
		  struct tls_traffic_key *ret, uint8_t *ret_mac)
{
	size_t key = tls_suite_key_bytes(s);
	size_t iv = TLS_NONCE_BYTES - tls_suite_explicit_bytes(s);
	size_t who = dir == JEEBS_TO_CLIENT;

	*ret = (struct tls_traffic_key){0};
	if (tls_suite_is_cbc(s)) {
		memcpy(ret_mac, block + who * s->tag, s->tag);
		memcpy(ret->key, block + 2 * (size_t)s->tag + who * key, key);
		return;
	}
	memcpy(ret->key, block + who * key, key);
	memcpy(ret->iv, block + 2 * key + who * iv, iv);
}

bool tls12_traffic_key(const struct tls_suite *s, struct bytes master,
		       const uint8_t client_random[static TLS_RANDOM_BYTES],
		       const uint8_t server_random[static TLS_RANDOM_BYTES], uint32_t dir,
		       struct tls_traffic_key *ret, uint8_t ret_mac[static TLS_SECRET_MAX_BYTES])
{
	uint8_t block[2 * (TLS_KEY_MAX_BYTES + TLS_SECRET_MAX_BYTES)],
		seed[13 + 2 * TLS_RANDOM_BYTES];
	size_t more = tls_suite_is_cbc(s) ? s->tag : TLS_NONCE_BYTES - tls_suite_explicit_bytes(s);
	size_t n = 2 * (tls_suite_key_bytes(s) + more);

	memcpy(seed, "key expansion", 13);
	memcpy(seed + 13, server_random, TLS_RANDOM_BYTES);
	memcpy(seed + 13 + TLS_RANDOM_BYTES, client_random, TLS_RANDOM_BYTES);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_name(s), 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SECRET, (void *)master.p, master.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_SEED, seed, sizeof seed),
		OSSL_PARAM_END,
	};
	bool ok = derive("TLS1-PRF", params, block, n);
	if (ok)
		split(s, block, dir, ret, ret_mac);
	explicit_bzero(block, sizeof block);
	return ok;
}

/* HKDF-Expand-Label without a context (RFC 8446 section 7.1). */
static bool expand_label(const struct tls_suite *s, struct bytes secret, const char *label,
			 uint8_t *ret, size_t n)
{
	static const char prefix[] = "tls13 ";
	size_t length = strlen(label);
	int mode = EVP_KDF_HKDF_MODE_EXPAND_ONLY;
	uint8_t info[32] = {0, (uint8_t)n, (uint8_t)(strlen(prefix) + length)};

	memcpy(info + 3, prefix, strlen(prefix));
	memcpy(info + 3 + strlen(prefix), label, length);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_int(OSSL_KDF_PARAM_MODE, &mode),
		OSSL_PARAM_utf8_string(OSSL_KDF_PARAM_DIGEST, hash_name(s), 6),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_KEY, (void *)secret.p, secret.n),
		OSSL_PARAM_octet_string(OSSL_KDF_PARAM_INFO, info, 3 + strlen(prefix) + length + 1),
		OSSL_PARAM_END,
	};
	return derive("HKDF", params, ret, n);
}

bool tls13_traffic_key(const struct tls_suite *s, struct bytes secret, struct tls_traffic_key *ret)
{
	struct tls_traffic_key k = {0};
	bool ok = expand_label(s, secret, "key", k.key, tls_suite_key_bytes(s)) &&
		  expand_label(s, secret, "iv", k.iv, sizeof k.iv);

	if (ok)
		*ret = k;
	explicit_bzero(&k, sizeof k);
	return ok;
}

bool tls13_next_secret(const struct tls_suite *s, struct bytes secret, uint8_t *ret)
{
	return expand_label(s, secret, "traffic upd", ret, tls_suite_hash_bytes(s));
}
