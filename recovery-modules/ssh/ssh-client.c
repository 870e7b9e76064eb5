/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-client.h"

#include "jeebs/recovery-module.h"

#define OURS                    JEEBS_TO_SERVER
#define THEIRS                  JEEBS_TO_CLIENT
#define BLOB_MAX                4096u
#define HEAD_MAX                16384u
#define SSH_MSG_USERAUTH_BANNER 53
#define CERTIFICATE             "ssh-ed25519-cert-v01@openssh.com"

static const char version[] = "SSH-2.0-jeebs";
static const char methods[] = "curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,"
			      "ecdh-sha2-nistp384,ecdh-sha2-nistp521,"
			      "kex-strict-c-v00@openssh.com";
static const char ciphers[] = "aes128-gcm@openssh.com,aes256-gcm@openssh.com,"
			      "chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr";
static const char macs[] = "hmac-sha2-256-etm@openssh.com,hmac-sha2-512-etm@openssh.com,"
			   "umac-128-etm@openssh.com,hmac-sha2-256,hmac-sha2-512";

static bool fail(struct ssh_client *v, const char *why)
{
	if (v->stage != SSH_CLIENT_FAILED)
		v->failed = why;
	v->stage = SSH_CLIENT_FAILED;
	return false;
}

static bool say_now(struct ssh_client *v, struct bytes payload)
{
	struct ssh_transport *t = &v->session->transport;
	size_t n = 0;

	if (ssh_seal(&v->sealer, &v->crypto, payload, v->room, v->sealed, &n) != SSH_SEAL_OK)
		return fail(v, "backup-not-sealed");
	v->send(v->ctx, bytes_of(v->sealed, n));
	t->half[OURS] = v->sealer.half;
	if (ssh_session_see(v->session, &v->crypto, OURS, payload) == SSH_TAKEN_REFUSED)
		return fail(v, "backup-malformed");
	if (payload.p[0] != SSH_MSG_NEWKEYS)
		return true;
	if (t->phase[OURS] == SSH_PHASE_NEWKEYS)
		return fail(v, "backup-keys-failed");
	ssh_sealer_newkeys(&v->sealer, &t->half[OURS].suite, t->half[OURS].key, t->strict);
	return true;
}

bool ssh_client_say(struct ssh_client *v, struct bytes payload)
{
	const struct ssh_exchange *k = &v->session->transport.kex;

	if (v->stage == SSH_CLIENT_FAILED || (k->init[OURS] && !k->newkeys[OURS]))
		return false;
	return say_now(v, payload);
}

/* ---- key exchanges -------------------------------------------------------------------------- */

/* Those of which the service has a key, so that the backup can be known by it. */
static void learn_host_keys(struct ssh_client *v)
{
	static const char *const names[] = {"ssh-ed25519",         "ecdsa-sha2-nistp256",
					    "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521",
					    "rsa-sha2-512",        "rsa-sha2-256"};
	struct writer w = writer_init((uint8_t *)v->host_keys, sizeof v->host_keys - 1);
	uint8_t room[2200];
	size_t n;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (v->crypto.ops->host_key(v->crypto.k, names[i], room, sizeof room, &n) !=
		    SSH_CRYPTO_OK)
			continue;
		if (writer_pos(&w) > 0)
			writer_u8(&w, ',');
		writer_bytes(&w, bytes_str(names[i]));
	}
	v->host_keys[writer_pos(&w)] = 0;
}

static bool say_kexinit(struct ssh_client *v)
{
	const char *const lists[SSH_LISTS] = {methods, v->host_keys, ciphers, ciphers, macs,
					      macs,    "none",       "none",  "",      ""};
	const struct ssh_kexinit none = {0};
	uint8_t room[SSH_KEXINIT_MAX], cookie[SSH_COOKIE];
	struct writer w = WRITER_IN(room);

	v->cookie(v->ctx, cookie);
	ssh_kexinit_write(&w, &none, lists, cookie);
	return say_now(v, writer_view(&w));
}

static bool word(struct bytes b, char *out, size_t size)
{
	if (b.n >= size)
		return false;
	memcpy(out, b.p, b.n);
	out[b.n] = 0;
	return true;
}

