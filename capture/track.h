/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * track: the flow table and TCP state of one worker.
 *
 * Pure: segments and their capture time go in, callbacks come out. The live ring, the dry run, the
 * tests and the fuzzer run the same code. One struct track per worker thread, without locks.
 *
 * Orientation: a flow is opened when the destination of a SYN is a protected service; with
 * TRACK_SERVICE_EITHER_END also when the source is. A segment with payload of a connection whose
 * handshake was not seen opens a flow marked FLOW_MARK_MIDSTREAM, whose first byte has offset 0. It
 * is followed completely. When enough of its options can be inferred (infer.h), the mark becomes
 * FLOW_MARK_INFERRED; it changes back if the evidence turns out to be wrong. If only one of the two
 * SYNs was seen, the flow is marked too, and followed completely. The other SYN may come late and
 * clears the mark. The last packets of a connection that has just closed do not open a flow.
 *
 * What is believed (RFC 9293 section 3.10.7, RFC 5961): a segment that starts no further than one
 * window beyond the right edge advertised by its receiver. Its ACK must not be older than one
 * window, its timestamp not older than what the receiver accepted last (PAWS, RFC 7323 section 5),
 * and it must have the ACK flag. A RST is believed exactly where its receiver stands, a SYN on a
 * live flow when the server answers it. Everything else is counted and changes nothing. An ACK may
 * be ahead of captured data by one window beyond the right edge, because captures reorder and lose.
 * Further away both ends must speak of the same place.
 *
 * Connections with the same addresses and ports in different VLANs are different connections, if
 * both directions of each have the same tag. Up to TRACK_VLANS_MAX of them are told apart.
 *
 * Order between the directions: bytes are shown after those of the other direction that their
 * segment acknowledges, and after both SYNs, if these are captured. What is not captured within
 * hole_timeout_ns is given up.
 */
#ifndef CAPTURE_TRACK_H
#define CAPTURE_TRACK_H

#include "base/clock.h"
#include "decode.h"
#include "flow.h"
#include "base/siphash.h"

struct track;

/* Either end opens connections of this service (FTP data connections). Those whose handshake was
 * not seen are not picked up. */
#define TRACK_SERVICE_EITHER_END 1u

/*
 * How long a flow is kept whose handshake does not proceed, or on which only one end was heard.
 * Linux keeps one that it has answered slightly longer, 63 s (tcp_synack_retries 5), from its last
 * segment on. If idle_timeout_ns is shorter, that counts.
 */
#define TRACK_HALF_OPEN_NS (60 * NS_PER_S)

/* By how much capture interfaces may be apart: hardly more than a second's bytes of a download
 * at 10 MB/s wait. */
#define TRACK_HOLE_TIMEOUT_NS (500 * NS_PER_MS)

/*
 * VLANs with the same addresses and ports that are told apart. With each, every look-up takes
 * longer.
 */
#define TRACK_VLANS_MAX 16

struct track_config {
	uint32_t max_flows; /* ceiling of the table */
	size_t buffer_max;  /* ceiling of the bytes that all streams hold */
	/* Ceiling of the bytes that one direction holds (log and held ranges). */
	size_t stream_max;
	int64_t idle_timeout_ns; /* flows are dropped after this silence, or 1/16 more; 0: never */
	/* An acknowledged hole that is older than this is declared a gap. Bytes that were seen
	 * before their cause wait no longer than this. */
	int64_t hole_timeout_ns;
	struct siphash_key key; /* random for the live box, fixed in tests */
	/* Protected services: an address and a port. Port 0 means every port of the address for
	 * which there is no other service. Copied. A flow's `service` is the index in this
	 * array. */
	const struct endpoint *services;
	uint32_t service_count;
	/* By service: TRACK_SERVICE_*. NULL: 0 for all. Copied. */
	const uint8_t *service_flags;
	/* Clients whose connections are not tracked: the box's own addresses. Copied. */
	const struct netaddr *ignore_clients;
	uint32_t ignore_count;
};

enum track_close {
	TRACK_CLOSE_FIN,     /* both directions have finished and are acknowledged */
	TRACK_CLOSE_RST,     /* a valid RST of either side */
	TRACK_CLOSE_TIMEOUT, /* idle_timeout_ns */
	TRACK_CLOSE_REUSED,  /* the server has answered a new SYN on the same 4-tuple */
	TRACK_CLOSE_EVICTED, /* the table was full: the half-open flow that was silent longest */
	TRACK_CLOSE_DROPPED, /* track_drop() or track_free() */
};

