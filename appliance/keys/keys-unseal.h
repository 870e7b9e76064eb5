/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-unseal: threads that open what was sealed, so that nobody else waits for it. What they open
 * goes into slots of the arena.
 *
 * Tasks are taken on in the order in which they are posted, several at a time; but no record is
 * begun while an epoch that was posted before it is being opened. Each task comes back, to the
 * mailbox of the results: it belongs to the threads from keys_unseal_post() until then.
 */
#ifndef APPLIANCE_KEYS_UNSEAL_H
#define APPLIANCE_KEYS_UNSEAL_H

#include "base/mailbox.h"
#include "keys-arena.h"
#include "keys-reason.h"

#define KEYS_UNSEAL_THREADS_MAX 16

enum keys_unseal_kind {
	KEYS_UNSEAL_EPOCH,
	KEYS_UNSEAL_RECORD,
};

struct keys_unseal_task {
	struct list node;
	enum keys_unseal_kind kind;
	struct bytes blob;             /* the poster's, and stays until the task is back */
	struct session_index expected; /* of a record */
	int64_t now_ns;                /* CLOCK_REALTIME: what is expired, future, stale */
	int64_t max_age_ns;
	int64_t deadline_ns; /* CLOCK_MONOTONIC: not begun after it */

	/* When it is back. */
	int reason;                    /* SEAL_OK or an enum keys_reason */
	uint8_t epoch[EPOCH_ID_BYTES]; /* that was opened */
	struct keys_handle handle;     /* the record's slot, the owner's to release */
	struct opened opened;          /* views into the slot: only while it is in use */
};

struct keys_unseal_config {
	struct opener *opener; /* stays, as do the others */
	struct keys_arena *arena;
	struct mailbox *results;
	unsigned threads; /* 1 to KEYS_UNSEAL_THREADS_MAX */
};

struct keys_unseal;

/* 0 or a negative errno. */
int keys_unseal_open(const struct keys_unseal_config *c, struct keys_unseal **ret);
/*
 * Ends the threads. What they had not begun comes back as KEYS_CLOSING. False: one does not end;
 * what it uses has to stay.
 */
bool keys_unseal_close(struct keys_unseal *u);
/* From any thread. */
void keys_unseal_post(struct keys_unseal *u, struct keys_unseal_task *t);

#endif
