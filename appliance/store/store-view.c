/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store-view.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/lmdb-error.h"

struct view_part {
	uint64_t off;
	struct bytes b;
};

struct view {
	struct list node;
	struct store_views *of;
	int64_t opened_ns;
	MDB_txn *txn; /* LMDB's snapshot: while it is open, the pages of the parts do not change */
	uint32_t count, cap;
	struct view_part *part;
};

void store_views_init(struct store_views *v)
{
	*v = (struct store_views){0};
	list_init(&v->open);
	pthread_mutex_init(&v->lock, NULL);
}

void store_views_deinit(struct store_views *v)
{
	pthread_mutex_destroy(&v->lock);
}

static void view_free(void *p)
{
	struct view *v = p;

	pthread_mutex_lock(&v->of->lock);
	list_del(&v->node);
	v->of->count--;
	pthread_mutex_unlock(&v->of->lock);
	mdb_txn_abort(v->txn);
	free(v->part);
	free(v);
}

static struct bytes view_at(const void *p, uint64_t off)
{
	const struct view *v = p;
	uint32_t low = 0, high = v->count;

	while (low < high) { /* binary search for the first part that begins behind @off */
		uint32_t middle = low + (high - low) / 2;
		if (v->part[middle].off <= off)
			low = middle + 1;
		else
			high = middle;
	}
	if (low == 0)
		return BYTES_NONE;
	const struct view_part *at = &v->part[low - 1];
	return off - at->off < at->b.n ? bytes_from(at->b, (size_t)(off - at->off)) : BYTES_NONE;
}

static int view_add(struct view *v, uint64_t off, struct bytes b)
{
	if (v->count == v->cap) {
		uint32_t cap = v->cap ? 2 * v->cap : 64;
		struct view_part *part = realloc(v->part, cap * sizeof *part);
		if (!part)
			return -ENOMEM;
		v->part = part;
		v->cap = cap;
	}
	v->part[v->count++] = (struct view_part){off, b};
	return 0;
}

/* Collects the parts, which must adjoin. Returns -ENODATA when one is missing. */
static int view_fill(struct view *v, MDB_cursor *c, struct store_spilled what)
{
	uint64_t first[2] = {htobe64(what.id), 0}, at = what.from;
	MDB_val key = {sizeof first, first}, value;

	int e = lmdb_error(mdb_cursor_get(c, &key, &value, MDB_SET_RANGE));
	while (e == 0 && at < what.to) {
		uint64_t k[2];
		if (key.mv_size != sizeof k)
			break;
		memcpy(k, key.mv_data, sizeof k);
		uint64_t off = be64toh(k[1]);
		if (k[0] != first[0] || off > at || (v->count > 0 && off != at))
			break;
		if (off + value.mv_size > what.from) {
			e = view_add(v, off, bytes_of(value.mv_data, value.mv_size));
			at = off + value.mv_size;
		}
		if (e == 0)
			e = lmdb_error(mdb_cursor_get(c, &key, &value, MDB_NEXT));
	}
	if (e < 0 && e != -ENOENT)
		return e;
	return at >= what.to ? 0 : -ENODATA;
}

static int view_begin(struct view *v, MDB_env *env, MDB_dbi dbi, struct store_spilled what)
{
	MDB_cursor *c;

	int e = lmdb_error(mdb_txn_begin(env, NULL, MDB_RDONLY, &v->txn));
	if (e < 0)
		return e;
	e = lmdb_error(mdb_cursor_open(v->txn, dbi, &c));
	if (e == 0) {
		e = view_fill(v, c, what);
		mdb_cursor_close(c);
	}
	if (e < 0)
		mdb_txn_abort(v->txn);
	return e;
}

int store_views_open(struct store_views *views, MDB_env *env, MDB_dbi dbi,
		     struct store_spilled what, struct spilled *ret)
{
	struct view *v = calloc(1, sizeof *v);

	if (!v)
		return -ENOMEM;
	int e = view_begin(v, env, dbi, what);
	if (e < 0) {
		free(v->part);
		free(v);
		return e;
	}
	v->of = views;
	pthread_mutex_lock(&views->lock);
	v->opened_ns = clock_mono_ns();
	list_add_tail(&views->open, &v->node);
	views->count++;
	pthread_mutex_unlock(&views->lock);
	*ret = (struct spilled){v, what.from, view_at, view_free};
	return 0;
}

uint64_t store_views_count(struct store_views *v)
{
	pthread_mutex_lock(&v->lock);
	uint64_t n = v->count;
	pthread_mutex_unlock(&v->lock);
	return n;
}

int64_t store_views_age_ns(struct store_views *v)
{
	int64_t age = 0;

	pthread_mutex_lock(&v->lock);
	if (!list_empty(&v->open))
		age = clock_mono_ns() - list_entry(v->open.next, struct view, node)->opened_ns;
	pthread_mutex_unlock(&v->lock);
	return age;
}
