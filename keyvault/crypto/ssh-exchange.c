/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-exchange.h"

#include <errno.h>
#include <stdlib.h>

#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/ec.h>
#include <openssl/evp.h>

#define GROUP_MIN_BITS 2048 /* RFC 8270 */
#define GROUP_MAX_BITS 8192
/* Twice what the strongest cipher is worth: as OpenSSH. */
#define EXPONENT_BITS 512

enum family {
	FAMILY_CURVE25519,
	FAMILY_ECDH,
	FAMILY_GROUP,          /* a fixed one */
	FAMILY_GROUP_EXCHANGE, /* one that the server has named */
};

struct method {
	const char *name;
	enum family family;
	enum ssh_hash hash;
	const char *curve;
	BIGNUM *(*prime)(BIGNUM *);
};

static const struct method methods[] = {
	{"curve25519-sha256", FAMILY_CURVE25519, SSH_SHA256, NULL, NULL},
	{"curve25519-sha256@libssh.org", FAMILY_CURVE25519, SSH_SHA256, NULL, NULL},
	{"ecdh-sha2-nistp256", FAMILY_ECDH, SSH_SHA256, "P-256", NULL},
	{"ecdh-sha2-nistp384", FAMILY_ECDH, SSH_SHA384, "P-384", NULL},
	{"ecdh-sha2-nistp521", FAMILY_ECDH, SSH_SHA512, "P-521", NULL},
	{"diffie-hellman-group14-sha256", FAMILY_GROUP, SSH_SHA256, NULL,
	 BN_get_rfc3526_prime_2048},
	{"diffie-hellman-group14-sha1", FAMILY_GROUP, SSH_SHA1, NULL, BN_get_rfc3526_prime_2048},
	{"diffie-hellman-group16-sha512", FAMILY_GROUP, SSH_SHA512, NULL,
	 BN_get_rfc3526_prime_4096},
	{"diffie-hellman-group18-sha512", FAMILY_GROUP, SSH_SHA512, NULL,
	 BN_get_rfc3526_prime_8192},
	{"diffie-hellman-group-exchange-sha256", FAMILY_GROUP_EXCHANGE, SSH_SHA256, NULL, NULL},
	{"diffie-hellman-group-exchange-sha1", FAMILY_GROUP_EXCHANGE, SSH_SHA1, NULL, NULL},
};

static const EVP_MD *digest_of(enum ssh_hash hash)
{
	static const EVP_MD *(*const of[])(void) = {
		[SSH_SHA1] = EVP_sha1,
		[SSH_SHA256] = EVP_sha256,
		[SSH_SHA384] = EVP_sha384,
		[SSH_SHA512] = EVP_sha512,
	};

	return of[hash]();
}

static const struct method *find_method(const char *name)
{
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++)
		if (strcmp(methods[i].name, name) == 0)
			return &methods[i];
	return NULL;
}

static bool has_points(const struct method *m)
{
	return m->family == FAMILY_CURVE25519 || m->family == FAMILY_ECDH;
}

/* @b as an mpint. False: no room. */
static bool keep_secret(struct ssh_exchange_secret *s, struct bytes b)
{
	struct writer w = WRITER_IN(s->k);

	while (b.n > 0 && b.p[0] == 0)
		b = bytes_from(b, 1);
	bool negative = b.n > 0 && (b.p[0] & 0x80);

	writer_u32be(&w, (uint32_t)(b.n + negative));
	if (negative)
		writer_u8(&w, 0);
	writer_bytes(&w, b);
	s->k_n = writer_pos(&w);
	return writer_ok(&w) && b.n > 0;
}

/* ---- points --------------------------------------------------------------------------------- */

static EVP_PKEY *peer_key(const struct method *m, struct bytes peer)
{
	if (m->family == FAMILY_CURVE25519)
		return EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, NULL, peer.p, peer.n);
	const OSSL_PARAM params[] = {
		OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)m->curve, 0),
		OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)peer.p, peer.n),
		OSSL_PARAM_END};
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
	EVP_PKEY *k = NULL;

	/* SEC 1: uncompressed; that it is on the curve is tested when it is agreed with. */
	if (!c || peer.n == 0 || peer.p[0] != 4 || EVP_PKEY_fromdata_init(c) != 1 ||
	    EVP_PKEY_fromdata(c, &k, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) != 1)
		k = NULL;
	EVP_PKEY_CTX_free(c);
	return k;
}

