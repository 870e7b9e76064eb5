/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority-issue: keys, certificates and revocation lists, in memory. X.509 version 3 (RFC 5280),
 * EC P-256, SHA-256. */
#ifndef SEAL_AUTHORITY_ISSUE_H
#define SEAL_AUTHORITY_ISSUE_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "identity.h"
#include "secret.h"

#define SERIAL_BYTES  16
#define SERIAL_STRLEN (2 * SERIAL_BYTES + 1)
#define ROLE_STRLEN   (sizeof "jeebs:recovery:" + IDENTITY_NAME_MAX)

/* NULL: the CA's own. */
struct issuer {
	X509 *certificate;
	EVP_PKEY *key;
};

struct validity {
	int64_t from_s, until_s; /* CLOCK_REALTIME */
};

/* NULL: OpenSSL would not. */
EVP_PKEY *issue_key(void);
X509 *issue_ca(EVP_PKEY *key, struct validity v);
/* As @s says; both ends of @v at most those of the issuer. */
X509 *issue_certificate(const struct issuer *by, EVP_PKEY *key, const struct subject *s,
			struct validity v);
/* "jeebs:origin:web1" */
void issue_role(const struct subject *s, char ret[ROLE_STRLEN]);
void issue_serial(const X509 *certificate, char ret[SERIAL_STRLEN]);

/* A list without entries; then entries; then it is signed. */
X509_CRL *issue_crl(const struct issuer *by, int64_t number, struct validity v);
bool issue_crl_add(X509_CRL *crl, const char *serial, int64_t when_s);
bool issue_crl_sign(X509_CRL *crl, const struct issuer *by);

/* As PEM. False: OpenSSL would not. */
bool issue_write_key(EVP_PKEY *key, struct secret *ret);
bool issue_write_certificates(X509 *const *certificate, size_t n, struct secret *ret);
bool issue_write_crl(X509_CRL *crl, struct secret *ret);
EVP_PKEY *issue_read_key(struct bytes pem);
X509 *issue_read_certificate(struct bytes pem);

#endif
