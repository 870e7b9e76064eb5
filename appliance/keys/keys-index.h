/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-index: which records of keys the vaults have, as they tell it (vault-wire: INDEX, LIVE,
 * GONE), and which of them are of a session. Nothing in it is secret, and nothing proven: a record
 * is a candidate until it is opened.
 *
 * A record is one by its epoch and its number there, in whichever vaults it is; each of them has
 * its own number for it. Records of a session come in the order of their time: of TLS there is
 * usually one, of SSH one for each key exchange.
 *
 * A vault tells all that it has after each new connection. What it had before and does not tell
 * again is gone when it says LIVE. While it is not connected, what it had is kept.
 */
#ifndef APPLIANCE_KEYS_INDEX_H
#define APPLIANCE_KEYS_INDEX_H

#include "base/siphash.h"
#include "keyvault/vault/vault-wire.h"

#define KEYS_VAULTS_MAX 4
/* The origin's clock and the box's: a record may seem to be older than its connection by this. */
#define KEYS_CLOCK_SKEW_NS (INT64_C(120) * 1000000000)

/* More of one session than that, and the oldest makes room: an origin that sends no end of records
 * for one of its connections takes no more time than that. */
#define KEYS_SESSION_RECORDS_MAX 256

/* Which session keys are wanted of. */
struct keys_session {
	enum keys_protocol protocol;
	struct endpoint server, client;
	uint8_t client_random[TLS_RANDOM_BYTES]; /* TLS */
	int64_t began_ns; /* SSH: CLOCK_REALTIME of the connection's begin; 0: not known */
};

/* What the vaults say of one record. */
struct keys_record {
	struct session_index index;
	uint64_t number[KEYS_VAULTS_MAX]; /* at each vault of @vaults */
	uint8_t vaults;                   /* bit v: vault v has it */
};

struct keys_index_counters {
	uint32_t records;
	uint64_t full;    /* records told that found no room: their sessions seem to have no keys */
	uint64_t crowded; /* made room for another one of their session */
	uint64_t out_of_memory; /* likewise */
};

struct keys_index;

/* @max: how many records it holds at most. 0 or -ENOMEM. */
int keys_index_open(uint32_t max, const struct siphash_key *key, struct keys_index **ret);
void keys_index_close(struct keys_index *x);

/* @fn is called with each record that was not known before. */
void keys_index_tell(struct keys_index *x, void (*fn)(void *ctx, const struct session_index *index),
		     void *ctx);
/* Vault @v is connected, and tells from now on. */
void keys_index_begin(struct keys_index *x, unsigned v);
/* INDEX. Told again: nothing changes. 0, -ENOSPC or -ENOMEM; it is counted. */
int keys_index_add(struct keys_index *x, unsigned v, uint64_t number,
		   const struct session_index *index);
/* GONE, or MISSING. */
void keys_index_gone(struct keys_index *x, unsigned v, uint64_t number);
/* Whether @number of vault @v is this record. */
bool keys_index_has(const struct keys_index *x, unsigned v, uint64_t number,
		    const struct session_index *index);
/* LIVE. Returns how many of the vault's records were gone. */
uint32_t keys_index_live(struct keys_index *x, unsigned v);

/*
 * The newest @max records of @s, in the order of their time (of one time: of their numbers), into
 * @ret; how many there are in all is the result. What counts as the session's:
 *	TLS  the client random, between these ends. Several: a client, or an origin, that uses one
 *	     twice.
 *	SSH  these ends, not older than the connection. If its begin is not known: those with the
 *	     session id of the newest one.
 */
size_t keys_index_find(const struct keys_index *x, const struct keys_session *s,
		       struct keys_record *ret, size_t max);

/* A service, and how many of its sessions have keys. */
struct keys_cover {
	struct endpoint server;
	uint32_t sessions, with_keys;
};

/*
 * Of @n sessions that are seen at present, by service, in the order in which each was first seen.
 * Returns how many services are in @ret. *ret_left: sessions of services that found no room there.
 */
size_t keys_index_cover(const struct keys_index *x, const struct keys_session *s, size_t n,
			struct keys_cover *ret, size_t max, size_t *ret_left);
/* "web1:443: 0 of 120 sessions have keys"; @name NULL: the address. Terminated; returns @out. */
const char *keys_cover_text(const struct keys_cover *c, const char *name, char *out, size_t size);

void keys_index_count(const struct keys_index *x, struct keys_index_counters *ret);

#endif
