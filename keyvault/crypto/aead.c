/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "aead.h"

#include <openssl/evp.h>
#include <pthread.h>

#include "jeebs/recovery-crypto.h"

static const struct {
	const char *name;   /* authenticated */
	const char *stream; /* the same key stream alone */
} names[TLS_AEADS] = {
	[TLS_AES_128_GCM] = {"AES-128-GCM", "AES-128-CTR"},
	[TLS_AES_256_GCM] = {"AES-256-GCM", "AES-256-CTR"},
	[TLS_AES_128_CCM] = {"AES-128-CCM", "AES-128-CTR"},
	[TLS_AES_256_CCM] = {"AES-256-CCM", "AES-256-CTR"},
	[TLS_CHACHA20_POLY1305] = {"ChaCha20-Poly1305", "ChaCha20"},
};

/* Looked up once: OpenSSL's own search at each use costs more than a short record. */
static EVP_CIPHER *ciphers[TLS_AEADS], *streams[TLS_AEADS];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
	for (int i = 0; i < TLS_AEADS; i++) {
		ciphers[i] = EVP_CIPHER_fetch(NULL, names[i].name, NULL);
		streams[i] = EVP_CIPHER_fetch(NULL, names[i].stream, NULL);
	}
}

static bool is_ccm(const struct tls_suite *s)
{
	return s->cipher == TLS_AES_128_CCM || s->cipher == TLS_AES_256_CCM;
}

/* CCM is told of all lengths before anything else, and its nonces have another length by default.
 */
static bool begin_ccm(EVP_CIPHER_CTX *c, const struct aead *a, const uint8_t *tag, size_t n)
{
	int seals = tag == NULL, done;

	return EVP_CipherInit_ex2(c, ciphers[a->suite->cipher], NULL, NULL, seals, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_IVLEN, TLS_NONCE_BYTES, NULL) == 1 &&
	       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, a->suite->tag, (void *)tag) == 1 &&
	       EVP_CipherInit_ex2(c, NULL, a->key, a->nonce, seals, NULL) == 1 &&
	       EVP_CipherUpdate(c, NULL, &done, NULL, (int)n) == 1;
}

/* All at once: each call into OpenSSL costs as much as some hundred bytes. */
static bool begin_other(EVP_CIPHER_CTX *c, const struct aead *a, const uint8_t *tag)
{
	int seals = tag == NULL;

	return EVP_CipherInit_ex2(c, ciphers[a->suite->cipher], a->key, a->nonce, seals, NULL) ==
		       1 &&
	       (seals ||
		EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_SET_TAG, a->suite->tag, (void *)tag) == 1);
}

/* @tag: what opens must bear; NULL: to seal. */
static bool begin(EVP_CIPHER_CTX *c, const struct aead *a, const uint8_t *tag, struct bytes aad,
		  size_t n)
{
	bool begun = is_ccm(a->suite) ? begin_ccm(c, a, tag, n) : begin_other(c, a, tag);
	int done;

	return begun && (aad.n == 0 || EVP_CipherUpdate(c, NULL, &done, aad.p, (int)aad.n) == 1);
}

/* A pointer also for no bytes: NULL would mean something else to OpenSSL. */
static const uint8_t *input(struct bytes b)
{
	static const uint8_t nothing;

	return b.n > 0 ? b.p : &nothing;
}

/* Opens the first @text bytes of all pieces. */
static bool open_text(EVP_CIPHER_CTX *c, const struct bytes *in, size_t text, uint8_t *out)
{
	size_t at = 0;
	int done;

	do {
		struct bytes part = bytes_head(*in++, text - at);
		if (EVP_CipherUpdate(c, out + at, &done, input(part), (int)part.n) != 1)
			return false;
		at += part.n;
	} while (at < text);
	return true;
}

/* CCM takes a text in one piece, and that may be where the plaintext goes. */
static void gather(const struct bytes *in, size_t n, uint8_t *out)
{
	for (size_t at = 0; at < n; in++) {
		struct bytes part = bytes_head(*in, n - at);
		memcpy(out + at, part.p, part.n);
		at += part.n;
	}
}

/* The last bytes of all, back to front. */
static void find_tag(const struct bytes *in, size_t n, size_t tag, uint8_t *ret)
{
	while (tag > 0) {
		struct bytes b = in[--n];
		size_t part = b.n < tag ? b.n : tag;
		tag -= part;
		if (part > 0)
			memcpy(ret + tag, b.p + b.n - part, part);
	}
}

static int open_with(EVP_CIPHER_CTX *c, const struct aead *a, struct bytes aad,
		     const struct bytes *in, size_t n, size_t text, uint8_t *out)
{
	uint8_t tag[JEEBS_CRYPTO_TAG_MAX], rest[16];
	struct bytes whole = bytes_of(out, text);
	int more = 0;

	find_tag(in, n, a->suite->tag, tag);
	if (!begin(c, a, tag, aad, text))
		return JEEBS_CRYPTO_FAILED;
	if (is_ccm(a->suite) && n > 1) {
		gather(in, text, out);
		in = &whole;
	}
	/* CCM proves in the update, the others at the end. */
	if (open_text(c, in, text, out) &&
	    (is_ccm(a->suite) || EVP_CipherFinal_ex(c, rest, &more) == 1))
		return JEEBS_CRYPTO_OK;
	if (text > 0)
		memset(out, 0, text);
	return JEEBS_CRYPTO_FORGED;
}

