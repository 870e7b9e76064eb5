/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-follow: one direction under its keys, from its first sealed record on: what each record is,
 * and where its keys change (RFC 8446 sections 4.6.3 and 7; RFC 5246).
 *
 * Both ways, reading what was on the wire and sealing what goes on, it is one state: keys, number
 * and all are the same thing.
 */
#ifndef TLS_FOLLOW_H
#define TLS_FOLLOW_H

#include "tls-protect.h"
#include "tls-session.h"

struct tls_follow {
	struct tls_protect protect;
	struct tls_messages messages; /* of the handshake, sealed */
	uint8_t dir;
	bool handshake;        /* TLS 1.3: these are the keys of the handshake still */
	uint8_t message_bytes; /* of a short message's body: */
	uint8_t body[2];
	uint32_t candidate; /* which of several secrets it is */
	uint32_t updates;   /* KeyUpdates so far */
	bool wants_update;  /* the last one wants the other direction to change, too */
	bool closed;        /* close_notify, or a fatal alert: nothing follows */
	/*
	 * Why it cannot be followed; NULL: it can. "keys-missing", "keys-of-another-session",
	 * "too-many-key-updates", "early-data", "not-tls", "crypto-failed". Static text.
	 */
	const char *refused;
};

/*
 * Begins where @dir of @s is sealed (TLS_SEALED). Returns whether there are keys; if not, `refused`
 * says why.
 */
bool tls_follow_begin(struct tls_follow *f, const struct tls_session *s, const struct tls_crypto *c,
		      uint32_t dir);
/*
 * The keys are in another struct jeebs_keys, @c, than before: finds the same key there. Returns
 * whether it is there; if not, `refused` says why.
 */
bool tls_follow_rekey(struct tls_follow *f, const struct tls_session *s,
		      const struct tls_crypto *c);
/*
 * Takes the next sealed record, @wire with its header. @out has room for its payload, and gets the
 * content. *ret says what it is: data for whoever is above, or a message for this file. What
 * EncryptedExtensions say goes into @io_session. Returns whether it goes on.
 */
bool tls_follow_record(struct tls_follow *f, struct tls_session *io_session,
		       const struct tls_crypto *c, struct bytes wire, uint8_t *out,
		       struct tls_text *ret);

/* As tls_follow_record(), of a record in pieces. */
bool tls_follow_wire(struct tls_follow *f, struct tls_session *io_session,
		     const struct tls_crypto *c, const struct tls_wire *wire, uint8_t *out,
		     struct tls_text *ret);

/* What a KeyUpdate needs at most. */
#define TLS_UPDATE_BYTES (TLS_HEADER_BYTES + TLS_HANDSHAKE_HEADER_BYTES + 2 + 16)
/*
 * Seals a KeyUpdate and goes on with the next key; TLS 1.3, after the handshake. @wants: the other
 * side is to change its key, too. Returns its length in @out, of TLS_UPDATE_BYTES; 0: it cannot,
 * `refused` says why.
 */
size_t tls_follow_update(struct tls_follow *f, const struct tls_crypto *c, bool wants,
			 uint8_t *out);

#endif
