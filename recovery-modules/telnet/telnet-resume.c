/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: carries the decision out. */
#include "telnet.h"

#define TTYPE_SEND 1u

void telnet_abort(struct telnet_run *r, const char *reason)
{
	if (r->s->join.over)
		return;
	r->s->join.over = true;
	r->ops->abort(r->j, reason);
}

/*
 * Writes an end for the token that the old server had begun, with as little effect as possible. The
 * bytes on the wire are not changed.
 */
static size_t ending(const struct telnet *s, uint8_t *out)
{
	const struct telnet_parser *p = &s->parser[JEEBS_TO_CLIENT];
	size_t n = 0;

	switch ((enum telnet_step)p->step) {
	case TELNET_IN_TEXT:
		break;
	case TELNET_IN_IAC:
		out[n++] = TELNET_NOP;
		break;
	case TELNET_IN_VERB: {
		/* The option is one for which the verb changes nothing, or else one without
		 * state. */
		unsigned side = telnet_verb_side(p->verb, true);
		bool on = telnet_verb_on(p->verb);
		uint8_t i = 0;
		while (i < TELNET_OPTION_MAX &&
		       s->options.side[side][i].agreed != (on ? TELNET_YES : TELNET_NO))
			i++;
		out[n++] = i < TELNET_OPTION_MAX ? i : TELNET_TM;
		break;
	}
	case TELNET_IN_OPTION:
		out[n++] = TELNET_TM; /* there is no sub-negotiation about it */
		out[n++] = TELNET_IAC;
		out[n++] = TELNET_SE;
		break;
	case TELNET_IN_SUB:
		if (p->sub_n == 0)
			out[n++] = TTYPE_SEND; /* most of them are questions, and so is this one */
		out[n++] = TELNET_IAC;
		out[n++] = TELNET_SE;
		break;
	case TELNET_IN_SUB_IAC:
		out[n++] = TELNET_SE;
		break;
	}
	return n;
}

/* Accounts for bytes to the client: it takes them as the old server's. */
static void account(struct telnet *s, struct bytes b)
{
	struct telnet_token t;

	telnet_parse(&s->parser[JEEBS_TO_CLIENT], b, &t);
	if (t.kind == TELNET_OPTION)
		telnet_option_server(
			telnet_option(&s->options, telnet_verb_side(t.verb, true), t.option),
			telnet_verb_on(t.verb));
	else if (t.kind == TELNET_SUBNEGOTIATION && telnet_sub_asks(t.option, t.text))
		telnet_subs_add(&s->subs, t.option, TELNET_SUB_ASKED, telnet_sub_hash(t.text));
}

static void send_client(struct telnet_run *r, struct bytes b)
{
	if (b.n > 0)
		r->ops->to_client(r->j, (struct jeebs_bytes){b.p, b.n});
}

/* Sends @b, which is text or one token, to the client. */
void telnet_to_client(struct telnet_run *r, struct bytes b)
{
	struct telnet_join *k = &r->s->join;
	bool begun = k->partial_n > 0 || k->partial_unknown;
	uint8_t end[4];

	if (k->over || b.n == 0)
		return;
	if (begun && !k->partial_unknown && b.n >= k->partial_n &&
	    memcmp(b.p, k->partial, k->partial_n) == 0) {
		b = bytes_from(b, k->partial_n); /* the token goes on as the old server began it */
	} else if (begun) {
		size_t n = ending(r->s, end);
		account(r->s, bytes_of(end, n));
		send_client(r, bytes_of(end, n));
	}
	k->partial_n = 0;
	k->partial_unknown = false;
	send_client(r, b);
}

void telnet_to_backend(struct telnet_run *r, struct bytes b)
{
	if (!r->s->join.over && !r->s->join.client_over && b.n > 0)
		r->ops->to_backend(r->j, (struct jeebs_bytes){b.p, b.n});
}

static void start(struct telnet_run *r, const struct jeebs_cut *cut)
{
	struct telnet *s = r->s;
	struct telnet_join *k = &s->join;
	struct telnet_decision d;
	size_t n = 0;

	telnet_decide(s, cut, &d);
	if (d.refused) {
		telnet_abort(r, d.reason);
		return;
	}
	explicit_bzero(k, sizeof *k);
	k->mode = (uint8_t)d.mode;
	if (d.mode == TELNET_MODE_FINISHED) {
		k->over = true;
		r->ops->finish_client(r->j);
		return;
	}
	k->partial_unknown = !telnet_partial(&s->parser[JEEBS_TO_CLIENT], k->partial, &n);
	k->partial_n = (uint16_t)n;
	r->ops->connect_backend(r->j);
	if (!s->vouched) {
		telnet_plain_start(r);
		return;
	}
	telnet_proxy_start(r);
	telnet_relogin_start(r);
}

