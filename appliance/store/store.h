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
#define STORE_WRITERS_MAX   64 /* workers that spill */

struct store;

struct store_config {
	/* Must exist; the folder flows/ is made in it with mode 0700. */
	const char *state_dir;
	uint64_t size;                        /* ceiling of the environment, bytes */
	uint8_t boot_id[STORE_BOOT_ID_BYTES]; /* store_boot_id() */
	int64_t max_age_ns;                   /* records older than that are useless; 0: no limit */
	uint32_t queue_max;                   /* batches that may wait; 0: STORE_QUEUE_DEFAULT */
	/* Called in the store's thread after each batch, with the time its transactions took.
	 * May be NULL. */
	void (*committed)(void *ctx, int64_t duration_ns);
	void *ctx;
};

/* What store_open() found. All that is not usable has been deleted. */
struct store_loaded {
	uint64_t usable;
	uint64_t other_boot, too_old, other_version, malformed;
	uint64_t spilled; /* parts of logs, which are useless after a restart */
	/* The whole environment was of another boot, and was removed unread. */
	bool environment_other_boot;
	/* The environment was damaged, of another LMDB version, or too large for `size`. It was
	 * moved to flows/data.mdb.bad-<time>. */
	bool environment_bad;
	/* The file system has reserved `size` bytes. Otherwise writing is slower and can fail. */
	bool space_reserved;
};

/* The store's counters, one a line. */
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
	uint64_t spilled_bytes; /* bytes of spilled logs in the store */
	int last_error;         /* negative errno of the last failure */
	bool broken;            /* the environment is damaged, and nothing is written any more */
	bool failing;           /* broken, or changes failed in the last ten seconds */
	uint64_t views;         /* open views */
	int64_t oldest_view_ns; /* how long the oldest view has been open; 0: no view is open */
};

/* Reads the id of this boot from /proc/sys/kernel/random/boot_id. Returns 0 or a negative errno. */
int store_boot_id(uint8_t ret[static STORE_BOOT_ID_BYTES]);

/*
 * Opens or makes the environment, examines each record, and starts the thread. *ret_loaded is for
 * the caller's log. Returns 0, -EINVAL for a bad size or queue, -EBUSY when another process has it
 * open, or a negative errno.
 */
int store_open(const struct store_config *cfg, struct store **ret, struct store_loaded *ret_loaded);

/*
 * Calls @fn with every usable record, whose views are valid during the call. Must be called before
 * the first submit. Returns 0, the first value of @fn that is not 0, or a negative errno.
 */
int store_load(struct store *s, int (*fn)(void *ctx, const struct store_record *r), void *ctx);

/*
 * Hands over the changes in @b and leaves @b empty. Never waits for the disk. Does nothing with an
 * empty batch. Returns 0, or -EAGAIN when the queue is full; then @b is untouched.
 * After -EAGAIN the caller must go on adding to the same batch and submit it at the next interval.
 * What was added must stay, above all deletions: so the order of changes to one connection is kept.
 * Failures of the disk show in stats.errors only.
 */
int store_submit(struct store *s, struct store_batch *b);

/*
 * As store_submit(), for parts of logs. When all of it is done, store_spilled(@writer) becomes
 * @number * 2, plus one if any part was not stored. Each writer may have one such batch under way.
 * @number is not 0.
 */
int store_submit_spill(struct store *s, struct store_batch *b, uint32_t writer, uint64_t number);
uint64_t store_spilled(const struct store *s, uint32_t writer);

/*
 * Opens a view of the spilled bytes [from, to) of @id as they are now. Later deletions and
 * additions do not change it. While a view is open, freed room in the environment is not reused, so
 * each holder must limit how long it keeps one. Returns 0, -ENODATA when not all of it is there,
 * -ENOMEM, or an error of the environment. All views must be freed before store_close().
 */
int store_view(struct store *s, uint64_t id, uint64_t from, uint64_t to, struct spilled *ret);

void store_stats(struct store *s, struct store_stats *ret);

/* Commits what was submitted and ends. NULL is fine; returns NULL. When the disk hangs, the thread
 * is left, see threads_left(). */
struct store *store_close(struct store *s);
/* As store_close(), for a clean stop: no record is left behind. */
struct store *store_clear(struct store *s);

#endif
