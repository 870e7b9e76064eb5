/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "store.h"

#include <endian.h>
#include <errno.h>
#include <lmdb.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "store-folder.h"
#include "base/lmdb-error.h"
#include "store-queue.h"
#include "store-view.h"
#include "base/thread.h"

/* Fraction of the environment kept for deletions and for pages in transition. */
#define RESERVE_SHARE 8
#define WEIGH_RECORDS 4096 /* records examined in one transaction at start */
#define SPILL_SHARE   2    /* fraction of the environment for parts of logs */
/* The log's pause between two reports; also how long a failure counts as present. */
#define TELL_NS (10 * NS_PER_S)

struct counters {
#define STORE_COUNTER(field) _Atomic uint64_t field;
	STORE_COUNTERS(STORE_COUNTER)
#undef STORE_COUNTER
	_Atomic uint64_t bytes_used, records, spilled_bytes;
	_Atomic int64_t commit_last_ns, commit_max_ns;
	_Atomic int last_error;
	_Atomic int64_t failed_ns; /* time of the last failure; 0: never */
	_Atomic bool broken;
};

/* What has been logged about failures. Used by the store's thread alone. */
struct logged {
	uint64_t errors, dropped; /* values of the counters when they were last logged */
	int64_t at_ns;
	bool failing;
};

struct store {
	struct store_config cfg;
	struct store_folder folder;
	MDB_env *env;
	MDB_dbi dbi;
	uint32_t page_bytes;
	uint64_t bytes_limit;
	uint64_t txn_bytes;                /* ceiling of records in one transaction */
	uint64_t spill_bytes, spill_limit; /* parts of logs; used by the store's thread alone */
	uint64_t spill_parts;
	uint64_t refused; /* total of puts that failed; used by the store's thread alone */
	bool looked;      /* dead readers were looked for in this batch; likewise */
	struct logged logged;
	_Atomic uint64_t spilled[STORE_WRITERS_MAX];
	struct store_views views;
	struct store_queue queue;
	pthread_t thread;
	bool running;
	struct counters count;
};

/*
 * A reader keeps the pages of its snapshot, even when it has died without closing it. Such a reader
 * can be an operator's program that was killed while it read the environment. Returns whether there
 * was a dead reader.
 */
static bool free_dead_readers(struct store *s)
{
	int dead = 0;

	if (s->looked)
		return false;
	s->looked = true;
	if (mdb_reader_check(s->env, &dead) != 0 || dead == 0)
		return false;
	log_event(LOG_WARNING, "store-dead-readers", LOG_INT("readers", dead));
	return true;
}

/* ---- transactions of the store's thread ---------------------------------------------------- */

struct tally {
	uint64_t puts, dels, dropped;
	uint64_t spill_bytes, spill_parts; /* what they become when the transaction is committed */
	uint64_t spill_dropped;
};

static uint64_t used_bytes(const struct store *s, MDB_txn *txn, uint64_t *ret_records)
{
	MDB_stat st;

	if (mdb_stat(txn, s->dbi, &st) != 0)
		return 0;
	*ret_records = st.ms_entries - s->spill_parts;
	return (2 + st.ms_branch_pages + st.ms_leaf_pages + st.ms_overflow_pages) * s->page_bytes;
}

/* What a value costs. A large one takes pages of its own, others a share of half-full leaves. */
static uint64_t cost_bytes(const struct store *s, size_t value_n)
{
	uint64_t node = STORE_KEY_BYTES + 16 + value_n;

	if (node * 2 <= s->page_bytes)
		return node * 2;
	return (value_n + 16 + s->page_bytes - 1) / s->page_bytes * s->page_bytes + 256;
}

/* Whether there is room for this record. The record that it replaces counts as room. */
static bool fits(const struct store *s, MDB_txn *txn, MDB_val *key, size_t value_n)
{
	uint64_t records, old = 0;
	MDB_val there;

	if (mdb_get(txn, s->dbi, key, &there) == 0)
		old = cost_bytes(s, there.mv_size);
	return used_bytes(s, txn, &records) + cost_bytes(s, value_n) <= s->bytes_limit + old;
}

/*
 * Stores a part of a log. Parts have a ceiling of their own, so that they cannot displace records.
 */