static bool agree(EVP_PKEY *own, EVP_PKEY *peer, struct ssh_exchange_secret *s)
{
	uint8_t shared[80];
	size_t n = sizeof shared;
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(own, NULL);
	bool ok = c && EVP_PKEY_derive_init(c) == 1 && EVP_PKEY_derive_set_peer(c, peer) == 1 &&
		  EVP_PKEY_derive(c, shared, &n) == 1 && keep_secret(s, bytes_of(shared, n));

	EVP_PKEY_CTX_free(c);
	OPENSSL_cleanse(shared, sizeof shared);
	return ok;
}

static EVP_PKEY *new_point(const struct method *m)
{
	return m->family == FAMILY_CURVE25519 ? EVP_PKEY_Q_keygen(NULL, NULL, "X25519")
					      : EVP_EC_gen(m->curve);
}

static int make_point(const struct method *m, struct bytes peer, struct ssh_exchange_secret *s,
		      uint8_t *out, size_t cap, size_t *ret_n)
{
	EVP_PKEY *other = peer_key(m, peer);
	EVP_PKEY *own = new_point(m);
	int r = SSH_EXCHANGE_OK;

	if (!own)
		r = -ENOMEM;
	else if (!other || !agree(own, other, s))
		r = SSH_EXCHANGE_UNLAWFUL;
	else if (EVP_PKEY_get_octet_string_param(own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY, out, cap,
						 ret_n) != 1)
		r = -ENOBUFS;
	EVP_PKEY_free(own);
	EVP_PKEY_free(other);
	return r;
}

struct ssh_exchange_half {
	const struct method *method;
	EVP_PKEY *own;
};

int ssh_exchange_begin(const char *method, struct ssh_exchange_half **ret, uint8_t *out, size_t cap,
		       size_t *ret_n)
{
	const struct method *m = find_method(method);
	struct ssh_exchange_half *h;

	if (!m || !has_points(m))
		return SSH_EXCHANGE_UNKNOWN;
	h = calloc(1, sizeof *h);
	if (!h)
		return -ENOMEM;
	h->method = m;
	h->own = new_point(m);
	if (!h->own || EVP_PKEY_get_octet_string_param(h->own, OSSL_PKEY_PARAM_ENCODED_PUBLIC_KEY,
						       out, cap, ret_n) != 1) {
		ssh_exchange_half_free(h);
		return -ENOMEM;
	}
	*ret = h;
	return SSH_EXCHANGE_OK;
}

int ssh_exchange_end(const struct ssh_exchange_half *h, struct bytes peer,
		     struct ssh_exchange_secret *ret)
{
	EVP_PKEY *other = peer_key(h->method, peer);
	int r = other && agree(h->own, other, ret) ? SSH_EXCHANGE_OK : SSH_EXCHANGE_UNLAWFUL;

	ret->hash = h->method->hash;
	EVP_PKEY_free(other);
	return r;
}

void ssh_exchange_half_free(struct ssh_exchange_half *h)
{
	if (!h)
		return;
	EVP_PKEY_free(h->own);
	free(h);
}

/* ---- groups --------------------------------------------------------------------------------- */

/* 1 < @v < @p - 1 */
static bool inside(const BIGNUM *v, const BIGNUM *p, BIGNUM *room)
{
	return BN_cmp(v, BN_value_one()) > 0 && BN_copy(room, p) && BN_sub_word(room, 1) &&
	       BN_cmp(v, room) < 0;
}

static int put_number(const BIGNUM *v, uint8_t *out, size_t cap, size_t *ret_n)
{
	size_t n = (size_t)BN_num_bytes(v);

	if (n > cap)
		return -ENOBUFS;
	BN_bn2bin(v, out);
	*ret_n = n;
	return SSH_EXCHANGE_OK;
}

static int group_agree(const BIGNUM *p, const BIGNUM *g, const BIGNUM *e, BN_CTX *c,
		       struct ssh_exchange_secret *s, uint8_t *out, size_t cap, size_t *ret_n)
{
	uint8_t shared[GROUP_MAX_BITS / 8];
	BIGNUM *y = BN_secure_new(), *k = BN_secure_new(), *v = BN_new();
	int r = -ENOMEM;

