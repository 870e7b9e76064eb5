/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flow: what the box knows about one TCP connection to a protected service: all that is needed to
 * become the server in the middle of it.
 *
 * Owned by the flow table of one worker (track.h), and changed only by that worker. The callbacks
 * of struct track_sink may read all of it and may write only `user`.
 *
 * Offsets: see stream.h. Offset -1 is the SYN. Offset `o` of a direction has the wire sequence
 * number isn + 1 + o (modulo 2^32).
 */
#ifndef CAPTURE_FLOW_H
#define CAPTURE_FLOW_H

#include <stdbool.h>
#include <stdint.h>

#include "infer.h"
#include "base/list.h"
#include "base/netaddr.h"
#include "path.h"
#include "stream.h"

/* Index of every two-element array below. The numbers are those of the module SDK. */
enum flow_dir {
	FLOW_TO_SERVER = 0,
	FLOW_TO_CLIENT = 1,
};

enum flow_state {
	FLOW_SYN_SENT,    /* the client's SYN was seen, without an answer: not live */
	FLOW_SYN_RCVD,    /* the server's SYN-ACK was seen, but not the client's ACK */
	FLOW_ESTABLISHED, /* both directions are open, or one has finished, see fin_seen */
	FLOW_CLOSED,      /* reset, or both FINs are acknowledged: will be removed */
	FLOW_STATE_COUNT_,
};

/* What makes a connection doubtful, as bits of flow.marks. flow_mark_name() has the names. */
enum flow_mark {
	FLOW_MARK_MIDSTREAM = 1 << 0,     /* SYN or SYN-ACK not seen: options unknown */
	FLOW_MARK_MPTCP = 1 << 1,         /* both SYNs had MPTCP */
	FLOW_MARK_MD5_AO = 1 << 2,        /* TCP MD5 or TCP-AO signatures */
	FLOW_MARK_TFO_DATA = 1 << 3,      /* data in the SYN */
	FLOW_MARK_URGENT = 1 << 4,        /* urgent data seen */
	FLOW_MARK_TRUNCATED = 1 << 5,     /* the capture cut payload of this connection */
	FLOW_MARK_FRAGMENT = 1 << 6,      /* IP fragments between these addresses */
	FLOW_MARK_GAP_TO_SERVER = 1 << 7, /* bytes of the client were lost by the capture */
	FLOW_MARK_GAP_TO_CLIENT = 1 << 8, /* bytes of the server were lost by the capture */
	FLOW_MARK_LOG_CEILING = 1 << 9,   /* a buffer ceiling has shortened the log */
	FLOW_MARK_ECN = 1 << 10,          /* ECN was negotiated (not a fault) */
	FLOW_MARK_CAPTURE_DROPS = 1
				  << 11, /* the ring dropped packets while it lived (not a fault) */
	FLOW_MARK_BAD_OPTIONS = 1 << 12, /* malformed options in a handshake segment */
	/* Midstream, but its options were inferred (not a fault). */
	FLOW_MARK_INFERRED = 1 << 13,
	/* Two copies of the same bytes differed, see stream.doubt_from. */
	FLOW_MARK_AMBIGUOUS_TO_SERVER = 1 << 14,
	FLOW_MARK_AMBIGUOUS_TO_CLIENT = 1 << 15,
};

/* The options in one end's SYN. */
struct flow_syn_options {
	bool seen;
	uint16_t mss;   /* 0: the option is absent */
	uint8_t wscale; /* at most 14; 0 if the option is absent */
	bool wscale_present;
	bool sack, timestamp;
	bool mptcp, ecn; /* ecn: asked for in a SYN, agreed to in a SYN-ACK */
};

/* What a segment says about the other direction. */
struct flow_ack {
	bool seen;
	bool syn; /* its window is never scaled */
	uint16_t window;
	uint32_t seq, ack;
};

struct segment;
struct flow_aside;
struct track_later;
struct track_pass;

#define FLOW_MACS 2 /* routers may take turns */

/* The bytes from @from on, up to the next entry, were sent when @need bytes of the other
 * direction (counting its FIN) had been received. */
struct flow_need {
	uint64_t from, need;
};

struct flow_needs {
	uint32_t first, end, room; /* indices in v */
	struct flow_need v[];
};