static int apply_spill(struct store *s, MDB_txn *txn, const struct store_op *op, struct tally *t)
{
	MDB_val key = {op->key.n, (void *)op->key.p};
	MDB_val value = {op->value.n, (void *)op->value.p};
	uint64_t cost = cost_bytes(s, op->value.n);

	if (t->spill_bytes + cost > s->spill_limit || !fits(s, txn, &key, op->value.n)) {
		t->spill_dropped++;
		return 0;
	}
	t->spill_bytes += cost;
	t->spill_parts++;
	return lmdb_error(mdb_put(txn, s->dbi, &key, &value, 0));
}

/* Deletes parts of one stream. They are neighbours, in the order of their offsets. */
static int apply_forget(struct store *s, MDB_txn *txn, const struct store_op *op, struct tally *t)
{
	uint8_t first[STORE_SPILL_KEY_BYTES] = {0};
	MDB_val key = {sizeof first, first}, value;
	MDB_cursor *c;

	memcpy(first, op->key.p, sizeof first / 2);
	int e = lmdb_error(mdb_cursor_open(txn, s->dbi, &c));
	if (e < 0)
		return e;
	e = lmdb_error(mdb_cursor_get(c, &key, &value, MDB_SET_RANGE));
	while (e == 0 && key.mv_size == sizeof first && memcmp(key.mv_data, first, 8) == 0 &&
	       memcmp(key.mv_data, op->key.p, sizeof first) < 0) {
		uint64_t cost = cost_bytes(s, value.mv_size);
		e = lmdb_error(mdb_cursor_del(c, 0));
		t->spill_bytes -= e == 0 ? cost : 0;
		t->spill_parts -= e == 0;
		if (e == 0)
			e = lmdb_error(mdb_cursor_get(c, &key, &value, MDB_NEXT));
	}
	mdb_cursor_close(c);
	return e == -ENOENT ? 0 : e;
}

static int apply_op(struct store *s, MDB_txn *txn, const struct store_op *op,
		    uint64_t *io_projected, struct tally *t)
{
	MDB_val key = {op->key.n, (void *)op->key.p};
	MDB_val value = {op->value.n, (void *)op->value.p};

	if (op->spill)
		return op->del ? apply_forget(s, txn, op, t) : apply_spill(s, txn, op, t);
	if (op->del) {
		int rc = mdb_del(txn, s->dbi, &key, NULL);
		t->dels++;
		return rc == MDB_NOTFOUND ? 0 : lmdb_error(rc);
	}
	*io_projected += cost_bytes(s, op->value.n);
	if (*io_projected > s->bytes_limit && !fits(s, txn, &key, op->value.n)) {
		t->dropped++;
		return 0;
	}
	t->puts++;
	return lmdb_error(mdb_put(txn, s->dbi, &key, &value, 0));
}

static void publish(struct store *s, uint64_t used, uint64_t records, const struct tally *t)
{
	struct counters *c = &s->count;

	atomic_store_explicit(&c->bytes_used, used, memory_order_relaxed);
	atomic_store_explicit(&c->records, records, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->commits, 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->puts, t->puts, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->dels, t->dels, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->puts_dropped, t->dropped, memory_order_relaxed);
	atomic_fetch_add_explicit(&c->spill_refused, t->spill_dropped, memory_order_relaxed);
	atomic_store_explicit(&c->spilled_bytes, t->spill_bytes, memory_order_relaxed);
	s->spill_bytes = t->spill_bytes;
	s->spill_parts = t->spill_parts;
	s->refused += t->spill_dropped;
}

/* Applies all changes of @ops, or none of them. */
static int apply_once(struct store *s, struct bytes ops)
{
	struct reader r = reader_init(ops);
	struct tally t = {.spill_bytes = s->spill_bytes, .spill_parts = s->spill_parts};
	struct store_op op;
	uint64_t records = 0;
	MDB_txn *txn;

	int e = lmdb_error(mdb_txn_begin(s->env, NULL, 0, &txn));
	if (e < 0)
		return e;
	uint64_t projected = used_bytes(s, txn, &records);
	while (e == 0 && store_batch_next(&r, &op))
		e = apply_op(s, txn, &op, &projected, &t);
	if (e < 0) {
		mdb_txn_abort(txn);
		return e;
	}
	uint64_t used = used_bytes(s, txn, &records);
	records += s->spill_parts - t.spill_parts;
	e = lmdb_error(mdb_txn_commit(txn));
	if (e == 0)
		publish(s, used, records, &t);
	return e;
}

