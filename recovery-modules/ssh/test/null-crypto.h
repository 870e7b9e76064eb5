/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * null-crypto: keys that do nothing, for fuzzers: packets are in clear, tags are zero.
 */
#ifndef SSH_TEST_NULL_CRYPTO_H
#define SSH_TEST_NULL_CRYPTO_H

#include "recovery-modules/ssh/ssh-crypto.h"
#include "recovery-modules/ssh/ssh-suite.h"

struct null_crypto {
	struct null_key {
		uint8_t tag;
	} key[64];
	uint32_t n;
};

struct ssh_crypto null_crypto_of(struct null_crypto *n);

#endif
