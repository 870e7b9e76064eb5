/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session-ssh: what is SSH in session-crypto: keys of both conversations of a connection that is
 * continued, with the client (FRONT) and with the backup (BACK), and the keys that a service has
 * for its sessions. Private to this room but for struct ssh_identity, whose keys their owner loads.
 */
#ifndef KEYVAULT_SESSION_SSH_H
#define KEYVAULT_SESSION_SSH_H

#include "session-crypto.h"
#include "ssh-cipher.h"

struct session_ssh;

/* NULL: no memory. @secrets stays valid until session_ssh_free(). */
struct session_ssh *session_ssh_new(const struct session_secrets *secrets);
/* Everything is cleared. NULL is fine. */
void session_ssh_free(struct session_ssh *s);

int session_ssh_derive(struct session_ssh *s, const struct jeebs_ssh_spec *spec, uint32_t *ret_key);
/* NULL: there is no such key, or it is so old that nothing needs it. */
struct ssh_cipher *session_ssh_cipher(struct session_ssh *s, uint32_t key);
int session_ssh_exchange(struct session_ssh *s, const struct jeebs_ssh_exchange *x, uint8_t *out,
			 size_t cap, size_t *ret_n);
int session_ssh_exchange_hash(struct session_ssh *s, uint32_t side, uint32_t exchange,
			      struct jeebs_bytes head, uint8_t *out, size_t cap, size_t *ret_n);
int session_ssh_host_key(const struct session_ssh *s, const char *algorithm, uint8_t *out,
			 size_t cap, size_t *ret_n);
int session_ssh_sign(const struct session_ssh *s, const char *algorithm, struct jeebs_bytes data,
		     uint8_t *out, size_t cap, size_t *ret_n);
int session_ssh_prove(const struct session_ssh *s, struct jeebs_bytes host_key,
		      struct jeebs_bytes data, struct jeebs_bytes signature);
int session_ssh_certificate(struct session_ssh *s, struct jeebs_bytes user, uint8_t *out,
			    size_t cap, size_t *ret_n);
int session_ssh_certificate_sign(const struct session_ssh *s, struct jeebs_bytes data, uint8_t *out,
				 size_t cap, size_t *ret_n);

#endif