static bool agreed_method(struct ssh_client *v, char method[64])
{
	struct ssh_agreed agreed;

	return ssh_transport_agreed(&v->session->transport, &agreed) == SSH_AGREED &&
	       word(agreed.kex, method, 64);
}

/* Both lists are there: our value. */
static bool say_value(struct ssh_client *v)
{
	uint8_t room[1 + 4 + sizeof v->value];
	struct writer w = WRITER_IN(room);
	char method[64];
	size_t n = 0;

	if (!agreed_method(v, method))
		return fail(v, "backup-nothing-agreed");
	if (v->crypto.ops->exchange(v->crypto.k, v->session->transport.generation[OURS], method,
				    BYTES_NONE, BYTES_NONE, BYTES_NONE, v->value, sizeof v->value,
				    &n) != SSH_CRYPTO_OK)
		return fail(v, "backup-keys-failed");
	v->value_n = (uint8_t)n;
	writer_u8(&w, SSH_MSG_KEX_FIRST);
	ssh_put_string(&w, bytes_of(v->value, n));
	return say_now(v, writer_view(&w));
}

/* The server's value, and that it has a host key of the service. */
static bool take_reply(struct ssh_client *v, struct bytes payload)
{
	const struct ssh_transport *t = &v->session->transport;
	const struct ssh_crypto_ops *ops = v->crypto.ops;
	uint32_t number = t->generation[OURS];
	uint8_t head[HEAD_MAX], h[SSH_HASH_MAX];
	struct writer w = WRITER_IN(head);
	struct reader r = reader_init(payload);
	size_t n = 0;
	char method[64];

	reader_skip(&r, 1);
	struct bytes k_s = ssh_string(&r), value = ssh_string(&r), signature = ssh_string(&r);

	if (!reader_ok(&r) || value.n == 0 || v->value_n == 0 || !agreed_method(v, method))
		return fail(v, "backup-malformed");
	for (int i = 0; i < 2; i++)
		ssh_put_string(&w, bytes_of(t->version[i], t->version_n[i]));
	for (int i = 0; i < 2; i++)
		ssh_put_string(&w, bytes_of(t->init[i].p, t->init[i].n));
	ssh_put_string(&w, k_s);
	ssh_put_string(&w, bytes_of(v->value, v->value_n));
	ssh_put_string(&w, value);
	v->value_n = 0;
	if (!writer_ok(&w) ||
	    ops->exchange(v->crypto.k, number, method, BYTES_NONE, BYTES_NONE, value, NULL, 0,
			  &n) != SSH_CRYPTO_OK ||
	    ops->exchange_hash(v->crypto.k, number, writer_view(&w), h, &n) != SSH_CRYPTO_OK)
		return fail(v, "backup-keys-failed");
	if (ops->prove(v->crypto.k, k_s, bytes_of(h, n), signature) != SSH_CRYPTO_OK)
		return fail(v, "backup-host-key");
	if (v->id_n == 0) {
		memcpy(v->id, h, n);
		v->id_n = (uint8_t)n;
	}
	return say_now(v, bytes_of((const uint8_t[]){SSH_MSG_NEWKEYS}, 1));
}

/* ---- the login ------------------------------------------------------------------------------ */

static bool say_service(struct ssh_client *v)
{
	uint8_t room[32];
	struct writer w = WRITER_IN(room);

	writer_u8(&w, SSH_MSG_SERVICE_REQUEST);
	ssh_put_word(&w, "ssh-userauth");
	v->stage = SSH_CLIENT_SERVICE;
	return say_now(v, writer_view(&w));
}

