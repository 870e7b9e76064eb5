/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session-keys: what must be known to continue one encrypted session, as the tap exports it: one
 * record for each handshake of TLS, one for each key exchange of SSH.
 *
 * The struct holds views only: the secrets stay where they are, in memory of whoever has them, and
 * the record as bytes is as secret as they. Nothing in this room copies a secret elsewhere than
 * into the writer it is given.
 *
 * TLS: the secrets of the key log (the NSS key log format; RFC 8446 section 7.1, RFC 5246 section
 * 8.1). SSH: the input of RFC 4253 section 7.2, from which each key and IV follows.
 *
 * The format, big-endian: version (1), protocol, family of the addresses (4 or 6), server address
 * and port, client address and port, then
 *   TLS  version, cipher suite, flags (1: resumed), client random, number of secrets, and of each
 *        its label, its length (one byte) and its bytes; labels ascend;
 *   SSH  hash, K, H and session id, each as a length of two bytes and its bytes.
 * Nothing may follow.
 */
#ifndef KEYVAULT_SESSION_KEYS_H
#define KEYVAULT_SESSION_KEYS_H

#include "base/bytes.h"
#include "base/netaddr.h"
#include "base/reader.h"
#include "base/writer.h"

#define SESSION_KEYS_VERSION   1
#define SESSION_KEYS_MAX_BYTES 4096 /* K of an 8,192-bit group has 1,029 */

#define TLS_RANDOM_BYTES     32
#define TLS_SECRET_MAX_BYTES 64 /* SHA-512; today's suites have 48 at most */
#define TLS_MASTER_BYTES     48
#define SSH_K_MAX_BYTES      2100
#define SSH_HASH_MAX_BYTES   64

enum keys_protocol {
	KEYS_TLS = 1,
	KEYS_SSH = 2,
};

/* Labels of the key log, by what they protect. */
enum tls_secret {
	TLS_MASTER = 0,             /* CLIENT_RANDOM: the master secret of TLS 1.2 */
	TLS_CLIENT_HANDSHAKE = 1,   /* CLIENT_HANDSHAKE_TRAFFIC_SECRET */
	TLS_SERVER_HANDSHAKE = 2,   /* SERVER_HANDSHAKE_TRAFFIC_SECRET */
	TLS_CLIENT_APPLICATION = 3, /* CLIENT_TRAFFIC_SECRET_0 */
	TLS_SERVER_APPLICATION = 4, /* SERVER_TRAFFIC_SECRET_0 */
	TLS_SECRETS,
};

enum ssh_hash {
	SSH_SHA1 = 1,
	SSH_SHA256 = 2,
	SSH_SHA384 = 3,
	SSH_SHA512 = 4,
};

struct tls_keys {
	uint16_t version; /* 0x0303, 0x0304 */
	uint16_t suite;   /* IANA's number */
	bool resumed;
	uint8_t client_random[TLS_RANDOM_BYTES];
	struct bytes secret[TLS_SECRETS]; /* empty: there is none of this label */
};

struct ssh_keys {
	enum ssh_hash hash;
	struct bytes k; /* as it is hashed: an mpint or a string, with its length in front */
	struct bytes h;
	struct bytes session_id; /* H of the first key exchange */
};

struct session_keys {
	enum keys_protocol protocol;
	struct endpoint server;
	struct endpoint client;
	union {
		struct tls_keys tls;
		struct ssh_keys ssh;
	};
};

/* Outcomes of reading. */
enum {
	SESSION_KEYS_OK = 0,
	SESSION_KEYS_VERSION_UNKNOWN = 1,
	SESSION_KEYS_MALFORMED = 2,
};

/* Bytes of a digest of @hash; 0: there is no such hash. */
size_t ssh_hash_bytes(enum ssh_hash hash);

/* What this room would not read again is not written: the writer's room is then exceeded. */
void session_keys_write(struct writer *w, const struct session_keys *k);
/* Reads all of @b. The views of @ret point into it. */
int session_keys_read(struct bytes b, struct session_keys *ret);

/* Both ends, as above: for other formats of this house. */
void session_ends_write(struct writer *w, const struct endpoint *server,
			const struct endpoint *client);
/* False: no such family, or the bytes end. */
bool session_ends_read(struct reader *r, struct endpoint *ret_server, struct endpoint *ret_client);

#endif
