/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "authority-issue.h"

#include <stdio.h>

#include <openssl/bn.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

EVP_PKEY *issue_key(void)
{
	return EVP_EC_gen("P-256");
}

void issue_role(const struct subject *s, char ret[ROLE_STRLEN])
{
	snprintf(ret, ROLE_STRLEN, "jeebs:%s%s%s", identity_role_name(s->role), *s->name ? ":" : "",
		 s->name);
}

void issue_serial(const X509 *certificate, char ret[SERIAL_STRLEN])
{
	const ASN1_INTEGER *serial = X509_get0_serialNumber(certificate);
	BIGNUM *n = ASN1_INTEGER_to_BN(serial, NULL);
	char *hex = n ? BN_bn2hex(n) : NULL;

	snprintf(ret, SERIAL_STRLEN, "%s", hex ? hex : "");
	OPENSSL_free(hex);
	BN_free(n);
}

/* Random, so that none is given twice even if the index is lost. */
static bool set_serial(X509 *c)
{
	uint8_t random[SERIAL_BYTES];

	if (RAND_bytes(random, sizeof random) != 1)
		return false;
	random[0] = (uint8_t)((random[0] & 0x7f) | 0x40);
	BIGNUM *n = BN_bin2bn(random, sizeof random, NULL);
	bool done = n && BN_to_ASN1_INTEGER(n, X509_get_serialNumber(c));
	BN_free(n);
	return done;
}

static bool set_validity(X509 *c, struct validity v)
{
	return ASN1_TIME_set(X509_getm_notBefore(c), (time_t)v.from_s) &&
	       ASN1_TIME_set(X509_getm_notAfter(c), (time_t)v.until_s);
}

static bool set_name(X509_NAME *name, const char *text)
{
	return X509_NAME_add_entry_by_txt(name, "O", MBSTRING_ASC,
					  (const uint8_t *)"jeebs-keyvault", -1, -1, 0) &&
	       X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const uint8_t *)text, -1, -1,
					  0);
}

static bool add_extension(X509 *c, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX x;

	X509V3_set_ctx(&x, issuer, c, NULL, NULL, 0);
	X509V3_set_ctx_nodb(&x);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &x, nid, value);
	bool done = e && X509_add_ext(c, e, -1);
	X509_EXTENSION_free(e);
	return done;
}

static X509 *blank(EVP_PKEY *key, struct validity v)
{
	X509 *c = X509_new();

	if (c && X509_set_version(c, X509_VERSION_3) && set_serial(c) && set_validity(c, v) &&
	    X509_set_pubkey(c, key))
		return c;
	X509_free(c);
	return NULL;
}