static void tokens(struct telnet_run *r, struct telnet_parser *p, struct bytes b,
		   void (*text)(struct telnet_run *r, struct bytes b),
		   void (*other)(struct telnet_run *r, const struct telnet_token *t))
{
	while (b.n > 0 && !r->s->join.over) {
		struct telnet_token t;
		b = bytes_from(b, telnet_parse(p, b, &t));
		const uint8_t command[2] = {TELNET_IAC, t.verb};
		if (t.kind == TELNET_TEXT)
			text(r, t.text);
		else if (t.kind == TELNET_COMMAND)
			text(r, bytes_of(command, 2));
		else if (t.kind != TELNET_NONE)
			other(r, &t);
	}
}

static void client_data(struct telnet_run *r, struct bytes b)
{
	struct telnet *s = r->s;

	tokens(r, &s->parser[JEEBS_TO_SERVER], b, telnet_relogin_client, telnet_proxy_client);
	/* The backup's questions come first. Then the user may be asked something. */
	if (s->join.shown && s->join.beyond && !s->join.over && s->join.line.n > 0)
		telnet_proxy_settle(r);
}

/* When nothing is left to do, both directions pass. */
static void pass(struct telnet_run *r)
{
	struct telnet_join *k = &r->s->join;

	if (k->over || !k->shown || !k->beyond)
		return;
	if (k->line.prompt != TELNET_NO_PROMPT)
		telnet_proxy_settle(r);
	if (!k->settled || k->partial_n > 0 || k->partial_unknown ||
	    k->parser.step != TELNET_IN_TEXT ||
	    r->s->parser[JEEBS_TO_SERVER].step != TELNET_IN_TEXT || !telnet_proxy_agrees(r->s))
		return;
	k->over = true;
	explicit_bzero(&r->s->login, sizeof r->s->login);
	if (!k->client_over)
		r->ops->pass(r->j, JEEBS_TO_SERVER);
	r->ops->pass(r->j, JEEBS_TO_CLIENT);
}

static void backend_eof(struct telnet_run *r)
{
	struct telnet_join *k = &r->s->join;

	if (!k->shown) {
		telnet_abort(r, k->sent & TELNET_SENT_PASSWORD ? "login-failed" : "backend-closed");
		return;
	}
	k->over = true;
	r->ops->finish_client(r->j);
}

/* The backup will ask what the client has answered already: then it may not have been finished. */
static bool owes_answers(const struct telnet *s)
{
	for (unsigned i = 0; i < s->subs.n; i++) {
		const struct telnet_sub *e = &s->subs.list[i];
		if (e->kind == TELNET_SUB_ASKED && e->answered && !e->used)
			return true;
	}
	return false;
}

void telnet_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		   const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct telnet *s = state;
	struct telnet_run r = {s, j, ops};
	struct bytes data = bytes_of(b.p, b.n);

	if (event != JEEBS_EV_START && s->join.over)
		return;
	switch (event) {
	case JEEBS_EV_START:
		start(&r, cut);
		break;
	case JEEBS_EV_CLIENT_DATA:
		client_data(&r, data);
		break;
	case JEEBS_EV_CLIENT_EOF:
		if (!s->vouched) {
			telnet_plain_client_over(&r);
		} else if (s->join.shown && !owes_answers(s)) {
			s->join.client_over = true;
			ops->finish_backend(j);
		} else {
			telnet_abort(&r, "client-finished");
		}
		break;
	case JEEBS_EV_BACKEND_DATA:
		if (!s->vouched) {
			telnet_plain_backend(&r, data);
			break;
		}
		tokens(&r, &s->join.parser, data, telnet_relogin_backend, telnet_proxy_backend);
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(&r);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		telnet_abort(&r, "backend-failed");
		break;
	case JEEBS_EV_TIMER:
		telnet_relogin_silence(&r);
		break;
	default:
		break;
	}
	pass(&r);
}
