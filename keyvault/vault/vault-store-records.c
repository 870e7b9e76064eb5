/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-store-own.h"

#include <errno.h>

/* Epochs. */

static int epoch_write(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES],
		       const struct vault_epoch *e)
{
	uint8_t room[VAULT_EPOCH_ROW_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	vault_epoch_write(&w, e);
	return writer_ok(&w) ? store_put(s, EPOCHS, bytes_of(id, EPOCH_ID_BYTES), writer_view(&w))
			     : -EINVAL;
}

/* One more record of the epoch, or one less; its bytes are copied, since a write ends their view.
 */
static int epoch_count(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES], int64_t more)
{
	struct vault_epoch e;
	uint8_t blob[VAULT_BLOB_MAX_BYTES];

	int r = store_epoch_read(s, s->txn, id, &e);
	if (r < 0)
		return r == -ENOENT && more < 0 ? 0 : r;
	memcpy(blob, e.blob.p, e.blob.n);
	e.blob.p = blob;
	e.records = (uint64_t)((int64_t)e.records + more);
	return epoch_write(s, id, &e);
}

int vault_store_epoch(struct vault_store *s, const char *origin, const uint8_t id[EPOCH_ID_BYTES],
		      struct bytes blob, int64_t now_ns)
{
	struct vault_epoch e;

	if (blob.n == 0 || blob.n > VAULT_BLOB_MAX_BYTES)
		return VAULT_MALFORMED;
	int r = store_epoch_read(s, s->txn, id, &e);
	if (r == 0 && (strcmp(e.origin, origin) != 0 || !bytes_eq(e.blob, blob)))
		return VAULT_OTHER_CONTENT;
	if (r == 0) {
		/*
		 * Its answer was lost, or its origin asks whether we store: it hears of it when
		 * this is on disk.
		 */
		e.stored_ns = now_ns;
		e.blob = blob;
		return epoch_write(s, id, &e);
	}
	if (r != -ENOENT)
		return r;
	e = (struct vault_epoch){.stored_ns = now_ns, .blob = blob};
	memccpy(e.origin, origin, 0, VAULT_NAME_MAX);
	r = epoch_write(s, id, &e);
	if (r == 0)
		s->counts.epochs++;
	return r;
}

/* Records. */

static int row_write(struct vault_store *s, const struct vault_row *row)
{
	uint8_t key[8], room[VAULT_ROW_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	store_number_key(row->number, key);
	vault_row_write(&w, row);
	return writer_ok(&w) ? store_put(s, ROWS, bytes_of(key, 8), writer_view(&w)) : -EINVAL;
}

/* Takes a record out of all tables, and its epoch's count. */
static int row_erase(struct vault_store *s, const struct vault_row *row, enum vault_gone why)
{
	uint8_t number[8], place[PLACE_BYTES], ended[ENDED_KEY_BYTES];
	struct change *c = store_change(s);

	if (!c)
		return -ENOMEM;
	*c = (struct change){.number = row->number, .why = why};
	store_number_key(row->number, number);
	store_place_key(row->index.epoch, row->index.number, place);
	size_t ended_n = store_ended_key(row->origin, row->number, ended);
	int r = store_del(s, ROWS, bytes_of(number, 8));
	if (r == 0)
		r = store_del(s, BLOBS, bytes_of(number, 8));
	if (r == 0)
		r = store_del(s, PLACES, bytes_of(place, PLACE_BYTES));
	if (r == 0 && row->ended)
		r = store_del(s, ENDED, bytes_of(ended, ended_n));
	if (r == 0)
		r = epoch_count(s, row->index.epoch, -1);
	if (r == 0)
		store_count_out(s, row);
	return r;
}

int vault_store_erase(struct vault_store *s, uint64_t number, enum vault_gone why, bool *ret)
{
	struct vault_row row;
	int r = store_row_read(s, s->txn, number, &row);

	if (r == -ENOENT) {
		*ret = false;
		return 0;
	}
	if (r == 0)
		r = row_erase(s, &row, why);
	if (r == 0)
		*ret = true;
	return r;
}

/* The oldest record of @origin whose session has ended. -ENOENT: there is none. */
static int oldest_ended(struct vault_store *s, const char *origin, uint64_t *ret)
{
	uint8_t first[ENDED_KEY_BYTES];
	size_t n = store_ended_key(origin, 0, first);
	MDB_val k = store_val(first, n), v;
	MDB_cursor *c;

	int r = lmdb_error(mdb_cursor_open(s->txn, s->dbi[ENDED], &c));
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_SET_RANGE));
	if (r == 0 && (k.mv_size != n || memcmp(k.mv_data, first, n - 8) != 0))
		r = -ENOENT;
	if (r == 0)
		*ret = store_number(store_val((const uint8_t *)k.mv_data + n - 8, 8));
	mdb_cursor_close(c);
	return r;
}

