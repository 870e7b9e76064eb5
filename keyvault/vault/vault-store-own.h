/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-store-own: the inside of the store, for its own files: what it holds, its tables and their
 * keys.
 */
#ifndef KEYVAULT_VAULT_STORE_OWN_H
#define KEYVAULT_VAULT_STORE_OWN_H

#include "base/lmdb-error.h"
#include "base/writer.h"
#include "slow-call.h"
#include "vault-store.h"

/*
 * rows    number -> vault-row, which says all but the sealed bytes
 * blobs   number -> sealed bytes, and zeros up to BLOB_ROOM_BYTES
 * places  epoch id, number in the epoch -> number
 * ended   origin, 0, number -> nothing: who makes room first, in order
 * epochs  epoch id -> vault-epoch and its sealed bytes
 * meta    "next" -> the next number
 */
enum table {
	ROWS,
	BLOBS,
	PLACES,
	ENDED,
	EPOCHS,
	META,
	TABLES,
};

/*
 * A value of this size has pages of its own, which are free when it is deleted. Smaller ones share
 * pages, and LMDB leaves what it has moved or deleted in pages that live on.
 */
#define BLOB_ROOM_BYTES 2048

#define PLACE_BYTES     (EPOCH_ID_BYTES + 8)
#define ENDED_KEY_BYTES (VAULT_NAME_MAX + 1 + 8)

struct origin {
	char name[VAULT_NAME_MAX + 1];
	uint64_t records, bytes;
};

/* A change of the transaction, told after its commit. */
struct change {
	bool added;
	uint64_t number;
	enum vault_gone why;
	char origin[VAULT_NAME_MAX + 1];
	struct session_index index;
};

struct vault_store {
	struct vault_store_config config;
	int lock_fd;
	MDB_env *env;
	MDB_dbi dbi[TABLES];
	MDB_txn *txn;      /* the one that changes; NULL outside. The thread's while it commits */
	MDB_txn *snapshot; /* what is read then; NULL otherwise */
	struct slow_call commit;
	uint64_t next; /* number */
	struct origin *origins;
	size_t origins_n;
	struct vault_store_counts counts;
	/* As they were when the transaction began, for the case that it is lost. */
	struct origin *origins_before;
	size_t origins_before_n;
	struct vault_store_counts counts_before;
	uint64_t next_before;
	struct change *changes;
	size_t changes_n, changes_room;
};

/* Keys and values. */
MDB_val store_val(const void *p, size_t n);
struct bytes store_bytes(MDB_val v);
void store_number_key(uint64_t number, uint8_t ret[8]);
uint64_t store_number(MDB_val v);
void store_place_key(const uint8_t epoch[EPOCH_ID_BYTES], uint64_t number,
		     uint8_t ret[PLACE_BYTES]);
/* Returns its length. */
size_t store_ended_key(const char *origin, uint64_t number, uint8_t ret[ENDED_KEY_BYTES]);

/* A transaction to read with, until store_read_end(). */
int store_read_begin(struct vault_store *s, MDB_txn **ret);
void store_read_end(struct vault_store *s, MDB_txn *txn);
/* 0, -ENOENT, or what LMDB says. */
int store_get(struct vault_store *s, MDB_txn *txn, enum table t, struct bytes key, MDB_val *ret);
/* In the transaction. */
int store_put(struct vault_store *s, enum table t, struct bytes key, struct bytes value);
/* What is not there is deleted, too. */
int store_del(struct vault_store *s, enum table t, struct bytes key);

int store_epoch_read(struct vault_store *s, MDB_txn *txn, const uint8_t id[EPOCH_ID_BYTES],
		     struct vault_epoch *ret);
int store_row_read(struct vault_store *s, MDB_txn *txn, uint64_t number, struct vault_row *ret);

/* How much each origin has. */
struct origin *store_origin(struct vault_store *s, const char *name); /* NULL: nothing */
int store_count_in(struct vault_store *s, const struct vault_row *row);
void store_count_out(struct vault_store *s, const struct vault_row *row);
/* A change of the transaction, to be filled in. NULL: no memory. */
struct change *store_change(struct vault_store *s);

#endif
