/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-desk: what a vault does with the frames of its peers: who may what, in which order, and
 * what is answered when. No sockets and no clock.
 *
 * A turn: vault_desk_frame() for each frame that has come, of any peer, then vault_desk_settle().
 * What the frames of one turn change is one transaction, which is on disk before any of them is
 * answered. vault_desk_continue() for each peer whose queue has room: long answers are put there in
 * parts, so that neither a large request nor a slow reader takes more memory than its queue.
 *
 *	origin     EPOCH, APPEND (of its own addresses), ENDED
 *	recovery   WATCH, FETCH, EPOCHS, ERASE; each but WATCH is in the audit log before it is done
 */
#ifndef KEYVAULT_VAULT_DESK_H
#define KEYVAULT_VAULT_DESK_H

#include "keyvault/seal/identity.h"
#include "vault-audit.h"
#include "vault-store.h"

#define VAULT_QUEUE_LOW_BYTES ((size_t)1 << 20) /* more than that waits: long answers wait too */
#define VAULT_RECORDS_PER_S   20000             /* of one origin, and as many at once */

/* The vault's counters, one a line. */
/* clang-format off */
#define VAULT_COUNTERS(X) \
	X(records_stored) \
	X(records_known) /* sent again */ \
	X(epochs_stored) \
	X(requests_refused) \
	X(records_fetched) \
	X(records_missing) /* asked for, not there */ \
	X(records_erased) \
	X(records_expired) \
	X(records_evicted) \
	X(commits) \
	X(commits_failed)
/* clang-format on */

struct vault_counters {
#define VAULT_COUNTER_FIELD(name) uint64_t name;
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

/* Whether the next frame of @v may be handed in: an answer in parts is not whole yet, or much waits
 * to be sent. */
bool vault_desk_takes(const struct vault_visitor *v);
/* @now_ns: CLOCK_REALTIME. 0, or -EPROTO: the peer does not speak as it should, and is to be let
 * go. */
int vault_desk_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
		     int64_t now_ns);
/* After the frames of a turn, and now and then without any. */
void vault_desk_settle(struct vault_desk *d, int64_t now_ns);
void vault_desk_continue(struct vault_desk *d, struct vault_visitor *v);

const struct vault_counters *vault_desk_counters(const struct vault_desk *d);
void vault_desk_count(const struct vault_desk *d, struct vault_store_counts *ret);
/* The last commit failed: nothing is stored at present. 0, or its errno. */
int vault_desk_trouble(const struct vault_desk *d);

#endif
