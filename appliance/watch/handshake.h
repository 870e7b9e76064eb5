/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * handshake: when a connection begins to be encrypted, as anybody sees it who reads both
 * directions: TLS (RFC 8446 section 4.1.2, RFC 5246 section 7.4.1.2), at once or behind lines of
 * text (STARTTLS and its like), and SSH (RFC 4253 sections 4.2 and 6).
 *
 * It is done when the server uses keys: it has sent a record that is encrypted, or SSH_MSG_NEWKEYS.
 * A handshake that fails before is none. Nothing here is secret.
 */
#ifndef APPLIANCE_HANDSHAKE_H
#define APPLIANCE_HANDSHAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

#define HANDSHAKE_RANDOM_BYTES 32
/* So much text of a direction may come before. */
#define HANDSHAKE_TEXT_MAX 65536

enum handshake_kind {
	HANDSHAKE_NONE = 0,
	HANDSHAKE_TLS,
	HANDSHAKE_SSH,
};

enum handshake_state {
	HANDSHAKE_WATCHES = 0, /* it has not come, or is under way */
	HANDSHAKE_DONE,
	HANDSHAKE_GIVEN_UP, /* bytes are missing, or it is something else */
};

/* Where a direction is. */
struct handshake_side {
	uint8_t at;      /* enum side_at, in handshake.c */
	uint8_t head_n;  /* bytes in head */
	uint8_t head[6]; /* the beginning of a line, a record or a packet */
	uint32_t left; /* bytes of a record or packet that are still to come; of text: so many were
			*/
};

/* All zero: nothing was seen yet. */
struct handshake {
	uint8_t state; /* enum handshake_state */
	uint8_t kind;  /* enum handshake_kind, once it is known */
	uint8_t hello_n;
	bool cipher_spec; /* the server has sent ChangeCipherSpec */
	struct handshake_side side[2];
	uint8_t hello[38]; /* ClientHello: type, length, version, random */
};

/* The next bytes of @dir (0: to the server). Both directions are shown in the order in which the
 * ends have had them. Returns true when the handshake is done with these. */
bool handshake_data(struct handshake *h, uint32_t dir, struct bytes b);
/* Bytes are missing. */
void handshake_gap(struct handshake *h);
/* Of TLS, when it is done: the random of the ClientHello. */
const uint8_t *handshake_client_random(const struct handshake *h);

#endif
