/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-host-key: a server's private key, as ssh-keygen writes it (OpenSSH's PROTOCOL.key, without a
 * passphrase), and signatures with it: RFC 8709 (ed25519), RFC 5656 (ECDSA), RFC 8332 (RSA).
 */
#ifndef KEYVAULT_SSH_HOST_KEY_H
#define KEYVAULT_SSH_HOST_KEY_H

#include "base/bytes.h"

struct ssh_host_key;

enum {
	SSH_HOST_KEY_OK = 0,
	SSH_HOST_KEY_MALFORMED = 1, /* it is no such key */
	SSH_HOST_KEY_ENCRYPTED = 2, /* it has a passphrase */
	SSH_HOST_KEY_ALGORITHM =
		3, /* of a kind that is not known; or another one than this key's */
};

/* @file: the text of the file. An outcome or -ENOMEM. */
int ssh_host_key_read(struct bytes file, struct ssh_host_key **ret);
/* A new one, ed25519. */
int ssh_host_key_new(struct ssh_host_key **ret);
void ssh_host_key_free(struct ssh_host_key *k);
/* K_S of RFC 4253, section 8; valid as long as the key. */
struct bytes ssh_host_key_public(const struct ssh_host_key *k);
/* Whether it signs by @algorithm: ssh-ed25519, ecdsa-sha2-nistp256 ..., rsa-sha2-256, rsa-sha2-512.
 */
bool ssh_host_key_can(const struct ssh_host_key *k, const char *algorithm);
/* The signature blob: algorithm and signature, each a string. An outcome, -ENOBUFS or -ENOMEM. */
int ssh_host_key_sign(const struct ssh_host_key *k, const char *algorithm, struct bytes data,
		      uint8_t *out, size_t cap, size_t *ret_n);
/* Whether @signature, such a blob, is one over @data with this key, by an algorithm it can. */
bool ssh_host_key_proves(const struct ssh_host_key *k, struct bytes data, struct bytes signature);

/* What a service has for its sessions. The owner frees the keys. */
#define SSH_HOST_KEYS_MAX 8u
struct ssh_identity {
	uint32_t host_keys;
	struct ssh_host_key *host_key[SSH_HOST_KEYS_MAX];
	struct ssh_host_key *user_ca; /* NULL: none */
};

#endif
