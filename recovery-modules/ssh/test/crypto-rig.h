/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crypto-rig: who has the keys, for tests: keys as the tap told them, on ordinary memory. It counts
 * what is sealed, and sees a number that is sealed twice.
 */
#ifndef SSH_TEST_CRYPTO_RIG_H
#define SSH_TEST_CRYPTO_RIG_H

#include "base/buf.h"
#include "keyvault/crypto/ssh-cipher.h"
#include "keyvault/crypto/ssh-exchange.h"
#include "keyvault/crypto/ssh-host-key.h"
#include "recovery-modules/ssh/ssh-crypto.h"

#define RIG_EXCHANGES 256
#define RIG_KEYS      (2 * RIG_EXCHANGES)
#define RIG_HOST_KEYS 4

struct crypto_rig {
	struct crypto_rig_exchange {
		struct ssh_keys keys;
		uint8_t room[SESSION_KEYS_MAX_BYTES]; /* what the views of keys point into */
	} exchange[RIG_EXCHANGES];
	uint32_t exchange_n;
	struct crypto_rig_key {
		struct ssh_key_spec spec;
		struct ssh_cipher *cipher;
		uint64_t last; /* sealed */
		uint64_t sealed;
	} key[RIG_KEYS];
	uint32_t key_n;
	uint64_t sealed, twice;
	struct ssh_exchange_secret own; /* of the exchange that we make */
	struct ssh_host_key *host_key[RIG_HOST_KEYS];
	uint32_t host_key_n;
};

/* @records: of two bytes length and a record of session-keys.h each. False: one is malformed. */
bool crypto_rig_init(struct crypto_rig *g, struct bytes records);
void crypto_rig_deinit(struct crypto_rig *g);
/* One more exchange. */
bool crypto_rig_add(struct crypto_rig *g, const struct ssh_keys *keys);
/* Forgets what was derived and sealed: for another cut. */
void crypto_rig_again(struct crypto_rig *g);
struct ssh_crypto crypto_rig_of(struct crypto_rig *g);

#endif
