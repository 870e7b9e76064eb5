/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "session-crypto.h"

#include "aead.h"
#include "cbc.h"
#include <openssl/rand.h>

#include "jeebs/recovery-module.h"
#include "session-ssh.h"
#include "ssh-exchange.h"
#include "tls-schedule.h"

struct session_key {
	const struct tls_suite *suite;
	uint8_t secret[TLS_SECRET_MAX_BYTES]; /* of TLS 1.3, for the next key; of CBC, of the MAC */
	struct tls_traffic_key traffic;
	uint64_t sealed; /* the last nonce, if any */
	bool has_sealed;
	uint8_t kind, dir;
	uint8_t next; /* handle; 0: not derived yet */
};

struct jeebs_keys {
	struct session_secrets secrets;
	struct session_ssh *ssh; /* NULL: nobody has asked */
	uint32_t n;
	struct session_key key[SESSION_CRYPTO_KEYS]; /* handle - 1 */
};

_Static_assert(sizeof(struct jeebs_keys) <= SESSION_CRYPTO_BYTES, "they fit into a slot");

struct jeebs_keys *session_crypto_init(void *room, const struct session_secrets *secrets)
{
	struct jeebs_keys *k = room;

	*k = (struct jeebs_keys){.secrets = *secrets};
	return k;
}

void session_crypto_deinit(struct jeebs_keys *k)
{
	if (!k)
		return;
	session_ssh_free(k->ssh);
	explicit_bzero(k, sizeof *k);
}

static struct session_key *key_at(struct jeebs_keys *k, uint32_t handle)
{
	return handle >= 1 && handle <= k->n ? &k->key[handle - 1] : NULL;
}

static bool same(const struct session_key *a, const struct session_key *b)
{
	return a->suite == b->suite && a->kind == b->kind && a->dir == b->dir &&
	       memcmp(&a->traffic, &b->traffic, sizeof a->traffic) == 0;
}

/* Handles of SSH begin behind those of TLS. */
static struct ssh_cipher *ssh_at(struct jeebs_keys *k, uint32_t handle)
{
	return handle > SESSION_CRYPTO_KEYS
		       ? session_ssh_cipher(k->ssh, handle - SESSION_CRYPTO_KEYS)
		       : NULL;
}

static struct session_ssh *ssh_of(struct jeebs_keys *k)
{
	if (!k->ssh)
		k->ssh = session_ssh_new(&k->secrets);
	return k->ssh;
}

static int ssh_outcome(int r)
{
	switch (r) {
	case SSH_CIPHER_OK:
		return JEEBS_CRYPTO_OK;
	case SSH_CIPHER_FORGED:
		return JEEBS_CRYPTO_FORGED;
	case SSH_CIPHER_USED:
		return JEEBS_CRYPTO_USED;
	default:
		return JEEBS_CRYPTO_FAILED;
	}
}

/* Keeps @new, unless it is there already. */
static int keep(struct jeebs_keys *k, struct session_key *new, uint32_t *ret)
{
	int r = JEEBS_CRYPTO_OK;
	uint32_t i = 0;

	while (i < k->n && !same(&k->key[i], new))
		i++;
	if (i == SESSION_CRYPTO_KEYS) {
		r = JEEBS_CRYPTO_FAILED;
	} else {
		if (i == k->n)
			k->key[k->n++] = *new;
		*ret = i + 1;
	}
	explicit_bzero(new, sizeof *new);
	return r;
}

static enum tls_secret label_of(const struct jeebs_key_spec *spec)
{
	bool server = spec->dir == JEEBS_TO_CLIENT;

	switch (spec->kind) {
	case JEEBS_KEY_TLS12:
		return TLS_MASTER;
	case JEEBS_KEY_TLS13_HANDSHAKE:
		return server ? TLS_SERVER_HANDSHAKE : TLS_CLIENT_HANDSHAKE;
	case JEEBS_KEY_TLS13_APPLICATION:
		return server ? TLS_SERVER_APPLICATION : TLS_CLIENT_APPLICATION;
	default:
		return TLS_SECRETS;
	}
}

/* The traffic key of TLS 1.3 whose secret is in @key. */
static bool from_secret(struct session_key *key)
{
	struct bytes secret = bytes_of(key->secret, tls_suite_hash_bytes(key->suite));

	return tls13_traffic_key(key->suite, secret, &key->traffic);
}

