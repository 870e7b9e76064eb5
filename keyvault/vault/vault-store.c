/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "vault-store-own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "vault-scrub.h"

static const char *const table_names[TABLES] = {"rows",  "blobs",  "places",
						"ended", "epochs", "meta"};

/* Origins: how much each has. */

struct origin *store_origin(struct vault_store *s, const char *name)
{
	for (size_t i = 0; i < s->origins_n; i++) {
		if (strcmp(s->origins[i].name, name) == 0)
			return &s->origins[i];
	}
	return NULL;
}

static struct origin *origin_get(struct vault_store *s, const char *name)
{
	struct origin *o = store_origin(s, name), new = {0};

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

int store_count_in(struct vault_store *s, const struct vault_row *row)
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

void store_count_out(struct vault_store *s, const struct vault_row *row)
{
	struct origin *o = store_origin(s, row->origin);

	if (o) {
		o->records--;
		o->bytes -= row->blob_bytes;
	}
	s->counts.records--;
	s->counts.bytes -= row->blob_bytes;
	s->counts.ended -= row->ended;
}

/* What is told after the commit. */

struct change *store_change(struct vault_store *s)
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
	store_number_key(s->next, next);
	return store_put(s, META, bytes_str("next"), bytes_of(next, sizeof next));
}

static int commit_txn(void *ctx)
{
	struct vault_store *s = ctx;

	return lmdb_error(mdb_txn_commit(s->txn));
}

int vault_store_commit_start(struct vault_store *s)
{
	int r = keep_next(s);

	if (r == 0)
		r = lmdb_error(mdb_txn_begin(s->env, NULL, MDB_RDONLY, &s->snapshot));
	if (r < 0)
		vault_store_abort(s);
	else
		slow_call_start(&s->commit, commit_txn, s);
	return r;
}

bool vault_store_commit_over(struct vault_store *s, int *ret)
{
	if (!slow_call_over(&s->commit, ret))
		return false;
	s->txn = NULL; /* in any case */
	mdb_txn_abort(s->snapshot);
	s->snapshot = NULL;
	if (*ret < 0) {
		undo(s);
	} else {
		s->counts.origins = s->origins_n;
		tell_changes(s);
	}
	return true;
}

int vault_store_commit(struct vault_store *s)
{
	int r = vault_store_commit_start(s);

	if (r < 0)
		return r;
	slow_call_wait(&s->commit);
	(void)vault_store_commit_over(s, &r);
	return r;
}

int vault_store_bell(const struct vault_store *s)
{
	return s->commit.bell;
}

/* Opening. */

static bool count_row(void *ctx, const struct vault_row *row)
{
	return store_count_in(ctx, row) == 0;
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
	r = store_get(s, s->txn, META, bytes_str("next"), &next);
	s->next = r == 0 ? store_number(next) : 1;
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

/*
 * LMDB's own lock belongs to the thread that has begun a transaction, and here another one commits
 * it: MDB_NOLOCK. What it asks for then holds: one process (the folder's lock), one transaction
 * that changes (@txn), and no reader that outlives the next one: what is read while a commit runs
 * is the snapshot of before it, whose pages LMDB does not use again in that transaction.
 */
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
		r = lmdb_error(mdb_env_open(s->env, path, MDB_NOTLS | MDB_NOLOCK, 0600));
	if (r == 0)
		r = slow_call_init(&s->commit);
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
	int r;

	if (!s)
		return;
	if (s->snapshot) {
		slow_call_wait(&s->commit);
		(void)vault_store_commit_over(s, &r);
	}
	slow_call_deinit(&s->commit);
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

int vault_store_scrub_begin(struct vault_store *s, enum vault_scrub_step step, size_t max_pages)
{
	int r = vault_store_begin(s);

	if (r == 0)
		r = vault_scrub(s->txn, step, max_pages);
	if (r < 0)
		vault_store_abort(s);
	return r;
}

int vault_store_scrub(struct vault_store *s, size_t max_pages)
{
	int r = 0;

	for (int step = 0; r == 0 && step < VAULT_SCRUB_STEPS; step++) {
		r = vault_store_scrub_begin(s, (enum vault_scrub_step)step, max_pages);
		if (r == 0)
			r = vault_store_commit(s);
	}
	return r;
}
