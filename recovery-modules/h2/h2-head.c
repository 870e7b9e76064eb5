/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "h2-head.h"

#include <stdio.h>

static bool feed(struct http_head *h, const void *p, size_t n)
{
	return n == 0 || http_head_feed(h, (struct jeebs_bytes){p, n});
}

bool h2_name_is(const struct hpack_field *f, const char *name)
{
	return bytes_eq(f->name, bytes_str(name));
}

void h2_head_init(struct h2_head *h, struct http_answer *ret, struct http_etag *ret_etag)
{
	http_head_init_answer(&h->http, ret, ret_etag);
	h->answer = ret;
	h->status = 0;
	h->begun = h->failed = false;
}

static bool of_connection(const struct hpack_field *f)
{
	static const char *const names[] = {"connection", "transfer-encoding", "upgrade",
					    "keep-alive", "proxy-connection"};

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		if (h2_name_is(f, names[i]))
			return true;
	}
	return false;
}

static bool take_status(struct h2_head *h, struct bytes value)
{
	char line[32];

	if (h->begun || value.n != 3)
		return false;
	for (size_t i = 0; i < 3; i++) {
		if (value.p[i] < '0' || value.p[i] > '9')
			return false;
		h->status = (uint16_t)(h->status * 10 + value.p[i] - '0');
	}
	h->begun = true;
	int n = snprintf(line, sizeof line, "HTTP/1.1 %03u \r\n", h->status);
	return feed(&h->http, line, (size_t)n);
}

static bool take_field(struct h2_head *h, const struct hpack_field *f)
{
	if (f->name.n > 0 && f->name.p[0] == ':')
		return h2_name_is(f, ":status") && take_status(h, f->value);
	/* A line end in a value would make other fields of it. */
	if (!h->begun || memchr(f->value.p ? (const char *)f->value.p : "", '\n', f->value.n))
		return false;
	if (of_connection(f))
		return true;
	return feed(&h->http, f->name.p, f->name.n) && feed(&h->http, ": ", 2) &&
	       feed(&h->http, f->value.p, f->value.n) && feed(&h->http, "\r\n", 2);
}

void h2_head_field(struct h2_head *h, const struct hpack_field *f)
{
	if (!h->failed && !take_field(h, f))
		h->failed = true;
}

bool h2_head_finish(struct h2_head *h)
{
	if (h->failed || !h->begun || h->status < 100 || h->status == 101 ||
	    !feed(&h->http, "\r\n", 2) || !http_head_finish(&h->http))
		return false;
	if (h->answer->kind == HTTP_BODY_CLOSE)
		h->answer->kind = HTTP_BODY_CHUNKED;
	return true;
}

void h2_method(struct bytes name, uint8_t *ret_method, bool *ret_idempotent)
{
	struct http_head h;
	struct http_ask ask;

	http_head_init_ask(&h, &ask);
	*ret_method = H2_METHOD_UNKNOWN;
	*ret_idempotent = false;
	if (!feed(&h, name.p, name.n) || !feed(&h, " / HTTP/1.1\r\n\r\n", 15) ||
	    !http_head_finish(&h))
		return;
	*ret_method = ask.method;
	*ret_idempotent = ask.flags & HTTP_ASK_IDEMPOTENT;
}
