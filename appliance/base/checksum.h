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

/* Folds @sum to 16 bits by end-around carry: the two halves added, and the carry to that. */
static inline uint16_t checksum_carry(uint64_t sum)
{
	uint32_t half = (uint32_t)((sum + (sum << 32 | sum >> 32)) >> 32);

	return (uint16_t)((half + (half << 16 | half >> 16)) >> 16);
}

/* The sum of fewer than 8 bytes, padded with zeros. @n: only its low three bits count. */
static inline uint64_t checksum_tail(const uint8_t *p, size_t n)
{
	uint64_t sum = 0;

	if (n & 4) {
		uint32_t w;
		memcpy(&w, p, sizeof w);
		sum = w;
		p += 4;
	}
	if (n & 2) {
		uint16_t w;
		memcpy(&w, p, sizeof w);
		sum += w;
		p += 2;
	}
	if (n & 1) {
		uint16_t w = 0;
		memcpy(&w, p, 1);
		sum += w;
	}
	return sum;
}

/* The sum of @count blocks of 8 bytes. */
static inline uint64_t checksum_eights(const uint8_t *p, size_t count)
{
	uint64_t sum = 0;

	for (; count > 0; count--, p += 8) {
		uint64_t w;
		memcpy(&w, p, sizeof w);
		sum += w;
		sum += sum < w;
	}
	return (sum & 0xffffffff) + (sum >> 32);
}

#ifdef __SSE2__
/* _mm_madd_epi16() treats words as signed. So half of their range is subtracted from each word
 * here, and added to the sum again by checksum_sixteens(). */
static inline __m128i checksum_pairs(__m128i all, const uint8_t *p)
{
	const __m128i one = _mm_set1_epi16(1), half = _mm_set1_epi16(INT16_MIN);
	__m128i w;

	memcpy(&w, p, sizeof w);
	return _mm_add_epi32(all, _mm_madd_epi16(_mm_xor_si128(w, half), one));
}

/* The sum of @count blocks of 16 bytes. */
static inline uint64_t checksum_sixteens(const uint8_t *p, size_t count)
{
	uint64_t sum = count * 8 * 0x8000;

	while (count > 0) {
		size_t n = count < CHECKSUM_PART ? count : CHECKSUM_PART;
		__m128i all = _mm_setzero_si128(), more = all;

		for (count -= n; n >= 4; n -= 4, p += 64) {
			all = checksum_pairs(checksum_pairs(all, p), p + 16);
			more = checksum_pairs(checksum_pairs(more, p + 32), p + 48);
		}
		for (all = _mm_add_epi32(all, more); n > 0; n--, p += 16)
			all = checksum_pairs(all, p);
		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0x4e));
		all = _mm_add_epi32(all, _mm_shuffle_epi32(all, 0xb1));
		sum += (uint64_t)(int64_t)_mm_cvtsi128_si32(all);
	}
	return sum;
}
#endif

/*
 * The sum over words in host order, without carry. The sum of byte-swapped words is the
 * byte-swapped sum (RFC 1071 section 2 (B)). Partial sums may be added. With a correct checksum
 * included, the folded sum is 0xffff.
 */
static inline uint64_t checksum_words(struct bytes b)
{
	uint64_t sum = 0;

#ifdef __SSE2__
	if (b.n >= 64) { /* for less the final addition costs more than SSE2 saves */
		sum = checksum_sixteens(b.p, b.n / 16);
		b = bytes_of(b.p + b.n / 16 * 16, b.n % 16);
	}
#endif
	sum += checksum_eights(b.p, b.n / 8);
	return sum + checksum_tail(b.p + b.n / 8 * 8, b.n % 8);
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
