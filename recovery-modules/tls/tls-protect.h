/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-protect: the records of one direction, opened and sealed in their order (RFC 8446 section 5,
 * RFC 5246 section 6.2.3.3, RFC 5288, RFC 7905).
 *
 * THE NONCE RULE. Under one key and one number only one plaintext may ever be sealed. So the number
 * is counted here and never given: a record on the wire moves it by being opened or passed over,
 * and the only function that seals moves it by sealing. A record of which a part was on the wire is
 * *owed*: while it is, nothing else is sealed, and what is sealed for it must begin with exactly
 * the bytes that were out, or nothing of it is given.
 */
#ifndef TLS_PROTECT_H
#define TLS_PROTECT_H

#include "jeebs/recovery-crypto.h"
#include "keyvault/record/tls-suite.h"
#include "tls-records.h"

struct tls_crypto {
	struct jeebs_keys *keys;
	const struct jeebs_crypto_ops *ops;
};

struct tls_protect {
	const struct tls_suite *suite;
	uint32_t key;     /* handle */
	uint64_t number;  /* of the next record */
	bool owed;        /* a part of it was on the wire */
	size_t owed_said; /* how much of what was given for it it says: of CBC less, perhaps */
	/*
	 * Of suites with an explicit nonce: by how much it is ahead of the number, for servers
	 * count it up from anywhere (OpenSSL from a random number). One that does not count leaves
	 * no nonce that is known to be unused.
	 */
	uint64_t nonce_ahead;
	bool has_nonce, no_count;
};

enum tls_outcome {
	TLS_OK = 0,
	TLS_FORGED,      /* the tag does not prove the record, under this number */
	TLS_MALFORMED,   /* it is proved, and no record of TLS */
	TLS_CONTRADICTS, /* it would differ from what was on the wire */
	TLS_TOO_LONG,    /* so many bytes do not fit into the record */
	TLS_NO_NONCE,    /* the server's explicit nonces do not tell an unused one */
	TLS_OWED,        /* another record must be sealed first */
	TLS_FAILED,      /* the crypto service failed */
};

/* A key that is new in this direction: records are counted from 0. */
void tls_protect_key(struct tls_protect *p, const struct tls_suite *s, uint32_t key);

struct tls_text {
	uint8_t type; /* enum tls_content */
	size_t n;     /* bytes of content, at the beginning of what was opened */
	size_t pad;   /* in TLS 1.3: zeros behind it */
};

/*
 * Opens the next record, @wire with its header. @out has room for its payload. TLS_OK, TLS_FORGED,
 * TLS_MALFORMED or TLS_FAILED; only after TLS_OK the number has moved.
 */
enum tls_outcome tls_open(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			  uint8_t *out, struct tls_text *ret);
/*
 * A record as it lies in a log, in pieces. The first has at least TLS_WIRE_FIRST bytes, or all.
 */
#define TLS_WIRE_PIECES 8
#define TLS_WIRE_FIRST  (TLS_HEADER_BYTES + 8u)
struct tls_wire {
	struct jeebs_bytes piece[TLS_WIRE_PIECES];
	uint32_t n;   /* of these */
	size_t bytes; /* in all of them */
};
static inline struct tls_wire tls_wire_of(struct bytes b)
{
	return (struct tls_wire){.piece = {{b.p, b.n}}, .n = 1, .bytes = b.n};
}
/* As tls_open(). If it is in more than one piece, the host opens pieces (open_pieces); of CBC it is
 * in one. */
enum tls_outcome tls_open_wire(struct tls_protect *p, const struct tls_crypto *c,
			       const struct tls_wire *wire, uint8_t *out, struct tls_text *ret);
/* As tls_open(), for whatever number in [from, to] the record proves to have. */
enum tls_outcome tls_open_within(struct tls_protect *p, const struct tls_crypto *c,
				 struct bytes wire, uint64_t from, uint64_t to, uint8_t *out,
				 struct tls_text *ret);
/* The next record was on the wire, and is not opened. @wire: as much of it as is there. */
void tls_pass_over(struct tls_protect *p, struct bytes wire);

/*
 * Whether a record may be sealed under a number that the server may have used, @between two records
 * or in one: tls_skip_nonces() finds nonces that nobody has used, or each record has a random IV.
 */
static inline bool tls_can_seal_again(const struct tls_suite *s, bool between)
{
	return between && (tls_suite_is_cbc(s) || tls_suite_explicit_bytes(s) > 0);
}
/*
 * Further records may have been on the wire, of which nobody knows: where nonces are explicit, the
 * next one is far ahead of theirs.
 */
void tls_skip_nonces(struct tls_protect *p);

/* What a record of @n bytes of content and @pad zeros needs, header and tag included. */
size_t tls_sealed_bytes(const struct tls_suite *s, size_t n, size_t pad);
/*
 * Seals the next record: @b of @type, and @pad zeros in TLS 1.3. @out has room for
 * tls_sealed_bytes() and does not overlap @b. TLS_OK, TLS_TOO_LONG, TLS_NO_NONCE, TLS_OWED or
 * TLS_FAILED.
 */
enum tls_outcome tls_seal(struct tls_protect *p, const struct tls_crypto *c, uint8_t type,
			  struct bytes b, size_t pad, uint8_t *out);

/*
 * A record of which @wire, at least one byte and not all of it, was on the wire.
 *
 * Its content may be from `least` to `most` bytes; what is missing to `most` is filled up by zeros
 * in TLS 1.3, while in TLS 1.2 both are the same as soon as the length was out.
 */
struct tls_owed {
	struct bytes wire;
	/* In TLS 1.3 it is hidden, and taken to be data unless `whole`. */
	uint8_t type;
	/*
	 * All of the plaintext was out, and only the tag is cut: least and most are `known`, and so
	 * many bytes of the tag were out.
	 */
	bool whole;
	size_t tag;
	size_t least, most;
	/*
	 * Plaintext that the wire shows: content, if it is nothing else. In TLS 1.3 it may be the
	 * type and zeros too: only who knows the content can tell.
	 */
	size_t known;
};

/*
 * Finds out what is owed. From now on only tls_seal_owed() seals. @text has room for
 * TLS_PAYLOAD_MAX bytes and gets what is known. TLS_OK, TLS_MALFORMED (such a record cannot be),
 * TLS_NO_NONCE or TLS_FAILED.
 */
enum tls_outcome tls_owe(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			 uint8_t *text, struct tls_owed *ret);
/*
 * Seals the owed record: all of its content, what was known included. @out gets the whole record,
 * of *ret_n bytes, which begins with @o->wire. TLS_OK; TLS_TOO_LONG: not between least and most;
 * TLS_CONTRADICTS; TLS_FAILED. After anything but TLS_TOO_LONG and TLS_OK nothing more can be
 * sealed in this direction.
 */
enum tls_outcome tls_seal_owed(struct tls_protect *p, const struct tls_crypto *c,
			       const struct tls_owed *o, struct bytes content, uint8_t *out,
			       size_t *ret_n);

#endif
