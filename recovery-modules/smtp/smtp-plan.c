/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. */
#include "smtp.h"

#include <inttypes.h>
#include <stdio.h>

static const char *const reason_names[SMTP_REASON_COUNT_] = {
	[SMTP_FINE] = "",
	[SMTP_CLIENT_GAP] = "client-gap",
	[SMTP_SERVER_GAP] = "server-gap",
	[SMTP_OLDER] = "session-older",
	[SMTP_STARTTLS] = "starttls",
	[SMTP_AUTH] = "auth",
	[SMTP_AUTH_MECHANISM] = "auth-mechanism",
	[SMTP_NOT_SMTP] = "not-smtp",
	[SMTP_LOG_LOST] = "log-lost",
	[SMTP_UNASKED] = "reply-unasked",
	[SMTP_LINE_TOO_LONG] = "line-too-long",
};

static void refuse(struct smtp_decision *d, const char *reason)
{
	d->refused = true;
	d->reason = reason;
}

static void go_on(struct smtp_decision *d, enum smtp_mode mode)
{
	static const char *const names[] = {
		[SMTP_MODE_IDLE] = "idle",
		[SMTP_MODE_FINISHED] = "finished",
		[SMTP_MODE_REPLAY] = "replay",
		[SMTP_MODE_GREETING] = "greeting",
		[SMTP_MODE_REPLY] = "reply",
		[SMTP_MODE_LOGIN] = "login",
		[SMTP_MODE_ANEW] = "handshake-anew",
		[SMTP_MODE_ENVELOPE] = "envelope",
		[SMTP_MODE_MESSAGE] = "message",
		[SMTP_MODE_UNCERTAIN] = "message-uncertain",
		[SMTP_MODE_SETTLED] = "message-settled",
		[SMTP_MODE_LOST] = "message-log-incomplete",
	};

	d->refused = false;
	d->mode = mode;
	d->reason = names[mode];
}

uint64_t smtp_replay_from(const struct smtp *s)
{
	bool line = s->parse.in == SMTP_IN_LINE || s->parse.in == SMTP_IN_LOGIN;
	unsigned skip = smtp_uncertain(s);

	if (skip > 0)
		return skip < s->queue_n ? smtp_queued(s, skip)->start : s->line_start;
	if (s->lost)
		return line ? s->line_start : s->side[JEEBS_TO_SERVER].read;
	if (s->open != SMTP_OPEN_NOTHING)
		return s->open_start;
	return s->queue_n > 0 ? smtp_queued(s, 0)->start : s->line_start;
}

/* Whether an AUTH exchange is going on, or its first line was sent. */
static bool logging_in(const struct smtp *s)
{
	if (s->open == SMTP_OPEN_LOGIN)
		return true;
	for (unsigned i = 0; i < s->queue_n; i++) {
		if (smtp_queued(s, i)->kind == SMTP_UNIT_AUTH)
			return true;
	}
	return false;
}

static const char *cannot_go_on(const struct smtp *s, const struct jeebs_cut *cut)
{
	const struct smtp_side *in = &s->side[JEEBS_TO_SERVER];
	uint64_t replies = cut->to_client_end - s->reply_start;

	if (s->queue_n == 0 && replies > 0)
		return "reply-unasked";
	if (s->queue_n == SMTP_QUEUE_MAX && s->line_start < in->next)
		return "pipeline-too-deep";
	if (replies > SMTP_REPLY_MAX)
		return "reply-too-long";
	if (s->parse.in == SMTP_IN_TLS && s->line_start < in->next && !cut->nothing_more)
		return "handshake-cut"; /* the server may have answered */
	if (logging_in(s) && !s->login_allowed)
		return "auth";
	if ((s->open == SMTP_OPEN_LOGIN && s->odd_login) || (s->logged_in && s->login_n == 0))
		return "auth-mechanism";
	if (!jeebs_log_holds(cut, JEEBS_TO_SERVER, smtp_replay_from(s), cut->to_server_end) ||
	    !jeebs_log_holds(cut, JEEBS_TO_CLIENT, s->reply_start, cut->to_client_end))
		return "log-incomplete";
	if (s->lost && (s->open == SMTP_OPEN_NOTHING || s->open == SMTP_OPEN_TLS))
		return "log-incomplete";
	/* The cut reply may be one that asks for the message. */
	if (s->lost && replies > 0 && smtp_queued(s, 0)->kind == SMTP_UNIT_DATA)
		return "log-incomplete";
	if (s->open != SMTP_OPEN_NOTHING && !s->lost && smtp_uncertain(s) == 0 &&
	    !jeebs_log_holds(cut, JEEBS_TO_CLIENT, s->open_reply, s->reply_start))
		return "log-incomplete";
	return NULL;
}

/* Decides when a whole message was sent and its reply is not complete. */
static enum smtp_mode ended_message(const struct smtp *s, const struct jeebs_cut *cut)
{
	bool cut_reply = cut->to_client_end > s->reply_start;

