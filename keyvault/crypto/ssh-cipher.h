/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-cipher: the packets of one direction of SSH under one set of keys: RFC 4253 sections 6 and
 * 7.2, RFC 4344 (CTR), RFC 5647 as OpenSSH has it (aes*-gcm@openssh.com), RFC 6668, OpenSSH's
 * PROTOCOL (-etm, umac) and PROTOCOL.chacha20poly1305.
 *
 * A packet in clear is length, padding length, payload, padding; on the wire it is as long, and the
 * tag behind it. All ciphers here are streams, so any part of a packet can be read alone.
 *
 * @nonce and @aad say which packet it is:
 *
 *	chacha20-poly1305	nonce: the sequence number	aad: none
 *	aes-gcm			nonce: packets since NEWKEYS	aad: none
 *	aes-ctr, any MAC	nonce: blocks of 16 bytes since	aad: the sequence number, 4 bytes
 *				NEWKEYS
 */
#ifndef KEYVAULT_SSH_CIPHER_H
#define KEYVAULT_SSH_CIPHER_H

#include "keyvault/record/session-keys.h"

#define SSH_TAG_MAX_BYTES 64

enum {
	SSH_CIPHER_OK = 0,
	SSH_CIPHER_UNKNOWN = 1, /* no such cipher, or no such MAC */
	SSH_CIPHER_FORGED = 2,  /* the tag does not prove the packet */
	SSH_CIPHER_USED = 3,    /* it is not the packet behind the one sealed last */
};

struct ssh_cipher;

/*
 * Keys for what the client (@to_server) or the server says. @cipher and @mac are names of
 * RFC 4253; the MAC of a cipher that has its own is not looked at. The MAC's keys and the cipher's
 * are in OpenSSL's memory, and cleared with it. Returns SSH_CIPHER_OK, SSH_CIPHER_UNKNOWN or
 * -ENOMEM.
 */
int ssh_cipher_new(const struct ssh_keys *keys, bool to_server, const char *cipher, const char *mac,
		   struct ssh_cipher **ret);
void ssh_cipher_free(struct ssh_cipher *c);
size_t ssh_cipher_tag_bytes(const struct ssh_cipher *c);

/* A whole packet, and what of it is in clear: @wire less the tag. @out may not overlap it, and is
 * cleared if the packet is forged. Returns SSH_CIPHER_OK, SSH_CIPHER_FORGED or -ENOMEM. */
int ssh_cipher_open(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes wire,
		    uint8_t *out);
/* A part of a packet, from its byte @off on, the tag excluded. It proves nothing. 0 or -ENOMEM. */
int ssh_cipher_peek(struct ssh_cipher *c, uint64_t nonce, uint64_t off, struct bytes wire,
		    uint8_t *out);
/*
 * The packet in clear, and on the wire: @plain and the tag. @out may not overlap it. After the
 * first one, only the packet behind the one sealed last is sealed. Returns SSH_CIPHER_OK,
 * SSH_CIPHER_USED or -ENOMEM.
 */
int ssh_cipher_seal(struct ssh_cipher *c, uint64_t nonce, struct bytes aad, struct bytes plain,
		    uint8_t *out);

#endif
