/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "smtp-text.h"

#include <string.h>

static char upper(uint8_t c)
{
	return (char)(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
}

/* Whether @b begins with @word, in any case. */
static bool begins(struct jeebs_bytes b, const char *word)
{
	size_t n = strlen(word);

	if (b.n < n)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (upper(b.p[i]) != word[i])
			return false;
	}
	return true;
}

static struct jeebs_bytes from(struct jeebs_bytes b, size_t n)
{
	return n < b.n ? (struct jeebs_bytes){b.p + n, b.n - n} : (struct jeebs_bytes){b.p, 0};
}

/* The word at the start of @b, up to a space or the end. */
static struct jeebs_bytes word(struct jeebs_bytes b)
{
	size_t n = 0;

	while (n < b.n && b.p[n] != ' ' && b.p[n] != '\t')
		n++;
	return (struct jeebs_bytes){b.p, n};
}

static bool is(struct jeebs_bytes b, const char *text)
{
	return b.n == strlen(text) && begins(b, text);
}

static struct jeebs_bytes spaces_off(struct jeebs_bytes b)
{
	while (b.n > 0 && (b.p[0] == ' ' || b.p[0] == '\t'))
		b = from(b, 1);
	return b;
}

struct jeebs_bytes smtp_argument(struct jeebs_bytes line)
{
	return spaces_off(from(line, word(line).n));
}

bool smtp_bdat(struct jeebs_bytes line, uint64_t *ret_n, bool *ret_last)
{
	struct jeebs_bytes a = smtp_argument(line), size = word(a);
	uint64_t n = 0;

	if (size.n == 0 || size.n > 18)
		return false;
	for (size_t i = 0; i < size.n; i++) {
		if (size.p[i] < '0' || size.p[i] > '9')
			return false;
		n = n * 10 + (uint64_t)(size.p[i] - '0');
	}
	a = spaces_off(from(a, size.n));
	*ret_last = is(word(a), "LAST");
	*ret_n = n;
	return *ret_last ? spaces_off(from(a, 4)).n == 0 : a.n == 0;
}

bool smtp_line_byte(uint8_t c)
{
	return (c >= ' ' && c != 0x7f) || c == '\t' || c == '\r' || c == '\n';
}

/*
 * Commands that begin with X are private (RFC 5321 section 4.1.5): client and server agree on them.
 */
static bool is_harmless(struct jeebs_bytes verb)
{
	return is(verb, "NOOP") || is(verb, "VRFY") || is(verb, "EXPN") || is(verb, "HELP") ||
	       is(verb, "ETRN") || begins(verb, "X");
}

enum smtp_unit smtp_command(struct jeebs_bytes line)
{
	static const struct {
		const char *verb;
		enum smtp_unit unit;
	} verbs[] = {
		{"EHLO", SMTP_UNIT_EHLO}, {"HELO", SMTP_UNIT_HELO},
		{"MAIL", SMTP_UNIT_MAIL}, {"RCPT", SMTP_UNIT_RCPT},
		{"DATA", SMTP_UNIT_DATA}, {"AUTH", SMTP_UNIT_AUTH},
		{"RSET", SMTP_UNIT_RSET}, {"STARTTLS", SMTP_UNIT_STARTTLS},
		{"QUIT", SMTP_UNIT_QUIT},
	};
	struct jeebs_bytes verb = word(line);
	uint64_t n;
	bool last;

	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
		if (is(verb, verbs[i].verb))
			return verbs[i].unit;
	}
	if (is(verb, "BDAT") && smtp_bdat(line, &n, &last))
		return last ? SMTP_UNIT_BDAT_LAST : SMTP_UNIT_BDAT;
	return is_harmless(verb) ? SMTP_UNIT_OTHER : SMTP_UNIT_STRANGE;
}

bool smtp_auth_repeatable(struct jeebs_bytes line)
{
	struct jeebs_bytes mechanism = word(smtp_argument(line));

	return is(mechanism, "PLAIN") || is(mechanism, "LOGIN");
}

/* ---- extensions -------------------------------------------------------------------------- */

static const struct {
	const char *name;
	uint32_t cap;
} caps[] = {
	{"SIZE", SMTP_CAP_SIZE},         {"PIPELINING", SMTP_CAP_PIPELINING},
	{"8BITMIME", SMTP_CAP_8BITMIME}, {"SMTPUTF8", SMTP_CAP_SMTPUTF8},
	{"DSN", SMTP_CAP_DSN},           {"CHUNKING", SMTP_CAP_CHUNKING},
	{"AUTH", SMTP_CAP_AUTH},         {"BINARYMIME", SMTP_CAP_BINARYMIME},
};

