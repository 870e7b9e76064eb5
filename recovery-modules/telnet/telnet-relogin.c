/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The text between the backup and the client, until the backup is where the old server was.
 *
 * Before a session what the backup says is compared with what the client has seen, and the lines
 * that the client typed are sent when the backup has said what they answered. When the backup says
 * something else, and in a session, the lines are sent at the backup's prompts, and the client gets
 * nothing of it but a notice and what follows the last of them.
 */
#include "telnet.h"

static const char default_notice[] =
	"[connection was taken over: this is a new session on the backup]";
static const char unanswered_notice[] =
	"[what was typed last may have been carried out or not; it is not repeated]";

static bool wants_session(const struct telnet *s)
{
	return s->login.phase == TELNET_SESSION || s->login.phase == TELNET_READY;
}

static bool pending(const struct telnet *s, unsigned what)
{
	const struct telnet_login *l = &s->login;

	if (s->join.sent & what)
		return false;
	switch (what) {
	case TELNET_SENT_USER:
		return l->user.n > 0;
	case TELNET_SENT_PASSWORD:
		return l->password.n > 0;
	default:
		return l->typed.n > 0 && l->phase != TELNET_SESSION;
	}
}

static bool has_script(const struct telnet *s)
{
	return s->login.user.n > 0 || s->login.password.n > 0;
}

static bool backend_echoes(const struct telnet *s)
{
	return s->join.options.side[TELNET_BY_SERVER][TELNET_ECHO].agreed == TELNET_YES;
}

/*
 * Whether BINARY is in force towards the backup. As long as the backup says what the old server had
 * said, the old server's state is right for it.
 */
static bool binary_to_backend(const struct telnet *s)
{
	return s->join.differs &&
	       s->join.options.side[TELNET_BY_CLIENT][TELNET_BINARY].agreed == TELNET_YES;
}

/*
 * Sends a line with the right end. Without BINARY a CR is followed by NUL or LF (RFC 854), with it
 * by nothing (RFC 856). The backup's BINARY may differ from the old server's.
 */
static void send_typed(struct telnet_run *r, const struct telnet_typed *t)
{
	const uint8_t *cr = memchr(t->text, '\r', t->n);
	size_t n = cr ? (size_t)(cr - t->text) : t->n;
	bool second = n + 2 == t->n;

	telnet_to_backend(r, bytes_of(t->text, n));
	if (!r->s->join.differs)
		telnet_to_backend(r, bytes_from(bytes_of(t->text, t->n), n));
	if (!cr || !r->s->join.differs)
		return;
	/* The rest of the client's last line end may still be under way. */
	if (binary_to_backend(r->s) || (!second && r->s->login.line_over))
		telnet_to_backend(r, bytes_of("\r", 1));
	else
		telnet_to_backend(r, bytes_of(second && cr[1] == '\n' ? "\r\n" : "\r\0", 2));
}

static void send_line(struct telnet_run *r, unsigned what, const struct telnet_typed *t)
{
	struct telnet_join *k = &r->s->join;
	bool secret =
		what == TELNET_SENT_PASSWORD ||
		(what == TELNET_SENT_TYPED && r->s->login.line.prompt == TELNET_PASSWORD_PROMPT);

	/* Without the echo option the client itself would show what is typed, and the backup
	 * might too. */
	if (secret && !backend_echoes(r->s)) {
		telnet_abort(r, "password-echo");
		return;
	}
	/* The typed lines depend on echo and line mode, so the options are settled first. */
	telnet_proxy_caught_up(r);
	k->sent |= (uint8_t)what;
	send_typed(r, t);
	if (what == TELNET_SENT_TYPED)
		return;
	k->collected_n = 0;
	telnet_line_answered(&k->line, backend_echoes(r->s));
}

/* ---- when the backup says the same --------------------------------------------------- */

static void send_held(struct telnet_run *r)
{
	struct telnet_join *k = &r->s->join;

	telnet_to_backend(r, bytes_of(k->held, k->held_n));
	k->held_n = 0;
}

void telnet_relogin_type(struct telnet_run *r)
{
	struct telnet *s = r->s;
	struct telnet_join *k = &s->join;
	const struct telnet_login *l = &s->login;

	if (pending(s, TELNET_SENT_USER) && k->matched >= l->user_at)
		send_line(r, TELNET_SENT_USER, &l->user);
	if (!k->over && pending(s, TELNET_SENT_PASSWORD) && k->matched >= l->password_at)
		send_line(r, TELNET_SENT_PASSWORD, &l->password);
	if (!k->over && pending(s, TELNET_SENT_TYPED) && k->matched >= l->typed_at)
		send_line(r, TELNET_SENT_TYPED, &l->typed);
}

