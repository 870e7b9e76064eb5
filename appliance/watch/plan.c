/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "plan.h"

#include "base/private-memory.h"

#include "pickup.h"
#include "related.h"
#include "spill.h"

#include <inttypes.h>
#include <stdio.h>

static void refuse(struct plan *p, const char *reason, const char *detail)
{
	p->cont = false;
	p->reason = reason;
	snprintf(p->detail, sizeof p->detail, "%s", detail);
}

/* Marks that no module can make good: the mark, the reason, and the sentence. */
static const struct {
	uint16_t mark;
	const char *reason, *detail;
} mark_refusals[] = {
	{FLOW_MARK_MPTCP, "mptcp", "Multipath TCP was negotiated: its state cannot be restored"},
	{FLOW_MARK_MD5_AO, "tcp-signed", "segments carry TCP MD5 or TCP-AO signatures"},
	{FLOW_MARK_URGENT, "urgent-data", "urgent data was seen: its mark cannot be restored"},
	{FLOW_MARK_FRAGMENT, "ip-fragments",
	 "IP fragments between these hosts were not reassembled"},
	{FLOW_MARK_BAD_OPTIONS, "bad-options", "malformed TCP options in the handshake"},
	/* Must be the last: of a connection that was picked up, any other fault says more. */
	{FLOW_MARK_MIDSTREAM, "handshake-not-seen",
	 "one half of the handshake was not seen: its TCP options are unknown"},
};

bool plan_is_hopeless(const struct flow *f)
{
	for (size_t i = 0; i < sizeof mark_refusals / sizeof mark_refusals[0]; i++)
		if (f->marks & mark_refusals[i].mark)
			return true;
	return false;
}

static bool refused_by_mark(const struct flow *f, struct plan *p)
{
	for (size_t i = 0; i < sizeof mark_refusals / sizeof mark_refusals[0]; i++) {
		if (f->marks & mark_refusals[i].mark) {
			refuse(p, mark_refusals[i].reason, mark_refusals[i].detail);
			if (mark_refusals[i].mark == FLOW_MARK_MIDSTREAM)
				pickup_missing(f, p->detail);
			return true;
		}
	}
	return false;
}

/*
 * Whether the client has none of the bytes that the old server sent behind a hole of the capture.
 * SACK tells, if the client uses it. Of another client nobody knows, nor of one that was asked and
 * did not answer.
 */
static bool holds_nothing_behind(const struct flow *f)
{
	bool says = f->syn[FLOW_TO_SERVER].sack && f->syn[FLOW_TO_CLIENT].sack;

	return says && f->sacked_to <= f->stream[FLOW_TO_CLIENT].next &&
	       (!f->probe_wanted || f->probe_answered);
}

/*
 * Refuses when two copies of the same bytes differ: nobody knows which copy was accepted. The
 * client's bytes matter from where the module asked to keep them. The server's bytes were read by
 * the module, which depends on them until the next exchange.
 */
static void refuse_doubt(struct plan *p, const char *reason, const char *whose,
			 const struct stream *s)
{
	char detail[JEEBS_DETAIL_MAX];

	snprintf(detail, sizeof detail,
		 "two copies of the %s bytes differ, at %" PRIu64 " to %" PRIu64
		 ": nobody knows which one was taken",
		 whose, s->doubt_from, s->doubt_to - 1);
	refuse(p, reason, detail);
}

static bool refused_by_doubt(const struct jeebs_flow *jf, struct plan *p)
{
	const struct flow *f = jf->flow;
	const struct stream *in = &f->stream[FLOW_TO_SERVER];
	const struct stream *out = &f->stream[FLOW_TO_CLIENT];
	const struct spill_part *sp = spill_of(jf);
	uint64_t needed = sp->id && sp->want < in->keep ? sp->want : in->keep;

	if (in->doubt_to > needed) {
		refuse_doubt(p, "client-bytes-ambiguous", "client's", in);
		return true;
	}
	if (flow_client_disowns(f)) {
		refuse(p, "client-bytes-ambiguous",
		       "the client says that it has not sent all that was captured as its");
		return true;
	}
	if (out->doubt_to > 0) {
		refuse_doubt(p, "server-bytes-ambiguous", "server's", out);
		return true;
	}
	return false;
}

/* Whether the capture cannot have lost the last bytes of a direction. */
static bool nothing_unseen(const struct flow *f, enum flow_dir dir)
{
	return !(f->marks & FLOW_MARK_CAPTURE_DROPS) || f->told_since_drops[dir];
}

/*
 * Whether the client may have sent what the old server has acknowledged and nobody has captured: it
 * would wait for an answer to it for ever. A client that answers says so; one that is silent, or
 * whose answer the capture has lost as well, does not.
 */
static bool is_unheard(const struct flow *f)
{
	return f->probe_wanted && !f->probe_answered && !nothing_unseen(f, FLOW_TO_SERVER) &&
	       !f->fin_seen[FLOW_TO_SERVER];
}

