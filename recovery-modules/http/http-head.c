/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-head.h"

#include <string.h>
#include <strings.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "http-date.h"

/* A Last-Modified counts as strong if it is this much older than the response. RFC 9110 section
 * 8.8.2.2 says one second; clocks of file servers differ by more. */
#define MODIFIED_AGE_MIN_S 60

/* Response fields that llhttp does not evaluate itself. */
enum field {
	FIELD_OTHER,
	FIELD_ACCEPT_RANGES,
	FIELD_CONTENT_ENCODING,
	FIELD_CONTENT_RANGE,
	FIELD_CONTENT_TYPE,
	FIELD_DATE,
	FIELD_ETAG,
	FIELD_LAST_MODIFIED,
	FIELD_TRANSFER_ENCODING,
};

static const struct {
	const char *name;
	uint8_t n;
} field_names[] = {
	[FIELD_OTHER] = {"", 0},
	[FIELD_ACCEPT_RANGES] = {"accept-ranges", 13},
	[FIELD_CONTENT_ENCODING] = {"content-encoding", 16},
	[FIELD_CONTENT_RANGE] = {"content-range", 13},
	[FIELD_CONTENT_TYPE] = {"content-type", 12},
	[FIELD_DATE] = {"date", 4},
	[FIELD_ETAG] = {"etag", 4},
	[FIELD_LAST_MODIFIED] = {"last-modified", 13},
	[FIELD_TRANSFER_ENCODING] = {"transfer-encoding", 17},
};

/* Lengths of the names above, as bits. */
#define FIELD_LENGTHS (1u << 4 | 1u << 12 | 1u << 13 | 1u << 16 | 1u << 17)

static int on_field(llhttp_t *p, const char *at, size_t n)
{
	struct http_head *h = p->data;
	size_t room = sizeof h->name - h->name_n;

	/* One that fills all of it is none of those above. */
	if (n > room)
		n = room;
	memcpy(h->name + h->name_n, at, n);
	h->name_n = (uint8_t)(h->name_n + n);
	return 0;
}

static uint8_t field_of(const uint8_t *name, size_t n)
{
	uint8_t lower[HTTP_NAME_MAX];

	for (size_t i = 0; i < sizeof lower; i++)
		lower[i] = name[i] | 0x20;
	for (uint8_t i = 1; i < sizeof field_names / sizeof field_names[0]; i++)
		if (field_names[i].n == n && memcmp(field_names[i].name, lower, n) == 0)
			return i;
	return FIELD_OTHER;
}

static int on_field_complete(llhttp_t *p)
{
	struct http_head *h = p->data;

	h->field = FIELD_LENGTHS >> h->name_n & 1 ? field_of(h->name, h->name_n) : FIELD_OTHER;
	h->name_n = 0;
	h->value_n = 0;
	return 0;
}

static int on_value(llhttp_t *p, const char *at, size_t n)
{
	struct http_head *h = p->data;

	if (h->field == FIELD_OTHER)
		return 0;
	if (h->field == FIELD_CONTENT_TYPE || h->field == FIELD_CONTENT_ENCODING) {
		/* FNV-1a byte by byte gives the same result for any chunks. */
		for (size_t i = 0; i < n; i++) {
			h->answer->entity =
				(h->answer->entity ^ (uint8_t)at[i]) * UINT64_C(0x100000001b3);
			if (h->field == FIELD_CONTENT_ENCODING)
				h->answer->encoding =
					(h->answer->encoding ^ (uint8_t)at[i]) * 0x01000193u + 1;
		}
	}
	/* A value_n of HTTP_VALUE_MAX + 1 means that the value is too long. */
	size_t room = HTTP_VALUE_MAX - (h->value_n > HTTP_VALUE_MAX ? HTTP_VALUE_MAX : h->value_n);
	if (n > room) {
		h->value_n = HTTP_VALUE_MAX + 1;
		return 0;
	}
	memcpy(h->value + h->value_n, at, n);
	h->value_n = (uint8_t)(h->value_n + n);
	return 0;
}

static bool value_is(const struct http_head *h, const char *lower)
{
	size_t n = strlen(lower);

	if (h->value_n != n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if ((h->value[i] | 0x20) != (lower[i] | 0x20))
			return false;
	}
	return true;
}