uint32_t smtp_cap(struct jeebs_bytes line)
{
	struct jeebs_bytes key = word(line);

	/* Very old clients look for AUTH=LOGIN. */
	for (size_t i = 0; i < sizeof caps / sizeof caps[0]; i++) {
		if (is(key, caps[i].name))
			return caps[i].cap;
	}
	return 0;
}

/*
 * Takes the next line of *io, without code, separator and line end. Returns false when there is
 * none.
 */
static bool next_line(struct jeebs_bytes *io, struct jeebs_bytes *ret)
{
	const uint8_t *lf = io->n ? memchr(io->p, '\n', io->n) : NULL;

	if (io->n == 0)
		return false;
	size_t n = lf ? (size_t)(lf - io->p) : io->n;
	*ret = from((struct jeebs_bytes){io->p, n}, 4);
	while (ret->n > 0 && ret->p[ret->n - 1] == '\r')
		ret->n--;
	*io = from(*io, lf ? n + 1 : n);
	return true;
}

uint32_t smtp_caps(struct jeebs_bytes reply)
{
	struct jeebs_bytes line;
	uint32_t all = 0;

	if (!next_line(&reply, &line))
		return 0;
	while (next_line(&reply, &line))
		all |= smtp_cap(line);
	return all;
}

/* ---- parameters of MAIL and RCPT --------------------------------------------------------- */

enum parameter {
	KEEP,
	LEAVE_OUT,
	CANNOT,
};

/* NOTIFY=NEVER suppresses a notification and SUCCESS promises one, so both need a server that
 * can do it. */
static enum parameter notify(struct jeebs_bytes value)
{
	for (; value.n > 0; value = from(value, 1)) {
		if (begins(value, "NEVER") || begins(value, "SUCCESS"))
			return CANNOT;
	}
	return LEAVE_OUT;
}

static enum parameter judge(struct jeebs_bytes p, uint32_t missing)
{
	if (missing & SMTP_CAP_SIZE && begins(p, "SIZE="))
		return LEAVE_OUT; /* it is only an announcement */
	if (missing & SMTP_CAP_AUTH && begins(p, "AUTH="))
		return LEAVE_OUT; /* RFC 4954 section 5: without it the sender is unknown */
	if (begins(p, "BODY=")) {
		if (is(p, "BODY=7BIT"))
			return missing & (SMTP_CAP_8BITMIME | SMTP_CAP_BINARYMIME) ? LEAVE_OUT
										   : KEEP;
		if (is(p, "BODY=8BITMIME"))
			return missing & SMTP_CAP_8BITMIME ? CANNOT : KEEP;
		return missing & SMTP_CAP_BINARYMIME ? CANNOT : KEEP;
	}
	if (missing & SMTP_CAP_SMTPUTF8 && is(p, "SMTPUTF8"))
		return CANNOT;
	if (missing & SMTP_CAP_DSN) {
		if (begins(p, "RET=") || begins(p, "ENVID=") || begins(p, "ORCPT="))
			return LEAVE_OUT;
		if (begins(p, "NOTIFY="))
			return notify(from(p, 7));
	}
	return KEEP;
}

/* Length of verb and path. A quoted string in the path may contain spaces. */
static size_t path_end(struct jeebs_bytes line)
{
	bool quoted = false, in = false;

	for (size_t i = 0; i < line.n; i++) {
		uint8_t c = line.p[i];
		if (quoted && c == '\\')
			i++;
		else if (c == '"' && in)
			quoted = !quoted;
		else if (c == '<' && !quoted)
			in = true;
		else if (c == '>' && !quoted)
			return i + 1;
	}
	/* Some servers accept a path without angle brackets: "MAIL FROM:a@b SIZE=1". */
	size_t n = word(line).n;
	struct jeebs_bytes rest = spaces_off(from(line, n));
	return line.n - rest.n + word(rest).n;
}

size_t smtp_rewrite(struct jeebs_bytes line, uint32_t missing, char *out, size_t cap)
{
	size_t n = path_end(line);

	if (n + 2 > cap)
		return 0;
	memcpy(out, line.p, n);
	for (struct jeebs_bytes rest = spaces_off(from(line, n)); rest.n > 0;) {
		struct jeebs_bytes p = word(rest);
		enum parameter what = judge(p, missing);
		if (what == CANNOT || n + p.n + 3 > cap)
			return 0;
		if (what == KEEP) {
			out[n++] = ' ';
			memcpy(out + n, p.p, p.n);
			n += p.n;
		}
		rest = spaces_off(from(rest, p.n));
	}
	out[n++] = '\r';
	out[n++] = '\n';
	return n;
}

