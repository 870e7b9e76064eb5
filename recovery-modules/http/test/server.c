/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "server.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct test_server test_server_init(void)
{
	return (struct test_server){
		.date = "Sat, 21 Nov 2026 03:36:41 GMT",
		.name = "test/1.0",
		.etag = "\"5f3c-1a2b\"",
		.modified = "Sun, 06 Nov 1994 08:49:37 GMT",
		.type = "text/plain",
		.content = 1,
		.length = 150,
		.chunk = 40,
		.boundary = "5f00ba11",
		.in = BUF_INIT(1u << 20),
	};
}

void test_server_deinit(struct test_server *s)
{
	buf_deinit(&s->in);
}

struct request {
	char method[16], path[64];
	char range[64], if_range[64];
	size_t body;
	bool chunked_body;
	bool close;
};

static void field(const char *line, size_t n, const char *name, char *out, size_t cap)
{
	size_t k = strlen(name);

	if (n <= k + 1 || strncasecmp(line, name, k) != 0 || line[k] != ':')
		return;
	line += k + 1;
	n -= k + 1;
	while (n > 0 && *line == ' ') {
		line++;
		n--;
	}
	snprintf(out, cap, "%.*s", (int)n, line);
}

/* Parses a complete request head at @p. Returns its length, or 0. */
static size_t parse(const uint8_t *p, size_t n, struct request *q)
{
	const uint8_t *end = memmem(p, n, "\r\n\r\n", 4);
	char head[1024], length[16] = "", coding[16] = "", connection[16] = "";

	memset(q, 0, sizeof *q);
	if (!end)
		return 0;
	int head_n = snprintf(head, sizeof head, "%.*s", (int)(end + 2 - p), (const char *)p);
	assert(head_n < (int)sizeof head);
	sscanf(head, "%15s %63s", q->method, q->path);
	for (const char *line = head; *line;) {
		const char *eol = strstr(line, "\r\n");
		size_t k = (size_t)(eol - line);
		field(line, k, "content-length", length, sizeof length);
		field(line, k, "transfer-encoding", coding, sizeof coding);
		field(line, k, "connection", connection, sizeof connection);
		field(line, k, "range", q->range, sizeof q->range);
		field(line, k, "if-range", q->if_range, sizeof q->if_range);
		line = eol + 2;
	}
	q->body = strtoul(length, NULL, 10);
	q->chunked_body = strcmp(coding, "chunked") == 0;
	q->close = strcmp(connection, "close") == 0;
	return (size_t)(end + 4 - p);
}

static uint8_t content(const struct test_server *s, const char *path, size_t i)
{
	if (s->copied > 0 && i >= s->copied)
		return '0';
	/* Printable bytes without CR and LF, which differ by path and seed. */
	return (uint8_t)('!' + (i * 7 + i / 13 + s->content * 31 + strlen(path) * 3) % 90);
}

enum framing {
	COUNTED,
	CHUNKED,
	UNTIL,
};

static void send_body(const struct test_server *s, const struct request *q, struct buf *out,
		      enum framing framing, size_t from, size_t to)
{
	uint8_t byte;

	for (size_t i = from; i < to; i++) {
		size_t left = to - i, chunk = s->chunk < left ? s->chunk : left;
		bool first = (i - from) % s->chunk == 0;
		if (framing == CHUNKED && first)
			buf_printf(out, "%s%zx\r\n", i > from ? "\r\n" : "", chunk);
		byte = content(s, q->path, i);
		buf_append(out, &byte, 1);
	}
	if (framing != CHUNKED)
		return;
	buf_printf(out, "%s0\r\n", to > from ? "\r\n" : "");
	if (strcmp(q->path, "/trailer") == 0)
		buf_printf(out, "X-Sum: 42\r\n");
	buf_printf(out, "\r\n");
}

static bool path_is(const struct request *q, const char *path)
{
	return strcmp(q->path, path) == 0;
}

/* Answers "bytes=a-b,c-d,...", with a body of s->length bytes. */
static void several_ranges(const struct test_server *s, const struct request *q, struct buf *out)
{
	const char *t = q->range + strlen("bytes=");
	bool apache = s->parts == PARTS_APACHE, first = true;
	size_t from, to;
	int n;

	while (sscanf(t, "%zu-%zu%n", &from, &to, &n) == 2) {
		t += n + (t[n] == ',');
		if (first && s->join_parts && sscanf(t, "%*u-%zu%n", &to, &n) == 1)
			t += n + (t[n] == ',');
		buf_printf(out, "%s--%s\r\nContent-%s: %s\r\nContent-%s: bytes %zu-%zu/%zu\r\n\r\n",
			   first && s->parts == PARTS_LIGHTTPD ? "" : "\r\n", s->boundary,
			   apache ? "type" : "Type", s->type, apache ? "range" : "Range", from, to,
			   s->length);
		send_body(s, q, out, COUNTED, from, to + 1);
		first = false;
	}
	buf_printf(out, "\r\n--%s--\r\n", s->boundary);
}

/* What the head of a response says. */
struct answer {
	bool named, parts, close;
	enum framing framing;
	size_t from, to;
	int status;
	char type[128];
};

