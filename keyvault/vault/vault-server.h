/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-server: the loop of jeebs-keyvault serve: one thread, which polls listener, peers and
 * signals, and never waits for any of them.
 *
 * A connection has VAULT_HANDSHAKE_NS to show who it is. Of those that have not yet there are
 * VAULT_STRANGERS_MAX at most: a new one takes the place of the oldest, so that nobody without a
 * certificate can keep others out. Of those who have there are VAULT_PEERS_MAX, and of each name
 * VAULT_PEERS_PER_NAME.
 *
 * The revocation list is read again when its file has changed, and on SIGHUP; who is on it is
 * let go at once.
 */
#ifndef KEYVAULT_VAULT_SERVER_H
#define KEYVAULT_VAULT_SERVER_H

#include "base/netaddr.h"
#include "vault-store.h"

#define VAULT_HANDSHAKE_NS   INT64_C(10000000000)
#define VAULT_STRANGERS_MAX  64
#define VAULT_PEERS_MAX      1024
#define VAULT_PEERS_PER_NAME 16

struct vault_server_config {
	const char *dir; /* of jeebs-keyvault init */
	struct endpoint listen;
	struct vault_store_config store; /* but for dir and events */
	struct endpoint metrics;         /* port 0: none */
};

/*
 * Serves until SIGTERM or SIGINT, which it blocks and takes as messages. SIGPIPE is ignored. 0, or
 * a negative errno that has been logged, with what was wrong in @error.
 */
int vault_server_run(const struct vault_server_config *c, char *error, size_t error_size);

#endif
