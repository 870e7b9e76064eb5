/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-cipher.h"

#include <errno.h>
#include <stdlib.h>

#include <nettle/umac.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include "base/cleanup.h"

#define LENGTH_BYTES 4
#define BLOCK_BYTES  16
#define NONCE_BYTES  12 /* of GCM */
#define SECRET_BYTES 64 /* the longest key: chacha20's two */

enum kind {
	KIND_CHACHA,
	KIND_GCM,
	KIND_CTR,
};

struct cipher_name {
	const char *name;
	enum kind kind;
	uint8_t key_bytes;
};

static const struct cipher_name ciphers[] = {
	{"chacha20-poly1305@openssh.com", KIND_CHACHA, 64},
	{"aes128-gcm@openssh.com", KIND_GCM, 16},
	{"aes256-gcm@openssh.com", KIND_GCM, 32},
	{"aes128-ctr", KIND_CTR, 16},
	{"aes192-ctr", KIND_CTR, 24},
	{"aes256-ctr", KIND_CTR, 32},
};

struct mac_name {
	const char *name;
	const char *digest; /* NULL: umac */
	uint8_t key_bytes, tag_bytes;
	bool etm;
};

static const struct mac_name macs[] = {
	{"umac-64-etm@openssh.com", NULL, 16, 8, true},
	{"umac-128-etm@openssh.com", NULL, 16, 16, true},
	{"hmac-sha2-256-etm@openssh.com", "SHA256", 32, 32, true},
	{"hmac-sha2-512-etm@openssh.com", "SHA512", 64, 64, true},
	{"hmac-sha1-etm@openssh.com", "SHA1", 20, 20, true},
	{"umac-64@openssh.com", NULL, 16, 8, false},
	{"umac-128@openssh.com", NULL, 16, 16, false},
	{"hmac-sha2-256", "SHA256", 32, 32, false},
	{"hmac-sha2-512", "SHA512", 64, 64, false},
	{"hmac-sha1", "SHA1", 20, 20, false},
};

struct ssh_cipher {
	enum kind kind;
	bool etm; /* of CTR: the length is in clear, the MAC over what is on the wire */
	size_t tag_bytes;
	uint8_t iv[BLOCK_BYTES];
	EVP_CIPHER_CTX *body; /* GCM: the whole; chacha20: K_2; CTR */
	EVP_CIPHER_CTX *part; /* GCM: its stream alone; chacha20: K_1, for the length */
	EVP_MAC_CTX *mac;     /* HMAC, Poly1305 */
	union {
		struct umac64_ctx u64;
		struct umac128_ctx u128;
	} umac;
	bool sealed;
	uint64_t next; /* of the packet behind the one sealed last */
};

static const EVP_MD *digest_of(enum ssh_hash hash)
{
	switch (hash) {
	case SSH_SHA1:
		return EVP_sha1();
	case SSH_SHA256:
		return EVP_sha256();
	case SSH_SHA384:
		return EVP_sha384();
	case SSH_SHA512:
		return EVP_sha512();
	}
	return NULL;
}

/* RFC 4253, section 7.2. @out has room for @n and a digest more. */
static int derive(const struct ssh_keys *keys, char letter, uint8_t *out, size_t n)
{
	const EVP_MD *md = digest_of(keys->hash);
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	size_t have = 0;
	bool ok = md && c;

	while (ok && have < n) {
		unsigned got = 0;

		ok = EVP_DigestInit_ex(c, md, NULL) && EVP_DigestUpdate(c, keys->k.p, keys->k.n) &&
		     EVP_DigestUpdate(c, keys->h.p, keys->h.n);
		if (have == 0)
			ok = ok && EVP_DigestUpdate(c, &letter, 1) &&
			     EVP_DigestUpdate(c, keys->session_id.p, keys->session_id.n);
		else
			ok = ok && EVP_DigestUpdate(c, out, have);
		ok = ok && EVP_DigestFinal_ex(c, out + have, &got);
		have += got;
	}
	EVP_MD_CTX_free(c);
	return ok ? 0 : -ENOMEM;
}

