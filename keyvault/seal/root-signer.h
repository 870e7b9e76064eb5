/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * root-signer: CMS SignedData (RFC 5652) by one signer with an EC key, over little, many times:
 * SHA-256, ECDSA, attributes content-type and message-digest, no certificate in it. Written here
 * and not by OpenSSL's CMS, which takes five times as long: each handshake of a server waits for
 * it. When it was signed is in the records under the root.
 */
#ifndef SEAL_ROOT_SIGNER_H
#define SEAL_ROOT_SIGNER_H

#include "identity.h"
#include "secret.h"

struct root_signer;

/* @who must stay. -EINVAL: its key is not of an elliptic curve; -ENOMEM, -EIO. */
int root_signer_new(const struct identity *who, struct root_signer **ret);
void root_signer_free(struct root_signer *s);
/* -EINVAL: @content is too long; -ENOMEM, -EIO. */
int root_signer_sign(struct root_signer *s, struct bytes content, struct secret *ret);

#endif
