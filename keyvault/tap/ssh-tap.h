/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-tap: one record for each key exchange of the SSH connection that this process serves, handed
 * over from inside the hashing of the first key: nothing under the new keys has left.
 */
#ifndef KEYVAULT_SSH_TAP_H
#define KEYVAULT_SSH_TAP_H

#include "ssh-derivation.h"

/* Does the process serve an SSH connection? A cheap question: each digest asks it. */
bool ssh_tap_is_on(void);
/* A digest ends; if it was a derivation, its record is handed over. */
void ssh_tap_end(struct ssh_derivation *d, const void *digest);
/* The descriptor of the connection has a twin. */
void ssh_tap_dup(int from, int to);
/* By the number that OpenSSL gives a digest (NID); 0: none that SSH uses. */
enum ssh_hash ssh_tap_hash(int nid);

#endif
