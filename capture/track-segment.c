/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The rules of TCP, seen from between the two ends. A segment of direction d
 * carries bytes of d and acknowledges bytes of the other one, a. Wire numbers
 * become offsets here, once, relative to where the direction stands: so a wrap
 * is no special case anywhere.
 */
#include "base/clock.h"
#include "track-syn.h"

/*
 * A receiver knows at once what it has accepted. A tap knows only when nothing is likely to come
 * late.
 */
#define PAWS_AGE_NS (20 * NS_PER_MS)
/* An older TS.Recent says nothing (RFC 7323 section 5.5). */
#define PAWS_VALID_NS ((int64_t)24 * 24 * 3600 * NS_PER_S)
/* The largest possible window (RFC 7323 section 2.3). No honest number is further away. */
#define FAR INT64_C(0x40000000)

/* Compiled for each direction alone, where nothing has to be looked up by it: see take(). */
#define BY_DIRECTION static inline __attribute__((always_inline))

/* ---- what is believed ---- */

static inline bool seq_believable(const struct flow *f, enum flow_dir d, int64_t off)
{
	int64_t base = (int64_t)flow_base(f, d);

	if (off < base - FAR)
		return false;
	if (off <= base) /* nearly always; nearer than any bound that follows */
		return true;
	if (f->resync[d] || flow_is_adrift(f))
		return off <= base + FAR;
	/* The start counts and not the end: offload makes segments as large as a window. */
	return off <= flow_reach(f, d) + flow_slack(f, d);
}

static inline bool ack_believable(const struct flow *f, enum flow_dir a, int64_t off)
{
	int64_t base = (int64_t)flow_base(f, a);

	if (off > base + FAR)
		return false;
	if (off <= base && off >= base - FAR && off >= (int64_t)f->acked[a]) /* nearly always */
		return true;
	if (f->state == FLOW_SYN_RCVD && a == FLOW_TO_CLIENT)
		return off >= 0 && off <= flow_reach(f, a);
	if (f->resync[flow_other(a)] || flow_is_adrift(f))
		return off >= base - FAR;
	/* RFC 5961 section 5.2, as far as it can be applied here: captures reorder and lose. */
	return off >= (int64_t)f->acked[a] - flow_slack(f, a) &&
	       off <= flow_reach(f, a) + flow_slack(f, a);
}

/*
 * If one end alone speaks of bytes of @d at an impossible place, it is not believed. If the other
 * end speaks of the same place, the capture has lost what is in between.
 */
static bool both_say(struct flow *f, enum flow_dir d, bool by_ack, int64_t off)
{
	int64_t other = f->far[d][!by_ack];

	f->far[d][by_ack] = off;
	if (other == 0 || off < other - flow_slack(f, d) || off > other + flow_slack(f, d))
		return false;
	f->far[d][0] = f->far[d][1] = 0;
	f->resync[0] = f->resync[1] = true;
	return true;
}

/*
 * The number that the receiver of @d expects next. It may lack bytes that were lost behind the tap.
 */
static int64_t expected(const struct flow *f, enum flow_dir d)
{
	const struct stream *s = &f->stream[d];
	uint64_t next = s->range_count && s->range[0].from == s->next ? s->range[0].to : s->next;

	if (f->acked[d] > next)
		next = f->acked[d];
	return (int64_t)(next + (f->fin_seen[d] && f->fin_off[d] == next));
}

/* A client that aborts after its own FIN (macOS) sends the RST with the FIN's number, and Linux
 * accepts that. */
static bool resets_at_fin(const struct flow *f, enum flow_dir d, int64_t off)
{
	uint64_t fin = f->fin_off[d];

	return f->fin_seen[d] && off == (int64_t)fin && f->stream[d].next == fin;
}

/*
 * Behind a hole the receiver has said by SACK how far it has come, and Linux accepts a RST there.
 */
static bool resets_at_sack(const struct flow *f, enum flow_dir d, int64_t off)
{
	const struct stream *s = &f->stream[d];

	return f->syn[0].sack && f->syn[1].sack && s->range_count > 0 &&
	       off == (int64_t)s->range[s->range_count - 1].to;
}

