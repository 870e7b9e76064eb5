/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-suite.h"

#define GCM_128(number)                                   \
	{                                                 \
		number, TLS_AES_128_GCM, 16, false, false \
	}
#define GCM_256(number)                                  \
	{                                                \
		number, TLS_AES_256_GCM, 16, true, false \
	}
#define CCM_128(number)                                   \
	{                                                 \
		number, TLS_AES_128_CCM, 16, false, false \
	}
#define CCM_256(number)                                   \
	{                                                 \
		number, TLS_AES_256_CCM, 16, false, false \
	}
#define CCM_8_128(number)                                \
	{                                                \
		number, TLS_AES_128_CCM, 8, false, false \
	}
#define CCM_8_256(number)                                \
	{                                                \
		number, TLS_AES_256_CCM, 8, false, false \
	}
#define CHACHA(number)                                          \
	{                                                       \
		number, TLS_CHACHA20_POLY1305, 16, false, false \
	}

/* With the MAC inside, and behind. */
#define CBC(number, cipher, mac, sha384)                 \
	{number, cipher, mac, sha384, false, false},     \
	{                                                \
		number, cipher, mac, sha384, false, true \
	}
#define CBC_128(number) CBC(number, TLS_AES_128_CBC, 20, false)
#define CBC_256(number) CBC(number, TLS_AES_256_CBC, 20, false)

/* Of each pair the key exchanges: RFC 5246, 5288, 5289, 5487, 6655, 7251, 7905, 8442, 8446. */
static const struct tls_suite suites[] = {
	{0x1301, TLS_AES_128_GCM, 16, false, true},
	{0x1302, TLS_AES_256_GCM, 16, true, true},
	{0x1303, TLS_CHACHA20_POLY1305, 16, false, true},
	{0x1304, TLS_AES_128_CCM, 16, false, true},
	{0x1305, TLS_AES_128_CCM, 8, false, true},
	GCM_128(0x009c),
	GCM_256(0x009d), /* RSA */
	GCM_128(0x009e),
	GCM_256(0x009f), /* DHE_RSA */
	GCM_128(0x00a0),
	GCM_256(0x00a1), /* DH_RSA */
	GCM_128(0x00a2),
	GCM_256(0x00a3), /* DHE_DSS */
	GCM_128(0x00a4),
	GCM_256(0x00a5), /* DH_DSS */
	GCM_128(0x00a6),
	GCM_256(0x00a7), /* DH_anon */
	GCM_128(0x00a8),
	GCM_256(0x00a9), /* PSK */
	GCM_128(0x00aa),
	GCM_256(0x00ab), /* DHE_PSK */
	GCM_128(0x00ac),
	GCM_256(0x00ad), /* RSA_PSK */
	GCM_128(0xc02b),
	GCM_256(0xc02c), /* ECDHE_ECDSA */
	GCM_128(0xc02d),
	GCM_256(0xc02e), /* ECDH_ECDSA */
	GCM_128(0xc02f),
	GCM_256(0xc030), /* ECDHE_RSA */
	GCM_128(0xc031),
	GCM_256(0xc032), /* ECDH_RSA */
	GCM_128(0xd001),
	GCM_256(0xd002), /* ECDHE_PSK */
	CCM_128(0xc09c),
	CCM_256(0xc09d), /* RSA */
	CCM_128(0xc09e),
	CCM_256(0xc09f), /* DHE_RSA */
	CCM_8_128(0xc0a0),
	CCM_8_256(0xc0a1), /* RSA */
	CCM_8_128(0xc0a2),
	CCM_8_256(0xc0a3), /* DHE_RSA */
	CCM_128(0xc0a4),
	CCM_256(0xc0a5), /* PSK */
	CCM_128(0xc0a6),
	CCM_256(0xc0a7), /* DHE_PSK */
	CCM_8_128(0xc0a8),
	CCM_8_256(0xc0a9), /* PSK */
	CCM_8_128(0xc0aa),
	CCM_8_256(0xc0ab), /* DHE_PSK */
	CCM_128(0xc0ac),
	CCM_256(0xc0ad), /* ECDHE_ECDSA */
	CCM_8_128(0xc0ae),
	CCM_8_256(0xc0af), /* ECDHE_ECDSA */
	CCM_8_128(0xd003),
	CCM_128(0xd005), /* ECDHE_PSK */
	CHACHA(0xcca8),  /* ECDHE_RSA */
	CHACHA(0xcca9),  /* ECDHE_ECDSA */
	CHACHA(0xccaa),  /* DHE_RSA */
	CHACHA(0xccab),  /* PSK */
	CHACHA(0xccac),  /* ECDHE_PSK */
	CHACHA(0xccad),  /* DHE_PSK */
	CHACHA(0xccae),  /* RSA_PSK */
	CBC_128(0x002f),
	CBC_256(0x0035), /* RSA */
	CBC_128(0x0033),
	CBC_256(0x0039), /* DHE_RSA */
	CBC_128(0xc009),
	CBC_256(0xc00a), /* ECDHE_ECDSA */
	CBC_128(0xc013),
	CBC_256(0xc014), /* ECDHE_RSA */
	CBC(0x003c, TLS_AES_128_CBC, 32, false),
	CBC(0x003d, TLS_AES_256_CBC, 32, false), /* RSA */
	CBC(0x0067, TLS_AES_128_CBC, 32, false),
	CBC(0x006b, TLS_AES_256_CBC, 32, false), /* DHE_RSA */
	CBC(0xc023, TLS_AES_128_CBC, 32, false),
	CBC(0xc024, TLS_AES_256_CBC, 48, true), /* ECDHE_ECDSA */
	CBC(0xc027, TLS_AES_128_CBC, 32, false),
	CBC(0xc028, TLS_AES_256_CBC, 48, true), /* ECDHE_RSA */
};

const struct tls_suite *tls_suite_find(uint16_t number)
{
	for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++)
		if (suites[i].number == number)
			return &suites[i];
	return NULL;
}

const struct tls_suite *tls_suite_encrypt_then_mac(const struct tls_suite *s)
{
	return tls_suite_is_cbc(s) && !s->etm ? s + 1 : s;
}
