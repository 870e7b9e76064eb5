/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-scrub.h"

#include <endian.h>
#include <string.h>

#include "base/lmdb-error.h"

#define SCRUB_VALUE_BYTES 2000 /* two in a page */

/* Pages that LMDB's list of free ones has: each entry begins with its count. */
static int free_pages(MDB_env *env, size_t *ret)
{
	MDB_cursor *c;
	MDB_val k, v;
	MDB_txn *txn;
	size_t n = 0, of_entry;

	int r = lmdb_error(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_open(txn, 0, &c));
	if (r < 0) {
		mdb_txn_abort(txn);
		return r;
	}
	while ((r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_NEXT))) == 0) {
		if (v.mv_size < sizeof of_entry)
			continue;
		memcpy(&of_entry, v.mv_data, sizeof of_entry);
		n += of_entry;
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	*ret = n;
	return r == -ENOENT ? 0 : r;
}

static int fill(MDB_txn *txn, MDB_dbi dbi, size_t pages)
{
	static const uint8_t zeros[SCRUB_VALUE_BYTES];
	int r = 0;

	for (uint64_t i = 0; r == 0 && i < 2 * (uint64_t)pages; i++) {
		const uint64_t key = htobe64(i);
		MDB_val k = {sizeof key, (void *)&key}, v = {sizeof zeros, (void *)zeros};
		r = lmdb_error(mdb_put(txn, dbi, &k, &v, MDB_APPEND));
	}
	return r;
}

int vault_scrub(MDB_txn *txn, enum vault_scrub_step step, size_t max_pages)
{
	size_t pages = 0;
	MDB_dbi dbi;

	int r = lmdb_error(mdb_dbi_open(txn, "scrub", MDB_CREATE, &dbi));
	if (r < 0)
		return r;
	if (step != VAULT_SCRUB_FILL)
		return lmdb_error(mdb_drop(txn, dbi, 0));
	r = free_pages(mdb_txn_env(txn), &pages);
	return r == 0 ? fill(txn, dbi, pages < max_pages ? pages : max_pages) : r;
}
