/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-store.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/lmdb-error.h"
#include "base/writer.h"
#include "vault-row.h"
#include "vault-scrub.h"

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
static const char *const table_names[TABLES] = {"rows",  "blobs",  "places",
						"ended", "epochs", "meta"};

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
	MDB_txn *txn;  /* the one that changes; NULL outside */
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

static MDB_val val(const void *p, size_t n)
{
	return (MDB_val){n, (void *)p};
}

static struct bytes bytes_of_val(MDB_val v)
{
	return bytes_of(v.mv_data, v.mv_size);
}

static void number_key(uint64_t number, uint8_t ret[8])
{
	struct writer w = writer_init(ret, 8);

	writer_u64be(&w, number);
}

static uint64_t number_of(MDB_val v)
{
	struct reader r = reader_init(bytes_of_val(v));

	return reader_u64be(&r);
}

static void place_key(const uint8_t epoch[EPOCH_ID_BYTES], uint64_t number,
		      uint8_t ret[PLACE_BYTES])
{
	struct writer w = writer_init(ret, PLACE_BYTES);

	writer_copy(&w, epoch, EPOCH_ID_BYTES);
	writer_u64be(&w, number);
}

static size_t ended_key(const char *origin, uint64_t number, uint8_t ret[ENDED_KEY_BYTES])
{
	struct writer w = writer_init(ret, ENDED_KEY_BYTES);

	writer_copy(&w, origin, strlen(origin) + 1);
	writer_u64be(&w, number);
	return writer_pos(&w);
}

static int get(struct vault_store *s, MDB_txn *txn, enum table t, struct bytes key, MDB_val *ret)
{
	MDB_val k = val(key.p, key.n);

	return lmdb_error(mdb_get(txn, s->dbi[t], &k, ret));
}

static int put(struct vault_store *s, enum table t, struct bytes key, struct bytes value)
{
	MDB_val k = val(key.p, key.n), v = val(value.p, value.n);

	return lmdb_error(mdb_put(s->txn, s->dbi[t], &k, &v, 0));
}

static int del(struct vault_store *s, enum table t, struct bytes key)
{
	MDB_val k = val(key.p, key.n);
	int r = lmdb_error(mdb_del(s->txn, s->dbi[t], &k, NULL));

	return r == -ENOENT ? 0 : r;
}

/* Origins: how much each has. */

static struct origin *origin_find(struct vault_store *s, const char *name)
{
	for (size_t i = 0; i < s->origins_n; i++) {
		if (strcmp(s->origins[i].name, name) == 0)
			return &s->origins[i];
	}
	return NULL;
}

static struct origin *origin_get(struct vault_store *s, const char *name)
{
	struct origin *o = origin_find(s, name), new = {0};

	if (o)
		return o;
	o = reallocarray(s->origins, s->origins_n + 1, sizeof *o);
	if (!o)
		return NULL;
	memccpy(new.name, name, 0, VAULT_NAME_MAX);
	s->origins = o;
	o += s->origins_n++;
	*o = new;
	return o;
}

static int count_in(struct vault_store *s, const struct vault_row *row)
{
	struct origin *o = origin_get(s, row->origin);

	if (!o)
		return -ENOMEM;
	o->records++;
	o->bytes += row->blob_bytes;
	s->counts.records++;
	s->counts.bytes += row->blob_bytes;
	s->counts.ended += row->ended;
	return 0;
}

static void count_out(struct vault_store *s, const struct vault_row *row)
{
	struct origin *o = origin_find(s, row->origin);

	if (o) {
		o->records--;
		o->bytes -= row->blob_bytes;
	}
	s->counts.records--;
	s->counts.bytes -= row->blob_bytes;
	s->counts.ended -= row->ended;
}

/* What is told after the commit. */

static struct change *change_new(struct vault_store *s)
{
	if (s->changes_n == s->changes_room) {
		size_t room = s->changes_room ? 2 * s->changes_room : 64;
		struct change *c = reallocarray(s->changes, room, sizeof *c);
		if (!c)
			return NULL;
		s->changes = c;
		s->changes_room = room;
	}
	return &s->changes[s->changes_n++];
}

static void tell_changes(struct vault_store *s)
{
	const struct vault_events *e = &s->config.events;

	for (size_t i = 0; i < s->changes_n; i++) {
		const struct change *c = &s->changes[i];
		if (c->added && e->added)
			e->added(e->ctx, c->number, c->origin, &c->index);
		else if (!c->added && e->gone)
			e->gone(e->ctx, c->number, c->why);
	}
	s->changes_n = 0;
}