static bool rst_is_exact(const struct flow *f, enum flow_dir d, int64_t off)
{
	return off == expected(f, d) || resets_at_fin(f, d, off) || resets_at_sack(f, d, off);
}

/*
 * Takes a RST exactly where its receiver stands (RFC 5961 section 3.2). Elsewhere in the window the
 * receiver sends a challenge ACK, and the true sender answers with an exact RST. So a doubtful RST
 * may be ignored: if the connection really is gone, the client says so when it is probed.
 */
static struct flow *take_rst(struct track *t, struct flow *f, enum flow_dir d,
			     const struct segment *s)
{
	bool believed;

	if (!f->isn_known[d]) { /* connection refused */
		believed = d == FLOW_TO_SERVER ? track_answers_server(f, s)
					       : track_ack_fits_client(f, s);
	} else {
		believed = rst_is_exact(f, d, flow_position(f, d, s->seq));
	}
	if (!believed) {
		t->stats.bad_rst++;
		return f;
	}
	t->stats.segments++;
	f->packets[d]++;
	track_close(t, f, TRACK_CLOSE_RST);
	return NULL;
}

/* ---- what a segment tells ---- */

static void observe_timestamp(struct flow *f, enum flow_dir d, const struct segment *s)
{
	int64_t when = s->time_ns ? s->time_ns : 1;

	if (!(s->opt.seen & TCP_OPT_TIMESTAMP))
		return;
	if (f->tsval_ns[d] != 0 && (int32_t)(s->opt.tsval - f->tsval[d]) <= 0)
		return;
	if (d == FLOW_TO_CLIENT && f->tsval_first_ns == 0) {
		f->tsval_first = s->opt.tsval;
		f->tsval_first_ns = when;
	}
	f->tsval[d] = s->opt.tsval;
	f->tsval_ns[d] = when;
}

BY_DIRECTION void observe(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s)
{
	uint16_t set = 0;

	f->packets[d]++;
	if (s->time_ns > f->last_ns[d])
		f->last_ns[d] = s->time_ns;
	f->vlan_present = s->vlan_present;
	f->vlan_tci = s->vlan_tci;
	if (!f->vlan_seen[d]) {
		f->vlan_seen[d] = true;
		f->vlan[d] = segment_vlan(s);
	}
	if (s->mac_valid)
		memcpy(d == FLOW_TO_SERVER ? f->client_mac : f->server_mac, s->src_mac, 6);
	if (d == FLOW_TO_CLIENT) {
		f->ttl = s->ttl;
		f->tos = s->tos;
		/* The box's own probe also carries a byte. */
		if (s->payload_len > 0 && !s->outgoing)
			f->may_fragment = s->may_fragment;
	}
	observe_timestamp(f, d, s);
	if (s->flags & TCP_URG)
		set |= FLOW_MARK_URGENT;
	if (s->opt.seen & (TCP_OPT_MD5 | TCP_OPT_AO))
		set |= FLOW_MARK_MD5_AO;
	if (set & ~f->marks)
		track_mark(t, f, set, 0);
	track_touch(t, f);
}

static uint32_t scaled(const struct flow *f, enum flow_dir d, const struct flow_ack *k)
{
	bool both = f->syn[0].wscale_present && f->syn[1].wscale_present;

	if (f->infer)
		return (uint32_t)k->window << infer_wscale(f->infer, d);
	return (uint32_t)k->window << (both && !k->syn ? f->syn[d].wscale : 0);
}

/*
 * An older segment must not overwrite a newer window (RFC 9293 section 3.10.7.4). @off is what it
 * acknowledges, @una what was acknowledged before it.
 */
BY_DIRECTION void take_window(struct flow *f, enum flow_dir d, const struct flow_ack *k,
			      int64_t off, int64_t una)
{
	enum flow_dir a = flow_other(d);
	uint32_t window = scaled(f, d, k);
	bool newer = off > una || (int32_t)(k->seq - f->window_seq[a]) > 0 ||
		     (k->seq == f->window_seq[a] && (int32_t)(k->ack - f->window_ack[a]) >= 0);

	if (off >= 0 && (uint64_t)off + window > f->edge[a])
		f->edge[a] = (uint64_t)off + window;
	if (window > f->window_max[a])
		f->window_max[a] = window;
	if (f->window_seen[a] && (off < una || !newer))
		return;
	f->window_seen[a] = true;
	f->window[a] = window;
	f->window_seq[a] = k->seq;
	f->window_ack[a] = k->ack;
}

