/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-desk-own: the inside of the desk, for its own files: vault-desk.c has the turns and what
 * origins may, vault-desk-recovery.c what the recovery side may.
 */
#ifndef KEYVAULT_VAULT_DESK_OWN_H
#define KEYVAULT_VAULT_DESK_OWN_H

#include "base/list.h"
#include "vault-desk.h"

enum watching {
	WATCH_NOT,
	WATCH_CATCHES_UP, /* rows from `from` on are still to be told */
	WATCH_LIVE,
};

/* A request of the recovery side, once the audit log has it. */
struct errand {
	struct vault_frame f; /* its views point into `copy` */
	uint8_t *copy;
	uint64_t ticket; /* the audit log's */
	int64_t asked_ns;
	bool begun;
	/* What is answered in parts. */
	uint16_t left;
	uint32_t found;
};

/* One that waits for the transaction it belongs to: its visitor goes on meanwhile. */
struct erase {
	struct list node;
	struct vault_visitor *v; /* NULL: has left */
	struct errand e;
};

struct vault_visitor {
	struct list node;
	struct vault_desk *desk;
	const struct subject *who;
	struct buf *out;
	enum watching watching;
	uint32_t watch;
	uint64_t from;
	struct errand errand;
	/* Records this origin may still store, and when that was so. */
	double allowance;
	int64_t allowance_ns;
};

/* A change of this turn, answered when it is on disk. */
struct pending {
	struct vault_visitor *v; /* NULL: has left */
	uint32_t request;
	enum vault_refusal why; /* 0: done */
	bool erases;
	uint32_t found;
};

struct vault_desk {
	struct vault_store *store;
	struct vault_audit *audit;
	struct list visitors;
	struct pending *pending;
	size_t pending_n, pending_room;
	struct list erases;
	size_t erases_n;
	bool changing;   /* a transaction is open */
	bool committing; /* it is on its way to the disk */
	int lost;        /* it is, and why */
	bool erased;     /* since the last scrub */
	int scrub;       /* the step that is next; VAULT_SCRUB_STEPS: none */
	bool scrubbing;  /* what is committed is one */
	int64_t now_ns, expired_ns;
	int trouble;
	struct vault_counters counters;
	struct {
		uint64_t stored, known, epochs;
	} change; /* counted when it is on disk */
};

void desk_who(const struct vault_visitor *v, char out[static 80]);
void desk_refuse(struct vault_desk *d, struct vault_visitor *v, uint32_t request,
		 enum vault_refusal why, const char *text);
/* Opens it, if it is not open. False: it is lost. */
bool desk_change(struct vault_desk *d);
/* The answer that waits for the transaction's end. NULL: no memory; the peer is told at once. */
struct pending *desk_await(struct vault_desk *d, struct vault_visitor *v, uint32_t request);
/* What the store says of one change: 0 or a refusal; a negative one loses the transaction. */
enum vault_refusal desk_outcome(struct vault_desk *d, int r);

bool desk_has_room(const struct vault_visitor *v);
void desk_recovery_frame(struct vault_desk *d, struct vault_visitor *v, const struct vault_frame *f,
			 int64_t now_ns);
/* A fetch that is in the audit log may be answered. */
void desk_begin_if_audited(struct vault_desk *d, struct vault_visitor *v);
void desk_end_errand(struct errand *e);
/* What is to be erased and is in the audit log, in the order it came. Those that failed are told.
 */
void desk_erase(struct vault_desk *d);
void desk_erase_free(struct vault_desk *d, struct erase *x);
/* What has come and gone, told to who watches: vault_events of the desk. */
void desk_added(void *ctx, uint64_t number, const char *origin, const struct session_index *index);
void desk_gone(void *ctx, uint64_t number, enum vault_gone why);

#endif
