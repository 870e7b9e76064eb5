/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * identity: a certificate and the private key to it: who we are. And subject: who a certificate
 * says that its owner is.
 *
 * Where they are, as in the configuration:
 *	PATH            a file (PEM). Certificates: one that nobody else could have written
 *	                (base/file-trust.h). Keys: moreover nobody else may read it.
 *	credential:NAME the file NAME in $CREDENTIALS_DIRECTORY (systemd.exec(5))
 *	pkcs11:...      RFC 7512: by OSSL_STORE where a provider knows the scheme, else by the
 * engine `pkcs11`. The key stays in the token. A PIN comes from pin-value or pin-source in the URI,
 * or from an environment variable that the module reads.
 *
 * A private key that was read is in OpenSSL's secure heap, if seal_secure_heap() has made one.
 * While it is parsed, OpenSSL has parts of it in ordinary heap too, which it clears.
 */
#ifndef KEYVAULT_IDENTITY_H
#define KEYVAULT_IDENTITY_H

#include <openssl/evp.h>
#include <openssl/x509.h>

#include "base/bytes.h"
#include "base/netaddr.h"

#define IDENTITY_NAME_MAX      63
#define IDENTITY_ADDRESSES_MAX 64

/* By the URI in the certificate's subjectAltName. */
enum identity_role {
	IDENTITY_NONE = 0,
	IDENTITY_VAULT,    /* jeebs:vault */
	IDENTITY_RECOVERY, /* jeebs:recovery, jeebs:recovery:NAME */
	IDENTITY_ORIGIN,   /* jeebs:origin:NAME */
};

struct subject {
	enum identity_role role;
	char name[IDENTITY_NAME_MAX + 1];               /* empty: none */
	struct netaddr address[IDENTITY_ADDRESSES_MAX]; /* an origin's: the IP addresses in
							   subjectAltName */
	size_t addresses;
};

/* "vault", "recovery", "origin"; "none". */
const char *identity_role_name(enum identity_role role);
/* Letters, digits, '-', '_' and '.', which is not the first. */
bool identity_name_valid(const char *name);
/* False: the certificate has no role of ours, two of them, or what does not fit. */
bool subject_of(X509 *certificate, struct subject *ret);
bool subject_has_address(const struct subject *s, const struct netaddr *a);

struct identity;

/*
 * Reads both and sees that they belong together and have the role. @error, terminated, says what is
 * wrong and where. Returns 0, -ENOENT, -EPERM (owner or mode), -EINVAL (not what it should be,
 * not of this role, the key of another certificate, a recovery key that its token does not let
 * derive), -ENOMEM, -EIO (OpenSSL).
 */
int identity_open(const char *certificate, const char *key, enum identity_role role,
		  struct identity **ret, char *error, size_t error_size);
/* One that is in memory; both are shared, not copied. */
int identity_new(X509 *certificate, EVP_PKEY *key, struct identity **ret);
void identity_close(struct identity *i);

/* Valid as long as @i. */
X509 *identity_certificate(const struct identity *i);
EVP_PKEY *identity_key(const struct identity *i);
const struct subject *identity_subject(const struct identity *i);

/*
 * Whether @key, the one to @certificate, can be agreed with in the way that CMS does: ECDH and
 * X9.63's KDF with SHA-256. Not every token lets it, and not every loader can.
 */
bool identity_agrees(X509 *certificate, EVP_PKEY *key);

/* The certificates of a file or credential, at least one, at most @max. As identity_open(). */
int identity_certificates(const char *where, size_t max, STACK_OF(X509) * *ret, char *error,
			  size_t error_size);

#endif
