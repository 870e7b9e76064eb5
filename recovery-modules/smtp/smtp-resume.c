/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The recovery half: builds the session again with the backup, and carries the decision out. */
#include "smtp.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

static void say(struct smtp_run *x, const char *p, size_t n)
{
	x->ops->to_backend(x->j, (struct jeebs_bytes){(const uint8_t *)p, n});
}

static void say_text(struct smtp_run *x, const char *text)
{
	say(x, text, strlen(text));
}

/* ---- the beginning of the session -------------------------------------------------- */

static void hello(struct smtp_run *x)
{
	say_text(x, x->s->ext_hello ? "EHLO " : "HELO ");
	say(x, x->s->name, x->s->name_n);
	say_text(x, "\r\n");
	x->r->phase = SMTP_PHASE_HELLO;
}

/*
 * The hello before STARTTLS, which the backup forgets (RFC 3207 section 4.2). What the client has
 * said in its place is not known here, but its address is a name too (RFC 5321 section 4.1.3).
 */
static void plain_hello(struct smtp_run *x)
{
	char text[INET6_ADDRSTRLEN] = "127.0.0.1", line[sizeof text + 24];
	struct jeebs_address a;

	x->ops->address(x->j, JEEBS_END_CLIENT, &a);
	if (a.family != 0)
		inet_ntop(a.family == 6 ? AF_INET6 : AF_INET, a.addr, text, sizeof text);
	snprintf(line, sizeof line, "EHLO [%s%s]\r\n", a.family == 6 ? "IPv6:" : "", text);
	say_text(x, line);
	x->r->phase = SMTP_PHASE_OFFER;
}

/* Sends the next line of the client's login. */
static void log_in(struct smtp_run *x)
{
	const char *from = x->s->login + x->r->login_at;
	size_t left = (size_t)(x->s->login_n - x->r->login_at);
	const char *lf = left ? memchr(from, '\n', left) : NULL;

	if (!lf) {
		smtp_abort(x, "login-refused");
		return;
	}
	size_t n = (size_t)(lf - from) + 1;
	say(x, from, n);
	x->r->login_at = (uint16_t)(x->r->login_at + n);
	x->r->phase = SMTP_PHASE_LOGIN;
}

static void run(struct smtp_run *x)
{
	x->r->phase = SMTP_PHASE_RUN;
	smtp_client_read(x);
}

static void begin_session(struct smtp_run *x)
{
	if (x->s->introduced && x->s->name_n > 0)
		hello(x);
	else
		run(x);
}

static void greeting(struct smtp_run *x, unsigned code, struct jeebs_bytes text)
{
	if (x->r->greeting == SMTP_COMPLETE) {
		char said[SMTP_REPLY_MAX];
		if (smtp_delivered(x, said) == 0 || (uint8_t)said[0] != text.p[0]) {
			smtp_abort(x, "reply-contradicts");
			return;
		}
		smtp_complete_cut(x, text, false);
	} else if (code / 100 != 2) {
		smtp_abort(x, "backend-refused");
		return;
	}
	if (x->r->phase == SMTP_PHASE_OVER)
		return;
	if (x->s->upgraded && JEEBS_HAS(x->ops, secure_backend) &&
	    x->ops->secure_backend(x->j, JEEBS_SECURE_ASK))
		plain_hello(x);
	else
		begin_session(x);
}

static void offered(struct smtp_run *x, unsigned code)
{
	if (code / 100 != 2) {
		smtp_abort(x, "backend-refused");
		return;
	}
	say_text(x, "STARTTLS\r\n");
	x->r->phase = SMTP_PHASE_AGREE;
}

static void agreed(struct smtp_run *x, unsigned code)
{
	if (code / 100 != 2) {
		smtp_abort(x, "starttls-refused");
		return;
	}
	x->r->phase = SMTP_PHASE_SECURING;
	x->ops->secure_backend(x->j, JEEBS_SECURE_BEGIN);
}

static void introduced(struct smtp_run *x, unsigned code, struct jeebs_bytes text)
{
	struct smtp_resume *r = x->r;

	if (code / 100 != 2) {
		smtp_abort(x, "backend-refused");
		return;
	}
	r->caps = x->s->ext_hello ? smtp_caps(text) : 0;
	r->missed = x->s->caps & ~r->caps;
	if (x->s->logged_in)
		log_in(x);
	else
		run(x);
}

