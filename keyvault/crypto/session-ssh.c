/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session-ssh.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <openssl/crypto.h>

#include "jeebs/recovery-module.h"
#include "ssh-certificate.h"
#include "ssh-exchange.h"

/* Of each direction of both conversations the keys in use and those before them. */
#define KEYS  12
#define SIDES 2

struct held {
	uint32_t key; /* 0: free */
	uint32_t side, exchange, dir, candidate;
	struct ssh_cipher *cipher;
};

/* A key exchange that was made here. */
struct own {
	bool made, hashed;
	uint32_t exchange;
	struct ssh_exchange_secret *secret; /* in OpenSSL's secure heap */
	struct ssh_exchange_half *half;     /* BACK: begun */
	size_t h_n, id_n;
	uint8_t h[SSH_HASH_MAX_BYTES], id[SSH_HASH_MAX_BYTES];
};

struct session_ssh {
	const struct session_secrets *secrets;
	uint32_t last_key, candidate;
	struct held held[KEYS];
	struct own own[SIDES];
	struct ssh_host_key *user_key; /* of the certificate */
};

struct session_ssh *session_ssh_new(const struct session_secrets *secrets)
{
	struct session_ssh *s = calloc(1, sizeof *s);

	if (s)
		s->secrets = secrets;
	return s;
}

static void let_go(struct held *h)
{
	ssh_cipher_free(h->cipher);
	*h = (struct held){0};
}

static void forget_secret(struct own *o)
{
	OPENSSL_secure_clear_free(o->secret, sizeof *o->secret);
	o->secret = NULL;
}

void session_ssh_free(struct session_ssh *s)
{
	if (!s)
		return;
	for (size_t i = 0; i < KEYS; i++)
		let_go(&s->held[i]);
	for (size_t i = 0; i < SIDES; i++) {
		forget_secret(&s->own[i]);
		ssh_exchange_half_free(s->own[i].half);
	}
	ssh_host_key_free(s->user_key);
	explicit_bzero(s, sizeof *s);
	free(s);
}

/* ---- keys ----------------------------------------------------------------------------------- */

struct ssh_cipher *session_ssh_cipher(struct session_ssh *s, uint32_t key)
{
	for (size_t i = 0; s && key > 0 && i < KEYS; i++)
		if (s->held[i].key == key)
			return s->held[i].cipher;
	return NULL;
}

static bool find_told(const struct session_ssh *s, uint32_t candidate, uint32_t exchange,
		      struct ssh_keys *ret)
{
	return s->secrets->find_ssh &&
	       s->secrets->find_ssh(s->secrets->ctx, candidate, exchange, ret);
}

/* The input of RFC 4253, section 7.2, of an exchange. */
static bool find_exchange(const struct session_ssh *s, const struct jeebs_ssh_spec *spec,
			  struct ssh_keys *ret)
{
	const struct own *o = &s->own[spec->side];

	if (o->hashed && spec->exchange == o->exchange && o->secret) {
		*ret = (struct ssh_keys){o->secret->hash, bytes_of(o->secret->k, o->secret->k_n),
					 bytes_of(o->h, o->h_n), bytes_of(o->id, o->id_n)};
		return true;
	}
	/* Behind one that was made here nothing that was told counts. */
	if (spec->side != JEEBS_SSH_FRONT || (o->hashed && spec->exchange > o->exchange))
		return false;
	return find_told(s, spec->candidate, spec->exchange, ret);
}

static bool same(const struct held *h, const struct jeebs_ssh_spec *spec)
{
	return h->key && h->side == spec->side && h->exchange == spec->exchange &&
	       h->dir == spec->dir && h->candidate == spec->candidate;
}

/* Whether nothing will be asked of these keys when those of @spec are in use. */
static bool is_past(const struct held *h, const struct jeebs_ssh_spec *spec)
{
	return h->key && h->side == spec->side && h->dir == spec->dir &&
	       (h->candidate != spec->candidate || h->exchange + 1 < spec->exchange);
}

static struct held *place_for(struct session_ssh *s, const struct jeebs_ssh_spec *spec)
{
	struct held *free_one = NULL;

	for (size_t i = 0; i < KEYS; i++) {
		if (is_past(&s->held[i], spec))
			let_go(&s->held[i]);
		if (!s->held[i].key && !free_one)
			free_one = &s->held[i];
	}
	return free_one;
}

/* Both directions have their keys: what they were made of goes. */
static void drop_secret(struct session_ssh *s, const struct jeebs_ssh_spec *spec)
{
	struct own *o = &s->own[spec->side];
	uint32_t n = 0;

	for (size_t i = 0; i < KEYS; i++)
		n += s->held[i].key && s->held[i].side == spec->side &&
		     s->held[i].exchange == spec->exchange;
	if (o->secret && o->hashed && o->exchange == spec->exchange && n == 2)
		forget_secret(o);
}

