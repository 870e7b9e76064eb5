/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-digest.h"

#include <endian.h>
#include <string.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Adds @b behind the first @n bytes of the block. */
static void block_add(struct http_block *k, uint64_t n, struct jeebs_bytes b)
{
	size_t rest = n % HTTP_STRIPE_BYTES;

	if (rest > 0) {
		size_t part = smaller(HTTP_STRIPE_BYTES - rest, b.n);
		memcpy(k->rest + rest, b.p, part);
		n += part;
		b.p += part;
		b.n -= part;
		if (n % HTTP_STRIPE_BYTES != 0)
			return;
		http_stripes_add(&k->stripes, n / HTTP_STRIPE_BYTES - 1, k->rest, 1);
	}
	size_t whole = b.n / HTTP_STRIPE_BYTES;
	http_stripes_add(&k->stripes, n / HTTP_STRIPE_BYTES, b.p, whole);
	b.p += whole * HTTP_STRIPE_BYTES;
	memcpy(k->rest, b.p, b.n % HTTP_STRIPE_BYTES);
}

/* The digest of the block's @n bytes. */
static uint64_t block_value(const struct http_block *k, uint64_t n)
{
	struct http_block form = *k;

	for (int i = 0; i < 8; i++)
		form.stripes.sum[i] = htole64(k->stripes.sum[i]);
	return XXH64(&form, sizeof form.stripes + n % HTTP_STRIPE_BYTES, n);
}

static uint64_t open_value(const struct http_digest *d)
{
	return block_value(&d->block, http_digest_open(d));
}

void http_digest_init(struct http_digest *d, uint64_t from)
{
	memset(d, 0, sizeof *d);
	d->from = d->to = from;
	http_stripes_init(&d->block.stripes);
}

void http_digest_update(struct http_digest *d, struct jeebs_bytes b)
{
	while (b.n > 0) {
		uint64_t block = http_digest_block(d);
		size_t room = (size_t)(HTTP_BLOCK_BYTES - d->to % HTTP_BLOCK_BYTES);
		size_t n = smaller(b.n, room);
		block_add(&d->block, d->to - block, (struct jeebs_bytes){b.p, n});
		d->to += n;
		b.p += n;
		b.n -= n;
		if (d->to % HTTP_BLOCK_BYTES == 0) {
			d->last = block_value(&d->block, d->to - block);
			d->all = XXH64(&d->last, sizeof d->last, d->all);
			http_stripes_init(&d->block.stripes);
		}
	}
}

void http_digest_gap(struct http_digest *d, uint64_t n)
{
	http_digest_init(d, d->to + n);
}

uint64_t http_digest_window(const struct http_digest *d)
{
	uint64_t block = http_digest_block(d);

	return block - d->from > HTTP_BLOCK_BYTES ? block - HTTP_BLOCK_BYTES : d->from;
}

bool http_digest_same(const struct http_digest *d, const struct http_digest *got)
{
	if (got->to != d->to || open_value(got) != open_value(d))
		return false;
	if (got->from == d->from)
		return got->all == d->all;
	return got->last == d->last;
}
