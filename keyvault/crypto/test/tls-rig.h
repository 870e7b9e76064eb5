/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-rig: a conversation of TLS, made by OpenSSL in memory, with all that an observer has of it,
 * and a key log.
 *
 *	struct tls_rig_options o = {.suite = "TLS_AES_128_GCM_SHA256"};
 *	struct tls_rig *r = tls_rig_new(&o);
 *	tls_rig_handshake(r);
 *	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str("hello"));
 *	... r->wire, r->plain, r->order ...
 *	tls_rig_free(r);
 *
 * Whatever fails, fails the test.
 */
#ifndef TEST_TLS_RIG_H
#define TEST_TLS_RIG_H

#include <openssl/ssl.h>

#include "base/buf.h"
#include "jeebs/recovery-module.h"
#include "keyvault/crypto/session-crypto.h"

struct tls_rig_options {
	const char *suite; /* OpenSSL's name; those of TLS 1.3 begin with TLS_ */
	/* NULL: P-256, the only one that the server knows. With another one in front there is a
	 * HelloRetryRequest. */
	const char *client_groups;
	const char *name; /* SNI */
	const char *alpn; /* one protocol that both know */
	bool client_certificate;
	bool no_encrypt_then_mac;
	size_t padding;       /* in TLS 1.3: records are padded to multiples of this */
	int max_fragment;     /* TLSEXT_max_fragment_length_*; 0: not asked for */
	SSL_SESSION *session; /* to be resumed */
	bool no_tickets;      /* TLS 1.2: sessions are resumed by their ids */
	/* Both ends say so; OpenSSL does not heed it (RFC 8449). 0: they do not. */
	uint16_t record_size_limit;
	/* OpenSSL's middlebox compatibility: CCS records in TLS 1.3. */
	bool no_middlebox;
};

struct tls_rig_secret {
	uint8_t client_random[TLS_RANDOM_BYTES];
	enum tls_secret label;
	uint8_t bytes[TLS_SECRET_MAX_BYTES];
	size_t n;
};

/* So many bytes of @dir came next. */
struct tls_rig_chunk {
	uint32_t dir;
	uint64_t from, to;
};

#define TLS_RIG_SECRETS 16
#define TLS_RIG_CHUNKS  4096

struct tls_rig {
	/* To be read. By direction: what was on the wire, and what was said under it. */
	struct buf wire[2], plain[2];
	struct tls_rig_chunk order[TLS_RIG_CHUNKS];
	uint32_t order_n;
	struct tls_rig_secret secret[TLS_RIG_SECRETS];
	uint32_t secret_n;
	struct buf key_log; /* the lines, as a file has them */
	/* By direction: how many bytes there were when its receiver was through with the handshake.
	 */
	uint64_t through[2];

	/* Private: [JEEBS_TO_SERVER] is the client's end. */
	SSL_CTX *ctx[2];
	SSL *end[2];
	uint8_t limit[2]; /* the record size limit, as the extension has it */
};

struct tls_rig *tls_rig_new(const struct tls_rig_options *o);
void tls_rig_free(struct tls_rig *r);
void tls_rig_handshake(struct tls_rig *r);
/* @dir's sender says @b. */
void tls_rig_say(struct tls_rig *r, uint32_t dir, struct bytes b);
/* The sender of @dir changes its key; @both: and wants the other one to. */
void tls_rig_key_update(struct tls_rig *r, uint32_t dir, bool both);
/* A second handshake, which the server wants. TLS 1.2 only. */
void tls_rig_renegotiate(struct tls_rig *r);
/*
 * As tls_rig_say(), but only the first @n bytes of what it is on the wire are seen by anybody: then
 * the sender dies.
 */
void tls_rig_say_part(struct tls_rig *r, uint32_t dir, struct bytes b, size_t n);
enum tls_rig_message {
	TLS_RIG_TICKET, /* TLS 1.3 */
	TLS_RIG_UPDATE, /* TLS 1.3: the key of the server changes */
	TLS_RIG_UPDATE_BOTH,
	TLS_RIG_CLOSE, /* close_notify */
};
/* The server says @m, of which the first @n bytes are seen, as with tls_rig_say_part(). Returns the
 * length of the record. */
size_t tls_rig_message_part(struct tls_rig *r, enum tls_rig_message m, size_t n);
/* The sender of @dir says close_notify. */
void tls_rig_close(struct tls_rig *r, uint32_t dir);
/* A session for resumption; the caller frees it. After something was said to the client. */
SSL_SESSION *tls_rig_session(struct tls_rig *r);
/* Bytes of a test's choice that arrive at the receiver of @dir, which must understand them. */
void tls_rig_deliver(struct tls_rig *r, uint32_t dir, struct bytes wire);

/* The rig's key log, for session_crypto_init(). */
struct session_secrets tls_rig_secrets(struct tls_rig *r);

#endif
