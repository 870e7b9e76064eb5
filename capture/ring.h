/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring: a TPACKET_V3 receive ring on one interface.
 *
 * Blocks are leases: frames are parsed in place and the block goes back to the
 * kernel when the callback has seen all of them. All rings of one group share
 * the traffic by PACKET_FANOUT_HASH (with DEFRAG): both directions of a flow
 * meet in the same ring. The in-kernel filter passes what may be TCP over IPv4 or
 * IPv6 from and to the protected addresses (with and without VLAN tag), nothing else.
 * Nobody needs the rest, and UDP in pieces (UDP_SEGMENT: QUIC) makes blocks unreadable
 * on Linux 6.1, where PACKET_VNET_HDR has no word for it.
 *
 * Socket calls are in ring-sys.c so that tests can replace them.
 */
#ifndef CAPTURE_RING_H
#define CAPTURE_RING_H

#include <stdbool.h>
#include <stdint.h>

#include "frame.h"
#include "base/netaddr.h"

/*
 * The kernel hands a block over when the next frame does not fit, or after the timeout if it has
 * frames. With little traffic the number of blocks is used up first. So blocks are many, and just
 * large enough for any frame that offloading makes.
 */
#define RING_BLOCK_DEFAULT ((size_t)128 << 10)
#define RING_RETIRE_MS     2

struct ring;

struct ring_config {
	const char *interface;
	size_t ring_bytes;  /* rounded down to whole blocks, at least 4 */
	size_t block_bytes; /* a power of two; 0: RING_BLOCK_DEFAULT */
	uint32_t retire_ms; /* timeout of a block, which is the latency; 0: RING_RETIRE_MS */
	/* The same for all rings of an interface; joined if fanout_size > 1. */
	uint16_t fanout_group;
	uint16_t fanout_size;
	bool promiscuous;
	bool ignore_outgoing;            /* frames sent by this host are not delivered */
	const struct netaddr *addresses; /* protected addresses; empty: no filter, every packet */
	uint32_t address_count;
	bool shut; /* opened with a filter that passes nothing, until ring_listen() */
};

struct ring_stats {
	uint64_t packets;   /* seen by the ring */
	uint64_t drops;     /* lost because the ring was full */
	uint64_t freezes;   /* how often the ring became full */
	uint64_t truncated; /* frames that did not fit into a block */
};

/*
 * Opens a ring. Returns 0 or a negative errno; *ret_where names the step that failed ("bind",
 * "mmap" ...), static text.
 */
int ring_open(const struct ring_config *cfg, struct ring **ret, const char **ret_where);
struct ring *ring_close(struct ring *r); /* NULL is fine; returns NULL */

/* The descriptor to poll for POLLIN. */
int ring_fd(const struct ring *r);

/*
 * Changes the filter to these addresses; @count 0: it passes nothing. Returns 0 or a negative
 * errno; then the filter is as before.
 */
int ring_listen(struct ring *r, const struct netaddr *addresses, uint32_t count);

/*
 * Delivers the frames of all ready blocks, at most @max_blocks, without waiting. Returns the number
 * of blocks, or a negative errno (-ENETDOWN: the interface went down or away). After a callback
 * that returned nonzero, reading ends with that block.
 */
int ring_read(struct ring *r, uint32_t max_blocks, frame_fn fn, void *ctx);

/*
 * Whether a block is ready. *ret_ns is the time of its last frame (CLOCK_REALTIME, like all frame
 * times).
 */
bool ring_peek(const struct ring *r, int64_t *ret_ns);

/*
 * Whether the last block that was read was full, and none is left. Then the next block will be full
 * soon. A reader that looks again after a millisecond finds several, and is not woken for each.
 */
bool ring_is_busy(const struct ring *r);

/*
 * How long a ring of @ring_bytes keeps unread frames, at least, when @bytes_per_s arrive. Allows
 * for frames of half a block, which leave half of it empty.
 */
int64_t ring_keeps_ns(size_t ring_bytes, uint64_t bytes_per_s);

/* Adds what the kernel has counted since the last call. Returns 0 or a negative errno. */
int ring_stats(struct ring *r, struct ring_stats *io);

#endif