int aead_open_pieces(const struct aead *a, struct bytes aad, const struct bytes *in, size_t n,
		     uint8_t *out)
{
	size_t all = 0;

	for (size_t i = 0; i < n; i++) {
		if (in[i].n > JEEBS_CRYPTO_BYTES_MAX - all)
			return JEEBS_CRYPTO_FAILED;
		all += in[i].n;
	}
	if (all < a->suite->tag)
		return JEEBS_CRYPTO_FORGED;
	if (aad.n > JEEBS_CRYPTO_BYTES_MAX)
		return JEEBS_CRYPTO_FAILED;
	pthread_once(&once, look_up);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int r = c ? open_with(c, a, aad, in, n, all - a->suite->tag, out) : JEEBS_CRYPTO_FAILED;
	EVP_CIPHER_CTX_free(c);
	return r;
}

int aead_open(const struct aead *a, struct bytes aad, struct bytes in, uint8_t *out)
{
	return aead_open_pieces(a, aad, &in, 1, out);
}

static int seal_with(EVP_CIPHER_CTX *c, const struct aead *a, struct bytes aad, struct bytes in,
		     uint8_t *out)
{
	int done = 0, more = 0;

	if (!begin(c, a, NULL, aad, in.n) ||
	    EVP_CipherUpdate(c, out, &done, input(in), (int)in.n) != 1 ||
	    EVP_CipherFinal_ex(c, out + done, &more) != 1 ||
	    EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, a->suite->tag, out + in.n) != 1)
		return JEEBS_CRYPTO_FAILED;
	return JEEBS_CRYPTO_OK;
}

int aead_seal(const struct aead *a, struct bytes aad, struct bytes in, uint8_t *out)
{
	if (in.n > JEEBS_CRYPTO_BYTES_MAX - JEEBS_CRYPTO_TAG_MAX || aad.n > JEEBS_CRYPTO_BYTES_MAX)
		return JEEBS_CRYPTO_FAILED;
	pthread_once(&once, look_up);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int r = c ? seal_with(c, a, aad, in, out) : JEEBS_CRYPTO_FAILED;
	EVP_CIPHER_CTX_free(c);
	return r;
}

static void put_number(uint8_t *p, size_t bytes, uint64_t v)
{
	for (size_t i = 0; i < bytes; i++)
		p[i] = (uint8_t)(v >> (8 * (bytes - 1 - i)));
}

/*
 * The first block of the key stream that hides plaintext, and how far @off is in it. The blocks
 * before it make the tag (NIST SP 800-38D section 7.1, RFC 3610 section 2.3, RFC 8439 section 2.8).
 */
static size_t stream_begin(const struct aead *a, uint64_t off, uint8_t iv[static 16])
{
	if (a->suite->cipher == TLS_CHACHA20_POLY1305) {
		uint64_t block = 1 + off / 64;
		for (int i = 0; i < 4; i++)
			iv[i] = (uint8_t)(block >> (8 * i));
		memcpy(iv + 4, a->nonce, TLS_NONCE_BYTES);
		return off % 64;
	}
	if (is_ccm(a->suite)) {
		iv[0] = 15 - TLS_NONCE_BYTES - 1; /* a length has three bytes */
		memcpy(iv + 1, a->nonce, TLS_NONCE_BYTES);
		put_number(iv + 13, 3, 1 + off / 16);
	} else {
		memcpy(iv, a->nonce, TLS_NONCE_BYTES);
		put_number(iv + 12, 4, 2 + off / 16);
	}
	return off % 16;
}

int aead_peek(const struct aead *a, uint64_t off, struct bytes in, uint8_t *out)
{
	uint8_t iv[16], skipped[64] = {0};
	int done, r = JEEBS_CRYPTO_FAILED;

	if (in.n > JEEBS_CRYPTO_BYTES_MAX || off > JEEBS_CRYPTO_BYTES_MAX)
		return JEEBS_CRYPTO_FAILED;
	pthread_once(&once, look_up);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	size_t skip = stream_begin(a, off, iv);
	if (c && EVP_CipherInit_ex2(c, streams[a->suite->cipher], a->key, iv, 1, NULL) == 1 &&
	    (skip == 0 || EVP_CipherUpdate(c, skipped, &done, skipped, (int)skip) == 1) &&
	    (in.n == 0 || EVP_CipherUpdate(c, out, &done, in.p, (int)in.n) == 1))
		r = JEEBS_CRYPTO_OK;
	EVP_CIPHER_CTX_free(c);
	explicit_bzero(skipped, sizeof skipped);
	return r;
}
