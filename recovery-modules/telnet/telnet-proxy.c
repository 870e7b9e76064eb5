/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Options and sub-negotiations between the backup, whose client the box is, and the client, whose
 * server the box is. What the old server asked as well is answered from the record; everything else
 * goes through.
 *
 * Before a session the record is a history: the n-th request for an option is the n-th that the old
 * server made. In a session it is what holds now.
 */
#include "telnet.h"

static struct telnet_option *of_client(struct telnet_run *r, unsigned side, uint8_t option)
{
	return &r->s->options.side[side][option];
}

static struct telnet_option *of_backend(struct telnet_run *r, unsigned side, uint8_t option)
{
	return &r->s->join.options.side[side][option];
}

static bool by_history(const struct telnet_run *r)
{
	return r->s->join.mode != TELNET_MODE_SESSION && !r->s->join.beyond;
}

static void mark_is_no_state(struct telnet_option *o, uint8_t option)
{
	if (option == TELNET_TM && o->agreed == TELNET_YES)
		o->agreed = TELNET_NO;
}

static void tell_client(struct telnet_run *r, unsigned side, uint8_t option, bool on)
{
	const uint8_t b[3] = {TELNET_IAC, telnet_verb(side, true, on), option};

	telnet_option_server(of_client(r, side, option), on);
	telnet_to_client(r, bytes_of(b, 3));
}

static void send_sub(struct telnet_run *r, uint8_t option, struct bytes content)
{
	uint8_t b[TELNET_PARTIAL_MAX + 1];

	telnet_to_backend(r, bytes_of(b, telnet_sub_write(option, content, b)));
}

/* Sends the backup the sub-negotiations that the client had sent by itself. */
static void say(struct telnet_run *r, uint8_t option)
{
	struct telnet_subs *subs = &r->s->subs;

	for (unsigned i = 0; i < subs->n; i++) {
		struct telnet_sub *e = &subs->list[i];
		if (e->kind != TELNET_SUB_SAID || e->option != option || e->used || e->lost)
			continue;
		e->used = true;
		send_sub(r, option, telnet_sub_words(subs, e));
	}
}

static void tell_backend(struct telnet_run *r, unsigned side, uint8_t option, bool on)
{
	const uint8_t b[3] = {TELNET_IAC, telnet_verb(side, false, on), option};
	struct telnet_option *o = of_backend(r, side, option);

	telnet_option_client(o, on);
	mark_is_no_state(o, option);
	telnet_to_backend(r, bytes_of(b, 3));
	if (o->agreed == TELNET_YES)
		say(r, option);
}

/*
 * LINEMODE has a large state at both ends (RFC 1184). It is not carried over but ended and begun
 * again.
 */
static void restart_linemode(struct telnet_run *r)
{
	struct telnet_subs *subs = &r->s->subs;

	for (unsigned i = 0; i < subs->n; i++) {
		if (subs->list[i].option == TELNET_LINEMODE)
			subs->list[i].used = subs->list[i].answered = true;
	}
	struct telnet_option *c = of_client(r, TELNET_BY_CLIENT, TELNET_LINEMODE);
	*c = (struct telnet_option){
		.agreed = c->agreed}; /* requests from before were for the old server */
	tell_client(r, TELNET_BY_CLIENT, TELNET_LINEMODE, false);
}

static void asked_by_history(struct telnet_run *r, unsigned side, uint8_t option)
{
	struct telnet_option *c = of_client(r, side, option), *b = of_backend(r, side, option);
	unsigned i = b->on_n - 1u;

	if (b->on_n > c->on_n)
		tell_client(r, side, option, true);
	else if (i < c->answered_n)
		tell_backend(r, side, option,
			     i < TELNET_HISTORY ? c->accepted >> i & 1 : c->agreed == TELNET_YES);
	/* Otherwise the client's answer is under way. */
}

static void asked(struct telnet_run *r, unsigned side, uint8_t option)
{
	switch ((enum telnet_agreed)of_client(r, side, option)->agreed) {
	case TELNET_YES:
		if (side == TELNET_BY_CLIENT && option == TELNET_LINEMODE)
			restart_linemode(r);
		else
			tell_backend(r, side, option, true);
		break;
	case TELNET_REFUSED:
		tell_backend(r, side, option, false);
		break;
	case TELNET_NO: /* the client may have refused only for a while */
		asked_by_history(r, side, option);
		break;
	case TELNET_OFFERED: /* the client asks for the same */
		tell_backend(r, side, option, true);
		tell_client(r, side, option, true);
		break;
	default:
		break; /* the client's answer is under way */
	}
}

