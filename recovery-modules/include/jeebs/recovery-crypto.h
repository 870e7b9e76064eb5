/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * recovery-crypto.h: the keys of a session, for a module that never sees them.
 *
 * The host has the secrets of a connection; to the module they are an opaque struct jeebs_keys. It
 * asks for a key of one direction by its description and gets a handle, a small number that is
 * valid as long as the struct jeebs_keys. With it the host opens and seals (authenticated
 * encryption, AEAD) and goes on to the next key.
 *
 * No two things are ever sealed with one key under one nonce: after the first one the host seals
 * under the next nonce and under no other. The module chooses the first nonce: one that was never
 * on the wire, or one of which a part was, if what is sealed begins with exactly these bytes.
 *
 * The nonce, as a number:
 *   TLS 1.3, and CHACHA20-POLY1305 in TLS 1.2: the number of the record (RFC 8446 section 5.3, RFC
 *   7905 section 2). GCM and CCM in TLS 1.2: the explicit nonce of the record (RFC 5288 section 3,
 *   RFC 6655 section 3).
 *
 * Records of CBC suites of TLS 1.2 have an IV of their own, random, instead of a nonce, and nothing
 * is given away by two of them under one number. Only open_cbc() and seal_cbc() read and make them.
 */
#ifndef JEEBS_RECOVERY_CRYPTO_H
#define JEEBS_RECOVERY_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

struct jeebs_bytes {
	const uint8_t *p;
	size_t n;
};

struct jeebs_keys; /* all secrets that the host has of one connection */

#define JEEBS_KEY_TLS12             1u /* from the master secret */
#define JEEBS_KEY_TLS13_HANDSHAKE   2u
#define JEEBS_KEY_TLS13_APPLICATION 3u /* the first one; next() leads to those behind it */

/* Of a CBC suite: the two ends have agreed on it (RFC 7366). */
#define JEEBS_KEY_ENCRYPT_THEN_MAC (1u << 0)

#define JEEBS_TLS_RANDOM_BYTES 32

/* Which key. What its kind does not need is 0. */
struct jeebs_key_spec {
	uint32_t kind; /* JEEBS_KEY_* */
	/* Who seals with it: JEEBS_TO_SERVER is the client, JEEBS_TO_CLIENT the server. */
	uint32_t dir;
	/* Secrets may have come twice, and differ: 0 is the first, and so on until there are no
	 * more. */
	uint32_t candidate;
	uint16_t suite; /* of TLS, IANA's number */
	uint16_t flags; /* JEEBS_KEY_ENCRYPT_THEN_MAC */
	uint8_t client_random[JEEBS_TLS_RANDOM_BYTES], server_random[JEEBS_TLS_RANDOM_BYTES];
};

/*
 * SSH. There are two conversations: with the client, whose keys the tap told of, and which is gone
 * on with in the server's place; and with the backup, as its client.
 */
#define JEEBS_SSH_FRONT 0u
#define JEEBS_SSH_BACK  1u

struct jeebs_ssh_spec {
	uint32_t side;     /* JEEBS_SSH_* */
	uint32_t exchange; /* 0: the first key exchange of that conversation */
	uint32_t dir;      /* whose packets: JEEBS_TO_SERVER are those of whoever is client in it */
	/* Sessions between the same ends may have been several: 0 is the first, and so on until
	 * there are no more. */
	uint32_t candidate;
	const char *cipher, *mac; /* names of RFC 4253 */
};

struct jeebs_ssh_exchange {
	uint32_t side, exchange;
	const char *method;
	struct jeebs_bytes p, g; /* of a group exchange that the client asked for */
	/* The other side's public value, as it is, without a length. BACK, empty: it is begun. */
	struct jeebs_bytes peer;
};

/* Outcomes. Only after JEEBS_CRYPTO_OK anything was written. */
#define JEEBS_CRYPTO_OK       0
#define JEEBS_CRYPTO_NO_KEY   1 /* there is no such secret, or no such handle */
#define JEEBS_CRYPTO_NO_SUITE 2 /* the host does not know the cipher */
#define JEEBS_CRYPTO_FORGED   3 /* the tag does not prove the bytes */
#define JEEBS_CRYPTO_USED     4 /* another nonce is the next one to be sealed under */
#define JEEBS_CRYPTO_FAILED   5 /* no room for another key, no memory, or too many bytes */

#define JEEBS_CRYPTO_TAG_MAX   16
#define JEEBS_CRYPTO_BYTES_MAX 65536u /* of one message */

