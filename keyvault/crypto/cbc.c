/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "cbc.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/rand.h>
#include <pthread.h>

#include "jeebs/recovery-crypto.h"

static int crypt(const struct cbc *c, bool seals, const uint8_t *iv, struct bytes in, uint8_t *out)
{
	const EVP_CIPHER *cipher =
		c->suite->cipher == TLS_AES_128_CBC ? EVP_aes_128_cbc() : EVP_aes_256_cbc();
	EVP_CIPHER_CTX *x = EVP_CIPHER_CTX_new();
	int done = 0;
	bool ok = x && EVP_CipherInit_ex2(x, cipher, c->key, iv, seals, NULL) == 1 &&
		  EVP_CIPHER_CTX_set_padding(x, 0) == 1 &&
		  EVP_CipherUpdate(x, out, &done, in.p, (int)in.n) == 1 && (size_t)done == in.n;

	EVP_CIPHER_CTX_free(x);
	return ok ? JEEBS_CRYPTO_OK : JEEBS_CRYPTO_FAILED;
}

static EVP_MAC *hmac;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void look_up(void)
{
	hmac = EVP_MAC_fetch(NULL, "HMAC", NULL);
}

/* OpenSSL does not write to it. */
static char *hash_name(const struct tls_suite *s)
{
	return s->tag == 20 ? "SHA1" : s->tag == 32 ? "SHA256" : "SHA384";
}

/* Over the number, the head, the length and @text. */
static bool mac(const struct cbc *c, struct bytes text, uint8_t ret[static EVP_MAX_MD_SIZE])
{
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_MAC_PARAM_DIGEST, hash_name(c->suite), 0),
		OSSL_PARAM_END,
	};
	uint8_t front[13];
	size_t n;

	pthread_once(&once, look_up);
	for (int i = 0; i < 8; i++)
		front[i] = (uint8_t)(c->number >> (56 - 8 * i));
	memcpy(front + 8, c->head.p, 3);
	front[11] = (uint8_t)(text.n >> 8);
	front[12] = (uint8_t)text.n;
	EVP_MAC_CTX *x = hmac ? EVP_MAC_CTX_new(hmac) : NULL;
	bool ok = x && EVP_MAC_init(x, c->mac_key, c->suite->tag, params) == 1 &&
		  EVP_MAC_update(x, front, sizeof front) == 1 &&
		  (text.n == 0 || EVP_MAC_update(x, text.p, text.n) == 1) &&
		  EVP_MAC_final(x, ret, &n, EVP_MAX_MD_SIZE) == 1;
	EVP_MAC_CTX_free(x);
	return ok;
}

/*
 * How many bytes of padding there are in @text, which has room for that and @behind bytes; 0: it is
 * malformed. All that can be padding is looked at, whatever it says.
 */
static size_t padding(struct bytes text, size_t behind)
{
	size_t pad = (size_t)text.p[text.n - 1] + 1, wrong = pad + behind > text.n;

	for (size_t i = 0; i < 256 && i < text.n; i++)
		wrong |= (i < pad) & (text.p[text.n - 1 - i] != (uint8_t)(pad - 1));
	return wrong ? 0 : pad;
}

static int open_behind(const struct cbc *c, struct bytes in, uint8_t *out, size_t *ret_n)
{
	struct bytes sealed = bytes_head(in, in.n - c->suite->tag);
	uint8_t tag[EVP_MAX_MD_SIZE];

	if (!mac(c, sealed, tag))
		return JEEBS_CRYPTO_FAILED;
	if (CRYPTO_memcmp(tag, in.p + sealed.n, c->suite->tag) != 0)
		return JEEBS_CRYPTO_FORGED;
	struct bytes text = bytes_of(out, sealed.n - CBC_BLOCK);
	if (crypt(c, false, in.p, bytes_from(sealed, CBC_BLOCK), out) != JEEBS_CRYPTO_OK)
		return JEEBS_CRYPTO_FAILED;
	size_t pad = padding(text, 0);
	*ret_n = text.n - pad;
	return pad > 0 ? JEEBS_CRYPTO_OK : JEEBS_CRYPTO_FORGED;
}

