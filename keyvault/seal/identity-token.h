/* SPDX-License-Identifier: GPL-3.0-or-later */
/* identity-token: a private key in a PKCS#11 token, by OpenSSL's own loaders. */
#ifndef SEAL_IDENTITY_TOKEN_H
#define SEAL_IDENTITY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>
#include <openssl/x509.h>

/* pkcs11:... */
bool identity_token_is(const char *where);
/*
 * As identity_open(); -ENOENT: no loader, no token, or no such key in it. @agrees_with: the
 * certificate of a key that is to be agreed with, or NULL; of a loader that can do it, if there is
 * one. (The provider of Debian 13 leaves the KDF to the token, which may not have it; the engine
 * does it itself.)
 */
int identity_token_key(const char *uri, X509 *agrees_with, EVP_PKEY **ret, char *error,
		       size_t error_size);

#endif