/* RFC 4252, section 7. */
static bool say_login(struct ssh_client *v)
{
	uint8_t blob[BLOB_MAX], signature[256], room[BLOB_MAX + 1024];
	struct writer w = WRITER_IN(room);
	size_t blob_n = 0, n = 0;

	if (v->crypto.ops->certificate(v->crypto.k, v->user, blob, sizeof blob, &blob_n) !=
	    SSH_CRYPTO_OK)
		return fail(v, "ssh-no-user-ca");
	ssh_put_string(&w, bytes_of(v->id, v->id_n));
	size_t begin = writer_pos(&w);

	writer_u8(&w, SSH_MSG_USERAUTH_REQUEST);
	ssh_put_string(&w, v->user);
	ssh_put_word(&w, "ssh-connection");
	ssh_put_word(&w, "publickey");
	writer_u8(&w, 1);
	ssh_put_word(&w, CERTIFICATE);
	ssh_put_string(&w, bytes_of(blob, blob_n));
	if (!writer_ok(&w) ||
	    v->crypto.ops->certificate_sign(v->crypto.k, writer_view(&w), signature,
					    sizeof signature, &n) != SSH_CRYPTO_OK)
		return fail(v, "ssh-no-user-ca");
	ssh_put_string(&w, bytes_of(signature, n));
	v->stage = SSH_CLIENT_LOGIN;
	return writer_ok(&w) && say_now(v, bytes_from(writer_view(&w), begin));
}

/* ---- what comes ----------------------------------------------------------------------------- */

bool ssh_client_begin(struct ssh_client *v)
{
	struct ssh_transport *t = &v->session->transport;

	learn_host_keys(v);
	memcpy(t->version[OURS], version, sizeof version - 1);
	t->version_n[OURS] = sizeof version - 1;
	t->phase[OURS] = SSH_PHASE_PACKETS;
	ssh_sealer_init(&v->sealer, &t->half[OURS], 0);
	v->send(v->ctx, bytes_str(version));
	v->send(v->ctx, bytes_str("\r\n"));
	v->stage = SSH_CLIENT_VERSIONS;
	return true;
}

void ssh_client_line(struct ssh_client *v)
{
	if (v->stage != SSH_CLIENT_VERSIONS ||
	    v->session->transport.phase[THEIRS] == SSH_PHASE_VERSION)
		return;
	v->stage = SSH_CLIENT_KEYS;
	say_kexinit(v);
}

static void see_exchange(struct ssh_client *v, struct bytes payload)
{
	const struct ssh_exchange *k = &v->session->transport.kex;

	switch (payload.p[0]) {
	case SSH_MSG_KEXINIT:
		if ((k->init[OURS] || say_kexinit(v)) && k->init[OURS])
			say_value(v);
		return;
	case SSH_MSG_NEWKEYS:
		if (v->session->transport.phase[THEIRS] == SSH_PHASE_NEWKEYS)
			fail(v, "backup-keys-failed");
		else if (v->stage == SSH_CLIENT_KEYS)
			say_service(v);
		return;
	case SSH_MSG_KEX_FIRST + 1:
		take_reply(v, payload);
		return;
	default:
		return; /* a guess that was wrong, or nothing that we have asked for */
	}
}

static void see_login(struct ssh_client *v, struct bytes payload)
{
	switch (payload.p[0]) {
	case SSH_MSG_SERVICE_ACCEPT:
		if (v->stage == SSH_CLIENT_SERVICE)
			say_login(v);
		return;
	case SSH_MSG_USERAUTH_SUCCESS:
		if (v->stage == SSH_CLIENT_LOGIN)
			v->stage = SSH_CLIENT_READY;
		return;
	case SSH_MSG_USERAUTH_FAILURE:
		fail(v, "backup-login-refused");
		return;
	default:
		return; /* a banner */
	}
}

bool ssh_client_see(struct ssh_client *v, struct bytes payload)
{
	uint8_t number = payload.p[0];

	if (v->stage == SSH_CLIENT_FAILED)
		return false;
	if (number >= SSH_MSG_KEXINIT && number <= SSH_MSG_KEX_LAST)
		see_exchange(v, payload);
	else if (v->stage < SSH_CLIENT_READY && number >= SSH_MSG_SERVICE_REQUEST &&
		 number < SSH_MSG_GLOBAL_REQUEST)
		see_login(v, payload);
	else
		return number == SSH_MSG_IGNORE || number == SSH_MSG_DEBUG ||
		       number == SSH_MSG_UNIMPLEMENTED || number == SSH_MSG_EXT_INFO ||
		       number == SSH_MSG_USERAUTH_BANNER;
	return v->stage != SSH_CLIENT_FAILED;
}
