/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-ssh: what a service has for its SSH sessions: host keys, for key exchanges after a takeover
 * and to know the backup by, and the CA that signs a login there. Each is a file as ssh-keygen
 * writes it, without a passphrase, that nobody but its owner may read. Private.
 */
#ifndef APPLIANCE_KEYS_SSH_H
#define APPLIANCE_KEYS_SSH_H

#include "keys.h"
#include "keyvault/crypto/ssh-host-key.h"

_Static_assert(KEYS_HOST_KEYS_MAX <= SSH_HOST_KEYS_MAX, "all have room");

/* 0, or a negative errno and what is wrong, with the file's name, in @error. */
int keys_ssh_open(const struct keys_service *s, struct ssh_identity *ret, char *error,
		  size_t error_size);
void keys_ssh_close(struct ssh_identity *id);

#endif