/*
 * The secret that @spec asks for. One of another length belongs to another session, and is not
 * counted.
 */
static bool find_secret(const struct jeebs_keys *k, const struct jeebs_key_spec *spec,
			enum tls_secret label, size_t n, struct bytes *ret)
{
	const struct session_secrets *s = &k->secrets;
	uint32_t fitting = 0;

	for (uint32_t i = 0; s->find(s->ctx, spec->client_random, label, i, ret); i++)
		if (ret->n == n && fitting++ == spec->candidate)
			return true;
	return false;
}

static int derive(struct jeebs_keys *k, const struct jeebs_key_spec *spec, uint32_t *ret_key)
{
	const struct tls_suite *suite = tls_suite_find(spec->suite);
	enum tls_secret label = label_of(spec);
	struct bytes secret;

	if (label == TLS_SECRETS || spec->dir > 1)
		return JEEBS_CRYPTO_NO_KEY;
	if (!suite || suite->tls13 == (label == TLS_MASTER))
		return JEEBS_CRYPTO_NO_SUITE;
	if (spec->flags & JEEBS_KEY_ENCRYPT_THEN_MAC)
		suite = tls_suite_encrypt_then_mac(suite);
	size_t n = label == TLS_MASTER ? TLS_MASTER_BYTES : tls_suite_hash_bytes(suite);
	if (!find_secret(k, spec, label, n, &secret))
		return JEEBS_CRYPTO_NO_KEY;

	struct session_key new = {
		.suite = suite, .kind = (uint8_t)spec->kind, .dir = (uint8_t)spec->dir};
	bool ok;
	if (label == TLS_MASTER) {
		ok = tls12_traffic_key(suite, secret, spec->client_random, spec->server_random,
				       spec->dir, &new.traffic, new.secret);
	} else {
		memcpy(new.secret, secret.p, secret.n);
		ok = from_secret(&new);
	}
	if (!ok)
		explicit_bzero(&new, sizeof new);
	return ok ? keep(k, &new, ret_key) : JEEBS_CRYPTO_FAILED;
}

static int next(struct jeebs_keys *k, uint32_t handle, uint32_t *ret_key)
{
	struct session_key *key = key_at(k, handle);
	struct session_key new;

	if (!key || key->kind != JEEBS_KEY_TLS13_APPLICATION)
		return JEEBS_CRYPTO_NO_KEY;
	if (key->next > 0) {
		*ret_key = key->next;
		return JEEBS_CRYPTO_OK;
	}
	new = (struct session_key){.suite = key->suite, .kind = key->kind, .dir = key->dir};
	if (!tls13_next_secret(key->suite, bytes_of(key->secret, tls_suite_hash_bytes(key->suite)),
			       new.secret) ||
	    !from_secret(&new)) {
		explicit_bzero(&new, sizeof new);
		return JEEBS_CRYPTO_FAILED;
	}
	int r = keep(k, &new, ret_key);
	if (r == JEEBS_CRYPTO_OK)
		key->next = (uint8_t)*ret_key;
	return r;
}

static struct aead aead_of(const struct session_key *key, uint64_t nonce)
{
	struct aead a = {.suite = key->suite, .key = key->traffic.key};
	bool explicit = tls_suite_explicit_bytes(key->suite) > 0;

	memcpy(a.nonce, key->traffic.iv, TLS_NONCE_BYTES);
	for (int i = 0; i < 8; i++) {
		uint8_t b = (uint8_t)(nonce >> (56 - 8 * i));
		a.nonce[4 + i] = explicit ? b : a.nonce[4 + i] ^ b;
	}
	return a;
}

static struct bytes bytes_of_module(struct jeebs_bytes b)
{
	return bytes_of(b.p, b.n);
}

static int open_message(struct jeebs_keys *k, uint32_t handle, uint64_t nonce,
			struct jeebs_bytes aad, struct jeebs_bytes in, uint8_t *out)
{
	const struct session_key *key = key_at(k, handle);
	struct ssh_cipher *ssh = ssh_at(k, handle);

