/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The server's messages of a key exchange, from wherever it was cut off. */
#include "jeebs/recovery-module.h"
#include "ssh-server.h"

#define CLIENT JEEBS_TO_SERVER
#define SERVER JEEBS_TO_CLIENT

#define NAME_MAX_BYTES 64u
#define VALUE_MAX      1100u /* of 8,192 bits */
#define HEAD_MAX       16384u

static const char methods[] =
	"curve25519-sha256,curve25519-sha256@libssh.org,ecdh-sha2-nistp256,ecdh-sha2-nistp384,"
	"ecdh-sha2-nistp521,diffie-hellman-group16-sha512,diffie-hellman-group18-sha512,"
	"diffie-hellman-group14-sha256,diffie-hellman-group-exchange-sha256";

/*
 * With the old server's lists, as far as they are still true: methods and host keys that we have,
 * the ciphers that are in use.
 */
static int write_kexinit(struct ssh_server *v, struct writer *w)
{
	struct ssh_transport *t = &v->session->transport;
	const char *instead[SSH_LISTS] = {
		[SSH_LIST_KEX] = methods, [SSH_LIST_HOST_KEY] = v->host_keys};
	uint8_t cookie[SSH_COOKIE];
	struct ssh_kexinit old;

	if (v->host_keys_n == 0)
		return SSH_SERVER_NO_KEY;
	if (!ssh_kexinit_read(bytes_of(t->init[SERVER].p, t->init[SERVER].n), &old))
		return SSH_SERVER_ENDED;
	for (int dir = 0; dir < 2; dir++) {
		const struct ssh_suite *s = &t->half[dir].suite;

		if (s->layout == SSH_LAYOUT_PLAIN)
			continue;
		instead[SSH_LIST_CIPHER + dir] = ssh_suite_cipher(s);
		if (*ssh_suite_mac(s))
			instead[SSH_LIST_MAC + dir] = ssh_suite_mac(s);
		instead[SSH_LIST_COMPRESSION + dir] = "none";
	}
	v->cookie(v->ctx, cookie);
	ssh_kexinit_write(w, &old, instead, cookie);
	return SSH_SERVER_OK;
}

int ssh_server_rekey(struct ssh_server *v)
{
	uint8_t room[SSH_KEXINIT_MAX];
	struct writer w = WRITER_IN(room);

	if (ssh_transport_exchanging(&v->session->transport))
		return SSH_SERVER_OK;
	int r = write_kexinit(v, &w);

	return r != SSH_SERVER_OK ? r : ssh_server_say(v, writer_view(&w));
}

/* A view as a word; false: it is too long to be one. */
static bool word(struct bytes b, char out[NAME_MAX_BYTES])
{
	if (b.n >= NAME_MAX_BYTES)
		return false;
	memcpy(out, b.p, b.n);
	out[b.n] = 0;
	return true;
}

static bool is_group(const char *method)
{
	return strncmp(method, "diffie-hellman-", 15) == 0;
}

static bool is_group_exchange(const char *method)
{
	return strncmp(method, "diffie-hellman-group-exchange-", 30) == 0;
}

/* What the client asked for: the old message has one number, the new one three (RFC 4419). */
static bool wanted_group(const struct ssh_kex_message *m, uint32_t *min, uint32_t *n, uint32_t *max)
{
	struct reader r = reader_init(bytes_of(m->p, m->n));

	if (reader_u8(&r) == 30) {
		*n = reader_u32be(&r);
		*min = 2048;
		*max = 8192;
	} else {
		*min = reader_u32be(&r);
		*n = reader_u32be(&r);
		*max = reader_u32be(&r);
	}
	return reader_ok(&r);
}

static int write_group(struct ssh_server *v, struct writer *w)
{
	uint32_t min, n, max;
	uint8_t p[VALUE_MAX];
	size_t p_n = 0;

	if (!wanted_group(&v->session->transport.kex.request, &min, &n, &max))
		return SSH_SERVER_ENDED;
	if (v->crypto.ops->group(v->crypto.k, min, n, max, p, sizeof p, &p_n) != SSH_CRYPTO_OK)
		return SSH_SERVER_NOTHING;
	writer_u8(w, 31);
	ssh_put_mpint(w, bytes_of(p, p_n));
	ssh_put_mpint(w, bytes_of("\2", 1));
	return SSH_SERVER_OK;
}

/* What the two values are hashed with. */
struct values {
	char method[NAME_MAX_BYTES];
	struct bytes p, g; /* of a group exchange */
	struct bytes peer; /* the client's */
	struct bytes own;
	struct bytes k_s;
};

static void put_value(struct writer *w, const struct values *x, struct bytes b)
{
	if (is_group(x->method))
		ssh_put_mpint(w, b);
	else
		ssh_put_string(w, b);
}