/* Transactions. */

int vault_store_begin(struct vault_store *s)
{
	size_t n = s->origins_n;
	struct origin *before = reallocarray(s->origins_before, n + 1, sizeof *before);

	if (!before)
		return -ENOMEM;
	s->origins_before = before;
	if (n > 0)
		memcpy(before, s->origins, n * sizeof *before);
	s->origins_before_n = n;
	s->counts_before = s->counts;
	s->next_before = s->next;
	s->changes_n = 0;
	return lmdb_error(mdb_txn_begin(s->env, NULL, 0, &s->txn));
}

static void undo(struct vault_store *s)
{
	if (s->origins_before_n > 0)
		memcpy(s->origins, s->origins_before, s->origins_before_n * sizeof *s->origins);
	s->origins_n = s->origins_before_n;
	s->counts = s->counts_before;
	s->next = s->next_before;
	s->changes_n = 0;
}

void vault_store_abort(struct vault_store *s)
{
	if (!s->txn)
		return;
	mdb_txn_abort(s->txn);
	s->txn = NULL;
	undo(s);
}

/* Numbers of records that are gone are not used again, also by who opens the store next. */
static int keep_next(struct vault_store *s)
{
	uint8_t next[8];

	if (s->next == s->next_before)
		return 0;
	number_key(s->next, next);
	return put(s, META, bytes_str("next"), bytes_of(next, sizeof next));
}

int vault_store_commit(struct vault_store *s)
{
	int r = keep_next(s);

	if (r < 0) {
		vault_store_abort(s);
		return r;
	}
	r = lmdb_error(mdb_txn_commit(s->txn));
	s->txn = NULL; /* in any case */
	if (r < 0) {
		undo(s);
		return r;
	}
	s->counts.origins = s->origins_n;
	tell_changes(s);
	return 0;
}

/* Epochs. */

static int epoch_read(struct vault_store *s, MDB_txn *txn, const uint8_t id[EPOCH_ID_BYTES],
		      struct vault_epoch *ret)
{
	MDB_val v;
	int r = get(s, txn, EPOCHS, bytes_of(id, EPOCH_ID_BYTES), &v);

	if (r < 0)
		return r;
	return vault_epoch_read(bytes_of_val(v), ret) ? 0 : -EBADMSG;
}

static int epoch_write(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES],
		       const struct vault_epoch *e)
{
	uint8_t room[VAULT_EPOCH_ROW_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	vault_epoch_write(&w, e);
	return writer_ok(&w) ? put(s, EPOCHS, bytes_of(id, EPOCH_ID_BYTES), writer_view(&w))
			     : -EINVAL;
}

/* One more record of the epoch, or one less; its bytes are copied, since a write ends their view.
 */
static int epoch_count(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES], int64_t more)
{
	struct vault_epoch e;
	uint8_t blob[VAULT_BLOB_MAX_BYTES];

	int r = epoch_read(s, s->txn, id, &e);
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
	int r = epoch_read(s, s->txn, id, &e);
	if (r == 0) /* sent again, because its answer was lost */
		return strcmp(e.origin, origin) == 0 && bytes_eq(e.blob, blob)
			       ? 0
			       : VAULT_OTHER_CONTENT;
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

static int row_read(struct vault_store *s, MDB_txn *txn, uint64_t number, struct vault_row *ret)
{
	uint8_t key[8];
	MDB_val v;

	number_key(number, key);
	int r = get(s, txn, ROWS, bytes_of(key, 8), &v);
	if (r < 0)
		return r;
	return vault_row_read(bytes_of_val(v), number, ret) ? 0 : -EBADMSG;
}

static int row_write(struct vault_store *s, const struct vault_row *row)
{
	uint8_t key[8], room[VAULT_ROW_MAX_BYTES];
	struct writer w = WRITER_IN(room);

	number_key(row->number, key);
	vault_row_write(&w, row);
	return writer_ok(&w) ? put(s, ROWS, bytes_of(key, 8), writer_view(&w)) : -EINVAL;
}

/* Takes a record out of all tables, and its epoch's count. */
static int row_erase(struct vault_store *s, const struct vault_row *row, enum vault_gone why)
{
	uint8_t number[8], place[PLACE_BYTES], ended[ENDED_KEY_BYTES];
	struct change *c = change_new(s);

	if (!c)
		return -ENOMEM;
	*c = (struct change){.number = row->number, .why = why};
	number_key(row->number, number);
	place_key(row->index.epoch, row->index.number, place);
	size_t ended_n = ended_key(row->origin, row->number, ended);
	int r = del(s, ROWS, bytes_of(number, 8));
	if (r == 0)
		r = del(s, BLOBS, bytes_of(number, 8));
	if (r == 0)
		r = del(s, PLACES, bytes_of(place, PLACE_BYTES));
	if (r == 0 && row->ended)
		r = del(s, ENDED, bytes_of(ended, ended_n));
	if (r == 0)
		r = epoch_count(s, row->index.epoch, -1);
	if (r == 0)
		count_out(s, row);
	return r;
}

int vault_store_erase(struct vault_store *s, uint64_t number, enum vault_gone why, bool *ret)
{
	struct vault_row row;
	int r = row_read(s, s->txn, number, &row);

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
	size_t n = ended_key(origin, 0, first);
	MDB_val k = val(first, n), v;
	MDB_cursor *c;

	int r = lmdb_error(mdb_cursor_open(s->txn, s->dbi[ENDED], &c));
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_SET_RANGE));
	if (r == 0 && (k.mv_size != n || memcmp(k.mv_data, first, n - 8) != 0))
		r = -ENOENT;
	if (r == 0)
		*ret = number_of(val((const uint8_t *)k.mv_data + n - 8, 8));
	mdb_cursor_close(c);
	return r;
}