X509 *issue_ca(EVP_PKEY *key, struct validity v)
{
	char serial[SERIAL_STRLEN], name[64];
	X509 *c = blank(key, v);

	if (!c)
		return NULL;
	/* Two CAs have two names. */
	issue_serial(c, serial);
	snprintf(name, sizeof name, "CA %.8s", serial);
	if (set_name(X509_get_subject_name(c), name) &&
	    X509_set_issuer_name(c, X509_get_subject_name(c)) &&
	    add_extension(c, c, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") &&
	    add_extension(c, c, NID_key_usage, "critical,keyCertSign,cRLSign") &&
	    add_extension(c, c, NID_subject_key_identifier, "hash") &&
	    add_extension(c, c, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(c, key, EVP_sha256()))
		return c;
	X509_free(c);
	return NULL;
}

static const char *key_usage(enum identity_role role)
{
	/* The recovery identity proves itself to the vault, and is sealed to. */
	return role == IDENTITY_RECOVERY ? "critical,digitalSignature,keyAgreement"
	       : role == IDENTITY_ORIGIN ? "critical,digitalSignature,nonRepudiation"
					 : "critical,digitalSignature";
}

/* "URI:jeebs:origin:web1,IP:10.9.0.1" */
static bool add_alternative_names(X509 *c, X509 *issuer, const struct subject *s)
{
	char text[64 + ROLE_STRLEN + IDENTITY_ADDRESSES_MAX * (NETADDR_STRLEN + 4)];
	char role[ROLE_STRLEN], address[NETADDR_STRLEN];

	issue_role(s, role);
	int n = snprintf(text, sizeof text, "URI:%s", role);
	for (size_t i = 0; i < s->addresses; i++)
		n += snprintf(text + n, sizeof text - (size_t)n, ",IP:%s",
			      netaddr_format(&s->address[i], address));
	return add_extension(c, issuer, NID_subject_alt_name, text);
}

X509 *issue_certificate(const struct issuer *by, EVP_PKEY *key, const struct subject *s,
			struct validity v)
{
	X509 *ca = by->certificate;
	X509 *c = blank(key, v);

	if (!c)
		return NULL;
	const char *name = *s->name ? s->name : identity_role_name(s->role);
	if (set_name(X509_get_subject_name(c), name) &&
	    X509_set_issuer_name(c, X509_get_subject_name(ca)) &&
	    add_extension(c, ca, NID_basic_constraints, "critical,CA:FALSE") &&
	    add_extension(c, ca, NID_key_usage, key_usage(s->role)) &&
	    add_extension(c, ca, NID_ext_key_usage,
			  s->role == IDENTITY_VAULT ? "serverAuth" : "clientAuth") &&
	    add_alternative_names(c, ca, s) &&
	    add_extension(c, ca, NID_subject_key_identifier, "hash") &&
	    add_extension(c, ca, NID_authority_key_identifier, "keyid:always") &&
	    X509_sign(c, by->key, EVP_sha256()))
		return c;
	X509_free(c);
	return NULL;
}

X509_CRL *issue_crl(const struct issuer *by, int64_t number, struct validity v)
{
	X509_CRL *crl = X509_CRL_new();
	ASN1_TIME *from = ASN1_TIME_set(NULL, (time_t)v.from_s);
	ASN1_TIME *until = ASN1_TIME_set(NULL, (time_t)v.until_s);
	ASN1_INTEGER *n = ASN1_INTEGER_new();
	bool done = crl && from && until && n && ASN1_INTEGER_set_int64(n, number) &&
		    X509_CRL_set_version(crl, X509_CRL_VERSION_2) &&
		    X509_CRL_set_issuer_name(crl, X509_get_subject_name(by->certificate)) &&
		    X509_CRL_set1_lastUpdate(crl, from) && X509_CRL_set1_nextUpdate(crl, until) &&
		    X509_CRL_add1_ext_i2d(crl, NID_crl_number, n, 0, 0);

	ASN1_TIME_free(from);
	ASN1_TIME_free(until);
	ASN1_INTEGER_free(n);
	if (done)
		return crl;
	X509_CRL_free(crl);
	return NULL;
}

bool issue_crl_add(X509_CRL *crl, const char *serial, int64_t when_s)
{
	X509_REVOKED *entry = X509_REVOKED_new();
	ASN1_TIME *when = ASN1_TIME_set(NULL, (time_t)when_s);
	BIGNUM *n = NULL;
	ASN1_INTEGER *number = BN_hex2bn(&n, serial) ? BN_to_ASN1_INTEGER(n, NULL) : NULL;
	bool done = entry && when && number && X509_REVOKED_set_serialNumber(entry, number) &&
		    X509_REVOKED_set_revocationDate(entry, when) &&
		    X509_CRL_add0_revoked(crl, entry);

	if (!done)
		X509_REVOKED_free(entry);
	ASN1_TIME_free(when);
	ASN1_INTEGER_free(number);
	BN_free(n);
	return done;
}

bool issue_crl_sign(X509_CRL *crl, const struct issuer *by)
{
	X509V3_CTX x;

	X509V3_set_ctx(&x, by->certificate, NULL, NULL, crl, 0);
	X509V3_set_ctx_nodb(&x);
	X509_EXTENSION *e =
		X509V3_EXT_conf_nid(NULL, &x, NID_authority_key_identifier, "keyid:always");
	bool done = e && X509_CRL_add_ext(crl, e, -1) && X509_CRL_sort(crl) &&
		    X509_CRL_sign(crl, by->key, EVP_sha256());
	X509_EXTENSION_free(e);
	return done;
}

/* What was written into @b, which is freed. */
static bool take_text(BIO *b, bool written, struct secret *ret)
{
	char *p = NULL;
	long n = written ? BIO_get_mem_data(b, &p) : 0;
	bool done = n > 0 && secret_new((size_t)n, ret) == 0;

	if (done) {
		memcpy(ret->p, p, (size_t)n);
		ret->n = (size_t)n;
	}
	BIO_free(b);
	return done;
}

bool issue_write_key(EVP_PKEY *key, struct secret *ret)
{
	BIO *b = BIO_new(BIO_s_secmem());

	return take_text(b, b && PEM_write_bio_PKCS8PrivateKey(b, key, NULL, NULL, 0, NULL, NULL),
			 ret);
}

bool issue_write_certificates(X509 *const *certificate, size_t n, struct secret *ret)
{
	BIO *b = BIO_new(BIO_s_mem());
	bool written = b;

	for (size_t i = 0; i < n && written; i++)
		written = PEM_write_bio_X509(b, certificate[i]);
	return take_text(b, written, ret);
}

bool issue_write_crl(X509_CRL *crl, struct secret *ret)
{
	BIO *b = BIO_new(BIO_s_mem());

	return take_text(b, b && PEM_write_bio_X509_CRL(b, crl), ret);
}

EVP_PKEY *issue_read_key(struct bytes pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	EVP_PKEY *key = b ? PEM_read_bio_PrivateKey(b, NULL, NULL, (void *)"") : NULL;

	BIO_free(b);
	return key;
}

X509 *issue_read_certificate(struct bytes pem)
{
	BIO *b = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509 *c = b ? PEM_read_bio_X509(b, NULL, NULL, NULL) : NULL;

	BIO_free(b);
	return c;
}
