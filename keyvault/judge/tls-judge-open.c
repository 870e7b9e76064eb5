/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-judge-open.h"

#include <openssl/hmac.h>
#include <openssl/ssl.h>

#define HEADER 5

bool judge_suite_find(uint16_t number, struct judge_suite *ret)
{
	const unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	const SSL_CIPHER *c = ssl ? SSL_CIPHER_find(ssl, bytes) : NULL;
	bool ok = c && SSL_CIPHER_is_aead(c);

	if (ok) {
		const char *name = SSL_CIPHER_get_name(c);
		int nid = SSL_CIPHER_get_cipher_nid(c);
		*ret = (struct judge_suite){
			.cipher = EVP_get_cipherbynid(nid),
			.hash = SSL_CIPHER_get_handshake_digest(c),
			.tag = strstr(name, "CCM8") || strstr(name, "CCM_8") ? 8 : 16,
			.tls13 = strcmp(SSL_CIPHER_get_version(c), "TLSv1.3") == 0,
			.chacha = nid == NID_chacha20_poly1305,
			.ccm = strstr(name, "CCM") != NULL,
		};
		ok = ret->cipher && ret->hash;
	}
	if (ok)
		ret->key_n = (size_t)EVP_CIPHER_get_key_length(ret->cipher);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
	return ok;
}

/* ---- keys ----------------------------------------------------------------------------------- */

/* HKDF-Expand-Label of one block: no label here wants more than the hash has. */
static bool expand(const struct judge_suite *s, const uint8_t *secret, const char *label,
		   uint8_t *out, size_t n)
{
	size_t hash = (size_t)EVP_MD_get_size(s->hash), label_n = strlen(label), at = 0;
	uint8_t info[64], block[EVP_MAX_MD_SIZE];

	info[at++] = 0;
	info[at++] = (uint8_t)n;
	info[at++] = (uint8_t)(6 + label_n);
	memcpy(info + at, "tls13 ", 6);
	memcpy(info + at + 6, label, label_n);
	at += 6 + label_n;
	info[at++] = 0; /* no context */
	info[at++] = 1; /* the first block */
	bool ok = n <= hash && HMAC(s->hash, secret, (int)hash, info, at, block, NULL);
	if (ok)
		memcpy(out, block, n);
	explicit_bzero(block, sizeof block);
	return ok;
}

bool judge_key_13(const struct judge_suite *s, struct bytes secret, struct judge_key *ret)
{
	if (secret.n != (size_t)EVP_MD_get_size(s->hash))
		return false;
	*ret = (struct judge_key){{0}};
	memcpy(ret->secret, secret.p, secret.n);
	return expand(s, ret->secret, "key", ret->key, s->key_n) &&
	       expand(s, ret->secret, "iv", ret->iv, sizeof ret->iv);
}

bool judge_key_13_next(const struct judge_suite *s, const struct judge_key *k,
		       struct judge_key *ret)
{
	size_t n = (size_t)EVP_MD_get_size(s->hash);
	uint8_t next[EVP_MAX_MD_SIZE];
	bool ok = expand(s, k->secret, "traffic upd", next, n) &&
		  judge_key_13(s, bytes_of(next, n), ret);

	explicit_bzero(next, sizeof next);
	return ok;
}

/* P_hash (RFC 5246 section 5). @n is a multiple of nothing. */
static bool prf(const struct judge_suite *s, struct bytes secret, struct bytes seed, uint8_t *out,
		size_t n)
{
	uint8_t a[EVP_MAX_MD_SIZE + 128], block[EVP_MAX_MD_SIZE];
	size_t hash = (size_t)EVP_MD_get_size(s->hash);
	bool ok = HMAC(s->hash, secret.p, (int)secret.n, seed.p, seed.n, a, NULL);

	while (ok && n > 0) {
		size_t part = n < hash ? n : hash;
		memcpy(a + hash, seed.p, seed.n);
		ok = HMAC(s->hash, secret.p, (int)secret.n, a, hash + seed.n, block, NULL);
		memcpy(out, block, part);
		out += part;
		n -= part;
		ok = ok && HMAC(s->hash, secret.p, (int)secret.n, a, hash, block, NULL);
		memcpy(a, block, hash);
	}
	explicit_bzero(block, sizeof block);
	return ok;
}