struct jeebs_crypto_ops {
	/* sizeof(struct jeebs_crypto_ops); within an ABI members are added at the end. */
	uint32_t size;
	uint32_t reserved_;
	/* Finds a key. The same description gives the same handle. */
	int (*derive)(struct jeebs_keys *k, const struct jeebs_key_spec *spec, uint32_t *ret_key);
	/* The key after a KeyUpdate (RFC 8446 section 7.2). The same key gives the same handle. */
	int (*next)(struct jeebs_keys *k, uint32_t key, uint32_t *ret_key);
	/*
	 * Opens @in, ciphertext with its tag behind it. @out has room for @in without the tag, and
	 * may be @in.
	 */
	int (*open)(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
		    struct jeebs_bytes in, uint8_t *out);
	/*
	 * Reads @in, a part of a ciphertext that begins @off bytes behind its beginning. The result
	 * is not proved: it is what was sealed if nobody has changed it. Of CBC, @off is 0, and
	 * @in an IV and whole blocks behind it; the result is as long as those.
	 */
	int (*peek)(struct jeebs_keys *k, uint32_t key, uint64_t nonce, uint64_t off,
		    struct jeebs_bytes in, uint8_t *out);
	/* Seals @in. @out has room for it and the tag, and may be @in. */
	int (*seal)(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
		    struct jeebs_bytes in, uint8_t *out);
	/*
	 * As open(), of a ciphertext that lies in @n pieces, 16 at most, as a log has it; so nobody
	 * has to copy it together. @out is none of them.
	 */
	int (*open_pieces)(struct jeebs_keys *k, uint32_t key, uint64_t nonce,
			   struct jeebs_bytes aad, const struct jeebs_bytes *in, size_t n,
			   uint8_t *out);
	/*
	 * Opens a record of CBC with this number: @head is its type and version, @in its payload,
	 * IV first. @out has room for @in and gets the content, of *ret_n bytes; zeros if it is
	 * forged. MAC and padding fail alike.
	 */
	int (*open_cbc)(struct jeebs_keys *k, uint32_t key, uint64_t number,
			struct jeebs_bytes head, struct jeebs_bytes in, uint8_t *out,
			size_t *ret_n);
	/*
	 * Makes the payload of a record of CBC. @iv: that of a record of which a part was out;
	 * empty: a random one. @pad, from 1 to 256, is how much padding there is, its length
	 * included. @out does not overlap @in.
	 */
	int (*seal_cbc)(struct jeebs_keys *k, uint32_t key, uint64_t number,
			struct jeebs_bytes head, struct jeebs_bytes iv, struct jeebs_bytes in,
			size_t pad, uint8_t *out);

	/* ---- SSH ---------------------------------------------------------------------------- */
	/*
	 * Finds a key; open(), peek() and seal() take its handle. A packet is whole: length,
	 * padding length, payload, padding, and on the wire the tag behind it; @out does not
	 * overlap @in. Which packet it is:
	 *	chacha20-poly1305@openssh.com	nonce: the sequence number	aad: none
	 *	aes*-gcm@openssh.com		nonce: packets since NEWKEYS	aad: none
	 *	aes*-ctr, any MAC		nonce: blocks of 16 bytes since	aad: the sequence
	 *					NEWKEYS				number, 4 bytes
	 * The same spec gives the same handle as long as the keys of that exchange, or of the next
	 * one, are in use.
	 */
	int (*ssh_derive)(struct jeebs_keys *k, const struct jeebs_ssh_spec *spec,
			  uint32_t *ret_key);
	/* A group of @min to @max bits, best @n (RFC 4419); @out gets p, g is 2. */
	int (*ssh_group)(struct jeebs_keys *k, uint32_t min, uint32_t n, uint32_t max, uint8_t *out,
			 size_t cap, size_t *ret_n);
	/*
	 * FRONT: as the server; @out gets its public value. BACK: with an empty peer as the client,
	 * whose value @out gets; then with the server's value, and @out gets nothing.
	 */
	int (*ssh_exchange)(struct jeebs_keys *k, const struct jeebs_ssh_exchange *x, uint8_t *out,
			    size_t cap, size_t *ret_n);
	/* H, the hash of @head and K: from then on ssh_derive() knows the keys of @exchange. */
	int (*ssh_exchange_hash)(struct jeebs_keys *k, uint32_t side, uint32_t exchange,
				 struct jeebs_bytes head, uint8_t *out, size_t cap, size_t *ret_n);
	/* K_S of RFC 4253, section 8, of a host key of the service, for this algorithm. */
	int (*ssh_host_key)(struct jeebs_keys *k, const char *algorithm, uint8_t *out, size_t cap,
			    size_t *ret_n);
	/* The signature over @data with it, its algorithm in front. */
	int (*ssh_sign)(struct jeebs_keys *k, const char *algorithm, struct jeebs_bytes data,
			uint8_t *out, size_t cap, size_t *ret_n);
	/* Whether @host_key, K_S, is the service's too (else JEEBS_CRYPTO_NO_KEY), and @signature
	 * one over @data with it (else JEEBS_CRYPTO_FORGED). */
	int (*ssh_prove)(struct jeebs_keys *k, struct jeebs_bytes host_key, struct jeebs_bytes data,
			 struct jeebs_bytes signature);
	/*
	 * A new key and a certificate for it with which the backup lets @user in, for a minute.
	 * JEEBS_CRYPTO_NO_KEY: there is no CA; so asks whoever names no user, and gets nothing.
	 */
	int (*ssh_certificate)(struct jeebs_keys *k, struct jeebs_bytes user, uint8_t *out,
			       size_t cap, size_t *ret_n);
	/* The signature over @data with that key. */
	int (*ssh_certificate_sign)(struct jeebs_keys *k, struct jeebs_bytes data, uint8_t *out,
				    size_t cap, size_t *ret_n);
	/* Bytes that nobody can guess. */
	int (*ssh_random)(struct jeebs_keys *k, uint8_t *out, size_t n);
};

#ifdef __cplusplus
}
#endif

#endif
