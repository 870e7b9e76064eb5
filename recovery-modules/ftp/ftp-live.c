/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: pairs commands with replies while the protected server lives. */
#include "ftp.h"

static int give_up(struct ftp *s, enum ftp_reason reason)
{
	s->reason = (uint8_t)reason;
	/* A password is not kept longer than it can be used. */
	ftp_session_init(&s->session);
	ftp_lines_clear(&s->queue);
	s->queue_n = 0;
	return JEEBS_GIVE_UP;
}

void ftp_oldest(const struct ftp *s, struct ftp_command *ret)
{
	struct bytes line = ftp_lines_first(&s->queue);

	*ret = (struct ftp_command){.verb = FTP_NONE};
	if (s->queue_n == 0)
		return;
	ftp_command_of(line, ret);
	if (line.n == 0)
		ret->verb = FTP_GREETING;
}

/* Copies a line of @dir to @out. Its end is @part, its beginning may be in the log. */
static enum ftp_reason gather(const struct ftp *s, uint32_t dir, uint64_t off, struct bytes part,
			      uint8_t *out, size_t *ret_n)
{
	uint64_t at = s->side[dir].line;
	size_t n = 0;

	if (off - at > FTP_LINE_MAX || part.n > FTP_LINE_MAX - (off - at))
		return FTP_LINE_TOO_LONG;
	while (at < off) {
		struct jeebs_bytes v = s->ops->log(s->flow, dir, at);
		if (v.n == 0)
			return FTP_LOG_LOST;
		if (v.n > off - at)
			v.n = (size_t)(off - at);
		memcpy(out + n, v.p, v.n);
		n += v.n;
		at += v.n;
	}
	memcpy(out + n, part.p, part.n);
	*ret_n = n + part.n;
	return FTP_FINE;
}

static enum ftp_reason read_waiting(struct ftp *s);

static bool keeps_password(const struct ftp *s, const struct ftp_command *c)
{
	struct ftp_command user;
	uint16_t at = 0;
	struct bytes line;

	if (s->may_login || (c->verb != FTP_PASS && c->verb != FTP_ACCT))
		return true;
	/* If the client did not wait for the reply to USER, the USER in the queue counts. */
	while (ftp_lines_next(&s->queue, &at, &line)) {
		ftp_command_of(line, &user);
		if (user.verb == FTP_USER)
			return ftp_text_is(user.arg, bytes_str("anonymous")) ||
			       ftp_text_is(user.arg, bytes_str("ftp"));
	}
	return ftp_session_anonymous(&s->session);
}

static enum ftp_reason command_line(struct ftp *s, uint8_t *line, size_t n)
{
	struct ftp_command c;

	ftp_command_read(line, n, &c);
	if (!ftp_command_possible(c.line))
		return FTP_NOT_FTP;
	/* An empty line is not a command. */
	if (c.line.n == 0 || s->closing)
		return FTP_FINE;
	bool kept = keeps_password(s, &c);
	struct bytes text = kept ? c.line : bytes_head(c.line, 4);
	if (s->queue_n == FTP_QUEUE_MAX || !ftp_lines_add(&s->queue, text))
		return FTP_PIPELINE_TOO_DEEP;
	s->kept[s->queue_n++] = kept;
	if (s->queue_n == 1)
		ftp_learn_begun(s, &c);
	return s->waiting ? read_waiting(s) : FTP_FINE;
}

static void answered(struct ftp *s)
{
	struct ftp_command next;

	ftp_lines_drop_first(&s->queue);
	s->queue_n--;
	memmove(s->kept, s->kept + 1, s->queue_n);
	ftp_oldest(s, &next);
	if (next.verb != FTP_NONE)
		ftp_learn_begun(s, &next);
}

static enum ftp_reason final_reply(struct ftp *s, struct bytes line)
{
	struct ftp_command c;

	ftp_oldest(s, &c);
	if (c.verb == FTP_GREETING && !ftp_reply_greets(s->reply.code))
		return FTP_NOT_FTP;
	if (c.verb == FTP_AUTH && (s->reply.code / 100 == 2 || s->reply.code / 100 == 3))
		return FTP_STARTTLS;
	if (c.verb == FTP_CCC && s->reply.code / 100 == 2)
		return FTP_CLEAR;
	ftp_learn(s, &c, s->reply.code, line);
	if (c.verb == FTP_QUIT || s->reply.code == 421)
		s->closing = true;
	answered(s);
	return FTP_FINE;
}

static enum ftp_reason reply_line(struct ftp *s, uint8_t *text, size_t n)
{
	struct bytes line = bytes_of(text, n);
	struct ftp_command c;

	bool first = s->reply.code == 0 && !s->upgraded;

	if (!ftp_reply_line(&s->reply, line) || (first && !ftp_reply_greets(s->reply.code)))
		return FTP_NOT_FTP;
	if (!s->reply.final)
		return FTP_FINE;
	if (s->reply.code >= 200)
		return final_reply(s, line);
	ftp_oldest(s, &c);
	ftp_learn_preliminary(s, &c, line);
	return FTP_FINE;
}

/* The server speaks without having been asked. It may only say that it closes the connection. */
static bool ends_unasked(struct ftp *s, struct bytes line)
{
	struct ftp_reply r = {0};

	if (!ftp_reply_line(&r, line) || !r.final || r.code != 421)
		return false;
	s->closing = true;
	return true;
}

static enum ftp_reason take_line(struct ftp *s, uint32_t dir, uint64_t off, struct bytes part)
{
	uint8_t line[FTP_LINE_MAX];
	size_t n;
	enum ftp_reason r = gather(s, dir, off, part, line, &n);

