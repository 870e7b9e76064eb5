/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * takeover: the messages of workers to the failover thread about the connections of a dead server.
 * By value: nothing in them points into a worker's tables.
 *
 * Each live connection gives a TAKEOVER_PROBE (unless it says `unprobed`), then exactly one
 * TAKEOVER_READY (to be restored or refused by its plan) or TAKEOVER_GONE. Without memory for the
 * latter two there is none: whoever keeps the account refuses the connections that are left.
 */
#ifndef APPLIANCE_TAKEOVER_H
#define APPLIANCE_TAKEOVER_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "related.h"
#include "taken.h"

enum takeover_kind {
	TAKEOVER_PROBE, /* live: its client is to be asked for its true ACK */
	TAKEOVER_READY, /* taken out of the worker: everything is in the item */
	TAKEOVER_GONE,  /* it has ended meanwhile, by the client's RST or both FINs */
	TAKEOVER_ENDED, /* related, and ended before the server died: for information only */
};

/* Made by the functions below only. The kind tells which member of the union is valid. */
struct takeover_item {
	struct list node;
	enum takeover_kind kind;
	uint16_t worker;
	uint32_t flow; /* struct flow.id, unique in its worker; 0: it had ended */
	struct endpoint server, client;
	const struct watch_service *service;
	struct related_main main; /* for conversations of several connections (related.h) */
	struct list others;       /* of a main connection: its related items, owned */
	union {
		struct takeover_probe {
			struct snapshot snapshot;
			bool handshake_only; /* SYN_RCVD: the client may lack the SYN-ACK */
		} probe;
		struct taken taken; /* TAKEOVER_READY */
		struct takeover_ended {
			struct remains remains;
			int64_t at_ns; /* when it ended */
			/* A newer one has its tag, so the module is not told of it. */
			bool superseded;
		} ended;
	};
	/* Of whoever takes the connection over: what lends its keys, and for whom it is unsealed.
	 */
	void *lease, *taker;
	/* Used by the failover thread: the result for this connection. */
	struct takeover_result {
		bool unsealing;     /* its module is shown its keys, in another thread */
		bool pending;       /* the open guard drops its packets */
		bool gone;          /* it has ended meanwhile, or its client began anew */
		const char *failed; /* the step at which restoring failed; NULL: it did not fail */
		int error;          /* of that step, a negative errno */
		int reset_error;    /* why the RST could not be sent; 0: it was */
	} result;
};

/* Frees the items that are left in a mailbox. */
void takeover_inbox_deinit(struct mailbox *in);

/*
 * Takes @jf out of its worker: settles the flow, makes its plan, copies its logs, takes the
 * module's state. NULL without memory; then @jf is unchanged.
 */
struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered);
/* Makes an ENDED item, expected by @by. Takes what @e owns, and frees @e. NULL without memory;
 * then @e is unchanged. */
struct takeover_item *takeover_ended(struct related_ended *e, const struct related_expected *by,
				     uint16_t worker);
/*
 * Makes an item that shows @e and owns nothing of it. State and logs must be taken out before it is
 * freed.
 */
struct takeover_item *takeover_show_ended(const struct related_ended *e, uint32_t tag);
/*
 * Puts a main connection's others into the order in which the module is told of them; it is told of
 * the first JEEBS_EXPECT_MAX. First come those that live, then the ended ones, the newest first and
 * one of each tag.
 */
void takeover_order_others(struct takeover_item *item);
/* Whether the connection is continued only if its keys come. */
static inline bool takeover_wants_keys(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_READY && item->taken.plan.if_keys;
}
/* How much the module has to read when its keys come: bytes of the logs, and what takes as long. */
uint64_t takeover_to_unseal(const struct takeover_item *item);
/* The keys have come: the module is shown them, and plans anew. From then on they are in the cut,
 * and must stay as long as the module's state. */
void takeover_unseal(struct takeover_item *item, struct jeebs_keys *keys,
		     const struct jeebs_crypto_ops *crypto);
/* Makes the plan of a main connection again, with its ordered others in sight. */
void takeover_plan_family(struct takeover_item *item);
/* Makes the cuts of a main item and its others for the module. They are valid as long as the
 * items. Returns the number of others, at most JEEBS_EXPECT_MAX. */
uint32_t takeover_cut(struct takeover_item *item, struct jeebs_cut *ret,
		      struct jeebs_related related[static JEEBS_EXPECT_MAX]);
/* What is left of the connection. Empty for one that is GONE or was only asked. */
struct remains *takeover_remains(struct takeover_item *item);
/* The remains now belong to somebody else. */
void takeover_give_remains(struct takeover_item *item);
/* Whether there is nothing to restore. */
static inline bool takeover_is_over(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_GONE || item->kind == TAKEOVER_ENDED;
}
/* Makes a PROBE or GONE item. */
struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind);
/*
 * Makes a READY item that is refused for @reason ("out-of-memory", for example). Its flow's bytes
 * could not be taken out, or, if @unprobed, it was never watched. NULL without memory.
 */
struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unprobed, const char *reason);
/*
 * The same for a connection of which only its PROBE is known. @item is the caller's, and owns
 * nothing.
 * @reason is static text.
 */
void takeover_refuse_lost(struct takeover_item *item, const struct snapshot *snapshot,
			  const struct watch_service *service, const char *reason);
/* Closes the module's state and frees everything. NULL is fine. */
void takeover_item_free(struct takeover_item *item);

#endif