/* Room for a record of @bytes: 0, VAULT_FULL, or negative. */
static int make_room(struct vault_store *s, const char *origin, uint64_t bytes)
{
	for (;;) {
		const struct origin *o = store_origin(s, origin);
		uint64_t number = 0;
		bool was_there;

		if (!o || (o->records < s->config.origin_records &&
			   o->bytes + bytes <= s->config.origin_bytes))
			return 0;
		int r = oldest_ended(s, origin, &number);
		if (r == -ENOENT)
			return VAULT_FULL;
		if (r == 0)
			r = vault_store_erase(s, number, VAULT_GONE_EVICTED, &was_there);
		if (r == 0 && !was_there)
			r = -EBADMSG;
		if (r < 0)
			return r;
	}
}

/* VAULT_KNOWN, VAULT_OTHER_CONTENT; -ENOENT: there is no record of this place. */
static int is_stored(struct vault_store *s, const char *origin, const struct vault_item *item)
{
	uint8_t place[PLACE_BYTES];
	struct vault_row row;
	MDB_val v;

	store_place_key(item->index.epoch, item->index.number, place);
	int r = store_get(s, s->txn, PLACES, bytes_of(place, PLACE_BYTES), &v);
	if (r < 0)
		return r;
	r = store_row_read(s, s->txn, store_number(v), &row);
	if (r == 0)
		r = store_get(s, s->txn, BLOBS, store_bytes(v), &v);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	return strcmp(row.origin, origin) == 0 &&
			       bytes_eq(bytes_head(store_bytes(v), row.blob_bytes), item->blob)
		       ? VAULT_KNOWN
		       : VAULT_OTHER_CONTENT;
}

static int put_blob(struct vault_store *s, struct bytes key, struct bytes blob)
{
	size_t room = blob.n < BLOB_ROOM_BYTES ? BLOB_ROOM_BYTES : blob.n;
	MDB_val k = store_val(key.p, key.n), v = {.mv_size = room};

	int r = lmdb_error(mdb_put(s->txn, s->dbi[BLOBS], &k, &v, MDB_RESERVE));
	if (r < 0)
		return r;
	struct writer w = writer_init(v.mv_data, v.mv_size);
	writer_bytes(&w, blob);
	memset((uint8_t *)v.mv_data + blob.n, 0, room - blob.n);
	return 0;
}

static int store_new(struct vault_store *s, const struct vault_row *row, struct bytes blob)
{
	uint8_t number[8], place[PLACE_BYTES];
	struct change *c = store_change(s);

	if (!c)
		return -ENOMEM;
	*c = (struct change){.added = true, .number = row->number, .index = row->index};
	memcpy(c->origin, row->origin, sizeof c->origin);
	store_number_key(row->number, number);
	store_place_key(row->index.epoch, row->index.number, place);
	int r = row_write(s, row);
	if (r == 0)
		r = put_blob(s, bytes_of(number, 8), blob);
	if (r == 0)
		r = store_put(s, PLACES, bytes_of(place, PLACE_BYTES), bytes_of(number, 8));
	if (r == 0)
		r = epoch_count(s, row->index.epoch, 1);
	return r == 0 ? store_count_in(s, row) : r;
}