int session_ssh_derive(struct session_ssh *s, const struct jeebs_ssh_spec *spec, uint32_t *ret_key)
{
	struct ssh_keys keys;

	if (spec->side >= SIDES || spec->dir > 1)
		return JEEBS_CRYPTO_NO_KEY;
	for (size_t i = 0; i < KEYS; i++)
		if (same(&s->held[i], spec)) {
			*ret_key = s->held[i].key;
			return JEEBS_CRYPTO_OK;
		}
	if (!find_exchange(s, spec, &keys))
		return JEEBS_CRYPTO_NO_KEY;
	struct held *h = place_for(s, spec);

	if (!h)
		return JEEBS_CRYPTO_FAILED;
	int r = ssh_cipher_new(&keys, spec->dir == JEEBS_TO_SERVER, spec->cipher, spec->mac,
			       &h->cipher);
	if (r != SSH_CIPHER_OK)
		return r == SSH_CIPHER_UNKNOWN ? JEEBS_CRYPTO_NO_SUITE : JEEBS_CRYPTO_FAILED;
	h->key = *ret_key = ++s->last_key;
	h->side = spec->side;
	h->exchange = spec->exchange;
	h->dir = spec->dir;
	h->candidate = spec->candidate;
	if (spec->side == JEEBS_SSH_FRONT)
		s->candidate = spec->candidate;
	drop_secret(s, spec);
	return JEEBS_CRYPTO_OK;
}

/* ---- key exchanges -------------------------------------------------------------------------- */

static struct bytes plain(struct jeebs_bytes b)
{
	return bytes_of(b.p, b.n);
}

static int outcome(int r)
{
	switch (r) {
	case SSH_EXCHANGE_OK:
		return JEEBS_CRYPTO_OK;
	case SSH_EXCHANGE_UNKNOWN:
		return JEEBS_CRYPTO_NO_SUITE;
	case SSH_EXCHANGE_UNLAWFUL:
		return JEEBS_CRYPTO_FORGED;
	default:
		return JEEBS_CRYPTO_FAILED;
	}
}

/* As a client: first our value, then the server's. */
static int exchange_back(struct own *o, const struct jeebs_ssh_exchange *x, uint8_t *out,
			 size_t cap, size_t *ret_n)
{
	if (x->peer.n == 0) {
		ssh_exchange_half_free(o->half);
		o->half = NULL;
		return outcome(ssh_exchange_begin(x->method, &o->half, out, cap, ret_n));
	}
	if (!o->half)
		return JEEBS_CRYPTO_FAILED;
	int r = outcome(ssh_exchange_end(o->half, plain(x->peer), o->secret));

	ssh_exchange_half_free(o->half);
	o->half = NULL;
	return r;
}

int session_ssh_exchange(struct session_ssh *s, const struct jeebs_ssh_exchange *x, uint8_t *out,
			 size_t cap, size_t *ret_n)
{
	if (x->side >= SIDES)
		return JEEBS_CRYPTO_FAILED;
	struct own *o = &s->own[x->side];

	if (!o->secret)
		o->secret = OPENSSL_secure_zalloc(sizeof *o->secret);
	if (!o->secret)
		return JEEBS_CRYPTO_FAILED;
	o->hashed = false;
	o->exchange = x->exchange;
	int r = x->side == JEEBS_SSH_BACK
			? exchange_back(o, x, out, cap, ret_n)
			: outcome(ssh_exchange_make(x->method, plain(x->p), plain(x->g),
						    plain(x->peer), o->secret, out, cap, ret_n));

	/* Of the other side there is K only when its value has come. */
	o->made = r == JEEBS_CRYPTO_OK && x->peer.n > 0;
	return r;
}

/* The session's id is H of its first exchange. */
static bool set_id(struct session_ssh *s, uint32_t side, uint32_t exchange)
{
	struct own *o = &s->own[side];
	struct ssh_keys first;

	if (o->id_n > 0)
		return true;
	struct bytes id = bytes_of(o->h, o->h_n);

	if (side == JEEBS_SSH_FRONT) {
		if (!find_told(s, s->candidate, 0, &first))
			return false;
		id = first.session_id;
	} else if (exchange != 0) {
		return false;
	}
	if (id.n > sizeof o->id)
		return false;
	memcpy(o->id, id.p, id.n);
	o->id_n = id.n;
	return true;
}