static void ended(struct telnet_run *r, unsigned side, uint8_t option)
{
	struct telnet_option *c = of_client(r, side, option), *b = of_backend(r, side, option);
	bool known = by_history(r) ? b->off_n <= c->off_n
				   : c->agreed != TELNET_YES && c->agreed != TELNET_ASKED;

	tell_backend(r, side, option, false);
	if (!known)
		tell_client(r, side, option, false);
}

/*
 * The server said on and off, and the client owes both answers. Each goes to the backup as it
 * comes.
 */
static void recanted(struct telnet_run *r, unsigned side, uint8_t option)
{
	uint8_t agreed = of_client(r, side, option)->agreed;

	if (agreed == TELNET_ASKED)
		tell_client(r, side, option, false);
	else if (agreed != TELNET_RECANTED)
		ended(r, side, option);
}

/* Handles a request of the backup, which waits for an answer. */
static void consider(struct telnet_run *r, unsigned side, uint8_t option)
{
	switch ((enum telnet_agreed)of_backend(r, side, option)->agreed) {
	case TELNET_ASKED:
		if (by_history(r))
			asked_by_history(r, side, option);
		else
			asked(r, side, option);
		break;
	case TELNET_STOPPED:
		ended(r, side, option);
		break;
	case TELNET_RECANTED:
		recanted(r, side, option);
		break;
	default:
		break;
	}
}

/* Handles the backup's answer to what the client had asked for, or announced. */
static void answered(struct telnet_run *r, unsigned side, uint8_t option, bool on)
{
	struct telnet_option *c = of_client(r, side, option);

	if (c->agreed == TELNET_OFFERED || (c->agreed == TELNET_QUIT && !on))
		tell_client(r, side, option, on);
	else if (on && c->ended && r->s->join.shown)
		/* The backup's answer to this goes to the client. */
		tell_backend(r, side, option, false);
	if (on)
		say(r, option);
}

/* The client asks for an option by itself. */
static void offered(struct telnet_run *r, unsigned side, uint8_t option)
{
	switch ((enum telnet_agreed)of_backend(r, side, option)->agreed) {
	case TELNET_ASKED:
		tell_backend(r, side, option, true);
		tell_client(r, side, option, true);
		break;
	case TELNET_YES:
		tell_client(r, side, option, true);
		break;
	case TELNET_OFFERED:
		break;
	default:
		tell_backend(r, side, option, true);
	}
}

/* The client ends an option by itself. */
static void quit(struct telnet_run *r, unsigned side, uint8_t option)
{
	uint8_t agreed = of_backend(r, side, option)->agreed;

	if (agreed == TELNET_YES) {
		tell_backend(r, side, option, false); /* the backup's answer goes to the client */
		return;
	}
	if (agreed == TELNET_OFFERED || agreed == TELNET_QUIT)
		return; /* the client's answer to an earlier word is under way */
	if (agreed == TELNET_ASKED)
		tell_backend(r, side, option, false);
	tell_client(r, side, option, false);
}

/*
 * Whether the backup is still to say of the option what the old server had said: it would be taken
 * for its answer to what the client says by itself.
 */
static bool is_behind(struct telnet_run *r, unsigned side, uint8_t option)
{
	const struct telnet_option *c = of_client(r, side, option),
				   *b = of_backend(r, side, option);

	return by_history(r) && (b->on_n < c->on_n || b->off_n < c->off_n || b->idle_n < c->idle_n);
}

/* Tells the backup what the client has begun or ended by itself, once it has come as far. */
static void tell_own(struct telnet_run *r, unsigned side, uint8_t option)
{
	const struct telnet_option *c = of_client(r, side, option),
				   *b = of_backend(r, side, option);
	bool open = b->agreed == TELNET_YES || b->agreed == TELNET_OFFERED;
	/* The old server had refused it, and the backup is still to hear it. */
	bool refused = by_history(r) && c->agreed == TELNET_NO && !b->wanted;

	if (is_behind(r, side, option))
		return;
	if (c->agreed == TELNET_OFFERED)
		offered(r, side, option);
	else if (c->agreed == TELNET_QUIT)
		quit(r, side, option);
	else if (c->ended && b->agreed == TELNET_YES)
		tell_backend(r, side, option, false);
	else if (c->wanted && !open && (c->agreed == TELNET_YES || refused))
		tell_backend(r, side, option, true);
}