/*
 * In the order of use, not of sense: what each segment is held against comes first, what is asked
 * for once in a while last, so that a segment touches few cache lines.
 */
struct flow {
	struct endpoint server, client;
	uint16_t service; /* index in track_config.services */
	uint8_t state;    /* enum flow_state */
	bool vlan_present;
	uint16_t vlan_tci;
	/* By direction: the VLAN of the segments, 0: none; and whether any was seen. If both
	 * VLANs are the same, connections with the same addresses and ports in other VLANs are
	 * other connections. */
	uint16_t vlan[2];
	bool vlan_seen[2];
	uint16_t marks; /* enum flow_mark */
	/* FIN of each direction: its offset, fin_off, is the end of data; the FIN takes one more
	 * number. */
	bool fin_seen[2], fin_acked[2];
	bool ts_ok; /* timestamps agreed in the handshake */
	/* Set by track_probe_begin(); answered once the client sent any segment after it. */
	bool probe_wanted, probe_answered;
	/* Under FLOW_MARK_CAPTURE_DROPS, by direction: its sender has said, after the last of them,
	 * that it had sent nothing behind what was captured. */
	bool told_since_drops[2];
	bool may_fragment; /* of the server's last packet with data: IPv4 without DF */
	uint8_t ttl, tos;  /* of the server's last packet */

	uint32_t isn[2]; /* [FLOW_TO_SERVER]: the client's initial sequence number */
	/* Highest offset acknowledged: acked[FLOW_TO_CLIENT] is the server's SND.UNA as the
	 * client told it; acked[FLOW_TO_SERVER] is the server's RCV.NXT as the server told it. */
	uint64_t acked[2];
	/* Picked up from data alone: what follows about its options; NULL otherwise. */
	struct infer *infer;
	void *user;            /* the caller's: module state and the like */
	uint8_t client_mac[6]; /* source of the client's frames: the client, or the router to it */
	uint8_t server_mac[6];
	struct flow_syn_options
		syn[2]; /* same index as isn: [FLOW_TO_SERVER] is what the client offered */

	/* Windows in bytes, scaled. [FLOW_TO_CLIENT] is what the client advertised: it limits
	 * the server. */
	uint32_t window[2], window_max[2];
	uint32_t window_seq[2]; /* wire seq of the segment that set window (SND.WL1) */
	/* Highest right edge (ack + window) ever advertised, as an offset in the direction that
	 * it limits. [FLOW_TO_SERVER]: up to where the server let the client send. */
	uint64_t edge[2];
	uint64_t fin_off[2];

	uint32_t tsval[2];   /* newest TSval of each sender, [FLOW_TO_CLIENT] = the server's */
	int64_t tsval_ns[2]; /* capture time of its first appearance; 0: none seen */
	int64_t last_ns[2];  /* capture times; last_ns per sender's direction */
	uint64_t packets[2];
	struct list dirty; /* caller's list of flows changed since the last store flush */

	struct stream stream[2];
	struct path path; /* of the server's segments */

	/* Private to track, up to reuse_syn. */
	bool isn_known[2];
	bool resync[2]; /* capture loss: believe the next segment wherever it is */
	bool window_seen[2];
	bool waiting;                 /* something does: see needs, wait_since_ns */
	bool put_off;                 /* what is said may be shown later (track-later.c) */
	bool pass_over;               /* no bytes pass unread any more (track-pass.c) */
	bool half_alone;              /* the other SYN is not waited for any more */
	bool counted_live, half_open; /* the latter: which list lru is of */
	bool twin; /* another one has or had the same addresses and ports, in another VLAN */
	bool fin_shown[2]; /* the fin callback was called */
	/* Where frames of each direction go that their receiver gets (track-mac.c), and what went
	 * to another one. */
	uint8_t mac_count[2], mac[2][FLOW_MACS][6];
	struct flow_aside *aside[2];
	struct track_later *later; /* what was put off; NULL: nothing */
	struct track_pass *pass;   /* what passes unread; NULL: nothing */
	uint32_t window_ack[2];    /* SND.WL2 beside window_seq */
	uint32_t ts_recent[2];     /* TS.Recent of each sender's peer (RFC 7323 section 4.3) ... */
	int64_t ts_recent_ns[2];   /* ... since when; 0: none */
	uint32_t ts_before[2];     /* ... and the one before it: in force until it has aged */
	struct list hole;          /* flows with an acknowledged hole: see hole_since_ns */
	int64_t lru_ns;            /* the last time it was put to the end of lru */
	uint64_t keep_asked[2];    /* track_keep_from(), TRACK_KEEP_NOTHING at first */
	uint64_t log_end[2];       /* while bytes are shown: where the log ends for the callee */
	/* The client's ACK was captured before the SYN-ACK: the first, and the newest. */
	struct flow_ack early, early_last;

