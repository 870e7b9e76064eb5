/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ssh-keys.h"

#include "jeebs/recovery-module.h"

_Static_assert((int)SSH_CRYPTO_NO_KEY == JEEBS_CRYPTO_NO_KEY &&
		       (int)SSH_CRYPTO_NO_SUITE == JEEBS_CRYPTO_NO_SUITE &&
		       (int)SSH_CRYPTO_FORGED == JEEBS_CRYPTO_FORGED &&
		       (int)SSH_CRYPTO_USED == JEEBS_CRYPTO_USED &&
		       (int)SSH_CRYPTO_FAILED == JEEBS_CRYPTO_FAILED,
	       "outcomes are passed on as they are");

bool ssh_keys_known(const struct ssh_keys_of *of)
{
	return of->keys && JEEBS_HAS(of->ops, ssh_random);
}

static struct jeebs_bytes out_of(struct bytes b)
{
	return (struct jeebs_bytes){b.p, b.n};
}

static int derive(void *k, const struct ssh_key_spec *spec, uint32_t *ret_key)
{
	const struct ssh_keys_of *of = k;
	const struct jeebs_ssh_spec s = {
		.side = of->side,
		.exchange = spec->exchange,
		.dir = spec->dir,
		.candidate = of->candidate,
		.cipher = spec->cipher,
		.mac = spec->mac,
	};

	return ssh_keys_known(of) ? of->ops->ssh_derive(of->keys, &s, ret_key) : SSH_CRYPTO_NO_KEY;
}

static int open_packet(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		       uint8_t *out)
{
	const struct ssh_keys_of *of = k;

	return of->keys ? of->ops->open(of->keys, key, nonce, out_of(aad), out_of(in), out)
			: SSH_CRYPTO_NO_KEY;
}

static int peek(void *k, uint32_t key, uint64_t nonce, uint64_t off, struct bytes in, uint8_t *out)
{
	const struct ssh_keys_of *of = k;

	return of->keys ? of->ops->peek(of->keys, key, nonce, off, out_of(in), out)
			: SSH_CRYPTO_NO_KEY;
}

static int seal(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		uint8_t *out)
{
	const struct ssh_keys_of *of = k;

	return of->keys ? of->ops->seal(of->keys, key, nonce, out_of(aad), out_of(in), out)
			: SSH_CRYPTO_NO_KEY;
}

static int group(void *k, uint32_t min, uint32_t n, uint32_t max, uint8_t *out, size_t cap,
		 size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of) ? of->ops->ssh_group(of->keys, min, n, max, out, cap, ret_n)
				  : SSH_CRYPTO_NO_KEY;
}

static int exchange(void *k, uint32_t number, const char *method, struct bytes p, struct bytes g,
		    struct bytes peer, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_keys_of *of = k;
	const struct jeebs_ssh_exchange x = {.side = of->side,
					     .exchange = number,
					     .method = method,
					     .p = out_of(p),
					     .g = out_of(g),
					     .peer = out_of(peer)};

	return ssh_keys_known(of) ? of->ops->ssh_exchange(of->keys, &x, out, cap, ret_n)
				  : SSH_CRYPTO_NO_KEY;
}

static int exchange_hash(void *k, uint32_t number, struct bytes head, uint8_t out[SSH_HASH_MAX],
			 size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of)
		       ? of->ops->ssh_exchange_hash(of->keys, of->side, number, out_of(head), out,
						    SSH_HASH_MAX, ret_n)
		       : SSH_CRYPTO_NO_KEY;
}

static int host_key(void *k, const char *algorithm, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of) ? of->ops->ssh_host_key(of->keys, algorithm, out, cap, ret_n)
				  : SSH_CRYPTO_NO_KEY;
}

static int sign(void *k, const char *algorithm, struct bytes data, uint8_t *out, size_t cap,
		size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of)
		       ? of->ops->ssh_sign(of->keys, algorithm, out_of(data), out, cap, ret_n)
		       : SSH_CRYPTO_NO_KEY;
}

static int prove(void *k, struct bytes k_s, struct bytes data, struct bytes signature)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of)
		       ? of->ops->ssh_prove(of->keys, out_of(k_s), out_of(data), out_of(signature))
		       : SSH_CRYPTO_NO_KEY;
}

static int certificate(void *k, struct bytes user, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of)
		       ? of->ops->ssh_certificate(of->keys, out_of(user), out, cap, ret_n)
		       : SSH_CRYPTO_NO_KEY;
}

static int certificate_sign(void *k, struct bytes data, uint8_t *out, size_t cap, size_t *ret_n)
{
	const struct ssh_keys_of *of = k;

	return ssh_keys_known(of)
		       ? of->ops->ssh_certificate_sign(of->keys, out_of(data), out, cap, ret_n)
		       : SSH_CRYPTO_NO_KEY;
}

struct ssh_crypto ssh_keys_crypto(struct ssh_keys_of *of)
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
		.prove = prove,
		.certificate = certificate,
		.certificate_sign = certificate_sign,
	};

	return (struct ssh_crypto){of, &ops};
}
