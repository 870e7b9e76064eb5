/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-hello: what a ClientHello, a ServerHello (HelloRetryRequest is one) or the
 * EncryptedExtensions say that matters later (RFC 8446 section 4, RFC 5246 section 7.4).
 *
 * The bytes may come in any pieces; nothing of the message is kept but what is in the struct.
 */
#ifndef TLS_HELLO_H
#define TLS_HELLO_H

#include "base/bytes.h"

enum tls_handshake_type {
	TLS_HELLO_REQUEST = 0,
	TLS_CLIENT_HELLO = 1,
	TLS_SERVER_HELLO = 2,
	TLS_NEW_SESSION_TICKET = 4,
	TLS_END_OF_EARLY_DATA = 5,
	TLS_ENCRYPTED_EXTENSIONS = 8,
	TLS_FINISHED = 20,
	TLS_KEY_UPDATE = 24,
};

#define TLS_HANDSHAKE_HEADER_BYTES 4
#define TLS_HANDSHAKE_MAX          ((size_t)1 << 17) /* of the messages that are read here */

/* Extensions that were there. */
enum tls_extension {
	TLS_EXT_SERVER_NAME = 1 << 0,
	TLS_EXT_MAX_FRAGMENT = 1 << 1,      /* RFC 6066 section 4 */
	TLS_EXT_HEARTBEAT = 1 << 2,         /* RFC 6520 */
	TLS_EXT_ALPN = 1 << 3,              /* RFC 7301 */
	TLS_EXT_ENCRYPT_THEN_MAC = 1 << 4,  /* RFC 7366 */
	TLS_EXT_EXTENDED_MASTER = 1 << 5,   /* RFC 7627 */
	TLS_EXT_RECORD_SIZE_LIMIT = 1 << 6, /* RFC 8449 */
	TLS_EXT_PRE_SHARED_KEY = 1 << 7,
	TLS_EXT_EARLY_DATA = 1 << 8,
	TLS_EXT_SUPPORTED_VERSIONS = 1 << 9,
	TLS_EXT_SESSION_TICKET = 1 << 10, /* RFC 5077 */
	TLS_EXT_CONNECTION_ID = 1 << 11,  /* RFC 9146: not for TLS, and never agreed on */
};

#define TLS_HELLO_RANDOM_BYTES 32
#define TLS_NAME_MAX           255
#define TLS_ALPN_MAX           32

struct tls_hello {
	/* To be read when the message has ended. */
	uint8_t random[TLS_HELLO_RANDOM_BYTES];
	uint16_t version;            /* of a ServerHello: the one that both speak */
	uint16_t suite;              /* of a ServerHello */
	uint16_t record_size_limit;  /* if the extension was there */
	uint8_t max_fragment;        /* the extension's code, 1 to 4: 2^9 to 2^12 bytes */
	bool retry;                  /* it is a HelloRetryRequest */
	bool compresses;             /* a ServerHello that has chosen a compression */
	uint32_t extensions;         /* enum tls_extension */
	char name[TLS_NAME_MAX + 1]; /* of the server, that a client asks for; empty: none */
	char alpn[TLS_ALPN_MAX + 1]; /* that a server has chosen; empty: none, or a longer one */

	/* Private. */
	uint8_t type, stage;
	bool wrong;
	uint32_t skip;     /* bytes of the message to be passed over */
	uint16_t ext_left; /* bytes of extensions to come */
	uint16_t ext_type, ext_n;
	uint16_t have; /* bytes of the field under way */
	uint8_t field[TLS_NAME_MAX + 5];
};

/* @type: TLS_CLIENT_HELLO, TLS_SERVER_HELLO or TLS_ENCRYPTED_EXTENSIONS. */
void tls_hello_begin(struct tls_hello *h, uint8_t type);
/* Bytes of the message behind its header. */
void tls_hello_take(struct tls_hello *h, struct bytes b);
/* The message has ended. False: it is malformed. */
bool tls_hello_end(struct tls_hello *h);

#endif
