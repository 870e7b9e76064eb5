/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The end of a connection of which not everything may be asked again: the responses of the
 * backend to what was asked go through and are counted, and behind the last of them the client is
 * told that its next request is not repeated, and that the connection ends.
 *
 * RFC 9110 section 15.6.3 (502), RFC 9209 (Proxy-Status), RFC 9112 section 9.6: the client may be
 * sending still, and must come to read the answer. So what it sends is taken and thrown away.
 */
#include "http.h"

#include <stdio.h>
#include <string.h>

static void stop(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		 const char *reason)
{
	s->resume.over = true;
	ops->abort(j, reason);
}

static void finish(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	s->resume.over = true;
	ops->finish_client(j);
}

void http_follow_end(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	char body[160], head[400];
	int body_n = snprintf(body, sizeof body,
			      "The server failed before it answered, and this request is not "
			      "repeated: %s.\n",
			      s->resume.forbidden);
	int head_n = snprintf(head, sizeof head,
			      "HTTP/1.1 502 Bad Gateway\r\n"
			      "Content-Type: text/plain\r\n"
			      "Content-Length: %d\r\n"
			      "Cache-Control: no-store\r\n"
			      "Proxy-Status: jeebs; error=connection_terminated; details=\"%s\"\r\n"
			      "Connection: close\r\n\r\n",
			      body_n, s->resume.forbidden);

	ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)head, (size_t)head_n});
	if (!s->resume.headless)
		ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)body, (size_t)body_n});
	finish(s, j, ops);
}

void http_follow_init(struct http *s)
{
	struct http_follow *f = &s->resume.follow;

	f->head_bytes = 0;
	f->scan = 0;
	f->in_body = false;
	http_head_init_answer(&f->head, &s->answer, NULL);
}

void http_follow_begin(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		       struct jeebs_bytes b)
{
	s->resume.following = true;
	if (s->resume.left == 0) {
		http_follow_end(s, j, ops);
		return;
	}
	http_follow_init(s);
	http_follow_data(s, j, ops, b, false);
}

static void response_done(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	const struct http_body *body = &s->side[JEEBS_TO_CLIENT].body;

	s->resume.left--;
	s->resume.heads >>= 1;
	/* The client knows that this response is the last one: nothing after it will be
	 * answered. */
	if (s->answer.flags & HTTP_ANSWER_CLOSE || body->kind == HTTP_BODY_CLOSE)
		finish(s, j, ops);
	else if (s->resume.left == 0)
		http_follow_end(s, j, ops);
	else
		http_follow_init(s);
}

/* Returns false when it is unknown where this response ends. */
static bool head_complete(struct http *s)
{
	struct http_follow *f = &s->resume.follow;
	uint8_t method = s->resume.heads & 1 ? HTTP_HEAD : HTTP_GET;

	if (!http_head_finish(&f->head) || s->answer.status == 101 ||
	    s->answer.flags & HTTP_ANSWER_CODED)
		return false;
	if (s->answer.status < 200) {
		http_follow_init(s);
		return true;
	}
	http_body_init(&s->side[JEEBS_TO_CLIENT].body, http_answer_body(&s->answer, method),
		       s->answer.length);
	f->in_body = true;
	return true;
}

/* Takes *ret_n bytes of @b. Returns false when they are malformed. */
static bool take(struct http *s, struct jeebs_bytes b, size_t *ret_n)
{
	struct http_follow *f = &s->resume.follow;
	struct http_body *body = &s->side[JEEBS_TO_CLIENT].body;
	struct jeebs_bytes data;

	*ret_n = b.n;
	if (f->in_body) {
		*ret_n = http_body_take(body, b, &data);
		return body->step != HTTP_STEP_BAD;
	}
	bool whole = http_head_end(&f->scan, b, ret_n);
	f->head_bytes += *ret_n;
	if (f->head_bytes > HTTP_HEAD_MAX ||
	    !http_head_feed(&f->head, (struct jeebs_bytes){b.p, *ret_n}))
		return false;
	return !whole || head_complete(s);
}

void http_follow_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b, bool quiet)
{
	while (b.n > 0 && !s->resume.over) {
		size_t n;
		if (!take(s, b, &n)) {
			stop(s, j, ops, "backend-not-http");
			return;
		}
		if (!quiet)
			ops->to_client(j, (struct jeebs_bytes){b.p, n});
		b.p += n;
		b.n -= n;
		if (s->resume.follow.in_body && http_body_done(&s->side[JEEBS_TO_CLIENT].body))
			response_done(s, j, ops);
	}
}

void http_follow_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	const struct http_follow *f = &s->resume.follow;
	/* The stream may end between two responses, or end the body of one. */
	bool in_order =
		f->in_body ? http_body_eof(&s->side[JEEBS_TO_CLIENT].body) : f->head_bytes == 0;

	if (in_order)
		finish(s, j, ops);
	else
		stop(s, j, ops, "backend-closed");
}
