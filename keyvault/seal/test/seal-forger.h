/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * seal-forger: an origin that seals what it likes: it has a key of the CA, and knows its KEK. All
 * it does is right unless a test makes it wrong. What fails, aborts.
 */
#ifndef SEAL_FORGER_H
#define SEAL_FORGER_H

#include "keyvault/seal/seal-cms.h"

struct forger {
	const struct identity *signer; /* of roots */
	uint8_t kek[SEAL_KEK_BYTES];
	struct epoch_content epoch; /* an hour from @now_ns */
	uint8_t id[EPOCH_ID_BYTES];
	uint8_t root_epoch[EPOCH_ID_BYTES]; /* in what is signed */
	uint8_t flip_root;
};

/* Always the same KEK and nonce. */
struct forger forger_of(const struct identity *origin, int64_t now_ns);
/* The epoch, signed by @signer. */
struct secret forger_sign_epoch(const struct forger *f, const struct identity *signer);
struct sealed forger_seal_to(const struct identity *recovery, struct bytes content);

struct record_content forger_record(const struct forger *f, int64_t now_ns, struct bytes keys);
/* Signs the root of @c as it is now; to be freed. @c's signature points into it. */
struct secret forger_sign(const struct forger *f, struct record_content *c);
/* @c with the proof that it has, in the clear, and sealed. */
size_t forger_write(const struct record_content *c, uint8_t room[SEAL_RECORD_MAX_BYTES]);
struct sealed forger_seal(const struct forger *f, struct bytes content);

#endif
