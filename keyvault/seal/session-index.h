/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * session-index: what the vault may know of a record that it cannot read: which connection's keys
 * they are, and which record of which epoch. Nothing in it is secret, nothing in it is proven:
 * the opener compares it with what was sealed.
 *
 * The format, big-endian: version (1), protocol, both ends as in session-keys, id, epoch id,
 * number, time.
 */
#ifndef KEYVAULT_SESSION_INDEX_H
#define KEYVAULT_SESSION_INDEX_H

#include "keyvault/record/session-keys.h"

#define SESSION_ID_BYTES        32
#define EPOCH_ID_BYTES          16
#define SESSION_INDEX_VERSION   1
#define SESSION_INDEX_MAX_BYTES (2 + 1 + 2 * 18 + SESSION_ID_BYTES + EPOCH_ID_BYTES + 8 + 8)

struct session_index {
	enum keys_protocol protocol;
	struct endpoint server;
	struct endpoint client;
	uint8_t id[SESSION_ID_BYTES]; /* TLS: client random; SSH: SHA-256 of the session id */
	uint8_t epoch[EPOCH_ID_BYTES];
	uint64_t number;
	int64_t time_ns; /* CLOCK_REALTIME of the origin */
};

/* Protocol, ends and id from @k; epoch, number and time are left zero. 0, -ENOMEM or -EIO. */
int session_index_of(const struct session_keys *k, struct session_index *ret);
bool session_index_eq(const struct session_index *a, const struct session_index *b);

void session_index_write(struct writer *w, const struct session_index *i);
/* Takes an index from @r, which may go on. False: there is none. */
bool session_index_read(struct reader *r, struct session_index *ret);

#endif