static EVP_CIPHER_CTX *keyed(const EVP_CIPHER *cipher, const uint8_t *key)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	if (c && EVP_EncryptInit_ex(c, cipher, NULL, key, NULL))
		return c;
	EVP_CIPHER_CTX_free(c);
	return NULL;
}

static EVP_MAC_CTX *mac_new(const char *algorithm)
{
	EVP_MAC *m = EVP_MAC_fetch(NULL, algorithm, NULL);
	EVP_MAC_CTX *c = m ? EVP_MAC_CTX_new(m) : NULL;

	EVP_MAC_free(m);
	return c;
}

static int take_mac(struct ssh_cipher *c, const struct mac_name *m, const uint8_t *key)
{
	c->etm = m->etm;
	c->tag_bytes = m->tag_bytes;
	if (!m->digest) {
		if (m->tag_bytes == 8)
			umac64_set_key(&c->umac.u64, key);
		else
			umac128_set_key(&c->umac.u128, key);
		return 0;
	}
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, (char *)m->digest, 0),
		OSSL_PARAM_END};

	c->mac = mac_new("HMAC");
	return c->mac && EVP_MAC_init(c->mac, key, m->key_bytes, params) ? 0 : -ENOMEM;
}

static int take_key(struct ssh_cipher *c, const struct cipher_name *n, const uint8_t *key)
{
	static const EVP_CIPHER *(*const gcm[])(void) = {EVP_aes_128_gcm, EVP_aes_192_gcm,
							 EVP_aes_256_gcm};
	static const EVP_CIPHER *(*const ctr[])(void) = {EVP_aes_128_ctr, EVP_aes_192_ctr,
							 EVP_aes_256_ctr};
	size_t size = (n->key_bytes - 16u) / 8;

	c->kind = n->kind;
	c->tag_bytes = 16;
	if (n->kind == KIND_CHACHA) {
		c->body = keyed(EVP_chacha20(), key);
		c->part = keyed(EVP_chacha20(), key + 32);
		c->mac = mac_new("POLY1305");
		return c->body && c->part && c->mac ? 0 : -ENOMEM;
	}
	c->body = keyed(n->kind == KIND_GCM ? gcm[size]() : ctr[size](), key);
	if (n->kind == KIND_GCM)
		c->part = keyed(ctr[size](), key);
	return c->body && (c->part || n->kind == KIND_CTR) ? 0 : -ENOMEM;
}

static int take_keys(struct ssh_cipher *c, const struct ssh_keys *keys, bool to_server,
		     const struct cipher_name *n, const struct mac_name *m)
{
	uint8_t secret[SECRET_BYTES + SSH_HASH_MAX_BYTES], iv[BLOCK_BYTES + SSH_HASH_MAX_BYTES];
	int r = derive(keys, to_server ? 'A' : 'B', iv, sizeof c->iv);

	memcpy(c->iv, iv, sizeof c->iv);
	if (r == 0)
		r = derive(keys, to_server ? 'C' : 'D', secret, n->key_bytes);
	if (r == 0)
		r = take_key(c, n, secret);
	if (r == 0 && m)
		r = derive(keys, to_server ? 'E' : 'F', secret, m->key_bytes);
	if (r == 0 && m)
		r = take_mac(c, m, secret);
	OPENSSL_cleanse(secret, sizeof secret);
	OPENSSL_cleanse(iv, sizeof iv);
	return r;
}

static const struct cipher_name *find_cipher(const char *name)
{
	for (size_t i = 0; i < sizeof ciphers / sizeof *ciphers; i++)
		if (strcmp(ciphers[i].name, name) == 0)
			return &ciphers[i];
	return NULL;
}

static const struct mac_name *find_mac(const char *name)
{
	for (size_t i = 0; name && i < sizeof macs / sizeof *macs; i++)
		if (strcmp(macs[i].name, name) == 0)
			return &macs[i];
	return NULL;
}

