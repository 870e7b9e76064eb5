/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "span.h"

struct bytes span_at(const struct span *s, uint64_t off)
{
	if (off >= s->off)
		return off < span_end(s) ? bytes_from(buf_view(&s->bytes), (size_t)(off - s->off))
					 : BYTES_NONE;
	struct bytes b = spilled_at(&s->spilled, off);
	/* A view of the spilled bytes may reach beyond `off`. */
	return b.n > s->off - off ? bytes_head(b, (size_t)(s->off - off)) : b;
}

bool span_has(const struct span *s, uint64_t from, uint64_t to)
{
	if (from > to || to > span_end(s))
		return false;
	return from >= s->off || spilled_at(&s->spilled, from).n > 0;
}

int span_copy(const struct span *s, struct span *ret)
{
	uint64_t from = span_from(s), end = span_end(s);
	struct span copy = {.off = from, .bytes = BUF_INIT((size_t)(end - from))};
	int r = buf_reserve(&copy.bytes, (size_t)(end - from));

	for (uint64_t off = from; r == 0 && off < end;) {
		struct bytes b = span_at(s, off);
		if (b.n == 0)
			break;
		r = buf_bytes(&copy.bytes, b);
		off += b.n;
	}
	if (r < 0) {
		buf_deinit(&copy.bytes);
		*ret = (struct span){0};
		return r;
	}
	*ret = copy;
	return 0;
}

void span_free(struct span *s)
{
	buf_deinit(&s->bytes);
	spilled_free(&s->spilled);
	*s = (struct span){0};
}
