/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-stripes: the loop that goes over every byte of every body, for http-digest.h.
 *
 * It is the loop of XXH3 for long inputs, with keys of its own: 64 bytes (a stripe) are added to
 * eight sums, and after HTTP_STRIPES_MIX stripes the sums are mixed. The library would keep 576
 * bytes between two pieces, because it may end anywhere as its one-shot function does. Nobody else
 * reads these digests, so they end otherwise, and the eight sums are all that is kept.
 */
#ifndef HTTP_STRIPES_H
#define HTTP_STRIPES_H

#include <stddef.h>
#include <stdint.h>

#define HTTP_STRIPE_BYTES 64u
#define HTTP_STRIPES_MIX  16u
#define HTTP_STRIPE_KEYS  24u

struct http_stripes {
	uint64_t sum[8];
};

/* Hexadecimal digits of pi. The stripe i after a mix uses eight of them, from the i-th on; a mix
 * uses the last eight. */
extern const uint64_t http_stripe_key[HTTP_STRIPE_KEYS];

void http_stripes_init(struct http_stripes *s);
/* Adds @count stripes. There were @before since http_stripes_init(). */
void http_stripes_add(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count);
/* The same without any vector instruction, as the measure of the others. */
void http_stripes_add_plain(struct http_stripes *s, uint64_t before, const uint8_t *p,
			    size_t count);
#ifdef __x86_64__
/* The same for a processor without AVX2. */
void http_stripes_add_sse2(struct http_stripes *s, uint64_t before, const uint8_t *p, size_t count);
#endif

#endif