static void take_etag(struct http_head *h)
{
	struct http_answer *a = h->answer;
	uint8_t n = h->value_n;

	/* With two tags, neither can be relied upon. */
	if (a->flags & HTTP_ANSWER_ETAG) {
		a->flags &= (uint16_t)~HTTP_ANSWER_STRONG;
		return;
	}
	a->flags |= HTTP_ANSWER_ETAG;
	if (n < 2 || n > sizeof h->etag->text || h->value[0] != '"' || h->value[n - 1] != '"')
		return;
	a->flags |= HTTP_ANSWER_STRONG;
	a->etag_hash = XXH64(h->value, n, 0);
	if (h->etag && !(a->flags & HTTP_ANSWER_PARTS)) {
		h->etag->n = n;
		memcpy(h->etag->text, h->value, n);
	}
}

static bool number(const uint8_t *p, size_t n, size_t *io_i, uint64_t *ret)
{
	uint64_t v = 0;
	size_t i = *io_i;

	for (; i < n && p[i] >= '0' && p[i] <= '9'; i++) {
		if (v > (UINT64_C(1) << 59))
			return false;
		v = v * 10 + (uint64_t)(p[i] - '0');
	}
	if (i == *io_i)
		return false;
	*io_i = i;
	*ret = v;
	return true;
}

/* Parses "bytes 10-19/100", or "bytes 10-19/" followed by an asterisk. */
static void take_content_range(struct http_head *h)
{
	struct http_answer *a = h->answer;
	const uint8_t *p = h->value;
	size_t n = h->value_n, i = 6;

	a->flags &= (uint16_t)~HTTP_ANSWER_RANGE;
	if (n > HTTP_VALUE_MAX || n < 6 || memcmp(p, "bytes ", 6) != 0)
		return;
	if (!number(p, n, &i, &a->range_first) || i == n || p[i++] != '-')
		return;
	if (!number(p, n, &i, &a->range_last) || i == n || p[i++] != '/')
		return;
	if (i + 1 == n && p[i] == '*') {
		a->range_total = UINT64_MAX;
		i++;
	} else if (!number(p, n, &i, &a->range_total)) {
		return;
	}
	if (i == n && a->range_first <= a->range_last && a->range_last < a->range_total)
		a->flags |= HTTP_ANSWER_RANGE;
}

static void take_date(struct http_head *h, int64_t *ret_s, uint8_t flag)
{
	if (h->value_n <= HTTP_VALUE_MAX &&
	    http_date_parse((struct jeebs_bytes){h->value, h->value_n}, ret_s))
		h->answer->flags |= flag;
}

/*
 * Takes the boundary of "multipart/byteranges; boundary=..." (RFC 2046 section 5.1.1), quoted or
 * not.
 */
static void take_boundary(struct http_head *h)
{
	static const char type[] = "multipart/byteranges;", name[] = "boundary=";
	struct http_answer *a = h->answer;
	size_t at = sizeof type - 1, n = h->value_n;

	if (n > HTTP_VALUE_MAX || n < sizeof type || a->flags & HTTP_ANSWER_PARTS ||
	    strncasecmp((const char *)h->value, type, at) != 0)
		return;
	while (at < n && h->value[at] == ' ')
		at++;
	if (n - at < sizeof name ||
	    strncasecmp((const char *)h->value + at, name, sizeof name - 1) != 0)
		return;
	at += sizeof name - 1;
	if (n - at > 2 && h->value[at] == '"' && h->value[n - 1] == '"') {
		at++;
		n--;
	}
	if (n - at > HTTP_BOUNDARY_MAX || memchr(h->value + at, '"', n - at) ||
	    memchr(h->value + at, ';', n - at))
		return;
	a->flags |= HTTP_ANSWER_PARTS;
	if (h->etag) {
		h->etag->n = (uint8_t)(n - at);
		memcpy(h->etag->text, h->value + at, n - at);
	}
}

static uint32_t digest_next(uint32_t digest, uint8_t c)
{
	return (digest ^ c) * 0x01000193u | 1u;
}

