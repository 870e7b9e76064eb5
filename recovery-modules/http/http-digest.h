/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * http-digest: digests of what was delivered of a body, in blocks of 64 KiB (http-stripes.h).
 *
 * Each byte is digested once. Two things can be compared afterwards: all that was delivered, if
 * there is no gap in it; and the newest 64 to 128 KiB alone, so that a backend need not send the
 * rest again. Positions count the data bytes of the body. Pure data: serialisable, bounded.
 */
#ifndef HTTP_DIGEST_H
#define HTTP_DIGEST_H

#include <stdbool.h>

#include "http-stripes.h"
#include "jeebs/recovery-module.h"

#define HTTP_BLOCK_BYTES 65536u

/* Of a run of bytes that begins where http_digest_block() says. */
struct http_block {
	struct http_stripes stripes;
	uint8_t rest[HTTP_STRIPE_BYTES]; /* the bytes behind the last whole stripe */
};

struct http_digest {
	uint64_t from;           /* position of the first digested byte */
	uint64_t to;             /* position behind the last digested byte */
	uint64_t all;            /* digest of the digests of all complete blocks */
	uint64_t last;           /* digest of the last complete block */
	struct http_block block; /* current block: from the mark below `to`, or from `from` */
};

/* Begins an empty digest; the next byte is that at @from. */
void http_digest_init(struct http_digest *d, uint64_t from);
void http_digest_update(struct http_digest *d, struct jeebs_bytes b);
/* Skips @n bytes that were lost. Bytes before them cannot be compared any more. */
void http_digest_gap(struct http_digest *d, uint64_t n);

/* Whether every byte from the first on was digested. */
static inline bool http_digest_whole(const struct http_digest *d)
{
	return d->from == 0;
}

/* The position where the current block begins. */
static inline uint64_t http_digest_block(const struct http_digest *d)
{
	uint64_t mark = d->to - d->to % HTTP_BLOCK_BYTES;

	return mark > d->from ? mark : d->from;
}

/* How many bytes are in the current block. */
static inline uint64_t http_digest_open(const struct http_digest *d)
{
	return d->to - http_digest_block(d);
}

/*
 * From this position on, bytes can be compared alone. It is at least 64 KiB back, or at the first
 * digested byte.
 */
uint64_t http_digest_window(const struct http_digest *d);

/*
 * Compares @got, which began at @d's beginning or at its window. Returns whether both digest the
 * same bytes, as far as @got goes.
 */
bool http_digest_same(const struct http_digest *d, const struct http_digest *got);

#endif
