/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ftp-session.h"

#include "ftp-reply.h"

void ftp_session_init(struct ftp_session *s)
{
	memset(s, 0, sizeof *s);
	s->ascii = true; /* RFC 959 section 5.1 */
}

bool ftp_session_is_new(const struct ftp_session *s)
{
	return !s->in && !s->lost && !s->rest_set && s->login.n == 0 && s->settings.n == 0 &&
	       s->dir.n == 0 && s->rename.n == 0;
}

bool ftp_session_anonymous(const struct ftp_session *s)
{
	uint16_t at = 0;
	struct bytes line;

	while (ftp_lines_next(&s->login, &at, &line)) {
		struct ftp_command c;
		ftp_command_of(line, &c);
		if (c.verb == FTP_USER)
			return ftp_text_is(c.arg, bytes_str("anonymous")) ||
			       ftp_text_is(c.arg, bytes_str("ftp"));
	}
	return false;
}

static void add(struct ftp_session *s, struct ftp_lines *l, struct bytes line)
{
	if (!ftp_lines_add(l, line))
		s->lost = true;
}

/* A new login begins a new session. */
static void entered(struct ftp_session *s)
{
	s->in = true;
	ftp_lines_clear(&s->dir);
}

static void logged_out(struct ftp_session *s)
{
	ftp_lines_drop(&s->login, bytes_str("USER"));
	ftp_lines_drop(&s->login, bytes_str("PASS"));
	ftp_lines_drop(&s->login, bytes_str("ACCT"));
	s->in = s->secret = false;
}

static void login(struct ftp_session *s, const struct ftp_command *c, bool kept, uint16_t code)
{
	if (c->verb == FTP_USER)
		logged_out(s);
	if (code >= 400) {
		logged_out(s);
		return;
	}
	/* 202 ("superfluous") does not log in. */
	add(s, &s->login, c->line);
	if (c->verb == FTP_PASS && !kept)
		s->secret = true;
	if (code < 300)
		entered(s);
}

static void setting(struct ftp_session *s, const struct ftp_command *c)
{
	size_t key = c->line.n;

	/* OPTS and SITE UMASK concern what their argument names, other settings themselves. */
	if (c->verb == FTP_OPTS || c->verb == FTP_SITE) {
		const uint8_t *space = c->arg.n ? memchr(c->arg.p, ' ', c->arg.n) : NULL;
		if (space)
			key = (size_t)(space - c->line.p);
	} else {
		key -= c->arg.n + (c->arg.n ? 1 : 0);
	}
	ftp_lines_drop(&s->settings, bytes_head(c->line, key));
	add(s, &s->settings, c->line);
	uint8_t first = c->arg.n ? (uint8_t)(c->arg.p[0] & ~0x20) : 0;
	if (c->verb == FTP_TYPE)
		s->ascii = first != 'I' && first != 'L';
	if (c->verb == FTP_MODE)
		s->other_mode = first != 'S';
	if (c->verb == FTP_STRU)
		s->other_structure = first != 'F';
	if (c->verb == FTP_PROT)
		s->protect = first == 'P';
}

/* The size of what is protected is told first (RFC 4217 section 8); in TLS it is 0. */
static void protection(struct ftp_session *s, const struct ftp_command *c)
{
	ftp_lines_drop(&s->settings, bytes_str("PBSZ"));
	add(s, &s->settings, bytes_str("PBSZ 0"));
	setting(s, c);
}

static void directory(struct ftp_session *s, const struct ftp_command *c)
{
	if (c->verb == FTP_CWD && c->arg.n > 0 && c->arg.p[0] == '/')
		ftp_lines_clear(&s->dir);
	add(s, &s->dir, c->line);
}

/*
 * Learns the client's directory in the server's words. The steps say it too, from the directory of
 * the login on. They are also right if the backup has the directory elsewhere, so some of them are
 * kept.
 */
static void where(struct ftp_session *s, struct bytes reply)
{
	uint8_t line[FTP_LINES_MAX] = "CWD ";
	size_t n = ftp_reply_path(reply, line + 4, sizeof line - 5);

	if (n == 0 || line[4] != '/' || ftp_lines_count(&s->dir) <= FTP_DIRS_MAX)
		return;
	ftp_lines_clear(&s->dir);
	add(s, &s->dir, bytes_of(line, n + 4));
}

static bool is_umask(const struct ftp_command *c)
{
	return c->arg.n > 6 && ftp_text_is(bytes_head(c->arg, 6), bytes_str("UMASK "));
}

static void succeeded(struct ftp_session *s, const struct ftp_command *c, struct bytes reply)
{
	switch (c->verb) {
	case FTP_REIN:
		ftp_session_init(s);
		break;
	case FTP_HOST:
		ftp_lines_drop(&s->login, bytes_str("HOST"));
		add(s, &s->login, c->line);
		break;
	case FTP_CWD:
	case FTP_CDUP:
		directory(s, c);
		break;
	case FTP_PWD:
		where(s, reply);
		break;
	case FTP_SITE:
		if (!is_umask(c))
			break;
		setting(s, c);
		break;
	case FTP_PROT:
		protection(s, c);
		break;
	case FTP_TYPE:
	case FTP_MODE:
	case FTP_STRU:
	case FTP_OPTS:
	case FTP_LANG:
	case FTP_CLNT:
		setting(s, c);
		break;
	default:
		break;
	}
}

void ftp_session_answered(struct ftp_session *s, const struct ftp_command *c, bool kept,
			  uint16_t code, struct bytes reply)
{
	ftp_lines_clear(&s->rename);
	if (c->verb == FTP_USER || c->verb == FTP_PASS || c->verb == FTP_ACCT)
		login(s, c, kept, code);
	else if (c->verb == FTP_REST && code == 350)
		s->rest_set = ftp_reply_number(c->arg, &s->rest);
	else if (c->verb == FTP_RNFR && code == 350)
		add(s, &s->rename, c->line);
	else if (ftp_verb_flags(c->verb) & FTP_IS_TRANSFER)
		s->rest_set = false;
	else if (code / 100 == 2)
		succeeded(s, c, reply);
}

bool ftp_session_next(const struct ftp_session *s, uint32_t *io_step, struct bytes *ret_line)
{
	const struct ftp_lines *const part[] = {&s->login, &s->settings, &s->dir, &s->rename};
	uint32_t i = *io_step >> 16;
	uint16_t at = (uint16_t)*io_step;

	for (; i < sizeof part / sizeof *part; i++, at = 0) {
		if (!ftp_lines_next(part[i], &at, ret_line))
			continue;
		*io_step = i << 16 | at;
		return true;
	}
	*io_step = i << 16;
	return false;
}

bool ftp_session_agrees(const struct ftp_command *c, uint16_t code)
{
	switch (c->verb) {
	case FTP_USER:
	case FTP_PASS:
	case FTP_ACCT:
		return code / 100 == 2 || code / 100 == 3;
	/* A wrong reply to these would show later. Before a login some servers answer 530 to
	 * anything that they do not know. */
	case FTP_HOST:
		return code / 100 == 2 || code == 500 || code == 502 || code == 530;
	case FTP_CLNT:
	case FTP_LANG:
	case FTP_OPTS:
		return code / 100 == 2 || (code >= 500 && code <= 504);
	case FTP_RNFR:
		return code == 350;
	default:
		return code / 100 == 2;
	}
}