/* Only the newest ACK tells what the client holds now. */
static void take_sack(struct flow *f, const struct segment *s, int64_t off)
{
	if (off != (int64_t)f->acked[FLOW_TO_CLIENT])
		return;
	int64_t high =
		s->opt.seen & TCP_OPT_SACK ? flow_position(f, FLOW_TO_CLIENT, s->opt.sack_high) : 0;
	f->sacked_to = high > off ? (uint64_t)high : 0;
}

/* False: it acknowledges what cannot have been sent. */
BY_DIRECTION bool take_ack(struct track *t, struct flow *f, enum flow_dir d,
			   const struct flow_ack *k, int64_t off)
{
	enum flow_dir a = flow_other(d);
	int64_t una = (int64_t)f->acked[a] + f->fin_acked[a];

	if (f->fin_seen[a] && off > (int64_t)f->fin_off[a] + 1)
		return false;
	take_window(f, d, k, off, una);
	if (off > una) {
		f->fin_acked[a] = f->fin_seen[a] && off > (int64_t)f->fin_off[a];
		f->acked[a] = (uint64_t)off - f->fin_acked[a];
		track_note_hole(t, f, a);
		if (a == FLOW_TO_CLIENT) {
			track_apply_keep(t, f, a);
			path_acked(&f->path, f->acked[a]);
		}
	}
	if (f->state == FLOW_SYN_RCVD && d == FLOW_TO_SERVER && off >= 0)
		track_set_state(t, f, FLOW_ESTABLISHED);
	return true;
}

void track_take_fin(struct track *t, struct flow *f, enum flow_dir d, uint64_t end, uint64_t need)
{
	if (f->fin_seen[d]) {
		if (end == f->fin_off[d])
			f->retransmits[d]++;
		return;
	}
	/* Bytes beyond it were seen or acknowledged, so it is not the end. */
	if (end < f->stream[d].high || end + 1 < f->acked[d]) {
		t->stats.bad_seq++;
		return;
	}
	f->fin_seen[d] = true;
	f->fin_off[d] = end;
	(void)track_need(t, f, d, end, need); /* without memory it does not wait */
	if (f->acked[d] > end) {              /* its ACK was captured before it */
		f->acked[d] = end;
		f->fin_acked[d] = true;
		track_note_hole(t, f, d);
	}
}

/* Takes the client's ACKs that were captured before the SYN-ACK. */
static void take_early(struct track *t, struct flow *f)
{
	if (!f->early.seen || !f->isn_known[FLOW_TO_CLIENT])
		return;
	struct flow_ack k = f->early;
	int64_t off = flow_position(f, FLOW_TO_CLIENT, k.ack);
	f->early.seen = false;
	track_note_hole(t, f, FLOW_TO_CLIENT);
	if (ack_believable(f, FLOW_TO_CLIENT, off))
		take_ack(t, f, FLOW_TO_SERVER, &k, off);
	k = f->early_last;
	off = flow_position(f, FLOW_TO_CLIENT, k.ack);
	if (off > 0)
		take_ack(t, f, FLOW_TO_SERVER, &k, off);
}

bool track_miss_answer(struct track *t, struct flow *f)
{
	if (!f->early.seen || f->isn_known[FLOW_TO_CLIENT])
		return false;
	track_go_on_without(t, f, f->early.ack);
	take_early(t, f);
	return true;
}

/* How much further the next ACK before the SYN-ACK may be: by the client's window. */
static uint32_t early_reach(const struct flow *f, const struct flow_ack *k)
{
	uint32_t window = (uint32_t)k->window << f->syn[FLOW_TO_SERVER].wscale;

	return window > FLOW_SLACK_MIN ? window : FLOW_SLACK_MIN;
}

