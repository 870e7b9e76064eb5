/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: follows both directions while the protected server lives. */
#include "http.h"

static int give_up(struct http *s, enum http_reason reason)
{
	s->reason = (uint8_t)reason;
	return JEEBS_GIVE_UP;
}

static void keep_from(struct http *s, uint32_t dir, uint64_t off)
{
	struct http_side *side = &s->side[dir];

	if (side->kept && off <= side->keep)
		return;
	side->kept = true;
	side->keep = off;
	s->ops->keep_from(s->flow, dir, off);
}

/*
 * Keeps what may be needed. Of the client: from the oldest request that may be asked again. Of the
 * server: an unfinished head.
 */
static void keep_needed(struct http *s)
{
	const struct http_side *ask = &s->side[JEEBS_TO_SERVER];
	const struct http_side *answer = &s->side[JEEBS_TO_CLIENT];
	uint64_t from = ask->phase == HTTP_IN_HEAD ? ask->start : ask->next;

	for (unsigned i = 0; i < s->queue_n; i++) {
		const struct http_request *q = http_queued(s, i);
		if (http_may_ask(s, q)) {
			from = q->start;
			break;
		}
	}
	if (s->backlog && ask->start < from)
		from = ask->start;
	keep_from(s, JEEBS_TO_SERVER, from);
	keep_from(s, JEEBS_TO_CLIENT,
		  answer->phase == HTTP_IN_HEAD || s->waiting ? answer->start : answer->next);
}

/*
 * Feeds the head [side->start, off + end). Bytes before @off are in the log, the others are in @b.
 */
static enum http_reason read_head(struct http *s, uint32_t dir, struct http_head *h, uint64_t off,
				  struct jeebs_bytes b)
{
	uint64_t at = s->side[dir].start;

	while (at < off) {
		struct jeebs_bytes v = s->ops->log(s->flow, dir, at);
		if (v.n == 0)
			return HTTP_LOG_LOST;
		if (v.n > off - at)
			v.n = (size_t)(off - at);
		if (!http_head_feed(h, v))
			return HTTP_NOT_HTTP;
		at += v.n;
	}
	if (!http_head_feed(h, b) || !http_head_finish(h))
		return HTTP_NOT_HTTP;
	return HTTP_FINE;
}

static enum http_reason read_waiting(struct http *s);

static enum http_reason request_head(struct http *s, uint64_t off, struct jeebs_bytes b)
{
	struct http_side *side = &s->side[JEEBS_TO_SERVER];
	struct http_head h;
	struct http_ask ask;

	http_head_init_ask(&h, &ask);
	enum http_reason r = read_head(s, JEEBS_TO_SERVER, &h, off, b);
	if (r != HTTP_FINE)
		return r;

	unsigned last = (s->queue_first + s->queue_n) % HTTP_QUEUE_MAX;
	s->queue[last] = (struct http_request){
		.start = side->start,
		.head_n = (uint32_t)(off + b.n - side->start),
		.method = ask.method,
		.flags = ask.flags,
	};
	s->queue_n++;
	http_body_init(&side->body, (enum http_body_kind)ask.kind, ask.length);
	side->phase = http_body_done(&side->body) ? HTTP_BETWEEN : HTTP_IN_BODY;
	return s->waiting ? read_waiting(s) : HTTP_FINE;
}

static void request_body_done(struct http *s)
{
	s->side[JEEBS_TO_SERVER].phase = HTTP_BETWEEN;
	s->uploading = false;
}

static void response_done(struct http *s)
{
	struct http_side *side = &s->side[JEEBS_TO_CLIENT];

	if (s->sync == HTTP_SYNC_TRIAL)
		http_sync_answered(s);
	if (s->answer.flags & HTTP_ANSWER_CLOSE || side->body.kind == HTTP_BODY_CLOSE)
		s->closed = true;
	side->phase = HTTP_BETWEEN;
	s->queue_first = (uint8_t)((s->queue_first + 1) % HTTP_QUEUE_MAX);
	s->queue_n--;
	s->informational = 0;
	s->uploading = s->queue_n == 0 && s->side[JEEBS_TO_SERVER].phase == HTTP_IN_BODY;
}

/*
 * The server has agreed to speak another protocol. The next module is also shown the request and
 * this response, so that it can make the request again.
 */
static enum http_reason upgraded(struct http *s)
{
	const struct http_request *q = http_oldest(s);
	uint64_t from = q->start;
	/* The request's first byte must be in the log or in the chunk being shown. */
	bool there = from >= s->side[JEEBS_TO_SERVER].next ||
		     s->ops->log(s->flow, JEEBS_TO_SERVER, from).n > 0;

	if (s->upgrade && s->sync == HTTP_IN_SYNC && http_may_ask(s, q) && there &&
	    s->ops->hand_over(s->flow, from, s->side[JEEBS_TO_CLIENT].start))
		return HTTP_HANDED_OVER;
	return HTTP_UPGRADED;
}

