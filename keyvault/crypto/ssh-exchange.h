/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-exchange: the server's part of a key exchange of SSH: RFC 4253 section 8 (groups 14, 16 and
 * 18 of RFC 3526 with the hashes of RFC 8268), RFC 4419 (group exchange), RFC 5656 (ECDH), RFC 8731
 * (curve25519).
 */
#ifndef KEYVAULT_SSH_EXCHANGE_H
#define KEYVAULT_SSH_EXCHANGE_H

#include "keyvault/record/session-keys.h"

enum {
	SSH_EXCHANGE_OK = 0,
	SSH_EXCHANGE_UNKNOWN = 1,  /* no such method */
	SSH_EXCHANGE_UNLAWFUL = 2, /* the client's value, or the group */
};

/* A secret: the caller clears it. */
struct ssh_exchange_secret {
	enum ssh_hash hash;
	size_t k_n;
	uint8_t k[SSH_K_MAX_BYTES]; /* as it is hashed: an mpint, with its length */
};

/*
 * Makes a key for this exchange alone, and K with it. @p, @g: of a group exchange, else empty.
 * @peer: the client's public value; @out gets the server's. A point or a number as it is, without
 * a length. Returns an outcome, -ENOBUFS (@cap) or -ENOMEM.
 */
int ssh_exchange_make(const char *method, struct bytes p, struct bytes g, struct bytes peer,
		      struct ssh_exchange_secret *ret, uint8_t *out, size_t cap, size_t *ret_n);
/*
 * The client's part, of a method with points (curve25519, ECDH): first its own value, then K from
 * the server's. The half is a secret; it may be NULL when it is freed.
 */
struct ssh_exchange_half;
int ssh_exchange_begin(const char *method, struct ssh_exchange_half **ret, uint8_t *out, size_t cap,
		       size_t *ret_n);
int ssh_exchange_end(const struct ssh_exchange_half *h, struct bytes peer,
		     struct ssh_exchange_secret *ret);
void ssh_exchange_half_free(struct ssh_exchange_half *h);
/* H: the hash of @head and K. @out: SSH_HASH_MAX_BYTES. 0 or -ENOMEM. */
int ssh_exchange_hash(const struct ssh_exchange_secret *s, struct bytes head, uint8_t *out,
		      size_t *ret_n);
/* The safe prime of RFC 3526 that fits best; its generator is 2. False: none does. */
bool ssh_exchange_group(uint32_t min, uint32_t n, uint32_t max, uint8_t *out, size_t cap,
			size_t *ret_n);

#endif
