/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-server: the server's part of a connection, from the takeover on. What it says is sealed and
 * counted, and is known to the session as what the old server had said is. Key exchanges, begun by
 * either side and cut off anywhere, are gone on with (ssh-kex.c): RFC 4253 sections 7 to 9, RFC
 * 4419, RFC 5656, RFC 8731.
 *
 * While a key exchange is under way nothing else may be said (RFC 4253, section 7.1): try again
 * when the client has said something more.
 */
#ifndef SSH_SERVER_H
#define SSH_SERVER_H

#include "ssh-session.h"

#define SSH_ALGORITHMS_MAX 256u

struct ssh_server {
	struct ssh_session *session;
	struct ssh_crypto crypto;
	struct ssh_sealer sealer;
	struct ssh_begun begun;
	uint8_t *room, *sealed; /* SSH_WIRE_MAX bytes each */
	/* Takes bytes for the client, in their order. */
	void (*send)(void *ctx, struct bytes wire);
	void *ctx;
	/* Random bytes for a KEXINIT: those of the next one. */
	void (*cookie)(void *ctx, uint8_t cookie[SSH_COOKIE]);
	uint8_t host_keys_n;                /* length of host_keys */
	char host_keys[SSH_ALGORITHMS_MAX]; /* algorithms of which there is a key, as a name-list */
};

/* Outcomes. */
enum {
	SSH_SERVER_OK = 0,
	SSH_SERVER_BUSY = 1,    /* a key exchange is under way, or a packet is half said */
	SSH_SERVER_OTHER = 2,   /* the begun packet cannot be that */
	SSH_SERVER_NO_KEY = 3,  /* no host key, no key of the exchange: it cannot be gone on with */
	SSH_SERVER_NOTHING = 4, /* nothing that both can: the exchange has failed */
	SSH_SERVER_ENDED = 5,   /* nothing can be said any more */
};

/*
 * @begun: what was on the wire behind the last whole packet of the old server. The session knows
 * every packet before it. Of @v the caller has set session, crypto, room, sealed, send, ctx and
 * cookie. @begun and @begun_room, which is as long, stay valid until ssh_server_finish().
 */
int ssh_server_init(struct ssh_server *v, struct bytes begun, uint8_t *begun_room);
/* Whether a packet is half said: v->begun tells of it. */
bool ssh_server_half_said(const struct ssh_server *v);
/* Finishes that packet with this payload; sends the rest of it. */
int ssh_server_finish(struct ssh_server *v, struct bytes payload);

/* Says something. */
int ssh_server_say(struct ssh_server *v, struct bytes payload);
/* Begins a key exchange. */
int ssh_server_rekey(struct ssh_server *v);
/*
 * Says what a key exchange wants the server to say now: to be called at the beginning, and after
 * each packet of the client. SSH_SERVER_OK also if that is nothing.
 */
int ssh_server_exchange(struct ssh_server *v);

/* In ssh-kex.c: the next message of the exchange. SSH_SERVER_BUSY: it is the client's turn. */
int ssh_kex_next(struct ssh_server *v, uint8_t *room, size_t cap, size_t *ret_n);

#endif
