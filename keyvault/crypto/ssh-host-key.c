/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-host-key.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include "base/reader.h"
#include "base/writer.h"

#define FILE_MAX      16384
#define PUBLIC_MAX    2100
#define SIGNATURE_MAX 2100

static const char begin_line[] = "-----BEGIN OPENSSH PRIVATE KEY-----";
static const char end_line[] = "-----END OPENSSH PRIVATE KEY-----";

struct kind {
	const char *name;
	const char *curve;  /* of ECDSA: OpenSSL's name */
	const char *digest; /* of ECDSA */
};

static const struct kind kinds[] = {
	{"ssh-ed25519", NULL, NULL},
	{"ecdsa-sha2-nistp256", "P-256", "SHA256"},
	{"ecdsa-sha2-nistp384", "P-384", "SHA384"},
	{"ecdsa-sha2-nistp521", "P-521", "SHA512"},
	{"ssh-rsa", NULL, NULL},
};
#define KIND_ED25519 (&kinds[0])
#define KIND_RSA     (&kinds[4])

struct ssh_host_key {
	const struct kind *kind;
	EVP_PKEY *key;
	size_t public_n;
	uint8_t public[PUBLIC_MAX];
};

static struct bytes string(struct reader *r)
{
	uint32_t n = reader_u32be(r);

	return reader_bytes(r, n);
}

static void put_string(struct writer *w, struct bytes b)
{
	writer_u32be(w, (uint32_t)b.n);
	writer_bytes(w, b);
}

/* ---- the file ------------------------------------------------------------------------------- */

/* What is between the two lines, without white space, decoded. */
static bool decode(struct bytes file, uint8_t *out, size_t cap, size_t *ret_n)
{
	const uint8_t *begin = memmem(file.p, file.n, begin_line, sizeof begin_line - 1);

	if (!begin)
		return false;
	struct bytes rest = bytes_from(file, (size_t)(begin - file.p) + sizeof begin_line - 1);
	const uint8_t *end = memmem(rest.p, rest.n, end_line, sizeof end_line - 1);
	EVP_ENCODE_CTX *c = EVP_ENCODE_CTX_new();
	int n = 0, last = 0;
	bool ok = end && c && rest.n <= cap;

	if (ok) {
		EVP_DecodeInit(c);
		ok = EVP_DecodeUpdate(c, out, &n, rest.p, (int)(end - rest.p)) >= 0 &&
		     EVP_DecodeFinal(c, out + n, &last) == 1;
	}
	EVP_ENCODE_CTX_free(c);
	*ret_n = (size_t)(n + last);
	return ok;
}

static EVP_PKEY *from_params(const char *type, OSSL_PARAM_BLD *b)
{
	OSSL_PARAM *params = OSSL_PARAM_BLD_to_param(b);
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, type, NULL);
	EVP_PKEY *k = NULL;

	if (!params || !c || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &k, EVP_PKEY_KEYPAIR, params) != 1)
		k = NULL;
	EVP_PKEY_CTX_free(c);
	OSSL_PARAM_free(params);
	return k;
}

static BIGNUM *number(struct bytes b)
{
	BIGNUM *v = BN_secure_new();

	if (v && b.n <= INT32_MAX)
		BN_bin2bn(b.p, (int)b.n, v);
	return v;
}

static EVP_PKEY *read_ecdsa(const struct kind *kind, struct reader *r)
{
	(void)string(r); /* the curve's name, which is in the type */
	struct bytes q = string(r), d = string(r);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *v = number(d);
	EVP_PKEY *k = NULL;

	if (reader_ok(r) && b && v &&
	    OSSL_PARAM_BLD_push_utf8_string(b, OSSL_PKEY_PARAM_GROUP_NAME, kind->curve, 0) == 1 &&
	    OSSL_PARAM_BLD_push_octet_string(b, OSSL_PKEY_PARAM_PUB_KEY, q.p, q.n) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_PRIV_KEY, v) == 1)
		k = from_params("EC", b);
	OSSL_PARAM_BLD_free(b);
	BN_clear_free(v);
	return k;
}

static EVP_PKEY *read_rsa(struct reader *r)
{
	struct bytes n = string(r), e = string(r), d = string(r);
	OSSL_PARAM_BLD *b = OSSL_PARAM_BLD_new();
	BIGNUM *v[] = {number(n), number(e), number(d)};
	EVP_PKEY *k = NULL;

	for (int i = 0; i < 3; i++)
		(void)string(r); /* iqmp, p, q: only faster with them */
	if (reader_ok(r) && b && v[0] && v[1] && v[2] &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_N, v[0]) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_E, v[1]) == 1 &&
	    OSSL_PARAM_BLD_push_BN(b, OSSL_PKEY_PARAM_RSA_D, v[2]) == 1)
		k = from_params("RSA", b);
	OSSL_PARAM_BLD_free(b);
	for (int i = 0; i < 3; i++)
		BN_clear_free(v[i]);
	return k;
}

