/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * trust: the CA and whom it has revoked: is a certificate one of ours?
 *
 * There is one CA and nothing between it and a certificate. All threads may use a trust at once.
 */
#ifndef KEYVAULT_TRUST_H
#define KEYVAULT_TRUST_H

#include "identity.h"

enum trust_outcome {
	TRUST_OK = 0,
	TRUST_STRANGER = 1, /* not signed by the CA, or not for such use */
	TRUST_EXPIRED = 2,  /* not valid at this time: not yet, or no longer */
	TRUST_REVOKED = 3,
	TRUST_NO_ROLE = 4, /* signed by the CA, but it says no role of ours */
};

struct trust;

/*
 * @crl NULL: nobody is revoked. A revocation list must be the CA's; its times are not looked at,
 * since a list too old is better than no recovery. Both are paths or credentials. As
 * identity_open().
 */
int trust_open(const char *ca, const char *crl, struct trust **ret, char *error, size_t error_size);
/* What is in memory is shared, not copied. @crl may be NULL. -EINVAL: @crl is not of @ca. */
int trust_new(X509 *ca, X509_CRL *crl, struct trust **ret);
/* Reads the revocation list again. On failure, or when it is older than the one known, that one
 * stays. */
int trust_reload(struct trust *t, char *error, size_t error_size);
void trust_close(struct trust *t);

/* At @when_ns of CLOCK_REALTIME. Revoked is revoked, whenever. Returns trust_outcome or -ENOMEM,
 * -EIO. */
int trust_check(struct trust *t, X509 *certificate, int64_t when_ns, struct subject *ret);
bool trust_is_revoked(struct trust *t, X509 *certificate);
/* "stranger", "expired", ... */
const char *trust_outcome_name(int outcome);

/*
 * For SSL_CTX_set_cert_verify_callback(), with a struct trust: the peer's certificate is checked
 * now. Roles are the caller's, by subject_of(SSL_get0_peer_certificate()).
 */
int trust_verify_peer(X509_STORE_CTX *peer, void *trust);

#endif
