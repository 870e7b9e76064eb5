/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-digest.h"

#include <string.h>

void http_digest_init(struct http_digest *d, uint64_t from)
{
	memset(d, 0, sizeof *d);
	d->from = d->to = from;
	XXH64_reset(&d->block, 0);
}

void http_digest_update(struct http_digest *d, struct jeebs_bytes b)
{
	while (b.n > 0) {
		size_t room = (size_t)(HTTP_BLOCK_BYTES - d->to % HTTP_BLOCK_BYTES);
		size_t n = b.n < room ? b.n : room;
		XXH64_update(&d->block, b.p, n);
		d->to += n;
		b.p += n;
		b.n -= n;
		if (d->to % HTTP_BLOCK_BYTES == 0) {
			d->last = XXH64_digest(&d->block);
			d->all = XXH64(&d->last, sizeof d->last, d->all);
			XXH64_reset(&d->block, 0);
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
	if (got->to != d->to || XXH64_digest(&got->block) != XXH64_digest(&d->block))
		return false;
	if (got->from == d->from)
		return got->all == d->all;
	return got->last == d->last;
}