static enum http_reason response_head(struct http *s, uint64_t off, struct jeebs_bytes b)
{
	struct http_side *side = &s->side[JEEBS_TO_CLIENT];
	uint8_t method = http_oldest(s)->method;
	struct http_head h;

	http_head_init_answer(&h, &s->answer, &s->etag);
	enum http_reason r = read_head(s, JEEBS_TO_CLIENT, &h, off, b);
	if (r != HTTP_FINE)
		return r;
	if (s->answer.status < 100 || s->answer.status > 999)
		return HTTP_NOT_HTTP;
	if (s->answer.status == 101)
		return upgraded(s);
	if (method == HTTP_CONNECT && s->answer.status / 100 == 2)
		return HTTP_UPGRADED;
	if (s->answer.status < 200) {
		if (s->informational < UINT8_MAX)
			s->informational++;
		side->phase = HTTP_BETWEEN;
		return HTTP_FINE;
	}

	http_body_init(&side->body, http_answer_body(&s->answer, method), s->answer.length);
	side->phase = HTTP_IN_BODY;
	http_digest_init(&s->delivered, 0);
	if (http_body_done(&side->body))
		response_done(s);
	return HTTP_FINE;
}

/*
 * Takes bytes of a head from @b, which begins at @off. *ret_n is how many: up to the end of the
 * head, or all.
 */
static enum http_reason take_head(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b,
				  size_t *ret_n)
{
	struct http_side *side = &s->side[dir];
	size_t end = b.n;
	bool whole = http_head_end(&side->scan, b, &end);

	if (off - side->start > HTTP_HEAD_MAX || end > HTTP_HEAD_MAX - (off - side->start))
		return HTTP_HEAD_TOO_LONG;
	*ret_n = end;
	if (!whole)
		return HTTP_FINE;
	struct jeebs_bytes part = {b.p, end};
	return dir == JEEBS_TO_SERVER ? request_head(s, off, part) : response_head(s, off, part);
}

static enum http_reason take_body(struct http *s, uint32_t dir, struct jeebs_bytes b, size_t *ret_n)
{
	struct http_side *side = &s->side[dir];
	struct jeebs_bytes data;

	*ret_n = http_body_take(&side->body, b, &data);
	if (side->body.step == HTTP_STEP_BAD)
		return HTTP_NOT_HTTP;
	/* Of a body that is complete nothing will be compared. */
	if (dir == JEEBS_TO_CLIENT && !http_body_done(&side->body))
		http_digest_update(&s->delivered, data);
	if (http_body_done(&side->body)) {
		if (dir == JEEBS_TO_SERVER)
			request_body_done(s);
		else
			response_done(s);
	}
	return HTTP_FINE;
}

/* Takes the first byte after a message. */
static enum http_reason begin_message(struct http *s, uint32_t dir, uint64_t off,
				      struct jeebs_bytes b, size_t *ret_n)
{
	struct http_side *side = &s->side[dir];

	*ret_n = 0;
	if (dir == JEEBS_TO_SERVER) {
		/* Empty lines before a request are ignored (RFC 9112 section 2.2). */
		while (*ret_n < b.n && (b.p[*ret_n] == '\r' || b.p[*ret_n] == '\n'))
			(*ret_n)++;
		if (*ret_n > 0)
			return HTTP_FINE;
		if (s->queue_n == HTTP_QUEUE_MAX) {
			*ret_n = b.n;
			if (s->sync != HTTP_IN_SYNC)
				return HTTP_PIPELINE_TOO_DEEP;
			http_backlog_begin(s, off);
			return HTTP_FINE;
		}
	} else if (s->queue_n == 0) {
		/* A mirror may show an answer before its request. */
		s->waiting = true;
		side->start = off;
		*ret_n = b.n;
		return HTTP_FINE;
	}
	side->start = off;
	side->scan = 0;
	side->phase = HTTP_IN_HEAD;
	return HTTP_FINE;
}

static enum http_reason take(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b,
			     size_t *ret_n)
{
	switch (s->side[dir].phase) {
	case HTTP_IN_HEAD:
		return take_head(s, dir, off, b, ret_n);
	case HTTP_IN_BODY:
		return take_body(s, dir, b, ret_n);
	default:
		return begin_message(s, dir, off, b, ret_n);
	}
}

static bool may_read_backlog(const struct http *s)
{
	return s->backlog && s->queue_n < HTTP_QUEUE_MAX && !s->closed;
}

enum http_reason http_read(struct http *s, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	while (b.n > 0 && !s->closed) {
		size_t n;
		enum http_reason r = take(s, dir, off, b, &n);
		if (r == HTTP_FINE && may_read_backlog(s))
			r = http_backlog_read(s);
		if (r != HTTP_FINE)
			return r;
		off += n;
		b.p += n;
		b.n -= n;
	}
	/* Bytes after a response that was announced as the last one. */
	return b.n > 0 && dir == JEEBS_TO_CLIENT ? HTTP_RESPONSE_UNASKED : HTTP_FINE;
}

