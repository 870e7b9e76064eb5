/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "drill-check.h"

#include "base/clock.h"

/* How many segments are searched backwards for the one that set a window. */
#define WINDOW_LOOK 64

static int64_t position(const struct flow *f, enum flow_dir d, uint32_t seq)
{
	uint64_t base = f->acked[d] > f->stream[d].next ? f->acked[d] : f->stream[d].next;

	return (int64_t)base + (int32_t)(seq - flow_seq(f, d, base));
}

struct drill_event drill_event_of(const struct flow *f, const struct segment *s, uint64_t packet)
{
	enum flow_dir d = endpoint_eq(&s->src, &f->client) ? FLOW_TO_SERVER : FLOW_TO_CLIENT;
	enum flow_dir other = d == FLOW_TO_SERVER ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
	int64_t from = position(f, d, s->seq);

	return (struct drill_event){
		.packet = packet,
		.from = from,
		.to = from + s->payload_len + !!(s->flags & TCP_SYN) + !!(s->flags & TCP_FIN),
		/* Before the SYN-ACK was captured, the ACK's offset is unknown. */
		.ack = s->flags & TCP_ACK && f->isn_known[other] ? position(f, other, s->ack) : -1,
		.wire_ack = s->ack,
		.early = s->flags & TCP_ACK && !f->isn_known[other],
		.tsval = s->opt.tsval,
		.window = s->window,
		.dir = (uint8_t)d,
		.flags = s->flags,
		.has_ts = s->opt.seen & TCP_OPT_TIMESTAMP,
	};
}

/* Now the numbers are known; it was captured before the SYN-ACK it answers, if it answers that. */
static void resolve(const struct drill_events *e, struct drill_event *v)
{
	int other = v->dir == FLOW_TO_SERVER ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
	int32_t ack = (int32_t)(v->wire_ack - (e->isn[other] + 1));

	v->ack = ack >= 0 ? ack : -1;
}

void drill_events_link(struct drill_events *e)
{
	uint32_t ack = UINT32_MAX, sent = UINT32_MAX;

	for (uint32_t i = e->n; i-- > 0;) {
		struct drill_event *v = &e->v[i];
		if (v->early)
			resolve(e, v);
		v->next_ack = ack;
		v->next_sent = sent;
		if (v->dir == FLOW_TO_SERVER && v->ack >= 0)
			ack = i;
		if (v->torn)
			ack = UINT32_MAX;
		if (v->dir == FLOW_TO_CLIENT && v->to > v->from)
			sent = i;
	}
}

static uint32_t scaled(const struct drill_events *e, const struct drill_event *v)
{
	if (!(v->flags & (TCP_ACK | TCP_SYN)) || (v->early && v->ack < 0))
		return 0; /* says nothing, or to somebody else */
	return (uint32_t)v->window << (v->flags & TCP_SYN ? 0 : e->wscale[v->dir]);
}

static void read_one(struct drill_events *e, const struct drill_event *v)
{
	int other = v->dir == FLOW_TO_SERVER ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
	uint32_t window = scaled(e, v);
	int64_t ack = v->ack > 0 ? v->ack : 0;

	if (ack > e->acked[other])
		e->acked[other] = ack;
	if (v->dir == FLOW_TO_SERVER) {
		e->window_max = window > e->window_max ? window : e->window_max;
		return;
	}
	/* An ACK of what was before the beginning advertises nothing. */
	if (!(v->flags & TCP_ACK && v->ack < 0) && ack + window > e->edge)
		e->edge = ack + window;
	if (v->has_ts && (!e->has_ts || (int32_t)(v->tsval - e->tsval) > 0)) {
		e->has_ts = true;
		e->tsval = v->tsval;
	}
}

void drill_events_read(struct drill_events *e, uint64_t packet)
{
	while (e->at < e->n && e->v[e->at].packet <= packet)
		read_one(e, &e->v[e->at++]);
}

int64_t drill_events_answer(const struct drill_events *e)
{
	if (e->at == 0)
		return -1;
	const struct drill_event *last = &e->v[e->at - 1];
	return last->next_ack < last->next_sent ? e->v[last->next_ack].ack : -1;
}

/* The offset near @near that has wire number @seq. */
static int64_t offset(const struct drill_events *e, int dir, uint32_t seq, uint64_t near)
{
	return (int64_t)near + (int32_t)(seq - (e->isn[dir] + 1 + (uint32_t)near));
}

/* Checks that each end continues where the other one expects it. */
static const char *check_numbers(const struct drill_events *e, const struct snapshot *s,
				 const struct drill_position *at)
{
	int64_t una = offset(e, FLOW_TO_CLIENT, s->snd_una, at->to_client_end);
	int64_t nxt = offset(e, FLOW_TO_CLIENT, s->snd_nxt, at->to_client_end);
	int64_t rcv = offset(e, FLOW_TO_SERVER, s->rcv_nxt, at->to_server_end);
	int64_t answer = drill_events_answer(e), acked = e->acked[FLOW_TO_CLIENT];

	if (una < acked || una > (answer > acked ? answer : acked))
		return "snd-una-differs";
	if (nxt < una || nxt < answer)
		return "snd-nxt-differs";
	if (rcv < e->acked[FLOW_TO_SERVER])
		return "rcv-nxt-differs";
	return NULL;
}

/* Whether the segment named as the source of the window has said it. */
static bool window_said(const struct drill_events *e, const struct snapshot *s)
{
	bool found = false;

	for (uint32_t i = e->at; i-- > 0 && e->at - i <= WINDOW_LOOK;) {
		const struct drill_event *v = &e->v[i];
		/* A segment captured late was older than what had been said before. */
		if (v->dir != FLOW_TO_SERVER || v->ack < e->acked[FLOW_TO_CLIENT] ||
		    e->isn[FLOW_TO_SERVER] + 1 + (uint32_t)v->from != s->snd_wl1)
			continue;
		if (scaled(e, v) == s->snd_wnd)
			return true;
		found = true;
	}
	return !found;
}

/* Whether the timestamp can be compared: after 2^31 ticks it cannot (RFC 7323 section 5.5). */
static bool clock_tells(const struct snapshot *s, int64_t now_ns)
{
	int64_t hz = s->ts_hz ? s->ts_hz : 1000;

	return now_ns - s->tsval_ns < INT64_C(0x7fffffff) / hz * NS_PER_S;
}

const char *drill_check_snapshot(const struct drill_events *e, const struct snapshot *s,
				 const struct drill_position *at)
{
	const char *what = check_numbers(e, s, at);

	if (what)
		return what;
	if (s->ts_ok && e->has_ts && clock_tells(s, at->now_ns) &&
	    (int32_t)(snapshot_tsval_at(s, at->now_ns) - e->tsval) <= 0)
		return "tsval-runs-back";
	/* If the handshake was not captured, the scales are inferred. */
	if (!e->handshake || at->answered)
		return NULL;
	if (offset(e, FLOW_TO_SERVER, s->rcv_edge, at->to_server_end) != e->edge)
		return "right-edge-differs";
	if (s->max_window != e->window_max || !window_said(e, s))
		return "window-differs";
	return NULL;
}
