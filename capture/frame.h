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

/* What the source knows about the checksums of a frame. */
enum frame_sum {
	FRAME_SUM_ON_WIRE = 0, /* nothing: they were on the wire, and must be tested */
	FRAME_SUM_TESTED,      /* the NIC has tested the TCP checksum: it is right */
	/* The TCP checksum is not computed: by a sender on this host, or GRO after its test. */
	FRAME_SUM_OPEN,
	FRAME_SUM_FILE, /* from a capture file: perhaps left to a NIC behind the capture */
};

struct frame {
	struct bytes data; /* captured bytes, from the link header on */
	uint32_t wire_len; /* length on the wire; exceeds data.n when the capture cut the frame */
	int64_t time_ns;   /* CLOCK_REALTIME of capture */
	uint16_t link;     /* enum frame_link */
	uint16_t vlan_tci; /* outer tag, if the kernel has moved it to the metadata */
	bool vlan_present; /* vlan_tci is valid */
	bool outgoing;     /* sent by this host (PACKET_OUTGOING) */
	uint8_t sum;       /* enum frame_sum */
	/* If the source says that the frame is several TCP segments in one (GRO, TSO): the
	 * payload of each but the last. Otherwise 0. */
	uint16_t piece;
};

/* Returns 0 to go on. Any other value stops the source, which returns it. */
typedef int (*frame_fn)(void *ctx, const struct frame *f);

#endif
