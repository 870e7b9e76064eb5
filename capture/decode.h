/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * decode: converts a frame to a TCP segment. Pure: bytes in, values out.
 *
 * Understands Ethernet (802.1Q and 802.1ad tags, stacked; PPPoE session), Linux cooked v1/v2, BSD
 * null/loop, raw IP; IPv4 with options; IPv6 with hop-by-hop, routing and destination options
 * headers.
 *
 * Checksums (IPv4 header, TCP) are tested as the receiver does, unless the source of the frame
 * knows the result. It is stored in segment.sum. Nothing in a segment with a wrong sum may be
 * believed.
 *
 * A super-packet made by GRO/TSO is one long segment here: its payload may exceed any MSS. An IP
 * total length of 0 (BIG TCP, TSO on some drivers) means "as long as the frame". A frame that is
 * shorter on the wire than its IP packet claims is malformed: no receiver would have accepted it.
 */
#ifndef CAPTURE_DECODE_H
#define CAPTURE_DECODE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"
#include "frame.h"
#include "base/netaddr.h"

enum decode_outcome {
	DECODE_TCP = 0,     /* *ret is filled */
	DECODE_NOT_TCP = 1, /* another protocol */
	DECODE_FRAGMENT =
		2, /* part of a fragmented IP packet; addresses are filled, ports are not */
	DECODE_TRUNCATED = 3, /* the capture cut the frame within a header that is needed */
	DECODE_MALFORMED = 4, /* lengths contradict each other */
};

/* TCP flags as on the wire (RFC 9293 section 3.1, RFC 3168). */
enum tcp_flag {
	TCP_FIN = 0x01,
	TCP_SYN = 0x02,
	TCP_RST = 0x04,
	TCP_PSH = 0x08,
	TCP_ACK = 0x10,
	TCP_URG = 0x20,
	TCP_ECE = 0x40,
	TCP_CWR = 0x80,
};

/* The options of a segment, as bits of tcp_options.seen. */
enum tcp_option_bit {
	TCP_OPT_MSS = 1 << 0,
	TCP_OPT_WSCALE = 1 << 1,
	TCP_OPT_SACK_PERM = 1 << 2,
	TCP_OPT_SACK = 1 << 3,
	TCP_OPT_TIMESTAMP = 1 << 4,
	TCP_OPT_MPTCP = 1 << 5, /* kind 30, RFC 8684 */
	TCP_OPT_MD5 = 1 << 6,   /* kind 19, RFC 2385 */
	TCP_OPT_AO = 1 << 7,    /* kind 29, RFC 5925 */
	TCP_OPT_TFO = 1 << 8,   /* kind 34, RFC 7413 */
	/* The option area is malformed; options before the fault are valid. */
	TCP_OPT_BAD = 1 << 15,
};

struct tcp_options {
	uint16_t seen; /* enum tcp_option_bit */
	uint16_t mss;
	uint8_t wscale; /* as sent, may exceed 14 */
	uint32_t tsval, tsecr;
	uint32_t sack_high; /* TCP_OPT_SACK: the highest right edge of the blocks (RFC 2018) */
};

/* Result of the checksums' test. */
enum segment_sum {
	SEGMENT_SUM_RIGHT = 0,
	SEGMENT_SUM_OPEN,      /* not yet computed: a NIC behind the capture does that */
	SEGMENT_SUM_TRUNCATED, /* the capture cut the segment, so the sum cannot be tested */
	SEGMENT_SUM_WRONG,     /* the receiver drops the segment */
};

struct segment {
	struct endpoint src, dst;
	uint32_t seq, ack;
	uint16_t window; /* as on the wire, not scaled */
	uint8_t flags;
	uint8_t ttl;       /* or hop limit */
	uint8_t tos;       /* or traffic class */
	bool may_fragment; /* IPv4 without DF: a router may fragment the packet */
	bool vlan_present;
	uint16_t vlan_tci; /* outermost tag */
	bool mac_valid;    /* the two members below are valid: the frame is Ethernet */
	uint8_t src_mac[6], dst_mac[6];
	bool outgoing;
	uint8_t sum; /* enum segment_sum */
	struct tcp_options opt;
	uint16_t piece;       /* of the frame: the size of each of several segments, see frame.h */
	uint32_t payload_len; /* on the wire */
	/* Captured bytes; fewer than payload_len when the capture cut the frame. */
	struct bytes payload;
	int64_t time_ns; /* of the frame; a live worker converts it to CLOCK_MONOTONIC */
};

/* The VLAN of a segment; 0: none. A tag with a priority alone counts as none. */
static inline uint16_t segment_vlan(const struct segment *s)
{
	return s->vlan_present ? s->vlan_tci & 0xfff : 0;
}

/* Decodes a frame. On DECODE_TCP *ret is complete. On DECODE_FRAGMENT only the addresses, the
 * time and the sum (of the IP header) are valid. */
enum decode_outcome decode_frame(const struct frame *f, struct segment *ret);

/* Parses a TCP option area. Public for its fuzzer and tests only. */
void decode_tcp_options(struct bytes area, struct tcp_options *ret);

#endif
