/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. */
#include "http.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const reason_names[HTTP_REASON_COUNT_] = {
	[HTTP_FINE] = "",
	[HTTP_REQUEST_GAP] = "request-gap",
	[HTTP_RESPONSE_GAP] = "response-gap",
	[HTTP_PIPELINE_TOO_DEEP] = "pipeline-too-deep",
	[HTTP_UPGRADED] = "upgraded",
	[HTTP_NOT_HTTP] = "not-http",
	[HTTP_HEAD_TOO_LONG] = "head-too-long",
	[HTTP_LOG_LOST] = "log-lost",
	[HTTP_RESPONSE_UNASKED] = "response-unasked",
};

static void refuse(struct http_decision *d, const char *reason)
{
	d->refused = true;
	d->reason = reason;
}

static void go_on(struct http_decision *d, enum http_mode mode)
{
	static const char *const names[] = {
		[HTTP_MODE_IDLE] = "idle",       [HTTP_MODE_FINISHED] = "finished",
		[HTTP_MODE_REPLAY] = "replay",   [HTTP_MODE_HEAD] = "head",
		[HTTP_MODE_RANGE] = "range",     [HTTP_MODE_DIGEST] = "digest",
		[HTTP_MODE_PARTS] = "multipart", [HTTP_MODE_ANSWERED] = "answered-502",
	};

	d->refused = false;
	d->mode = mode;
	d->reason = names[mode];
}

uint64_t http_ask_from(const struct http *s, const struct jeebs_cut *cut)
{
	const struct http_request *q = http_oldest(s);

	if (q)
		return q->start;
	if (s->side[JEEBS_TO_SERVER].phase == HTTP_IN_HEAD)
		return s->side[JEEBS_TO_SERVER].start;
	return cut->to_server_end;
}

uint64_t http_ask_to(const struct http *s, const struct jeebs_cut *cut, unsigned asked)
{
	return asked < s->queue_n ? http_queued(s, asked)->start : cut->to_server_end;
}

static void decide_body(const struct http *s, struct http_decision *d)
{
	const struct http_cut_answer c = http_cut_answer(s, http_oldest(s)->method);

	if (http_range_possible(&c))
		go_on(d, HTTP_MODE_RANGE);
	else if (s->answer.flags & HTTP_ANSWER_CODED)
		refuse(d, "transfer-coding");
	else if (!http_digest_whole(&s->delivered))
		refuse(d, "response-gap");
	else if (http_parts_possible(&c))
		go_on(d, HTTP_MODE_PARTS);
	else
		go_on(d, HTTP_MODE_DIGEST);
}

/* Decides which requests are asked again, and why the next one is not. */
static void decide_asked(const struct http *s, struct http_decision *d)
{
	while (d->asked < s->queue_n && http_may_ask(s, http_queued(s, d->asked)))
		d->asked++;
	if (d->asked < s->queue_n)
		d->forbidden = s->replay == JEEBS_REPLAY_NONE ? "replay-not-allowed"
							      : "request-not-idempotent";
}

static const char *cannot_ask_again(const struct http *s, const struct jeebs_cut *cut,
				    unsigned asked)
{
	for (unsigned i = 0; i < asked; i++) {
		if (http_queued(s, i)->flags & HTTP_ASK_GAP)
			return "request-gap";
	}
	/* The rest of an upload that was answered early means nothing to a backend. */
	if (s->uploading || !jeebs_log_holds(cut, JEEBS_TO_SERVER, http_ask_from(s, cut),
					     http_ask_to(s, cut, asked)))
		return "request-log-incomplete";
	return NULL;
}

/* Decides for the case that nothing may be asked again. A delivered 1xx is not an answer. */
static void decide_forbidden(const struct http *s, struct http_decision *d)
{
	if (s->side[JEEBS_TO_CLIENT].phase == HTTP_BETWEEN)
		go_on(d, HTTP_MODE_ANSWERED);
	else
		refuse(d, d->forbidden);
}

static void decide_oldest(const struct http *s, const struct jeebs_cut *cut,
			  struct http_decision *d)
{
	const struct http_side *answer = &s->side[JEEBS_TO_CLIENT];

	if (answer->phase == HTTP_IN_BODY)
		decide_body(s, d);
	else if (answer->phase == HTTP_BETWEEN)
		go_on(d, s->informational ? HTTP_MODE_HEAD : HTTP_MODE_REPLAY);
	else if (jeebs_log_holds(cut, JEEBS_TO_CLIENT, answer->start, cut->to_client_end))
		go_on(d, HTTP_MODE_HEAD);
	else
		refuse(d, "response-log-incomplete");
}

static void decide_open(const struct http *s, const struct jeebs_cut *cut, struct http_decision *d)
{
	decide_asked(s, d);
	const char *cannot = cannot_ask_again(s, cut, d->asked);
	if (!cannot && s->backlog && !d->forbidden)
		cannot = http_backlog_forbids(s, cut);

	if (cannot) {
		refuse(d, cannot);
	} else if (s->queue_n == 0) {
		bool idle = s->side[JEEBS_TO_SERVER].phase == HTTP_BETWEEN;
		if (idle && cut->client_fin)
			go_on(d, HTTP_MODE_FINISHED);
		else
			go_on(d, idle ? HTTP_MODE_IDLE : HTTP_MODE_REPLAY);
	} else if (d->asked == 0) {
		decide_forbidden(s, d);
	} else {
		decide_oldest(s, cut, d);
	}
	if (!d->refused && d->forbidden)
		d->reason = "answered-502";
}

