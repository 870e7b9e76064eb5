/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ssh-crypto: what this room asks of whoever has the keys. They never come here: a key is a small
 * number, and so is a key exchange.
 *
 * Packets are whole: length, padding length, payload, padding, and on the wire the tag. @nonce and
 * @aad say which packet it is, by the cipher (struct ssh_number, ssh_number_of()).
 */
#ifndef SSH_CRYPTO_H
#define SSH_CRYPTO_H

#include "base/bytes.h"

enum {
	SSH_CRYPTO_OK = 0,
	SSH_CRYPTO_NO_KEY = 1,   /* there is no such key, or not yet */
	SSH_CRYPTO_NO_SUITE = 2, /* nobody here can do that */
	SSH_CRYPTO_FORGED = 3, /* the tag does not prove the packet; the peer's value is unlawful */
	SSH_CRYPTO_USED = 4,   /* it is not the packet behind the one sealed last */
	SSH_CRYPTO_FAILED = 5, /* no memory; nothing happened */
};

#define SSH_HASH_MAX 64u

struct ssh_key_spec {
	uint32_t exchange; /* 0: the first key exchange of the connection */
	uint32_t dir;      /* JEEBS_TO_* : whose packets */
	const char *cipher, *mac;
};

struct ssh_crypto_ops {
	/* The same spec gives the same key. */
	int (*derive)(void *k, const struct ssh_key_spec *spec, uint32_t *ret_key);
	/* @out gets what is in clear, in.n less the tag. It may not overlap @in. */
	int (*open)(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		    uint8_t *out);
	/* A part of a packet from its byte @off on. It proves nothing. */
	int (*peek)(void *k, uint32_t key, uint64_t nonce, uint64_t off, struct bytes in,
		    uint8_t *out);
	/* @out gets @in sealed, and the tag. It may not overlap @in. */
	int (*seal)(void *k, uint32_t key, uint64_t nonce, struct bytes aad, struct bytes in,
		    uint8_t *out);

	/* A group of @min to @max bits, best @n (RFC 4419); @out gets p, g is 2. */
	int (*group)(void *k, uint32_t min, uint32_t n, uint32_t max, uint8_t *out, size_t cap,
		     size_t *ret_n);
	/*
	 * Begins @exchange as the server. @p, @g: of a group exchange, else empty. @peer: the
	 * client's public value, and @out gets the server's, both as they are without a length.
	 */
	int (*exchange)(void *k, uint32_t exchange, const char *method, struct bytes p,
			struct bytes g, struct bytes peer, uint8_t *out, size_t cap, size_t *ret_n);
	/* H, the hash of @head and K. From now on derive() knows the keys of @exchange. */
	int (*exchange_hash)(void *k, uint32_t exchange, struct bytes head,
			     uint8_t out[SSH_HASH_MAX], size_t *ret_n);
	/* K_S of RFC 4253, section 8, for an algorithm of a host key. */
	int (*host_key)(void *k, const char *algorithm, uint8_t *out, size_t cap, size_t *ret_n);
	/* The signature over @data, with its algorithm in front. */
	int (*sign)(void *k, const char *algorithm, struct bytes data, uint8_t *out, size_t cap,
		    size_t *ret_n);

	/*
	 * Towards the backup. exchange() without @peer gives the client's value, and with the
	 * server's nothing. prove(): that K_S is a host key of the service, and the signature by
	 * it. certificate(): for a login as @user with a new key, which certificate_sign() uses; of
	 * an empty user only SSH_CRYPTO_NO_KEY tells something, that there is no CA.
	 */
	int (*prove)(void *k, struct bytes k_s, struct bytes data, struct bytes signature);
	int (*certificate)(void *k, struct bytes user, uint8_t *out, size_t cap, size_t *ret_n);
	int (*certificate_sign)(void *k, struct bytes data, uint8_t *out, size_t cap,
				size_t *ret_n);
};

struct ssh_crypto {
	void *k;
	const struct ssh_crypto_ops *ops;
};

#endif
