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
 * A block goes to its reader when the next frame does not fit, or after the time-out if anything is
 * in it: with little traffic it is the number of blocks that ends first. So they are as small as
 * holds any frame that offloading makes, and they are many.
 */
#define RING_BLOCK_DEFAULT ((size_t)128 << 10)
#define RING_RETIRE_MS     2

struct ring;

struct ring_config {
	const char *interface;
	size_t ring_bytes;     /* rounded down to whole blocks, at least 4 */
	size_t block_bytes;    /* power of two; 0 means RING_BLOCK_DEFAULT */
	uint32_t retire_ms;    /* block time-out = delivery latency; 0 means RING_RETIRE_MS */
	uint16_t fanout_group; /* same for all rings of an interface; joined only if fanout_size > 1
				*/
	uint16_t fanout_size;
	bool promiscuous;
	bool ignore_outgoing;            /* what this host sends does not come */
	const struct netaddr *addresses; /* protected; empty list: no filter, every packet */
	uint32_t address_count;
	bool shut; /* opened with a filter that passes nothing, until ring_listen() */
};

struct ring_stats {
	uint64_t packets;   /* seen by the ring */
	uint64_t drops;     /* lost because the ring was full */
	uint64_t freezes;   /* times the ring was full */
	uint64_t truncated; /* frames longer than a block could hold */
};

/* 0 or negative errno; *ret_where names the step that failed ("bind", "mmap" ...), static text. */
int ring_open(const struct ring_config *cfg, struct ring **ret, const char **ret_where);
struct ring *ring_close(struct ring *r); /* NULL is fine; returns NULL */

/* To be polled for POLLIN. */
int ring_fd(const struct ring *r);

/*
 * From here on the ring hears of these addresses only; of none at all when @count is 0. 0 or
 * negative errno: what it heard before it goes on hearing.
 */
int ring_listen(struct ring *r, const struct netaddr *addresses, uint32_t count);

/*
 * Delivers the frames of all blocks that are ready, at most @max_blocks, without
 * waiting. Returns the number of blocks, or negative errno (-ENETDOWN: interface
 * went down or away). A callback that returns nonzero ends it after its block.
 */
int ring_read(struct ring *r, uint32_t max_blocks, frame_fn fn, void *ctx);

/* A block is ready; *ret_ns is when its last frame came (CLOCK_REALTIME, as frame times are). */
bool ring_peek(const struct ring *r, int64_t *ret_ns);

/*
 * The last block read was full, not timed out, and none is left: so the next one is full soon. Who
 * looks again in a millisecond finds several, instead of being woken for each.
 */
bool ring_is_busy(const struct ring *r);

/*
 * How long a ring of so many bytes keeps, at least, what its reader does not read, when
 * @bytes_per_s come in. Frames of half a block leave half of it empty; that is reckoned with.
 */
int64_t ring_keeps_ns(size_t ring_bytes, uint64_t bytes_per_s);

/* Adds what the kernel counted since the last call. 0 or negative errno. */
int ring_stats(struct ring *r, struct ring_stats *io);

#endif