static EVP_PKEY *read_ed25519(struct reader *r)
{
	(void)string(r); /* the public half, which is in the private one too */
	struct bytes both = string(r);

	if (!reader_ok(r) || both.n != 64)
		return NULL;
	return EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, NULL, both.p, 32);
}

static int read_private(struct ssh_host_key *k, struct bytes b)
{
	struct reader r = reader_init(b);
	uint32_t check = reader_u32be(&r);

	if (reader_u32be(&r) != check)
		return SSH_HOST_KEY_MALFORMED;
	struct bytes type = string(&r);

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (bytes_eq(type, bytes_str(kinds[i].name)))
			k->kind = &kinds[i];
	if (!k->kind)
		return reader_ok(&r) ? SSH_HOST_KEY_ALGORITHM : SSH_HOST_KEY_MALFORMED;
	k->key = k->kind == KIND_ED25519 ? read_ed25519(&r)
		 : k->kind == KIND_RSA   ? read_rsa(&r)
					 : read_ecdsa(k->kind, &r);
	return k->key ? SSH_HOST_KEY_OK : SSH_HOST_KEY_MALFORMED;
}

static int read_key(struct ssh_host_key *k, struct bytes b)
{
	static const char magic[] = "openssh-key-v1";
	struct reader r = reader_init(b);
	struct bytes head = reader_bytes(&r, sizeof magic), cipher = string(&r), kdf = string(&r);

	(void)string(&r);
	uint32_t n = reader_u32be(&r);
	struct bytes public = string(&r), private = string(&r);

	if (!reader_ok(&r) || !bytes_eq(head, bytes_of(magic, sizeof magic)) || n != 1 ||
	    public.n > sizeof k->public)
		return SSH_HOST_KEY_MALFORMED;
	if (!bytes_eq(cipher, bytes_str("none")) || !bytes_eq(kdf, bytes_str("none")))
		return SSH_HOST_KEY_ENCRYPTED;
	memcpy(k->public, public.p, public.n);
	k->public_n = public.n;
	return read_private(k, private);
}

int ssh_host_key_read(struct bytes file, struct ssh_host_key **ret)
{
	uint8_t decoded[FILE_MAX];
	size_t n = 0;
	struct ssh_host_key *k = calloc(1, sizeof *k);
	int r = SSH_HOST_KEY_MALFORMED;

	if (!k)
		return -ENOMEM;
	if (decode(file, decoded, sizeof decoded, &n))
		r = read_key(k, bytes_of(decoded, n));
	OPENSSL_cleanse(decoded, sizeof decoded);
	if (r == SSH_HOST_KEY_OK)
		*ret = k;
	else
		ssh_host_key_free(k);
	return r;
}

int ssh_host_key_new(struct ssh_host_key **ret)
{
	struct ssh_host_key *k = calloc(1, sizeof *k);
	uint8_t own[32];
	size_t n = sizeof own;

	if (!k)
		return -ENOMEM;
	struct writer w = WRITER_IN(k->public);

	k->kind = KIND_ED25519;
	k->key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	if (!k->key || EVP_PKEY_get_raw_public_key(k->key, own, &n) != 1) {
		ssh_host_key_free(k);
		return -ENOMEM;
	}
	put_string(&w, bytes_str(k->kind->name));
	put_string(&w, bytes_of(own, n));
	k->public_n = writer_pos(&w);
	*ret = k;
	return SSH_HOST_KEY_OK;
}

void ssh_host_key_free(struct ssh_host_key *k)
{
	if (!k)
		return;
	EVP_PKEY_free(k->key);
	free(k);
}

struct bytes ssh_host_key_public(const struct ssh_host_key *k)
{
	return bytes_of(k->public, k->public_n);
}

/* ---- signatures ----------------------------------------------------------------------------- */

static const char *digest_for(const struct ssh_host_key *k, const char *algorithm)
{
	if (k->kind != KIND_RSA)
		return k->kind->digest;
	return strcmp(algorithm, "rsa-sha2-256") == 0 ? "SHA256" : "SHA512";
}

