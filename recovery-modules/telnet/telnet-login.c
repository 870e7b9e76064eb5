/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-login.h"

static uint8_t lower(uint8_t c)
{
	return c >= 'A' && c <= 'Z' ? (uint8_t)(c + 32) : c;
}

static bool match(const uint8_t *p, const char *word, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (lower(p[i]) != (uint8_t)word[i])
			return false;
	}
	return true;
}

static bool contains(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	for (size_t i = 0; i + n <= b.n; i++) {
		if (match(b.p + i, word, n))
			return true;
	}
	return false;
}

static bool ends(struct bytes b, const char *word)
{
	size_t n = strlen(word);

	return b.n >= n && match(b.p + b.n - n, word, n);
}

static struct bytes trimmed(const struct telnet_line *l)
{
	size_t n = l->n;

	while (n > 0 && l->text[n - 1] == ' ')
		n--;
	return bytes_of(l->text, n);
}

static enum telnet_prompt prompt(const struct telnet_line *l)
{
	struct bytes b = trimmed(l);

	if (b.n == 0)
		return TELNET_NO_PROMPT;
	if (b.p[b.n - 1] == ':') {
		if (contains(b, "assw") || contains(b, "passphrase") || contains(b, "passcode"))
			return TELNET_PASSWORD_PROMPT;
		if (ends(b, "ogin:") || ends(b, "username:") || ends(b, "user name:"))
			return TELNET_LOGIN_PROMPT;
		return TELNET_NO_PROMPT;
	}
	return strchr("$#>%", b.p[b.n - 1]) ? TELNET_SHELL_PROMPT : TELNET_NO_PROMPT;
}

static bool says_failed(struct bytes b)
{
	return contains(b, "incorrect") || contains(b, "login failed") ||
	       contains(b, "authentication failure") || contains(b, "denied");
}

static enum telnet_said line_over(struct telnet_line *l)
{
	struct bytes b = trimmed(l);
	enum telnet_said said = TELNET_SAID_NOTHING;

	if (b.n > 0 && !l->muted)
		said = says_failed(b) ? TELNET_SAID_FAILED : TELNET_SAID_LINE;
	l->n = 0;
	l->fresh = true;
	l->muted = false;
	return said;
}

enum telnet_said telnet_line_add(struct telnet_line *l, uint8_t c)
{
	if (c == '\n')
		return line_over(l);
	if (c < ' ' || c == 0x7f || c == 0xff)
		return TELNET_SAID_NOTHING;
	if (l->fresh && c != ' ') {
		l->fresh = false;
		l->prompt = TELNET_NO_PROMPT;
	}
	if (l->n == TELNET_LINE_MAX) {
		memmove(l->text, l->text + 1, TELNET_LINE_MAX - 1);
		l->n--;
	}
	l->text[l->n++] = c;
	if (l->muted)
		return TELNET_SAID_NOTHING;
	switch (prompt(l)) {
	case TELNET_LOGIN_PROMPT:
	case TELNET_PASSWORD_PROMPT:
		l->prompt = (uint8_t)prompt(l);
		return TELNET_SAID_PROMPT;
	case TELNET_SHELL_PROMPT:
		l->prompt = TELNET_SHELL_PROMPT;
		return TELNET_SAID_SHELL;
	case TELNET_NO_PROMPT:
		break;
	}
	return TELNET_SAID_NOTHING;
}

void telnet_line_answered(struct telnet_line *l, bool echoed)
{
	l->prompt = TELNET_NO_PROMPT;
	l->muted = echoed;
	if (!echoed) {
		l->n = 0;
		l->fresh = true;
	}
}

static void typed_add(struct telnet_typed *t, uint8_t c)
{
	if (t->n < TELNET_USER_MAX)
		t->text[t->n++] = c;
	else
		t->lost = true;
}

static void forget(struct telnet_typed *t)
{
	explicit_bzero(t, sizeof *t);
}

/* ---- the server ---------------------------------------------------------------------- */

static void see(struct telnet_login *l, uint8_t c)
{
	if (l->seen_n < TELNET_SEEN_MAX)
		l->seen[l->seen_n++] = c;
	else
		l->seen_lost = true;
}

