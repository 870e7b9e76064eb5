/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-store-own.h"

#include <errno.h>

int store_read_begin(struct vault_store *s, MDB_txn **ret)
{
	if (!s->snapshot)
		return lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, ret));
	*ret = s->snapshot;
	return 0;
}

void store_read_end(struct vault_store *s, MDB_txn *txn)
{
	if (txn != s->snapshot)
		mdb_txn_abort(txn);
}

int store_epoch_read(struct vault_store *s, MDB_txn *txn, const uint8_t id[EPOCH_ID_BYTES],
		     struct vault_epoch *ret)
{
	MDB_val v;
	int r = store_get(s, txn, EPOCHS, bytes_of(id, EPOCH_ID_BYTES), &v);

	if (r < 0)
		return r;
	return vault_epoch_read(store_bytes(v), ret) ? 0 : -EBADMSG;
}

int store_row_read(struct vault_store *s, MDB_txn *txn, uint64_t number, struct vault_row *ret)
{
	uint8_t key[8];
	MDB_val v;

	store_number_key(number, key);
	int r = store_get(s, txn, ROWS, bytes_of(key, 8), &v);
	if (r < 0)
		return r;
	return vault_row_read(store_bytes(v), number, ret) ? 0 : -EBADMSG;
}

int vault_store_walk(struct vault_store *s, uint64_t from, size_t max,
		     bool (*fn)(void *ctx, const struct vault_row *row), void *ctx,
		     uint64_t *ret_next)
{
	uint8_t first[8] = {0};
	MDB_val k = store_val(first, 8), v;
	MDB_txn *txn;
	MDB_cursor *c;
	struct vault_row row;
	uint64_t next = from;

	store_number_key(from, first);
	int r = store_read_begin(s, &txn);
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_open(txn, s->dbi[ROWS], &c));
	if (r < 0)
		goto end;
	r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_SET_RANGE));
	for (size_t i = 0; r == 0 && i < max; i++) {
		if (!vault_row_read(store_bytes(v), store_number(k), &row)) {
			r = -EBADMSG;
			break;
		}
		next = row.number + 1;
		if (!fn(ctx, &row))
			break;
		r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_NEXT));
	}
	mdb_cursor_close(c);
	if (r == -ENOENT) {
		next = UINT64_MAX;
		r = 0;
	}
	if (r == 0)
		*ret_next = next;
end:
	store_read_end(s, txn);
	return r;
}

int vault_store_blob(struct vault_store *s, uint64_t number, vault_blob_fn fn, void *ctx)
{
	struct vault_row row;
	uint8_t key[8];
	MDB_txn *txn;
	MDB_val v;

	store_number_key(number, key);
	int r = store_read_begin(s, &txn);
	if (r < 0)
		return r;
	r = store_row_read(s, txn, number, &row);
	if (r == 0)
		r = store_get(s, txn, BLOBS, bytes_of(key, 8), &v);
	if (r == 0)
		fn(ctx, bytes_head(store_bytes(v), row.blob_bytes));
	store_read_end(s, txn);
	return r;
}

int vault_store_epoch_blob(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES],
			   vault_blob_fn fn, void *ctx)
{
	struct vault_epoch e;
	MDB_txn *txn;

	int r = store_read_begin(s, &txn);
	if (r < 0)
		return r;
	r = store_epoch_read(s, txn, id, &e);
	if (r == 0)
		fn(ctx, e.blob);
	store_read_end(s, txn);
	return r;
}

void vault_store_count(const struct vault_store *s, struct vault_store_counts *ret)
{
	*ret = s->counts;
}