static void logged_in(struct smtp_run *x, unsigned code)
{
	if (code == 334)
		log_in(x);
	else if (code == 235 && x->r->login_at == x->s->login_n)
		run(x);
	else
		smtp_abort(x, "login-refused");
}

/* ---- replies to units -------------------------------------------------------------- */

static bool of_transaction(unsigned kind)
{
	return kind == SMTP_UNIT_MAIL || kind == SMTP_UNIT_RCPT || kind == SMTP_UNIT_DATA ||
	       kind == SMTP_UNIT_BDAT || kind == SMTP_UNIT_BDAT_LAST;
}

/*
 * The client has a reply of class @had, and the backup's reply is of another class. Within a
 * transaction the client has not been misled yet: the transaction will fail.
 */
static void contradicted(struct smtp_run *x, const struct smtp_slot *k, unsigned had, unsigned has)
{
	bool harmless = k->kind == SMTP_UNIT_RSET || k->kind == SMTP_UNIT_OTHER ||
			k->kind == SMTP_UNIT_STRANGE || k->kind == SMTP_UNIT_QUIT;

	if (harmless)
		return;
	if (!of_transaction(k->kind) || has == 3) {
		smtp_abort(x, "reply-contradicts");
		return;
	}
	if (had >= 4 && has >= 4)
		return; /* the client knows that it was refused */
	smtp_doom(x);
	if (k->kind == SMTP_UNIT_DATA && had == 3) {
		x->r->parse.in = SMTP_IN_CONTENT;
		x->r->parse.dot = SMTP_DOT_BOL;
		x->r->skip = true;
		x->r->skip_quietly = false;
	}
}

static void expected(struct smtp_run *x, const struct smtp_slot *k, unsigned code,
		     struct jeebs_bytes text)
{
	char said[SMTP_REPLY_MAX];
	unsigned had = k->expect / 100;

	if (k->how == SMTP_COMPLETE) {
		had = smtp_delivered(x, said) ? (unsigned)(said[0] - '0') : 0;
		smtp_complete_cut(x, text, k->kind == SMTP_UNIT_EHLO && code / 100 == 2);
	}
	if (x->r->phase != SMTP_PHASE_OVER && had != code / 100)
		contradicted(x, k, had, code / 100);
}

/* Applies what the reply to a unit changes. */
static void applied(struct smtp_run *x, const struct smtp_slot *k, unsigned code,
		    struct jeebs_bytes text)
{
	struct smtp_resume *r = x->r;

	switch (k->kind) {
	case SMTP_UNIT_DATA:
		if (code / 100 == 3) {
			r->parse.in = SMTP_IN_CONTENT;
			r->parse.dot = SMTP_DOT_BOL;
			r->skip = false;
		}
		break;
	case SMTP_UNIT_AUTH:
	case SMTP_UNIT_AUTH_LINE:
		r->parse.in = code == 334 ? SMTP_IN_LOGIN : SMTP_IN_LINE;
		break;
	case SMTP_UNIT_EHLO:
		if (code / 100 == 2 && k->how == SMTP_COMPLETE) {
			r->caps = smtp_caps(text);
			r->missed = x->s->caps & ~r->caps;
		} else if (code / 100 == 2) {
			r->missed = 0; /* the backup itself has told the client */
		}
		break;
	case SMTP_UNIT_HELO:
		if (code / 100 == 2)
			r->missed = 0;
		break;
	case SMTP_UNIT_STARTTLS:
		r->turned = code / 100 == 2;
		break;
	default:
		break;
	}
}

static void unit_replied(struct smtp_run *x, unsigned code, struct jeebs_bytes text)
{
	struct smtp_slot *first = smtp_slot_first(x->r);

	if (!first)
		return; /* nobody asked, and the client has heard it */
	struct smtp_slot k = *first;
	/* The slot is popped first, so that a RSET is queued behind the right units. */
	if (k.how == SMTP_SUPPRESS || k.how == SMTP_COMPLETE)
		expected(x, &k, code, text);
	if (x->r->phase == SMTP_PHASE_OVER)
		return;
	smtp_slot_pop(x);
	if (!x->r->skip)
		applied(x, &k, code, text);
	smtp_client_read(x);
}

static void replied(struct smtp_run *x, unsigned code, struct jeebs_bytes text)
{
	switch (x->r->phase) {
	case SMTP_PHASE_GREETING:
		greeting(x, code, text);
		break;
	case SMTP_PHASE_OFFER:
		offered(x, code);
		break;
	case SMTP_PHASE_AGREE:
		agreed(x, code);
		break;
	case SMTP_PHASE_HELLO:
		introduced(x, code, text);
		break;
	case SMTP_PHASE_LOGIN:
		logged_in(x, code);
		break;
	case SMTP_PHASE_RUN:
		unit_replied(x, code, text);
		break;
	default:
		break;
	}
}