bool ssh_host_key_can(const struct ssh_host_key *k, const char *algorithm)
{
	if (k->kind == KIND_RSA)
		return strcmp(algorithm, "rsa-sha2-256") == 0 ||
		       strcmp(algorithm, "rsa-sha2-512") == 0;
	return strcmp(algorithm, k->kind->name) == 0;
}

static void put_number(struct writer *w, const BIGNUM *v)
{
	uint8_t b[80] = {0}; /* a zero in front if it would be negative */
	size_t n = (size_t)BN_num_bytes(v), sign = n > 0 && BN_num_bits(v) % 8 == 0;

	if (n + sign <= sizeof b)
		BN_bn2bin(v, b + sign);
	put_string(w, bytes_of(b, n + sign <= sizeof b ? n + sign : 0));
}

/* RFC 5656, section 3.1.2: two mpints, where OpenSSL has DER. */
static bool put_ecdsa(struct writer *w, struct bytes der)
{
	const uint8_t *p = der.p;
	ECDSA_SIG *s = d2i_ECDSA_SIG(NULL, &p, (long)der.n);
	uint8_t room[200];
	struct writer both = WRITER_IN(room);

	if (!s)
		return false;
	put_number(&both, ECDSA_SIG_get0_r(s));
	put_number(&both, ECDSA_SIG_get0_s(s));
	put_string(w, writer_view(&both));
	ECDSA_SIG_free(s);
	return writer_ok(&both);
}

int ssh_host_key_sign(const struct ssh_host_key *k, const char *algorithm, struct bytes data,
		      uint8_t *out, size_t cap, size_t *ret_n)
{
	uint8_t signature[SIGNATURE_MAX];
	size_t n = sizeof signature;
	struct writer w = writer_init(out, cap);

	if (!ssh_host_key_can(k, algorithm))
		return SSH_HOST_KEY_ALGORITHM;
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c &&
		  EVP_DigestSignInit_ex(c, NULL, digest_for(k, algorithm), NULL, NULL, k->key,
					NULL) == 1 &&
		  EVP_DigestSign(c, signature, &n, data.p, data.n) == 1;

	EVP_MD_CTX_free(c);
	if (!ok)
		return -ENOMEM;
	put_string(&w, bytes_str(algorithm));
	if (k->kind->curve)
		ok = put_ecdsa(&w, bytes_of(signature, n));
	else
		put_string(&w, bytes_of(signature, n));
	*ret_n = writer_pos(&w);
	return !ok ? -ENOMEM : writer_ok(&w) ? SSH_HOST_KEY_OK : -ENOBUFS;
}

/* The other way round: DER of two mpints. 0: they are none. */
static size_t der_of_ecdsa(struct bytes both, uint8_t *out, size_t cap)
{
	struct reader r = reader_init(both);
	struct bytes x = string(&r), y = string(&r);
	ECDSA_SIG *s = ECDSA_SIG_new();
	BIGNUM *a = NULL, *b = NULL;
	size_t n = 0;

	if (s && reader_ok(&r) && x.n <= 80 && y.n <= 80) {
		a = BN_bin2bn(x.p, (int)x.n, NULL);
		b = BN_bin2bn(y.p, (int)y.n, NULL);
	}
	if (a && b && ECDSA_SIG_set0(s, a, b) == 1) {
		a = b = NULL; /* they are its own now */
		int len = i2d_ECDSA_SIG(s, NULL);

		if (len > 0 && (size_t)len <= cap)
			n = (size_t)i2d_ECDSA_SIG(s, &out);
	}
	BN_free(a);
	BN_free(b);
	ECDSA_SIG_free(s);
	return n;
}

bool ssh_host_key_proves(const struct ssh_host_key *k, struct bytes data, struct bytes signature)
{
	struct reader r = reader_init(signature);
	struct bytes name = string(&r), value = string(&r);
	char algorithm[32] = {0};
	uint8_t der[256];

	if (!reader_ok(&r) || name.n >= sizeof algorithm)
		return false;
	memcpy(algorithm, name.p, name.n);
	if (!ssh_host_key_can(k, algorithm))
		return false;
	if (k->kind->curve)
		value = bytes_of(der, der_of_ecdsa(value, der, sizeof der));
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	bool ok = c && value.n > 0 &&
		  EVP_DigestVerifyInit_ex(c, NULL, digest_for(k, algorithm), NULL, NULL, k->key,
					  NULL) == 1 &&
		  EVP_DigestVerify(c, value.p, value.n, data.p, data.n) == 1;

	EVP_MD_CTX_free(c);
	return ok;
}