static void backend_option(struct telnet_run *r, uint8_t verb, uint8_t option)
{
	unsigned side = telnet_verb_side(verb, true);
	bool on = telnet_verb_on(verb);

	struct telnet_option *b = of_backend(r, side, option), *c = of_client(r, side, option);
	bool behind = is_behind(r, side, option);
	uint8_t was = b->agreed;
	telnet_option_server(b, on);
	if (telnet_option_answers(was, on))
		answered(r, side, option, on);
	else if (on && option >= TELNET_OPTION_MAX && !by_history(r))
		tell_backend(r, side, option, false); /* the client might agree */
	else if (b->agreed != was)
		consider(r, side, option);
	else if (by_history(r) && b->idle_n > c->idle_n)
		tell_client(r, side, option, on);
	if (behind && r->s->join.shown)
		tell_own(r, side, option);
}

/* Whether the client uses the option, or will after its answer. */
static bool client_uses(struct telnet_run *r, uint8_t option)
{
	for (unsigned side = 0; side < 2; side++) {
		uint8_t c = of_client(r, side, option)->agreed;
		if (c == TELNET_YES || c == TELNET_ASKED)
			return true;
	}
	return false;
}

static void backend_sub(struct telnet_run *r, const struct telnet_token *t)
{
	struct telnet_subs *subs = &r->s->subs;
	bool asks = telnet_sub_asks(t->option, t->text);
	uint8_t kind = asks ? TELNET_SUB_ASKED : TELNET_SUB_TOLD, b[TELNET_PARTIAL_MAX + 1];
	uint64_t hash = telnet_sub_hash(t->text);

	if (t->sub_long) {
		telnet_abort(r, "subnegotiation-too-long");
		return;
	}
	enum telnet_reason beyond = telnet_beyond(t->option, t->text);
	if (beyond != TELNET_FINE) {
		telnet_abort(r, telnet_reason_name(beyond));
		return;
	}
	if (!asks && !by_history(r) && !r->s->join.beyond && !client_uses(r, t->option))
		return; /* the option has been ended again */
	struct telnet_sub *e =
		asks || by_history(r) ? telnet_subs_unused(subs, t->option, kind, hash) : NULL;
	if (e)
		e->used = true;
	if (e && !asks)
		return;
	if (e && e->lost && by_history(r)) {
		telnet_abort(r, "subnegotiation-too-long"); /* it would be asked twice */
		return;
	}
	if (e && !e->lost) {
		e->wanted = !e->answered;
		if (e->answered)
			send_sub(r, t->option, telnet_sub_words(subs, e));
		return;
	}
	e = telnet_subs_add(subs, t->option, kind, hash);
	if (e)
		e->used = e->wanted = true;
	telnet_to_client(r, bytes_of(b, telnet_sub_write(t->option, t->text, b)));
}

void telnet_proxy_backend(struct telnet_run *r, const struct telnet_token *t)
{
	if (t->kind == TELNET_OPTION)
		backend_option(r, t->verb, t->option);
	else if (t->kind == TELNET_SUBNEGOTIATION)
		backend_sub(r, t);
}

/* ---- the client ---------------------------------------------------------------------- */

static void client_option(struct telnet_run *r, uint8_t verb, uint8_t option)
{
	unsigned side = telnet_verb_side(verb, false);
	bool on = telnet_verb_on(verb);

	if (on && option >= TELNET_OPTION_MAX) {
		telnet_abort(r, telnet_reason_name(TELNET_OPTION_UNKNOWN));
		return;
	}
	struct telnet_option *c = of_client(r, side, option), *b = of_backend(r, side, option);
	uint8_t was = c->agreed;
	telnet_option_client(c, on);
	mark_is_no_state(c, option);
	if ((was == TELNET_ASKED || was == TELNET_RECANTED) && b->agreed == TELNET_RECANTED) {
		tell_backend(r, side, option, on);
	} else if (was == TELNET_ASKED || was == TELNET_STOPPED || was == TELNET_RECANTED ||
		   was == TELNET_RESTARTED) {
		consider(r, side, option);
		if (b->agreed == TELNET_YES && c->agreed == TELNET_REFUSED)
			tell_backend(r, side, option, false);
	} else if (!r->s->join.shown) {
		/* The backup is told when it has come as far: its own words may be older. */
	} else if ((c->agreed == TELNET_OFFERED || c->agreed == TELNET_QUIT) && c->agreed != was) {
		tell_own(r, side, option);
	} else if (was == TELNET_OFFERED && !on && b->agreed == TELNET_OFFERED) {
		tell_backend(r, side, option, false);
	}
}

