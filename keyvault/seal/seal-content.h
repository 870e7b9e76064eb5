/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * seal-content: what is sealed and what is signed, as bytes. Each kind of content begins with its
 * version and its kind, so that none can be taken for another. Big-endian; nothing may follow.
 */
#ifndef SEAL_CONTENT_H
#define SEAL_CONTENT_H

#include "base/reader.h"
#include "base/writer.h"
#include "identity.h"
#include "merkle.h"
#include "session-index.h"

#define SEAL_VERSION   1
#define SEAL_KEK_BYTES 32

struct epoch_content {
	char origin[IDENTITY_NAME_MAX + 1];
	uint8_t nonce[EPOCH_ID_BYTES]; /* the epoch id is the head of SHA-256(origin, nonce) */
	int64_t not_before_ns, not_after_ns;
	const uint8_t *kek; /* SEAL_KEK_BYTES, a view */
};

struct record_content {
	char origin[IDENTITY_NAME_MAX + 1];
	uint8_t epoch[EPOCH_ID_BYTES];
	uint64_t number;
	int64_t time_ns;
	struct bytes keys;
	/* the proof */
	struct merkle_path path;
	struct bytes signature; /* SignedData over the root */
};

/*
 * The id of an epoch follows from its origin, so that no origin can begin an epoch that bears
 * the id of another's. 0, or -ENOMEM, -EIO.
 */
int epoch_id(EVP_MD_CTX *h, const struct epoch_content *e, uint8_t ret[EPOCH_ID_BYTES]);

void epoch_content_write(struct writer *w, const struct epoch_content *e);
bool epoch_content_read(struct bytes b, struct epoch_content *ret);

/* What the leaf is the hash of. */
void record_content_write(struct writer *w, const struct record_content *c);
void record_proof_write(struct writer *w, const struct record_content *c);
/* @ret_leaf: the part in front of the proof. */
bool record_content_read(struct bytes b, struct record_content *ret, struct bytes *ret_leaf);

#define ROOT_CONTENT_BYTES (2 + EPOCH_ID_BYTES + MERKLE_BYTES)
void root_content_write(struct writer *w, const uint8_t epoch[EPOCH_ID_BYTES],
			const uint8_t root[MERKLE_BYTES]);

#endif
