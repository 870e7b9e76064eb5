/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the tracker share: track.c (life of a flow, time, the public
 * calls), track-segment.c (the rules of TCP), track-syn.c (the handshake), track-data.c
 * (bytes, holes, logs).
 */
#ifndef CAPTURE_TRACK_INTERNAL_H
#define CAPTURE_TRACK_INTERNAL_H

#include "flow-table.h"
#include "pool.h"
#include "recent.h"
#include "service-map.h"
#include "track.h"

/* Closed flows whose last packets must not look like a new connection. Direct-mapped. */
#define TRACK_CLOSED_SLOTS 4096
/* Address pairs with fragments, kept for the next housekeeping. */
#define TRACK_FRAGMENT_PAIRS 16

struct track {
	struct track_sink sink;
	void *ctx;
	struct flow_table table;
	struct recent recent;
	struct service_map services;
	struct netaddr *ignore;
	uint32_t ignore_count;
	uint8_t *service_flags;
	struct pool pool;
	struct loans loans;
	struct track_stats stats;
	int64_t now_ns, housekeeping_ns;
	int64_t drops_ns; /* the capture has lost packets, all of them before this time */
	int64_t idle_timeout_ns, hole_timeout_ns;
	/* Both ordered by lru_ns; half_open has SYN_SENT, SYN_RCVD, and flows on which only one
	 * end has spoken. */
	struct list lru, half_open;
	struct list holes;
	/* track-later.c: flows of which something is put off, by age; places for them. */
	struct list later;
	struct track_later *later_slots, *later_free;
	uint32_t later_used;
	/* track-pass.c: memory for notes, and for what is read again. */
	struct track_source source;
	size_t pass_bytes, again_room;
	uint8_t *again;
	uint32_t live_count;
	struct closed_slot {
		uint64_t hash;
		int64_t until_ns;
	} * closed;
	struct netaddr fragment[TRACK_FRAGMENT_PAIRS][2];
	uint32_t fragment_count; /* beyond TRACK_FRAGMENT_PAIRS: too many to be kept apart */
};

/* The flow to which a segment belongs. */
struct track_place {
	struct flow_key key;
	uint64_t hash;
	enum flow_dir dir; /* the direction of the segment's bytes */
	uint16_t service;
};

static inline bool track_either_end(const struct track *t, const struct track_place *p)
{
	return t->service_flags[p->service] & TRACK_SERVICE_EITHER_END;
}

static inline enum flow_dir flow_other(enum flow_dir d)
{
	return d == FLOW_TO_SERVER ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
}

/* Whether it was picked up without handshake. */
static inline bool flow_is_midstream(const struct flow *f)
{
	return !f->syn[0].seen && !f->syn[1].seen;
}

/*
 * Whether none of its bytes are shown or kept, because there was no memory for inferring its
 * options.
 */
static inline bool flow_is_opaque(const struct flow *f)
{
	return flow_is_midstream(f) && !f->infer;
}

/*
 * Whether the receivers' windows are not known yet, so that numbers are judged by distance alone.
 */
static inline bool flow_is_adrift(const struct flow *f)
{
	return flow_is_midstream(f) && !(f->infer && infer_settled(f->infer));
}

/* Smaller or unknown windows do not make the tracker stricter than this. */
#define FLOW_SLACK_MIN 65536

static inline uint64_t flow_base(const struct flow *f, enum flow_dir d)
{
	return f->acked[d] > f->stream[d].next ? f->acked[d] : f->stream[d].next;
}

static inline int64_t flow_position(const struct flow *f, enum flow_dir d, uint32_t seq)
{
	uint64_t base = flow_base(f, d);

	return (int64_t)base + (int32_t)(seq - flow_seq(f, d, base));
}

static inline int64_t flow_slack(const struct flow *f, enum flow_dir d)
{
	return f->window_max[d] > FLOW_SLACK_MIN ? f->window_max[d] : FLOW_SLACK_MIN;
}

/* How far a sender may have come: what the receiver has allowed, or what was seen. */
static inline int64_t flow_reach(const struct flow *f, enum flow_dir d)
{
	uint64_t r = flow_base(f, d);

	if (f->edge[d] > r)
		r = f->edge[d];
	if (f->infer && infer_edge_max(f->infer, flow_other(d)) > (int64_t)r)
		r = (uint64_t)infer_edge_max(f->infer, flow_other(d));
	return (int64_t)(f->stream[d].high > r ? f->stream[d].high : r);
}