/* The ACK, which is believable and is of @off, or the lack of one. False: not believed. */
BY_DIRECTION bool acknowledge(struct track *t, struct flow *f, enum flow_dir d,
			      const struct segment *s, int64_t off)
{
	enum flow_dir a = flow_other(d);
	struct flow_ack k = {
		.seen = s->flags & TCP_ACK,
		.syn = s->flags & TCP_SYN,
		.window = s->window,
		.seq = s->seq,
		.ack = s->ack,
	};

	if (!k.seen) {
		if (k.syn)
			take_window(f, d, &k, 0, (int64_t)f->acked[a]);
		return true;
	}
	if (!f->isn_known[a]) {
		if (!f->early.seen) { /* the first one tells the server's ISN */
			f->early = k;
			track_note_hole(t, f, a);
			f->early_last = k;
		}
		/* Each must continue the one before it. */
		if (k.ack - f->early_last.ack <= early_reach(f, &k))
			f->early_last = k;
		return true;
	}
	/* When both ends speak of a distant place, that place is believable, but not an ACK of
	 * it. */
	if (!ack_believable(f, a, off) || !take_ack(t, f, d, &k, off))
		return false;
	if (d == FLOW_TO_SERVER)
		take_sack(f, s, off);
	if (d == FLOW_TO_SERVER && f->probe_wanted)
		f->probe_answered = true;
	return true;
}

/*
 * Notes an answer to the probe: a segment without data has the number of the next byte to be sent.
 */
static void note_answer(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off)
{
	int64_t end = off + (int64_t)s->payload_len + !!(s->flags & TCP_FIN);

	if (f->probe_answered && d == FLOW_TO_SERVER && end > (int64_t)f->probe_said)
		f->probe_said = (uint64_t)end;
	if (f->probe_answered && d == FLOW_TO_SERVER && s->payload_len == 0 &&
	    !(s->flags & TCP_FIN) && off > f->probe_stands)
		f->probe_stands = off;
}

/*
 * Notes that an end has sent nothing but what was captured. A segment without data has the number
 * of the next byte to be sent, SND.NXT, unless the other end has taken its window back: then Linux
 * gives it the window's right edge (tcp_acceptable_seq()). A probe is one byte before.
 */
static void note_end(const struct track *t, struct flow *f, enum flow_dir d,
		     const struct segment *s, int64_t off)
{
	const struct stream *out = &f->stream[d];

	if (s->time_ns > t->drops_ns && s->payload_len == 0 && !(s->flags & (TCP_SYN | TCP_FIN)) &&
	    !s->outgoing && off == (int64_t)out->next && out->high <= out->next &&
	    f->acked[d] <= out->next && (uint64_t)off < f->acked[d] + f->window[d])
		f->told_since_drops[d] = true;
}

static struct flow *close_if_finished(struct track *t, struct flow *f)
{
	if (!f->fin_acked[0] || !f->fin_acked[1])
		return f;
	/* Both ends have everything. What was not captured will not come again. */
	track_settle_all(t, f);
	track_close(t, f, TRACK_CLOSE_FIN);
	return NULL;
}

/*
 * Observes the size into which the server divides its data. Some frames do not tell: one larger
 * than the client's MSS whose source does not tell its pieces, and one that the client's window has
 * ended.
 */
static void observe_size(struct flow *f, const struct segment *s, int64_t off)
{
	const uint16_t most = f->syn[FLOW_TO_SERVER].mss;
	const uint64_t from = (uint64_t)off;
	bool several = s->piece > 0 && s->piece < s->payload_len;

	if (s->payload_len == 0 || off < 0)
		return;
	path_see(&f->path,
		 &(struct path_segment){
			 .off = from,
			 .len = s->payload_len,
			 .piece = several ? s->piece
					  : (s->payload_len <= most ? (uint16_t)s->payload_len : 0),
			 .more = !(s->flags & (TCP_PSH | TCP_FIN)) &&
				 from + most <= f->edge[FLOW_TO_CLIENT],
			 .again = from < f->stream[FLOW_TO_CLIENT].high,
		 });
}

/* How many bytes of the other direction its sender had received, counting the FIN. It is @ack if
 * the other SYN was seen. */
static uint64_t cause_of(const struct flow *f, enum flow_dir d, const struct segment *s,
			 int64_t ack)
{
	if (!(s->flags & TCP_ACK))
		return 0;
	if (!f->isn_known[flow_other(d)])
		ack = f->early.seen ? (int32_t)(s->ack - f->early.ack) : 0;
	return ack > 0 ? (uint64_t)ack : 0;
}