/* Whether the reply being received goes to the client. */
static bool forwards(struct smtp_resume *r)
{
	const struct smtp_slot *k = smtp_slot_first(r);

	return r->phase == SMTP_PHASE_RUN && (!k || k->how == SMTP_FORWARD);
}

static void backend_data(struct smtp_run *x, struct jeebs_bytes b)
{
	struct smtp_resume *r = x->r;

	while (b.n > 0 && r->phase != SMTP_PHASE_OVER) {
		if (r->turned || r->phase == SMTP_PHASE_SECURING) {
			smtp_abort(x, "backend-not-smtp"); /* said before the handshake */
			return;
		}
		enum smtp_reply_is is = SMTP_REPLY_MORE;
		size_t n = 0;
		while (n < b.n && (is == SMTP_REPLY_MORE || is == SMTP_REPLY_LINE))
			is = smtp_reply_byte(&r->reply, b.p[n++]);
		if (is == SMTP_REPLY_BAD) {
			smtp_abort(x, "backend-not-smtp");
			return;
		}
		if (forwards(r)) {
			x->ops->to_client(x->j, (struct jeebs_bytes){b.p, n});
		} else if (n > sizeof r->text - r->text_n) {
			smtp_abort(x, "backend-reply-too-long");
			return;
		} else {
			memcpy(r->text + r->text_n, b.p, n);
			r->text_n = (uint16_t)(r->text_n + n);
		}
		b.p += n;
		b.n -= n;
		if (is == SMTP_REPLY_DONE) {
			struct jeebs_bytes text = {(const uint8_t *)r->text, r->text_n};
			r->text_n = 0;
			replied(x, r->reply.code, text);
		}
	}
}

static void backend_eof(struct smtp_run *x)
{
	if (!forwards(x->r)) {
		smtp_abort(x, "backend-closed");
		return;
	}
	x->r->phase = SMTP_PHASE_OVER;
	x->ops->finish_client(x->j);
}

/* ---- the beginning and the end of our part ----------------------------------------- */

/* Handles messages that the old server may have, and units that are not in the log. */
static void answer_alone(struct smtp_run *x, unsigned n)
{
	for (unsigned i = 0; i < n && x->r->phase != SMTP_PHASE_OVER; i++) {
		if (i == 0 && x->cut->to_client_end > x->s->reply_start)
			smtp_complete_cut(x, (struct jeebs_bytes){NULL, 0}, false);
		else
			x->ops->to_client(x->j, smtp_own_reply(451));
	}
	x->r->said = x->cut->to_client_end;
}

static void start_run(struct smtp_run *x, enum smtp_mode mode)
{
	const struct smtp *s = x->s;
	struct smtp_resume *r = x->r;
	unsigned alone = mode == SMTP_MODE_LOST ? s->queue_n : smtp_uncertain(s);

	x->ops->hold_client(x->j, 1);
	x->ops->connect_backend(x->j);
	r->said = s->reply_start;
	r->at = smtp_replay_from(s);
	r->greeting = mode == SMTP_MODE_GREETING ? SMTP_COMPLETE : SMTP_SUPPRESS;
	if (alone > 0)
		answer_alone(x, alone);
	else if (s->open != SMTP_OPEN_NOTHING && mode != SMTP_MODE_LOST)
		r->said = s->open_reply;
	if (mode != SMTP_MODE_LOST)
		return;
	r->doomed = true;
	r->parse = s->parse;
	r->parse.line_n = 0;
	r->skip = r->parse.in == SMTP_IN_CONTENT || r->parse.in == SMTP_IN_CHUNK;
}

/* Starts when the old server had said nothing: the client gets the backup's session. */
static void start_untouched(struct smtp_run *x)
{
	const struct jeebs_cut *cut = x->cut;

	x->r->phase = SMTP_PHASE_OVER;
	x->ops->connect_backend(x->j);
	x->ops->log_to_backend(x->j, smtp_queued(x->s, 0)->start, cut->to_server_end);
	if (cut->client_fin)
		x->ops->finish_backend(x->j);
	else
		x->ops->pass(x->j, JEEBS_TO_SERVER);
	x->ops->pass(x->j, JEEBS_TO_CLIENT);
}