static void give_up(struct store *s, const struct store_op *op, uint32_t count, int e)
{
	s->refused += count;
	if (e == -EDQUOT && op->spill && !op->del) {
		atomic_fetch_add_explicit(&s->count.spill_refused, 1, memory_order_relaxed);
		return;
	}
	if (e == -EDQUOT && !op->del) {
		atomic_fetch_add_explicit(&s->count.puts_dropped, 1, memory_order_relaxed);
		return;
	}
	atomic_fetch_add_explicit(&s->count.errors, count, memory_order_relaxed);
	atomic_store_explicit(&s->count.last_error, e, memory_order_relaxed);
	atomic_store_explicit(&s->count.failed_ns, clock_mono_ns(), memory_order_relaxed);
	if (e == -EBADMSG)
		atomic_store(&s->count.broken, true);
}

/* LMDB reports EIO for a short write, which mostly means a full disk. */
static bool is_full(int e)
{
	return e == -EDQUOT || e == -ENOSPC || e == -EIO;
}

/*
 * Applies @ops. A ceiling (ours, or a full disk) spoils a whole transaction, although most of its
 * changes may fit, above all deletions. Then each half is tried alone, down to the one change that
 * does not fit. The order is kept.
 */
static void apply_or_halve(struct store *s, struct bytes ops)
{
	struct reader r = reader_init(ops);
	struct store_op first = {0}, op;
	uint32_t count = 0;

	int e = atomic_load(&s->count.broken) ? -EBADMSG : apply_once(s, ops);
	if (is_full(e) && free_dead_readers(s))
		e = apply_once(s, ops);
	if (e == 0)
		return;
	while (store_batch_next(&r, &op)) {
		if (count++ == 0)
			first = op;
	}
	if (!is_full(e) || count <= 1) {
		give_up(s, &first, count, e);
		return;
	}
	r = reader_init(ops);
	for (uint32_t i = 0; i < count / 2; i++)
		store_batch_next(&r, &op);
	apply_or_halve(s, bytes_head(ops, reader_pos(&r)));
	apply_or_halve(s, bytes_from(ops, reader_pos(&r)));
}

/* Bytes of the first changes of @ops that go into one transaction: at least one change. */
static size_t one_transaction(const struct store *s, struct bytes ops)
{
	struct reader r = reader_init(ops);
	struct store_op op;
	uint64_t cost = 0;
	size_t end = 0;

	while (store_batch_next(&r, &op)) {
		cost += op.del ? 0 : cost_bytes(s, op.value.n);
		if (end > 0 && cost > s->txn_bytes)
			break;
		end = reader_pos(&r);
	}
	return end;
}

/*
 * Applies @ops in pieces. Pages that a transaction frees can be reused by the next but one at the
 * earliest. So in a full environment changes that replace records come in pieces, and the reserve
 * has room for several pieces.
 */
static void apply(struct store *s, struct bytes ops)
{
	while (ops.n > 0) {
		size_t n = one_transaction(s, ops);
		apply_or_halve(s, bytes_head(ops, n));
		ops = bytes_from(ops, n);
	}
}

/* Logs each new kind of failure, at most every TELL_NS, and the end of a failure. */
static void tell(struct store *s, int64_t now_ns)
{
	const struct counters *c = &s->count;
	uint64_t errors = atomic_load_explicit(&c->errors, memory_order_relaxed) - s->logged.errors;
	uint64_t dropped =
		atomic_load_explicit(&c->puts_dropped, memory_order_relaxed) - s->logged.dropped;
	bool fails = now_ns - atomic_load_explicit(&c->failed_ns, memory_order_relaxed) < TELL_NS;

	if (s->logged.failing && errors == 0 && !fails) {
		s->logged.failing = false;
		log_event(LOG_NOTICE, "store-works-again");
	}
	if (errors + dropped == 0 || (s->logged.at_ns && now_ns - s->logged.at_ns < TELL_NS))
		return;
	s->logged.at_ns = now_ns;
	s->logged.errors += errors;
	s->logged.dropped += dropped;
	s->logged.failing = s->logged.failing || errors > 0;
	log_event(errors ? LOG_ERROR : LOG_WARNING, errors ? "store-failed" : "store-full",
		  LOG_INT("changes", errors), LOG_INT("no_room", dropped),
		  LOG_INT("oldest_reader_ms", store_views_age_ns(&s->views) / NS_PER_MS),
		  LOG_ERR(errors ? atomic_load_explicit(&c->last_error, memory_order_relaxed)
				 : -EDQUOT));
}

