/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-judge-open.h"

#include <openssl/hmac.h>
#include <openssl/ssl.h>

#define HEADER 5
#define BLOCK  16

/* Of CBC. Suites of before TLS 1.2 have SHA-256 in its key schedule too (RFC 5246 section 1.2). */
static bool find_mac(const SSL_CIPHER *c, struct judge_suite *io)
{
	int nid = SSL_CIPHER_get_cipher_nid(c);

	if (nid != NID_aes_128_cbc && nid != NID_aes_256_cbc)
		return false;
	if (io->hash && EVP_MD_is_a(io->hash, "MD5-SHA1"))
		io->hash = EVP_sha256();
	io->mac = EVP_get_digestbynid(SSL_CIPHER_get_digest_nid(c));
	io->tag = io->mac ? (size_t)EVP_MD_get_size(io->mac) : 0;
	return io->mac;
}

bool judge_suite_find(uint16_t number, struct judge_suite *ret)
{
	const unsigned char bytes[2] = {(unsigned char)(number >> 8), (unsigned char)number};
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = ctx ? SSL_new(ctx) : NULL;
	const SSL_CIPHER *c = ssl ? SSL_CIPHER_find(ssl, bytes) : NULL;
	bool ok = c;

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
		ok = (SSL_CIPHER_is_aead(c) || find_mac(c, ret)) && ret->cipher && ret->hash;
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
	uint8_t block[2 * (32 + EVP_MAX_MD_SIZE)],
		seed[13 + 2 * TLS_RANDOM_BYTES] = "key expansion";
	size_t iv = s->mac ? 0 : s->chacha ? 12 : 4, mac = s->mac ? s->tag : 0;
	size_t n = 2 * (mac + s->key_n + iv);

	if (master.n != TLS_MASTER_BYTES)
		return false;
	memcpy(seed + 13, random[1], TLS_RANDOM_BYTES);
	memcpy(seed + 13 + TLS_RANDOM_BYTES, random[0], TLS_RANDOM_BYTES);
	bool ok = prf(s, master, bytes_of(seed, sizeof seed), block, n);
	*ret = (struct judge_key){{0}};
	memcpy(ret->mac, block + dir * mac, mac);
	memcpy(ret->key, block + 2 * mac + dir * s->key_n, s->key_n);
	memcpy(ret->iv, block + 2 * (mac + s->key_n) + dir * iv, iv);
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
	/* Of CBC an IV is there. */
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

/* Whether @tag is the MAC of @text (RFC 5246 section 6.2.3.1, RFC 7366 section 3). */
static bool mac_right(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		      const uint8_t *header, struct bytes text, const uint8_t *tag)
{
	uint8_t all[13 + (1 << 15)], is[EVP_MAX_MD_SIZE];
	size_t n = make_aad(s, number, header, text.n, all);

	if (text.n > sizeof all - n)
		return false;
	if (text.n > 0)
		memcpy(all + n, text.p, text.n);
	return HMAC(s->mac, k->mac, (int)s->tag, all, n + text.n, is, NULL) &&
	       memcmp(is, tag, s->tag) == 0;
}

/* How many bytes are in front of the padding, which says how long it is. False: it is wrong. */
static bool take_padding(const uint8_t *text, size_t n, size_t *ret)
{
	size_t pad = n > 0 ? (size_t)text[n - 1] + 1 : 1;

	for (size_t i = 1; i <= pad; i++)
		if (i > n || text[n - i] != pad - 1)
			return false;
	*ret = n - pad;
	return true;
}

static bool open_cbc(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		     struct bytes record, uint8_t *out, size_t *ret_n)
{
	struct bytes b = bytes_from(record, HEADER);
	int n = 0;

	if (s->etm) {
		b = bytes_head(b, b.n > s->tag ? b.n - s->tag : 0);
		if (b.n == 0 || !mac_right(s, k, number, record.p, b, b.p + b.n))
			return false;
	}
	if (b.n < 2 * BLOCK || b.n % BLOCK != 0)
		return false;
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	bool ok = c && EVP_DecryptInit_ex(c, s->cipher, NULL, k->key, b.p) == 1 &&
		  EVP_CIPHER_CTX_set_padding(c, 0) == 1 &&
		  EVP_DecryptUpdate(c, out, &n, b.p + BLOCK, (int)(b.n - BLOCK)) == 1 &&
		  take_padding(out, (size_t)n, ret_n);
	EVP_CIPHER_CTX_free(c);
	if (!ok || s->etm)
		return ok;
	if (*ret_n < s->tag)
		return false;
	*ret_n -= s->tag;
	return mac_right(s, k, number, record.p, bytes_of(out, *ret_n), out + *ret_n);
}

bool judge_open(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		struct bytes record, uint8_t *out, size_t *ret_n)
{
	size_t front = HEADER + (has_explicit(s) ? 8 : 0);
	uint8_t nonce[12], aad[13];

	if (s->mac)
		return open_cbc(s, k, number, record, out, ret_n);
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