/* Room for a record of @bytes: 0, VAULT_FULL, or negative. */
static int make_room(struct vault_store *s, const char *origin, uint64_t bytes)
{
	for (;;) {
		const struct origin *o = origin_find(s, origin);
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

	place_key(item->index.epoch, item->index.number, place);
	int r = get(s, s->txn, PLACES, bytes_of(place, PLACE_BYTES), &v);
	if (r < 0)
		return r;
	r = row_read(s, s->txn, number_of(v), &row);
	if (r == 0)
		r = get(s, s->txn, BLOBS, bytes_of_val(v), &v);
	if (r < 0)
		return r == -ENOENT ? -EBADMSG : r;
	return strcmp(row.origin, origin) == 0 &&
			       bytes_eq(bytes_head(bytes_of_val(v), row.blob_bytes), item->blob)
		       ? VAULT_KNOWN
		       : VAULT_OTHER_CONTENT;
}

static int put_blob(struct vault_store *s, struct bytes key, struct bytes blob)
{
	size_t room = blob.n < BLOB_ROOM_BYTES ? BLOB_ROOM_BYTES : blob.n;
	MDB_val k = val(key.p, key.n), v = {.mv_size = room};

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
	struct change *c = change_new(s);

	if (!c)
		return -ENOMEM;
	*c = (struct change){.added = true, .number = row->number, .index = row->index};
	memcpy(c->origin, row->origin, sizeof c->origin);
	number_key(row->number, number);
	place_key(row->index.epoch, row->index.number, place);
	int r = row_write(s, row);
	if (r == 0)
		r = put_blob(s, bytes_of(number, 8), blob);
	if (r == 0)
		r = put(s, PLACES, bytes_of(place, PLACE_BYTES), bytes_of(number, 8));
	if (r == 0)
		r = epoch_count(s, row->index.epoch, 1);
	return r == 0 ? count_in(s, row) : r;
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
	int r = epoch_read(s, s->txn, item->index.epoch, &e);
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

	place_key(place->epoch, place->number, key);
	int r = get(s, s->txn, PLACES, bytes_of(key, PLACE_BYTES), &v);
	if (r == 0)
		r = row_read(s, s->txn, number_of(v), &row);
	if (r == -ENOENT || (r == 0 && (row.ended || strcmp(row.origin, origin) != 0)))
		return 0;
	if (r < 0)
		return r;
	row.ended = true;
	size_t n = ended_key(origin, row.number, ended);
	r = row_write(s, &row);
	if (r == 0)
		r = put(s, ENDED, bytes_of(ended, n), BYTES_NONE);
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
	if (r == 0 && !vault_row_read(bytes_of_val(v), number_of(k), ret))
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
		if (!vault_epoch_read(bytes_of_val(v), &e)) {
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

/* Reading. */

int vault_store_walk(struct vault_store *s, uint64_t from, size_t max,
		     bool (*fn)(void *ctx, const struct vault_row *row), void *ctx,
		     uint64_t *ret_next)
{
	uint8_t first[8] = {0};
	MDB_val k = val(first, 8), v;
	MDB_txn *txn;
	MDB_cursor *c;
	struct vault_row row;
	uint64_t next = from;

	number_key(from, first);
	int r = lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = lmdb_error(mdb_cursor_open(txn, s->dbi[ROWS], &c));
	if (r < 0)
		goto end;
	r = lmdb_error(mdb_cursor_get(c, &k, &v, MDB_SET_RANGE));
	for (size_t i = 0; r == 0 && i < max; i++) {
		if (!vault_row_read(bytes_of_val(v), number_of(k), &row)) {
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
	mdb_txn_abort(txn);
	return r;
}

int vault_store_blob(struct vault_store *s, uint64_t number, vault_blob_fn fn, void *ctx)
{
	struct vault_row row;
	uint8_t key[8];
	MDB_txn *txn;
	MDB_val v;

	number_key(number, key);
	int r = lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = row_read(s, txn, number, &row);
	if (r == 0)
		r = get(s, txn, BLOBS, bytes_of(key, 8), &v);
	if (r == 0)
		fn(ctx, bytes_head(bytes_of_val(v), row.blob_bytes));
	mdb_txn_abort(txn);
	return r;
}

int vault_store_epoch_blob(struct vault_store *s, const uint8_t id[EPOCH_ID_BYTES],
			   vault_blob_fn fn, void *ctx)
{
	struct vault_epoch e;
	MDB_txn *txn;

	int r = lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
	if (r < 0)
		return r;
	r = epoch_read(s, txn, id, &e);
	if (r == 0)
		fn(ctx, e.blob);
	mdb_txn_abort(txn);
	return r;
}

void vault_store_count(const struct vault_store *s, struct vault_store_counts *ret)
{
	*ret = s->counts;
}

/* Opening. */

static bool count_row(void *ctx, const struct vault_row *row)
{
	return count_in(ctx, row) == 0;
}

static int count_all(struct vault_store *s)
{
	uint64_t next = 0;
	int r = vault_store_walk(s, 0, SIZE_MAX, count_row, s, &next);

	s->counts.origins = s->origins_n;
	return r == 0 && next != UINT64_MAX ? -ENOMEM : r;
}

static int open_tables(struct vault_store *s)
{
	MDB_stat stat;
	MDB_val next;

	int r = lmdb_error(mdb_txn_begin(s->env, NULL, 0, &s->txn));
	for (int t = 0; r == 0 && t < TABLES; t++)
		r = lmdb_error(mdb_dbi_open(s->txn, table_names[t], MDB_CREATE, &s->dbi[t]));
	if (r == 0)
		r = lmdb_error(mdb_stat(s->txn, s->dbi[EPOCHS], &stat));
	if (r < 0)
		return r;
	s->counts.epochs = stat.ms_entries;
	r = get(s, s->txn, META, bytes_str("next"), &next);
	s->next = r == 0 ? number_of(next) : 1;
	if (r < 0 && r != -ENOENT)
		return r;
	r = lmdb_error(mdb_txn_commit(s->txn));
	s->txn = NULL;
	return r;
}

/* The folder, and the lock on it. */
static int open_folder(struct vault_store *s, const char *path)
{
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return -errno;
	s->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (s->lock_fd < 0)
		return -errno;
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0)
		return errno == EWOULDBLOCK ? -EBUSY : -errno;
	return 0;
}

int vault_store_open(const struct vault_store_config *c, struct vault_store **ret)
{
	struct vault_store *s = calloc(1, sizeof *s);
	char path[4096];

	if (!s)
		return -ENOMEM;
	s->config = *c;
	s->lock_fd = -1;
	int n = snprintf(path, sizeof path, "%s/records", c->dir);
	int r = n < 0 || (size_t)n >= sizeof path ? -ENAMETOOLONG : open_folder(s, path);
	if (r == 0)
		r = lmdb_error(mdb_env_create(&s->env));
	if (r == 0)
		r = lmdb_error(mdb_env_set_maxdbs(s->env, TABLES + 1));
	if (r == 0)
		r = lmdb_error(mdb_env_set_mapsize(s->env, c->size_bytes));
	if (r == 0)
		r = lmdb_error(mdb_env_open(s->env, path, MDB_NOTLS, 0600));
	if (r == 0)
		r = open_tables(s);
	if (r == 0)
		r = count_all(s);
	if (r < 0) {
		vault_store_close(s);
		return r;
	}
	*ret = s;
	return 0;
}

void vault_store_close(struct vault_store *s)
{
	if (!s)
		return;
	vault_store_abort(s);
	if (s->env)
		mdb_env_close(s->env);
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	free(s->origins);
	free(s->origins_before);
	free(s->changes);
	free(s);
}

int vault_store_scrub(struct vault_store *s, size_t max_pages)
{
	return vault_scrub(s->env, max_pages);
}