	return smtp_uncertain(s) == 1 && cut_reply ? SMTP_MODE_SETTLED : SMTP_MODE_UNCERTAIN;
}

static enum smtp_mode how(const struct smtp *s, const struct jeebs_cut *cut)
{
	bool cut_reply = cut->to_client_end > s->reply_start;

	if (smtp_uncertain(s) > 0)
		return ended_message(s, cut);
	if (s->open == SMTP_OPEN_MAIL && s->lost)
		return SMTP_MODE_LOST;
	if (s->queue_n > 0 && smtp_queued(s, 0)->kind == SMTP_UNIT_CONNECT)
		return SMTP_MODE_GREETING;
	if (cut_reply)
		return SMTP_MODE_REPLY;
	if (s->open == SMTP_OPEN_LOGIN)
		return SMTP_MODE_LOGIN;
	if (s->parse.in == SMTP_IN_TLS)
		return SMTP_MODE_ANEW;
	if (s->parse.in == SMTP_IN_CONTENT || s->parse.in == SMTP_IN_CHUNK)
		return SMTP_MODE_MESSAGE;
	if (s->open == SMTP_OPEN_MAIL)
		return SMTP_MODE_ENVELOPE;
	if (s->queue_n > 0 || s->line_start < cut->to_server_end)
		return SMTP_MODE_REPLAY;
	return cut->client_fin ? SMTP_MODE_FINISHED : SMTP_MODE_IDLE;
}

void smtp_decide(const struct smtp *s, const struct jeebs_cut *cut, struct smtp_decision *ret)
{
	const char *cannot;

	*ret = (struct smtp_decision){0};
	if (s->reason != SMTP_FINE)
		refuse(ret, reason_names[s->reason]);
	else if (s->side[JEEBS_TO_SERVER].next != cut->to_server_end ||
		 s->side[JEEBS_TO_CLIENT].next != cut->to_client_end)
		refuse(ret, "state-stale");
	else if (cut->server_fin || s->closed)
		go_on(ret, SMTP_MODE_FINISHED);
	else if ((cannot = cannot_go_on(s, cut)))
		refuse(ret, cannot);
	else
		go_on(ret, how(s, cut));
}

/* Names the reason of a connection that was given up. Nothing else is known of it any more. */
static const char *given_up(enum smtp_reason reason)
{
	switch (reason) {
	case SMTP_CLIENT_GAP:
		return "the capture did not show bytes of the client where commands or a message "
		       "are read";
	case SMTP_SERVER_GAP:
		return "the capture did not show bytes of the server";
	case SMTP_OLDER:
		return "older than the box: who the client is and what it was offered is not known";
	case SMTP_STARTTLS:
		return "the session turned to TLS";
	case SMTP_AUTH:
		return "the client has logged in, and the policy does not let it be repeated";
	case SMTP_AUTH_MECHANISM:
		return "the client has logged in by a mechanism that cannot be repeated";
	case SMTP_LOG_LOST:
		return "a ceiling cut the log";
	case SMTP_UNASKED:
		return "the server sent what no command asked for";
	case SMTP_LINE_TOO_LONG:
		return "a command line is longer than is read";
	default:
		return "what was captured is not SMTP";
	}
}

static void describe(const struct smtp *s, const struct jeebs_cut *cut, enum smtp_mode mode,
		     char *out, size_t n)
{
	uint64_t replay = cut->to_server_end - smtp_replay_from(s);

	switch (mode) {
	case SMTP_MODE_IDLE:
		snprintf(out, n, "no transaction is open; the session is built again");
		break;
	case SMTP_MODE_FINISHED:
		snprintf(out, n, "the session was over; the connection is closed in order");
		break;
	case SMTP_MODE_UNCERTAIN:
		snprintf(out, n,
			 "a message was sent whole and not answered: 451, so that the client "
			 "tries again");
		break;
	case SMTP_MODE_SETTLED:
		snprintf(out, n, "the reply to a message was begun; it is completed as it began");
		break;
	case SMTP_MODE_LOST:
		snprintf(
			out, n,
			"the message is not whole in the log: 451, so that the client tries again");
		break;
	default:
		snprintf(out, n,
			 "%u replies outstanding, %" PRIu64 " bytes of one delivered; %" PRIu64
			 " bytes are said again",
			 s->queue_n, cut->to_client_end - s->reply_start, replay);
		break;
	}
}

void smtp_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct smtp *s = state;
	struct smtp_decision d;

	smtp_decide(s, cut, &d);
	bool alone = !d.refused && (d.mode == SMTP_MODE_UNCERTAIN || d.mode == SMTP_MODE_SETTLED ||
				    d.mode == SMTP_MODE_LOST);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = alone ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (!d.refused)
		describe(s, cut, d.mode, ret->detail, sizeof ret->detail);
	else if (s->reason != SMTP_FINE)
		snprintf(ret->detail, sizeof ret->detail, "%s",
			 given_up((enum smtp_reason)s->reason));
	else
		snprintf(ret->detail, sizeof ret->detail, "%u replies outstanding", s->queue_n);
}