int ssh_cipher_new(const struct ssh_keys *keys, bool to_server, const char *cipher, const char *mac,
		   struct ssh_cipher **ret)
{
	const struct cipher_name *n = find_cipher(cipher);
	const struct mac_name *m = n && n->kind == KIND_CTR ? find_mac(mac) : NULL;

	if (!n || (n->kind == KIND_CTR && !m))
		return SSH_CIPHER_UNKNOWN;
	struct ssh_cipher *c = calloc(1, sizeof *c);
	int r = c ? take_keys(c, keys, to_server, n, m) : -ENOMEM;

	if (r < 0)
		ssh_cipher_free(c);
	else
		*ret = c;
	return r;
}

void ssh_cipher_free(struct ssh_cipher *c)
{
	if (!c)
		return;
	EVP_CIPHER_CTX_free(c->body);
	EVP_CIPHER_CTX_free(c->part);
	EVP_MAC_CTX_free(c->mac);
	OPENSSL_cleanse(c, sizeof *c);
	free(c);
}

size_t ssh_cipher_tag_bytes(const struct ssh_cipher *c)
{
	return c->tag_bytes;
}

/* ---- the streams ---------------------------------------------------------------------------- */

static void put_u64be(uint8_t *p, uint64_t v)
{
	for (int i = 7; i >= 0; i--, v >>= 8)
		p[i] = (uint8_t)v;
}

/* Adds @n to the number of @size bytes at @p. */
static void add_be(uint8_t *p, size_t size, uint64_t n)
{
	for (unsigned carry = 0; size-- > 0; n >>= 8) {
		unsigned sum = p[size] + (unsigned)(n & 0xff) + carry;

		p[size] = (uint8_t)sum;
		carry = sum >> 8;
	}
}

static bool flow(EVP_CIPHER_CTX *c, const uint8_t *in, size_t n, uint8_t *out)
{
	int got = 0;

	return n == 0 || (EVP_EncryptUpdate(c, out, &got, in, (int)n) && got == (int)n);
}

/* From byte @off of the stream on that begins at @iv. @block: bytes that its counter counts. */
static bool stream(EVP_CIPHER_CTX *c, const uint8_t iv[BLOCK_BYTES], size_t block, uint64_t off,
		   struct bytes in, uint8_t *out)
{
	uint8_t at[BLOCK_BYTES], skipped[64] = {0};

	memcpy(at, iv, sizeof at);
	if (block == 64) /* chacha20: little-endian, in front */
		for (uint64_t i = 0, n = off / block + at[0]; i < 8; i++, n >>= 8)
			at[i] = (uint8_t)n;
	else
		add_be(at, sizeof at, off / block);
	return EVP_EncryptInit_ex(c, NULL, NULL, NULL, at) &&
	       flow(c, skipped, off % block, skipped) && flow(c, in.p, in.n, out);
}

static void chacha_iv(uint64_t seq, uint8_t counter, uint8_t iv[BLOCK_BYTES])
{
	memset(iv, 0, BLOCK_BYTES);
	iv[0] = counter;
	put_u64be(iv + 8, seq);
}

static void gcm_nonce(const struct ssh_cipher *c, uint64_t n, uint8_t iv[NONCE_BYTES])
{
	memcpy(iv, c->iv, NONCE_BYTES);
	add_be(iv + 4, 8, n);
}

/* What of the packet is a stream, and from where on. */
static bool body_stream(struct ssh_cipher *c, uint64_t nonce, uint64_t off, struct bytes in,
			uint8_t *out)
{
	uint8_t iv[BLOCK_BYTES];

	switch (c->kind) {
	case KIND_CHACHA:
		chacha_iv(nonce, 1, iv);
		return stream(c->body, iv, 64, off, in, out);
	case KIND_GCM:
		gcm_nonce(c, nonce, iv);
		memcpy(iv + NONCE_BYTES, (const uint8_t[]){0, 0, 0, 2}, 4);
		return stream(c->part, iv, BLOCK_BYTES, off, in, out);
	case KIND_CTR:
		memcpy(iv, c->iv, sizeof iv);
		add_be(iv, sizeof iv, nonce);
		return stream(c->body, iv, BLOCK_BYTES, off, in, out);
	}
	return false;
}

