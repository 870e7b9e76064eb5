/* SPDX-License-Identifier: GPL-3.0-or-later */
/* identity-token: a private key in a PKCS#11 token, by OpenSSL's own loaders. */
#ifndef SEAL_IDENTITY_TOKEN_H
#define SEAL_IDENTITY_TOKEN_H

#include <stdbool.h>
#include <stddef.h>

#include <openssl/evp.h>

/* pkcs11:... */
bool identity_token_is(const char *where);
/*
 * As identity_open(); -ENOENT: no loader, no token, or no such key in it. The engine is asked
 * first: pkcs11-provider leaves X9.63's KDF, which the recovery identity needs, to the token, and
 * not every token has it. Both at once on one token disturb each other.
 */
int identity_token_key(const char *uri, EVP_PKEY **ret, char *error, size_t error_size);

#endif
