/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-range.h"

#include <inttypes.h>
#include <stdio.h>

#include "oracle-head.h"

/* The body of a recorded response, as a part of a representation. */
struct held {
	uint64_t first, last; /* positions in the representation */
	uint64_t total;       /* UINT64_MAX: not known */
};

static bool same_field(struct bytes a, struct bytes b, const char *name)
{
	struct bytes x = BYTES_NONE, y = BYTES_NONE;
	bool in_a = oracle_head_field(a, name, &x), in_b = oracle_head_field(b, name, &y);

	return in_a == in_b && bytes_eq(x, y);
}

static bool split(struct bytes b, char at, struct bytes *ret_left, struct bytes *ret_right)
{
	const uint8_t *p = b.n ? memchr(b.p, at, b.n) : NULL;

	if (!p)
		return false;
	*ret_left = bytes_head(b, (size_t)(p - b.p));
	*ret_right = bytes_from(b, ret_left->n + 1);
	return true;
}

/* Parses "bytes 10-19/100", or with an asterisk for the total. */
static bool read_content_range(struct bytes v, struct held *ret)
{
	struct bytes unit, range, total, first, last;

	if (!split(v, ' ', &unit, &v) || !oracle_text_is(unit, "bytes") ||
	    !split(v, '/', &range, &total) || !split(range, '-', &first, &last) ||
	    !oracle_number(first, &ret->first) || !oracle_number(last, &ret->last))
		return false;
	ret->total = UINT64_MAX;
	if (!oracle_text_is(total, "*") && !oracle_number(total, &ret->total))
		return false;
	return ret->first <= ret->last && ret->last < ret->total;
}

enum wish {
	WISH_NONE,      /* no Range, or one that is ignored */
	WISH_MANY,      /* several ranges */
	WISH_FROM,      /* `first` to `last`, or to the end */
	WISH_LAST_ONES, /* the last `first` bytes */
};

static enum wish read_range(struct bytes asked, uint64_t *ret_first, uint64_t *ret_last)
{
	struct bytes v, unit, first, last;

	*ret_last = UINT64_MAX;
	if (!oracle_head_field(asked, "range", &v) || !split(v, '=', &unit, &v) ||
	    !oracle_text_is(unit, "bytes"))
		return WISH_NONE;
	if (v.n > 0 && memchr(v.p, ',', v.n))
		return WISH_MANY;
	if (!split(v, '-', &first, &last))
		return WISH_NONE;
	if (first.n == 0)
		return oracle_number(last, ret_first) ? WISH_LAST_ONES : WISH_NONE;
	if (!oracle_number(first, ret_first) || (last.n > 0 && !oracle_number(last, ret_last)) ||
	    *ret_first > *ret_last)
		return WISH_NONE;
	return WISH_FROM;
}

enum fresh {
	FRESH,
	STALE,
	NOT_TOLD,
};

/* Whether the recorded response is the one named by If-Range (RFC 9110 section 13.1.5). */
static enum fresh if_range(struct bytes asked, struct bytes answer)
{
	struct bytes wanted, have;

	if (!oracle_head_field(asked, "if-range", &wanted))
		return FRESH;
	if (wanted.n > 1 && memcmp(wanted.p, "W/", 2) == 0)
		return STALE; /* a weak tag never matches */
	bool tag = wanted.n > 0 && wanted.p[0] == '"';
	if (!oracle_head_field(answer, tag ? "etag" : "last-modified", &have))
		return NOT_TOLD;
	return bytes_eq(wanted, have) ? FRESH : STALE;
}

static void made_head(struct bytes recorded, const char *status, const char *content_range,
		      uint64_t length, struct buf *out)
{
	struct oracle_line line;

	(void)oracle_head_line(&recorded, &line);
	buf_bytes(out, bytes_head(line.whole, 9)); /* "HTTP/1.1 " */
	buf_printf(out, "%s\r\n", status);
	while (oracle_head_line(&recorded, &line)) {
		if (oracle_text_is(line.name, "content-length"))
			buf_printf(out, "Content-Length: %" PRIu64 "\r\n%s\r\n", length,
				   content_range);
		else if (!oracle_text_is(line.name, "content-range"))
			buf_bytes(out, line.whole);
	}
	buf_printf(out, "\r\n");
}

static enum oracle_range not_satisfiable(struct bytes recorded, uint64_t total, struct buf *out)
{
	char line[64];

	snprintf(line, sizeof line, "Content-Range: bytes */%" PRIu64, total);
	made_head(recorded, "416 Range Not Satisfiable", line, 0, out);
	return ORACLE_RANGE_REFUSED;
}