/* The length has a stream of its own, none, or that of the rest. */
static bool whole_stream(struct ssh_cipher *c, uint64_t nonce, uint64_t off, struct bytes in,
			 uint8_t *out)
{
	struct bytes head = bytes_head(in, off < LENGTH_BYTES ? LENGTH_BYTES - off : 0);
	uint8_t iv[BLOCK_BYTES];

	if (c->kind == KIND_CTR && !c->etm)
		return body_stream(c, nonce, off, in, out);
	if (head.n > 0 && c->kind == KIND_CHACHA) {
		chacha_iv(nonce, 0, iv);
		if (!stream(c->part, iv, 64, off, head, out))
			return false;
	} else if (head.n > 0) {
		memcpy(out, head.p, head.n);
	}
	return in.n == head.n || body_stream(c, nonce, off + head.n - LENGTH_BYTES,
					     bytes_from(in, head.n), out + head.n);
}

int ssh_cipher_peek(struct ssh_cipher *c, uint64_t nonce, uint64_t off, struct bytes wire,
		    uint8_t *out)
{
	return whole_stream(c, nonce, off, wire, out) ? 0 : -ENOMEM;
}

/* ---- the tags ------------------------------------------------------------------------------- */

static void umac(struct ssh_cipher *c, struct bytes aad, struct bytes b, uint8_t *tag)
{
	uint8_t nonce[8] = {0};

	memcpy(nonce + 4, aad.p, 4);
	if (c->tag_bytes == 8) {
		umac64_set_nonce(&c->umac.u64, sizeof nonce, nonce);
		umac64_update(&c->umac.u64, b.n, b.p);
		umac64_digest(&c->umac.u64, c->tag_bytes, tag);
	} else {
		umac128_set_nonce(&c->umac.u128, sizeof nonce, nonce);
		umac128_update(&c->umac.u128, b.n, b.p);
		umac128_digest(&c->umac.u128, c->tag_bytes, tag);
	}
}

static bool poly1305(struct ssh_cipher *c, uint64_t nonce, struct bytes b, uint8_t *tag)
{
	uint8_t key[32] = {0}, iv[BLOCK_BYTES];
	size_t n = 0;

	chacha_iv(nonce, 0, iv);
	bool ok = stream(c->body, iv, 64, 0, bytes_of(key, sizeof key), key) &&
		  EVP_MAC_init(c->mac, key, sizeof key, NULL) && EVP_MAC_update(c->mac, b.p, b.n) &&
		  EVP_MAC_final(c->mac, tag, &n, c->tag_bytes);
	OPENSSL_cleanse(key, sizeof key);
	return ok;
}

/* Of chacha20 and CTR, over @b: as on the wire, or in clear. */
static bool tag_of(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes b,
		   uint8_t *tag)
{
	size_t n = 0;

	if (c->kind == KIND_CHACHA)
		return poly1305(c, nonce, b, tag);
	if (!c->mac) {
		umac(c, aad, b, tag);
		return true;
	}
	return EVP_MAC_init(c->mac, NULL, 0, NULL) && EVP_MAC_update(c->mac, aad.p, aad.n) &&
	       EVP_MAC_update(c->mac, b.p, b.n) && EVP_MAC_final(c->mac, tag, &n, c->tag_bytes);
}

static int gcm_open(struct ssh_cipher *c, uint64_t nonce, struct bytes wire, uint8_t *out)
{
	uint8_t iv[NONCE_BYTES], tag[16];
	int n = 0, body = (int)(wire.n - LENGTH_BYTES - sizeof tag);

	gcm_nonce(c, nonce, iv);
	memcpy(out, wire.p, LENGTH_BYTES);
	memcpy(tag, wire.p + wire.n - sizeof tag, sizeof tag);
	if (!EVP_DecryptInit_ex(c->body, NULL, NULL, NULL, iv) ||
	    !EVP_DecryptUpdate(c->body, NULL, &n, wire.p, LENGTH_BYTES) ||
	    !EVP_DecryptUpdate(c->body, out + LENGTH_BYTES, &n, wire.p + LENGTH_BYTES, body) ||
	    !EVP_CIPHER_CTX_ctrl(c->body, EVP_CTRL_AEAD_SET_TAG, sizeof tag, tag))
		return -ENOMEM;
	return EVP_DecryptFinal_ex(c->body, out, &n) ? SSH_CIPHER_OK : SSH_CIPHER_FORGED;
}

