/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "pattern.h"

#include <stdlib.h>
#include <string.h>

#define WORD       sizeof(uint64_t)
#define FNV_OFFSET UINT64_C(0xcbf29ce484222325)
#define FNV_PRIME  UINT64_C(0x100000001b3)

/* SplitMix64: a bijective mix, so neighbouring words are unrelated. */
static uint64_t word_at(uint64_t seed, uint64_t index)
{
	uint64_t z = seed + (index + 1) * UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static unsigned unit_shift(char unit)
{
	switch (unit) {
	case 'k':
		return 10;
	case 'm':
		return 20;
	case 'g':
		return 30;
	default:
		return 0;
	}
}

bool pattern_from_path(const char *path, uint64_t salt, struct pattern *ret)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	uint64_t seed = FNV_OFFSET ^ salt;
	char *end;
	unsigned shift;
	unsigned long long count;

	if (*name < '0' || *name > '9')
		return false;
	count = strtoull(name, &end, 10);
	shift = unit_shift(*end);
	if (shift)
		end++;
	if (*end != '.' || count > (UINT64_MAX >> shift))
		return false;
	for (const char *c = name; *c; c++)
		seed = (seed ^ (uint8_t)*c) * FNV_PRIME;
	*ret = (struct pattern){.seed = seed, .size = (uint64_t)count << shift};
	return true;
}

void pattern_fill(const struct pattern *p, uint64_t off, uint8_t *out, size_t n)
{
	while (n > 0) {
		uint64_t word = word_at(p->seed, off / WORD);
		size_t skip = off % WORD;
		size_t take = n < WORD - skip ? n : WORD - skip;

		memcpy(out, (const uint8_t *)&word + skip, take);
		out += take;
		off += take;
		n -= take;
	}
}

size_t pattern_match(const struct pattern *p, uint64_t off, const uint8_t *in, size_t n)
{
	size_t done = 0;

	while (done < n) {
		uint64_t word = word_at(p->seed, (off + done) / WORD);
		size_t skip = (off + done) % WORD;
		size_t take = n - done < WORD - skip ? n - done : WORD - skip;
		const uint8_t *want = (const uint8_t *)&word + skip;

		for (size_t i = 0; i < take; i++) {
			if (in[done + i] != want[i])
				return done + i;
		}
		done += take;
	}
	return n;
}