/* Answers with the part [first, last] of the recorded bytes. */
static enum oracle_range part(struct bytes recorded, const struct held *h, uint64_t first,
			      uint64_t last, struct buf *out, uint64_t *ret_skip, uint64_t *ret_n)
{
	char line[96], total[24] = "*";

	if (first < h->first || last > h->last)
		return ORACLE_RANGE_UNKNOWN;
	if (h->total != UINT64_MAX)
		snprintf(total, sizeof total, "%" PRIu64, h->total);
	snprintf(line, sizeof line, "Content-Range: bytes %" PRIu64 "-%" PRIu64 "/%s", first, last,
		 total);
	*ret_skip = first - h->first;
	*ret_n = last - first + 1;
	made_head(recorded, "206 Partial Content", line, *ret_n, out);
	return ORACLE_RANGE_PART;
}

static enum oracle_range satisfy(struct bytes asked, struct bytes recorded, const struct held *h,
				 struct buf *out, uint64_t *ret_skip, uint64_t *ret_n)
{
	uint64_t first, last;
	enum wish wish = read_range(asked, &first, &last);

	if (wish != WISH_FROM && wish != WISH_LAST_ONES)
		/* Several parts need a boundary that the server chooses. */
		return ORACLE_RANGE_UNKNOWN;
	if (h->total == UINT64_MAX && (wish == WISH_LAST_ONES || last == UINT64_MAX))
		return ORACLE_RANGE_UNKNOWN;
	if (wish == WISH_LAST_ONES) {
		if (first == 0 || h->total == 0)
			return not_satisfiable(recorded, h->total, out);
		first = first < h->total ? h->total - first : 0;
		last = h->total - 1;
	}
	if (h->total != UINT64_MAX && first >= h->total)
		return not_satisfiable(recorded, h->total, out);
	if (h->total != UINT64_MAX && last >= h->total)
		last = h->total - 1;
	return part(recorded, h, first, last, out, ret_skip, ret_n);
}

/*
 * The recorded response has the whole. Accept-Ranges in it tells whether the server supports
 * ranges.
 */
static enum oracle_range from_whole(struct bytes asked, struct bytes recorded, struct buf *out,
				    uint64_t *ret_skip, uint64_t *ret_n)
{
	uint64_t first, last;
	struct bytes v;
	struct held h = {0};

	if (!oracle_head_field(recorded, "accept-ranges", &v) || !oracle_text_is(v, "bytes") ||
	    !oracle_head_field(recorded, "content-length", &v) || !oracle_number(v, &h.total))
		return ORACLE_RANGE_AS_CAPTURED;
	h.last = h.total ? h.total - 1 : 0;
	if (read_range(asked, &first, &last) == WISH_NONE || if_range(asked, recorded) != FRESH)
		return ORACLE_RANGE_AS_CAPTURED;
	return satisfy(asked, recorded, &h, out, ret_skip, ret_n);
}

static enum oracle_range from_part(struct bytes asked, struct bytes recorded, struct buf *out,
				   uint64_t *ret_skip, uint64_t *ret_n)
{
	struct held h;
	struct bytes v;

	if (!oracle_head_field(recorded, "content-range", &v) || !read_content_range(v, &h))
		return ORACLE_RANGE_UNKNOWN;
	if (!oracle_head_field(recorded, "content-length", &v) ||
	    if_range(asked, recorded) != FRESH)
		return ORACLE_RANGE_UNKNOWN; /* the whole was never sent */
	return satisfy(asked, recorded, &h, out, ret_skip, ret_n);
}

enum oracle_range oracle_range_answer(struct bytes asked, struct bytes recorded_ask,
				      struct bytes recorded_answer, struct buf *ret_head,
				      uint64_t *ret_skip, uint64_t *ret_n)
{
	struct oracle_ask ask;
	struct oracle_answer answer;

	if (same_field(asked, recorded_ask, "range") && same_field(asked, recorded_ask, "if-range"))
		return ORACLE_RANGE_AS_CAPTURED;
	if (!oracle_head_ask(asked, &ask) || !oracle_head_answer(recorded_answer, &answer))
		return ORACLE_RANGE_UNKNOWN;
	/* Range has a meaning only in GET (RFC 9110 section 14.2). */
	if (!bytes_eq(ask.method, bytes_str("GET")))
		return ORACLE_RANGE_AS_CAPTURED;
	if (answer.status == 200 && answer.kind != ORACLE_BODY_COUNTED)
		return ORACLE_RANGE_AS_CAPTURED;
	if (answer.status == 200)
		return from_whole(asked, recorded_answer, ret_head, ret_skip, ret_n);
	if (answer.status == 206)
		return from_part(asked, recorded_answer, ret_head, ret_skip, ret_n);
	/* A 416 was caused by the range; any other status was not. */
	return answer.status == 416 ? ORACLE_RANGE_UNKNOWN : ORACLE_RANGE_AS_CAPTURED;
}