/*
 * PAWS (RFC 7323 section 5.3): a segment older than the last one at the left edge is a duplicate
 * from before the numbers wrapped. The receiver drops it; here it would look like new data. As in
 * Linux, one tick is forgiven, and a clock that stood for 24 days is believed (section 5.5). What
 * was accepted a moment ago makes nothing old yet, because a capture may show an ACK before the
 * segments it is for.
 */
static bool is_old_duplicate(const struct flow *f, enum flow_dir d, const struct segment *s)
{
	int64_t age = s->time_ns - f->ts_recent_ns[d];
	uint32_t recent = age > PAWS_AGE_NS ? f->ts_recent[d] : f->ts_before[d];

	return f->ts_ok && s->opt.seen & TCP_OPT_TIMESTAMP && f->ts_recent_ns[d] != 0 &&
	       (int32_t)(recent - s->opt.tsval) > 1 && age < PAWS_VALID_NS;
}

/* RFC 7323 section 4.3: only a segment that begins at or before the last ACK changes TS.Recent. */
static void note_recent(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off)
{
	if (!(s->opt.seen & TCP_OPT_TIMESTAMP) || off > (int64_t)f->acked[d])
		return;
	int64_t age = s->time_ns - f->ts_recent_ns[d];
	if (f->ts_recent_ns[d] != 0 &&
	    (age <= PAWS_AGE_NS ||
	     ((int32_t)(s->opt.tsval - f->ts_recent[d]) < 0 && age < PAWS_VALID_NS)))
		return;
	f->ts_before[d] = f->ts_recent_ns[d] ? f->ts_recent[d] : s->opt.tsval;
	f->ts_recent[d] = s->opt.tsval;
	f->ts_recent_ns[d] = s->time_ns ? s->time_ns : 1;
}

/* Where it stands, @off, and what it acknowledges, @ack. */
BY_DIRECTION bool believable(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off,
			     int64_t ack)
{
	enum flow_dir a = flow_other(d);

	if (!seq_believable(f, d, off) &&
	    !(off <= (int64_t)flow_base(f, d) + FAR && off > 0 && both_say(f, d, false, off)))
		return false;
	if (!(s->flags & TCP_ACK) || !f->isn_known[a] || ack_believable(f, a, ack))
		return true;
	return ack <= (int64_t)flow_base(f, a) + FAR && ack > flow_reach(f, a) &&
	       both_say(f, a, true, ack);
}

BY_DIRECTION struct flow *take_as(struct track *t, struct flow *f, enum flow_dir d,
				  const struct segment *s)
{
	enum flow_dir a = flow_other(d);

	if (!f->isn_known[d] && !track_go_on(t, f, s)) {
		t->stats.bad_seq++;
		return f;
	}
	int64_t off = flow_position(f, d, s->seq) + (s->flags & TCP_SYN ? 1 : 0);
	int64_t ack = flow_position(f, a, s->ack);
	if (!track_addressed(f, d, s)) {
		t->stats.other_mac++;
		if (seq_believable(f, d, off) && ack_believable(f, a, ack) &&
		    !is_old_duplicate(f, d, s))
			track_set_aside(f, d, s, off);
		return f;
	}
	if (f->aside[a] && seq_believable(f, d, off))
		track_take_aside(t, f, a, s, ack);
	if (!believable(f, d, s, off, ack) || is_old_duplicate(f, d, s) ||
	    !acknowledge(t, f, d, s, ack)) {
		t->stats.bad_seq++;
		return f;
	}
	f->resync[d] = false;
	t->stats.segments++;
	observe(t, f, d, s);
	note_recent(f, d, s, off);
	note_answer(f, d, s, off);
	take_early(t, f);
	if (f->infer)
		track_infer(t, f, d, s, off);
	if (f->waiting) /* a SYN may be what it waits for */
		track_release(t, f);
	uint64_t need = cause_of(f, d, s, ack);
	if (d == FLOW_TO_CLIENT)
		observe_size(f, s, off);
	if (f->marks & FLOW_MARK_CAPTURE_DROPS)
		note_end(t, f, d, s, off);
	if (s->payload_len > 0)
		track_data(t, f, d, off, s->payload_len, s->payload, need);
	if (s->flags & TCP_FIN && off + (int64_t)s->payload_len >= 0)
		track_take_fin(t, f, d, (uint64_t)(off + (int64_t)s->payload_len), need);
	if (f->fin_seen[d])
		track_show_fin(t, f, d);
	if (f->waiting)
		track_release(t, f);
	if (f->marks & FLOW_MARK_TRUNCATED)
		track_expire_holes(t, f);
	if (t->sink.changed)
		t->sink.changed(t->ctx, f);
	return close_if_finished(t, f);
}