static void *store_main(void *arg)
{
	struct store *s = arg;
	struct store_queue_item item = {BUF_INIT(0), NULL, 0};

	while (store_queue_pop(&s->queue, &item)) {
		int64_t began_ns = clock_mono_ns();
		uint64_t refused = s->refused;
		s->looked = false;
		apply(s, buf_view(&item.ops));
		if (item.receipt)
			atomic_store(item.receipt, item.answer + (s->refused != refused));
		int64_t took_ns = clock_mono_ns() - began_ns;
		atomic_store_explicit(&s->count.commit_last_ns, took_ns, memory_order_relaxed);
		if (took_ns > atomic_load_explicit(&s->count.commit_max_ns, memory_order_relaxed))
			atomic_store_explicit(&s->count.commit_max_ns, took_ns,
					      memory_order_relaxed);
		atomic_fetch_add_explicit(&s->count.batches, 1, memory_order_relaxed);
		tell(s, clock_mono_ns());
		if (s->cfg.committed)
			s->cfg.committed(s->cfg.ctx, took_ns);
	}
	buf_deinit(&item.ops);
	return NULL;
}

static int start_thread(struct store *s)
{
	int r = thread_start(&s->thread, store_main, s);

	if (r < 0)
		return r;
	pthread_setname_np(s->thread, "store");
	s->running = true;
	return 0;
}

/* ---- what is on the disk ------------------------------------------------------------------- */

static void close_environment(struct store *s)
{
	if (s->env)
		mdb_env_close(s->env);
	s->env = NULL;
}

static int open_database(struct store *s)
{
	MDB_txn *txn;
	MDB_stat st;

	int e = lmdb_error(mdb_txn_begin(s->env, NULL, 0, &txn));
	if (e < 0)
		return e;
	e = lmdb_error(mdb_dbi_open(txn, NULL, 0, &s->dbi));
	if (e == 0)
		e = lmdb_error(mdb_stat(txn, s->dbi, &st));
	if (e < 0) {
		mdb_txn_abort(txn);
		return e;
	}
	s->page_bytes = st.ms_psize;
	return lmdb_error(mdb_txn_commit(txn));
}

/*
 * LMDB keeps the size of an existing environment. One that exceeds a reduced `size` counts as bad.
 */
static int hold_to_size(struct store *s)
{
	MDB_envinfo info;

	int e = lmdb_error(mdb_env_info(s->env, &info));
	if (e < 0)
		return e;
	return info.me_mapsize > s->cfg.size ? -EBADMSG : 0;
}

static int open_environment(struct store *s, struct store_loaded *l)
{
	/* Beside NOSYNC, NOMETASYNC and MAPASYNC change nothing. NORDAHEAD would slow down the
	 * sequential read at start. */
	unsigned flags =
		MDB_NOSYNC | MDB_NOTLS; /* a view is opened and closed by different threads */

	l->space_reserved = store_folder_reserve(&s->folder, s->cfg.size);
	if (l->space_reserved)
		flags |= MDB_WRITEMAP;
	int e = lmdb_error(mdb_env_create(&s->env));
	if (e == 0)
		e = lmdb_error(mdb_env_set_mapsize(s->env, s->cfg.size));
	if (e == 0)
		e = lmdb_error(mdb_env_set_maxreaders(s->env, STORE_VIEWS_MAX));
	if (e == 0)
		e = lmdb_error(mdb_env_open(s->env, s->folder.path, flags, 0600));
	if (e == 0)
		e = open_database(s);
	if (e == 0)
		free_dead_readers(s);
	if (e == 0)
		e = hold_to_size(s);
	if (e < 0)
		close_environment(s);
	return e;
}

/* ---- weighing records at start ------------------------------------------------------------- */

static bool key_is_its_own(const struct store_record *rec, const MDB_val *key)
{
	uint8_t own[STORE_KEY_BYTES];

	store_key(&rec->snapshot.server, &rec->snapshot.client, own);
	return key->mv_size == sizeof own && memcmp(key->mv_data, own, sizeof own) == 0;
}

/* Examines a record. Returns the counter of its kind: `usable`, or a reason to delete it. */
static uint64_t *weigh(const struct store *s, struct store_loaded *l, const MDB_val *key,
		       const MDB_val *value, int64_t now_ns)
{
	struct store_record rec;

	/* Parts of logs are useless after a restart: the record says that its log was shortened. */
	if (key->mv_size == STORE_SPILL_KEY_BYTES)
		return &l->spilled;
	switch (store_record_decode(bytes_of(value->mv_data, value->mv_size), &rec)) {
	case STORE_DECODE_OK:
		break;
	case STORE_DECODE_VERSION:
		return &l->other_version;
	case STORE_DECODE_MALFORMED:
		return &l->malformed;
	}
	if (!key_is_its_own(&rec, key))
		return &l->malformed;
	if (memcmp(rec.boot_id, s->cfg.boot_id, sizeof rec.boot_id) != 0)
		return &l->other_boot;
	if (rec.mono_ns > now_ns) /* no clock of this boot can have shown this time */
		return &l->malformed;
	if (s->cfg.max_age_ns > 0 && now_ns - rec.mono_ns > s->cfg.max_age_ns)
		return &l->too_old;
	return &l->usable;
}

