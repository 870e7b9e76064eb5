/* SPDX-License-Identifier: GPL-3.0-or-later */
/* tls-judge-open: keys from secrets, and one record opened (RFC 5246, RFC 8446). */
#ifndef KEYVAULT_TLS_JUDGE_OPEN_H
#define KEYVAULT_TLS_JUDGE_OPEN_H

#include <openssl/evp.h>

#include "base/bytes.h"
#include "keyvault/record/session-keys.h"

struct judge_suite {
	const EVP_CIPHER *cipher;
	const EVP_MD *hash; /* of the key schedule */
	const EVP_MD *mac;  /* of CBC; of AEAD NULL */
	size_t tag, key_n;
	bool tls13, chacha, ccm;
	bool etm; /* of CBC: the MAC is behind (RFC 7366). The hellos say so */
};

/* False: OpenSSL does not know it, or it is neither AEAD nor AES-CBC. */
bool judge_suite_find(uint16_t number, struct judge_suite *ret);

struct judge_key {
	uint8_t secret[TLS_SECRET_MAX_BYTES]; /* of TLS 1.3 */
	uint8_t key[32], iv[12], mac[EVP_MAX_MD_SIZE];
};

/* Each returns false when OpenSSL cannot. */
bool judge_key_13(const struct judge_suite *s, struct bytes secret, struct judge_key *ret);
bool judge_key_13_next(const struct judge_suite *s, const struct judge_key *k,
		       struct judge_key *ret);
bool judge_key_12(const struct judge_suite *s, struct bytes master,
		  const uint8_t random[static 2][TLS_RANDOM_BYTES], uint32_t dir,
		  struct judge_key *ret);

/*
 * Opens a complete record. @out has room for it. *ret_n is the length of what was sealed, of TLS
 * 1.3 with its type and zeros. False: it is forged.
 */
bool judge_open(const struct judge_suite *s, const struct judge_key *k, uint64_t number,
		struct bytes record, uint8_t *out, size_t *ret_n);
/* What a record's nonce is counted by; of CBC, the beginning of its IV. */
uint64_t judge_nonce(const struct judge_suite *s, uint64_t number, struct bytes record);

#endif