/* Refuses when a byte was lost that must be sent again, or that the client cannot send again. */
static bool refused_by_loss(const struct flow *f, struct plan *p)
{
	const struct stream *in = &f->stream[FLOW_TO_SERVER];
	const struct stream *out = &f->stream[FLOW_TO_CLIENT];

	if (f->acked[FLOW_TO_SERVER] > in->next) {
		refuse(p, "client-bytes-lost",
		       "the server acknowledged bytes of the client that were not captured");
		return true;
	}
	if (flow_client_owes(f)) {
		refuse(p, "client-bytes-lost",
		       "the client has sent bytes that were not captured, and does not send them "
		       "again");
		return true;
	}
	if (is_unheard(f)) {
		refuse(p, "client-unheard",
		       "the capture has lost packets, and the client, asked, has not said how much "
		       "it has sent");
		return true;
	}
	if (f->sacked_to > out->next) {
		refuse(p, "server-bytes-lost",
		       "the client holds bytes of the server that were not captured");
		return true;
	}
	bool fin_behind = f->fin_seen[FLOW_TO_CLIENT] && f->fin_off[FLOW_TO_CLIENT] > out->next;
	if ((out->high > out->next || fin_behind) && !holds_nothing_behind(f)) {
		refuse(p, "server-bytes-lost",
		       "the server had sent further bytes, behind some that were not captured");
		return true;
	}
	if (plan_in_flight(f) == 0)
		return false;
	if (out->gap_end > f->acked[FLOW_TO_CLIENT]) {
		refuse(p, "server-bytes-lost", "bytes in flight to the client were not captured");
		return true;
	}
	if (out->keep > f->acked[FLOW_TO_CLIENT]) {
		refuse(p, "log-ceiling", "more bytes are in flight than the buffers may hold");
		return true;
	}
	return false;
}

static struct jeebs_bytes cut_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off)
{
	struct bytes b = watch_log(jf, dir, off);
	return (struct jeebs_bytes){b.p, b.n};
}

uint8_t *plan_scratch(struct jeebs_flow *jf, size_t n)
{
	return scratch_take(n);
}

/* Whether the direction has ended: a FIN counts when all data before it is there. */
static bool fin_in_order(const struct flow *f, enum flow_dir dir)
{
	return f->fin_seen[dir] && f->fin_off[dir] == f->stream[dir].next;
}

/*
 * Whether the old server has sent nothing behind what was captured: no packet can be missing, or
 * none of the time since it said so itself; and the client knows of nothing. (One that does not use
 * SACK says how far it has everything, and not more.)
 */
static bool nothing_more(const struct flow *f)
{
	const struct stream *out = &f->stream[FLOW_TO_CLIENT];
	bool fin = f->fin_seen[FLOW_TO_CLIENT];

	return nothing_unseen(f, FLOW_TO_CLIENT) && out->high <= out->next &&
	       f->acked[FLOW_TO_CLIENT] <= out->next + fin && f->sacked_to <= out->next + fin &&
	       (!f->probe_wanted || f->probe_answered);
}

void plan_cut(struct jeebs_flow *jf, struct jeebs_cut *ret)
{
	const struct flow *f = jf->flow;
	uint64_t end = f->stream[FLOW_TO_CLIENT].next;
	uint64_t acked = f->acked[FLOW_TO_CLIENT];

	*ret = (struct jeebs_cut){
		.to_server_end = f->stream[FLOW_TO_SERVER].next,
		.to_client_end = end,
		.to_client_acked = acked < end ? acked : end,
		.client_fin = fin_in_order(f, FLOW_TO_SERVER),
		.server_fin = fin_in_order(f, FLOW_TO_CLIENT),
		.nothing_more = nothing_more(f),
		.layered = watch_is_open(jf) && watch_module(jf)->flags & JEEBS_MODULE_LAYERED,
		.flow = jf,
		.log = cut_log,
		.scratch = plan_scratch,
	};
}

void plan_unseal(const struct jeebs_module *m, void *state, const struct jeebs_cut *cut)
{
	if (!JEEBS_HAS(m, unseal) || !m->unseal || !cut->keys)
		return;
	/* If it gives up, its plan says why. */
	(void)m->unseal(state, cut);
	scratch_give_back();
}

void plan_ask(const struct jeebs_module *m, const void *state, const struct jeebs_cut *cut,
	      struct plan *ret)
{
	struct jeebs_plan mp = {.verdict = JEEBS_REFUSE, .reason = "no-verdict"};

	m->plan(state, cut, &mp);
	scratch_give_back();
	ret->by_module = true;
	ret->cont = mp.verdict == JEEBS_CONTINUE;
	ret->if_keys = mp.verdict == JEEBS_IF_KEYS && !cut->keys;
	ret->style = mp.style;
	ret->reason = mp.reason ? mp.reason : "unnamed";
	memcpy(ret->detail, mp.detail, sizeof ret->detail);
	ret->detail[sizeof ret->detail - 1] = 0;
}

