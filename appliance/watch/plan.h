/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * plan: whether a connection would be continued now, and how; or why not.
 *
 * Pure. First the transport decides: could a socket be restored without losing or inventing a byte?
 * Then the module decides. The live takeover, `jeebsctl explain` and the dry run all ask here, so
 * they cannot differ.
 */
#ifndef APPLIANCE_PLAN_H
#define APPLIANCE_PLAN_H

#include <stdbool.h>

#include "tcprepair/snapshot/snapshot.h"
#include "watch.h"

struct plan {
	bool cont;
	bool by_module;     /* the module's verdict; TCP had no objection */
	const char *module; /* "-": there is none */
	uint32_t style;     /* JEEBS_STYLE_*, if it continues */
	const char *reason; /* of the refusal, or the way of continuing; static text */
	/* It does not continue as it is, but may if its keys come (JEEBS_IF_KEYS). */
	bool if_keys;
	char detail[JEEBS_DETAIL_MAX];
};

/*
 * Makes the plan of @jf. When the server is really dead, @jf must be live (flow_is_live) and
 * settled (track_settle). On a running connection the result is a preview.
 */
void plan_make(struct jeebs_flow *jf, struct plan *ret);
/*
 * As plan_make(), with the connection's keys, which the module is shown: its state changes, so that
 * this is for a connection that nothing more is shown of. @keys NULL: there are none.
 */
void plan_make_unsealed(struct jeebs_flow *jf, struct jeebs_keys *keys,
			const struct jeebs_crypto_ops *crypto, struct plan *ret);

/* Whether plan_make() refuses the flow whatever its client still says. Asked when no segment of the
 * old server can come any more. */
bool plan_is_hopeless(const struct flow *f);

/* Shows a module the keys in @cut, before plan_ask(). Its state changes. */
void plan_unseal(const struct jeebs_module *m, void *state, const struct jeebs_cut *cut);

/* The module's part of the plan, for its state and @cut. */
void plan_ask(const struct jeebs_module *m, const void *state, const struct jeebs_cut *cut,
	      struct plan *ret);

/*
 * Plans a companion's connection, which could be restored. The module of its main connection
 * decides what becomes of it; if it is encrypted, as soon as its keys have come.
 */
void plan_companion(const struct jeebs_module *m, const void *state, const struct jeebs_cut *cut,
		    struct plan *ret);

/* A cut's scratch(). */
uint8_t *plan_scratch(struct jeebs_flow *jf, size_t n);
/* The cut of a flow for its module. Its log() reads the flow's logs. After log() was called, and
 * after plan_make(), the caller must call watch_close_spilled(). */
void plan_cut(struct jeebs_flow *jf, struct jeebs_cut *ret);

/*
 * The MSS to send with: the client's, or less if less was found to get through. Never less than
 * every path accepts: a server also shrinks its segments while a client is away for a minute, and a
 * restored socket never enlarges them again.
 */
uint16_t plan_mss(const struct flow *f);

/* Makes the snapshot of the old server's end. */
void plan_snapshot(const struct flow *f, struct snapshot *ret);

/* How many bytes on the wire to the client it has not acknowledged. */
static inline uint64_t plan_in_flight(const struct flow *f)
{
	const struct stream *s = &f->stream[FLOW_TO_CLIENT];
	return s->next > f->acked[FLOW_TO_CLIENT] ? s->next - f->acked[FLOW_TO_CLIENT] : 0;
}

#endif