/* The server asks again for what it was given, so it did not accept it. */
static void asked_again(struct telnet_login *l)
{
	if (l->line.prompt == TELNET_LOGIN_PROMPT && l->phase != TELNET_GREETING) {
		forget(&l->user);
		forget(&l->password);
		l->withheld = false;
		l->again = true;
		l->phase = TELNET_GREETING;
	} else if (l->line.prompt == TELNET_PASSWORD_PROMPT && l->phase >= TELNET_PROVED) {
		/* Otherwise the text before was only a word on the way to the question. */
		l->again = l->again || l->withheld || l->password.n > 0;
		forget(&l->password);
		l->withheld = false;
		l->phase = TELNET_NAMED;
	}
}

/* Takes output that is not the echo of the typed line: the server has acted on the line. */
static void session_output(struct telnet_login *l, uint8_t c)
{
	const struct telnet_typed *t = &l->last;

	if (!l->unanswered || c == '\r' || c == '\n' || c == 0)
		return;
	if (l->echoed < t->n && t->text[l->echoed] == c)
		l->echoed++;
	else
		l->unanswered = false;
}

void telnet_login_server(struct telnet_login *l, uint8_t c)
{
	enum telnet_said said = telnet_line_add(&l->line, c);

	l->cr = c == '\r';
	if (l->phase == TELNET_SESSION) {
		session_output(l, c);
		return;
	}
	see(l, c);
	if (said == TELNET_SAID_PROMPT)
		asked_again(l);
	else if ((said == TELNET_SAID_LINE || said == TELNET_SAID_SHELL) &&
		 (l->phase == TELNET_NAMED || l->phase == TELNET_PROVED))
		l->phase = TELNET_READY;
}

/* ---- the client ---------------------------------------------------------------------- */

static void begin_session(struct telnet_login *l)
{
	l->phase = TELNET_SESSION;
	l->seen_n = 0;
	l->seen_lost = false;
	l->again = false;
}

static void session_line(struct telnet_login *l)
{
	l->last = l->typed;
	l->echoed = 0;
	l->unanswered = l->last.n > 1;
}

static void line_typed(struct telnet_login *l, bool keep)
{
	switch (l->phase == TELNET_SESSION ? TELNET_NO_PROMPT : l->line.prompt) {
	case TELNET_LOGIN_PROMPT:
		l->user = l->typed;
		l->user_at = l->typed_at;
		l->phase = TELNET_NAMED;
		break;
	case TELNET_PASSWORD_PROMPT:
		l->withheld = !keep;
		if (keep)
			l->password = l->typed;
		l->password_at = l->typed_at;
		l->phase = TELNET_PROVED;
		break;
	default:
		/* The name was typed before the question came, so it is unknown what it answers. */
		if (l->phase == TELNET_NAMED)
			forget(&l->user);
		if (l->phase != TELNET_SESSION)
			begin_session(l);
		if (l->line.prompt == TELNET_PASSWORD_PROMPT) {
			forget(&l->last);
			l->echoed = 0;
			l->unanswered = false;
		} else {
			session_line(l);
		}
	}
}

void telnet_login_client(struct telnet_login *l, uint8_t c, bool keep, bool echo)
{
	bool secret = l->line.prompt == TELNET_PASSWORD_PROMPT;

	if (l->line_over && (c == '\n' || c == 0)) {
		struct telnet_typed *t = l->phase == TELNET_NAMED    ? &l->user
					 : l->phase == TELNET_PROVED ? &l->password
								     : &l->last;
		l->line_over = false;
		if (t->n > 0)
			typed_add(t, c);
		return;
	}
	l->line_over = false;
	if (l->typed.n == 0)
		l->typed_at = l->seen_n;
	/* A control character may have had an effect without a line end. */
	if (c < ' ' && c != '\r' && c != '\n' && c != '\b' && l->phase != TELNET_SESSION &&
	    l->line.prompt != TELNET_LOGIN_PROMPT && !secret)
		begin_session(l);
	/* Of a secret that may not be kept only the length is kept. */
	typed_add(&l->typed, secret && !keep && c != '\r' && c != '\n' ? '*' : c);
	if (c != '\r' && c != '\n')
		return;
	line_typed(l, keep);
	l->line_over = c == '\r';
	forget(&l->typed);
	telnet_line_answered(&l->line, echo);
}