static bool backend_uses(struct telnet_run *r, uint8_t option)
{
	return of_backend(r, TELNET_BY_CLIENT, option)->agreed == TELNET_YES ||
	       of_backend(r, TELNET_BY_SERVER, option)->agreed == TELNET_YES;
}

static void client_sub(struct telnet_run *r, const struct telnet_token *t)
{
	struct telnet_subs *subs = &r->s->subs;
	enum telnet_reason beyond = telnet_beyond(t->option, t->text);
	bool uses = backend_uses(r, t->option), answers = telnet_sub_answers(t->option, t->text);

	if (beyond != TELNET_FINE || t->sub_long) {
		telnet_abort(r,
			     t->sub_long ? "subnegotiation-too-long" : telnet_reason_name(beyond));
		return;
	}
	struct telnet_sub *e = answers ? telnet_subs_unanswered(subs, t->option) : NULL;
	if (e) {
		telnet_subs_answer(subs, e, t->text);
		uses = e->wanted;
	} else if (!uses) {
		/* Kept for when the backup asks for it, also an answer before its question. */
		telnet_subs_say(subs, t->option, t->text);
	}
	if (uses)
		send_sub(r, t->option, t->text);
}

void telnet_proxy_client(struct telnet_run *r, const struct telnet_token *t)
{
	if (t->kind == TELNET_OPTION)
		client_option(r, t->verb, t->option);
	else if (t->kind == TELNET_SUBNEGOTIATION)
		client_sub(r, t);
}

/* ---- beginning and end --------------------------------------------------------------- */

void telnet_proxy_start(struct telnet_run *r)
{
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned n = 0; n < TELNET_OPTION_COUNT; n++) {
			uint8_t i = (uint8_t)n;
			const struct telnet_option *c = of_client(r, side, i);
			bool open = c->agreed == TELNET_YES || c->agreed == TELNET_OFFERED;
			/* Refused and ended options are included: they belong to the history. */
			if (by_history(r) ? c->began : c->wanted && open)
				tell_backend(r, side, i, true);
		}
	}
}

void telnet_proxy_caught_up(struct telnet_run *r)
{
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned n = 0; n < TELNET_OPTION_COUNT; n++)
			tell_own(r, side, (uint8_t)n);
	}
}

static void settle(struct telnet_run *r, unsigned side, uint8_t option)
{
	uint8_t c = of_client(r, side, option)->agreed, b = of_backend(r, side, option)->agreed;

	if (c == TELNET_YES && b != TELNET_YES && b != TELNET_ASKED)
		tell_client(r, side, option, false);
	else if (c == TELNET_NO && b == TELNET_YES)
		tell_client(r, side, option, true);
	else if (c == TELNET_REFUSED && b == TELNET_YES)
		tell_backend(r, side, option, false);
}

void telnet_proxy_settle(struct telnet_run *r)
{
	if (r->s->join.settled)
		return;
	r->s->join.settled = true;
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned n = 0; n < TELNET_OPTION_COUNT; n++)
			settle(r, side, (uint8_t)n);
	}
}

static bool agrees(uint8_t c, uint8_t b)
{
	bool c_no = c == TELNET_NO || c == TELNET_REFUSED;
	bool b_no = b == TELNET_NO || b == TELNET_REFUSED;

	if (c == TELNET_STOPPED || c == TELNET_RECANTED || c == TELNET_RESTARTED)
		return false;
	return c == b || (c_no && b_no);
}

bool telnet_proxy_agrees(const struct telnet *s)
{
	for (unsigned side = 0; side < 2; side++) {
		for (unsigned i = 0; i < TELNET_OPTION_COUNT; i++) {
			if (!agrees(s->options.side[side][i].agreed,
				    s->join.options.side[side][i].agreed))
				return false;
		}
	}
	for (unsigned i = 0; i < s->subs.n; i++) {
		const struct telnet_sub *e = &s->subs.list[i];
		if (e->kind == TELNET_SUB_ASKED && !e->answered && !e->wanted)
			return false;
	}
	return true;
}
