/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-suite: the cipher suites of TLS whose records are sealed with AEAD, or AES-CBC in TLS 1.2,
 * and what must be known of each to read its records. All others are unknown here.
 */
#ifndef KEYVAULT_TLS_SUITE_H
#define KEYVAULT_TLS_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum tls_cipher {
	TLS_AES_128_GCM,
	TLS_AES_256_GCM,
	TLS_AES_128_CCM,
	TLS_AES_256_CCM,
	TLS_CHACHA20_POLY1305,
	TLS_AEADS,
	TLS_AES_128_CBC = TLS_AEADS,
	TLS_AES_256_CBC,
};

#define TLS_KEY_MAX_BYTES 32
#define TLS_NONCE_BYTES   12

struct tls_suite {
	uint16_t number; /* IANA's */
	uint8_t cipher;  /* enum tls_cipher */
	uint8_t tag;     /* bytes of the tag: 16, or 8; of the MAC: 20, 32 or 48 */
	bool sha384;     /* the hash of its key schedule; otherwise SHA-256 */
	bool tls13;      /* for TLS 1.3; otherwise for 1.2 */
	bool etm;        /* CBC: the MAC is behind (RFC 7366) */
};

/* NULL: it is unknown. Of CBC the one whose MAC is inside. */
const struct tls_suite *tls_suite_find(uint16_t number);
/* The same with encrypt-then-MAC, which changes nothing but CBC. */
const struct tls_suite *tls_suite_encrypt_then_mac(const struct tls_suite *s);

static inline bool tls_suite_is_cbc(const struct tls_suite *s)
{
	return s->cipher >= TLS_AES_128_CBC;
}

static inline size_t tls_suite_key_bytes(const struct tls_suite *s)
{
	return s->cipher == TLS_AES_128_GCM || s->cipher == TLS_AES_128_CCM ||
			       s->cipher == TLS_AES_128_CBC
		       ? 16
		       : 32;
}

static inline size_t tls_suite_hash_bytes(const struct tls_suite *s)
{
	return s->sha384 ? 48 : 32;
}

/* Bytes of the nonce that stand in front of the ciphertext in each record. */
static inline size_t tls_suite_explicit_bytes(const struct tls_suite *s)
{
	return !s->tls13 && s->cipher < TLS_CHACHA20_POLY1305 ? 8 : 0;
}

#endif
