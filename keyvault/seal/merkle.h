/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * merkle: one hash for many records, and for each record the path to it (RFC 9162 section 2.1,
 * SHA-256). A leaf without a neighbour goes up as it is, so the path of a lone one is empty.
 */
#ifndef SEAL_MERKLE_H
#define SEAL_MERKLE_H

#include <openssl/evp.h>

#include "base/bytes.h"

#define MERKLE_BYTES     32
#define MERKLE_DEPTH_MAX 8 /* 256 leaves */

struct merkle_step {
	bool left; /* the neighbour is in front */
	uint8_t hash[MERKLE_BYTES];
};

struct merkle_path {
	uint8_t depth;
	struct merkle_step step[MERKLE_DEPTH_MAX];
};

/* All return 0, or -ENOMEM, -EIO. @h is a context to work with; its content does not matter. */
int merkle_hash(EVP_MD_CTX *h, struct bytes a, struct bytes b, uint8_t ret[MERKLE_BYTES]);
int merkle_leaf(EVP_MD_CTX *h, struct bytes record, uint8_t ret[MERKLE_BYTES]);
/* Of @n leaves, 1 to 2^MERKLE_DEPTH_MAX, which are overwritten; one path for each. */
int merkle_tree(EVP_MD_CTX *h, uint8_t (*leaf)[MERKLE_BYTES], size_t n,
		struct merkle_path *ret_paths, uint8_t ret_root[MERKLE_BYTES]);
int merkle_root(EVP_MD_CTX *h, const uint8_t leaf[MERKLE_BYTES], const struct merkle_path *path,
		uint8_t ret_root[MERKLE_BYTES]);

#endif
