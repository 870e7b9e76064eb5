/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * aead: one message opened, sealed, or read in part, under a key that is given.
 *
 * OpenSSL spreads a key out in memory of its own; that exists during a call alone and is zeroed at
 * its end.
 */
#ifndef KEYVAULT_AEAD_H
#define KEYVAULT_AEAD_H

#include "base/bytes.h"
#include "keyvault/record/tls-suite.h"

struct aead {
	const struct tls_suite *suite; /* its cipher and its tag count */
	const uint8_t *key;
	uint8_t nonce[TLS_NONCE_BYTES];
};

/* Each returns JEEBS_CRYPTO_OK, JEEBS_CRYPTO_FORGED or JEEBS_CRYPTO_FAILED. @out may be @in. */

/* @in: ciphertext, and its tag behind it. @out gets the plaintext; zeros if it is forged. */
int aead_open(const struct aead *a, struct bytes aad, struct bytes in, uint8_t *out);
/* As aead_open(), of @n pieces. @out is none of them. */
int aead_open_pieces(const struct aead *a, struct bytes aad, const struct bytes *in, size_t n,
		     uint8_t *out);
/* @out gets the ciphertext and its tag. */
int aead_seal(const struct aead *a, struct bytes aad, struct bytes in, uint8_t *out);
/* @in: ciphertext from @off on, a part of it, without the tag. Nothing is proved. */
int aead_peek(const struct aead *a, uint64_t off, struct bytes in, uint8_t *out);

#endif