	if (ssh)
		return ssh_outcome(ssh_cipher_open(ssh, nonce, bytes_of_module(aad),
						   bytes_of_module(in), out));
	if (!key)
		return JEEBS_CRYPTO_NO_KEY;
	if (tls_suite_is_cbc(key->suite))
		return JEEBS_CRYPTO_FAILED;
	struct aead a = aead_of(key, nonce);
	return aead_open(&a, bytes_of_module(aad), bytes_of_module(in), out);
}

/* As many pieces as a record is in at most, and some more. */
#define PIECES_MAX 16

static int open_pieces(struct jeebs_keys *k, uint32_t handle, uint64_t nonce,
		       struct jeebs_bytes aad, const struct jeebs_bytes *in, size_t n, uint8_t *out)
{
	const struct session_key *key = key_at(k, handle);
	struct bytes piece[PIECES_MAX];

	if (!key)
		return JEEBS_CRYPTO_NO_KEY;
	if (tls_suite_is_cbc(key->suite) || n > PIECES_MAX)
		return JEEBS_CRYPTO_FAILED;
	for (size_t i = 0; i < n; i++)
		piece[i] = bytes_of_module(in[i]);
	struct aead a = aead_of(key, nonce);
	return aead_open_pieces(&a, bytes_of_module(aad), piece, n, out);
}

static int peek(struct jeebs_keys *k, uint32_t handle, uint64_t nonce, uint64_t off,
		struct jeebs_bytes in, uint8_t *out)
{
	const struct session_key *key = key_at(k, handle);
	struct ssh_cipher *ssh = ssh_at(k, handle);

	if (ssh)
		return ssh_outcome(ssh_cipher_peek(ssh, nonce, off, bytes_of_module(in), out));
	if (!key)
		return JEEBS_CRYPTO_NO_KEY;
	if (tls_suite_is_cbc(key->suite)) {
		struct cbc c = {.suite = key->suite, .key = key->traffic.key};
		return off == 0 ? cbc_peek(&c, bytes_of_module(in), out) : JEEBS_CRYPTO_FAILED;
	}
	struct aead a = aead_of(key, nonce);
	return aead_peek(&a, off, bytes_of_module(in), out);
}

static int seal(struct jeebs_keys *k, uint32_t handle, uint64_t nonce, struct jeebs_bytes aad,
		struct jeebs_bytes in, uint8_t *out)
{
	struct session_key *key = key_at(k, handle);
	struct ssh_cipher *ssh = ssh_at(k, handle);

	if (ssh)
		return ssh_outcome(ssh_cipher_seal(ssh, nonce, bytes_of_module(aad),
						   bytes_of_module(in), out));
	if (!key)
		return JEEBS_CRYPTO_NO_KEY;
	if (tls_suite_is_cbc(key->suite))
		return JEEBS_CRYPTO_FAILED;
	if (key->has_sealed && nonce != key->sealed + 1)
		return JEEBS_CRYPTO_USED;
	struct aead a = aead_of(key, nonce);
	/* Counted before it is done: what went wrong half-way may have been seen. */
	key->has_sealed = true;
	key->sealed = nonce;
	return aead_seal(&a, bytes_of_module(aad), bytes_of_module(in), out);
}

static int cbc_of(struct jeebs_keys *k, uint32_t handle, uint64_t number, struct jeebs_bytes head,
		  struct cbc *ret)
{
	const struct session_key *key = key_at(k, handle);

	if (!key)
		return JEEBS_CRYPTO_NO_KEY;
	if (!tls_suite_is_cbc(key->suite) || head.n != 3)
		return JEEBS_CRYPTO_FAILED;
	*ret = (struct cbc){key->suite, key->traffic.key, key->secret, number,
			    bytes_of_module(head)};
	return JEEBS_CRYPTO_OK;
}

static int open_cbc(struct jeebs_keys *k, uint32_t handle, uint64_t number, struct jeebs_bytes head,
		    struct jeebs_bytes in, uint8_t *out, size_t *ret_n)
{
	struct cbc c;
	int r = cbc_of(k, handle, number, head, &c);

	return r == JEEBS_CRYPTO_OK ? cbc_open(&c, bytes_of_module(in), out, ret_n) : r;
}

