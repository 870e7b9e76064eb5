/* SPDX-License-Identifier: GPL-3.0-or-later */
/* seal-cms: OpenSSL's CMS (RFC 5652, RFC 5083), from memory to memory. */
#ifndef SEAL_CMS_H
#define SEAL_CMS_H

#include "seal-content.h"
#include "seal.h"
#include "secret.h"

/*
 * All return 0 (SEAL_OK), -ENOMEM, -EIO; those that open, also the seal_reason that is named with
 * them. What is opened has been through sealed-form.
 */

/* SignedData over @content by @who, SHA-256, with signed attributes and the certificate in it. */
int cms_sign(const struct identity *who, struct bytes content, struct secret *ret);
/*
 * SEAL_FORGED: not of one signer, of another than @signer if that is given, digest or signature
 * wrong. @ret_signer: to be freed by X509_free(); of an epoch the certificate is in it. It is not
 * known yet whether it may be trusted.
 */
int cms_verify(struct bytes signed_data, X509 *signer, struct secret *ret_content,
	       X509 **ret_signer);

int cms_envelope_for(struct bytes content, STACK_OF(X509) * recipients, struct sealed *ret);

/* SEAL_FORGED, SEAL_MALFORMED */
int cms_open_by_kek(struct bytes blob, const uint8_t kek[SEAL_KEK_BYTES], struct secret *ret);
/* SEAL_NOT_FOR_US as well: for none of @n identities */
int cms_open_by_identity(struct bytes blob, const struct identity *const *identity, size_t n,
			 struct secret *ret);

#endif
