/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * checksum: the Internet checksum (RFC 1071). Sums are kept unfolded in host
 * arithmetic over big-endian words, so partial sums simply add up.
 */
#ifndef TCPREPAIR_CHECKSUM_H
#define TCPREPAIR_CHECKSUM_H

#include <stdint.h>

#include "bytes.h"
#include "netaddr.h"

static inline uint32_t checksum_add(uint32_t sum, struct bytes b)
{
	for (size_t i = 0; i + 1 < b.n; i += 2)
		sum += (uint32_t)b.p[i] << 8 | b.p[i + 1];
	if (b.n % 2)
		sum += (uint32_t)b.p[b.n - 1] << 8;
	return sum;
}

/* The pseudo-header of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
static inline uint32_t checksum_pseudo(const struct netaddr *src, const struct netaddr *dst,
				       uint8_t protocol, size_t n)
{
	size_t len = src->family == NETADDR_V6 ? 16 : 4;
	uint32_t sum = protocol + (uint32_t)n;

	sum = checksum_add(sum, bytes_of(src->b, len));
	return checksum_add(sum, bytes_of(dst->b, len));
}

/* What goes into the header field; 0 when @sum covers a packet with a right checksum. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

#endif
