/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-store-own.h"

#include <errno.h>

MDB_val store_val(const void *p, size_t n)
{
	return (MDB_val){n, (void *)p};
}

struct bytes store_bytes(MDB_val v)
{
	return bytes_of(v.mv_data, v.mv_size);
}

void store_number_key(uint64_t number, uint8_t ret[8])
{
	struct writer w = writer_init(ret, 8);

	writer_u64be(&w, number);
}

uint64_t store_number(MDB_val v)
{
	struct reader r = reader_init(store_bytes(v));

	return reader_u64be(&r);
}

void store_place_key(const uint8_t epoch[EPOCH_ID_BYTES], uint64_t number, uint8_t ret[PLACE_BYTES])
{
	struct writer w = writer_init(ret, PLACE_BYTES);

	writer_copy(&w, epoch, EPOCH_ID_BYTES);
	writer_u64be(&w, number);
}

size_t store_ended_key(const char *origin, uint64_t number, uint8_t ret[ENDED_KEY_BYTES])
{
	struct writer w = writer_init(ret, ENDED_KEY_BYTES);

	writer_copy(&w, origin, strlen(origin) + 1);
	writer_u64be(&w, number);
	return writer_pos(&w);
}

int store_get(struct vault_store *s, MDB_txn *txn, enum table t, struct bytes key, MDB_val *ret)
{
	MDB_val k = store_val(key.p, key.n);

	return lmdb_error(mdb_get(txn, s->dbi[t], &k, ret));
}

int store_put(struct vault_store *s, enum table t, struct bytes key, struct bytes value)
{
	MDB_val k = store_val(key.p, key.n), v = store_val(value.p, value.n);

	return lmdb_error(mdb_put(s->txn, s->dbi[t], &k, &v, 0));
}

int store_del(struct vault_store *s, enum table t, struct bytes key)
{
	MDB_val k = store_val(key.p, key.n);
	int r = lmdb_error(mdb_del(s->txn, s->dbi[t], &k, NULL));

	return r == -ENOENT ? 0 : r;
}
