/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. Stream by stream, and first for the connection. */
#include "h2.h"

#include <stdio.h>

static const char *const reason_names[H2_REASON_COUNT_] = {
	[H2_FINE] = "",
	[H2_HPACK_UNKNOWN] = "hpack-unknown",
	[H2_NOT_H2] = "not-h2",
	[H2_TABLE_TOO_LARGE] = "hpack-table-too-large",
	[H2_HEAD_TOO_LONG] = "head-too-long",
	[H2_STREAMS_TOO_MANY] = "too-many-streams",
	[H2_RESPONSE_UNASKED] = "response-unasked",
	[H2_LOG_LOST] = "log-lost",
};

const char *h2_reason_name(enum h2_reason reason)
{
	return reason_names[reason];
}

static bool may_ask(const struct h2 *s, const struct h2_stream *t)
{
	return s->replay == JEEBS_REPLAY_ALL ||
	       (s->replay == JEEBS_REPLAY_IDEMPOTENT && t->flags & H2_STREAM_IDEMPOTENT);
}

/* A body that was begun. */
static enum h2_todo todo_of_body(const struct h2 *s, const struct h2_stream *t,
				 const char **ret_why)
{
	if (!t->body) {
		*ret_why = "response-not-kept";
		return H2_TODO_RESET;
	}
	struct http_cut_answer c = h2_cut_answer(s, t);
	if (c.kind == HTTP_BODY_LENGTH && c.delivered->to > c.answer->length) {
		*ret_why = "response-not-kept"; /* it is longer than it said */
		return H2_TODO_RESET;
	}
	if (http_range_possible(&c))
		return H2_TODO_RANGE;
	if (http_digest_whole(c.delivered))
		return H2_TODO_DIGEST;
	*ret_why = "response-gap";
	return H2_TODO_RESET;
}

enum h2_todo h2_todo_of(const struct h2 *s, const struct h2_stream *t, const char **ret_why)
{
	enum h2_todo otherwise = t->phase == H2_ASKED ? H2_TODO_502 : H2_TODO_RESET;

	*ret_why = NULL;
	if (t->flags & H2_STREAM_PUSHED) {
		*ret_why = "push";
		return H2_TODO_RESET;
	}
	if (!may_ask(s, t)) {
		*ret_why = s->replay == JEEBS_REPLAY_NONE ? "replay-not-allowed"
							  : "request-not-idempotent";
		return otherwise;
	}
	if (t->flags & H2_STREAM_BLIND) {
		*ret_why = "request-log-incomplete";
		return otherwise;
	}
	return t->phase == H2_ASKED ? H2_TODO_ASK : todo_of_body(s, t, ret_why);
}

static void refuse(struct h2_decision *d, const char *reason)
{
	d->refused = true;
	d->reason = reason;
}

/* Whether a frame with this beginning of a head can be settings. */
static bool settings_fit(const struct h2_frames *f)
{
	return (h2_u32(f->head) >> 8) % 6 == 0;
}

/*
 * How much padding a DATA frame of @t gets whose head is out, but not how much padding it has: what
 * its data does not fill. False: it is not known how much data there is.
 */
bool h2_padding_for(const struct h2 *s, const struct h2_stream *t, uint32_t *ret)
{
	const struct h2_frames *f = &s->side[JEEBS_TO_CLIENT].frames;
	const struct http_cut_answer c = h2_cut_answer(s, t);
	uint64_t data = c.answer->length - c.delivered->to, room = f->left - 1;

	*ret = (uint32_t)(room > data ? room - data : 0);
	return c.kind == HTTP_BODY_LENGTH && *ret <= UINT8_MAX;
}

/* Why what the client has of an unfinished frame cannot be completed; NULL: it can. */
static const char *frame_forbids(const struct h2 *s)
{
	const struct h2_frames *f = &s->side[JEEBS_TO_CLIENT].frames;
	const char *why;

	if (f->block)
		return "head-contradicts";
	/* As long as the type is not out, it becomes a frame that nobody reads; settings become
	 * some that nobody knows. */
	if (f->head_n < 4)
		return s->greeted || settings_fit(f) ? NULL : "frame-cut";
	if (f->head_n < H2_FRAME_HEAD)
		return f->head[3] == H2_SETTINGS && settings_fit(f) ? NULL : "frame-cut";
	if (f->type == H2_SETTINGS)
		return f->word_n == 0 ? NULL : "frame-cut";
	if (f->type == H2_HEADERS || f->type == H2_PUSH_PROMISE)
		return "head-contradicts";
	if (f->type != H2_DATA)
		return "frame-cut";
	for (unsigned i = 0; i < s->stream_n; i++) {
		const struct h2_stream *t = &s->stream[i];
		uint32_t pad;
		if (t->id != f->stream)
			continue;
		if (h2_todo_of(s, t, &why) >= H2_TODO_502)
			return why;
		if (!h2_frames_in_content(f) && !h2_padding_for(s, t, &pad))
			return "frame-cut";
	}
	return NULL;
}