/*
 * With the MAC inside, what the padding says must not show, not even in time: if it is malformed it
 * counts as none (RFC 5246 section 6.2.3.2), and about as much is hashed whatever its length.
 */
static int open_inside(const struct cbc *c, struct bytes in, uint8_t *out, size_t *ret_n)
{
	uint8_t tag[EVP_MAX_MD_SIZE], waste[EVP_MAX_MD_SIZE], *is;
	struct bytes text = bytes_of(out, in.n - CBC_BLOCK);

	if (crypt(c, false, in.p, bytes_from(in, CBC_BLOCK), out) != JEEBS_CRYPTO_OK)
		return JEEBS_CRYPTO_FAILED;
	size_t pad = padding(text, c->suite->tag), least = pad > 0 ? pad : 1;
	size_t n = text.n - c->suite->tag - least;
	is = out + n;
	if (!mac(c, bytes_head(text, n), tag) || !mac(c, bytes_head(text, least), waste))
		return JEEBS_CRYPTO_FAILED;
	int same = CRYPTO_memcmp(tag, is, c->suite->tag) == 0;
	*ret_n = n;
	return (same & (pad > 0)) ? JEEBS_CRYPTO_OK : JEEBS_CRYPTO_FORGED;
}

int cbc_open(const struct cbc *c, struct bytes in, uint8_t *out, size_t *ret_n)
{
	size_t behind = c->suite->etm ? c->suite->tag : 0;
	size_t least = CBC_BLOCK + 1 + c->suite->tag;

	if (in.n < least || in.n > JEEBS_CRYPTO_BYTES_MAX || (in.n - behind) % CBC_BLOCK != 0)
		return JEEBS_CRYPTO_FORGED;
	int r = c->suite->etm ? open_behind(c, in, out, ret_n) : open_inside(c, in, out, ret_n);
	if (r != JEEBS_CRYPTO_OK)
		memset(out, 0, in.n);
	return r;
}

/* @text is content that is in its place, of which the payload is made. */
static bool seal_in_place(const struct cbc *c, struct bytes text, size_t pad, uint8_t *out)
{
	size_t inside = c->suite->etm ? 0 : c->suite->tag, n = text.n + inside + pad;
	uint8_t tag[EVP_MAX_MD_SIZE], *at = out + CBC_BLOCK;

	if (inside > 0 && !mac(c, text, tag))
		return false;
	memcpy(at + text.n, tag, inside);
	memset(at + text.n + inside, (int)(pad - 1), pad);
	if (crypt(c, true, out, bytes_of(at, n), at) != JEEBS_CRYPTO_OK)
		return false;
	if (inside > 0)
		return true;
	if (!mac(c, bytes_of(out, CBC_BLOCK + n), tag))
		return false;
	memcpy(at + n, tag, c->suite->tag);
	return true;
}

int cbc_seal(const struct cbc *c, const uint8_t *iv, struct bytes in, size_t pad, uint8_t *out)
{
	size_t n = in.n + (c->suite->etm ? 0 : c->suite->tag) + pad;

	if (pad < 1 || pad > 256 || n % CBC_BLOCK != 0 || in.n > JEEBS_CRYPTO_BYTES_MAX - 512)
		return JEEBS_CRYPTO_FAILED;
	if (iv)
		memcpy(out, iv, CBC_BLOCK);
	else if (RAND_bytes(out, CBC_BLOCK) != 1)
		return JEEBS_CRYPTO_FAILED;
	if (in.n > 0)
		memcpy(out + CBC_BLOCK, in.p, in.n);
	if (seal_in_place(c, bytes_of(out + CBC_BLOCK, in.n), pad, out))
		return JEEBS_CRYPTO_OK;
	memset(out, 0, CBC_BLOCK + n);
	return JEEBS_CRYPTO_FAILED;
}

int cbc_peek(const struct cbc *c, struct bytes in, uint8_t *out)
{
	if (in.n < CBC_BLOCK || in.n % CBC_BLOCK != 0 || in.n > JEEBS_CRYPTO_BYTES_MAX)
		return JEEBS_CRYPTO_FAILED;
	return crypt(c, false, in.p, bytes_from(in, CBC_BLOCK), out);
}
