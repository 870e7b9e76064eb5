/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * ring-filter: the program that the kernel runs on each frame before a ring gets it (classic BPF).
 * Pure.
 *
 * It passes TCP from or to the addresses, and IPv6 with extension headers behind which TCP may be.
 * The frame may have one VLAN tag, or none. (The kernel moves the outermost tag to the metadata
 * before the filter runs; a second tag stays in the frame.)
 *
 * An address is found by binary search. libpcap compares with one address after the other, and
 * takes seconds to optimize hundreds of them.
 */
#ifndef CAPTURE_RING_FILTER_H
#define CAPTURE_RING_FILTER_H

#include <linux/filter.h>
#include <stdint.h>

#include "base/netaddr.h"

/* How many bytes of a frame are passed at most. */
#define RING_FILTER_SNAPLEN 262144

/*
 * Writes the program for @count addresses, at least one, to @out. Returns the number of
 * instructions, -E2BIG when there are more than @max, or -ENOMEM.
 */
int ring_filter_build(const struct netaddr *addresses, uint32_t count, struct sock_filter *out,
		      uint32_t max);

#endif