static void count(const struct h2 *s, struct h2_decision *d)
{
	for (unsigned i = 0; i < s->stream_n; i++) {
		const char *why;
		enum h2_todo todo = h2_todo_of(s, &s->stream[i], &why);
		d->count[todo]++;
		if (why && !d->why)
			d->why = why;
		/* Whoever pushes does not owe it. */
		if (why && !(s->stream[i].flags & H2_STREAM_PUSHED))
			d->standalone = true;
	}
}

/* The reason names the hardest part. */
static const char *way(const struct h2 *s, const struct h2_decision *d)
{
	if (d->count[H2_TODO_502])
		return "answered-502";
	if (d->count[H2_TODO_RESET] && d->standalone)
		return "streams-reset";
	if (d->count[H2_TODO_DIGEST])
		return "digest";
	if (d->count[H2_TODO_RANGE])
		return "range";
	/* A request that was begun is asked when the client completes it. */
	return d->count[H2_TODO_ASK] || s->side[JEEBS_TO_SERVER].block_n ? "replay" : "idle";
}

void h2_decide(const struct h2 *s, const struct jeebs_cut *cut, struct h2_decision *ret)
{
	const struct h2_side *up = &s->side[JEEBS_TO_SERVER], *down = &s->side[JEEBS_TO_CLIENT];
	const char *why;

	*ret = (struct h2_decision){0};
	if (s->reason != H2_FINE) {
		refuse(ret, h2_reason_name((enum h2_reason)s->reason));
	} else if (up->next != cut->to_server_end || down->next != cut->to_client_end) {
		refuse(ret, "state-stale");
	} else if (s->waiting) {
		refuse(ret, "response-unasked");
	} else if (cut->server_fin && (s->stream_n > 0 || !h2_frames_rest(&down->frames))) {
		refuse(ret, "truncated-by-server");
	} else if ((why = frame_forbids(s))) {
		refuse(ret, why);
	} else if (!jeebs_log_holds(cut, JEEBS_TO_SERVER, s->base_off, cut->to_server_end)) {
		refuse(ret, "request-log-incomplete");
	} else {
		count(s, ret);
		bool over = s->stream_n == 0 && h2_frames_rest(&down->frames) &&
			    (cut->server_fin || cut->client_fin || s->server_leaves);
		ret->reason = over ? "finished" : way(s, ret);
	}
}

static const char *sentence(const struct h2 *s)
{
	switch (s->reason) {
	case H2_HPACK_UNKNOWN:
		return "bytes were not captured, and with them what HPACK's tables hold";
	case H2_NOT_H2:
		return "a frame, or the beginning, is malformed";
	case H2_TABLE_TOO_LARGE:
		return "an end uses a larger table for HPACK than is kept";
	case H2_HEAD_TOO_LONG:
		return "a head is longer than is read";
	case H2_STREAMS_TOO_MANY:
		return "more streams were open at once than are remembered";
	case H2_RESPONSE_UNASKED:
		return "the server sent bytes that answer no request";
	case H2_LOG_LOST:
		return "a ceiling cut the log where it is read";
	default:
		return NULL;
	}
}

void h2_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct h2 *s = state;
	struct h2_decision d;

	h2_decide(s, cut, &d);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = d.standalone ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (sentence(s))
		snprintf(ret->detail, sizeof ret->detail, "%s", sentence(s));
	else
		snprintf(ret->detail, sizeof ret->detail,
			 "%u streams open: %u asked again, %u by range, %u by digest, %u answered "
			 "502, %u reset%s%s",
			 s->stream_n, d.count[H2_TODO_ASK], d.count[H2_TODO_RANGE],
			 d.count[H2_TODO_DIGEST], d.count[H2_TODO_502], d.count[H2_TODO_RESET],
			 d.why ? ": " : "", d.why ? d.why : "");
}
