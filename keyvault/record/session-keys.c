/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session-keys.h"

static size_t address_bytes(uint8_t family)
{
	switch (family) {
	case NETADDR_V4:
		return 4;
	case NETADDR_V6:
		return 16;
	default:
		return 0;
	}
}

size_t ssh_hash_bytes(enum ssh_hash hash)
{
	switch (hash) {
	case SSH_SHA1:
		return 20;
	case SSH_SHA256:
		return 32;
	case SSH_SHA384:
		return 48;
	case SSH_SHA512:
		return 64;
	}
	return 0;
}

void session_ends_write(struct writer *w, const struct endpoint *server,
			const struct endpoint *client)
{
	size_t n = address_bytes(server->addr.family);

	writer_u8(w, server->addr.family);
	writer_copy(w, server->addr.b, n);
	writer_u16be(w, server->port);
	writer_copy(w, client->addr.b, n);
	writer_u16be(w, client->port);
}

static struct endpoint read_end(struct reader *r, uint8_t family)
{
	struct endpoint e = {.addr.family = family};

	reader_copy(r, e.addr.b, address_bytes(family));
	e.port = reader_u16be(r);
	return e;
}

bool session_ends_read(struct reader *r, struct endpoint *ret_server, struct endpoint *ret_client)
{
	uint8_t family = reader_u8(r);

	if (!reader_ok(r) || address_bytes(family) == 0)
		return false;
	struct endpoint server = read_end(r, family);
	struct endpoint client = read_end(r, family);
	if (!reader_ok(r))
		return false;
	*ret_server = server;
	*ret_client = client;
	return true;
}

static bool tls_may_be(const struct tls_keys *t)
{
	bool any = false;

	for (int i = 0; i < TLS_SECRETS; i++) {
		if (t->secret[i].n > TLS_SECRET_MAX_BYTES)
			return false;
		any = any || t->secret[i].n > 0;
	}
	return any && (t->version == 0x0303 || t->version == 0x0304);
}

static bool ssh_may_be(const struct ssh_keys *s)
{
	size_t n = ssh_hash_bytes(s->hash);

	return n > 0 && s->h.n == n && s->session_id.n > 0 &&
	       s->session_id.n <= SSH_HASH_MAX_BYTES && s->k.n > 4 && s->k.n <= SSH_K_MAX_BYTES;
}

static void tls_write(struct writer *w, const struct tls_keys *t)
{
	uint8_t count = 0;

	for (int i = 0; i < TLS_SECRETS; i++)
		count = (uint8_t)(count + (t->secret[i].n > 0));
	writer_u16be(w, t->version);
	writer_u16be(w, t->suite);
	writer_u8(w, t->resumed);
	writer_copy(w, t->client_random, TLS_RANDOM_BYTES);
	writer_u8(w, count);
	for (int i = 0; i < TLS_SECRETS; i++) {
		if (t->secret[i].n == 0)
			continue;
		writer_u8(w, (uint8_t)i);
		writer_u8(w, (uint8_t)t->secret[i].n);
		writer_bytes(w, t->secret[i]);
	}
}

static bool tls_read(struct reader *r, struct tls_keys *t)
{
	t->version = reader_u16be(r);
	t->suite = reader_u16be(r);
	uint8_t flags = reader_u8(r);
	t->resumed = flags & 1;
	reader_copy(r, t->client_random, TLS_RANDOM_BYTES);
	int count = reader_u8(r), last = -1;
	for (; count > 0; count--) {
		uint8_t label = reader_u8(r);
		struct bytes secret = reader_bytes(r, reader_u8(r));
		if (!reader_ok(r) || label >= TLS_SECRETS || label <= last || secret.n == 0)
			return false;
		t->secret[label] = secret;
		last = label;
	}
	return flags <= 1 && tls_may_be(t);
}

static void ssh_write(struct writer *w, const struct ssh_keys *s)
{
	const struct bytes parts[] = {s->k, s->h, s->session_id};

	writer_u8(w, (uint8_t)s->hash);
	for (size_t i = 0; i < 3; i++) {
		writer_u16be(w, (uint16_t)parts[i].n);
		writer_bytes(w, parts[i]);
	}
}

static bool ssh_read(struct reader *r, struct ssh_keys *s)
{
	s->hash = (enum ssh_hash)reader_u8(r);
	s->k = reader_bytes(r, reader_u16be(r));
	s->h = reader_bytes(r, reader_u16be(r));
	s->session_id = reader_bytes(r, reader_u16be(r));
	return ssh_may_be(s);
}

void session_keys_write(struct writer *w, const struct session_keys *k)
{
	bool may_be = address_bytes(k->server.addr.family) > 0 &&
		      k->server.addr.family == k->client.addr.family &&
		      ((k->protocol == KEYS_TLS && tls_may_be(&k->tls)) ||
		       (k->protocol == KEYS_SSH && ssh_may_be(&k->ssh)));

	if (!may_be) {
		(void)writer_need(w, SIZE_MAX);
		return;
	}
	writer_u8(w, SESSION_KEYS_VERSION);
	writer_u8(w, (uint8_t)k->protocol);
	session_ends_write(w, &k->server, &k->client);
	if (k->protocol == KEYS_TLS)
		tls_write(w, &k->tls);
	else
		ssh_write(w, &k->ssh);
}

int session_keys_read(struct bytes b, struct session_keys *ret)
{
	struct reader r = reader_init(b);
	struct session_keys k = {0};
	bool may_be = false;

	uint8_t version = reader_u8(&r);
	if (reader_ok(&r) && version != SESSION_KEYS_VERSION)
		return SESSION_KEYS_VERSION_UNKNOWN;
	k.protocol = (enum keys_protocol)reader_u8(&r);
	if (b.n > SESSION_KEYS_MAX_BYTES || !session_ends_read(&r, &k.server, &k.client))
		return SESSION_KEYS_MALFORMED;
	if (k.protocol == KEYS_TLS)
		may_be = tls_read(&r, &k.tls);
	else if (k.protocol == KEYS_SSH)
		may_be = ssh_read(&r, &k.ssh);
	if (!may_be || !reader_ok(&r) || reader_left(&r) > 0)
		return SESSION_KEYS_MALFORMED;
	*ret = k;
	return SESSION_KEYS_OK;
}
