/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * checksum: the Internet checksum (RFC 1071). Sums are kept unfolded in host
 * arithmetic over big-endian words, so partial sums simply add up.
 */
#ifndef BASE_CHECKSUM_H
#define BASE_CHECKSUM_H

#include <arpa/inet.h>
#include <stdint.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "bytes.h"
#include "netaddr.h"

#define CHECKSUM_PART 4096 /* blocks of 16 bytes; their pair sums stay below 31 bits */

/* Folds @sum to 16 bits by end-around carry. */
static inline uint16_t checksum_carry(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)((sum & 0xffff) + (sum >> 16));
}

/* The sum of fewer than 16 bytes, padded with zeros. @n: only its low four bits count. */
static inline uint64_t checksum_tail(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;

	if (n & 8) {
		uint32_t w[2];
		memcpy(w, p, sizeof w);
		sum += (uint64_t)w[0] + w[1];
		p += 8;
	}
	if (n & 4) {
		uint32_t w;
		memcpy(&w, p, sizeof w);
		sum += w;
		p += 4;
	}
	if (n & 3) {
		uint32_t w = 0;
		memcpy(&w, p, n & 2);
		if (n & 1)
			memcpy((uint8_t *)&w + (n & 2), p + (n & 2), 1);
		sum += w;
	}
	return sum;
}

/* The sum of @count blocks of 16 bytes. */
static inline uint64_t checksum_sixteens(const uint8_t *p, size_t count)
{
	uint64_t sum = 0;

#ifdef __SSE2__
	/* _mm_madd_epi16() treats words as signed. So half of their range is subtracted from
	 * each word here, and added to the sum again. */
	const __m128i one = _mm_set1_epi16(1), half = _mm_set1_epi16(INT16_MIN);

	while (count > 2) { /* for fewer blocks the final addition costs more than SSE2 saves */
		size_t n = count < CHECKSUM_PART ? count : CHECKSUM_PART;
		__m128i all = _mm_setzero_si128();

		sum += n * 8 * 0x8000;
		for (count -= n; n > 0; n--, p += 16) {
			__m128i w;
			memcpy(&w, p, sizeof w);
			w = _mm_madd_epi16(_mm_xor_si128(w, half), one);
			all = _mm_add_epi32(all, w);
		}
		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0x4e));
		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0xb1));
		sum += (uint64_t)(int64_t)_mm_cvtsi128_si32(all);
	}
#endif
	for (; count > 0; count--, p += 16) {
		uint32_t w[4];
		memcpy(w, p, sizeof w);
		sum += (uint64_t)w[0] + w[1] + w[2] + w[3];
	}
	return sum;
}

/*
 * The sum over words in host order, without carry. The sum of byte-swapped words is the
 * byte-swapped sum (RFC 1071 section 2 (B)). Partial sums may be added. With a correct checksum
 * included, the folded sum is 0xffff.
 */
static inline uint64_t checksum_words(struct bytes b)
{
	size_t whole = b.n / 16;

	return checksum_sixteens(b.p, whole) + checksum_tail(b.p + whole * 16, b.n % 16);
}

/*
 * The sum over the pseudo-header of RFC 9293 section 3.1 and RFC 8200 section 8.1, in the same
 * form.
 */
static inline uint64_t checksum_pseudo_words(const struct netaddr *src, const struct netaddr *dst,
					     uint8_t protocol, size_t n)
{
	uint32_t rest[2] = {htonl((uint32_t)n), htonl(protocol)};
	uint64_t sum = (uint64_t)rest[0] + rest[1];

	if (src->family == NETADDR_V6)
		return sum + checksum_words(bytes_of(src->b, 16)) +
		       checksum_words(bytes_of(dst->b, 16));
	return sum + checksum_tail(src->b, 4) + checksum_tail(dst->b, 4);
}

static inline uint32_t checksum_add(uint32_t sum, struct bytes b)
{
	return sum + ntohs(checksum_carry(checksum_words(b)));
}

static inline uint32_t checksum_pseudo(const struct netaddr *src, const struct netaddr *dst,
				       uint8_t protocol, size_t n)
{
	return ntohs(checksum_carry(checksum_pseudo_words(src, dst, protocol, n)));
}

/* The value of the checksum field. It is 0 when @sum covers a packet whose checksum is correct. */
static inline uint16_t checksum_fold(uint32_t sum)
{
	return (uint16_t)~checksum_carry(sum);
}

#endif
