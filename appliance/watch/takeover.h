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

#include <pthread.h>

#include "base/buf.h"
#include "base/list.h"
#include "plan.h"
#include "related.h"

enum takeover_kind {
	TAKEOVER_PROBE, /* live: ask its client for the true ACK */
	TAKEOVER_READY, /* taken out of the worker: everything is in the item */
	TAKEOVER_GONE,  /* it ended meanwhile (the client's RST, or both FINs) */
};

struct takeover_item {
	struct list node;
	enum takeover_kind kind;
	uint16_t worker;
	uint32_t flow; /* struct flow.id: unique in its worker */
	struct snapshot snapshot;
	uint64_t sacked_to;  /* as in struct flow */
	bool handshake_only; /* SYN_RCVD: the client may not have the SYN-ACK */
	bool unprobed;       /* no TAKEOVER_PROBE came before */
	bool older;          /* than the box: offset 0 is the first byte that was seen */
	/* TAKEOVER_READY only: */
	bool answered; /* the snapshot is the client's own answer */
	struct plan plan;
	struct jeebs_cut cut; /* flow and log unset */
	struct flow_log log[2];
	struct older before; /* what comes before log[FLOW_TO_SERVER] */
	const struct watch_service *service;
	const struct jeebs_module *module;
	void *state; /* owned; close with the module, then free */
	/* Of a conversation of several connections (related.h): */
	bool related; /* another one expects it, with @tag: */
	uint32_t main_worker, main_flow, tag;
	bool ended;       /* it was over before the server died: nothing to restore, only to know */
	int64_t ended_ns; /* since when */
	bool superseded;  /* a newer one has its tag: the module is not told of it */
	struct list others; /* of a main one: related items, owned */
	/* What became of it; the failover thread's. */
	struct takeover_result {
		bool pending;       /* its packets are dropped by the open guard */
		bool gone;          /* it ended meanwhile, or begins anew */
		const char *failed; /* the step at which restoring failed; NULL: it did not */
		int error;          /* of that step, negative errno */
		int reset_error;    /* the RST could not be sent */
	} result;
};

struct takeover_inbox {
	pthread_mutex_t lock;  /* protects items */
	pthread_cond_t filled; /* CLOCK_MONOTONIC */
	struct list items;
	int wake; /* eventfd that is told of the first item; -1: none */
};

/* Without a descriptor to wake. */
void takeover_inbox_init(struct takeover_inbox *in);
void takeover_inbox_deinit(struct takeover_inbox *in); /* frees what is still in it */
void takeover_inbox_put(struct takeover_inbox *in, struct takeover_item *item);
/* Moves all items to the end of @out, waiting for the first until @deadline_ns. */
void takeover_inbox_take(struct takeover_inbox *in, int64_t deadline_ns, struct list *out);

/*
 * Takes @jf out of its worker's hands: settles the flow, makes its plan, copies
 * its logs, moves the module's state. NULL on lack of memory: @jf is unchanged.
 */
struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered);
/* For lack of memory @jf goes without; it does not close by itself either. */
void takeover_abandon(struct jeebs_flow *jf);
static inline bool takeover_is_extracted(const struct jeebs_flow *jf)
{
	return jf->takeover.extracted;
}
/* A READY item of a connection that is over, expected as @by says. Takes what @e owns, and frees
 * it. NULL on lack of memory: @e is unchanged. */
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
/* A PROBE or GONE item. */
struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind);
/*
 * A READY item that is refused for @reason, out-of-memory for one: of a flow whose bytes could not
 * be taken out, or (@unprobed) that was never watched. NULL on lack of memory.
 */
struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unprobed, const char *reason);
/* Closes the module's state and frees everything; NULL is fine. */
void takeover_item_free(struct takeover_item *item);

#endif
