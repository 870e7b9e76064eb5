/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * checksum: the Internet checksum (RFC 1071). Sums are kept unfolded in host
 * arithmetic over big-endian words, so partial sums simply add up.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <stdint.h>

#include "bytes.h"
#include "netaddr.h"

/* Carries back into 16 bits. */
static inline uint16_t checksum_carry(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

/*
 * Eight bytes at a time, in the order of the host: a sum of swapped words is the swapped sum
 * (RFC 1071 section 2 (B)), and the halves of larger words are carried into each other at the end.
 */
static inline uint32_t checksum_add(uint32_t sum, struct bytes b)
{
	typedef uint64_t lanes __attribute__((vector_size(16)));
	lanes low = {0, 0}, high = {0, 0};
	const lanes half = {UINT32_MAX, UINT32_MAX};
	const uint8_t *p = b.p;
	size_t n = b.n;
	uint64_t s;

	for (; n >= 64; n -= 64, p += 64) {
		lanes w[4];
		memcpy(w, p, sizeof w);
		low += (w[0] & half) + (w[1] & half) + (w[2] & half) + (w[3] & half);
		high += (w[0] >> 32) + (w[1] >> 32) + (w[2] >> 32) + (w[3] >> 32);
	}
	low += high;
	s = low[0] + low[1];
	for (; n >= 4; n -= 4, p += 4) {
		uint32_t w;
		memcpy(&w, p, sizeof w);
		s += w;
	}
	if (n > 0) { /* filled up with zeros */
		uint32_t w = 0;
		memcpy(&w, p, n);
		s += w;
	}
	uint16_t host = checksum_carry(s);
	return sum + (__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? __builtin_bswap16(host) : host);
}

/* The pseudo-header of RFC 9293 section 3.1 and RFC 8200 section 8.1. */
static inline uint32_t checksum_pseudo(const struct netaddr *src, const struct netaddr *dst,
				       uint8_t protocol, size_t n)
{
	size_t len = src->family == NETADDR_V6 ? 16 : 4;
	uint32_t sum = protocol + checksum_carry(n);

	sum = checksum_add(sum, bytes_of(src->b, len));
	return checksum_add(sum, bytes_of(dst->b, len));
}

/* What goes into the header field; 0 when @sum covers a packet with a right checksum. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	return (uint16_t)~checksum_carry(sum);
}

#endif
