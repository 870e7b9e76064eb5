/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "root-signer.h"

#include <stdlib.h>

#include <openssl/err.h>

#include "der.h"
#include "merkle.h"

#define CONTENT_MAX_BYTES   256
#define SIGNATURE_MAX_BYTES 160 /* ECDSA on a curve of 521 bits has 141 */
#define ATTRIBUTES_BYTES    75

struct root_signer {
	EVP_PKEY_CTX *sign; /* set up once: to look up how costs as much as to sign */
	EVP_MD_CTX *hash;
	uint8_t *name; /* IssuerAndSerialNumber */
	size_t name_n;
};

static int failed(void)
{
	ERR_clear_error();
	return -EIO;
}

/* RFC 5652 section 10.2.4. */
static int name_of(const X509 *c, uint8_t **ret, size_t *ret_n)
{
	const ASN1_INTEGER *number = X509_get0_serialNumber(c);
	const X509_NAME *issuer = X509_get_issuer_name(c);
	int a = i2d_X509_NAME(issuer, NULL), b = i2d_ASN1_INTEGER(number, NULL);

	if (a <= 0 || b <= 0 || a + b > UINT16_MAX)
		return failed();
	size_t n = (size_t)(a + b);
	uint8_t *room = malloc(der_bytes(n));
	if (!room)
		return -ENOMEM;
	struct writer w = writer_init(room, der_bytes(n));
	der_head(&w, DER_SEQUENCE, n);
	uint8_t *p = writer_need(&w, n);
	if (i2d_X509_NAME(issuer, &p) != a || i2d_ASN1_INTEGER(number, &p) != b) {
		free(room);
		return failed();
	}
	*ret = room;
	*ret_n = writer_pos(&w);
	return 0;
}

int root_signer_new(const struct identity *who, struct root_signer **ret)
{
	if (!EVP_PKEY_is_a(identity_key(who), "EC"))
		return -EINVAL;
	struct root_signer *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->sign = EVP_PKEY_CTX_new(identity_key(who), NULL);
	s->hash = EVP_MD_CTX_new();
	int r = s->sign && s->hash ? name_of(identity_certificate(who), &s->name, &s->name_n)
				   : -ENOMEM;
	if (r == 0 && (EVP_PKEY_sign_init(s->sign) <= 0 ||
		       EVP_PKEY_CTX_set_signature_md(s->sign, EVP_sha256()) <= 0))
		r = failed();
	if (r < 0) {
		root_signer_free(s);
		return r;
	}
	*ret = s;
	return 0;
}

void root_signer_free(struct root_signer *s)
{
	if (!s)
		return;
	EVP_PKEY_CTX_free(s->sign);
	EVP_MD_CTX_free(s->hash);
	free(s->name);
	free(s);
}

static void write_attribute(struct writer *w, const char *type, enum der_tag tag,
			    struct bytes value)
{
	size_t set = der_bytes(value.n);

	der_head(w, DER_SEQUENCE, der_oid_bytes(type) + der_bytes(set));
	der_oid(w, type);
	der_head(w, DER_SET, set);
	der_put(w, tag, value);
}

/* In the order that DER demands of a set: the shorter one first. */
static void write_attributes(struct writer *w, enum der_tag tag, const uint8_t digest[MERKLE_BYTES])
{
	der_head(w, tag, ATTRIBUTES_BYTES);
	write_attribute(w, DER_CONTENT_TYPE, DER_OID, bytes_str(DER_DATA));
	write_attribute(w, DER_MESSAGE_DIGEST, DER_OCTETS, bytes_of(digest, MERKLE_BYTES));
}

/* The attributes are signed as a set; what tags them in the object is not (RFC 5652 section 5.4).
 */
static int sign_attributes(struct root_signer *s, const uint8_t digest[MERKLE_BYTES],
			   uint8_t signature[SIGNATURE_MAX_BYTES], size_t *ret_n)
{
	uint8_t room[ATTRIBUTES_BYTES + 2], hashed[MERKLE_BYTES];
	struct writer w = WRITER_IN(room);
	size_t n = SIGNATURE_MAX_BYTES;

	write_attributes(&w, DER_SET, digest);
	if (!writer_ok(&w) || writer_pos(&w) != sizeof room)
		return -EIO;
	int r = merkle_hash(s->hash, writer_view(&w), BYTES_NONE, hashed);
	if (r < 0)
		return r;
	if (EVP_PKEY_sign(s->sign, signature, &n, hashed, sizeof hashed) <= 0)
		return failed();
	*ret_n = n;
	return 0;
}

static void write_signer(struct writer *w, const struct root_signer *s,
			 const uint8_t digest[MERKLE_BYTES], struct bytes signature)
{
	der_integer(w, 1);
	writer_copy(w, s->name, s->name_n);
	der_algorithm(w, DER_SHA256);
	write_attributes(w, DER_0, digest);
	der_algorithm(w, DER_ECDSA_WITH_SHA256);
	der_put(w, DER_OCTETS, signature);
}

static void write_signed(struct writer *w, const struct root_signer *s, struct bytes content,
			 const uint8_t digest[MERKLE_BYTES], struct bytes signature)
{
	struct writer measured = writer_init(NULL, 0);

	write_signer(&measured, s, digest, signature);
	size_t signer = writer_pos(&measured), digests = der_algorithm_bytes(DER_SHA256);
	size_t octets = der_bytes(content.n);
	size_t inner = der_oid_bytes(DER_DATA) + der_bytes(octets);
	size_t data = DER_INTEGER_BYTES + der_bytes(digests) + der_bytes(inner) +
		      der_bytes(der_bytes(signer));
	der_head(w, DER_SEQUENCE, der_oid_bytes(DER_SIGNED_DATA) + der_bytes(der_bytes(data)));
	der_oid(w, DER_SIGNED_DATA);
	der_head(w, DER_0, der_bytes(data));
	der_head(w, DER_SEQUENCE, data);
	der_integer(w, 1);
	der_head(w, DER_SET, digests);
	der_algorithm(w, DER_SHA256);
	der_head(w, DER_SEQUENCE, inner);
	der_oid(w, DER_DATA);
	der_head(w, DER_0, octets);
	der_put(w, DER_OCTETS, content);
	der_head(w, DER_SET, der_bytes(signer));
	der_head(w, DER_SEQUENCE, signer);
	write_signer(w, s, digest, signature);
}

int root_signer_sign(struct root_signer *s, struct bytes content, struct secret *ret)
{
	uint8_t digest[MERKLE_BYTES], signature[SIGNATURE_MAX_BYTES];
	_cleanup_secret_ struct secret der = {0};
	size_t n = 0;

	if (content.n > CONTENT_MAX_BYTES)
		return -EINVAL;
	int r = merkle_hash(s->hash, content, BYTES_NONE, digest);
	if (r == 0)
		r = sign_attributes(s, digest, signature, &n);
	/* Names of a kilobyte and more are none that our CA gives. */
	if (r == 0)
		r = secret_new(1024 + s->name_n, &der);
	if (r < 0)
		return r;
	struct writer w = writer_init(der.p, der.room);
	write_signed(&w, s, content, digest, bytes_of(signature, n));
	if (!writer_ok(&w))
		return -EIO;
	der.n = writer_pos(&w);
	*ret = der;
	der = (struct secret){0};
	return 0;
}
