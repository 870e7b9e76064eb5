/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "null-crypto.h"

#include "base/bytes.h"

static int derive(void *k, const struct ssh_key_spec *spec, uint32_t *ret_key)
{
	struct null_crypto *n = k;
	struct ssh_suite suite;

	if (n->n == sizeof n->key / sizeof *n->key)
		return SSH_CRYPTO_NO_KEY;
	if (!ssh_suite_find(bytes_str(spec->cipher), bytes_str(spec->mac), &suite))
		return SSH_CRYPTO_NO_SUITE;
	n->key[n->n++].tag = suite.tag;
	*ret_key = n->n;
	return SSH_CRYPTO_OK;
}

static int open_packet(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		       uint8_t *out)
{
	const struct null_crypto *n = k;
	uint8_t tag = n->key[key - 1].tag;

	(void)nonce;
	(void)aad;
	if (in.n < tag)
		return SSH_CRYPTO_FORGED;
	memcpy(out, in.p, in.n - tag);
	return SSH_CRYPTO_OK;
}

static int peek(void *k, uint32_t key, uint64_t nonce, uint64_t off, struct bytes in, uint8_t *out)
{
	(void)k;
	(void)key;
	(void)nonce;
	(void)off;
	memcpy(out, in.p, in.n);
	return SSH_CRYPTO_OK;
}

static int seal(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		uint8_t *out)
{
	const struct null_crypto *n = k;

	(void)nonce;
	(void)aad;
	memcpy(out, in.p, in.n);
	memset(out + in.n, 0, n->key[key - 1].tag);
	return SSH_CRYPTO_OK;
}

struct ssh_crypto null_crypto_of(struct null_crypto *n)
{
	static const struct ssh_crypto_ops ops = {
		.derive = derive,
		.open = open_packet,
		.peek = peek,
		.seal = seal,
	};

	*n = (struct null_crypto){0};
	return (struct ssh_crypto){n, &ops};
}