	uint64_t hash;
	struct list lru;          /* by lru_ns */
	int64_t hole_since_ns[2]; /* since when `next` stands before an acknowledged hole; 0: none
				   */
	/* What was seen before its cause waits (track-wait.c). */
	struct flow_needs *needs[2]; /* sorted; counted in the pool; NULL: none */
	int64_t wait_since_ns[2];    /* the bytes at `next` are there and wait; 0: they do not */
	int64_t far[2][2]; /* where only its sender, and where only its receiver, says to be */
	struct segment *reuse_syn; /* a new SYN on a live flow, until the server answers it */

	/* The byte before acked[FLOW_TO_CLIENT], if it was captured: acked_byte_end is the
	 * offset behind it, 0 when none was. A probe that carries it is always answered. */
	uint8_t acked_byte;
	uint64_t acked_byte_end;
	/* End of the furthest bytes the client holds behind a hole, as its newest ACK said
	 * (SACK); 0: it holds none, or does not say. */
	uint64_t sacked_to;
	uint32_t tsval_first; /* first TSval of the server and its time: gives its clock rate */
	uint32_t id;          /* unique in its worker; never 0 */
	int64_t tsval_first_ns;
	int64_t opened_ns;       /* capture time */
	uint64_t retransmits[2]; /* segments with nothing new in them but old data */
	/* After track_probe_begin(): how far the client says it has sent, its FIN counted, as an
	 * offset of FLOW_TO_SERVER; and where the captured bytes of it ended when it was asked. */
	uint64_t probe_said, probe_from;
	/* The furthest segment without data of it: there the client's next byte goes; -1: none. */
	int64_t probe_stands;
};

/* Whether a client may be waiting on the connection. */
static inline bool flow_is_live(const struct flow *f)
{
	return f->state == FLOW_SYN_RCVD || f->state == FLOW_ESTABLISHED;
}

/* After track_probe_begin() the client has sent another SYN and no answer: it does not know this
 * connection any more. If it has answered, the SYN is somebody else's. */
static inline bool flow_began_anew(const struct flow *f)
{
	return f->probe_wanted && f->reuse_syn && !f->probe_answered;
}

static inline uint32_t flow_seq(const struct flow *f, enum flow_dir dir, uint64_t off)
{
	return f->isn[dir] + 1 + (uint32_t)off;
}

/*
 * Whether the client says in its answer to the probe that it has sent more than was captured, and
 * none of that has come since. The old server may have acknowledged it, unseen: then it never
 * comes. The first missing byte proves that the client still has it, and all that follow.
 */
static inline bool flow_client_owes(const struct flow *f)
{
	const struct stream *s = &f->stream[FLOW_TO_SERVER];
	bool fin = f->fin_seen[FLOW_TO_SERVER] && f->fin_off[FLOW_TO_SERVER] == s->next;

	return f->probe_answered && s->next == f->probe_from && f->probe_said > s->next + fin;
}

/* Whether the client says in its answer that it has sent less than was captured: some of the
 * captured bytes are not its own. (A keep-alive is one byte before.) */
static inline bool flow_client_disowns(const struct flow *f)
{
	return f->probe_answered && f->probe_stands >= 0 &&
	       (uint64_t)f->probe_stands + 1 < f->probe_from;
}

/* Ticks per second of the server's TSval clock: 1000, 250, 100 or 1000000; 0: not known yet. */
uint32_t flow_ts_hz(const struct flow *f);

const char *flow_state_name(enum flow_state s);
/* The name of the lowest bit of @mark: "midstream", "mptcp" ... */
const char *flow_mark_name(enum flow_mark mark);

#endif