struct place {
	uint8_t key[512]; /* LMDB's keys are at most 511 bytes */
	size_t n;         /* 0: before the first key */
};

static int step(MDB_cursor *c, MDB_cursor_op op, MDB_val *key, MDB_val *value)
{
	return lmdb_error(mdb_cursor_get(c, key, value, op));
}

/*
 * Examines at most WEIGH_RECORDS records from *io on. *io becomes the first record left; -ENOENT:
 * none is left.
 */
static int weigh_some(struct store *s, MDB_txn *txn, struct store_loaded *l, struct place *io)
{
	MDB_val key = {io->n, io->key}, value;
	int64_t now_ns = clock_mono_ns();
	MDB_cursor *c;

	int e = lmdb_error(mdb_cursor_open(txn, s->dbi, &c));
	if (e < 0)
		return e;
	e = step(c, io->n ? MDB_SET_RANGE : MDB_FIRST, &key, &value);
	for (int i = 0; e == 0 && i < WEIGH_RECORDS; i++) {
		uint64_t *outcome = weigh(s, l, &key, &value, now_ns);
		(*outcome)++;
		if (outcome != &l->usable)
			e = lmdb_error(mdb_cursor_del(c, 0));
		if (e == 0)
			e = step(c, MDB_NEXT, &key, &value);
	}
	if (e == 0) {
		memcpy(io->key, key.mv_data, key.mv_size);
		io->n = key.mv_size;
	}
	mdb_cursor_close(c);
	return e;
}

/* Several transactions, because one transaction has a ceiling. */
static int weigh_all(struct store *s, struct store_loaded *l)
{
	struct place at = {.n = 0};
	MDB_txn *txn;

	for (int e = 0; e != -ENOENT;) {
		int r = lmdb_error(mdb_txn_begin(s->env, NULL, 0, &txn));
		if (r < 0)
			return r;
		e = weigh_some(s, txn, l, &at);
		if (e < 0 && e != -ENOENT) {
			mdb_txn_abort(txn);
			return e;
		}
		uint64_t records = 0, used = used_bytes(s, txn, &records);
		r = lmdb_error(mdb_txn_commit(txn));
		if (r < 0)
			return r;
		atomic_store_explicit(&s->count.bytes_used, used, memory_order_relaxed);
		atomic_store_explicit(&s->count.records, records, memory_order_relaxed);
	}
	return 0;
}

static int open_and_weigh(struct store *s, struct store_loaded *l)
{
	int e = open_environment(s, l);

	if (e == 0)
		e = weigh_all(s, l);
	if (e != -EBADMSG)
		return e;
	close_environment(s);
	e = store_folder_set_aside(&s->folder);
	if (e < 0)
		return e;
	*l = (struct store_loaded){.environment_other_boot = l->environment_other_boot,
				   .environment_bad = true};
	e = open_environment(s, l);
	return e < 0 ? e : weigh_all(s, l);
}

/* ---- lifecycle ----------------------------------------------------------------------------- */

static struct store *store_free(struct store *s)
{
	close_environment(s);
	store_queue_deinit(&s->queue);
	store_views_deinit(&s->views);
	store_folder_close(&s->folder);
	free(s);
	return NULL;
}

