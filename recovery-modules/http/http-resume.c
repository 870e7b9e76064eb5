/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: carries the decision out. */
#include "http.h"

static void abort_join(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		       const char *reason)
{
	s->resume.over = true;
	ops->abort(j, reason);
}

/* The client's further bytes, or its end, go to the backend as they are. */
static void pass_client(const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops)
{
	if (cut->client_fin)
		ops->finish_backend(j);
	else
		ops->pass(j, JEEBS_TO_SERVER);
}

/* Nothing of the oldest response was delivered: the backend's answers are the client's. */
static void start_untouched(struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
			    const struct jeebs_join_ops *ops)
{
	http_ask_log(cut, j, ops, http_ask_from(s, cut), cut->to_server_end);
	pass_client(cut, j, ops);
	ops->pass(j, JEEBS_TO_CLIENT);
}

static void start_head(struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		       const struct jeebs_join_ops *ops)
{
	const struct http_side *side = &s->side[JEEBS_TO_CLIENT];
	uint64_t from = side->phase == HTTP_IN_HEAD ? side->start : cut->to_client_end;

	http_ask_log(cut, j, ops, http_ask_from(s, cut), cut->to_server_end);
	pass_client(cut, j, ops);
	http_rehead_init(&s->resume.rehead, s->informational, cut, from, cut->to_client_end);
}

static void start_body(struct http *s, enum http_mode mode, const struct jeebs_cut *cut,
		       struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	bool last = cut->client_fin && s->queue_n == 1 &&
		    s->side[JEEBS_TO_SERVER].phase == HTTP_BETWEEN;
	uint8_t method = http_oldest(s)->method;

	if (mode == HTTP_MODE_RANGE)
		http_ask_rest(s, cut, j, ops);
	else
		http_ask_log(cut, j, ops, http_ask_from(s, cut), cut->to_server_end);
	pass_client(cut, j, ops);
	http_rebody_start(s);
	s->resume.method = method;
	s->resume.finish = last || s->answer.flags & HTTP_ANSWER_CLOSE ||
			   s->side[JEEBS_TO_CLIENT].body.kind == HTTP_BODY_CLOSE;
}

static void start(struct http *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		  const struct jeebs_join_ops *ops)
{
	struct http_decision d;

	http_decide(s, cut, &d);
	if (d.refused) {
		abort_join(s, j, ops, d.reason);
		return;
	}
	bool over = false;
	switch (d.mode) {
	case HTTP_MODE_IDLE:
	case HTTP_MODE_REPLAY:
		start_untouched(s, cut, j, ops);
		over = true;
		break;
	case HTTP_MODE_FINISHED:
		ops->finish_client(j);
		over = true;
		break;
	case HTTP_MODE_HEAD:
		start_head(s, cut, j, ops);
		break;
	case HTTP_MODE_RANGE:
	case HTTP_MODE_DIGEST:
		start_body(s, d.mode, cut, j, ops);
		break;
	}
	s->resume.mode = (uint8_t)d.mode;
	s->resume.over = over;
}

static void head_data(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		      struct jeebs_bytes b)
{
	size_t n = 0;

	switch (http_rehead_data(&s->resume.rehead, j, ops, b, &n)) {
	case HTTP_REHEAD_MORE:
		break;
	case HTTP_REHEAD_DONE:
		s->resume.over = true;
		if (n < b.n)
			ops->to_client(j, (struct jeebs_bytes){b.p + n, b.n - n});
		ops->pass(j, JEEBS_TO_CLIENT);
		break;
	case HTTP_REHEAD_CONTRADICTS:
		abort_join(s, j, ops, "head-contradicts");
		break;
	}
}

static void backend_eof(struct http *s, struct jeebs_join *j, const struct jeebs_join_ops *ops)
{
	if (s->resume.mode == HTTP_MODE_HEAD)
		abort_join(s, j, ops, "backend-closed");
	else if (!http_rebody_eof(s, j, ops))
		s->resume.over = true;
}

void http_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct http *s = state;

	if (event == JEEBS_EV_START) {
		start(s, cut, j, ops);
		return;
	}
	if (s->resume.over)
		return;

	switch (event) {
	case JEEBS_EV_BACKEND_DATA:
		if (s->resume.mode == HTTP_MODE_HEAD)
			head_data(s, j, ops, b);
		else if (!http_rebody_data(s, j, ops, b))
			s->resume.over = true;
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(s, j, ops);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		abort_join(s, j, ops, "backend-failed");
		break;
	default:
		break; /* the client's side passes through */
	}
}