/* Digest of a token without regard to case, quotes and spaces; never 0. */
static uint32_t token_digest(const uint8_t *p, size_t n)
{
	uint32_t v = 0x811c9dc5u;

	for (size_t i = 0; i < n; i++) {
		if (p[i] != ' ' && p[i] != '\t' && p[i] != '"')
			v = digest_next(v, p[i] >= 'A' && p[i] <= 'Z' ? p[i] | 0x20u : p[i]);
	}
	return v;
}

/* Takes a parameter: ";name=value", from the semicolon on. */
static void take_parameter(struct http_answer *a, const uint8_t *p, size_t n)
{
	static const char name[] = "charset=";
	size_t blank = 1, k = sizeof name - 1;

	while (blank < n && (p[blank] == ' ' || p[blank] == '\t'))
		blank++;
	if (n - blank > k && strncasecmp((const char *)p + blank, name, k) == 0) {
		a->charset = token_digest(p + blank + k, n - blank - k);
		return;
	}
	for (size_t i = 0; i < n; i++)
		a->parameters = digest_next(a->parameters, p[i]);
}

static size_t parameter_end(const uint8_t *p, size_t n)
{
	const uint8_t *end = n > 1 ? memchr(p + 1, ';', n - 1) : NULL;

	return end ? (size_t)(end - p) : n;
}

/* Takes "type/subtype; charset=utf-8" (RFC 9110 section 8.3.1). A semicolon in quotes counts as
 * the beginning of another parameter. */
static void take_type(struct http_head *h)
{
	struct http_answer *a = h->answer;
	const uint8_t *p = h->value;
	bool whole = h->value_n <= HTTP_VALUE_MAX;
	size_t n = whole ? h->value_n : 0, end = n ? parameter_end(p, n) : 0;

	a->charset = 0;
	a->parameters = whole ? 0 : (uint32_t)a->entity | 1u;
	a->type = n ? token_digest(p, end) : 0;
	while (end < n) {
		p += end;
		n -= end;
		end = parameter_end(p, n);
		take_parameter(a, p, end);
	}
}

static int on_value_complete(llhttp_t *p)
{
	struct http_head *h = p->data;
	struct http_answer *a = h->answer;

	switch (h->field) {
	case FIELD_ACCEPT_RANGES:
		if (value_is(h, "none"))
			a->flags |= HTTP_ANSWER_NO_RANGES;
		break;
	case FIELD_CONTENT_ENCODING:
	case FIELD_CONTENT_TYPE:
		if (h->field == FIELD_CONTENT_TYPE) {
			take_boundary(h);
			take_type(h);
		}
		/* Marks the end of the value, so that the two fields stay apart. */
		a->entity = (a->entity ^ (UINT64_C(0x100) + h->field)) * UINT64_C(0x100000001b3);
		break;
	case FIELD_CONTENT_RANGE:
		take_content_range(h);
		break;
	case FIELD_DATE:
		take_date(h, &a->date_s, HTTP_ANSWER_DATED);
		break;
	case FIELD_ETAG:
		take_etag(h);
		break;
	case FIELD_LAST_MODIFIED:
		take_date(h, &a->modified_s, HTTP_ANSWER_MODIFIED);
		break;
	case FIELD_TRANSFER_ENCODING:
		if (!value_is(h, "chunked"))
			a->flags |= HTTP_ANSWER_CODED;
		break;
	default:
		break;
	}
	return 0;
}

static bool idempotent(uint8_t method)
{
	switch (method) {
	case HTTP_GET:
	case HTTP_HEAD:
	case HTTP_OPTIONS:
	case HTTP_TRACE:
	case HTTP_PUT:
	case HTTP_DELETE:
		return true;
	default:
		return false;
	}
}

static int on_ask_complete(llhttp_t *p)
{
	struct http_head *h = p->data;
	struct http_ask *a = h->ask;

	h->complete = true;
	a->method = p->method;
	a->flags = idempotent(p->method) ? HTTP_ASK_IDEMPOTENT : 0;
	a->kind = HTTP_BODY_NONE;
	if (p->flags & F_CHUNKED) {
		a->kind = HTTP_BODY_CHUNKED;
	} else if (p->flags & F_CONTENT_LENGTH) {
		a->kind = HTTP_BODY_LENGTH;
		a->length = p->content_length;
	}
	return HPE_PAUSED;
}

