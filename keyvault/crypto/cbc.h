/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * cbc: one record of a CBC suite of TLS 1.2, with its MAC inside (RFC 5246 section 6.2.3.2) or
 * behind (RFC 7366). Each has an IV of its own in front.
 */
#ifndef KEYVAULT_CBC_H
#define KEYVAULT_CBC_H

#include "base/bytes.h"
#include "keyvault/record/tls-suite.h"

#define CBC_BLOCK 16u

struct cbc {
	const struct tls_suite *suite; /* its tag is the MAC */
	const uint8_t *key, *mac_key;
	uint64_t number;
	struct bytes head; /* type and version of the record */
};

/* Each returns JEEBS_CRYPTO_OK, JEEBS_CRYPTO_FORGED or JEEBS_CRYPTO_FAILED. */

/* @in: the record's payload. @out has room for it and gets the content, of *ret_n bytes. */
int cbc_open(const struct cbc *c, struct bytes in, uint8_t *out, size_t *ret_n);
/*
 * @pad bytes of padding, from 1 to 256, make whole blocks. @iv NULL: a random one. @out, which does
 * not overlap @in, gets the payload.
 */
int cbc_seal(const struct cbc *c, const uint8_t *iv, struct bytes in, size_t pad, uint8_t *out);
/* @in: an IV and whole blocks behind it. @out gets what they say. Nothing is proved. */
int cbc_peek(const struct cbc *c, struct bytes in, uint8_t *out);

#endif
