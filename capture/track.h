/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * track: the flow table and TCP state of one worker.
 *
 * Pure: segments and their capture time go in, callbacks come out. The same
 * code runs behind the live ring, the dry run, the tests and the fuzzer. One
 * struct track per worker thread, no locks.
 *
 * Orientation: a flow is picked up when the destination of a SYN is a protected
 * service, or with TRACK_SERVICE_EITHER_END when the source is. A segment with payload of a
 * connection whose handshake was not seen makes a flow marked FLOW_MARK_MIDSTREAM, with its first
 * byte at offset 0. It is followed in full; once enough of its options follows from what is seen
 * (infer.h) the mark gives way to FLOW_MARK_INFERRED, and comes back if the evidence turns out to
 * be none. When only one of the two SYNs was seen the flow is marked too, but followed in full: the
 * other one may come, late, and clears the mark. What trails behind a connection that just closed
 * does not make a new flow.
 *
 * What is believed (RFC 9293 section 3.10.7, RFC 5961): a segment that starts not
 * beyond the right edge advertised by its receiver plus one window, with an ACK
 * not older than one window, unless its timestamp is older than what its receiver has
 * accepted last (PAWS, RFC 7323 section 5), and only if it has the ACK flag; a RST exactly where
 * its receiver stands; a SYN on a live flow when the server answers it. Everything else is counted
 * and changes nothing. An ACK may be ahead of captured data by one window behind the right edge:
 * captures reorder and lose. Further away both ends must speak of the same place.
 *
 * Connections with the same addresses and ports in different VLANs are different ones, as long as
 * both directions of each carry the same tag; so many of them as TRACK_VLANS_MAX.
 *
 * Order between the directions: bytes are shown behind those of the other direction that their
 * segment acknowledges, and behind both SYNs, whenever these are captured. If they are not within
 * hole_timeout_ns, they are given up.
 */
#ifndef CAPTURE_TRACK_H
#define CAPTURE_TRACK_H

#include "base/clock.h"
#include "decode.h"
#include "flow.h"
#include "base/siphash.h"

struct track;

/* Connections of this service are opened by either end (the data connections of FTP), and one that
 * is older than the box is not picked up. */
#define TRACK_SERVICE_EITHER_END 1u

/*
 * A handshake that gets no further, or a connection of which one end alone was heard: a little
 * longer, 63 s, Linux itself keeps one it has answered (tcp_synack_retries 5), counted from its
 * last segment. idle_timeout_ns, if that is shorter.
 */
#define TRACK_HALF_OPEN_NS (60 * NS_PER_S)

/* What capture interfaces may be apart: hardly more than a second of a download at 10 MB/s waits.
 */
#define TRACK_HOLE_TIMEOUT_NS (500 * NS_PER_MS)

/* VLANs in which the same addresses and ports are told apart: each costs all of them a look. */
#define TRACK_VLANS_MAX 16

struct track_config {
	uint32_t max_flows;      /* ceiling of the table */
	size_t buffer_max;       /* bytes all streams together may hold */
	size_t stream_max;       /* bytes one direction may hold (log and held ranges) */
	int64_t idle_timeout_ns; /* flows silent for so long, or 1/16 longer, are dropped; 0: never
				  */
	/* An acknowledged hole older than this is declared a gap; what was seen before its cause
	 * waits no longer than this. */
	int64_t hole_timeout_ns;
	struct siphash_key key; /* random for the live box, fixed in tests */
	/* Protected services: exact address and port; port 0 = every port of the address, which
	 * is used when no service names the port. Copied. A flow's `service` is the index in this
	 * array. */
	const struct endpoint *services;
	uint32_t service_count;
	/* By service, TRACK_SERVICE_*; NULL: 0 for all. Copied. */
	const uint8_t *service_flags;
	/* Addresses whose connections are not tracked (the box's own probes). Copied. */
	const struct netaddr *ignore_clients;
	uint32_t ignore_count;
};

enum track_close {
	TRACK_CLOSE_FIN,     /* both directions finished and acknowledged */
	TRACK_CLOSE_RST,     /* a valid RST of either side */
	TRACK_CLOSE_TIMEOUT, /* idle_timeout_ns */
	TRACK_CLOSE_REUSED,  /* a new SYN on the same 4-tuple, which the server answered */
	TRACK_CLOSE_EVICTED, /* the table was full: the longest silent half-open flow went */
	TRACK_CLOSE_DROPPED, /* track_drop() or track_free() */
};

/* What track tells its owner, synchronously, from track_segment() and the calls below. */
struct track_sink {
	/* A new flow (state SYN_SENT, or midstream). */
	void (*open)(void *ctx, struct flow *f);
	/*
	 * In-order bytes of one direction, each byte exactly once. The view is valid
	 * during the call. The callee says what must stay readable with track_keep_from().
	 */
	void (*data)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes b);
	/* [from, to) was lost by the capture; data goes on at `to`. */
	void (*gap)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to);
	/* All data of a direction was delivered and its FIN is in order at @off. Once. */
	void (*fin)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off);
	/* Anything of the flow changed that the store should know (once per segment). */
	void (*changed)(void *ctx, struct flow *f);
	/* The flow is about to be freed: drop `user`, leave the dirty list. */
	void (*close)(void *ctx, struct flow *f, enum track_close why);
};
/* A callback may be NULL. From within one, only track_keep_from() and track_log() are allowed. */