/* Reads the server's bytes that have waited in the log for their request, which has come now. */
static enum http_reason read_waiting(struct http *s)
{
	const struct http_side *side = &s->side[JEEBS_TO_CLIENT];
	uint64_t off = side->start, end = side->next;

	s->waiting = false;
	while (off < end && !s->waiting) {
		struct jeebs_bytes v = s->ops->log(s->flow, JEEBS_TO_CLIENT, off);
		if (v.n == 0)
			return HTTP_LOG_LOST;
		if (v.n > end - off)
			v.n = (size_t)(end - off);
		enum http_reason r = http_read(s, JEEBS_TO_CLIENT, off, v);
		if (r != HTTP_FINE)
			return r;
		off += v.n;
	}
	return HTTP_FINE;
}

/* Takes the rest of a body that has passed unread. */
static enum http_reason take_passed(struct http *s, uint32_t dir, uint64_t n)
{
	struct http_body *body = &s->side[dir].body;

	if (s->side[dir].phase != HTTP_IN_BODY || !http_body_skip(body, n) || !http_body_done(body))
		return HTTP_NOT_HTTP;
	if (dir == JEEBS_TO_SERVER)
		request_body_done(s);
	else
		response_done(s);
	return may_read_backlog(s) ? http_backlog_read(s) : HTTP_FINE;
}

/* Of a body that is complete nothing will be compared, so its bytes may pass. */
static void let_pass(const struct http *s, uint32_t dir)
{
	const struct http_side *side = &s->side[dir];

	if (side->phase != HTTP_IN_BODY || side->body.kind != HTTP_BODY_LENGTH ||
	    side->body.left < HTTP_PASS_MIN || s->sync != HTTP_IN_SYNC || s->waiting ||
	    s->backlog || s->closed)
		return;
	s->ops->pass(s->flow, dir, side->next, side->next + side->body.left);
}

int http_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	      const struct jeebs_service *svc)
{
	struct http *s = state;

	s->flow = f;
	s->ops = ops;
	s->replay = svc->replay;
	s->upgrade = svc->upgrade != NULL;
	s->passes = JEEBS_HAS(ops, pass) && ops->pass;
	return JEEBS_OK;
}

int http_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct http *s = state;
	uint64_t end = off + b.n;
	enum http_reason r = HTTP_FINE;

	if (b.n == 0)
		r = take_passed(s, dir, off - s->side[dir].next);
	else if (s->sync != HTTP_IN_SYNC)
		r = http_sync_data(s, dir, off, b, now_ns);
	else if (dir == JEEBS_TO_SERVER ? !s->backlog : !s->waiting)
		r = http_read(s, dir, off, b);
	if (r == HTTP_HANDED_OVER)
		return JEEBS_HAND_OVER;
	if (r != HTTP_FINE)
		return give_up(s, r);
	if (s->waiting && dir == JEEBS_TO_CLIENT && end - s->side[dir].start > HTTP_WAITING_MAX)
		return give_up(s, HTTP_RESPONSE_UNASKED);
	if (s->backlog && dir == JEEBS_TO_SERVER && end - s->side[dir].start > HTTP_BACKLOG_MAX)
		return give_up(s, HTTP_PIPELINE_TOO_DEEP);
	s->side[dir].next = end;
	keep_needed(s);
	if (s->passes)
		let_pass(s, dir);
	return JEEBS_OK;
}

int http_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct http *s = state;
	struct http_side *side = &s->side[dir];

	side->next = to;
	if (s->closed && dir == JEEBS_TO_CLIENT)
		return give_up(s, HTTP_RESPONSE_UNASKED);
	if (s->sync != HTTP_IN_SYNC || from == to)
		http_sync_lose(s);
	if (s->closed || s->sync != HTTP_IN_SYNC) {
		keep_needed(s);
		return JEEBS_OK;
	}
	if (side->phase != HTTP_IN_BODY || !http_body_skip(&side->body, to - from))
		return give_up(s, dir == JEEBS_TO_SERVER ? HTTP_REQUEST_GAP : HTTP_RESPONSE_GAP);

	if (dir == JEEBS_TO_SERVER) {
		/* The lost bytes belong to the body of the newest request, unless that was
		 * answered already. */
		if (!s->uploading)
			s->queue[(s->queue_first + s->queue_n - 1u) % HTTP_QUEUE_MAX].flags |=
				HTTP_ASK_GAP;
		if (http_body_done(&side->body))
			request_body_done(s);
	} else {
		http_digest_gap(&s->delivered, to - from);
		if (http_body_done(&side->body))
			response_done(s);
		enum http_reason r = may_read_backlog(s) ? http_backlog_read(s) : HTTP_FINE;
		if (r != HTTP_FINE)
			return give_up(s, r);
	}
	keep_needed(s);
	return JEEBS_OK;
}

int http_fin(void *state, uint32_t dir, uint64_t off)
{
	/* The FIN is also in the cut, and matters only there. */
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}
