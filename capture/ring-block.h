/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring-block: one TPACKET_V3 block as a row of frames. Pure; private to ring.
 *
 * The kernel writes blocks and is trusted with what it says of a packet, but no
 * offset is followed out of the block. Layout: Linux include/uapi/linux/if_packet.h,
 * Documentation/networking/packet_mmap.rst.
 */
#ifndef CAPTURE_RING_BLOCK_H
#define CAPTURE_RING_BLOCK_H

#include "frame.h"

enum ring_block_outcome {
	RING_BLOCK_DONE = 0,
	RING_BLOCK_STOPPED = 1, /* the callback asked to stop, but has seen the whole block */
};

/*
 * Delivers every frame of @block. Adds to *io_truncated the number of frames that did not fit into
 * the block. Returns RING_BLOCK_*, or -EBADMSG when an offset leaves the block; then the frames
 * before it were delivered.
 */
int ring_block_walk(struct bytes block, frame_fn fn, void *ctx, uint64_t *io_truncated);

#endif