/* ---- replies ----------------------------------------------------------------------------- */

bool smtp_reply_fits(unsigned unit, unsigned code)
{
	if (code >= 400)
		return true; /* servers use many codes for a refusal */
	switch (unit) {
	case SMTP_UNIT_CONNECT:
	case SMTP_UNIT_STARTTLS:
		return code == 220;
	case SMTP_UNIT_RCPT:
		return code >= 250 && code <= 252;
	case SMTP_UNIT_DATA:
		return code == 354;
	case SMTP_UNIT_AUTH:
	case SMTP_UNIT_AUTH_LINE:
		return code == 334 || code == 235;
	case SMTP_UNIT_QUIT:
		return code == 221;
	case SMTP_UNIT_OTHER:
		return (code >= 211 && code <= 221) || (code >= 250 && code <= 259);
	case SMTP_UNIT_STRANGE:
		return false;
	default:
		return code == 250;
	}
}

static enum smtp_reply_is line_end(struct smtp_reply *r)
{
	bool last = r->sep != '-';

	if (r->pos < 3)
		return SMTP_REPLY_BAD;
	r->pos = r->sep = 0;
	r->line = 0;
	r->cr = false;
	if (!last)
		return SMTP_REPLY_LINE;
	r->begun = false;
	return SMTP_REPLY_DONE;
}

enum smtp_reply_is smtp_reply_byte(struct smtp_reply *r, uint8_t c)
{
	if (r->cr && c != '\n' && r->pos == 3)
		return SMTP_REPLY_BAD; /* "250", CR, and not LF */
	r->cr = c == '\r';
	if (c == '\n')
		return line_end(r);
	if (r->pos < 3) {
		if (c < '0' || c > '9' || (r->pos == 0 && (c < '2' || c > '5')))
			return SMTP_REPLY_BAD;
		r->line = (uint16_t)(r->line * 10 + (c - '0'));
		if (++r->pos < 3)
			return SMTP_REPLY_MORE;
		if (r->begun && r->line != r->code)
			return SMTP_REPLY_BAD;
		r->begun = true;
		r->code = r->line;
	} else if (r->pos == 3 && c != '\r') {
		if (c != ' ' && c != '-')
			return SMTP_REPLY_BAD;
		r->sep = c;
		r->pos = 4;
	}
	return SMTP_REPLY_MORE;
}

unsigned smtp_code(struct jeebs_bytes reply)
{
	unsigned code = 0;

	if (reply.n == 0)
		return 0;
	for (size_t i = 0; i < 3; i++) {
		if (i < reply.n && (reply.p[i] < '0' || reply.p[i] > '9'))
			return 0;
		code = code * 10 + (i < reply.n ? (unsigned)(reply.p[i] - '0') : 0);
	}
	return code;
}

/* ---- the end of a message ---------------------------------------------------------------- */

static uint8_t dot_byte(uint8_t dot, uint8_t c)
{
	switch (dot) {
	case SMTP_DOT_BOL:
		if (c == '.')
			return SMTP_DOT_DOT;
		break;
	case SMTP_DOT_DOT:
		if (c == '\r')
			return SMTP_DOT_DOT_CR;
		break;
	case SMTP_DOT_DOT_CR:
	case SMTP_DOT_CR:
		if (c == '\n')
			return SMTP_DOT_BOL;
		break;
	default:
		break;
	}
	return c == '\r' ? SMTP_DOT_CR : SMTP_DOT_TEXT;
}

size_t smtp_dot_take(uint8_t *io_dot, struct jeebs_bytes b, bool *ret_end)
{
	size_t i = 0;

	*ret_end = false;
	while (i < b.n) {
		if (*io_dot == SMTP_DOT_TEXT) {
			const uint8_t *cr = memchr(b.p + i, '\r', b.n - i);
			if (!cr)
				return b.n;
			i = (size_t)(cr - b.p);
		}
		uint8_t before = *io_dot, c = b.p[i++];
		*io_dot = dot_byte(before, c);
		if (before == SMTP_DOT_DOT_CR && c == '\n') {
			*ret_end = true;
			return i;
		}
	}
	return i;
}
