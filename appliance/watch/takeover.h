/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * takeover: what a worker tells the failover thread about the connections of a
 * dead server. Messages by value: nothing in them points into a worker's tables.
 *
 * For each live connection first TAKEOVER_PROBE (unless it says `unprobed`), then exactly one of
 * TAKEOVER_READY (to be restored or refused as its plan says) or TAKEOVER_GONE. Without memory
 * for the latter two there is none: whoever keeps account refuses what is left.
 */
#ifndef APPLIANCE_TAKEOVER_H
#define APPLIANCE_TAKEOVER_H

#include "base/buf.h"
#include "base/mailbox.h"
#include "related.h"
#include "taken.h"

enum takeover_kind {
	TAKEOVER_PROBE, /* live: ask its client for the true ACK */
	TAKEOVER_READY, /* taken out of the worker: everything is in the item */
	TAKEOVER_GONE,  /* it ended meanwhile (the client's RST, or both FINs) */
	TAKEOVER_ENDED, /* related, and over before the server died: only to be known of */
};

/* Made by the functions below alone; the kind says what there is in the union. */
struct takeover_item {
	struct list node;
	enum takeover_kind kind;
	uint16_t worker;
	uint32_t flow; /* struct flow.id: unique in its worker; 0 of one that ended */
	struct endpoint server, client;
	const struct watch_service *service;
	struct related_main main; /* of a conversation of several connections (related.h) */
	struct list others;       /* of a main one: related items, owned */
	union {
		struct takeover_probe {
			struct snapshot snapshot;
			bool handshake_only; /* SYN_RCVD: the client may not have the SYN-ACK */
		} probe;
		struct taken taken; /* TAKEOVER_READY */
		struct takeover_ended {
			struct remains remains;
			int64_t at_ns;   /* since when */
			bool superseded; /* a newer one has its tag: the module is not told of it */
		} ended;
	};
	/* What became of it; the failover thread's. */
	struct takeover_result {
		bool pending;       /* its packets are dropped by the open guard */
		bool gone;          /* it ended meanwhile, or begins anew */
		const char *failed; /* the step at which restoring failed; NULL: it did not */
		int error;          /* of that step, negative errno */
		int reset_error;    /* the RST could not be sent */
	} result;
};

/* Of a mailbox of items: frees what is still in it. */
void takeover_inbox_deinit(struct mailbox *in);

/*
 * Takes @jf out of its worker's hands: settles the flow, makes its plan, copies
 * its logs, moves the module's state. NULL on lack of memory: @jf is unchanged.
 */
struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered);
/* An ENDED item, expected as @by says. Takes what @e owns, and frees it.
 * NULL on lack of memory: @e is unchanged. */
struct takeover_item *takeover_ended(struct related_ended *e, const struct related_expected *by,
				     uint16_t worker);
/* An item that shows @e and owns nothing of it: state and logs are taken out before it is freed. */
struct takeover_item *takeover_show_ended(const struct related_ended *e, uint32_t tag);
/*
 * Orders a main connection's others as the module is told of them, which is of the first
 * JEEBS_EXPECT_MAX: those that live, then what is over, the newest first and one of each tag.
 */
void takeover_order_others(struct takeover_item *item);
/* Makes the plan of a main connection again, with its others in sight, which are in order. */
void takeover_plan_family(struct takeover_item *item);
/* The cut of a main item and of its others as a module sees them; valid while they live. Returns
 * how many others there are, at most JEEBS_EXPECT_MAX. */
uint32_t takeover_cut(struct takeover_item *item, struct jeebs_cut *ret,
		      struct jeebs_related related[static JEEBS_EXPECT_MAX]);
/* What is left of it: nothing of one that is GONE, or only asked. */
struct remains *takeover_remains(struct takeover_item *item);
/* That is somebody else's now. */
void takeover_give_remains(struct takeover_item *item);
/* There is nothing to restore. */
static inline bool takeover_is_over(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_GONE || item->kind == TAKEOVER_ENDED;
}
/* A PROBE or GONE item. */
struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind);
/*
 * A READY item that is refused for @reason, out-of-memory for one: of a flow whose bytes could not
 * be taken out, or (@unprobed) that was never watched. NULL on lack of memory.
 */
struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unprobed, const char *reason);
/* The same of one of whom nothing but a PROBE is known; @item, which is somebody's own, owns
 * nothing. @reason is static. */
void takeover_refuse_lost(struct takeover_item *item, const struct snapshot *snapshot,
			  const struct watch_service *service, const char *reason);
/* Closes the module's state and frees everything; NULL is fine. */
void takeover_item_free(struct takeover_item *item);

#endif