/* All that H is of but K. */
static void write_head(const struct ssh_transport *t, const struct values *x, struct writer *w)
{
	for (int i = 0; i < 2; i++)
		ssh_put_string(w, bytes_of(t->version[i], t->version_n[i]));
	for (int i = 0; i < 2; i++)
		ssh_put_string(w, bytes_of(t->init[i].p, t->init[i].n));
	ssh_put_string(w, x->k_s);
	if (is_group_exchange(x->method)) {
		/* The numbers, as they were. */
		writer_copy(w, t->kex.request.p + 1, t->kex.request.n - 1u);
		ssh_put_mpint(w, x->p);
		ssh_put_mpint(w, x->g);
	}
	put_value(w, x, x->peer);
	put_value(w, x, x->own);
}

static bool read_values(const struct ssh_transport *t, struct values *x)
{
	struct reader client = reader_init(bytes_of(t->kex.client.p, t->kex.client.n));
	struct reader group = reader_init(bytes_of(t->kex.group.p, t->kex.group.n));

	reader_skip(&client, 1);
	x->peer = ssh_string(&client);
	if (is_group_exchange(x->method)) {
		reader_skip(&group, 1);
		x->p = ssh_string(&group);
		x->g = ssh_string(&group);
	}
	return reader_ok(&client) && reader_ok(&group);
}

/* The server's value, K_S and the signature over H. */
static int write_reply(struct ssh_server *v, struct values *x, const char *host_key,
		       struct writer *w)
{
	const struct ssh_transport *t = &v->session->transport;
	const struct ssh_crypto_ops *ops = v->crypto.ops;
	uint8_t own[VALUE_MAX], k_s[2200], h[SSH_HASH_MAX], signature[2200], head[HEAD_MAX];
	struct writer all = WRITER_IN(head);
	size_t own_n, k_n, h_n, s_n;
	uint32_t number = t->generation[SERVER];

	if (ops->host_key(v->crypto.k, host_key, k_s, sizeof k_s, &k_n) != SSH_CRYPTO_OK)
		return SSH_SERVER_NO_KEY;
	switch (ops->exchange(v->crypto.k, number, x->method, x->p, x->g, x->peer, own, sizeof own,
			      &own_n)) {
	case SSH_CRYPTO_OK:
		break;
	case SSH_CRYPTO_NO_SUITE:
	case SSH_CRYPTO_FORGED:
		return SSH_SERVER_NOTHING;
	default:
		return SSH_SERVER_ENDED;
	}
	x->own = bytes_of(own, own_n);
	x->k_s = bytes_of(k_s, k_n);
	write_head(t, x, &all);
	if (!writer_ok(&all) ||
	    ops->exchange_hash(v->crypto.k, number, writer_view(&all), h, &h_n) != SSH_CRYPTO_OK)
		return SSH_SERVER_ENDED;
	if (ops->sign(v->crypto.k, host_key, bytes_of(h, h_n), signature, sizeof signature, &s_n) !=
	    SSH_CRYPTO_OK)
		return SSH_SERVER_NO_KEY;
	writer_u8(w, is_group_exchange(x->method) ? 33 : 31);
	ssh_put_string(w, x->k_s);
	put_value(w, x, x->own);
	ssh_put_string(w, bytes_of(signature, s_n));
	return SSH_SERVER_OK;
}

static int write_next(struct ssh_server *v, struct writer *w)
{
	const struct ssh_transport *t = &v->session->transport;
	const struct ssh_exchange *k = &t->kex;
	char host_key[NAME_MAX_BYTES];
	struct ssh_agreed agreed;
	struct values x = {0};

	if (!k->init[CLIENT] || k->newkeys[SERVER] || t->phase[SERVER] != SSH_PHASE_PACKETS)
		return SSH_SERVER_BUSY;
	if (!k->init[SERVER])
		return write_kexinit(v, w);
	if (k->replied) {
		writer_u8(w, SSH_MSG_NEWKEYS);
		return SSH_SERVER_OK;
	}
	if (ssh_transport_agreed(t, &agreed) != SSH_AGREED || !word(agreed.kex, x.method) ||
	    !word(agreed.host_key, host_key))
		return SSH_SERVER_NOTHING;
	if (is_group_exchange(x.method) && k->request.n > 0 && k->group.n == 0)
		return write_group(v, w);
	if (k->client.n == 0 || (is_group_exchange(x.method) && k->group.n == 0))
		return SSH_SERVER_BUSY;
	return read_values(t, &x) ? write_reply(v, &x, host_key, w) : SSH_SERVER_ENDED;
}

int ssh_kex_next(struct ssh_server *v, uint8_t *room, size_t cap, size_t *ret_n)
{
	struct writer w = writer_init(room, cap);
	int r = write_next(v, &w);

	*ret_n = writer_pos(&w);
	return r == SSH_SERVER_OK && !writer_ok(&w) ? SSH_SERVER_ENDED : r;
}