/* Callbacks to the owner, made within track_segment() and the calls below. */
struct track_sink {
	/* A new flow, in state SYN_SENT or picked up. */
	void (*open)(void *ctx, struct flow *f);
	/*
	 * In-order bytes of one direction, each byte exactly once. The view is valid during the
	 * call. The callee calls track_keep_from() for bytes that must stay readable. None: those
	 * before @off have passed, see track_pass().
	 */
	void (*data)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes b);
	/* The capture has lost [from, to). Data goes on at `to`. */
	void (*gap)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to);
	/* All data of a direction was shown, and its FIN is at @off. Called once. */
	void (*fin)(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off);
	/* Something has changed that the store should know. Called once per segment. */
	void (*changed)(void *ctx, struct flow *f);
	/* The flow is about to be freed: free `user`, and leave the dirty list. */
	void (*close)(void *ctx, struct flow *f, enum track_close why);
};
/* Callbacks may be NULL. Within one only track_keep_from() and track_log() may be called. */

struct track_stats {
	uint64_t segments; /* accepted for a flow */
	uint64_t ignored;  /* of no protected service, of an ignored client, or of no flow */
	uint64_t flows_opened, flows_closed;
	uint64_t flows_midstream; /* opened without both SYNs */
	uint64_t flows_inferred;  /* of these: the options were inferred */
	uint64_t table_full;      /* new flows that were not tracked: the ceiling */
	uint64_t evicted;         /* half-open flows that were removed for new ones */
	uint64_t gaps[2], gap_bytes[2];
	uint64_t out_of_order[2], retransmits[2];
	uint64_t ambiguous[2];    /* copies of bytes that differ from the first copy */
	uint64_t waited[2];       /* segments that were seen before their cause, and waited */
	uint64_t wait_refused[2]; /* of these: there was no room, so the cause was given up */
	uint64_t buffer_refused;  /* bytes that were not kept: a ceiling */
	uint64_t bad_rst;         /* RST that is not exactly where its receiver stands (RFC 5961) */
	uint64_t other_mac; /* addressed to another receiver: set aside or dropped (track-mac.c) */
	uint64_t no_ack;    /* without SYN, RST and ACK: the receiver drops it */
	uint64_t bad_seq;   /* far outside any window, or an old duplicate by its timestamp */
};

/* Returns NULL without memory. @sink is copied; @ctx is passed to each callback. */
struct track *track_new(const struct track_config *cfg, const struct track_sink *sink, void *ctx);
void track_free(struct track *t); /* closes all flows first; NULL is fine */

/*
 * Takes one segment. Its time must not go back further than queues reorder; the highest time seen
 * is "now". Returns the segment's flow, which is still valid; NULL: there was none, or the segment
 * has closed it.
 */
struct flow *track_segment(struct track *t, const struct segment *s);

/*
 * From here on payloads of segments stay where they are until track_repay(), so logs may leave
 * bytes in them (loan.h). Called once. Returns 0 or -ENOMEM.
 */
int track_borrow(struct track *t);
/* All payloads so far may go when this returns. */
void track_repay(struct track *t);

/* Where the payloads of segments come from, if that can be read again. */
struct track_source {
	/* Where @p is, a payload of the segment that is being taken. False: it is not of there. */
	bool (*where)(void *ctx, const uint8_t *p, uint64_t *ret);
	/* Reads @n bytes from there. Returns 0, or not; then the owner knows why. */
	int (*read)(void *ctx, uint64_t at, uint8_t *to, size_t n);
	void *ctx;
};
/* From here on bytes may pass unread. Called once. */
void track_read_again(struct track *t, const struct track_source *s);

/*
 * Takes an IP fragment. Its flows are marked within 10 ms of track time, at the next tick, or when
 * one of them is settled; then all flows are visited once for many fragments.
 */
void track_fragment(struct track *t, const struct segment *s);

/*
 * The capture has lost packets, the last of them before @now_ns (of the clock of segments): marks
 * every live flow with FLOW_MARK_CAPTURE_DROPS.
 */
void track_capture_drops(struct track *t, int64_t now_ns);

/* Time passes without packets: handles idle flows and old acknowledged holes. */
void track_tick(struct track *t, int64_t now_ns);

