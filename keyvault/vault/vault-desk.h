/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-desk: what a vault does with the frames of its peers: who may what, in which order, and
 * what is answered when. No sockets and no clock.
 *
 * A turn: vault_desk_settle(), then vault_desk_frame() for each frame that has come, of any peer it
 * takes one of, then vault_desk_settle() again. What the frames of one turn change is one
 * transaction, which is on disk before any of them is answered. While it is on its way there no
 * further change is taken; what is asked for is answered, so that a disk that hangs costs nobody
 * else anything. vault_desk_continue() for each peer whose queue has room: long answers are put
 * there in parts, so that neither a large request nor a slow reader takes more memory than its
 * queue.
 *
 *	origin     EPOCH, APPEND (of its own addresses), ENDED
 *	recovery   WATCH, PING; FETCH, EPOCHS, ERASE, which are in the audit log before
 *	           they are done: on disk, or, when that takes longer than
 *	           VAULT_AUDIT_PATIENCE_NS, written
 */
#ifndef KEYVAULT_VAULT_DESK_H
#define KEYVAULT_VAULT_DESK_H

#include "keyvault/seal/identity.h"
#include "vault-audit.h"
#include "vault-store.h"

#define VAULT_QUEUE_LOW_BYTES ((size_t)1 << 20) /* more than that waits: long answers wait too */
#define VAULT_RECORDS_PER_S   20000             /* of one origin, and as many at once */
#define VAULT_ERASES_MAX      1024              /* requests that wait for the disk */
/* A fetch waits so long for the line that tells of it to be on disk: sessions wait for the keys. */
#define VAULT_AUDIT_PATIENCE_NS INT64_C(100000000)

/* The vault's counters, one a line. */
/* clang-format off */
#define VAULT_COUNTERS(X) \
	X(records_stored, "Records stored.") \
	X(records_known, "Records sent again, which were there.") \
	X(epochs_stored, "Epochs stored.") \
	X(requests_refused, "Requests refused.") \
	X(records_fetched, "Records handed out.") \
	X(records_missing, "Records asked for that are not there.") \
	X(epochs_missing, "Epochs asked for that are not there.") \
	X(records_erased, "Records erased.") \
	X(records_expired, "Records that were too old.") \
	X(records_evicted, "Records of ended sessions that made room.") \
	X(audits_late, "Fetches answered when they were written down, and not yet on disk.") \
	X(commits, "Transactions.") \
	X(commits_failed, "Transactions that failed.")
/* clang-format on */

struct vault_counters {
#define VAULT_COUNTER_FIELD(name, help) uint64_t name;
	VAULT_COUNTERS(VAULT_COUNTER_FIELD)
#undef VAULT_COUNTER_FIELD
};

struct vault_desk;

/* One for each connection whose handshake is over. */
struct vault_visitor;

/* @audit must stay. @store: its directory and ceilings; its events are the desk's. As
 * vault_store_open(). */
int vault_desk_open(const struct vault_store_config *store, struct vault_audit *audit,
		    struct vault_desk **ret);
void vault_desk_close(struct vault_desk *d);

/* @who and @out must stay until vault_desk_leave(). NULL: no memory. */
struct vault_visitor *vault_desk_enter(struct vault_desk *d, const struct subject *who,
				       struct buf *out);
void vault_desk_leave(struct vault_desk *d, struct vault_visitor *v);

/*
 * Whether the next frame of @v may be handed in. Not when an answer in parts is not whole yet, when
 * much waits to be sent, or when it is an origin's and a transaction is on its way to the disk.
 */
bool vault_desk_takes(const struct vault_visitor *v);
/* @now_ns: CLOCK_REALTIME. 0, or -EPROTO: the peer does not speak as it should, and is to be let
 * go. */
int vault_desk_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		     int64_t now_ns);
/* Takes what the disk has done, and gives it what is to be done. */
void vault_desk_settle(struct vault_desk *d, int64_t now_ns);
/*
 * Something is with the disk: a turn is due when one of the two descriptors of vault_desk_bells()
 * is readable, and VAULT_AUDIT_PATIENCE_NS later at the latest.
 */
bool vault_desk_waits(const struct vault_desk *d);
void vault_desk_bells(const struct vault_desk *d, int ret[static 2]);
void vault_desk_continue(struct vault_desk *d, struct vault_visitor *v);

const struct vault_counters *vault_desk_counters(const struct vault_desk *d);
void vault_desk_count(const struct vault_desk *d, struct vault_store_counts *ret);
/* The last commit failed: nothing is stored at present. 0, or its errno. */
int vault_desk_trouble(const struct vault_desk *d);

#endif
