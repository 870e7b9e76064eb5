/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-server.h"

#include "jeebs/recovery-module.h"

#define DIR           JEEBS_TO_CLIENT
#define KEX_BYTES_MAX 8192u /* two values and a signature of 8,192 bits, and K_S */

/* In the order in which a server prefers them. */
static const char *const host_key_algorithms[] = {
	"ssh-ed25519",         "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384",
	"ecdsa-sha2-nistp521", "rsa-sha2-512",        "rsa-sha2-256",
};

static void learn_host_keys(struct ssh_server *v)
{
	struct writer w = WRITER_IN((uint8_t *)v->host_keys);
	uint8_t room[4096];
	size_t n;

	w.room = sizeof v->host_keys;
	for (size_t i = 0; i < sizeof host_key_algorithms / sizeof *host_key_algorithms; i++) {
		const char *it = host_key_algorithms[i];

		if (!v->crypto.ops->host_key ||
		    v->crypto.ops->host_key(v->crypto.k, it, room, sizeof room, &n) !=
			    SSH_CRYPTO_OK)
			continue;
		if (writer_pos(&w) > 0)
			writer_u8(&w, ',');
		writer_bytes(&w, bytes_str(it));
	}
	v->host_keys_n = (uint8_t)writer_pos(&w);
	v->host_keys[v->host_keys_n] = 0;
}

int ssh_server_init(struct ssh_server *v, struct bytes begun, uint8_t *begun_room)
{
	struct ssh_transport *t = &v->session->transport;

	learn_host_keys(v);
	if (t->refused || t->phase[DIR] == SSH_PHASE_OVER)
		return SSH_SERVER_ENDED;
	if (ssh_transport_settle(t, &v->crypto) != SSH_TAKEN_PACKET)
		return SSH_SERVER_NO_KEY;
	ssh_sealer_init(&v->sealer, &t->half[DIR], begun.n);
	if (ssh_begun_read(&t->half[DIR], &v->crypto, begun, begun_room, &v->begun) !=
	    SSH_PACKET_OK)
		return SSH_SERVER_ENDED;
	return SSH_SERVER_OK;
}

bool ssh_server_half_said(const struct ssh_server *v)
{
	return v->begun.wire.n > 0;
}

/* What was sealed is said: the session sees it, and new keys behind NEWKEYS are the sealer's. */
static int said(struct ssh_server *v, struct bytes payload)
{
	struct ssh_transport *t = &v->session->transport;

	t->half[DIR] = v->sealer.half;
	if (ssh_session_see(v->session, &v->crypto, DIR, payload) == SSH_TAKEN_REFUSED)
		return SSH_SERVER_ENDED;
	if (payload.p[0] != SSH_MSG_NEWKEYS)
		return SSH_SERVER_OK;
	if (t->phase[DIR] == SSH_PHASE_NEWKEYS)
		return SSH_SERVER_NO_KEY;
	ssh_sealer_newkeys(&v->sealer, &t->half[DIR].suite, t->half[DIR].key, t->strict);
	return SSH_SERVER_OK;
}

int ssh_server_finish(struct ssh_server *v, struct bytes payload)
{
	size_t n = 0;

	switch (ssh_seal_begun(&v->sealer, &v->crypto, &v->begun, payload, v->room, v->sealed,
			       &n)) {
	case SSH_SEAL_OK:
		break;
	case SSH_SEAL_OTHER:
		return SSH_SERVER_OTHER;
	default:
		return SSH_SERVER_ENDED;
	}
	v->send(v->ctx, bytes_from(bytes_of(v->sealed, n), v->begun.wire.n));
	v->begun = (struct ssh_begun){0};
	return said(v, payload);
}

static int say_now(struct ssh_server *v, struct bytes payload)
{
	size_t n = 0;

	switch (ssh_seal(&v->sealer, &v->crypto, payload, v->room, v->sealed, &n)) {
	case SSH_SEAL_OK:
		break;
	case SSH_SEAL_BEGUN:
		return SSH_SERVER_BUSY;
	default:
		return SSH_SERVER_ENDED;
	}
	v->send(v->ctx, bytes_of(v->sealed, n));
	return said(v, payload);
}

int ssh_server_say(struct ssh_server *v, struct bytes payload)
{
	const struct ssh_exchange *k = &v->session->transport.kex;

	/* Between our KEXINIT and our NEWKEYS; a farewell goes always. */
	if (k->init[DIR] && !k->newkeys[DIR] && payload.p[0] != SSH_MSG_DISCONNECT)
		return SSH_SERVER_BUSY;
	return say_now(v, payload);
}

int ssh_server_exchange(struct ssh_server *v)
{
	uint8_t payload[KEX_BYTES_MAX];
	size_t n = 0;
	int r = ssh_server_half_said(v) ? SSH_SERVER_BUSY : SSH_SERVER_OK;

	while (r == SSH_SERVER_OK) {
		r = ssh_kex_next(v, payload, sizeof payload, &n);
		if (r == SSH_SERVER_OK)
			r = say_now(v, bytes_of(payload, n));
	}
	return r == SSH_SERVER_BUSY ? SSH_SERVER_OK : r;
}
