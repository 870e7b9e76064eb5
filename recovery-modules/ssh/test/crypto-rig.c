/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "crypto-rig.h"

#include "jeebs/recovery-module.h"

static struct bytes copied(struct writer *w, struct bytes b)
{
	uint8_t *p = writer_need(w, b.n);

	if (p)
		memcpy(p, b.p, b.n);
	return bytes_of(p, b.n);
}

bool crypto_rig_add(struct crypto_rig *g, const struct ssh_keys *keys)
{
	if (g->exchange_n == RIG_EXCHANGES)
		return false;
	struct crypto_rig_exchange *e = &g->exchange[g->exchange_n];
	struct writer w = WRITER_IN(e->room);

	e->keys = (struct ssh_keys){keys->hash, copied(&w, keys->k), copied(&w, keys->h),
				    copied(&w, keys->session_id)};
	g->exchange_n += writer_ok(&w);
	return writer_ok(&w);
}

bool crypto_rig_init(struct crypto_rig *g, struct bytes records)
{
	struct reader r = reader_init(records);

	*g = (struct crypto_rig){0};
	while (reader_left(&r) > 0) {
		uint16_t n = reader_u16be(&r);
		struct session_keys k;

		if (session_keys_read(reader_bytes(&r, n), &k) != SESSION_KEYS_OK ||
		    k.protocol != KEYS_SSH || !crypto_rig_add(g, &k.ssh))
			return false;
	}
	return reader_ok(&r);
}

void crypto_rig_again(struct crypto_rig *g)
{
	for (uint32_t i = 0; i < g->key_n; i++)
		ssh_cipher_free(g->key[i].cipher);
	g->key_n = 0;
	g->sealed = 0;
}

void crypto_rig_deinit(struct crypto_rig *g)
{
	crypto_rig_again(g);
	for (uint32_t i = 0; i < g->host_key_n; i++)
		ssh_host_key_free(g->host_key[i]);
}

static int derive(void *k, const struct ssh_key_spec *spec, uint32_t *ret_key)
{
	struct crypto_rig *g = k;

	for (uint32_t i = 0; i < g->key_n; i++)
		if (g->key[i].spec.exchange == spec->exchange && g->key[i].spec.dir == spec->dir) {
			*ret_key = i + 1;
			return SSH_CRYPTO_OK;
		}
	if (spec->exchange >= g->exchange_n)
		return SSH_CRYPTO_NO_KEY;
	if (g->key_n == RIG_KEYS)
		return SSH_CRYPTO_FAILED;
	struct crypto_rig_key *new = &g->key[g->key_n];
	int r = ssh_cipher_new(&g->exchange[spec->exchange].keys, spec->dir == JEEBS_TO_SERVER,
			       spec->cipher, spec->mac, &new->cipher);

	if (r != SSH_CIPHER_OK)
		return r == SSH_CIPHER_UNKNOWN ? SSH_CRYPTO_NO_SUITE : SSH_CRYPTO_FAILED;
	new->spec = *spec;
	new->sealed = 0;
	*ret_key = ++g->key_n;
	return SSH_CRYPTO_OK;
}

static struct crypto_rig_key *find(struct crypto_rig *g, uint32_t key)
{
	return key > 0 && key <= g->key_n ? &g->key[key - 1] : NULL;
}

static int open_packet(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		       uint8_t *out)
{
	struct crypto_rig_key *it = find(k, key);

	if (!it)
		return SSH_CRYPTO_NO_KEY;
	switch (ssh_cipher_open(it->cipher, nonce, aad, in, out)) {
	case SSH_CIPHER_OK:
		return SSH_CRYPTO_OK;
	case SSH_CIPHER_FORGED:
		return SSH_CRYPTO_FORGED;
	default:
		return SSH_CRYPTO_FAILED;
	}
}

static int peek(void *k, uint32_t key, uint64_t nonce, uint64_t off, struct bytes in, uint8_t *out)
{
	struct crypto_rig_key *it = find(k, key);

	if (!it)
		return SSH_CRYPTO_NO_KEY;
	return ssh_cipher_peek(it->cipher, nonce, off, in, out) == 0 ? SSH_CRYPTO_OK
								     : SSH_CRYPTO_FAILED;
}