static int gcm_seal(struct ssh_cipher *c, uint64_t nonce, struct bytes plain, uint8_t *out)
{
	uint8_t iv[NONCE_BYTES];
	int n = 0, body = (int)(plain.n - LENGTH_BYTES);

	gcm_nonce(c, nonce, iv);
	memcpy(out, plain.p, LENGTH_BYTES);
	return EVP_EncryptInit_ex(c->body, NULL, NULL, NULL, iv) &&
			       EVP_EncryptUpdate(c->body, NULL, &n, plain.p, LENGTH_BYTES) &&
			       EVP_EncryptUpdate(c->body, out + LENGTH_BYTES, &n,
						 plain.p + LENGTH_BYTES, body) &&
			       EVP_EncryptFinal_ex(c->body, out, &n) &&
			       EVP_CIPHER_CTX_ctrl(c->body, EVP_CTRL_AEAD_GET_TAG, 16,
						   out + plain.n)
		       ? SSH_CIPHER_OK
		       : -ENOMEM;
}

static int stream_open(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes wire,
		       uint8_t *out)
{
	struct bytes sealed = bytes_head(wire, wire.n - c->tag_bytes);
	bool of_plain = c->kind == KIND_CTR && !c->etm;
	uint8_t tag[SSH_TAG_MAX_BYTES];

	if (of_plain && !whole_stream(c, nonce, 0, sealed, out))
		return -ENOMEM;
	if (!tag_of(c, nonce, aad, of_plain ? bytes_of(out, sealed.n) : sealed, tag))
		return -ENOMEM;
	if (CRYPTO_memcmp(tag, wire.p + sealed.n, c->tag_bytes) != 0)
		return SSH_CIPHER_FORGED;
	return of_plain || whole_stream(c, nonce, 0, sealed, out) ? SSH_CIPHER_OK : -ENOMEM;
}

/* Whether @n bytes can be a packet without its tag, and @aad goes with it. */
static bool lawful(const struct ssh_cipher *c, struct bytes aad, size_t n)
{
	return n > LENGTH_BYTES && n <= INT32_MAX && aad.n == (c->kind == KIND_CTR ? 4 : 0);
}

int ssh_cipher_open(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes wire,
		    uint8_t *out)
{
	if (wire.n < c->tag_bytes || !lawful(c, aad, wire.n - c->tag_bytes))
		return SSH_CIPHER_FORGED;
	int r = c->kind == KIND_GCM ? gcm_open(c, nonce, wire, out)
				    : stream_open(c, nonce, aad, wire, out);

	if (r != SSH_CIPHER_OK)
		OPENSSL_cleanse(out, wire.n - c->tag_bytes);
	return r;
}

int ssh_cipher_seal(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes plain,
		    uint8_t *out)
{
	size_t counted = plain.n - (c->etm ? LENGTH_BYTES : 0);
	int r = SSH_CIPHER_OK;

	if (!lawful(c, aad, plain.n) || (c->kind == KIND_CTR && counted % BLOCK_BYTES != 0))
		return -EINVAL;
	if (c->sealed && nonce != c->next)
		return SSH_CIPHER_USED;
	/* Whatever comes of it, the number is used. */
	c->sealed = true;
	c->next = nonce + (c->kind == KIND_CTR ? counted / BLOCK_BYTES : 1);
	if (c->kind == KIND_GCM)
		return gcm_seal(c, nonce, plain, out);
	if (!whole_stream(c, nonce, 0, plain, out) ||
	    !tag_of(c, nonce, aad, c->kind == KIND_CTR && !c->etm ? plain : bytes_of(out, plain.n),
		    out + plain.n))
		r = -ENOMEM;
	return r;
}