bool judge_key_12(const struct judge_suite *s, struct bytes master,
		  const uint8_t random[static 2][TLS_RANDOM_BYTES], uint32_t dir,
		  struct judge_key *ret)
{
	uint8_t block[2 * (32 + 12)], seed[13 + 2 * TLS_RANDOM_BYTES] = "key expansion";
	size_t iv = s->chacha ? 12 : 4, n = 2 * (s->key_n + iv);

	if (master.n != TLS_MASTER_BYTES)
		return false;
	memcpy(seed + 13, random[1], TLS_RANDOM_BYTES);
	memcpy(seed + 13 + TLS_RANDOM_BYTES, random[0], TLS_RANDOM_BYTES);
	bool ok = prf(s, master, bytes_of(seed, sizeof seed), block, n);
	*ret = (struct judge_key){{0}};
	memcpy(ret->key, block + dir * s->key_n, s->key_n);
	memcpy(ret->iv, block + 2 * s->key_n + dir * iv, iv);
	explicit_bzero(block, sizeof block);
	return ok;
}

/* ---- a record ------------------------------------------------------------------------------- */

static bool has_explicit(const struct judge_suite *s)
{
	return !s->tls13 && !s->chacha;
}

static uint64_t be64(const uint8_t *p)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | p[i];
	return v;
}

uint64_t judge_nonce(const struct judge_suite *s, uint64_t number, struct bytes record)
{
	return has_explicit(s) && record.n >= HEADER + 8 ? be64(record.p + HEADER) : number;
}

static void make_nonce(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		       const uint8_t *record, uint8_t ret[static 12])
{
	memcpy(ret, k->iv, 12);
	if (has_explicit(s)) {
		memcpy(ret + 4, record + HEADER, 8);
		return;
	}
	for (int i = 0; i < 8; i++)
		ret[4 + i] ^= (uint8_t)(number >> (56 - 8 * i));
}

static size_t make_aad(const struct judge_suite *s, uint64_t number, const uint8_t *header,
		       size_t n, uint8_t ret[static 13])
{
	if (s->tls13) {
		memcpy(ret, header, HEADER);
		return HEADER;
	}
	for (int i = 0; i < 8; i++)
		ret[i] = (uint8_t)(number >> (56 - 8 * i));
	memcpy(ret + 8, header, 3);
	ret[11] = (uint8_t)(n >> 8);
	ret[12] = (uint8_t)n;
	return 13;
}

static bool decrypt(EVP_CIPHER_CTX *c, const struct judge_suite *s, const struct judge_key *k,
		    const uint8_t nonce[static 12], struct bytes aad, struct bytes text,
		    const uint8_t *tag, uint8_t *out)
{
	int n;

	if (EVP_DecryptInit_ex(c, s->cipher, NULL, NULL, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, 12, NULL) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, (int)s->tag, (void *)tag) != 1 ||
	    EVP_DecryptInit_ex(c, NULL, NULL, k->key, nonce) != 1 ||
	    (s->ccm && EVP_DecryptUpdate(c, NULL, &n, NULL, (int)text.n) != 1) ||
	    EVP_DecryptUpdate(c, NULL, &n, aad.p, (int)aad.n) != 1 ||
	    EVP_DecryptUpdate(c, out, &n, text.p, (int)text.n) != 1)
		return false;
	return s->ccm || EVP_DecryptFinal_ex(c, out + text.n, &n) == 1;
}

bool judge_open(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		struct bytes record, uint8_t *out, size_t *ret_n)
{
	size_t front = HEADER + (has_explicit(s) ? 8 : 0);
	uint8_t nonce[12], aad[13];

	if (record.n < front + s->tag)
		return false;
	struct bytes text = bytes_of(record.p + front, record.n - front - s->tag);
	make_nonce(s, k, number, record.p, nonce);
	size_t aad_n = make_aad(s, number, record.p, text.n, aad);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c && decrypt(c, s, k, nonce, bytes_of(aad, aad_n), text, text.p + text.n, out);
	EVP_CIPHER_CTX_free(c);
	*ret_n = text.n;
	return ok;
}