int store_open(const struct store_config *cfg, struct store **ret, struct store_loaded *ret_loaded)
{
	struct store_loaded loaded = {0};
	uint32_t queue_max = cfg->queue_max ? cfg->queue_max : STORE_QUEUE_DEFAULT;

	if (cfg->size < STORE_SIZE_MIN || cfg->size > INT64_MAX || queue_max > STORE_QUEUE_MAX)
		return -EINVAL;
	struct store *s = calloc(1, sizeof *s);
	if (!s)
		return -ENOMEM;
	s->cfg = *cfg;
	s->cfg.size -= cfg->size % (uint64_t)sysconf(_SC_PAGESIZE);
	s->bytes_limit = s->cfg.size - s->cfg.size / RESERVE_SHARE;
	s->spill_limit = s->cfg.size / SPILL_SHARE;
	s->txn_bytes = s->cfg.size / RESERVE_SHARE / 4;
	store_queue_init(&s->queue, queue_max);
	store_views_init(&s->views);
	int r = store_folder_open(&s->folder, cfg->state_dir, s->cfg.boot_id,
				  &loaded.environment_other_boot);
	if (r == 0)
		r = open_and_weigh(s, &loaded);
	if (r == 0)
		r = start_thread(s);
	if (r < 0) {
		store_free(s);
		return r;
	}
	*ret = s;
	*ret_loaded = loaded;
	return 0;
}

int store_load(struct store *s, int (*fn)(void *ctx, const struct store_record *r), void *ctx)
{
	struct store_record rec;
	MDB_val key, value;
	MDB_cursor *c;
	MDB_txn *txn;

	int e = lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn));
	if (e < 0)
		return e;
	e = lmdb_error(mdb_cursor_open(txn, s->dbi, &c));
	if (e < 0) {
		mdb_txn_abort(txn);
		return e;
	}
	while ((e = step(c, MDB_NEXT, &key, &value)) == 0) {
		struct bytes v = bytes_of(value.mv_data, value.mv_size);
		if (store_record_decode(v, &rec) != STORE_DECODE_OK)
			/* Impossible after weighing, unless another program writes here. */
			continue;
		e = fn(ctx, &rec);
		if (e != 0)
			break;
	}
	mdb_cursor_close(c);
	mdb_txn_abort(txn);
	return e == -ENOENT ? 0 : e;
}

int store_submit(struct store *s, struct store_batch *b)
{
	if (store_batch_empty(b))
		return 0;
	int r = store_queue_push(&s->queue, b, NULL, 0);
	if (r < 0)
		atomic_fetch_add_explicit(&s->count.deferred, 1, memory_order_relaxed);
	return r;
}

int store_submit_spill(struct store *s, struct store_batch *b, uint32_t writer, uint64_t number)
{
	if (store_batch_empty(b) || writer >= STORE_WRITERS_MAX)
		return -EINVAL;
	int r = store_queue_push(&s->queue, b, &s->spilled[writer], number * 2);
	if (r < 0)
		atomic_fetch_add_explicit(&s->count.deferred, 1, memory_order_relaxed);
	return r;
}

uint64_t store_spilled(const struct store *s, uint32_t writer)
{
	return writer < STORE_WRITERS_MAX ? atomic_load(&s->spilled[writer]) : 0;
}

int store_view(struct store *s, uint64_t id, uint64_t from, uint64_t to, struct spilled *ret)
{
	return store_views_open(&s->views, s->env, s->dbi, (struct store_spilled){id, from, to},
				ret);
}

#define LOAD(field)    atomic_load_explicit(&s->count.field, memory_order_relaxed)
#define COUNTER(field) .field = LOAD(field),

void store_stats(struct store *s, struct store_stats *ret)
{
	*ret = (struct store_stats){.bytes_used = LOAD(bytes_used),
				    .bytes_limit = s->bytes_limit,
				    .records = LOAD(records),
				    .commit_last_ns = LOAD(commit_last_ns),
				    .commit_max_ns = LOAD(commit_max_ns),
				    .spilled_bytes = LOAD(spilled_bytes),
				    .last_error = LOAD(last_error),
				    .broken = LOAD(broken),
				    .views = store_views_count(&s->views),
				    .oldest_view_ns = store_views_age_ns(&s->views),
				    STORE_COUNTERS(COUNTER)};
	int64_t failed_ns = LOAD(failed_ns);
	ret->failing = ret->broken || (failed_ns > 0 && clock_mono_ns() - failed_ns < TELL_NS);
}

/* False: its disk hangs. It is left, with all that is its own. */
static bool end_thread(struct store *s)
{
	store_queue_close(&s->queue);
	if (s->running && !thread_end(s->thread, "store", thread_deadline(false)))
		return false;
	s->running = false;
	return true;
}

struct store *store_close(struct store *s)
{
	if (!s || !end_thread(s))
		return NULL;
	return store_free(s);
}

struct store *store_clear(struct store *s)
{
	if (!s || !end_thread(s))
		return NULL;
	close_environment(s);
	store_folder_clear(
		/* A file that cannot be removed is of another boot, or too old, at the next
		 * start. */
		&s->folder);
	return store_free(s);
}