void plan_companion(const struct jeebs_module *m, const void *state, const struct jeebs_cut *cut,
		    struct plan *ret)
{
	if (m->flags & JEEBS_MODULE_LAYERED && !cut->keys)
		plan_ask(m, state, cut, ret);
	if (ret->if_keys)
		return;
	ret->cont = true;
	ret->by_module = false;
	ret->reason = "related";
	snprintf(ret->detail, sizeof ret->detail, "%s",
		 "continued with the connection it belongs to");
}

void plan_make(struct jeebs_flow *jf, struct plan *ret)
{
	plan_make_unsealed(jf, NULL, NULL, ret);
}

void plan_make_unsealed(struct jeebs_flow *jf, struct jeebs_keys *keys,
			const struct jeebs_crypto_ops *crypto, struct plan *ret)
{
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;

	watch_read(jf);
	*ret = (struct plan){.module = "-"};
	if (refused_by_mark(jf->flow, ret))
		return;
	if (!watch_is_open(jf)) {
		refuse(ret, "no-module", "no recovery module is configured for this service");
		return;
	}
	ret->module = watch_module(jf)->name;
	if (refused_by_loss(jf->flow, ret) || refused_by_doubt(jf, ret))
		return;
	plan_cut(jf, &cut);
	if (jf->service->companion) {
		plan_companion(watch_module(jf), watch_state(jf), &cut, ret);
		watch_close_spilled(jf);
		return;
	}
	cut.related_n = related_preview(jf, related);
	cut.related = related;
	if (keys) {
		cut.keys = keys;
		cut.crypto = crypto;
		plan_unseal(watch_module(jf), watch_state(jf), &cut);
	}
	plan_ask(watch_module(jf), watch_state(jf), &cut, ret);
	related_preview_close(related, cut.related_n);
	watch_close_spilled(jf);
}

uint16_t plan_mss(const struct flow *f)
{
	const uint16_t always = pickup_mss_default(f), size = path_size(&f->path);
	const uint16_t offered = f->syn[FLOW_TO_SERVER].mss ? f->syn[FLOW_TO_SERVER].mss : always;
	const uint16_t through = (uint16_t)(size + (f->ts_ok ? TCP_TIMESTAMP_BYTES : 0));

	if (size == 0 || through >= offered)
		return offered;
	return through > always ? through : offered < always ? offered : always;
}

void plan_snapshot(const struct flow *f, struct snapshot *ret)
{
	const struct flow_syn_options *client = &f->syn[FLOW_TO_SERVER];
	const struct flow_syn_options *server = &f->syn[FLOW_TO_CLIENT];
	uint64_t out_end = f->stream[FLOW_TO_CLIENT].next;
	uint64_t una = out_end - plan_in_flight(f);
	bool client_fin = fin_in_order(f, FLOW_TO_SERVER);
	bool server_fin = fin_in_order(f, FLOW_TO_CLIENT);

	*ret = (struct snapshot){
		.server = f->server,
		.client = f->client,
		.snd_una = flow_seq(f, FLOW_TO_CLIENT, una) +
			   (f->fin_acked[FLOW_TO_CLIENT] && una == out_end),
		.snd_nxt = flow_seq(f, FLOW_TO_CLIENT, out_end) + server_fin,
		.rcv_nxt = flow_seq(f, FLOW_TO_SERVER, f->stream[FLOW_TO_SERVER].next) + client_fin,
		.snd_wnd = f->window[FLOW_TO_CLIENT],
		.snd_wl1 = f->window_seq[FLOW_TO_CLIENT],
		.max_window = f->window_max[FLOW_TO_CLIENT],
		.rcv_edge = flow_seq(f, FLOW_TO_SERVER, f->edge[FLOW_TO_SERVER]),
		.mss = plan_mss(f),
		.wscale_ok = client->wscale_present && server->wscale_present,
		.sack_ok = client->sack && server->sack,
		.ts_ok = f->ts_ok,
		.tsval = f->tsval[FLOW_TO_CLIENT],
		.tsval_ns = f->tsval_ns[FLOW_TO_CLIENT],
		.ts_hz = flow_ts_hz(f),
		.ts_recent = f->tsval[FLOW_TO_SERVER],
		.ttl = f->ttl,
		.tos = f->tos,
		.may_fragment = f->may_fragment,
		.vlan_present = f->vlan_present,
		.vlan_tci = f->vlan_tci,
		.probe_byte_ok = una > 0 && f->acked_byte_end == una,
		.probe_byte = f->acked_byte,
		.client_fin = client_fin,
		.server_fin = server_fin,
	};
	if (ret->wscale_ok) {
		ret->snd_wscale = client->wscale;
		ret->rcv_wscale = server->wscale;
	}
	pickup_snapshot(f, ret);
	memcpy(ret->client_mac, f->client_mac, sizeof ret->client_mac);
	memcpy(ret->server_mac, f->server_mac, sizeof ret->server_mac);
}
