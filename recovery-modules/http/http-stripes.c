/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-stripes.h"

#include <endian.h>
#include <string.h>
#ifdef __x86_64__
#include <immintrin.h>
#endif

#define PRIME32_1 0x9e3779b1u
#define PRIME32_2 0x85ebca77u
#define PRIME32_3 0xc2b2ae3du
#define PRIME64_1 UINT64_C(0x9e3779b185ebca87)
#define PRIME64_2 UINT64_C(0xc2b2ae3d27d4eb4f)
#define PRIME64_3 UINT64_C(0x165667b19e3779f9)
#define PRIME64_4 UINT64_C(0x85ebca77c2b2ae63)
#define PRIME64_5 UINT64_C(0x27d4eb2f165667c5)

#define MIX_KEY (HTTP_STRIPE_KEYS - 8)

const uint64_t http_stripe_key[HTTP_STRIPE_KEYS] = {
	UINT64_C(0x243f6a8885a308d3), UINT64_C(0x13198a2e03707344), UINT64_C(0xa4093822299f31d0),
	UINT64_C(0x082efa98ec4e6c89), UINT64_C(0x452821e638d01377), UINT64_C(0xbe5466cf34e90c6c),
	UINT64_C(0xc0ac29b7c97c50dd), UINT64_C(0x3f84d5b5b5470917), UINT64_C(0x9216d5d98979fb1b),
	UINT64_C(0xd1310ba698dfb5ac), UINT64_C(0x2ffd72dbd01adfb7), UINT64_C(0xb8e1afed6a267e96),
	UINT64_C(0xba7c9045f12c7f99), UINT64_C(0x24a19947b3916cf7), UINT64_C(0x0801f2e2858efc16),
	UINT64_C(0x636920d871574e69), UINT64_C(0xa458fea3f4933d7e), UINT64_C(0x0d95748f728eb658),
	UINT64_C(0x718bcd5882154aee), UINT64_C(0x7b54a41dc25a59b5), UINT64_C(0x9c30d5392af26013),
	UINT64_C(0xc5d1b023286085f0), UINT64_C(0xca417918b8db38ef), UINT64_C(0x8e79dcb0603a180e),
};

void http_stripes_init(struct http_stripes *s)
{
	*s = (struct http_stripes){{PRIME32_3, PRIME64_1, PRIME64_2, PRIME64_3, PRIME64_4,
				    PRIME32_2, PRIME64_5, PRIME32_1}};
}

void http_stripes_add_plain(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count)
{
	size_t at = before % HTTP_STRIPES_MIX;

	for (; count > 0; count--, p += HTTP_STRIPE_BYTES) {
		for (size_t i = 0; i < 8; i++) {
			uint64_t w;
			memcpy(&w, p + 8 * i, sizeof w);
			w = le64toh(w);
			uint64_t keyed = w ^ http_stripe_key[at + i];
			s->sum[i ^ 1] += w;
			s->sum[i] += (keyed & UINT32_MAX) * (keyed >> 32);
		}
		if (++at < HTTP_STRIPES_MIX)
			continue;
		at = 0;
		for (size_t i = 0; i < 8; i++)
			s->sum[i] = (s->sum[i] ^ s->sum[i] >> 47 ^ http_stripe_key[MIX_KEY + i]) *
				    PRIME32_1;
	}
}

#ifdef __x86_64__
#define AVX2 __attribute__((target("avx2")))

static inline __m128i add2(__m128i sum, const uint8_t *p, const uint64_t *key)
{
	__m128i w = _mm_loadu_si128((const __m128i *)p);
	__m128i keyed = _mm_xor_si128(w, _mm_loadu_si128((const __m128i *)key));

	sum = _mm_add_epi64(sum, _mm_shuffle_epi32(w, 0x4e));
	return _mm_add_epi64(sum, _mm_mul_epu32(keyed, _mm_srli_epi64(keyed, 32)));
}

static inline __m128i mix2(__m128i sum, const uint64_t *key)
{
	const __m128i prime = _mm_set1_epi64x(PRIME32_1);
	__m128i x = _mm_xor_si128(_mm_xor_si128(sum, _mm_srli_epi64(sum, 47)),
				  _mm_loadu_si128((const __m128i *)key));

	return _mm_add_epi64(_mm_mul_epu32(x, prime),
			     _mm_slli_epi64(_mm_mul_epu32(_mm_srli_epi64(x, 32), prime), 32));
}

void http_stripes_add_sse2(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count)
{
	size_t at = before % HTTP_STRIPES_MIX;
	__m128i sum[4];

	memcpy(sum, s->sum, sizeof sum);
	for (; count > 0; count--, p += HTTP_STRIPE_BYTES) {
		for (int i = 0; i < 4; i++)
			sum[i] = add2(sum[i], p + 16 * i, &http_stripe_key[at + 2 * i]);
		if (++at < HTTP_STRIPES_MIX)
			continue;
		at = 0;
		for (int i = 0; i < 4; i++)
			sum[i] = mix2(sum[i], &http_stripe_key[MIX_KEY + 2 * i]);
	}
	memcpy(s->sum, sum, sizeof sum);
}

AVX2 static inline __m256i add4(__m256i sum, const uint8_t *p, const uint64_t *key)
{
	__m256i w = _mm256_loadu_si256((const __m256i *)p);
	__m256i keyed = _mm256_xor_si256(w, _mm256_loadu_si256((const __m256i *)key));

	sum = _mm256_add_epi64(sum, _mm256_shuffle_epi32(w, 0x4e));
	return _mm256_add_epi64(sum, _mm256_mul_epu32(keyed, _mm256_srli_epi64(keyed, 32)));
}

AVX2 static inline __m256i mix4(__m256i sum, const uint64_t *key)
{
	const __m256i prime = _mm256_set1_epi64x(PRIME32_1);
	__m256i x = _mm256_xor_si256(_mm256_xor_si256(sum, _mm256_srli_epi64(sum, 47)),
				     _mm256_loadu_si256((const __m256i *)key));

	return _mm256_add_epi64(
		_mm256_mul_epu32(x, prime),
		_mm256_slli_epi64(_mm256_mul_epu32(_mm256_srli_epi64(x, 32), prime), 32));
}

AVX2 static void add_avx2(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count)
{
	size_t at = before % HTTP_STRIPES_MIX;
	__m256i low = _mm256_loadu_si256((const __m256i *)s->sum);
	__m256i high = _mm256_loadu_si256((const __m256i *)&s->sum[4]);

	for (; count > 0; count--, p += HTTP_STRIPE_BYTES) {
		low = add4(low, p, &http_stripe_key[at]);
		high = add4(high, p + 32, &http_stripe_key[at + 4]);
		if (++at < HTTP_STRIPES_MIX)
			continue;
		at = 0;
		low = mix4(low, &http_stripe_key[MIX_KEY]);
		high = mix4(high, &http_stripe_key[MIX_KEY + 4]);
	}
	_mm256_storeu_si256((__m256i *)s->sum, low);
	_mm256_storeu_si256((__m256i *)&s->sum[4], high);
}
#endif

void http_stripes_add(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count)
{
#ifdef __x86_64__
	if (__builtin_cpu_supports("avx2"))
		add_avx2(s, before, p, count);
	else
		http_stripes_add_sse2(s, before, p, count);
#else
	http_stripes_add_plain(s, before, p, count);
#endif
}
