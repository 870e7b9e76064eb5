/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Requests beyond those that are remembered: their bytes wait in the log, unread, until an answer
 * makes room. A cut meets them there.
 */
#include "http.h"

void http_backlog_begin(struct http *s, uint64_t off)
{
	s->backlog = true;
	s->side[JEEBS_TO_SERVER].start = off;
}

enum http_reason http_backlog_read(struct http *s)
{
	const struct http_side *side = &s->side[JEEBS_TO_SERVER];
	uint64_t off = side->start, end = side->next;

	s->backlog = false;
	while (off < end && !s->backlog) {
		struct jeebs_bytes v = s->ops->log(s->flow, JEEBS_TO_SERVER, off);
		if (v.n == 0)
			return HTTP_LOG_LOST;
		if (v.n > end - off)
			v.n = (size_t)(end - off);
		enum http_reason r = http_read(s, JEEBS_TO_SERVER, off, v);
		if (r != HTTP_FINE)
			return r;
		off += v.n;
	}
	return HTTP_FINE;
}

/* Reads requests one after the other. */
struct scan {
	const struct http *s;
	struct http_head head;
	struct http_ask ask;
	struct http_body body;
	uint64_t head_n;
	uint8_t step;
	bool in_body;
};

static const char *head_whole(struct scan *c)
{
	if (!http_head_finish(&c->head))
		return "not-http";
	const struct http_request q = {.method = c->ask.method, .flags = c->ask.flags};
	if (!http_may_ask(c->s, &q))
		return "pipeline-too-deep";
	http_body_init(&c->body, (enum http_body_kind)c->ask.kind, c->ask.length);
	c->in_body = !http_body_done(&c->body);
	c->head_n = 0;
	return NULL;
}

static const char *head_bytes(struct scan *c, struct jeebs_bytes b, size_t *ret_n)
{
	*ret_n = 1;
	if (c->head_n == 0) {
		/* Empty lines before a request are ignored (RFC 9112 section 2.2). */
		if (b.p[0] == '\r' || b.p[0] == '\n')
			return NULL;
		http_head_init_ask(&c->head, &c->ask);
		c->step = 0;
	}
	*ret_n = b.n;
	bool whole = http_head_end(&c->step, b, ret_n);
	c->head_n += *ret_n;
	if (c->head_n > HTTP_HEAD_MAX)
		return "head-too-long";
	if (!http_head_feed(&c->head, (struct jeebs_bytes){b.p, *ret_n}))
		return "not-http";
	return whole ? head_whole(c) : NULL;
}

static const char *body_bytes(struct scan *c, struct jeebs_bytes b, size_t *ret_n)
{
	struct jeebs_bytes data;

	*ret_n = http_body_take(&c->body, b, &data);
	if (c->body.step == HTTP_STEP_BAD)
		return "not-http";
	c->in_body = !http_body_done(&c->body);
	return NULL;
}

const char *http_backlog_forbids(const struct http *s, const struct jeebs_cut *cut)
{
	uint64_t at = s->side[JEEBS_TO_SERVER].start;
	struct scan c = {.s = s};

	while (at < cut->to_server_end) {
		struct jeebs_bytes v = cut->log(cut->flow, JEEBS_TO_SERVER, at);
		size_t n;
		if (v.n == 0)
			return "request-log-incomplete";
		if (v.n > cut->to_server_end - at)
			v.n = (size_t)(cut->to_server_end - at);
		const char *why = c.in_body ? body_bytes(&c, v, &n) : head_bytes(&c, v, &n);
		if (why)
			return why;
		at += n;
	}
	return NULL;
}
