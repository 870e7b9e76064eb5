/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * siphash: the keyed hash for tables whose keys come from strangers
 * (Aumasson, Bernstein: "SipHash: a fast short-input PRF", 2012).
 * 1-3 rounds for tables, as the kernel and others choose; 2-4 exists so that
 * the published test vectors can be checked.
 */
#ifndef BASE_SIPHASH_H
#define BASE_SIPHASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct siphash_key {
	uint64_t k[2];
};

static inline uint64_t siphash_rotl(uint64_t x, int b)
{
	return x << b | x >> (64 - b);
}

static inline void siphash_round(uint64_t v[4])
{
	v[0] += v[1];
	v[1] = siphash_rotl(v[1], 13) ^ v[0];
	v[0] = siphash_rotl(v[0], 32);
	v[2] += v[3];
	v[3] = siphash_rotl(v[3], 16) ^ v[2];
	v[0] += v[3];
	v[3] = siphash_rotl(v[3], 21) ^ v[0];
	v[2] += v[1];
	v[1] = siphash_rotl(v[1], 17) ^ v[2];
	v[2] = siphash_rotl(v[2], 32);
}

/* @c and @d are constants at each call, so the compiler unrolls the loops. */
static inline uint64_t siphash(const void *data, size_t n, const struct siphash_key *key, int c,
			       int d)
{
	const uint8_t *p = data;
	uint64_t v[4] = {
		key->k[0] ^ UINT64_C(0x736f6d6570736575), key->k[1] ^ UINT64_C(0x646f72616e646f6d),
		key->k[0] ^ UINT64_C(0x6c7967656e657261), key->k[1] ^ UINT64_C(0x7465646279746573)};
	uint64_t last = (uint64_t)n << 56;

	for (; n >= 8; n -= 8, p += 8) {
		uint64_t m;
		memcpy(&m, p, 8); /* little-endian hosts only, like the code of the flow table */
		v[3] ^= m;
		for (int i = 0; i < c; i++)
			siphash_round(v);
		v[0] ^= m;
	}
	for (size_t i = 0; i < n; i++)
		last |= (uint64_t)p[i] << (8 * i);
	v[3] ^= last;
	for (int i = 0; i < c; i++)
		siphash_round(v);
	v[0] ^= last;
	v[2] ^= 0xff;
	for (int i = 0; i < d; i++)
		siphash_round(v);
	return v[0] ^ v[1] ^ v[2] ^ v[3];
}

static inline uint64_t siphash13(const void *data, size_t n, const struct siphash_key *key)
{
	return siphash(data, n, key, 1, 3);
}

#endif