static void all_seen(struct telnet_run *r)
{
	struct telnet_join *k = &r->s->join;

	if (k->over)
		return;
	k->shown = true;
	r->ops->timer(r->j, 0);
	telnet_proxy_caught_up(r);
	send_held(r);
}

static void compare(struct telnet_run *r, uint8_t c)
{
	struct telnet_join *k = &r->s->join;
	const struct telnet_login *l = &r->s->login;

	if (c != l->seen[k->matched]) {
		k->differs = true;
		k->collected_n = 0;
		return;
	}
	k->matched++;
	telnet_relogin_type(r);
	if (k->matched == l->seen_n)
		all_seen(r);
}

/* ---- when it does not ---------------------------------------------------------------- */

static bool shows_password(const struct telnet *s)
{
	const struct telnet_typed *t = &s->login.password;
	size_t n = t->n;

	while (n > 0 && (t->text[n - 1] == '\r' || t->text[n - 1] == '\n' || t->text[n - 1] == 0))
		n--;
	for (size_t i = 0; n > 2 && i + n <= s->join.collected_n; i++) {
		if (memcmp(s->join.collected + i, t->text, n) == 0)
			return true;
	}
	return false;
}

static void notice_line(struct telnet_run *r, const char *text)
{
	struct bytes b = bytes_str(text);

	for (size_t i = 0; i < b.n; i++) {
		/* The notice must stay one line, whatever the operator wrote. */
		bool plain = b.p[i] >= ' ' && b.p[i] != TELNET_IAC && b.p[i] != 0x7f;
		telnet_to_client(r, plain ? bytes_of(b.p + i, 1) : bytes_str("?"));
	}
	telnet_to_client(r, bytes_str("\r\n"));
}

static void tell_user(struct telnet_run *r)
{
	struct telnet *s = r->s;
	const struct telnet_join *k = &s->join;
	bool lost = s->login.phase == TELNET_SESSION && s->login.unanswered && !s->replay_all;
	size_t skip = 0;

	telnet_to_client(r, bytes_str(s->login.cr ? "\n" : "\r\n"));
	notice_line(r, s->notice[0] ? s->notice : default_notice);
	if (lost)
		notice_line(r, unanswered_notice);
	while (skip < k->collected_n && (k->collected[skip] == '\r' || k->collected[skip] == '\n' ||
					 k->collected[skip] == 0))
		skip++;
	telnet_to_client(r, bytes_from(bytes_of(k->collected, k->collected_n), skip));
}

/* The backup has come as far as it can towards the old server's state. */
static void reached(struct telnet_run *r)
{
	struct telnet *s = r->s;
	struct telnet_join *k = &s->join;
	uint8_t prompt = k->line.prompt;
	bool asks = prompt == TELNET_LOGIN_PROMPT || prompt == TELNET_PASSWORD_PROMPT;

	if (shows_password(s)) {
		telnet_abort(r, "password-echo");
		return;
	}
	k->beyond = true;
	tell_user(r);
	k->shown = true;
	r->ops->timer(r->j, 0);
	telnet_proxy_caught_up(r);
	if (wants_session(s))
		telnet_proxy_settle(r);
	if (s->login.phase == TELNET_SESSION && s->replay_all && s->login.unanswered &&
	    !s->login.last.lost && !asks)
		send_typed(r, &s->login.last);
	/* A half-typed line belongs to the prompt at which it was typed. */
	if (pending(s, TELNET_SENT_TYPED) && prompt == s->login.line.prompt)
		send_line(r, TELNET_SENT_TYPED, &s->login.typed);
	if (!k->over)
		send_held(r);
}

static void prompted(struct telnet_run *r)
{
	struct telnet *s = r->s;
	struct telnet_join *k = &s->join;

	if (k->line.prompt == TELNET_LOGIN_PROMPT && pending(s, TELNET_SENT_USER)) {
		send_line(r, TELNET_SENT_USER, &s->login.user);
	} else if (k->line.prompt == TELNET_PASSWORD_PROMPT && pending(s, TELNET_SENT_PASSWORD)) {
		k->sent |= TELNET_SENT_USER; /* the backup knows the user already */
		send_line(r, TELNET_SENT_PASSWORD, &s->login.password);
	} else if (wants_session(s) && has_script(s)) {
		telnet_abort(r, "login-failed");
	} else {
		reached(r);
	}
}

