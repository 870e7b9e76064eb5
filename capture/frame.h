/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * frame: one captured frame as a source (ring or capture file) hands it out.
 *
 * A frame is a borrowed view: valid only during the callback that delivers it.
 * Whoever needs a byte longer copies it.
 */
#ifndef CAPTURE_FRAME_H
#define CAPTURE_FRAME_H

#include <stdbool.h>
#include <stdint.h>

#include "base/bytes.h"

/* Link types, with the numbers of the pcap file format (LINKTYPE_*). */
enum frame_link {
	FRAME_LINK_NULL = 0,
	FRAME_LINK_ETHERNET = 1,
	FRAME_LINK_RAW = 101,
	FRAME_LINK_RAW_OLD = 12,
	FRAME_LINK_LOOP = 108,
	FRAME_LINK_SLL = 113,
	FRAME_LINK_IPV4 = 228,
	FRAME_LINK_IPV6 = 229,
	FRAME_LINK_SLL2 = 276,
};

/* What the source knows of the checksums of a frame. */
enum frame_sum {
	FRAME_SUM_ON_WIRE = 0, /* nothing: they are what was on the wire, and to be tested */
	FRAME_SUM_TESTED,      /* the NIC has found that of TCP right */
	FRAME_SUM_OPEN, /* a sender on this host, or GRO after its test, left that of TCP open */
	FRAME_SUM_FILE, /* of a capture file: perhaps left to a NIC behind the capture */
};

struct frame {
	struct bytes data; /* captured bytes, from the link header on */
	uint32_t wire_len; /* length on the wire; > data.n when the capture cut it */
	int64_t time_ns;   /* CLOCK_REALTIME of capture */
	uint16_t link;     /* enum frame_link */
	uint16_t vlan_tci; /* outer tag, when the kernel moved it to the metadata */
	bool vlan_present; /* vlan_tci is valid */
	bool outgoing;     /* sent by this host (PACKET_OUTGOING) */
	uint8_t sum;       /* enum frame_sum */
	/* Payload of each TCP segment in it but the last, where the source says that it is several
	 * in one (GRO, TSO); else 0. */
	uint16_t piece;
};

/* 0 to go on; anything else stops the source, which returns it. */
typedef int (*frame_fn)(void *ctx, const struct frame *f);

#endif
