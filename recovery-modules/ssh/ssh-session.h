/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-session: one SSH connection, as it is followed: its transport and what is said in it. The
 * whole of it is a value that can be copied and written down; keys are not in it.
 */
#ifndef SSH_SESSION_H
#define SSH_SESSION_H

#include "ssh-connection.h"
#include "ssh-transport.h"

struct ssh_session {
	struct ssh_transport transport;
	struct ssh_connection connection;
};

void ssh_session_init(struct ssh_session *s);

/* As ssh_transport_take(); what was taken is known to the connection. Why it is refused is in
 * s->transport.refused. */
int ssh_session_take(struct ssh_session *s, const struct ssh_crypto *c, uint32_t dir,
		     struct bytes in, uint8_t *room, struct ssh_packet *ret);

/* A message that was said without being taken: by whoever goes on in the old server's place.
 * Returns SSH_TAKEN_PACKET or SSH_TAKEN_REFUSED. */
int ssh_session_see(struct ssh_session *s, const struct ssh_crypto *c, uint32_t dir,
		    struct bytes payload);

/* Big-endian, with a version in front. */
void ssh_session_write(const struct ssh_session *s, struct writer *w);
/*
 * Reads all of @b. False: it is none, or says what cannot be. The keys are those of before as soon
 * as ssh_session_keys() has asked for them.
 */
bool ssh_session_read(struct bytes b, struct ssh_session *ret);
/* After ssh_session_read(). Outcomes of ssh_transport_settle(). */
int ssh_session_keys(struct ssh_session *s, const struct ssh_crypto *c);

#endif
