/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-suite: how the packets of one direction look: RFC 4253 section 6, OpenSSH's PROTOCOL 1.5 and
 * 1.6, PROTOCOL.chacha20poly1305; and which number a packet has for its cipher.
 *
 *	layout		length		block counts	tag over
 *	plain		in clear	from the length	-
 *	chacha		under K_1	behind it	what is on the wire
 *	gcm		in clear	behind it	what is on the wire
 *	etm		in clear	behind it	what is on the wire
 *	mte		as the rest	from the length	what is in clear
 */
#ifndef SSH_SUITE_H
#define SSH_SUITE_H

#include "base/bytes.h"

enum ssh_layout {
	SSH_LAYOUT_PLAIN = 0,
	SSH_LAYOUT_CHACHA,
	SSH_LAYOUT_GCM,
	SSH_LAYOUT_ETM,
	SSH_LAYOUT_MTE,
};

struct ssh_suite {
	uint8_t layout; /* enum ssh_layout */
	uint8_t cipher; /* indices of names, see ssh_suite_cipher() */
	uint8_t mac;
	uint8_t block;
	uint8_t tag;
};

/* The packets before the first NEWKEYS. */
#define SSH_SUITE_PLAIN ((struct ssh_suite){.layout = SSH_LAYOUT_PLAIN, .block = 8})

/* False: there is no such cipher or MAC here. The MAC of a cipher that has its own is ignored. */
bool ssh_suite_find(struct bytes cipher, struct bytes mac, struct ssh_suite *ret);
/* From a checkpoint. */
bool ssh_suite_of(uint8_t cipher, uint8_t mac, struct ssh_suite *ret);
const char *ssh_suite_cipher(const struct ssh_suite *s);
const char *ssh_suite_mac(const struct ssh_suite *s); /* "": the cipher has its own */

/* Bytes of a packet that tell its length. */
static inline size_t ssh_suite_head(const struct ssh_suite *s)
{
	return s->layout == SSH_LAYOUT_MTE ? s->block : 4;
}

/* Bytes in front that do not count for the multiple of the block. */
static inline size_t ssh_suite_apart(const struct ssh_suite *s)
{
	return s->layout == SSH_LAYOUT_PLAIN || s->layout == SSH_LAYOUT_MTE ? 0 : 4;
}

/* Counters of one direction. */
struct ssh_number {
	uint32_t seq;     /* RFC 4253, section 6.4; strict key exchange: since NEWKEYS */
	uint64_t packets; /* since NEWKEYS */
	uint64_t blocks;  /* of 16 bytes, since NEWKEYS */
};

/* What says to the cipher which packet it is. */
struct ssh_nonce {
	uint64_t nonce;
	uint8_t aad[4];
	uint8_t aad_n;
};

struct ssh_nonce ssh_number_of(const struct ssh_suite *s, const struct ssh_number *n);
/* Past a packet whose length field is @length. */
void ssh_number_next(const struct ssh_suite *s, struct ssh_number *n, uint32_t length);
/* Past NEWKEYS. */
void ssh_number_newkeys(struct ssh_number *n, bool strict);

#endif
