/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the files of the tracker share: track.c (life of a flow, time, the public
 * calls), track-segment.c (the rules of TCP), track-data.c (bytes, holes, logs).
 */
#ifndef CAPTURE_TRACK_INTERNAL_H
#define CAPTURE_TRACK_INTERNAL_H

#include "flow-table.h"
#include "pool.h"
#include "recent.h"
#include "service-map.h"
#include "track.h"

/* Flows whose trailing packets must not look like a new connection. Direct-mapped. */
#define TRACK_CLOSED_SLOTS 4096
/* Address pairs with fragments that wait for the next housekeeping. */
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
	struct track_stats stats;
	int64_t now_ns, housekeeping_ns;
	int64_t idle_timeout_ns, hole_timeout_ns;
	struct list lru, half_open; /* half_open: SYN_SENT, SYN_RCVD, or one end has spoken; both by
				       lru_ns */
	struct list holes;
	uint32_t live_count;
	struct closed_slot {
		uint64_t hash;
		int64_t until_ns;
	} * closed;
	struct netaddr fragment[TRACK_FRAGMENT_PAIRS][2];
	uint32_t fragment_count; /* more than TRACK_FRAGMENT_PAIRS: too many to tell apart */
};

/* Where a segment belongs. */
struct track_place {
	struct flow_key key;
	uint64_t hash;
	enum flow_dir dir; /* of the segment's bytes */
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

/* Picked up from data alone. */
static inline bool flow_is_midstream(const struct flow *f)
{
	return !f->syn[0].seen && !f->syn[1].seen;
}

/* No byte of it is shown or kept: there was no memory to find out about its options. */
static inline bool flow_is_opaque(const struct flow *f)
{
	return flow_is_midstream(f) && !f->infer;
}

/* What the receivers allow is not known yet: numbers are believed by their distance alone. */
static inline bool flow_is_adrift(const struct flow *f)
{
	return flow_is_midstream(f) && !(f->infer && infer_settled(f->infer));
}

/* track.c. NULL: a ceiling, counted. The open callback has not been called: see track_announce().
 */
struct flow *track_open(struct track *t, const struct track_place *p, enum flow_state state);
void track_announce(struct track *t, struct flow *f);
void track_close(struct track *t, struct flow *f, enum track_close why);
void track_set_state(struct track *t, struct flow *f, enum flow_state state);
void track_mark(struct track *t, struct flow *f, uint16_t set, uint16_t clear);
/* It is not the longest silent one of its list. */
void track_to_lru_end(struct track *t, struct flow *f);
/*
 * The list is walked only for idle flows, so its order need not be exact: a busy
 * flow moves once in a while, not with each packet (its neighbours are cold memory).
 */
static inline void track_touch(struct track *t, struct flow *f)
{
	if (f->half_open ||
	    (t->idle_timeout_ns > 0 && t->now_ns - f->lru_ns > t->idle_timeout_ns / 16))
		track_to_lru_end(t, f);
}
/* Marks the flows of the fragments that were seen since the last time. */
void track_mark_fragments(struct track *t);

/* track-segment.c. The flow, or NULL when the segment closed it or none was made of it. */
struct flow *track_pick_up(struct track *t, const struct track_place *p, const struct segment *s);
struct flow *track_follow(struct track *t, struct flow *f, enum flow_dir d,
			  const struct segment *s);

/* track-mac.c: whom frames are addressed to. False: to somebody else than the receiver of @d. */
bool track_addressed_anew(struct flow *f, enum flow_dir d, const struct segment *s);
static inline bool track_addressed(struct flow *f, enum flow_dir d, const struct segment *s)
{
	/* Nearly always: as the one before. */
	return (f->mac_count[d] > 0 && memcmp(f->mac[d][0], s->dst_mac, sizeof s->dst_mac) == 0 &&
		!(s->flags & TCP_SYN) && !f->aside[d]) ||
	       track_addressed_anew(f, d, s);
}
/* Such a segment, at @off. */
void track_set_aside(struct flow *f, enum flow_dir d, const struct segment *s, int64_t off);
/* What the receiver of @d says, by which it may have had what was set aside: then it counts. */
void track_take_aside(struct track *t, struct flow *f, enum flow_dir d,
		      const struct segment *answer, int64_t ack);
void track_aside_free(struct flow *f, enum flow_dir d);

void track_take_fin(struct track *t, struct flow *f, enum flow_dir d, uint64_t end, uint64_t need);

/* track-infer.c: the hooks for connections older than the box. */
void track_infer_begin(struct flow *f);
/* A segment that was accepted, @off the offset of its first byte. */
void track_infer(struct track *t, struct flow *f, enum flow_dir d, const struct segment *s,
		 int64_t off);

/*
 * The client has acknowledged a SYN-ACK that was not captured: the connection goes on without it.
 * False: it has not, or it was.
 */
bool track_miss_answer(struct track *t, struct flow *f);

/* track-data.c */
/* Bytes of the wire at @off: at most @wire_len, @b of them captured, sent when the first @need
 * bytes of the other direction had been received. True when next moved. */
bool track_data(struct track *t, struct flow *f, enum flow_dir d, int64_t off, uint32_t wire_len,
		struct bytes b, uint64_t need);
/* Releases what neither the user nor the client's ACK asks for. */
void track_apply_keep(struct track *t, struct flow *f, enum flow_dir d);
/* acked or next of @d changed: does an acknowledged hole begin or end? */
void track_time_hole(struct track *t, struct flow *f, enum flow_dir d);
static inline void track_note_hole(struct track *t, struct flow *f, enum flow_dir d)
{
	/* Nearly always there is none, nor was there one. */
	if (f->acked[d] > f->stream[d].next || f->early.seen || !list_empty(&f->hole))
		track_time_hole(t, f, d);
}
/* A hole or a wait of it ends when time has passed; nearly always there is none. */
static inline bool track_is_timed(const struct flow *f)
{
	return !list_empty(&f->hole);
}
/* Declares acknowledged holes gaps: those older than the timeout, or all of them. True if any. */
bool track_expire_holes(struct track *t, struct flow *f);
bool track_declare_gaps(struct track *t, struct flow *f, enum flow_dir d);
/* One gap, if there is a hole that is acknowledged. */
bool track_declare_gap(struct track *t, struct flow *f, enum flow_dir d);
/* Calls fin when everything before it was shown, if it was not called yet. */
void track_show_fin(struct track *t, struct flow *f, enum flow_dir d);
void track_show_held(struct track *t, struct flow *f, enum flow_dir d);
/* Among those housekeeping looks at, if time matters to it. */
void track_list_hole(struct track *t, struct flow *f);
/* Nothing more will come: holes are gaps, and nothing waits any longer. True if anything was shown.
 */
bool track_settle_all(struct track *t, struct flow *f);

/* track-wait.c */
/* Nothing waits, nor would something with this need: nearly always. */
static inline bool track_nothing_waits(const struct flow *f, enum flow_dir d, uint64_t need)
{
	return !f->waiting && need <= f->stream[flow_other(d)].next &&
	       f->syn[0].seen == f->syn[1].seen;
}
/* Would the next bytes of @d, or their FIN, with this need have to wait? */
bool track_waits(const struct flow *f, enum flow_dir d, uint64_t need);
/* Notes what the bytes from @from on were sent after. False: too many of them, or no memory;
 * counted. */
bool track_need(struct track *t, struct flow *f, enum flow_dir d, uint64_t from, uint64_t need);
/* How far bytes of @d may be shown, if they are there. */
uint64_t track_showable(const struct flow *f, enum flow_dir d);
/* Shows what need not wait any longer. */
void track_release(struct track *t, struct flow *f);
/* What @d waits for next is given up. False: there is nothing of the kind. */
bool track_stop_waiting(struct track *t, struct flow *f, enum flow_dir d);
/* What has waited for so long. True if any. */
bool track_expire_waits(struct track *t, struct flow *f, int64_t age_ns);
/* 0 or -ENOMEM. */
int track_clone_needs(struct track *t, struct flow *to, const struct flow *f);
void track_needs_free(struct track *t, struct flow *f, enum flow_dir d);

#endif
