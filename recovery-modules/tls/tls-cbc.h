/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-cbc: tls-protect for the CBC suites of TLS 1.2. Each record has a random IV of its own, so
 * that two of them may have one number; but a record that was cut goes on in the same bytes. Its
 * length leaves open how much of it is padding.
 */
#ifndef TLS_CBC_H
#define TLS_CBC_H

#include "tls-protect.h"

/* So many bytes of padding there are at most, if there are no more than needed. */
#define TLS_CBC_PAD_LEAST 16u

/* As the functions of tls-protect.h, for a suite of CBC. */
enum tls_outcome tls_cbc_open(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			      uint8_t *out, struct tls_text *ret);
enum tls_outcome tls_cbc_seal(struct tls_protect *p, const struct tls_crypto *c, uint8_t type,
			      struct bytes b, uint8_t *out);
enum tls_outcome tls_cbc_owe(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			     uint8_t *text, struct tls_owed *ret);
/* So much of @content as makes the bytes that were out becomes the record: p->owed_said. */
enum tls_outcome tls_cbc_seal_owed(struct tls_protect *p, const struct tls_crypto *c,
				   const struct tls_owed *o, struct bytes content, uint8_t *out,
				   size_t *ret_n);
/* Bytes of a record of @n bytes of content, with as little padding as there must be. */
size_t tls_cbc_sealed_bytes(const struct tls_suite *s, size_t n);

#endif
