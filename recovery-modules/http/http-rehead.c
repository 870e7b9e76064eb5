/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-rehead.h"

#include <string.h>

#define STATUS_DIGIT_AT 9u  /* in "HTTP/1.1 200" */
#define DATE_LINE_LEN   37u /* "Date: ", 29 bytes, CRLF */

/* Where the bytes of one call go. */
struct sink {
	struct jeebs_join *j;
	const struct jeebs_join_ops *ops;
};

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? c | 0x20 : c;
}

/*
 * Copies @n bytes in the form that is digested: a field name in lower case, anything else
 * unchanged.
 */
static void canonical(uint8_t *out, const uint8_t *p, size_t n, bool is_field)
{
	bool name = is_field;

	for (size_t i = 0; i < n; i++) {
		if (p[i] == ':')
			name = false;
		out[i] = name ? lower(p[i]) : p[i];
	}
}

/* Length of the field name at the start of @line, without the colon; 0: there is no whole name. */
static size_t name_length(const uint8_t *line, size_t n)
{
	const uint8_t *colon = memchr(line, ':', n);

	return colon ? (size_t)(colon - line) : 0;
}

static bool name_is(const uint8_t *lower_name, size_t n, const char *what)
{
	return n == strlen(what) && memcmp(lower_name, what, n) == 0;
}

/* Whether the field may differ between equal servers. */
static bool volatile_name(const uint8_t *lower_name, size_t n)
{
	static const char *const names[] = {"date", "server", "age", "expires", "via"};

	if (n > 2 && memcmp(lower_name, "x-", 2) == 0)
		return true;
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (name_is(lower_name, n, names[i]))
			return true;
	}
	return false;
}

static bool remembered(const struct http_rehead *h, const uint8_t *lower_name, size_t n)
{
	uint32_t hash = XXH32(lower_name, n, 0);

	for (unsigned i = 0; i < h->names_n; i++) {
		if (h->names[i] == hash)
			return true;
	}
	return false;
}

/* Notes a field name. Returns false without room; then the line is compared like any other. */
static bool remember(struct http_rehead *h, const uint8_t *lower_name, size_t n)
{
	if (remembered(h, lower_name, n))
		return true;
	if (h->names_n == HTTP_REHEAD_NAMES_MAX)
		return false;
	h->names[h->names_n++] = XXH32(lower_name, n, 0);
	return true;
}

static struct jeebs_bytes delivered_view(const struct jeebs_cut *cut, uint64_t from, uint64_t to)
{
	struct jeebs_bytes v = cut->log(cut->flow, JEEBS_TO_CLIENT, from);

	if (v.n > to - from)
		v.n = (size_t)(to - from);
	return v;
}

/* The offset behind the next LF in [from, to), or @to. *ret_found: there was one. */
static uint64_t next_line(const struct jeebs_cut *cut, uint64_t from, uint64_t to, bool *ret_found)
{
	*ret_found = false;
	while (from < to) {
		struct jeebs_bytes v = delivered_view(cut, from, to);
		if (v.n == 0)
			return to;
		const uint8_t *lf = memchr(v.p, '\n', v.n);
		if (lf) {
			*ret_found = true;
			return from + (uint64_t)(lf - v.p) + 1;
		}
		from += v.n;
	}
	return to;
}

/* Copies the beginning of [from, to) to @out. */
static size_t delivered_copy(const struct jeebs_cut *cut, uint64_t from, uint64_t to, uint8_t *out,
			     size_t cap)
{
	size_t n = 0;

	while (n < cap && from + n < to) {
		struct jeebs_bytes v = delivered_view(cut, from + n, to);
		if (v.n == 0)
			break;
		size_t k = v.n < cap - n ? v.n : cap - n;
		memcpy(out + n, v.p, k);
		n += k;
	}
	return n;
}

static void digest_delivered(struct http_rehead *h, const struct jeebs_cut *cut, uint64_t from,
			     uint64_t to)
{
	uint8_t begin[HTTP_REHEAD_LINE_MAX], form[HTTP_REHEAD_LINE_MAX];
	size_t n = delivered_copy(cut, from, to, begin, sizeof begin);

	canonical(form, begin, n, h->line_no > 0);
	XXH64_update(&h->hash, form, n);
	for (from += n; from < to;) {
		struct jeebs_bytes v = delivered_view(cut, from, to);
		if (v.n == 0)
			return;
		XXH64_update(&h->hash, v.p, v.n);
		from += v.n;
	}
}

