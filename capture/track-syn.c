/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "track-syn.h"

#include <stdlib.h>

#define WSCALE_MAX 14

static void agree(struct track *t, struct flow *f)
{
	const struct flow_syn_options *c = &f->syn[FLOW_TO_SERVER], *s = &f->syn[FLOW_TO_CLIENT];
	uint16_t set = 0;

	if (!c->seen || !s->seen)
		return;
	f->ts_ok = c->timestamp && s->timestamp;
	if (c->mptcp && s->mptcp)
		set |= FLOW_MARK_MPTCP;
	if (c->ecn && s->ecn)
		set |= FLOW_MARK_ECN;
	track_mark(t, f, set, FLOW_MARK_MIDSTREAM);
}

/* The second SYN comes late: what windows said until now was read without their scales. */
static void rescale(struct flow *f)
{
	for (int a = 0; a < 2; a++) {
		const enum flow_dir d = flow_other((enum flow_dir)a);
		if (!f->window_seen[a] || f->window_seq[a] == f->isn[d])
			continue; /* that of a SYN has none */
		int64_t ack = flow_position(f, (enum flow_dir)a, f->window_ack[a]);
		f->window[a] <<= f->syn[d].wscale;
		if (f->window[a] > f->window_max[a])
			f->window_max[a] = f->window[a];
		if (ack >= 0 && (uint64_t)ack + f->window[a] > f->edge[a])
			f->edge[a] = (uint64_t)ack + f->window[a];
	}
}

void track_learn_syn(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s)
{
	const struct tcp_options *o = &s->opt;
	uint8_t ecn = s->flags & (TCP_ECE | TCP_CWR);
	bool late = f->isn_known[d] && !f->syn[d].seen;
	uint16_t set = 0;

	f->isn[d] = s->seq;
	f->isn_known[d] = true;
	f->syn[d] = (struct flow_syn_options){
		.seen = true,
		.mss = o->seen & TCP_OPT_MSS ? o->mss : 0,
		.wscale_present = o->seen & TCP_OPT_WSCALE,
		.sack = o->seen & TCP_OPT_SACK_PERM,
		.timestamp = o->seen & TCP_OPT_TIMESTAMP,
		.mptcp = o->seen & TCP_OPT_MPTCP,
		.ecn = ecn == (s->flags & TCP_ACK ? TCP_ECE : TCP_ECE | TCP_CWR),
	};
	if (f->syn[d].wscale_present)
		f->syn[d].wscale = o->wscale < WSCALE_MAX ? o->wscale : WSCALE_MAX;
	if (o->seen & TCP_OPT_BAD)
		set |= FLOW_MARK_BAD_OPTIONS;
	if (s->payload_len > 0)
		set |= FLOW_MARK_TFO_DATA;
	track_mark(t, f, set, 0);
	agree(t, f);
	if (late && f->syn[0].wscale_present && f->syn[1].wscale_present)
		rescale(f);
	if (f->state != FLOW_SYN_SENT || !f->isn_known[flow_other(d)])
		return;
	/* A client that answers has the connection. One that was answered may have it. */
	track_set_state(t, f, d == FLOW_TO_CLIENT ? FLOW_SYN_RCVD : FLOW_ESTABLISHED);
}

bool track_ack_fits_client(const struct flow *f, const struct segment *s)
{
	int64_t off = flow_position(f, FLOW_TO_SERVER, s->ack);

	return s->flags & TCP_ACK && off >= 0 && off <= (int64_t)f->stream[FLOW_TO_SERVER].high;
}

static bool answers_reuse(const struct flow *f, const struct segment *s)
{
	const struct segment *syn = f->reuse_syn;

	return syn && s->flags & TCP_ACK && s->ack - (syn->seq + 1) <= syn->payload_len;
}

bool track_answers_server(const struct flow *f, const struct segment *s)
{
	return f->isn_known[FLOW_TO_CLIENT] && !f->isn_known[FLOW_TO_SERVER] &&
	       s->flags & TCP_ACK && s->ack == f->isn[FLOW_TO_CLIENT] + 1;
}

enum syn_kind track_syn_kind(const struct flow *f, enum flow_dir d, const struct segment *s)
{
	if (f->isn_known[d] && s->seq == f->isn[d])
		return f->syn[d].seen || flow_is_midstream(f) ? SYN_AGAIN : SYN_FIRST;
	if (d == FLOW_TO_SERVER && track_answers_server(f, s))
		return SYN_FIRST;
	if (d == FLOW_TO_SERVER)
		return s->flags & TCP_ACK ? SYN_WRONG : SYN_ANOTHER;
	if (answers_reuse(f, s))
		return SYN_ANSWER;
	/* Without ACK both ends open at once (RFC 9293 section 3.5, figure 7), or it is a "split
	 * handshake". */
	if (!f->isn_known[d])
		return !(s->flags & TCP_ACK) || track_ack_fits_client(f, s) ? SYN_FIRST : SYN_WRONG;
	/* Another answer with another number (SYN cookies): the client has not accepted the
	 * first. */
	if (f->state == FLOW_SYN_RCVD && f->stream[d].high == 0 && track_ack_fits_client(f, s))
		return SYN_FIRST;
	return SYN_WRONG;
}

void track_set_syn_aside(struct flow *f, const struct segment *s)
{
	if (!f->reuse_syn && !(f->reuse_syn = malloc(sizeof *s)))
		return;
	*f->reuse_syn = *s;
	f->reuse_syn->payload = BYTES_NONE;
}

struct track_place track_place_of(const struct flow *f, enum flow_dir d)
{
	return (struct track_place){
		.key = {f->server, f->client}, .hash = f->hash, .dir = d, .service = f->service};
}

struct flow *track_replace(struct track *t, struct flow *f, const struct segment *answer)
{
	struct segment syn = *f->reuse_syn;
	struct track_place place = track_place_of(f, FLOW_TO_SERVER);

	track_close(t, f, TRACK_CLOSE_REUSED);
	f = track_pick_up(t, &place, &syn);
	return f ? track_follow(t, f, FLOW_TO_CLIENT, answer) : NULL;
}

void track_go_on_without(struct track *t, struct flow *f, uint32_t next)
{
	f->isn[FLOW_TO_CLIENT] = next - 1;
	f->isn_known[FLOW_TO_CLIENT] = true;
	track_mark(t, f, FLOW_MARK_MIDSTREAM, 0);
	track_set_state(t, f, FLOW_ESTABLISHED);
}

bool track_go_on(struct track *t, struct flow *f, const struct segment *s)
{
	if ((s->payload_len == 0 && !f->early.seen) || !track_ack_fits_client(f, s))
		return false;
	track_go_on_without(t, f, f->early.seen ? f->early.ack : s->seq);
	return true;
}
