/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan: would this connection be continued now, and how; or why not.
 *
 * Pure. First the transport decides (could a socket be restored without losing
 * or inventing a byte), then the module. The live takeover, `jeebsctl explain`
 * and the dry run all ask here, so they cannot differ.
 */
#ifndef APPLIANCE_PLAN_H
#define APPLIANCE_PLAN_H

#include <stdbool.h>

#include "tcprepair/snapshot/snapshot.h"
#include "watch.h"

struct plan {
	bool cont;
	bool by_module;     /* its verdict; TCP had nothing against it */
	const char *module; /* "-" when none */
	uint32_t style;     /* JEEBS_STYLE_*, of a plan that continues */
	const char *reason; /* of the refusal, or the manner of continuing; static */
	char detail[JEEBS_DETAIL_MAX];
};

/*
 * @jf must be live (flow_is_live) and settled (track_settle) when the server is
 * really dead; on a running connection the answer is a preview.
 */
void plan_make(struct jeebs_flow *jf, struct plan *ret);

/* The module's part of it: what its state and @cut call for. */
void plan_ask(const struct jeebs_module *m, const void *state, const struct jeebs_cut *cut,
	      struct plan *ret);

/* The cut of a flow as the module sees it. Its log callback reads the flow's logs; whoever has
 * called it calls watch_close_spilled(), as after plan_make(). */
void plan_cut(struct jeebs_flow *jf, struct jeebs_cut *ret);

/*
 * The MSS to send by: what the client offered, or less where less was found to get through. Not
 * less than what every path takes: a server shrinks its segments also while a client is away for a
 * minute, and a restored socket never sends larger ones again.
 */
uint16_t plan_mss(const struct flow *f);

/* The connection as the old server's end of it. */
void plan_snapshot(const struct flow *f, struct snapshot *ret);

/* Bytes on the wire to the client that it has not acknowledged. */
static inline uint64_t plan_in_flight(const struct flow *f)
{
	const struct stream *s = &f->stream[FLOW_TO_CLIENT];
	return s->next > f->acked[FLOW_TO_CLIENT] ? s->next - f->acked[FLOW_TO_CLIENT] : 0;
}

#endif
