/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * store: connection records on disk, for the box's own restart.
 *
 * One LMDB environment, <state_dir>/flows, one owner (a lock forbids a second process),
 * one thread that writes: each submitted batch is one transaction, or several when it is large
 * against the ceiling. Only this file's .c knows LMDB.
 *
 * The records are worth something as long as the machine has not been booted again: the
 * clients would not have waited. So nothing is ever synced to the disk, and an environment of
 * another boot is removed without being read, which is also what makes unsynced writes safe:
 * after a crash of this process the page cache has everything, after one of the machine
 * nothing is looked at.
 *
 * Ceiling: the environment never exceeds `size`. Seven eighths of it are for records
 * (stats.bytes_limit); when they are full, records that are there stay and may be replaced and
 * deleted, new ones are dropped and counted. The last eighth lets deletions work then.
 * Nothing stops because the store is full, or fails; both are told in the log, and a failure by
 * readiness and metrics.
 *
 * Besides records it takes parts of logs that are too long to be kept in memory (spilled), for as
 * long as their connection is watched; up to half of the environment, and none survives a restart.
 *
 * Threads: all but store_open(), store_load() and the ends from any. No fork() without exec while
 * it is open.
 */
#ifndef APPLIANCE_STORE_H
#define APPLIANCE_STORE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/spilled.h"
#include "store-batch.h"
#include "store-format.h"

#define STORE_SIZE_MIN      (1024 * 1024)
#define STORE_QUEUE_DEFAULT 8
#define STORE_WRITERS_MAX   64 /* that spill */

struct store;

struct store_config {
	const char *state_dir;                /* must exist; flows/ is made in it, mode 0700 */
	uint64_t size;                        /* ceiling of the environment, bytes */
	uint8_t boot_id[STORE_BOOT_ID_BYTES]; /* store_boot_id() */
	int64_t max_age_ns;                   /* older records are of no use; 0: no limit */
	uint32_t queue_max;                   /* batches waiting; 0: STORE_QUEUE_DEFAULT */
	/* After each batch, in the store's thread: how long its transactions took. May be NULL. */
	void (*committed)(void *ctx, int64_t duration_ns);
	void *ctx;
};

/* What store_open() found. Everything that is not usable has been deleted. */
struct store_loaded {
	uint64_t usable;
	uint64_t other_boot, too_old, other_version, malformed;
	uint64_t spilled;            /* parts of logs: of use to nobody any more */
	bool environment_other_boot; /* all of it was of another boot and removed unread */
	/* Damaged, of another LMDB, or too large for `size`: moved to flows/data.mdb.bad-<time>. */
	bool environment_bad;
	/* The file system has promised `size` bytes. Else writing is slower and may fail. */
	bool space_reserved;
};

/* What the store counts, each on a line of its own. */
/* clang-format off */
#define STORE_COUNTERS(X) \
	X(batches) \
	X(commits) \
	X(puts) /* done */ \
	X(dels) /* likewise */ \
	X(puts_dropped) /* the ceiling */ \
	X(deferred) /* store_submit() said -EAGAIN */ \
	X(spill_refused) /* parts that were not stored, for one reason or the other */ \
	X(errors) /* changes that failed otherwise */
/* clang-format on */

struct store_stats {
#define STORE_COUNTER(field) uint64_t field;
	STORE_COUNTERS(STORE_COUNTER)
#undef STORE_COUNTER
	uint64_t bytes_used, bytes_limit;
	uint64_t records;
	int64_t commit_last_ns, commit_max_ns;
	uint64_t spilled_bytes; /* in the store, of logs */
	int last_error;         /* negative errno of the last */
	bool broken;            /* the environment is damaged: nothing is written any more */
	bool failing;           /* that, or changes failed within the last ten seconds */
	uint64_t views;         /* open */
	int64_t oldest_view_ns; /* how long the oldest of them has been; 0: there is none */
};

/* The id of this boot, /proc/sys/kernel/random/boot_id. 0 or negative errno. */
int store_boot_id(uint8_t ret[static STORE_BOOT_ID_BYTES]);

/*
 * Opens or makes the environment, weighs each record, and starts the thread. *ret_loaded is for
 * the caller's log. 0; -EINVAL: size or queue; -EBUSY: somebody has it open; or negative errno.
 */
int store_open(const struct store_config *cfg, struct store **ret, struct store_loaded *ret_loaded);

/*
 * Gives every usable record to @fn, views valid during the call. Before the first submit. 0,
 * what @fn returned when that was not 0, or negative errno.
 */
int store_load(struct store *s, int (*fn)(void *ctx, const struct store_record *r), void *ctx);

/*
 * Hands over what is in @b and leaves it empty; never waits for the disk. An empty batch is
 * nothing. 0, or -EAGAIN: the queue is full, @b is untouched. Then go on adding to the same
 * batch and submit it at the next interval: what was added must stay in it, above all
 * deletions, and so the order of changes to one connection is kept. A failure
 * of the disk is not told here, see stats.errors.
 */
int store_submit(struct store *s, struct store_batch *b);

/*
 * The same for parts of logs. When all of it is done, store_spilled(@writer) is @number * 2, plus
 * one if any part was not stored. One at a time for each writer, numbers not 0.
 */
int store_submit_spill(struct store *s, struct store_batch *b, uint32_t writer, uint64_t number);
uint64_t store_spilled(const struct store *s, uint32_t writer);

/*
 * Opens a view of the spilled [from, to) of @id, as it is now: what is forgotten or stored later
 * does not change it. While one is open, room that is freed is not used again: so each holder has a
 * bound on how long it is. 0; -ENODATA: not all of it is there; -ENOMEM, or what the environment
 * says. Before store_close() all are freed.
 */
int store_view(struct store *s, uint64_t id, uint64_t from, uint64_t to, struct spilled *ret);

void store_stats(struct store *s, struct store_stats *ret);

/* Commits what was submitted and ends. NULL is fine; returns NULL. */
struct store *store_close(struct store *s);
/* The same for a clean stop: leaves no record behind. */
struct store *store_clear(struct store *s);

#endif
