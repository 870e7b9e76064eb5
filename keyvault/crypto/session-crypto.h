/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session-crypto: the crypto service of recovery modules (jeebs/recovery-crypto.h) over the secrets
 * of one connection: struct jeebs_keys.
 *
 * The box, the drill and the tests have their secrets from elsewhere, and say how to find one; what
 * is made of them is the same code. All that is derived lives in the room that the caller gives,
 * which is as secret as the secrets. One thread at a time may use a struct jeebs_keys.
 */
#ifndef KEYVAULT_SESSION_CRYPTO_H
#define KEYVAULT_SESSION_CRYPTO_H

#include "jeebs/recovery-crypto.h"
#include "keyvault/record/session-keys.h"
#include "ssh-host-key.h"

struct session_secrets {
	/*
	 * Finds the secret number @candidate, from 0 on, with this label of the session with
	 * @client_random. The view is valid until the next call. False: there are not so many.
	 */
	bool (*find)(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		     enum tls_secret label, uint32_t candidate, struct bytes *ret);
	void *ctx;
	/*
	 * Of SSH: what the tap told of key exchange @exchange, from 0 on, of the session number
	 * @candidate. The views are valid until the next call. NULL: there is nothing of SSH.
	 */
	bool (*find_ssh)(void *ctx, uint32_t candidate, uint32_t exchange, struct ssh_keys *ret);
	const struct ssh_identity *ssh; /* NULL: none; stays */
	const char *purpose; /* what certificates say they are for; NULL: nothing; stays */
};

/* Keys of one connection: four of its handshake and application data, and further KeyUpdates. */
#define SESSION_CRYPTO_KEYS 24
/* What session_crypto_init() needs. */
#define SESSION_CRYPTO_BYTES 4096

/*
 * Makes the keys of a connection in @room, of SESSION_CRYPTO_BYTES, aligned for any type. @secrets
 * is copied.
 */
struct jeebs_keys *session_crypto_init(void *room, const struct session_secrets *secrets);
/* Zeroes them. NULL is fine. */
void session_crypto_deinit(struct jeebs_keys *k);

extern const struct jeebs_crypto_ops session_crypto_ops;

#endif