static struct flow *begin_anew(struct track *t, struct flow *f, enum flow_dir d,
			       const struct segment *syn)
{
	struct track_place place = track_place_of(f, d);

	track_close(t, f, TRACK_CLOSE_REUSED);
	return track_pick_up(t, &place, syn);
}

static struct flow *take(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s)
{
	return d == FLOW_TO_SERVER ? take_as(t, f, FLOW_TO_SERVER, s)
				   : take_as(t, f, FLOW_TO_CLIENT, s);
}

struct flow *track_follow(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s)
{
	/*
	 * This must come first. An old hole must be closed before a keep-alive is read: its
	 * meaningless byte would be taken for the missing one.
	 */
	if (track_is_timed(f) && track_expire_holes(t, f) && t->sink.changed)
		t->sink.changed(t->ctx, f);
	if (s->flags & TCP_RST) {
		if (track_addressed(f, d, s))
			return take_rst(t, f, d, s);
		t->stats.other_mac++;
		return f;
	}
	if (!(s->flags & (TCP_SYN | TCP_ACK))) { /* RFC 9293 section 3.10.7.4: it is dropped */
		t->stats.no_ack++;
		return f;
	}
	if (!(s->flags & TCP_SYN))
		return take(t, f, d, s);

	switch (s->flags & TCP_FIN ? SYN_WRONG : track_syn_kind(f, d, s)) {
	case SYN_FIRST:
		track_learn_syn(t, f, d, s);
		return take(t, f, d, s);
	case SYN_AGAIN:
		f->retransmits[d]++;
		/* RFC 5961 section 4.2: nothing of it counts when both ends are synchronized. */
		if (f->state == FLOW_ESTABLISHED)
			return f;
		/* A client without an answer may offer less. */
		if (f->state == FLOW_SYN_SENT)
			track_learn_syn(t, f, d, s);
		return take(t, f, d, s);
	case SYN_ANOTHER:
		if (f->state == FLOW_SYN_SENT)
			return begin_anew(t, f, d, s);
		track_set_syn_aside(f, s);
		return f;
	case SYN_ANSWER:
		return track_replace(t, f, s);
	case SYN_WRONG:
		break;
	}
	t->stats.bad_seq++;
	return f;
}

/*
 * Begins from one half of a handshake whose other half is unseen: the ACK tells where the client's
 * bytes begin.
 */
static void begin_from_answer(struct track *t, struct flow *f, const struct segment *s)
{
	f->isn[FLOW_TO_SERVER] = s->ack - 1;
	f->isn_known[FLOW_TO_SERVER] = true;
	track_mark(t, f, FLOW_MARK_MIDSTREAM, 0);
	track_learn_syn(t, f, FLOW_TO_CLIENT, s);
}

static void begin_midstream(struct track *t, struct flow *f, enum flow_dir d,
			    const struct segment *s)
{
	f->isn[d] = s->seq - 1;
	f->isn[flow_other(d)] = s->ack - 1;
	f->isn_known[0] = f->isn_known[1] = true;
	track_infer_begin(f);
	track_mark(t, f, FLOW_MARK_MIDSTREAM, 0);
	track_set_state(t, f, FLOW_ESTABLISHED);
}

struct flow *track_pick_up(struct track *t, const struct track_place *p, const struct segment *s)
{
	struct flow *f = track_open(t, p, FLOW_SYN_SENT);

	if (!f)
		return NULL;
	if (!(s->flags & TCP_SYN))
		begin_midstream(t, f, p->dir, s);
	else if (s->flags & TCP_ACK)
		begin_from_answer(t, f, s);
	else
		track_learn_syn(t, f, p->dir, s);
	track_announce(t, f);
	return take(t, f, p->dir, s);
}