void http_decide(const struct http *s, const struct jeebs_cut *cut, struct http_decision *ret)
{
	const struct http_side *answer = &s->side[JEEBS_TO_CLIENT];

	*ret = (struct http_decision){0};
	if (s->reason != HTTP_FINE)
		refuse(ret, reason_names[s->reason]);
	else if (!http_synced(s))
		refuse(ret, "framing-unknown");
	else if (s->side[JEEBS_TO_SERVER].next != cut->to_server_end ||
		 answer->next != cut->to_client_end)
		refuse(ret, "state-stale");
	else if (cut->server_fin &&
		 (answer->phase == HTTP_IN_HEAD ||
		  (answer->phase == HTTP_IN_BODY && answer->body.kind != HTTP_BODY_CLOSE)))
		refuse(ret, "truncated-by-server");
	else if (cut->server_fin || s->closed)
		go_on(ret, HTTP_MODE_FINISHED);
	else if (s->waiting)
		refuse(ret, "response-unasked");
	else
		decide_open(s, cut, ret);
}

/* Names the reason of a connection that was given up. Nothing else is known of it any more. */
static const char *given_up(enum http_reason reason)
{
	switch (reason) {
	case HTTP_REQUEST_GAP:
		return "the capture did not show bytes of the client where a request is read";
	case HTTP_RESPONSE_GAP:
		return "the capture did not show bytes of the server where a response is read";
	case HTTP_PIPELINE_TOO_DEEP:
		return "more requests were unanswered at once than are remembered";
	case HTTP_UPGRADED:
		return "the connection turned to another protocol";
	case HTTP_NOT_HTTP:
		return "a message is malformed";
	case HTTP_HEAD_TOO_LONG:
		return "a head is longer than is read";
	case HTTP_LOG_LOST:
		return "a ceiling cut the log in a head";
	case HTTP_RESPONSE_UNASKED:
		return "the server sent bytes that answer no request";
	default:
		return "what was captured cannot be read";
	}
}

static void describe_refusal(const struct http *s, char *out, size_t n)
{
	if (s->reason != HTTP_FINE) {
		snprintf(out, n, "%s", given_up((enum http_reason)s->reason));
		return;
	}
	if (!http_synced(s)) {
		snprintf(out, n,
			 "older than the box: %u of %u exchanges seen that prove where messages "
			 "begin",
			 s->proofs, HTTP_SYNC_PROOFS);
		return;
	}
	snprintf(out, n, "%u requests unanswered, %s", s->queue_n,
		 s->side[JEEBS_TO_CLIENT].phase == HTTP_IN_BODY   ? "a response body cut"
		 : s->side[JEEBS_TO_CLIENT].phase == HTTP_IN_HEAD ? "a response head cut"
								  : "no response begun");
}

static void describe(const struct http *s, const struct jeebs_cut *cut,
		     const struct http_decision *d, char *out, size_t n)
{
	const struct http_side *answer = &s->side[JEEBS_TO_CLIENT];

	if (d->forbidden) {
		snprintf(out, n, "%u requests are asked again, the next one is answered: %s",
			 d->asked, d->forbidden);
		return;
	}
	switch (d->mode) {
	case HTTP_MODE_ANSWERED:
		break; /* a connection that was given up always has a reason */
	case HTTP_MODE_IDLE:
		snprintf(out, n, "nothing is outstanding; further requests go to the backend");
		break;
	case HTTP_MODE_FINISHED:
		snprintf(out, n, "everything was answered; the connection is closed in order");
		break;
	case HTTP_MODE_REPLAY:
		snprintf(out, n, "%u requests unanswered, %" PRIu64 " bytes are asked again",
			 s->queue_n, cut->to_server_end - http_ask_from(s, cut));
		break;
	case HTTP_MODE_HEAD:
		snprintf(out, n,
			 "%" PRIu64 " bytes of the response head were delivered; asked again",
			 answer->phase == HTTP_IN_HEAD ? cut->to_client_end - answer->start : 0);
		break;
	case HTTP_MODE_RANGE:
		snprintf(out, n,
			 "status %u, %" PRIu64 " of %" PRIu64
			 " body bytes delivered; the rest is asked for by range",
			 s->answer.status, s->delivered.to, s->answer.length);
		break;
	case HTTP_MODE_PARTS:
		snprintf(out, n,
			 "%" PRIu64 " of %" PRIu64
			 " bytes of several ranges delivered; asked again and compared",
			 s->delivered.to, s->answer.length);
		break;
	case HTTP_MODE_DIGEST:
		snprintf(out, n,
			 "status %u, %" PRIu64 " body bytes delivered; asked again and compared",
			 s->answer.status, s->delivered.to);
		break;
	}
}

void http_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct http *s = state;
	struct http_decision d;

	http_decide(s, cut, &d);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = d.forbidden && !d.refused ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (d.refused)
		describe_refusal(s, ret->detail, sizeof ret->detail);
	else
		describe(s, cut, &d, ret->detail, sizeof ret->detail);
}