static int seal(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		uint8_t *out)
{
	struct crypto_rig *g = k;
	struct crypto_rig_key *it = find(g, key);

	if (!it)
		return SSH_CRYPTO_NO_KEY;
	g->twice += it->sealed > 0 && nonce <= it->last;
	it->last = nonce;
	it->sealed++;
	g->sealed++;
	switch (ssh_cipher_seal(it->cipher, nonce, aad, in, out)) {
	case SSH_CIPHER_OK:
		return SSH_CRYPTO_OK;
	case SSH_CIPHER_USED:
		return SSH_CRYPTO_USED;
	default:
		return SSH_CRYPTO_FAILED;
	}
}

static int group(void *k, uint32_t min, uint32_t n, uint32_t max, uint8_t *out, size_t cap,
		 size_t *ret_n)
{
	(void)k;
	return ssh_exchange_group(min, n, max, out, cap, ret_n) ? SSH_CRYPTO_OK
								: SSH_CRYPTO_NO_SUITE;
}

static int exchange(void *k, uint32_t number, const char *method, struct bytes p, struct bytes g,
		    struct bytes peer, uint8_t *out, size_t cap, size_t *ret_n)
{
	struct crypto_rig *rig = k;

	(void)number;
	switch (ssh_exchange_make(method, p, g, peer, &rig->own, out, cap, ret_n)) {
	case SSH_EXCHANGE_OK:
		return SSH_CRYPTO_OK;
	case SSH_EXCHANGE_UNKNOWN:
		return SSH_CRYPTO_NO_SUITE;
	case SSH_EXCHANGE_UNLAWFUL:
		return SSH_CRYPTO_FORGED;
	default:
		return SSH_CRYPTO_FAILED;
	}
}

static int exchange_hash(void *k, uint32_t number, struct bytes head, uint8_t out[SSH_HASH_MAX],
			 size_t *ret_n)
{
	struct crypto_rig *g = k;

	if (number > g->exchange_n || ssh_exchange_hash(&g->own, head, out, ret_n) != 0)
		return SSH_CRYPTO_FAILED;
	/* The old server's, of an exchange whose end nobody has seen. */
	g->exchange_n = number;
	const struct ssh_keys keys = {
		g->own.hash, bytes_of(g->own.k, g->own.k_n), bytes_of(out, *ret_n),
		number > 0 ? g->exchange[0].keys.session_id : bytes_of(out, *ret_n)};

	return crypto_rig_add(g, &keys) ? SSH_CRYPTO_OK : SSH_CRYPTO_FAILED;
}

static const struct ssh_host_key *host_key_for(const struct crypto_rig *g, const char *algorithm)
{
	for (uint32_t i = 0; i < g->host_key_n; i++)
		if (ssh_host_key_can(g->host_key[i], algorithm))
			return g->host_key[i];
	return NULL;
}

static int host_key(void *k, const char *algorithm, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_host_key *it = host_key_for(k, algorithm);

	if (!it)
		return SSH_CRYPTO_NO_KEY;
	struct bytes b = ssh_host_key_public(it);

	if (b.n > cap)
		return SSH_CRYPTO_FAILED;
	memcpy(out, b.p, b.n);
	*ret_n = b.n;
	return SSH_CRYPTO_OK;
}

static int sign(void *k, const char *algorithm, struct bytes data, uint8_t *out, size_t cap,
		size_t *ret_n)
{
	const struct ssh_host_key *it = host_key_for(k, algorithm);

	if (!it)
		return SSH_CRYPTO_NO_KEY;
	return ssh_host_key_sign(it, algorithm, data, out, cap, ret_n) == SSH_HOST_KEY_OK
		       ? SSH_CRYPTO_OK
		       : SSH_CRYPTO_FAILED;
}

struct ssh_crypto crypto_rig_of(struct crypto_rig *g)
{
	static const struct ssh_crypto_ops ops = {
		.derive = derive,
		.open = open_packet,
		.peek = peek,
		.seal = seal,
		.group = group,
		.exchange = exchange,
		.exchange_hash = exchange_hash,
		.host_key = host_key,
		.sign = sign,
	};

	return (struct ssh_crypto){g, &ops};
}