int session_ssh_exchange_hash(struct session_ssh *s, uint32_t side, uint32_t exchange,
			      struct jeebs_bytes head, uint8_t *out, size_t cap, size_t *ret_n)
{
	struct own *o = side < SIDES ? &s->own[side] : NULL;

	if (!o || !o->made || !o->secret || o->exchange != exchange ||
	    ssh_exchange_hash(o->secret, plain(head), o->h, &o->h_n) != 0 || o->h_n > cap ||
	    !set_id(s, side, exchange))
		return JEEBS_CRYPTO_FAILED;
	/* What the tap may have told of an exchange that the old server had begun is not this. */
	for (size_t i = 0; i < KEYS; i++)
		if (s->held[i].key && s->held[i].side == side && s->held[i].exchange >= exchange)
			let_go(&s->held[i]);
	o->hashed = true;
	memcpy(out, o->h, o->h_n);
	*ret_n = o->h_n;
	return JEEBS_CRYPTO_OK;
}

/* ---- the keys of the service ---------------------------------------------------------------- */

static const struct ssh_host_key *host_key_for(const struct session_ssh *s, const char *algorithm)
{
	const struct ssh_identity *id = s->secrets->ssh;

	for (uint32_t i = 0; id && i < id->host_keys; i++)
		if (ssh_host_key_can(id->host_key[i], algorithm))
			return id->host_key[i];
	return NULL;
}

int session_ssh_host_key(const struct session_ssh *s, const char *algorithm, uint8_t *out,
			 size_t cap, size_t *ret_n)
{
	const struct ssh_host_key *it = host_key_for(s, algorithm);

	if (!it)
		return JEEBS_CRYPTO_NO_KEY;
	struct bytes b = ssh_host_key_public(it);

	if (b.n > cap)
		return JEEBS_CRYPTO_FAILED;
	memcpy(out, b.p, b.n);
	*ret_n = b.n;
	return JEEBS_CRYPTO_OK;
}

int session_ssh_sign(const struct session_ssh *s, const char *algorithm, struct jeebs_bytes data,
		     uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_host_key *it = host_key_for(s, algorithm);

	if (!it)
		return JEEBS_CRYPTO_NO_KEY;
	return ssh_host_key_sign(it, algorithm, plain(data), out, cap, ret_n) == SSH_HOST_KEY_OK
		       ? JEEBS_CRYPTO_OK
		       : JEEBS_CRYPTO_FAILED;
}

int session_ssh_prove(const struct session_ssh *s, struct jeebs_bytes host_key,
		      struct jeebs_bytes data, struct jeebs_bytes signature)
{
	const struct ssh_identity *id = s->secrets->ssh;

	for (uint32_t i = 0; id && i < id->host_keys; i++)
		if (bytes_eq(ssh_host_key_public(id->host_key[i]), plain(host_key)))
			return ssh_host_key_proves(id->host_key[i], plain(data), plain(signature))
				       ? JEEBS_CRYPTO_OK
				       : JEEBS_CRYPTO_FORGED;
	return JEEBS_CRYPTO_NO_KEY;
}

int session_ssh_certificate(struct session_ssh *s, struct jeebs_bytes user, uint8_t *out,
			    size_t cap, size_t *ret_n)
{
	const struct ssh_identity *id = s->secrets->ssh;

	if (!id || !id->user_ca)
		return JEEBS_CRYPTO_NO_KEY;
	if (user.n == 0)
		return JEEBS_CRYPTO_FAILED;
	ssh_host_key_free(s->user_key);
	s->user_key = NULL;
	if (ssh_host_key_new(&s->user_key) != SSH_HOST_KEY_OK)
		return JEEBS_CRYPTO_FAILED;
	const struct ssh_certificate c = {
		.key = s->user_key,
		.ca = id->user_ca,
		.user = plain(user),
		.id = s->secrets->purpose ? s->secrets->purpose : "jeebs-appliance",
		.now_s = time(NULL),
	};

	return ssh_certificate_make(&c, out, cap, ret_n) == SSH_HOST_KEY_OK ? JEEBS_CRYPTO_OK
									    : JEEBS_CRYPTO_FAILED;
}

int session_ssh_certificate_sign(const struct session_ssh *s, struct jeebs_bytes data, uint8_t *out,
				 size_t cap, size_t *ret_n)
{
	if (!s->user_key)
		return JEEBS_CRYPTO_NO_KEY;
	return ssh_host_key_sign(s->user_key, "ssh-ed25519", plain(data), out, cap, ret_n) ==
			       SSH_HOST_KEY_OK
		       ? JEEBS_CRYPTO_OK
		       : JEEBS_CRYPTO_FAILED;
}
