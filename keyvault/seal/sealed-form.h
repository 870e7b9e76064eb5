/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * sealed-form: is it the one form in which we seal? What a stranger sends is looked at here before
 * a library sees it. Lengths are minimal, definite and used up (DER, X.690 section 10).
 *
 *	ContentInfo { authEnvelopedData, [0] { version 0, recipients,
 *		{ data, { aes256-GCM, { nonce of 12, 16 } }, [0] ciphertext }, mac of 16 } }
 *
 * A shorter tag, which RFC 5084 allows, and OpenSSL takes, could be guessed; a longer nonce is not
 * ours.
 */
#ifndef SEAL_FORM_H
#define SEAL_FORM_H

#include "seal.h"

#define SEALED_NONCE_BYTES       12
#define SEALED_TAG_BYTES         16
#define SEALED_WRAPPED_KEY_BYTES 40 /* RFC 3394: 32 and 8 more */

/*
 * Recipients of an epoch: 1 to SEAL_RECIPIENTS_MAX of key agreement, which OpenSSL reads. SEAL_OK,
 * SEAL_TRUNCATED, SEAL_MALFORMED.
 */
int sealed_form_epoch(struct bytes blob);
/* Recipient of a record: one with a KEK, whose identifier is the epoch id. */
int sealed_form_record(struct bytes blob, uint8_t ret_epoch[EPOCH_ID_BYTES]);

#endif