/*
 * Where STARTTLS may follow it is the port that new clients go to: on one for continued connections
 * there may be no TLS.
 */
static void choose_port(struct smtp_run *x)
{
	struct jeebs_address service;

	if (!x->s->can_upgrade)
		return;
	x->ops->address(x->j, JEEBS_END_SERVICE, &service);
	if (service.port != 0)
		x->ops->backend_port(x->j, service.port);
}

static void start(struct smtp_run *x)
{
	struct smtp_decision d;

	smtp_decide(x->s, x->cut, &d);
	memset(x->r, 0, sizeof *x->r);
	choose_port(x);
	if (d.refused) {
		smtp_abort(x, d.reason);
	} else if (d.mode == SMTP_MODE_FINISHED) {
		x->r->phase = SMTP_PHASE_OVER;
		x->ops->finish_client(x->j);
	} else if (d.mode == SMTP_MODE_GREETING && x->cut->to_client_end == x->s->reply_start) {
		start_untouched(x);
	} else {
		x->r->client_eof = x->cut->client_fin;
		start_run(x, d.mode);
	}
}

/* Whether the module need not understand any further bytes. */
static bool done(const struct smtp_run *x)
{
	const struct smtp_resume *r = x->r;

	if (r->phase != SMTP_PHASE_RUN || r->missed || r->doomed || r->skip || r->pending_n > 0 ||
	    r->at < x->cut->to_server_end)
		return false;
	for (unsigned i = 0; i < r->slot_n; i++) {
		if (r->slots[(r->slot_first + i) % SMTP_QUEUE_MAX].how != SMTP_FORWARD)
			return false;
	}
	return true;
}

/* The backup has agreed to STARTTLS: the handshake is between the client and it. */
static void pass_handshake(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;

	r->phase = SMTP_PHASE_OVER;
	if (r->at < x->cut->to_server_end)
		x->ops->log_to_backend(x->j, r->at, x->cut->to_server_end);
	if (r->pending_n > 0)
		say(x, r->pending, r->pending_n);
	if (r->client_eof)
		x->ops->finish_backend(x->j);
	else
		x->ops->pass(x->j, JEEBS_TO_SERVER);
	x->ops->pass(x->j, JEEBS_TO_CLIENT);
}

/* Called at the end of each event. */
static void settle(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;
	bool all_read = r->at >= x->cut->to_server_end && r->pending_n == 0;

	if (r->phase == SMTP_PHASE_OVER)
		return;
	if (r->turned) {
		pass_handshake(x);
		return;
	}
	if (done(x)) {
		r->phase = SMTP_PHASE_OVER;
		if (r->parse.line_n > 0 && !r->finished)
			say(x, r->line, r->parse.line_n);
		if (!r->client_eof)
			x->ops->pass(x->j, JEEBS_TO_SERVER);
		else if (!r->finished)
			x->ops->finish_backend(x->j);
		x->ops->pass(x->j, JEEBS_TO_CLIENT);
		return;
	}
	if (r->client_eof && all_read && r->phase == SMTP_PHASE_RUN && !r->finished &&
	    r->slot_n == 0) {
		r->finished = true;
		x->ops->finish_backend(x->j);
	}
	if (!r->client_eof)
		x->ops->hold_client(x->j, r->phase != SMTP_PHASE_RUN || !all_read ||
						  smtp_client_waits(x));
}

void smtp_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
		 const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct smtp *s = state;
	struct smtp_run x = {.s = s, .r = &s->resume, .cut = cut, .j = j, .ops = ops};

	if (event != JEEBS_EV_START && s->resume.phase == SMTP_PHASE_OVER)
		return;
	switch (event) {
	case JEEBS_EV_START:
		start(&x);
		break;
	case JEEBS_EV_CLIENT_DATA:
		x.chunk = b;
		smtp_client_read(&x);
		break;
	case JEEBS_EV_CLIENT_EOF:
		s->resume.client_eof = true;
		break;
	case JEEBS_EV_BACKEND_UP:
		if (x.r->phase == SMTP_PHASE_SECURING)
			begin_session(&x);
		break;
	case JEEBS_EV_BACKEND_DATA:
		backend_data(&x, b);
		break;
	case JEEBS_EV_BACKEND_EOF:
		backend_eof(&x);
		break;
	case JEEBS_EV_BACKEND_FAILED:
		smtp_abort(&x, "backend-failed");
		break;
	default:
		break;
	}
	settle(&x);
}
