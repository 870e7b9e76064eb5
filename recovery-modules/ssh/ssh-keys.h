/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-keys: the crypto service of the host (jeebs/recovery-crypto.h) as this room asks for it
 * (ssh-crypto.h).
 */
#ifndef SSH_KEYS_H
#define SSH_KEYS_H

#include "jeebs/recovery-crypto.h"
#include "ssh-crypto.h"

/* Whose keys. It stays where it is as long as what ssh_keys_crypto() made of it. */
struct ssh_keys_of {
	struct jeebs_keys *keys; /* NULL: none have come */
	const struct jeebs_crypto_ops *ops;
	uint32_t side, candidate;
};

struct ssh_crypto ssh_keys_crypto(struct ssh_keys_of *of);
/* Whether the host knows SSH: an older one does not. */
bool ssh_keys_known(const struct ssh_keys_of *of);

#endif