/* No byte is needed: the state of each direction before the first track_keep_from(). */
#define TRACK_KEEP_NOTHING UINT64_MAX

/*
 * Says that the log of @dir is needed from @off on, with all bytes that follow, until a later call
 * says otherwise. @off is at most the end of the bytes shown so far. A caller that needs nothing
 * now but may later asks from the end of each chunk, which costs no copy. One that never will
 * passes TRACK_KEEP_NOTHING. A byte that is not asked for when its data callback returns is dropped
 * for good. [FLOW_TO_CLIENT] also holds what the client has not acknowledged.
 */
void track_keep_from(struct track *t, struct flow *f, enum flow_dir dir, uint64_t off);

/* A contiguous view of a log, see stream_view(). The chunk being shown is not in it yet. */
struct bytes track_log(const struct flow *f, enum flow_dir dir, uint64_t off);

/* The same log as a span, lent until @f changes. Not to be called in a callback. */
struct span track_span(const struct flow *f, enum flow_dir dir);

/*
 * Allows that what is said on @f is shown later than it is seen. To be called in the open callback,
 * or when the first bytes are shown: then these are shown again, at once or later, and what was
 * asked to be kept is forgotten. Up to TRACK_LATER_BYTES stay in the logs, for TRACK_LATER_NS, and
 * are then shown in the same order, with the same times in last_ns, each piece whole or in several
 * parts. A connection that ends before is shown none of it. In anything but plain order there is
 * nothing to put off: before a gap, an old byte that comes again, a hole or a ceiling all is shown.
 * Until then the logs are longer than was asked.
 */
void track_put_off(struct flow *f);
#define TRACK_LATER_BYTES 8192u /* of both directions together */
#define TRACK_LATER_NS    (200 * NS_PER_MS)
/* Shows now what was put off. From here on @f is shown everything at once. Not in a callback. */
void track_catch_up(struct track *t, struct flow *f);

/*
 * The caller, in a data callback, has no use for the bytes of @dir from @from, the end of what is
 * being shown, to @to, if all of them come: then it need not be shown them, but may be called once,
 * with none at @to. If anything else is to be shown before, or with track_catch_up(), it is shown
 * them first. What it asked to be kept stays, and so does what passes, to be read in the log.
 */
void track_pass(struct track *t, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to);
/* Whether anything can pass: there is a source. */
bool track_can_pass(const struct track *t);
/* Makes the log whole if bytes of it have passed. To be called before the log is read in a
 * callback; otherwise track_catch_up() does it. */
void track_recall(struct track *t, struct flow *f);

/*
 * Declares every acknowledged hole of @f a gap now. Called before a snapshot is made, when no more
 * of the old server's packets can come.
 */
void track_settle(struct track *t, struct flow *f);

/* From now on the client's next segment sets probe_answered. */
void track_probe_begin(struct flow *f);

/*
 * Makes a flow of @to, whose services are the same, as a copy of @f in another tracker, with memory
 * of its own. The open callback is called and sets `user`. Changes to the copy do not affect @f.
 * NULL: a ceiling of @to, or no memory.
 */
struct flow *track_clone(struct track *to, const struct flow *f);

/* Visits the flows in no particular order. The callback may track_drop() its flow. */
void track_each(struct track *t, void (*fn)(void *ctx, struct flow *f), void *ctx);
/*
 * The same in parts of at most @count places, for callers that must not stop the packets for long.
 * The first call passes @from 0, each further call the value returned, until that is 0. A flow that
 * lives all the time is visited exactly once, others at most once.
 */
uint32_t track_each_part(struct track *t, uint32_t from, uint32_t count,
			 void (*fn)(void *ctx, struct flow *f), void *ctx);
struct flow *track_find(const struct track *t, const struct endpoint *server,
			const struct endpoint *client);
/* Whether @client is one of track_config.ignore_clients. */
bool track_ignores(const struct track *t, const struct netaddr *client);
/* The next flow with the same addresses and ports, in another VLAN. */
struct flow *track_twin(const struct track *t, const struct flow *f);
void track_drop(struct track *t, struct flow *f);

uint32_t track_count(const struct track *t);      /* flows in the table */
uint32_t track_live_count(const struct track *t); /* live, and not picked up without options */
const struct track_stats *track_stats(const struct track *t);
const struct pool *track_pool(const struct track *t);

#endif
