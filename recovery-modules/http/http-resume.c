/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: carries the decision out. */
#include "http.h"

static void abort_join(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		       const char *reason)
{
	s->resume.over = true;
	ops->abort(j, reason);
}

/* Passes the client's further bytes, and its end, to the backend. */
static void pass_client(const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops)
{
	if (cut->client_fin)
		ops->finish_backend(j);
	else
		ops->pass(j, JEEBS_TO_SERVER);
}

static void ask_log(const struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		    const struct jeebs_join_ops *ops, const struct http_decision *d)
{
	uint64_t from = http_ask_from(s, cut), to = http_ask_to(s, cut, d->asked);

	if (from < to)
		ops->log_to_backend(j, from, to);
}

/* Nothing of the oldest response was delivered: the client gets the backend's responses. */
static void start_untouched(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	if (s->resume.forbidden) {
		http_follow_begin(s, j, ops, (struct jeebs_bytes){NULL, 0});
		return;
	}
	ops->pass(j, JEEBS_TO_CLIENT);
	s->resume.over = true;
}

static void start_head(struct http *s, const struct jeebs_cut *cut, uint64_t from)
{
	http_rehead_init(&s->resume.rehead, s->informational, cut, from, cut->to_client_end);
	if (s->resume.forbidden)
		http_follow_init(s);
}

static void start_body(struct http *s, bool last)
{
	http_rebody_start(s);
	s->resume.finish = last || s->answer.flags & HTTP_ANSWER_CLOSE ||
			   s->side[JEEBS_TO_CLIENT].body.kind == HTTP_BODY_CLOSE;
	s->resume.left--;
	s->resume.heads >>= 1;
}

/* Computes what is needed from the queue of requests. The queue's memory is used for the result. */
static struct http_resume resume_init(const struct http *s, const struct http_decision *d)
{
	struct http_resume r = {
		.mode = (uint8_t)d->mode,
		.method = s->queue_n ? http_oldest(s)->method : 0,
		.forbidden = d->forbidden,
		.discards = d->forbidden || d->mode == HTTP_MODE_FINISHED,
		.left = (uint8_t)d->asked,
		.headless = d->forbidden && http_queued(s, d->asked)->method == HTTP_HEAD,
	};

	for (unsigned i = 0; i < d->asked; i++)
		r.heads |= (uint16_t)((http_queued(s, i)->method == HTTP_HEAD) << i);
	return r;
}

static void start(struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		  const struct jeebs_join_ops *ops)
{
	const struct http_side *answer = &s->side[JEEBS_TO_CLIENT];
	uint64_t head = answer->phase == HTTP_IN_HEAD ? answer->start : cut->to_client_end;
	bool last = cut->client_fin && s->queue_n == 1 &&
		    s->side[JEEBS_TO_SERVER].phase == HTTP_BETWEEN;
	struct http_decision d;

	http_decide(s, cut, &d);
	if (d.refused) {
		abort_join(s, j, ops, d.reason);
		return;
	}
	struct http_resume r = resume_init(s, &d);
	if (d.mode == HTTP_MODE_RANGE)
		http_ask_rest(s, cut, j, ops, http_ask_to(s, cut, d.asked));
	else if (d.mode != HTTP_MODE_FINISHED)
		ask_log(s, cut, j, ops, &d);
	if (!r.discards)
		pass_client(cut, j, ops);
	s->resume = r;

	switch (d.mode) {
	case HTTP_MODE_IDLE:
	case HTTP_MODE_REPLAY:
		start_untouched(s, j, ops);
		break;
	case HTTP_MODE_FINISHED:
		ops->finish_client(j);
		s->resume.over = true;
		break;
	case HTTP_MODE_HEAD:
		start_head(s, cut, head);
		break;
	case HTTP_MODE_RANGE:
	case HTTP_MODE_DIGEST:
	case HTTP_MODE_PARTS:
		start_body(s, last);
		break;
	case HTTP_MODE_ANSWERED:
		http_follow_end(s, j, ops);
		break;
	}
}

static void head_done(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes rest)
{
	if (s->resume.forbidden) {
		s->resume.following = true;
		http_follow_data(s, j, ops, rest, false);
		return;
	}
	s->resume.over = true;
	if (rest.n > 0)
		ops->to_client(j, rest);
	ops->pass(j, JEEBS_TO_CLIENT);
}

static void head_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b)
{
	size_t n = 0;
	enum http_rehead_outcome r = http_rehead_data(&s->resume.rehead, j, ops, b, &n);

	if (r == HTTP_REHEAD_CONTRADICTS) {
		abort_join(s, j, ops, "head-contradicts");
		return;
	}
	if (s->resume.forbidden)
		http_follow_data(s, j, ops, (struct jeebs_bytes){b.p, n}, true);
	if (r == HTTP_REHEAD_DONE && !s->resume.over)
		head_done(s, j, ops, (struct jeebs_bytes){b.p + n, b.n - n});
}

static void backend_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
			 struct jeebs_bytes b)
{
	if (s->resume.following)
		http_follow_data(s, j, ops, b, false);
	else if (s->resume.mode == HTTP_MODE_HEAD)
		head_data(s, j, ops, b);
	else if (!http_rebody_data(s, j, ops, b))
		s->resume.over = true;
}

static void backend_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	if (s->resume.following)
		http_follow_eof(s, j, ops);
	else if (s->resume.mode == HTTP_MODE_HEAD)
		abort_join(s, j, ops, "backend-closed");
	else if (!http_rebody_eof(s, j, ops))
		s->resume.over = true;
}

/* Drops what the client goes on to send. It may read the answer after that. */
static void discard(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		    size_t n)
{
	s->resume.discarded += n;
	if (s->resume.discarded <= HTTP_DISCARD_MAX)
		return;
	s->resume.discards = false;
	abort_join(s, j, ops, "client-goes-on");
}

void http_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct http *s = state;

	if (event == JEEBS_EV_START) {
		start(s, cut, j, ops);
		return;
	}
	if (event == JEEBS_EV_CLIENT_DATA && s->resume.discards) {
		discard(s, j, ops, b.n);
		return;
	}
	if (s->resume.over)
		return;

	switch (event) {
	case JEEBS_EV_BACKEND_DATA:
		backend_data(s, j, ops, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(s, j, ops);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		abort_join(s, j, ops, "backend-failed");
		break;
	default:
		break; /* the client's direction passes through */
	}
}