/* Takes the delivered line [from, to), which lacks its LF if not @whole. */
static void learn_line(struct http_rehead *h, const struct jeebs_cut *cut, uint64_t from,
		       uint64_t to, bool whole)
{
	uint8_t begin[HTTP_REHEAD_LINE_MAX], name[HTTP_REHEAD_LINE_MAX], last = 0;
	size_t n = delivered_copy(cut, from, to, begin, sizeof begin);
	size_t name_n = h->line_no > 0 ? name_length(begin, n) : 0;

	canonical(name, begin, n, true);
	(void)delivered_copy(cut, to - 1, to, &last, 1);
	if (name_n > 0 && volatile_name(name, name_n)) {
		/* A line that ends with CR lacks only its LF: the value is complete. */
		if ((whole || last == '\r') && remember(h, name, name_n)) {
			h->owe_lf = !whole;
			return;
		}
		if (!whole && name_is(name, name_n, "date")) {
			h->partial_date = true;
			h->partial = (uint32_t)(to - from);
			return;
		}
	}
	digest_delivered(h, cut, from, to);
	if (whole)
		h->lines++;
	else
		h->partial = (uint32_t)(to - from);
}

/* All that was delivered has been compared. From here on bytes go to the client. */
static bool prove(struct http_rehead *h, const struct sink *out)
{
	static const uint8_t lf = '\n';

	if (XXH64_digest(&h->hash) != h->digest)
		return false;
	h->proven = true;
	if (h->owe_lf)
		out->ops->to_client(out->j, (struct jeebs_bytes){&lf, 1});
	return true;
}

void http_rehead_init(struct http_rehead *h, uint8_t informational, const struct jeebs_cut *cut,
		      uint64_t from, uint64_t to)
{
	memset(h, 0, sizeof *h);
	h->informational = informational;
	XXH64_reset(&h->hash, 0);
	while (from < to) {
		bool whole;
		uint64_t end = next_line(cut, from, to, &whole);
		learn_line(h, cut, from, end, whole);
		h->line_no++;
		from = end;
	}
	h->digest = XXH64_digest(&h->hash);
	XXH64_reset(&h->hash, 0);
	h->line_no = 0;
}

static void begin_line(struct http_rehead *h)
{
	h->kind = HTTP_LINE_UNKNOWN;
	h->line_n = 0;
}

/* Whether the next line to be compared is the one that was cut. */
static bool at_partial(const struct http_rehead *h)
{
	return !h->proven && h->compared == h->lines && h->partial > 0;
}

static bool awaits_date(const struct http_rehead *h)
{
	return at_partial(h) && h->partial_date && !h->dropping;
}

/* Whether h->line has enough of the line to decide what it is. */
static bool line_known(const struct http_rehead *h)
{
	uint8_t c = h->line[h->line_n - 1];

	if (c == '\n' || h->line_n == HTTP_REHEAD_LINE_MAX)
		return true;
	if (h->line_no == 0)
		return h->line_n == STATUS_DIGIT_AT + 1;
	if (awaits_date(h) && h->line_n >= 5) {
		uint8_t name[5];
		canonical(name, h->line, sizeof name, true);
		if (memcmp(name, "date:", 5) == 0)
			return false; /* the whole line is needed */
	}
	return c == ':';
}

static void classify(struct http_rehead *h)
{
	uint8_t name[HTTP_REHEAD_LINE_MAX];
	size_t n = (size_t)h->line_n, name_n = h->line_no > 0 ? name_length(h->line, n) : 0;

	if (h->line_no == 0) {
		bool informational = n > STATUS_DIGIT_AT && h->line[STATUS_DIGIT_AT] == '1';
		h->dropping = informational && h->informational > 0;
		h->informational = (uint8_t)(h->dropping ? h->informational - 1 : 0);
	}
	canonical(name, h->line, n, true);
	if (h->dropping || (name_n > 0 && remembered(h, name, name_n)))
		h->kind = HTTP_LINE_DROP;
	else
		h->kind = h->proven ? HTTP_LINE_FORWARD : HTTP_LINE_COMPARE;
}

/* Completes a Date of which the client has the beginning. @h->line is the backend's whole Date. */
static bool complete_date(struct http_rehead *h, const struct sink *out)
{
	uint8_t name[6];

	canonical(name, h->line, sizeof name, true);
	if (h->line_n != DATE_LINE_LEN || memcmp(name, "date: ", 6) != 0 ||
	    h->line[DATE_LINE_LEN - 2] != '\r' || h->partial >= DATE_LINE_LEN || !prove(h, out))
		return false;
	out->ops->to_client(out->j,
			    (struct jeebs_bytes){h->line + h->partial, DATE_LINE_LEN - h->partial});
	return true;
}

