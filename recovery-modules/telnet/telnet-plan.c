/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The decision: continue how, or refuse why. */
#include "telnet.h"

#include <stdio.h>

const char *telnet_reason_name(enum telnet_reason reason)
{
	static const char *const names[TELNET_REASON_COUNT_] = {
		[TELNET_FINE] = "",
		[TELNET_GAP] = "capture-gap",
		[TELNET_OLDER] = "options-unknown",
		[TELNET_OPTION_UNKNOWN] = "option-not-supported",
		[TELNET_ENCRYPTED] = "encrypted",
		[TELNET_AUTHENTICATED] = "authenticated",
		[TELNET_NOT_TELNET] = "not-telnet",
	};

	return names[reason];
}

/* Why the user's login cannot be repeated although it is needed; NULL: it can. */
static const char *cannot_log_in(const struct telnet *s)
{
	const struct telnet_login *l = &s->login;
	bool typing = l->line.prompt == TELNET_PASSWORD_PROMPT && l->typed.n > 0 &&
		      l->phase != TELNET_SESSION;

	if (l->withheld || (typing && !s->login_replay))
		return "login";
	if (l->user.lost || l->password.lost || (l->phase != TELNET_SESSION && l->typed.lost))
		return "login-too-long";
	return NULL;
}

/* Whether a token was begun that cannot be said, or compared, as it was. */
static bool begun_unknown(const struct telnet_parser *p)
{
	uint8_t begun[TELNET_PARTIAL_MAX];
	size_t n;

	return !telnet_partial(p, begun, &n);
}

/*
 * Whether only a Telnet user could be answered as planned, while nothing proves that there is one.
 */
static bool is_unvouched(const struct telnet *s)
{
	const struct telnet_login *l = &s->login;
	bool secret = l->line.prompt == TELNET_PASSWORD_PROMPT && l->typed.n > 0;

	return !s->vouched && (l->phase == TELNET_SESSION || l->again || l->seen_lost || secret ||
			       l->password.n > 0 || begun_unknown(&s->parser[JEEBS_TO_SERVER]) ||
			       begun_unknown(&s->parser[JEEBS_TO_CLIENT]));
}

static void decide_open(const struct telnet *s, struct telnet_decision *d)
{
	static const char *const names[] = {
		[TELNET_MODE_FINISHED] = "finished",   [TELNET_MODE_GREETING] = "greeting",
		[TELNET_MODE_LOGIN] = "login",         [TELNET_MODE_LOGIN_AGAIN] = "login-again",
		[TELNET_MODE_SESSION] = "new-session",
	};
	const struct telnet_login *l = &s->login;

	if (l->phase == TELNET_SESSION)
		d->mode = TELNET_MODE_SESSION;
	else if (l->again || l->seen_lost)
		d->mode = TELNET_MODE_LOGIN_AGAIN;
	else if (l->phase == TELNET_GREETING && l->typed.n == 0)
		d->mode = TELNET_MODE_GREETING;
	else
		d->mode = TELNET_MODE_LOGIN;
	d->reason = names[d->mode];
}

void telnet_decide(const struct telnet *s, const struct jeebs_cut *cut, struct telnet_decision *ret)
{
	const char *cannot = cannot_log_in(s);

	*ret = (struct telnet_decision){.refused = true};
	if (s->reason != TELNET_FINE)
		ret->reason = telnet_reason_name((enum telnet_reason)s->reason);
	else if (s->next[JEEBS_TO_SERVER] != cut->to_server_end ||
		 s->next[JEEBS_TO_CLIENT] != cut->to_client_end)
		ret->reason = "state-stale";
	else if (cut->server_fin)
		*ret = (struct telnet_decision){.mode = TELNET_MODE_FINISHED, .reason = "finished"};
	else if (cut->client_fin)
		ret->reason = "client-finished";
	else if (cannot)
		ret->reason = cannot;
	else if (is_unvouched(s))
		ret->reason = telnet_reason_name(TELNET_NOT_TELNET);
	else {
		ret->refused = false;
		decide_open(s, ret);
	}
}

static const char *refusal(const struct telnet *s, const struct telnet_decision *d)
{
	switch ((enum telnet_reason)s->reason) {
	case TELNET_GAP:
		return "the capture lost bytes: options may have been agreed on in them";
	case TELNET_OLDER:
		return "older than the box: what options were agreed on is not known";
	case TELNET_OPTION_UNKNOWN:
		return "an option was agreed on that the module does not know";
	case TELNET_ENCRYPTED:
		return "the connection is encrypted";
	case TELNET_AUTHENTICATED:
		return "the client authenticates itself by a method that cannot be repeated";
	case TELNET_NOT_TELNET:
		return "what was captured is not Telnet";
	default:
		break;
	}
	if (strcmp(d->reason, "not-telnet") == 0)
		return "no option was ever asked for: nothing but the configuration says that it "
		       "is Telnet";
	if (strcmp(d->reason, "login") == 0)
		return "a password was typed, and the service does not allow to keep it";
	if (strcmp(d->reason, "login-too-long") == 0)
		return "a line of the login is longer than is kept";
	if (strcmp(d->reason, "client-finished") == 0)
		return "the client has finished; the rest of the output is gone";
	return "the state does not describe the cut";
}

static void describe(const struct telnet *s, enum telnet_mode mode, char *out, size_t n)
{
	const struct telnet_login *l = &s->login;

	switch (mode) {
	case TELNET_MODE_FINISHED:
		snprintf(out, n, "the server had finished; the connection is closed in order");
		break;
	case TELNET_MODE_GREETING:
		snprintf(out, n, "%u bytes of greeting seen; compared with the backup's",
			 l->seen_n);
		break;
	case TELNET_MODE_LOGIN:
		snprintf(out, n, "in the login dialogue: what was typed is repeated");
		break;
	case TELNET_MODE_LOGIN_AGAIN:
		snprintf(out, n, "after a failed login: the backup asks from the beginning");
		break;
	case TELNET_MODE_SESSION:
		snprintf(out, n, "%s, and the user told that the session is a new one%s",
			 l->password.n > 0 || l->user.n > 0 ? "the login is repeated"
							    : "the backup is connected",
			 l->unanswered ? "; a line without an answer" : "");
		break;
	}
}

void telnet_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct telnet *s = state;
	struct telnet_decision d;

	telnet_decide(s, cut, &d);
	bool own =
		!d.refused && (d.mode == TELNET_MODE_SESSION || d.mode == TELNET_MODE_LOGIN_AGAIN);
	*ret = (struct jeebs_plan){
		.verdict = d.refused ? JEEBS_REFUSE : JEEBS_CONTINUE,
		.style = own ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY,
		.reason = d.reason,
	};
	if (d.refused)
		snprintf(ret->detail, sizeof ret->detail, "%s", refusal(s, &d));
	else
		describe(s, d.mode, ret->detail, sizeof ret->detail);
}
