/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: follows both directions while the protected server lives. */
#include "telnet.h"

#include <stdio.h>

#define ENCRYPT_START 3u
#define TLS_FOLLOWS   1u

int telnet_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		const struct jeebs_service *svc)
{
	struct telnet *s = state;

	s->ops = ops;
	s->flow = f;
	s->replay_all = svc->replay == JEEBS_REPLAY_ALL;
	s->login_replay = svc->login == JEEBS_LOGIN_REPLAY;
	if (svc->notice)
		snprintf(s->notice, sizeof s->notice, "%s", svc->notice);
	s->login.line.fresh = true;
	return JEEBS_OK;
}

static int give_up(struct telnet *s, enum telnet_reason reason)
{
	explicit_bzero(&s->login, sizeof s->login);
	s->reason = (uint8_t)reason;
	return JEEBS_GIVE_UP;
}

enum telnet_reason telnet_beyond(uint8_t option, struct bytes sub)
{
	if (option >= TELNET_OPTION_MAX)
		return TELNET_OPTION_UNKNOWN;
	if (option == TELNET_AUTH && sub.n > 0)
		return TELNET_AUTHENTICATED;
	if ((option == TELNET_ENCRYPT && sub.n > 0 && sub.p[0] == ENCRYPT_START) ||
	    (option == TELNET_STARTTLS && sub.n > 0 && sub.p[0] == TLS_FOLLOWS))
		return TELNET_ENCRYPTED;
	return TELNET_FINE;
}

static enum telnet_reason option_said(struct telnet *s, uint32_t dir, const struct telnet_token *t)
{
	bool from_server = dir == JEEBS_TO_CLIENT, on = telnet_verb_on(t->verb);

	if (t->option >= TELNET_OPTION_MAX && !from_server && on)
		return TELNET_OPTION_UNKNOWN;
	struct telnet_option *o =
		telnet_option(&s->options, telnet_verb_side(t->verb, from_server), t->option);
	if (from_server)
		telnet_option_server(o, on);
	else
		telnet_option_client(o, on);
	/* A timing mark is an answer and no state (RFC 860). */
	if (t->option == TELNET_TM && o->agreed == TELNET_YES) {
		o->agreed = TELNET_NO;
		o->began = o->wanted = false;
	}
	return TELNET_FINE;
}

static void server_sub(struct telnet *s, const struct telnet_token *t)
{
	bool asks = telnet_sub_asks(t->option, t->text);

	/* In a session only questions from its beginning count: another server will ask those
	 * again. */
	if (s->login.phase == TELNET_SESSION && !asks)
		return;
	telnet_subs_add(&s->subs, t->option, asks ? TELNET_SUB_ASKED : TELNET_SUB_TOLD,
			telnet_sub_hash(t->text));
}

static void client_sub(struct telnet *s, const struct telnet_token *t)
{
	bool answers = telnet_sub_answers(t->option, t->text);
	struct telnet_sub *e = answers ? telnet_subs_unanswered(&s->subs, t->option) : NULL;

	if (e && !t->sub_long)
		telnet_subs_answer(&s->subs, e, t->text);
	else if (e)
		e->answered = e->lost = true;
	if (e || t->sub_long)
		return;
	/* Also an answer that nobody asked for, or another word of the beginning. */
	if (t->option == TELNET_NAWS || t->option == TELNET_ENCRYPT ||
	    s->login.phase != TELNET_SESSION)
		telnet_subs_say(&s->subs, t->option, t->text);
}

/* Whether a terminal shows or obeys @c as text: RFC 854 "the NVT printer and keyboard", and ESC.
 * A NUL belongs to a CR. */
static bool is_text(uint8_t c)
{
	return (c >= ' ' && c < 0x7f) || (c >= '\a' && c <= '\r') || c == 0x1b;
}

static bool all_text(struct telnet *s, uint32_t dir, struct bytes b)
{
	for (size_t i = 0; i < b.n; i++) {
		if (!is_text(b.p[i]) && !(b.p[i] == 0 && s->cr[dir]))
			return false;
		s->cr[dir] = b.p[i] == '\r';
	}
	return true;
}

