/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-transport: both directions of an SSH connection, followed (RFC 4253): version lines, key
 * exchanges, the first and later ones, new keys in each direction behind its NEWKEYS. Pure: bytes
 * are given to it, keys are asked for.
 *
 * Of a key exchange that is under way everything is kept with which a server can finish it.
 */
#ifndef SSH_TRANSPORT_H
#define SSH_TRANSPORT_H

#include "ssh-kexinit.h"
#include "ssh-packet.h"
#include "ssh-reason.h"

#define SSH_KEX_MESSAGE_MAX 2048u /* ML-KEM's public value has 1,216 bytes */

enum ssh_phase {
	SSH_PHASE_VERSION = 0,
	SSH_PHASE_PACKETS,
	SSH_PHASE_NEWKEYS, /* NEWKEYS has passed: what follows is under keys to be derived */
	SSH_PHASE_OVER,    /* SSH_MSG_DISCONNECT has passed */
};

struct ssh_kept {
	uint16_t n;
	uint8_t p[SSH_KEXINIT_MAX];
};

struct ssh_kex_message {
	uint16_t n; /* 0: it has not been sent */
	uint8_t p[SSH_KEX_MESSAGE_MAX];
};

/* A key exchange that is under way, from the first KEXINIT to the second NEWKEYS. */
struct ssh_exchange {
	bool init[2];                   /* the KEXINIT of this direction has passed */
	struct ssh_kex_message request; /* group exchange: what the client asked for */
	struct ssh_kex_message group;   /* and the server's group */
	struct ssh_kex_message client;  /* the client's public value */
	bool replied;                   /* the server's public value and signature have passed */
	bool newkeys[2];                /* the new keys of this direction are in use */
	bool early[2];                  /* a guess has passed before the other side's KEXINIT */
	bool skip[2];                   /* a wrong guess comes next */
};

struct ssh_transport {
	struct ssh_half half[2];
	uint8_t phase[2];       /* enum ssh_phase */
	uint32_t generation[2]; /* NEWKEYS seen */
	bool strict;            /* both first KEXINITs named it */
	uint8_t lines;          /* of the server, before its version */
	uint16_t version_n[2];
	uint8_t version[2][SSH_VERSION_MAX]; /* without line end */
	struct ssh_exchange kex;
	struct ssh_kept init[2]; /* the newest KEXINIT of each direction */
	uint8_t refused;         /* enum ssh_reason; 0: it is followed */
};

void ssh_transport_init(struct ssh_transport *t);

/* Outcomes of taking. */
enum {
	SSH_TAKEN_PACKET = 0,  /* *ret is it, ret->wire_n bytes were used */
	SSH_TAKEN_LINE = 1,    /* a line before the packets; ret->wire_n bytes were used */
	SSH_TAKEN_MORE = 2,    /* nothing was used; it needs at least ret->wire_n bytes */
	SSH_TAKEN_KEYS = 3,    /* nothing was used; the keys have not come */
	SSH_TAKEN_REFUSED = 4, /* t->refused says why: it cannot be followed any more */
	SSH_TAKEN_OVER = 5,    /* what comes behind a DISCONNECT */
};

/*
 * Takes what comes next from the front of @in, which are the bytes of direction @dir from where the
 * last one ended. @room: SSH_WIRE_MAX bytes; the packet is there until the next call.
 */
int ssh_transport_take(struct ssh_transport *t, const struct ssh_crypto *c, uint32_t dir,
		       struct bytes in, uint8_t *room, struct ssh_packet *ret);

/* What a message that has passed in direction @dir changes. SSH_TAKEN_PACKET or _REFUSED. */
int ssh_transport_see(struct ssh_transport *t, const struct ssh_crypto *c, uint32_t dir,
		      struct bytes payload);

/*
 * Begins to use new keys where NEWKEYS has passed. SSH_TAKEN_PACKET: nothing is waited for;
 * SSH_TAKEN_KEYS: keys have not come; SSH_TAKEN_REFUSED.
 */
int ssh_transport_settle(struct ssh_transport *t, const struct ssh_crypto *c);

/* Whether a key exchange has begun and is not done. */
static inline bool ssh_transport_exchanging(const struct ssh_transport *t)
{
	return t->kex.init[0] || t->kex.init[1];
}

/* What the newest KEXINITs agree on; the views point into @t. An outcome of ssh_kexinit_agree(). */
int ssh_transport_agreed(const struct ssh_transport *t, struct ssh_agreed *ret);

#endif
