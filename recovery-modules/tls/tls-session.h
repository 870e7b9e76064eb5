/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tls-session: what both directions of TLS show without a key: the handshake as far as it is in the
 * clear, where each record is, and how many of them were sealed since the keys changed in the open.
 *
 * In TLS 1.2 the keys change at ChangeCipherSpec, and types can be seen. In TLS 1.3 the keys of the
 * handshake begin with the first record of type `data`; what is inside, and where the keys of the
 * application data begin, only keys can tell. A KeyUpdate is hidden too, but as long as nobody pads
 * it has a length of its own: where records of this length were is remembered (the newest
 * TLS_UPDATES_MAX), so that numbers are found again by trying few of them.
 */
#ifndef TLS_SESSION_H
#define TLS_SESSION_H

#include "keyvault/record/tls-suite.h"
#include "tls-hello.h"
#include "tls-records.h"

/* Messages of the handshake in the clear, over the borders of records. */
struct tls_messages {
	uint8_t head[TLS_HANDSHAKE_HEADER_BYTES];
	uint8_t have;
	uint32_t left; /* of the message under way */
};

#define TLS_UPDATES_MAX 4

enum tls_phase {
	TLS_CLEAR,  /* records are not sealed yet */
	TLS_SEALED, /* all that follow are */
};

struct tls_side {
	struct tls_records records;
	struct tls_messages messages;
	uint8_t phase;   /* enum tls_phase */
	bool alert;      /* TLS 1.2: an alert was sent under the keys; in the clear it ends all */
	uint64_t sealed; /* records under the keys, complete ones */
	uint64_t sealed_off; /* offset of the first one */
	uint8_t updates_n;
	/* `sealed` before the records that have the length of a KeyUpdate. */
	uint64_t updates[TLS_UPDATES_MAX];
};

struct tls_session {
	struct tls_side side[2];   /* by direction */
	struct tls_hello hello[2]; /* the newest of each side */
	uint8_t client_random[TLS_HELLO_RANDOM_BYTES], server_random[TLS_HELLO_RANDOM_BYTES];
	const struct tls_suite *suite; /* NULL: the server has not chosen, or none that we know */
	uint32_t offered, agreed;      /* enum tls_extension of ClientHello and ServerHello */
	uint16_t record_size_limit[2]; /* what a side wants to get at most, as far as it is in the
					  clear; 0: not said */
	uint8_t max_fragment;          /* as agreed in the clear */
	bool server_hello, retried, resumed;
	char name[TLS_NAME_MAX + 1];
	char alpn[TLS_ALPN_MAX + 1]; /* in TLS 1.2; in 1.3 it is sealed */
	/*
	 * Why this session cannot be continued; NULL: nothing is in the way so far. A stable word,
	 * static text: "not-tls", "tls-version", "cipher-not-continuable", "renegotiation",
	 * "heartbeat", "handshake-failed", "early-data", "compression".
	 */
	const char *refused;
};

/*
 * Takes the next bytes of @dir; in any pieces, it comes to the same. What each record is, @record
 * is told when it is complete (NULL: nobody wants to know): @sealed says whether it is under the
 * keys. After `refused` is set, nothing is read any more.
 */
void tls_session_take(struct tls_session *s, uint32_t dir, struct bytes b,
		      void (*record)(void *ctx, uint32_t dir, const struct tls_record *r,
				     bool sealed),
		      void *ctx);

/* Whether the record has the length of a KeyUpdate that is not padded. */
bool tls_update_length(const struct tls_suite *s, const struct tls_record *r);

#endif
