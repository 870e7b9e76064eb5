/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-stream.h"

#include <errno.h>
#include <stdlib.h>

void oracle_stream_init(struct oracle_stream *s, size_t max)
{
	*s = (struct oracle_stream){.bytes = BUF_INIT(max)};
}

void oracle_stream_deinit(struct oracle_stream *s)
{
	buf_deinit(&s->bytes);
	free(s->extents);
	s->extents = NULL;
}

/* The extent to which the next byte belongs. NULL: no memory. */
static struct oracle_extent *last_extent(struct oracle_stream *s)
{
	if (s->extent_n > 0) {
		struct oracle_extent *e = &s->extents[s->extent_n - 1];
		if (e->off + e->n == s->end)
			return e;
	}
	if (s->extent_n == s->extent_cap) {
		size_t cap = s->extent_cap ? 2 * s->extent_cap : 8;
		struct oracle_extent *more = reallocarray(s->extents, cap, sizeof *more);
		if (!more)
			return NULL;
		s->extents = more;
		s->extent_cap = cap;
	}
	struct oracle_extent *e = &s->extents[s->extent_n++];
	*e = (struct oracle_extent){.off = s->end, .at = s->bytes.n};
	return e;
}

int oracle_stream_append(struct oracle_stream *s, struct bytes b)
{
	if (b.n == 0)
		return 0;
	if (s->overflow > 0 || b.n > s->bytes.max - s->bytes.n) {
		s->overflow += b.n;
		s->end += b.n;
		return 0;
	}
	struct oracle_extent *e = last_extent(s);
	if (!e || buf_bytes(&s->bytes, b) < 0)
		return -ENOMEM;
	e->n += b.n;
	s->end += b.n;
	return 0;
}

void oracle_stream_gap(struct oracle_stream *s, uint64_t to)
{
	if (to > s->end)
		s->end = to;
}

struct bytes oracle_stream_view(const struct oracle_stream *s, uint64_t off)
{
	size_t lo = 0, hi = s->extent_n;

	/* Binary search for the last extent that begins at or before @off. */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (s->extents[mid].off <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return BYTES_NONE;
	const struct oracle_extent *e = &s->extents[lo - 1];
	if (off - e->off >= e->n)
		return BYTES_NONE;
	size_t skip = (size_t)(off - e->off);
	return bytes_of(s->bytes.p + e->at + skip, e->n - skip);
}