	if (!y || !k || !v ||
	    BN_priv_rand(y, EXPONENT_BITS, BN_RAND_TOP_ONE, BN_RAND_BOTTOM_ANY) != 1)
		goto out;
	BN_set_flags(y, BN_FLG_CONSTTIME);
	if (!inside(e, p, v) || !inside(g, p, v)) {
		r = SSH_EXCHANGE_UNLAWFUL;
		goto out;
	}
	if (BN_mod_exp(v, g, y, p, c) != 1 || BN_mod_exp(k, e, y, p, c) != 1)
		goto out;
	int n = BN_bn2bin(k, shared);

	r = keep_secret(s, bytes_of(shared, (size_t)n)) && !BN_is_one(k)
		    ? put_number(v, out, cap, ret_n)
		    : SSH_EXCHANGE_UNLAWFUL;
	OPENSSL_cleanse(shared, sizeof shared);
out:
	BN_clear_free(y);
	BN_clear_free(k);
	BN_free(v);
	return r;
}

static int make_number(const struct method *m, struct bytes p, struct bytes g, struct bytes peer,
		       struct ssh_exchange_secret *s, uint8_t *out, size_t cap, size_t *ret_n)
{
	BN_CTX *c = BN_CTX_new();
	BIGNUM *prime = m->prime ? m->prime(NULL) : BN_bin2bn(p.p, (int)p.n, NULL);
	BIGNUM *gen = m->prime ? BN_new() : BN_bin2bn(g.p, (int)g.n, NULL);
	BIGNUM *e = BN_bin2bn(peer.p, (int)peer.n, NULL);
	int r = -ENOMEM;

	if (c && prime && gen && e && (!m->prime || BN_set_word(gen, 2))) {
		int bits = BN_num_bits(prime);

		r = bits < GROUP_MIN_BITS || bits > GROUP_MAX_BITS || !BN_is_odd(prime)
			    ? SSH_EXCHANGE_UNLAWFUL
			    : group_agree(prime, gen, e, c, s, out, cap, ret_n);
	}
	BN_free(e);
	BN_free(gen);
	BN_free(prime);
	BN_CTX_free(c);
	return r;
}

int ssh_exchange_make(const char *method, struct bytes p, struct bytes g, struct bytes peer,
		      struct ssh_exchange_secret *ret, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct method *m = find_method(method);

	if (!m)
		return SSH_EXCHANGE_UNKNOWN;
	if (p.n > GROUP_MAX_BITS / 8 + 1 || g.n > GROUP_MAX_BITS / 8 + 1 ||
	    peer.n > GROUP_MAX_BITS / 8 + 1 || peer.n == 0)
		return SSH_EXCHANGE_UNLAWFUL;
	ret->hash = m->hash;
	return has_points(m) ? make_point(m, peer, ret, out, cap, ret_n)
			     : make_number(m, p, g, peer, ret, out, cap, ret_n);
}

int ssh_exchange_hash(const struct ssh_exchange_secret *s, struct bytes head, uint8_t *out,
		      size_t *ret_n)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();
	unsigned n = 0;
	bool ok = c && EVP_DigestInit_ex(c, digest_of(s->hash), NULL) &&
		  EVP_DigestUpdate(c, head.p, head.n) && EVP_DigestUpdate(c, s->k, s->k_n) &&
		  EVP_DigestFinal_ex(c, out, &n);

	EVP_MD_CTX_free(c);
	*ret_n = n;
	return ok ? 0 : -ENOMEM;
}

bool ssh_exchange_group(uint32_t min, uint32_t n, uint32_t max, uint8_t *out, size_t cap,
			size_t *ret_n)
{
	static const struct {
		uint32_t bits;
		BIGNUM *(*prime)(BIGNUM *);
	} groups[] = {
		{2048, BN_get_rfc3526_prime_2048}, {3072, BN_get_rfc3526_prime_3072},
		{4096, BN_get_rfc3526_prime_4096}, {6144, BN_get_rfc3526_prime_6144},
		{8192, BN_get_rfc3526_prime_8192},
	};
	BIGNUM *best = NULL;
	bool ok = false;

	/* The smallest that is no smaller than wanted; else the largest of those allowed. */
	for (size_t i = 0; i < sizeof groups / sizeof *groups; i++)
		if (groups[i].bits >= min && groups[i].bits <= max &&
		    (!best || (uint32_t)BN_num_bits(best) < n)) {
			BN_free(best);
			best = groups[i].prime(NULL);
		}
	ok = best && put_number(best, out, cap, ret_n) == SSH_EXCHANGE_OK;
	BN_free(best);
	return ok;
}
