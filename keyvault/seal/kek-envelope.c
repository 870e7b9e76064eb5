/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "kek-envelope.h"

#include <errno.h>
#include <pthread.h>

#include <openssl/err.h>
#include <openssl/rand.h>

#include "der.h"
#include "sealed-form.h"

#define CEK_BYTES 32

/* Fetched once: to look one up costs more than to seal a record. */
static EVP_CIPHER *aes256_gcm, *aes256_wrap;
static pthread_once_t ciphers_once = PTHREAD_ONCE_INIT;

static void fetch_ciphers(void)
{
	aes256_gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	aes256_wrap = EVP_CIPHER_fetch(NULL, "AES-256-WRAP", NULL);
}

static int failed(void)
{
	ERR_clear_error();
	return -EIO;
}

int kek_envelope_open(struct kek_envelope *e, const uint8_t kek[SEAL_KEK_BYTES],
		      const uint8_t id[EPOCH_ID_BYTES])
{
	pthread_once(&ciphers_once, fetch_ciphers);
	*e = (struct kek_envelope){EVP_CIPHER_CTX_new(), EVP_CIPHER_CTX_new(), {0}};
	memcpy(e->id, id, sizeof e->id);
	if (!e->wrap || !e->gcm)
		return -ENOMEM;
	EVP_CIPHER_CTX_set_flags(e->wrap, EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
	if (!aes256_gcm || !aes256_wrap ||
	    EVP_EncryptInit_ex2(e->wrap, aes256_wrap, kek, NULL, NULL) != 1 ||
	    EVP_EncryptInit_ex2(e->gcm, aes256_gcm, NULL, NULL, NULL) != 1)
		return failed();
	return 0;
}

void kek_envelope_close(struct kek_envelope *e)
{
	EVP_CIPHER_CTX_free(e->wrap);
	EVP_CIPHER_CTX_free(e->gcm);
	*e = (struct kek_envelope){0};
}

/* How many bytes are in each part that has others in it. */
struct lengths {
	size_t algorithm, content, enveloped, info;
};

#define IDENTIFIER_BYTES (2 + EPOCH_ID_BYTES)
#define PARAMETERS_BYTES (2 + SEALED_NONCE_BYTES + DER_INTEGER_BYTES)

static size_t recipient_bytes(void)
{
	return DER_INTEGER_BYTES + der_bytes(IDENTIFIER_BYTES) +
	       der_algorithm_bytes(DER_AES256_WRAP) + der_bytes(SEALED_WRAPPED_KEY_BYTES);
}

static struct lengths lengths_of(size_t ciphertext)
{
	struct lengths n;

	n.algorithm = der_oid_bytes(DER_AES256_GCM) + der_bytes(PARAMETERS_BYTES);
	n.content = der_oid_bytes(DER_DATA) + der_bytes(n.algorithm) + der_bytes(ciphertext);
	n.enveloped = DER_INTEGER_BYTES + der_bytes(der_bytes(recipient_bytes())) +
		      der_bytes(n.content) + der_bytes(SEALED_TAG_BYTES);
	n.info = der_oid_bytes(DER_AUTH_ENVELOPED_DATA) + der_bytes(der_bytes(n.enveloped));
	return n;
}

/* Where what is made later goes. */
struct places {
	uint8_t *wrapped, *nonce, *ciphertext, *tag;
};

static uint8_t *later(struct writer *w, enum der_tag tag, size_t n)
{
	der_head(w, tag, n);
	return writer_need(w, n);
}

static struct places write_form(struct writer *w, const struct kek_envelope *e,
				const struct lengths *n, size_t ciphertext)
{
	struct places at;

	der_head(w, DER_SEQUENCE, n->info);
	der_oid(w, DER_AUTH_ENVELOPED_DATA);
	der_head(w, DER_0, der_bytes(n->enveloped));
	der_head(w, DER_SEQUENCE, n->enveloped);
	der_integer(w, 0);
	der_head(w, DER_SET, der_bytes(recipient_bytes()));
	der_head(w, DER_2, recipient_bytes());
	der_integer(w, 4);
	der_head(w, DER_SEQUENCE, IDENTIFIER_BYTES);
	der_put(w, DER_OCTETS, bytes_of(e->id, sizeof e->id));
	der_algorithm(w, DER_AES256_WRAP);
	at.wrapped = later(w, DER_OCTETS, SEALED_WRAPPED_KEY_BYTES);
	der_head(w, DER_SEQUENCE, n->content);
	der_oid(w, DER_DATA);
	der_head(w, DER_SEQUENCE, n->algorithm);
	der_oid(w, DER_AES256_GCM);
	der_head(w, DER_SEQUENCE, PARAMETERS_BYTES);
	at.nonce = later(w, DER_OCTETS, SEALED_NONCE_BYTES);
	der_integer(w, SEALED_TAG_BYTES);
	at.ciphertext = later(w, DER_0_PRIMITIVE, ciphertext);
	at.tag = later(w, DER_OCTETS, SEALED_TAG_BYTES);
	return at;
}

static bool encrypt(struct kek_envelope *e, const struct places *at, struct bytes content)
{
	uint8_t random[CEK_BYTES + SEALED_NONCE_BYTES], rest[16];
	int n = 0, more = 0;

	/* No authenticated attributes: no further authenticated data (RFC 5083 section 2.2). */
	bool done =
		RAND_priv_bytes(random, sizeof random) == 1 &&
		memcpy(at->nonce, random + CEK_BYTES, SEALED_NONCE_BYTES) &&
		EVP_EncryptUpdate(e->wrap, at->wrapped, &n, random, CEK_BYTES) == 1 &&
		n == SEALED_WRAPPED_KEY_BYTES &&
		EVP_EncryptInit_ex2(e->gcm, NULL, random, at->nonce, NULL) == 1 &&
		EVP_EncryptUpdate(e->gcm, at->ciphertext, &n, content.p, (int)content.n) == 1 &&
		(size_t)n == content.n && EVP_EncryptFinal_ex(e->gcm, rest, &more) == 1 &&
		more == 0 &&
		EVP_CIPHER_CTX_ctrl(e->gcm, EVP_CTRL_AEAD_GET_TAG, SEALED_TAG_BYTES, at->tag) == 1;
	OPENSSL_cleanse(random, sizeof random);
	return done;
}

int kek_envelope_seal(struct kek_envelope *e, struct bytes content, struct sealed *ret)
{
	if (content.n == 0 || content.n > SEAL_RECORD_MAX_BYTES)
		return -EINVAL;
	struct lengths n = lengths_of(content.n);
	if (der_bytes(n.info) > SEAL_RECORD_MAX_BYTES)
		return -EINVAL;
	struct sealed blob = {OPENSSL_malloc(der_bytes(n.info)), der_bytes(n.info)};
	if (!blob.p)
		return -ENOMEM;
	struct writer w = writer_init(blob.p, blob.n);
	struct places at = write_form(&w, e, &n, content.n);
	if (writer_pos(&w) != blob.n || !encrypt(e, &at, content)) {
		sealed_free(&blob);
		return failed();
	}
	*ret = blob;
	return 0;
}