/* track.c. NULL: a ceiling was reached, which is counted. The open callback is called by
 * track_announce(). */
struct flow *track_open(struct track *t, const struct track_place *p, enum flow_state state);
void track_announce(struct track *t, struct flow *f);
void track_close(struct track *t, struct flow *f, enum track_close why);
void track_set_state(struct track *t, struct flow *f, enum flow_state state);
void track_mark(struct track *t, struct flow *f, uint16_t set, uint16_t clear);
/* Moves the flow to the end of its list: it was heard last. */
void track_to_lru_end(struct track *t, struct flow *f);
/*
 * Idle flows alone are looked up in the list, so its order need not be exact. A busy flow moves now
 * and then, not with each packet, because its neighbours are cold memory.
 */
static inline void track_touch(struct track *t, struct flow *f)
{
	if (f->half_open ||
	    (t->idle_timeout_ns > 0 && t->now_ns - f->lru_ns > t->idle_timeout_ns / 16))
		track_to_lru_end(t, f);
}
/* Marks the flows of the fragments seen since the last call. */
void track_mark_fragments(struct track *t);

/* track-segment.c. Both return the flow; NULL: the segment has closed it, or made none. */
struct flow *track_pick_up(struct track *t, const struct track_place *p, const struct segment *s);
struct flow *track_follow(struct track *t, struct flow *f, enum flow_dir d,
			  const struct segment *s);

/* track-mac.c: whether the frame is addressed to the receiver of @d. */
bool track_addressed_anew(struct flow *f, enum flow_dir d, const struct segment *s);
static inline bool track_addressed(struct flow *f, enum flow_dir d, const struct segment *s)
{
	/* Nearly always the MAC is that of the frame before. */
	return (f->mac_count[d] > 0 && memcmp(f->mac[d][0], s->dst_mac, sizeof s->dst_mac) == 0 &&
		!(s->flags & TCP_SYN) && !f->aside[d]) ||
	       track_addressed_anew(f, d, s);
}
/* Sets a segment aside that went to another MAC. @off is its offset. */
void track_set_aside(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off);
/*
 * Takes a segment of the receiver of @d. If it shows that the receiver has what was set aside, that
 * is processed.
 */
void track_take_aside(struct track *t, struct flow *f, enum flow_dir d,
		      const struct segment *answer, int64_t ack);
void track_aside_free(struct flow *f, enum flow_dir d);

void track_take_fin(struct track *t, struct flow *f, enum flow_dir d, uint64_t end, uint64_t need);

/* track-infer.c: for connections whose handshake was not seen. */
void track_infer_begin(struct flow *f);
/* Takes a segment that was accepted; @off is the offset of its first byte. */
void track_infer(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s,
		 int64_t off);

/*
 * Lets the connection go on without its SYN-ACK, which was not captured but acknowledged by the
 * client. Returns false when it was captured, or not acknowledged.
 */
bool track_miss_answer(struct track *t, struct flow *f);

/* track-data.c */
/* Takes bytes at @off: @wire_len at most, of which @b were captured. They were sent when the
 * first @need bytes of the other direction had been received. Returns true when next has moved. */
bool track_data(struct track *t, struct flow *f, enum flow_dir d, int64_t off, uint32_t wire_len,
		struct bytes b, uint64_t need);
/* Releases the bytes that neither the user nor the client's ACK needs. */
void track_apply_keep(struct track *t, struct flow *f, enum flow_dir d);
/* acked or next of @d has changed: notes the begin or end of an acknowledged hole. */
void track_time_hole(struct track *t, struct flow *f, enum flow_dir d);
static inline void track_note_hole(struct track *t, struct flow *f, enum flow_dir d)
{
	/* Nearly always there is no hole, and there was none. */
	if (f->acked[d] > f->stream[d].next || f->early.seen || !list_empty(&f->hole))
		track_time_hole(t, f, d);
}
/* Whether passing time can end a hole or a wait of this flow. Nearly always there is none. */
static inline bool track_is_timed(const struct flow *f)
{
	return !list_empty(&f->hole);
}
/*
 * Both declare acknowledged holes to be gaps: those older than the timeout, or all of them. They
 * return true when there were any.
 */
