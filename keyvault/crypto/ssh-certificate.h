/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-certificate: a user's certificate as sshd believes it from a CA in TrustedUserCAKeys
 * (OpenSSH's PROTOCOL.certkeys), for one login: it lives a minute, and is of one user.
 */
#ifndef KEYVAULT_SSH_CERTIFICATE_H
#define KEYVAULT_SSH_CERTIFICATE_H

#include <stdint.h>

#include "ssh-host-key.h"

#define SSH_CERTIFICATE_LIVES_S 60
#define SSH_CERTIFICATE_SKEW_S  60 /* the backup's clock may be so much behind the box's */

struct ssh_certificate {
	const struct ssh_host_key *key; /* ed25519 */
	const struct ssh_host_key *ca;
	struct bytes user; /* the principal */
	const char *id;    /* what the backup writes down of the login */
	int64_t now_s;
};

/* The public blob. SSH_HOST_KEY_OK, SSH_HOST_KEY_ALGORITHM, -ENOBUFS or -ENOMEM. */
int ssh_certificate_make(const struct ssh_certificate *c, uint8_t *out, size_t cap, size_t *ret_n);

#endif
