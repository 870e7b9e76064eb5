/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * kek-envelope: CMS AuthEnvelopedData (RFC 5083), AES-256-GCM, its key wrapped by one that both
 * sides have, in the one form that sealed-form reads. Written here and not by OpenSSL's CMS, which
 * takes ten times as long: each handshake of a server waits for it.
 *
 * What it has of the key is in contexts of OpenSSL, and cleared with them: open it for a batch.
 */
#ifndef SEAL_KEK_ENVELOPE_H
#define SEAL_KEK_ENVELOPE_H

#include "seal-content.h"
#include "seal.h"

struct kek_envelope {
	EVP_CIPHER_CTX *wrap, *gcm;
	uint8_t id[EPOCH_ID_BYTES];
};

/* 0, -ENOMEM or -EIO; kek_envelope_close() is due either way. */
int kek_envelope_open(struct kek_envelope *e, const uint8_t kek[SEAL_KEK_BYTES],
		      const uint8_t id[EPOCH_ID_BYTES]);
void kek_envelope_close(struct kek_envelope *e);
/* Under a new key of its own. -EINVAL: too long for a record; -ENOMEM, -EIO. */
int kek_envelope_seal(struct kek_envelope *e, struct bytes content, struct sealed *ret);

#endif