static void text(struct telnet *s, uint32_t dir, struct bytes b)
{
	bool echo = s->options.side[TELNET_BY_SERVER][TELNET_ECHO].agreed == TELNET_YES;

	for (size_t i = 0; i < b.n; i++) {
		if (dir == JEEBS_TO_CLIENT)
			telnet_login_server(&s->login, b.p[i]);
		else
			telnet_login_client(&s->login, b.p[i], s->login_replay, echo);
	}
}

static enum telnet_reason token(struct telnet *s, uint32_t dir, const struct telnet_token *t)
{
	const uint8_t command[2] = {TELNET_IAC, t->verb};
	enum telnet_reason r = TELNET_FINE;

	switch (t->kind) {
	case TELNET_NONE:
		break;
	case TELNET_TEXT:
		if (!s->vouched && !all_text(s, dir, t->text))
			return TELNET_NOT_TELNET;
		text(s, dir, t->text);
		break;
	case TELNET_COMMAND:
		if (!s->vouched || !telnet_is_command(t->verb))
			return TELNET_NOT_TELNET;
		/* Of the client's commands only its data byte 255 has a lasting effect. */
		if (dir == JEEBS_TO_CLIENT || t->verb == TELNET_IAC)
			text(s, dir, bytes_of(command, 2));
		break;
	case TELNET_OPTION:
		s->vouched |= t->option < TELNET_OPTION_MAX;
		r = option_said(s, dir, t);
		break;
	case TELNET_SUBNEGOTIATION:
		/* A sub-negotiation about an option that nobody has asked for. */
		if (!s->vouched)
			return TELNET_NOT_TELNET;
		r = telnet_beyond(t->option, t->text);
		if (r == TELNET_FINE && dir == JEEBS_TO_CLIENT)
			server_sub(s, t);
		else if (r == TELNET_FINE)
			client_sub(s, t);
		break;
	}
	return r;
}

int telnet_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct telnet *s = state;
	struct bytes left = bytes_of(b.p, b.n);

	(void)now_ns;
	s->next[dir] = off + b.n;
	while (left.n > 0) {
		struct telnet_token t;
		left = bytes_from(left, telnet_parse(&s->parser[dir], left, &t));
		enum telnet_reason r = token(s, dir, &t);
		if (r != TELNET_FINE)
			return give_up(s, r);
	}
	return JEEBS_OK;
}

int telnet_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	(void)dir;
	return give_up(state, from == to && from == 0 ? TELNET_OLDER : TELNET_GAP);
}

int telnet_fin(void *state, uint32_t dir, uint64_t off)
{
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}

/* Whether @b begins with a verb and an option, as far as it goes. */
static uint32_t looks(struct jeebs_bytes b)
{
	if (b.n == 0)
		return JEEBS_DETECT_MAYBE;
	if (b.p[0] != TELNET_IAC)
		return JEEBS_DETECT_NO;
	if (b.n < 3)
		return b.n < 2 || (b.p[1] >= TELNET_WILL && b.p[1] <= TELNET_DONT)
			       ? JEEBS_DETECT_MAYBE
			       : JEEBS_DETECT_NO;
	return b.p[1] >= TELNET_WILL && b.p[1] <= TELNET_DONT && b.p[2] < TELNET_OPTION_MAX
		       ? JEEBS_DETECT_YES
		       : JEEBS_DETECT_NO;
}

uint32_t telnet_detect(struct jeebs_bytes to_server, struct jeebs_bytes to_client)
{
	uint32_t server = looks(to_client), client = looks(to_server);

	if (server == JEEBS_DETECT_YES || client == JEEBS_DETECT_YES)
		return JEEBS_DETECT_YES;
	/* If one side speaks something else, it is not Telnet. */
	return server == JEEBS_DETECT_NO || client == JEEBS_DETECT_NO ? JEEBS_DETECT_NO
								      : JEEBS_DETECT_MAYBE;
}
