/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-session.h"

void ssh_session_init(struct ssh_session *s)
{
	ssh_transport_init(&s->transport);
	s->connection = (struct ssh_connection){0};
}

static int see(struct ssh_session *s, uint32_t dir, struct bytes payload)
{
	enum ssh_reason reason = ssh_connection_see(&s->connection, dir, payload);

	if (reason == SSH_REASON_NONE)
		return SSH_TAKEN_PACKET;
	s->transport.refused = (uint8_t)reason;
	return SSH_TAKEN_REFUSED;
}

int ssh_session_take(struct ssh_session *s, const struct ssh_crypto *c, uint32_t dir,
		     struct bytes in, uint8_t *room, struct ssh_packet *ret)
{
	int r = ssh_transport_take(&s->transport, c, dir, in, room, ret);

	return r == SSH_TAKEN_PACKET ? see(s, dir, ret->payload) : r;
}

int ssh_session_see(struct ssh_session *s, const struct ssh_crypto *c, uint32_t dir,
		    struct bytes payload)
{
	int r = ssh_transport_see(&s->transport, c, dir, payload);

	return r == SSH_TAKEN_PACKET ? see(s, dir, payload) : r;
}

int ssh_session_keys(struct ssh_session *s, const struct ssh_crypto *c)
{
	struct ssh_transport *t = &s->transport;

	for (uint32_t dir = 0; dir < 2; dir++) {
		struct ssh_half *h = &t->half[dir];

		if (h->suite.layout == SSH_LAYOUT_PLAIN || h->key)
			continue;
		const struct ssh_key_spec spec = {
			/* Behind NEWKEYS the keys before are still in use. */
			.exchange = t->generation[dir] - 1 - (t->phase[dir] == SSH_PHASE_NEWKEYS),
			.dir = dir,
			.cipher = ssh_suite_cipher(&h->suite),
			.mac = ssh_suite_mac(&h->suite),
		};

		switch (c->ops->derive(c->k, &spec, &h->key)) {
		case SSH_CRYPTO_OK:
			break;
		case SSH_CRYPTO_NO_KEY:
			return SSH_TAKEN_KEYS;
		default:
			t->refused = SSH_REASON_KEYS_FAILED;
			return SSH_TAKEN_REFUSED;
		}
	}
	return ssh_transport_settle(t, c);
}