bool track_expire_holes(struct track *t, struct flow *f);
bool track_declare_gaps(struct track *t, struct flow *f, enum flow_dir d);
/* Declares one acknowledged hole to be a gap. Returns false when there is none. */
bool track_declare_gap(struct track *t, struct flow *f, enum flow_dir d);
/* Calls fin, once, when everything before the FIN was shown. */
void track_show_fin(struct track *t, struct flow *f, enum flow_dir d);
void track_show_held(struct track *t, struct flow *f, enum flow_dir d);
/* Shows bytes that are next, and puts them to the log: borrowed, if @loans allow that. */
void track_show(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b,
		struct loans *loans);
void track_commit(struct track *t, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b,
		  struct loans *loans);
/* The bytes from next to @to are lost. */
void track_gap(struct track *t, struct flow *f, enum flow_dir d, uint64_t to);
/* Lists the flow for housekeeping if time matters to it. */
void track_list_hole(struct track *t, struct flow *f);
/* No more will come: holes become gaps, and nothing waits any longer. Returns true when anything
 * was shown. */
bool track_settle_all(struct track *t, struct flow *f);

/* track-wait.c */
/* Whether nothing waits, nor would bytes with this need. Nearly always true. */
static inline bool track_nothing_waits(const struct flow *f, enum flow_dir d, uint64_t need)
{
	return !f->waiting && need <= f->stream[flow_other(d)].next &&
	       f->syn[0].seen == f->syn[1].seen;
}
/* Whether the next bytes of @d, or their FIN, would have to wait with this need. */
bool track_waits(const struct flow *f, enum flow_dir d, uint64_t need);
/* Notes what the bytes from @from on were sent after. Returns false, and counts it, when there
 * are too many entries, or no memory. */
bool track_need(struct track *t, struct flow *f, enum flow_dir d, uint64_t from, uint64_t need);
/* Up to where bytes of @d may be shown. */
uint64_t track_showable(const struct flow *f, enum flow_dir d);
/* Shows the bytes that need not wait any longer. */
void track_release(struct track *t, struct flow *f);
/* Gives up what @d waits for next. Returns false when there is nothing. */
bool track_stop_waiting(struct track *t, struct flow *f, enum flow_dir d);
/* Gives up what was waited for longer than @age_ns. Returns true when there was anything. */
bool track_expire_waits(struct track *t, struct flow *f, int64_t age_ns);
/* Returns 0 or -ENOMEM. */
int track_clone_needs(struct track *t, struct flow *to, const struct flow *f);
void track_needs_free(struct track *t, struct flow *f, enum flow_dir d);

/* track-later.c */
/*
 * The bytes that stream_push() has returned, or a FIN, are to be shown of a flow with put_off.
 * Returns whether they are put off: kept in the log, and noted. If not, what was put off before has
 * been shown.
 */
bool track_put_off_data(struct track *t, struct flow *f, enum flow_dir d, size_t n);
bool track_put_off_fin(struct track *t, struct flow *f, enum flow_dir d);
/* Shows what was put off for long enough, and all of it while memory is short. */
void track_later_expire(struct track *t);
static inline bool track_memory_is_short(const struct track *t)
{
	return t->pool.used > t->pool.max / 2;
}
/* Drops what was put off. */
void track_later_free(struct track *t, struct flow *f);
void track_later_deinit(struct track *t);

/* track-pass.c */
/*
 * Takes bytes that come next, on a flow of which bytes pass. Returns false when they do not pass
 * unread.
 */
bool track_pass_data(struct track *t, struct flow *f, enum flow_dir d, uint64_t off,
		     struct bytes b);
/* Whether these, which all came before, are what came then, as far as it has passed. */
bool track_pass_agrees(struct track *t, struct flow *f, enum flow_dir d, uint64_t off,
		       struct bytes b);
/* The byte before what the client has acknowledged, which is all, if that has passed. */
bool track_pass_acked_byte(const struct flow *f, uint8_t *ret);
/* Something has been released of a flow of which bytes pass. */
void track_pass_keep(struct track *t, struct flow *f);
/*
 * Nothing passes any more: what has passed in part is shown, and the log is whole. _before_data()
 * does so if bytes of @d could not be shown or kept otherwise, _before_fin() if a FIN could not.
 */
void track_pass_end(struct track *t, struct flow *f);
void track_pass_end_before_data(struct track *t, struct flow *f, enum flow_dir d);
void track_pass_end_before_fin(struct track *t, struct flow *f);
void track_pass_free(struct track *t, struct flow *f);

#endif