/* Takes @b at position @at of the current line. @form is the form of it that is digested. */
static bool line_bytes(struct http_rehead *h, const struct sink *out, uint64_t at,
		       struct jeebs_bytes b, const uint8_t *form)
{
	if (h->kind == HTTP_LINE_DROP)
		return true;
	if (!h->proven) {
		bool partial = at_partial(h);
		size_t n = b.n;
		if (partial && n > h->partial - at)
			n = (size_t)(h->partial - at);
		XXH64_update(&h->hash, form, n);
		if (!partial || at + n < h->partial)
			return true;
		if (!prove(h, out))
			return false;
		b.p += n;
		b.n -= n;
	}
	if (b.n > 0)
		out->ops->to_client(out->j, b);
	return true;
}

static bool line_begun(struct http_rehead *h, const struct sink *out)
{
	uint8_t form[HTTP_REHEAD_LINE_MAX];
	bool date = awaits_date(h);

	classify(h);
	if (date && !h->dropping && h->kind == HTTP_LINE_COMPARE)
		return complete_date(h, out);
	canonical(form, h->line, (size_t)h->line_n, h->line_no > 0);
	return line_bytes(h, out, 0, (struct jeebs_bytes){h->line, (size_t)h->line_n}, form);
}

/* Called after the LF of a line. */
static enum http_rehead_outcome line_ended(struct http_rehead *h, const struct sink *out)
{
	bool empty = h->line_n == 1 || (h->line_n == 2 && h->line[0] == '\r');

	if (h->kind == HTTP_LINE_COMPARE && !h->proven) {
		if (at_partial(h))
			/* The backend's head is shorter than what was delivered. */
			return HTTP_REHEAD_CONTRADICTS;
		h->compared++;
	}
	if (!h->proven && !h->dropping && h->compared == h->lines && h->partial == 0 &&
	    !prove(h, out))
		return HTTP_REHEAD_CONTRADICTS;

	bool head_ended = empty && h->line_no > 0;
	h->line_no++;
	begin_line(h);
	if (!head_ended)
		return HTTP_REHEAD_MORE;
	if (h->dropping) {
		h->dropping = false;
		h->line_no = 0;
		return HTTP_REHEAD_MORE;
	}
	return h->proven ? HTTP_REHEAD_DONE : HTTP_REHEAD_CONTRADICTS;
}

/*
 * Takes bytes of one line from @b. *ret_ended: its LF was among them. Returns false when the line
 * contradicts.
 */
static bool take(struct http_rehead *h, const struct sink *out, struct jeebs_bytes b, size_t *ret_n,
		 bool *ret_ended)
{
	if (h->kind == HTTP_LINE_UNKNOWN) {
		h->line[h->line_n++] = b.p[0];
		*ret_n = 1;
		*ret_ended = b.p[0] == '\n';
		return !line_known(h) || line_begun(h, out);
	}

	const uint8_t *lf = memchr(b.p, '\n', b.n);
	struct jeebs_bytes part = {b.p, lf ? (size_t)(lf - b.p) + 1 : b.n};
	uint64_t at = h->line_n;

	h->line_n += part.n;
	*ret_n = part.n;
	*ret_ended = lf != NULL;
	return line_bytes(h, out, at, part, part.p);
}

enum http_rehead_outcome http_rehead_data(struct http_rehead *h, struct jeebs_join *j,
					  const struct jeebs_join_ops *ops, struct jeebs_bytes b,
					  size_t *ret_taken)
{
	const struct sink out = {j, ops};

	/* Nothing was delivered, so nothing must be proven. */
	if (!h->proven && h->lines == 0 && h->partial == 0 && !prove(h, &out))
		return HTTP_REHEAD_CONTRADICTS;

	*ret_taken = 0;
	while (b.n > 0) {
		size_t n;
		bool ended;
		if (!take(h, &out, b, &n, &ended))
			return HTTP_REHEAD_CONTRADICTS;
		b.p += n;
		b.n -= n;
		*ret_taken += n;
		if (!ended)
			continue;
		enum http_rehead_outcome r = line_ended(h, &out);
		if (r != HTTP_REHEAD_MORE)
			return r;
	}
	return HTTP_REHEAD_MORE;
}
