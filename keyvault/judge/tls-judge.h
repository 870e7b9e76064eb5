/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-judge: what a client understands of the TLS that it gets. It judges recovery modules and the
 * box's crypto service, so it shares nothing with them: it has its own key schedule, on HMAC alone,
 * its own records, and OpenSSL's table of suites.
 *
 * For drills and tests: it has a whole conversation, as captured, and secrets of a key log.
 *
 *	struct tls_judge *j = tls_judge_new(&secrets, wire);
 *	tls_judge_plain(j, 1);			// what was really said to the client
 *	tls_ear_new(j, 1, cut, &ear);		// a client that has so many bytes of it
 *	tls_ear_hear(ear, b);			// and gets these
 */
#ifndef KEYVAULT_TLS_JUDGE_H
#define KEYVAULT_TLS_JUDGE_H

#include "base/buf.h"
#include "keyvault/record/session-keys.h"

/* As struct session_secrets of session-crypto.h. */
struct tls_judge_secrets {
	bool (*find)(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		     enum tls_secret label, uint32_t candidate, struct bytes *ret);
	void *ctx;
};

struct tls_judge;

/*
 * Reads a conversation from its first byte on, by direction (0: of the client), as far as each is
 * known. @wire must outlive it. NULL: no memory.
 */
struct tls_judge *tls_judge_new(const struct tls_judge_secrets *secrets,
				const struct bytes wire[static 2]);
/* Zeroes the keys. NULL is fine; returns NULL. */
struct tls_judge *tls_judge_free(struct tls_judge *j);
/*
 * How many bytes of the direction it understands: up to the end of the last record that opens. What
 * stands behind is not proved to be anything.
 */
uint64_t tls_judge_understood(const struct tls_judge *j, uint32_t dir);
/* All data that was said. */
struct bytes tls_judge_plain(const struct tls_judge *j, uint32_t dir);
/* How many bytes of data are in the records that end in the first @wire bytes; and in those that
 * begin there. */
uint64_t tls_judge_plain_ended(const struct tls_judge *j, uint32_t dir, uint64_t wire);
uint64_t tls_judge_plain_begun(const struct tls_judge *j, uint32_t dir, uint64_t wire);
/* Whether close_notify, or a fatal alert, ends in the first @wire bytes. */
bool tls_judge_closed(const struct tls_judge *j, uint32_t dir, uint64_t wire);
/* Where the record ends that is open after @wire bytes; @wire itself if none is, or nobody knows.
 */
uint64_t tls_judge_record_end(const struct tls_judge *j, uint32_t dir, uint64_t wire);
/* Whether that record says data, and some of it is in the first @wire bytes, so that it can end in
 * one way alone. Of CBC it never can: its length leaves open how much of it is padding. */
bool tls_judge_open_is_data(const struct tls_judge *j, uint32_t dir, uint64_t wire);
/* The protocol that was agreed on by ALPN; "": none. */
const char *tls_judge_alpn(const struct tls_judge *j);
/*
 * Whether a record that ends in the first @wire bytes is under @nonce and the key in force there,
 * @nonce being the number that is in the nonce: the record's, or that of an explicit nonce.
 */
bool tls_judge_is_used(const struct tls_judge *j, uint32_t dir, uint64_t wire, uint64_t nonce);

/* A receiver, in the middle of a conversation. */
struct tls_ear;

/*
 * The receiver of @dir has the first @wire bytes. Of a record that is open there it has the
 * beginning. Returns 0; -ENODATA: @wire is behind what is understood, or in the middle of a message
 * of several records; or -ENOMEM. The judge must outlive it.
 */
int tls_ear_new(const struct tls_judge *j, uint32_t dir, uint64_t wire, struct tls_ear **ret);
struct tls_ear *tls_ear_free(struct tls_ear *e); /* returns NULL */
/* Returns 0 or -ENOMEM. Behind tls_ear_why() nothing more is heard. */
int tls_ear_hear(struct tls_ear *e, struct bytes b);
/* The data of complete records that were heard. */
struct bytes tls_ear_plain(const struct tls_ear *e);
/*
 * Why the receiver ends the connection: "record-forged", "record-malformed", "message-malformed",
 * "behind-close-notify". NULL: it does not.
 */
const char *tls_ear_why(const struct tls_ear *e);
/* Whether close_notify, or a fatal alert, was heard. */
bool tls_ear_closed(const struct tls_ear *e);
/* Whether it is between two records. */
bool tls_ear_between(const struct tls_ear *e);

#endif
