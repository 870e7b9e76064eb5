/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-client: the client's part of a connection to the backup, an ordinary sshd: versions, key
 * exchanges (curve25519, ECDH), proof that it has a host key of the service, login by a
 * certificate. Then whoever uses it says what he wants. Pure, with the same packets, transport and
 * connection as everything here.
 */
#ifndef SSH_CLIENT_H
#define SSH_CLIENT_H

#include "ssh-session.h"

enum ssh_client_stage {
	SSH_CLIENT_VERSIONS = 0,
	SSH_CLIENT_KEYS,
	SSH_CLIENT_SERVICE,
	SSH_CLIENT_LOGIN,
	SSH_CLIENT_READY,
	SSH_CLIENT_FAILED,
};

struct ssh_client {
	struct ssh_session *session; /* of this connection: JEEBS_TO_SERVER is what we say */
	struct ssh_crypto crypto;
	struct ssh_sealer sealer;
	uint8_t *room, *sealed; /* as long as what is said needs, SSH_SEALED_MAX() */
	void (*send)(void *ctx, struct bytes wire);
	void *ctx;
	void (*cookie)(void *ctx, uint8_t cookie[SSH_COOKIE]);
	struct bytes user;
	uint8_t stage;       /* enum ssh_client_stage */
	const char *failed;  /* why; static text */
	char host_keys[256]; /* algorithms by which the backup may prove itself */
	uint8_t value_n;     /* our public value of the exchange under way */
	uint8_t value[160];
	uint8_t id_n; /* the session's id */
	uint8_t id[SSH_HASH_MAX];
};

/* Of @v the caller has set session, crypto, room, sealed, send, ctx, cookie and user. */
bool ssh_client_begin(struct ssh_client *v);
/*
 * What the transport and the login want of a packet of the backup, which the session has taken.
 * True: it was for them. False: it is for whoever uses this, or v->stage is SSH_CLIENT_FAILED.
 */
bool ssh_client_see(struct ssh_client *v, struct bytes payload);
/* After a version line. */
void ssh_client_line(struct ssh_client *v);
/* Says something. False: not now, keys are exchanged; or v->stage is SSH_CLIENT_FAILED. */
bool ssh_client_say(struct ssh_client *v, struct bytes payload);

#endif