static void send_head(const struct test_server *s, const struct request *q, const struct answer *h,
		      struct buf *out)
{
	if (path_is(q, "/continue"))
		buf_printf(out, "HTTP/1.1 100 Continue\r\n\r\n");
	buf_printf(out, "HTTP/1.1 %d Some Reason\r\nServer: %s\r\nDate: %s\r\nContent-Type: %s\r\n",
		   h->status, s->name, s->date, h->type);
	if (h->named)
		buf_printf(out, "Last-Modified: %s\r\n", s->modified);
	if (path_is(q, "/file"))
		buf_printf(out, "ETag: %s\r\n", s->etag);
	if (path_is(q, "/weak"))
		buf_printf(out, "ETag: W/%s\r\n", s->etag);
	if (h->named)
		buf_printf(out, "Accept-Ranges: bytes\r\n");
	if (h->status == 206 && !h->parts)
		buf_printf(out, "Content-Range: bytes %zu-%zu/%zu\r\n", h->from, h->to - 1,
			   s->length);
	buf_printf(out, "Connection: %s\r\n", h->close ? "close" : "keep-alive");
	if (h->status != 204 && h->status != 304 && h->framing == COUNTED)
		buf_printf(out, "Content-Length: %zu\r\n", h->to - h->from);
	if (h->status != 204 && h->status != 304 && h->framing == CHUNKED)
		buf_printf(out, "Transfer-Encoding: chunked\r\n");
	buf_printf(out, "X-Last: yes\r\n\r\n");
}

/* Returns true when the connection ends after the answer. */
static bool answer(const struct test_server *s, const struct request *q, struct buf *out)
{
	struct answer h = {
		.named = path_is(q, "/file") || path_is(q, "/dated"),
		.framing = COUNTED,
		.to = s->length,
		.status = 200,
		.close = q->close || path_is(q, "/bye"),
	};
	struct buf parts = BUF_INIT(1u << 20);

	if (path_is(q, "/chunked") || path_is(q, "/trailer"))
		h.framing = CHUNKED;
	if (s->swap_framing)
		h.framing = h.framing == CHUNKED ? COUNTED : CHUNKED;
	if (path_is(q, "/until") || s->close_framing)
		h.framing = UNTIL;
	if (path_is(q, "/empty"))
		h.to = 0;
	if (path_is(q, "/none"))
		h.status = 204;
	if (path_is(q, "/same"))
		h.status = 304;
	if (path_is(q, "/missing"))
		h.status = 404;
	bool current = q->if_range[0] == 0 ||
		       strcmp(q->if_range, path_is(q, "/file") ? s->etag : s->modified) == 0;
	if (h.named && !s->no_ranges && current && !strchr(q->range, ',') &&
	    sscanf(q->range, "bytes=%zu-%zu", &h.from, &h.to) == 2 && h.from <= h.to &&
	    h.to < s->length) {
		h.status = 206;
		h.to++;
	} else {
		h.from = 0;
		h.to = path_is(q, "/empty") ? 0 : s->length;
	}

	snprintf(h.type, sizeof h.type, "%s", s->type);
	if (h.named && !s->no_ranges && current && strchr(q->range, ',')) {
		several_ranges(s, q, &parts);
		snprintf(h.type, sizeof h.type, "multipart/byteranges; boundary=%s", s->boundary);
		h.status = 206;
		h.to = h.from + parts.n;
	}

	h.close |= h.framing == UNTIL;
	h.parts = parts.n > 0;
	send_head(s, q, &h, out);
	if (parts.n > 0 && h.framing == CHUNKED)
		buf_printf(out, "%zx\r\n%.*s\r\n0\r\n\r\n", parts.n, (int)parts.n, parts.p);
	else if (parts.n > 0)
		buf_bytes(out, buf_view(&parts));
	else if (h.status != 204 && h.status != 304 && strcmp(q->method, "HEAD") != 0)
		send_body(s, q, out, h.framing, h.from, h.to);
	buf_deinit(&parts);
	return h.close;
}

/*
 * Determines the length of the request body at @p. Returns false when the body is not complete in
 * the @n bytes.
 */
static bool body_there(const struct request *q, const uint8_t *p, size_t n, size_t *ret)
{
	*ret = q->body;
	if (q->chunked_body) {
		const uint8_t *end = memmem(p, n, "0\r\n\r\n", 5);
		*ret = end ? (size_t)(end + 5 - p) : n + 1;
	}
	return *ret <= n;
}

static void limit(struct test_server *s, struct buf *out, size_t before, size_t max, bool *flag)
{
	if (max == 0 || s->sent + (out->n - before) < max)
		return;
	out->n = before + (max - s->sent);
	*flag = s->closed = true;
}

void test_server_receive(void *ctx, struct bytes b, bool eof, struct buf *out, bool *close,
			 bool *fail)
{
	struct test_server *s = ctx;
	size_t before = out->n, body;
	struct request q;

	buf_bytes(&s->in, b);
	while (!s->closed) {
		const uint8_t *p = s->in.p;
		size_t n = s->in.n ? parse(p, s->in.n, &q) : 0;
		if (n == 0 || !body_there(&q, p + n, s->in.n - n, &body))
			break;
		buf_consume(&s->in, n + body);
		s->requests++;
		if (s->garbage)
			buf_printf(out, "220 mail.example ESMTP\r\n\r\n");
		else
			s->closed = answer(s, &q, out);
		*close = s->closed;
	}
	limit(s, out, before, s->fail_after, fail);
	limit(s, out, before, s->close_after, close);
	s->sent += out->n - before;
	if (eof && !s->closed)
		*close = s->closed = true;
	assert(buf_error(out) == 0 && buf_error(&s->in) == 0);
}
