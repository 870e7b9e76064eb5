/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Asking the backend again: the client's own bytes, from the log. */
#include "http.h"

#include <string.h>

struct ask {
	const struct jeebs_cut *cut;
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};

static struct jeebs_bytes view(const struct jeebs_cut *cut, uint64_t from, uint64_t to)
{
	struct jeebs_bytes v = cut->log(cut->flow, JEEBS_TO_SERVER, from);

	if (v.n > to - from)
		v.n = (size_t)(to - from);
	return v;
}

static void ask_log(const struct ask *a, uint64_t from, uint64_t to)
{
	if (from < to)
		a->ops->log_to_backend(a->j, from, to);
}

/* The offset behind the LF of the line at @from, at most @to. */
static uint64_t line_end(const struct jeebs_cut *cut, uint64_t from, uint64_t to)
{
	while (from < to) {
		struct jeebs_bytes v = view(cut, from, to);
		if (v.n == 0)
			return to;
		const uint8_t *lf = memchr(v.p, '\n', v.n);
		if (lf)
			return from + (uint64_t)(lf - v.p) + 1;
		from += v.n;
	}
	return to;
}

/* Copies the first bytes of the line at @from, in lower case, to @out. Unused bytes are zero. */
static void line_begin(const struct jeebs_cut *cut, uint64_t from, uint64_t to, char out[static 9])
{
	memset(out, 0, 9);
	for (size_t n = 0; n < 9 && from < to; from++, n++) {
		struct jeebs_bytes v = view(cut, from, to);
		if (v.n == 0)
			return;
		out[n] = (char)(v.p[0] >= 'A' && v.p[0] <= 'Z' ? v.p[0] | 0x20 : v.p[0]);
	}
}

static void ask_text(const struct ask *a, const void *p, size_t n)
{
	a->ops->to_backend(a->j, (struct jeebs_bytes){p, n});
}

/* Copies the lines of a head into one message: they are short. */
static void ask_lines(const struct ask *a, uint64_t from, uint64_t to)
{
	while (from < to) {
		struct jeebs_bytes v = view(a->cut, from, to);
		if (v.n == 0)
			return;
		a->ops->to_backend(a->j, v);
		from += v.n;
	}
}

static void ask_field(const struct ask *a, const char *name, const char *value, size_t n)
{
	ask_text(a, name, strlen(name));
	ask_text(a, value, n);
	ask_text(a, "\r\n", 2);
}

static void ask_range(const struct http *s, const struct ask *a)
{
	const struct http_cut_answer c = http_cut_answer(s, http_oldest(s)->method);
	char range[HTTP_RANGE_TEXT_MAX], name[HTTP_ETAG_MAX];

	ask_field(a, "Range: ", range, http_range_text(&c, range));
	ask_field(a, "If-Range: ", name, http_if_range_text(&c, name));
}

void http_ask_rest(const struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint64_t to)
{
	const struct http_request *q = http_oldest(s);
	const struct ask a = {cut, j, ops};
	uint64_t at = q->start, head_end = q->start + q->head_n;
	bool dropped = false;

	while (at < head_end) {
		char begin[9];
		uint64_t end = line_end(cut, at, head_end);
		line_begin(cut, at, head_end, begin);
		/* Obs-fold: continues the line above. */
		bool folded = begin[0] == ' ' || begin[0] == '\t';
		if (!folded)
			dropped = memcmp(begin, "range:", 6) == 0 ||
				  memcmp(begin, "if-range:", 9) == 0;
		if (end == head_end)
			ask_range(s, &a); /* before the empty line */
		if (!dropped)
			ask_lines(&a, at, end);
		at = end;
	}
	ask_log(&a, head_end, to);
}