static int on_answer_complete(llhttp_t *p)
{
	struct http_head *h = p->data;
	struct http_answer *a = h->answer;

	h->complete = true;
	a->status = p->status_code;
	if (p->flags & F_CHUNKED) {
		a->kind = HTTP_BODY_CHUNKED;
	} else if (p->flags & F_CONTENT_LENGTH && !(p->flags & F_TRANSFER_ENCODING)) {
		a->kind = HTTP_BODY_LENGTH;
		a->length = p->content_length;
	} else {
		a->kind = HTTP_BODY_CLOSE;
	}
	bool old_version = p->http_major < 1 || (p->http_major == 1 && p->http_minor == 0);
	if (old_version ? !(p->flags & F_CONNECTION_KEEP_ALIVE) : p->flags & F_CONNECTION_CLOSE)
		a->flags |= HTTP_ANSWER_CLOSE;
	/* With another status multipart/byteranges is a type like any other. The entity tag is
	 * lost, because the boundary was stored in its place. */
	if (a->flags & HTTP_ANSWER_PARTS && (a->status != 206 || a->flags & HTTP_ANSWER_RANGE))
		a->flags &= (uint16_t) ~(HTTP_ANSWER_PARTS | HTTP_ANSWER_STRONG);
	return HPE_PAUSED;
}

static const llhttp_settings_t ask_settings = {.on_headers_complete = on_ask_complete};

static const llhttp_settings_t answer_settings = {
	.on_header_field = on_field,
	.on_header_field_complete = on_field_complete,
	.on_header_value = on_value,
	.on_header_value_complete = on_value_complete,
	.on_headers_complete = on_answer_complete,
};

void http_head_init_ask(struct http_head *h, struct http_ask *ret)
{
	memset(ret, 0, sizeof *ret);
	h->ask = ret;
	h->complete = false;
	llhttp_init(&h->llhttp, HTTP_REQUEST, &ask_settings);
	h->llhttp.data = h;
}

void http_head_init_answer(struct http_head *h, struct http_answer *ret, struct http_etag *ret_etag)
{
	memset(ret, 0, sizeof *ret);
	if (ret_etag)
		ret_etag->n = 0;
	h->answer = ret;
	h->etag = ret_etag;
	h->complete = false;
	h->field = FIELD_OTHER;
	h->name_n = h->value_n = 0;
	memset(h->name, 0, sizeof h->name);
	llhttp_init(&h->llhttp, HTTP_RESPONSE, &answer_settings);
	h->llhttp.data = h;
}

bool http_head_feed(struct http_head *h, struct jeebs_bytes b)
{
	/* Complete before the empty line: llhttp and http_head_end() disagree about the end of
	 * the head. */
	if (h->complete)
		return false;
	llhttp_errno_t e = llhttp_execute(&h->llhttp, (const char *)b.p, b.n);
	return e == HPE_OK || (h->complete && e == HPE_PAUSED);
}

bool http_head_finish(struct http_head *h)
{
	return h->complete;
}

bool http_head_end(uint8_t *io_scan, struct jeebs_bytes b, size_t *ret_end)
{
	/* 0: in a line. 1: after LF. 2: after LF CR. */
	for (size_t i = 0; i < b.n;) {
		if (*io_scan == 0) {
			const uint8_t *lf = memchr(b.p + i, '\n', b.n - i);
			if (!lf)
				return false;
			i = (size_t)(lf - b.p) + 1;
			*io_scan = 1;
			continue;
		}
		uint8_t c = b.p[i++];
		if (c == '\n') {
			*io_scan = 0;
			*ret_end = i;
			return true;
		}
		*io_scan = c == '\r' && *io_scan == 1 ? 2 : 0;
	}
	return false;
}

bool http_answer_strong_date(const struct http_answer *a)
{
	return a->flags & HTTP_ANSWER_MODIFIED && a->flags & HTTP_ANSWER_DATED &&
	       a->date_s - a->modified_s >= MODIFIED_AGE_MIN_S;
}

enum http_body_kind http_answer_body(const struct http_answer *a, uint8_t method)
{
	if (method == HTTP_HEAD || a->status == 204 || a->status == 304 || a->status < 200)
		return HTTP_BODY_NONE;
	return a->kind;
}