int vault_store_append(struct vault_store *s, const char *origin, const struct vault_item *item,
		       int64_t now_ns)
{
	struct vault_row row = {
		.stored_ns = now_ns,
		.blob_bytes = (uint32_t)item->blob.n,
		.index = item->index,
	};
	struct vault_epoch e;

	if (item->blob.n == 0 || item->blob.n > VAULT_BLOB_MAX_BYTES)
		return VAULT_MALFORMED;
	int r = store_epoch_read(s, s->txn, item->index.epoch, &e);
	if (r == -ENOENT || (r == 0 && strcmp(e.origin, origin) != 0))
		return VAULT_NO_SUCH_EPOCH;
	if (r < 0)
		return r;
	r = is_stored(s, origin, item);
	if (r != -ENOENT)
		return r;
	r = make_room(s, origin, item->blob.n);
	if (r != 0)
		return r;
	memccpy(row.origin, origin, 0, VAULT_NAME_MAX);
	row.number = s->next++;
	return store_new(s, &row, item->blob);
}

int vault_store_ended(struct vault_store *s, const char *origin, const struct vault_place *place)
{
	uint8_t key[PLACE_BYTES], ended[ENDED_KEY_BYTES];
	struct vault_row row;
	MDB_val v;

	store_place_key(place->epoch, place->number, key);
	int r = store_get(s, s->txn, PLACES, bytes_of(key, PLACE_BYTES), &v);
	if (r == 0)
		r = store_row_read(s, s->txn, store_number(v), &row);
	if (r == -ENOENT || (r == 0 && (row.ended || strcmp(row.origin, origin) != 0)))
		return 0;
	if (r < 0)
		return r;
	row.ended = true;
	size_t n = store_ended_key(origin, row.number, ended);
	r = row_write(s, &row);
	if (r == 0)
		r = store_put(s, ENDED, bytes_of(ended, n), BYTES_NONE);
	if (r == 0)
		s->counts.ended++;
	return r;
}

/* Expiry: what is oldest has the lowest number. */

static int lowest(struct vault_store *s, struct vault_row *ret)
{
	MDB_val k, v;
	MDB_cursor *c;

	int r = lmdb_error(mdb_cursor_open(s->txn, s->dbi[ROWS], &c));
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_FIRST));
	if (r == 0 && !vault_row_read(store_bytes(v), store_number(k), ret))
		r = -EBADMSG;
	mdb_cursor_close(c);
	return r;
}

static int expire_epochs(struct vault_store *s, int64_t now_ns)
{
	MDB_val k, v;
	MDB_cursor *c;
	struct vault_epoch e;

	int r = lmdb_error(mdb_cursor_open(s->txn, s->dbi[EPOCHS], &c));
	if (r < 0)
		return r;
	while (r == 0 && (r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_NEXT))) == 0) {
		if (!vault_epoch_read(store_bytes(v), &e)) {
			r = -EBADMSG;
		} else if (e.records == 0 && now_ns - e.stored_ns > VAULT_EPOCH_KEEP_NS) {
			r = lmdb_error(mdb_cursor_del(c, 0));
			s->counts.epochs -= r == 0;
		}
	}
	mdb_cursor_close(c);
	return r == -ENOENT ? 0 : r;
}

int vault_store_expire(struct vault_store *s, int64_t now_ns, size_t max, bool *ret_more)
{
	struct vault_row row;

	for (size_t i = 0; i < max; i++) {
		int r = lowest(s, &row);
		if (r == -ENOENT || (r == 0 && now_ns - row.stored_ns <= s->config.keep_ns)) {
			*ret_more = false;
			return expire_epochs(s, now_ns);
		}
		if (r == 0)
			r = row_erase(s, &row, VAULT_GONE_EXPIRED);
		if (r < 0)
			return r;
	}
	*ret_more = true;
	return 0;
}