struct track_stats {
	uint64_t segments; /* accepted into a flow */
	uint64_t ignored;  /* not of a protected service, of an ignored client, of no flow */
	uint64_t flows_opened, flows_closed;
	uint64_t flows_midstream; /* of the opened: established without both SYNs seen */
	uint64_t flows_inferred;  /* of these: their options became known */
	uint64_t table_full;      /* new flows not tracked: ceiling */
	uint64_t evicted;         /* half-open ones that made room for new ones */
	uint64_t gaps[2], gap_bytes[2];
	uint64_t out_of_order[2], retransmits[2];
	uint64_t ambiguous[2]; /* copies of bytes that differ from those before them */
	uint64_t waited[2];    /* segments that were seen before their cause, and waited for it */
	uint64_t wait_refused[2]; /* of these: no room to wait, so their cause was given up */
	uint64_t buffer_refused;  /* bytes not kept: a ceiling */
	uint64_t bad_rst;   /* RST not exactly where its receiver stands: not believed (RFC 5961) */
	uint64_t other_mac; /* for another receiver: set aside, or nothing (track-mac.c) */
	uint64_t no_ack;    /* neither SYN nor RST nor ACK: its receiver drops it */
	uint64_t bad_seq;   /* segments far outside any window, or old duplicates by their
			       timestamp: not believed */
};

/* NULL on lack of memory. @sink is copied, @ctx handed to each callback. */
struct track *track_new(const struct track_config *cfg, const struct track_sink *sink, void *ctx);
void track_free(struct track *t); /* closes all flows first; NULL is fine */

/*
 * One segment. Its time must not run backwards by more than reordering between
 * queues does; the highest seen is "now". Returns the flow it belonged to (still
 * valid), or NULL when there was none or it was closed by the segment.
 */
struct flow *track_segment(struct track *t, const struct segment *s);

/*
 * A fragment between these addresses: marks the flows concerned, within 10 ms of
 * track time, at the next tick, or when one is settled (all flows are looked at, once
 * for many fragments).
 */
void track_fragment(struct track *t, const struct segment *s);

/* Capture loss: marks every live flow FLOW_MARK_CAPTURE_DROPS. */
void track_capture_drops(struct track *t);

/* Time passes without packets: idle flows and old acknowledged holes are dealt with. */
void track_tick(struct track *t, int64_t now_ns);

/* No byte is asked for: the state of each direction until the first track_keep_from(). */
#define TRACK_KEEP_NOTHING UINT64_MAX

/*
 * The log of @dir is needed from @off on: these bytes and all that follow them,
 * in later chunks too, until a later call asks from further on. @off is at most
 * the end of the bytes shown so far; so who needs nothing but may need more
 * later asks from the end of each chunk (it costs no copy), who never will says
 * TRACK_KEEP_NOTHING. A byte that is not asked for when the data callback showing
 * it returns is forgotten; asking for it later has no effect.
 * [FLOW_TO_CLIENT] additionally always holds what the client has not acknowledged.
 */
void track_keep_from(struct track *t, struct flow *f, enum flow_dir dir, uint64_t off);

/* Contiguous view of a log: see stream_view(). The chunk being shown is not in it yet. */
struct bytes track_log(const struct flow *f, enum flow_dir dir, uint64_t off);

/* The same log as a span, lent until @f is next changed. Not from within a callback. */
struct span track_span(const struct flow *f, enum flow_dir dir);

/*
 * Declares every acknowledged hole of @f a gap now, whatever its age: called
 * before a snapshot is taken, when no more of the old server's packets can come.
 */
void track_settle(struct track *t, struct flow *f);

/* From now on the client's next segment sets probe_answered. */
void track_probe_begin(struct flow *f);

/*
 * A flow of @to, whose services are the same, that is like @f of another tracker, with
 * memory of its own; `user` is what the open callback, which is called, made it. What happens
 * to it then does not touch @f. NULL: a ceiling of @to, or no memory.
 */
struct flow *track_clone(struct track *to, const struct flow *f);

/* Flows in no particular order; the callback may track_drop() the flow it is given. */
void track_each(struct track *t, void (*fn)(void *ctx, struct flow *f), void *ctx);
/*
 * The same in parts of at most @count looks, for who must not stop the packets for
 * long: first with @from 0, then with what was returned, until that is 0. A flow that
 * lives throughout is seen exactly once, others at most once.
 */
uint32_t track_each_part(struct track *t, uint32_t from, uint32_t count,
			 void (*fn)(void *ctx, struct flow *f), void *ctx);
struct flow *track_find(const struct track *t, const struct endpoint *server,
			const struct endpoint *client);
/* One of track_config.ignore_clients. */
bool track_ignores(const struct track *t, const struct netaddr *client);
/* The next of them, if track_find() found one of several: in other VLANs. */
struct flow *track_twin(const struct track *t, const struct flow *f);
void track_drop(struct track *t, struct flow *f);

uint32_t track_count(const struct track *t);      /* flows in the table */
uint32_t track_live_count(const struct track *t); /* of them live and not midstream */
const struct track_stats *track_stats(const struct track *t);
const struct pool *track_pool(const struct track *t);

#endif
