/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-store: sealed records on disk. Its files alone, and vault-scrub, know LMDB.
 *
 * One environment, DIR/records, mode 0700; a lock forbids a second process. One thread calls; what
 * a disk may hold up, the commit, runs on another one, and what is read meanwhile is as it was
 * before. All that changes goes into a transaction, and is on disk when its commit is over with 0:
 * then, and not before, an origin is told "stored". What a transaction changed is told by struct
 * vault_events then, and not at all when it failed.
 *
 * Numbers of records ascend and are never used twice, also not after a restart.
 *
 * Ceilings: records and bytes of one origin, and the size of the environment. An origin that has
 * reached its own loses the oldest of its records whose sessions have ended; if there is none it is
 * refused, VAULT_FULL. A record of a session that may live is never dropped for room. Records go
 * when they are as old as `keep_ns`; an epoch goes when it is older than VAULT_EPOCH_KEEP_NS and
 * has no record left.
 *
 * LMDB keeps the bytes of what is erased in free pages until they are used again;
 * vault_store_scrub() writes over them.
 */
#ifndef KEYVAULT_VAULT_STORE_H
#define KEYVAULT_VAULT_STORE_H

#include "vault-row.h"
#include "vault-scrub.h"
#include "vault-wire.h"

#define VAULT_EPOCH_KEEP_NS (INT64_C(2) * 3600 * 1000000000)

struct vault_store;

/* Each is called once a change is on disk. */
struct vault_events {
	void (*added)(void *ctx, uint64_t number, const char *origin,
		      const struct session_index *index);
	void (*gone)(void *ctx, uint64_t number, enum vault_gone why);
	void *ctx;
};

struct vault_store_config {
	const char *dir; /* must exist */
	uint64_t size_bytes;
	uint64_t origin_records;
	uint64_t origin_bytes; /* of sealed records */
	int64_t keep_ns;
	struct vault_events events; /* may be NULL */
};

/* What is there. */
struct vault_store_counts {
	uint64_t records, ended, epochs, bytes, origins;
};

/*
 * Returns 0, -EBUSY (another process has it), -EBADMSG (damaged: nothing is removed), or what LMDB
 * or the file system says.
 */
int vault_store_open(const struct vault_store_config *c, struct vault_store **ret);
void vault_store_close(struct vault_store *s);

int vault_store_begin(struct vault_store *s);
/*
 * Hands the transaction to the other thread. Until vault_store_commit_over(), which is true once
 * for each, the store may be read, and not changed. On failure (of the start, or *ret) nothing
 * since vault_store_begin() has happened: -ENOSPC, -EDQUOT (the environment), -EIO, ...
 */
int vault_store_commit_start(struct vault_store *s);
bool vault_store_commit_over(struct vault_store *s, int *ret);
/* A descriptor that is readable when a commit is over. */
int vault_store_bell(const struct vault_store *s);
/* Both, and the waiting between. */
int vault_store_commit(struct vault_store *s);
void vault_store_abort(struct vault_store *s);

/*
 * Within a transaction. 0; an enum vault_refusal: this is not done, the transaction goes on;
 * negative: the transaction is lost, vault_store_abort() follows.
 */
int vault_store_epoch(struct vault_store *s, const char *origin, const uint8_t id[EPOCH_ID_BYTES],
		      struct bytes blob, int64_t now_ns);
#define VAULT_KNOWN 1000 /* the same record is there already */
/* Whether it is the origin's to store, by address, is the caller's to know. Or VAULT_KNOWN. */
int vault_store_append(struct vault_store *s, const char *origin, const struct vault_item *item,
		       int64_t now_ns);
/* Marks it, if it is there and the origin's. */
int vault_store_ended(struct vault_store *s, const char *origin, const struct vault_place *place);
/* *ret: was it there. */
int vault_store_erase(struct vault_store *s, uint64_t number, enum vault_gone why, bool *ret);
/* What is due, @max of it at most; *ret_more: call again. */
int vault_store_expire(struct vault_store *s, int64_t now_ns, size_t max, bool *ret_more);
/* Outside of a transaction. */

/*
 * Goes through what is there from number @from on, for @max rows at most; @fn returns false to end
 * it. *ret_next: where to go on; UINT64_MAX: at the end. -EBADMSG: a row that cannot be read.
 */
int vault_store_walk(struct vault_store *s, uint64_t from, size_t max,
		     bool (*fn)(void *ctx, const struct vault_row *row), void *ctx,
		     uint64_t *ret_next);
/* Hands the blob to @fn, as a view for the time of the call. 0, -ENOENT, ... */
typedef void (*vault_blob_fn)(void *ctx, struct bytes blob);
int vault_store_blob(struct vault_store *s, uint64_t number, vault_blob_fn fn, void *ctx);
int vault_store_epoch_blob(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES],
			   vault_blob_fn fn, void *ctx);
/*
 * Writes zeros over free pages, @max_pages at most, so that sealed bytes of erased records are on
 * no disk for longer than it takes to get there: each step is a transaction of its own, which the
 * caller commits; vault_store_scrub() is all of them. What cannot be (the ceiling) is a negative
 * errno, and harmless.
 */
int vault_store_scrub_begin(struct vault_store *s, enum vault_scrub_step step, size_t max_pages);
int vault_store_scrub(struct vault_store *s, size_t max_pages);
void vault_store_count(const struct vault_store *s, struct vault_store_counts *ret);

#endif