static void collect(struct telnet_join *k, uint8_t c)
{
	if (k->collected_n == TELNET_COLLECTED_MAX) {
		memmove(k->collected, k->collected + 1, TELNET_COLLECTED_MAX - 1);
		k->collected_n--;
	}
	k->collected[k->collected_n++] = c;
}

/* Whether the user is being asked for name or password, and must come to that prompt again. */
static bool at_prompt(const struct telnet *s)
{
	uint8_t prompt = s->login.line.prompt;

	return s->login.phase != TELNET_SESSION &&
	       (prompt == TELNET_LOGIN_PROMPT || prompt == TELNET_PASSWORD_PROMPT);
}

/* The script has been sent. What the backup says now shows whether it has accepted the login. */
static void judged(struct telnet_run *r, enum telnet_said said)
{
	const struct telnet *s = r->s;
	bool left = pending(s, TELNET_SENT_USER) || pending(s, TELNET_SENT_PASSWORD);

	if (said == TELNET_SAID_FAILED && has_script(s) && !left && wants_session(s))
		telnet_abort(r, "login-failed");
	else if (said == TELNET_SAID_SHELL && s->join.sent & TELNET_SENT_USER)
		reached(r); /* perhaps without a password */
	else if (!left && (said == TELNET_SAID_SHELL || !at_prompt(s)))
		reached(r);
}

static void follow(struct telnet_run *r, uint8_t c, enum telnet_said said, bool echo)
{
	struct telnet_join *k = &r->s->join;

	if (!echo)
		collect(k, c);
	/* In the greeting there is no state to reach: a different greeting is shown at once. */
	if (k->mode == TELNET_MODE_GREETING)
		reached(r);
	else if (said == TELNET_SAID_PROMPT)
		prompted(r);
	else if (said != TELNET_SAID_NOTHING)
		judged(r, said);
}

/* ---- both ---------------------------------------------------------------------------- */

void telnet_relogin_start(struct telnet_run *r)
{
	struct telnet_join *k = &r->s->join;

	k->differs = k->mode == TELNET_MODE_SESSION || k->mode == TELNET_MODE_LOGIN_AGAIN;
	k->line.fresh = true;
	r->ops->timer(r->j, TELNET_SILENCE_MS);
	if (k->differs)
		return;
	telnet_relogin_type(r);
	if (r->s->login.seen_n == 0)
		all_seen(r);
}

/* Collects the backup's current line, which the client does not have in this form. */
static void collect_line(struct telnet_join *k)
{
	for (unsigned i = 0; i + 1 < k->line.n; i++)
		collect(k, k->line.text[i]);
}

void telnet_relogin_backend(struct telnet_run *r, struct bytes b)
{
	struct telnet_join *k = &r->s->join;
	size_t n = 0;

	while (n < b.n && !k->shown && !k->over) {
		bool echo = k->line.muted;
		enum telnet_said said = telnet_line_add(&k->line, b.p[n]);
		bool same = !k->differs;
		if (same)
			compare(r, b.p[n]);
		if (k->differs && same)
			collect_line(k);
		if (k->differs && !k->over)
			follow(r, b.p[n], said, echo);
		n++;
	}
	if (k->over || n == b.n)
		return;
	/* The old server would have asked everything before it said something new. */
	if (!k->beyond) {
		k->beyond = true;
		telnet_proxy_caught_up(r);
	}
	telnet_to_client(r, bytes_from(b, n));
	for (; n < b.n; n++)
		telnet_line_add(&k->line, b.p[n]);
}

void telnet_relogin_client(struct telnet_run *r, struct bytes b)
{
	struct telnet *s = r->s;
	struct telnet_join *k = &s->join;

	/* The NUL or LF after a CR is dropped, since BINARY needs none. */
	if (!k->typing && s->login.line_over && binary_to_backend(s) && b.n > 0 &&
	    (b.p[0] == 0 || b.p[0] == '\n'))
		b = bytes_from(b, 1);
	k->typing = true;
	if (k->shown) {
		telnet_to_backend(r, b);
		return;
	}
	/* The bytes were typed for a session that is gone, and must not reach another one. */
	if (k->mode == TELNET_MODE_SESSION && !s->replay_all)
		return;
	if (b.n > TELNET_HELD_MAX - k->held_n) {
		telnet_abort(r, "typed-too-much");
		return;
	}
	memcpy(k->held + k->held_n, b.p, b.n);
	k->held_n = (uint16_t)(k->held_n + b.n);
}

void telnet_relogin_silence(struct telnet_run *r)
{
	if (!r->s->join.shown)
		telnet_abort(r, "login-stalled");
}