	if (r != FTP_FINE)
		return r;
	if (dir == JEEBS_TO_SERVER) {
		s->side[dir].line = off + part.n;
		return command_line(s, line, n);
	}
	if (s->queue_n == 0 && !ends_unasked(s, bytes_of(line, n))) {
		/* A mirror may show a reply before its command. */
		s->waiting = true;
		return FTP_FINE;
	}
	s->side[dir].line = off + part.n;
	if (s->closing)
		return FTP_FINE;
	r = reply_line(s, line, n);
	if (s->reply.final)
		s->reply_at = off + part.n;
	return r;
}

/* Judges an incomplete line, whose new bytes are @b: could it become a line of FTP? */
static enum ftp_reason begun(const struct ftp *s, uint32_t dir, uint64_t off, struct bytes b)
{
	bool begins = off == s->side[dir].line;

	if (off + b.n - s->side[dir].line > FTP_LINE_MAX)
		return FTP_LINE_TOO_LONG;
	if (dir == JEEBS_TO_SERVER && begins && !s->closing && !ftp_command_possible(b))
		return FTP_NOT_FTP;
	if (dir == JEEBS_TO_CLIENT && begins && !ftp_reply_possible(&s->reply, b))
		return FTP_NOT_FTP;
	return FTP_FINE;
}

static enum ftp_reason read_lines(struct ftp *s, uint32_t dir, uint64_t off, struct bytes b)
{
	while (b.n > 0 && !(dir == JEEBS_TO_CLIENT && (s->waiting || s->closing))) {
		const uint8_t *end = memchr(b.p, '\n', b.n);
		if (!end)
			return begun(s, dir, off, b);
		size_t n = (size_t)(end - b.p) + 1;
		enum ftp_reason r = take_line(s, dir, off, bytes_head(b, n));
		if (r != FTP_FINE)
			return r;
		if (dir == JEEBS_TO_CLIENT && s->waiting)
			return FTP_FINE;
		off += n;
		b = bytes_from(b, n);
	}
	return FTP_FINE;
}

/* Reads the server's lines that have waited in the log for their command, which has come now. */
static enum ftp_reason read_waiting(struct ftp *s)
{
	struct ftp_side *side = &s->side[JEEBS_TO_CLIENT];
	uint64_t off = side->line, end = side->next;

	s->waiting = false;
	while (off < end && !s->waiting) {
		struct jeebs_bytes v = s->ops->log(s->flow, JEEBS_TO_CLIENT, off);
		if (v.n == 0)
			return FTP_LOG_LOST;
		if (v.n > end - off)
			v.n = (size_t)(end - off);
		enum ftp_reason r = read_lines(s, JEEBS_TO_CLIENT, off, bytes_of(v.p, v.n));
		if (r != FTP_FINE)
			return r;
		off += v.n;
	}
	return FTP_FINE;
}

int ftp_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	     const struct jeebs_service *svc)
{
	struct ftp *s = state;

	s->flow = f;
	s->ops = ops;
	s->replay = svc->replay;
	s->may_login = svc->login == JEEBS_LOGIN_REPLAY;
	for (unsigned dir = 0; dir < 2; dir++)
		s->side[dir].next = s->side[dir].line = svc->begin[dir];
	s->reply_at = svc->begin[JEEBS_TO_CLIENT];
	ftp_session_init(&s->session);
	s->upgraded = svc->flags & JEEBS_SERVICE_UPGRADED;
	if (s->upgraded)
		return JEEBS_OK;
	ftp_lines_add(&s->queue, BYTES_NONE);
	s->kept[0] = true;
	s->queue_n = 1;
	return JEEBS_OK;
}

/* Keeps the delivered part of a reply that is not complete. */
static void keep_needed(struct ftp *s)
{
	const struct ftp_side *server = &s->side[JEEBS_TO_CLIENT];
	uint64_t from = s->closing ? server->next : s->reply_at;

	if (!s->waiting && server->next - from > FTP_REPLY_MAX)
		from = server->line;
	s->ops->keep_from(s->flow, JEEBS_TO_SERVER, s->side[JEEBS_TO_SERVER].line);
	s->ops->keep_from(s->flow, JEEBS_TO_CLIENT, from);
}

/* From here on the conversation is encrypted. What was set before, the next module would not know.
 */
static int leave(struct ftp *s)
{
	uint64_t to_server = s->side[JEEBS_TO_SERVER].line,
		 to_client = s->side[JEEBS_TO_CLIENT].line;

	if (s->queue_n == 1 && ftp_session_is_new(&s->session) && s->ops->hand_over &&
	    s->ops->hand_over(s->flow, to_server, to_client))
		return JEEBS_HAND_OVER;
	return give_up(s, FTP_STARTTLS);
}

int ftp_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct ftp *s = state;
	enum ftp_reason r;

	(void)now_ns;
	/* Bytes that come meanwhile are read from the log later. */
	if (dir == JEEBS_TO_CLIENT)
		s->side[dir].next = off + b.n;
	r = read_lines(s, dir, off, bytes_of(b.p, b.n));
	s->side[dir].next = off + b.n;
	if (r == FTP_STARTTLS)
		return leave(s);
	if (r != FTP_FINE)
		return give_up(s, r);
	const struct ftp_side *server = &s->side[JEEBS_TO_CLIENT];
	if (s->waiting && server->next - server->line > FTP_WAITING_MAX)
		return give_up(s, FTP_REPLY_UNASKED);
	keep_needed(s);
	return JEEBS_OK;
}

int ftp_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct ftp *s = state;

	if (from == to)
		return give_up(s, FTP_OLDER);
	return give_up(s, dir == JEEBS_TO_SERVER ? FTP_REQUEST_GAP : FTP_REPLY_GAP);
}

int ftp_fin(void *state, uint32_t dir, uint64_t off)
{
	/* The FIN is also in the cut, and matters only there. */
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}
