/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-derivation: recognises RFC 4253 section 7.2 in what is hashed. Pure.
 *
 *   HASH(K || H || letter || session id)
 *
 * OpenSSH hashes these four by four calls, for each of the letters A to F. K has its length in
 * front (an mpint, or a string with the hybrid methods), H is as long as the digest. What else a
 * server hashes differs in the number of the calls, in the third's length or in the first four
 * bytes. Letter A stands for all of them: one key exchange is told once.
 */
#ifndef KEYVAULT_SSH_DERIVATION_H
#define KEYVAULT_SSH_DERIVATION_H

#include "keyvault/record/session-keys.h"

#define SSH_DERIVATION_PARTS 4

/* What goes into one digest. Zeroed is none. It holds secrets: ssh_derivation_end() wipes them. */
struct ssh_derivation {
	const void *digest; /* which one; NULL: none, or it cannot be a derivation any more */
	enum ssh_hash hash;
	unsigned parts;
	uint16_t k_bytes, h_bytes, id_bytes;
	uint8_t k[SSH_K_MAX_BYTES];
	uint8_t h[SSH_HASH_MAX_BYTES];
	uint8_t session_id[SSH_HASH_MAX_BYTES];
};

/* A digest of @hash begins; one that went before and did not end is forgotten. */
void ssh_derivation_begin(struct ssh_derivation *d, const void *digest, enum ssh_hash hash);
void ssh_derivation_part(struct ssh_derivation *d, const void *digest, struct bytes part);
/*
 * The digest ends. True: it was the derivation of letter A; the views of @ret are of @d, until
 * ssh_derivation_forget(), which the caller owes. Otherwise nothing is left in @d.
 */
bool ssh_derivation_end(struct ssh_derivation *d, const void *digest, struct ssh_keys *ret);
void ssh_derivation_forget(struct ssh_derivation *d);

#endif
