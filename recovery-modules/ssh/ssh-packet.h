/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-packet: packets of one direction, read and sealed (RFC 4253, section 6).
 *
 * Sealing is in one function, which uses each number once and counts on. Where the old server's
 * last packet was on the wire in part, that packet is sealed first, and only if every byte that was
 * there comes out again: no packet number ever has two contents.
 */
#ifndef SSH_PACKET_H
#define SSH_PACKET_H

#include "ssh-crypto.h"
#include "ssh-suite.h"
#include "ssh-wire.h"

/* One direction: what its next packet looks like. */
struct ssh_half {
	struct ssh_suite suite;
	uint32_t key; /* 0: packets are in clear */
	struct ssh_number next;
};

#define SSH_HALF_INIT ((struct ssh_half){.suite = SSH_SUITE_PLAIN})

/* Outcomes of reading. */
enum {
	SSH_PACKET_OK = 0,
	SSH_PACKET_MORE = 1,      /* it is not all there */
	SSH_PACKET_MALFORMED = 2, /* a length that cannot be */
	SSH_PACKET_FORGED = 3,    /* the tag does not prove it */
	SSH_PACKET_FAILED = 4,    /* the keys are gone, or no memory */
};

struct ssh_packet {
	struct bytes payload; /* in @room, or of @wire if it is in clear */
	size_t wire_n;        /* bytes of it on the wire */
	uint32_t seq;
};

/*
 * Reads the packet at the beginning of @wire. @room: SSH_WIRE_MAX bytes. On SSH_PACKET_OK the
 * direction has moved on; on SSH_PACKET_MORE ret->wire_n is how many bytes @wire needs at least.
 */
int ssh_packet_open(struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		    uint8_t *room, struct ssh_packet *ret);

/* A packet of which only the beginning was on the wire. */
struct ssh_begun {
	struct bytes wire;    /* its beginning; empty: there is none */
	struct bytes plain;   /* the same in clear, without what of the tag is there */
	uint32_t length;      /* of the length field; 0: not all of it was there */
	uint8_t padding;      /* 0: not known */
	struct bytes payload; /* what is known of it */
};

/* @room: at least as long as @wire. Outcomes as above, without SSH_PACKET_MORE. */
int ssh_begun_read(const struct ssh_half *h, const struct ssh_crypto *c, struct bytes wire,
		   uint8_t *room, struct ssh_begun *ret);

/*
 * How long the payload of the begun packet may be: from *ret_min to *ret_max, both included. A
 * length between them may still not be possible: ssh_begun_packs(). False: there is none.
 */
bool ssh_begun_payload(const struct ssh_half *h, const struct ssh_begun *b, uint32_t *ret_min,
		       uint32_t *ret_max);

/* Whether a payload of @n bytes, with a padding that goes, can be the begun packet. */
bool ssh_begun_packs(const struct ssh_half *h, const struct ssh_begun *b, size_t n);

/* Outcomes of sealing. */
enum {
	SSH_SEAL_OK = 0,
	SSH_SEAL_OTHER = 1,  /* it does not begin with what was on the wire */
	SSH_SEAL_BEGUN = 2,  /* the begun packet comes first */
	SSH_SEAL_ROOM = 3,   /* it is too long */
	SSH_SEAL_FAILED = 4, /* the keys are gone, or no memory: this direction has ended */
};

/* What seals: one direction, from the takeover on. */
struct ssh_sealer {
	struct ssh_half half;
	uint8_t state; /* enum ssh_sealer_state */
};

/* @begun_n: bytes of the next packet that were on the wire. */
void ssh_sealer_init(struct ssh_sealer *s, const struct ssh_half *half, size_t begun_n);

/* Bytes that ssh_seal() writes at most for a payload of @n. */
#define SSH_SEALED_MAX(n) ((n) + 5u + 255u + SSH_TAG_MAX)

/*
 * Seals the next packet: @out gets it as it goes on the wire. @room, for the packet in clear, is as
 * long as @out, at least SSH_SEALED_MAX(payload.n). Nothing happens unless SSH_SEAL_OK.
 */
int ssh_seal(struct ssh_sealer *s, const struct ssh_crypto *c, struct bytes payload, uint8_t *room,
	     uint8_t *out, size_t *ret_n);
/*
 * The packet that was begun, with this payload: @out gets all of it, which begins with what was on
 * the wire; only the rest is to be sent. @room, @out: SSH_WIRE_MAX bytes.
 */
int ssh_seal_begun(struct ssh_sealer *s, const struct ssh_crypto *c, const struct ssh_begun *b,
		   struct bytes payload, uint8_t *room, uint8_t *out, size_t *ret_n);
/* Behind NEWKEYS of this direction: new keys. */
void ssh_sealer_newkeys(struct ssh_sealer *s, const struct ssh_suite *suite, uint32_t key,
			bool strict);

#endif