static int seal_cbc(struct jeebs_keys *k, uint32_t handle, uint64_t number, struct jeebs_bytes head,
		    struct jeebs_bytes iv, struct jeebs_bytes in, size_t pad, uint8_t *out)
{
	struct cbc c;
	int r = cbc_of(k, handle, number, head, &c);

	if (r == JEEBS_CRYPTO_OK && iv.n != 0 && iv.n != CBC_BLOCK)
		r = JEEBS_CRYPTO_FAILED;
	return r == JEEBS_CRYPTO_OK
		       ? cbc_seal(&c, iv.n > 0 ? iv.p : NULL, bytes_of_module(in), pad, out)
		       : r;
}

/* ---- SSH ------------------------------------------------------------------------------------ */

static int ssh_derive(struct jeebs_keys *k, const struct jeebs_ssh_spec *spec, uint32_t *ret_key)
{
	int r = ssh_of(k) ? session_ssh_derive(k->ssh, spec, ret_key) : JEEBS_CRYPTO_FAILED;

	if (r == JEEBS_CRYPTO_OK)
		*ret_key += SESSION_CRYPTO_KEYS;
	return r;
}

static int ssh_group(struct jeebs_keys *k, uint32_t min, uint32_t n, uint32_t max, uint8_t *out,
		     size_t cap, size_t *ret_n)
{
	(void)k;
	return ssh_exchange_group(min, n, max, out, cap, ret_n) ? JEEBS_CRYPTO_OK
								: JEEBS_CRYPTO_NO_SUITE;
}

static int ssh_exchange(struct jeebs_keys *k, const struct jeebs_ssh_exchange *x, uint8_t *out,
			size_t cap, size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_exchange(k->ssh, x, out, cap, ret_n) : JEEBS_CRYPTO_FAILED;
}

static int ssh_hash(struct jeebs_keys *k, uint32_t side, uint32_t exchange, struct jeebs_bytes head,
		    uint8_t *out, size_t cap, size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_exchange_hash(k->ssh, side, exchange, head, out, cap, ret_n)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_host_key_of(struct jeebs_keys *k, const char *algorithm, uint8_t *out, size_t cap,
			   size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_host_key(k->ssh, algorithm, out, cap, ret_n)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_sign(struct jeebs_keys *k, const char *algorithm, struct jeebs_bytes data,
		    uint8_t *out, size_t cap, size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_sign(k->ssh, algorithm, data, out, cap, ret_n)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_prove(struct jeebs_keys *k, struct jeebs_bytes host_key, struct jeebs_bytes data,
		     struct jeebs_bytes signature)
{
	return ssh_of(k) ? session_ssh_prove(k->ssh, host_key, data, signature)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_certificate(struct jeebs_keys *k, struct jeebs_bytes user, uint8_t *out, size_t cap,
			   size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_certificate(k->ssh, user, out, cap, ret_n)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_certificate_sign(struct jeebs_keys *k, struct jeebs_bytes data, uint8_t *out,
				size_t cap, size_t *ret_n)
{
	return ssh_of(k) ? session_ssh_certificate_sign(k->ssh, data, out, cap, ret_n)
			 : JEEBS_CRYPTO_FAILED;
}

static int ssh_random(struct jeebs_keys *k, uint8_t *out, size_t n)
{
	(void)k;
	return n <= JEEBS_CRYPTO_BYTES_MAX && RAND_bytes(out, (int)n) == 1 ? JEEBS_CRYPTO_OK
									   : JEEBS_CRYPTO_FAILED;
}

const struct jeebs_crypto_ops session_crypto_ops = {
	.size = sizeof(struct jeebs_crypto_ops),
	.derive = derive,
	.next = next,
	.open = open_message,
	.peek = peek,
	.seal = seal,
	.open_pieces = open_pieces,
	.open_cbc = open_cbc,
	.seal_cbc = seal_cbc,
	.ssh_derive = ssh_derive,
	.ssh_group = ssh_group,
	.ssh_exchange = ssh_exchange,
	.ssh_exchange_hash = ssh_hash,
	.ssh_host_key = ssh_host_key_of,
	.ssh_sign = ssh_sign,
	.ssh_prove = ssh_prove,
	.ssh_certificate = ssh_certificate,
	.ssh_certificate_sign = ssh_certificate_sign,
	.ssh_random = ssh_random,
};
