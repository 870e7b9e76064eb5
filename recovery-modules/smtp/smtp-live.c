/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The live half: follows both directions while the protected server lives. */
#include "smtp.h"

#include <string.h>

static int give_up(struct smtp *s, enum smtp_reason reason)
{
	s->reason = (uint8_t)reason;
	return JEEBS_GIVE_UP;
}

/* ---- what is kept -------------------------------------------------------------------------- */

static void keep_from(struct smtp *s, uint32_t dir, uint64_t off)
{
	struct smtp_side *side = &s->side[dir];

	if (side->kept && off <= side->keep)
		return;
	side->kept = true;
	side->keep = off;
	s->ops->keep_from(s->flow, dir, off);
}

/*
 * The client's bytes that are needed: the line being read, the units without a reply, and what is
 * open.
 */
static uint64_t needed_of_client(const struct smtp *s)
{
	if (s->lost)
		return smtp_replay_from(s);
	if (s->open != SMTP_OPEN_NOTHING)
		return s->open_start;
	return s->queue_n > 0 ? smtp_queued(s, 0)->start : s->line_start;
}

static uint64_t needed_of_server(const struct smtp *s)
{
	return s->open != SMTP_OPEN_NOTHING && !s->lost ? s->open_reply : s->reply_start;
}

static void keep_needed(struct smtp *s)
{
	const struct smtp_side *side = s->side;

	for (uint32_t dir = 0; dir < 2; dir++) {
		uint64_t from = dir == JEEBS_TO_SERVER ? needed_of_client(s) : needed_of_server(s);
		if (side[dir].next - from > s->retain && !s->lost) {
			s->lost = true;
			keep_needed(s);
			return;
		}
		keep_from(s, dir, from);
	}
}

/* ---- the client's side ----------------------------------------------------------------------- */

static void queue_unit(struct smtp *s, enum smtp_unit kind)
{
	unsigned last = (s->queue_first + s->queue_n) % SMTP_QUEUE_MAX;

	s->queue[last] = (struct smtp_waiting){.start = s->line_start, .kind = (uint8_t)kind};
	s->queue_n++;
	s->blocked = smtp_unit_blocks(kind);
}

static void begin_line(struct smtp *s, uint64_t off)
{
	s->line_start = off;
	s->parse.line_n = 0;
}

/* Stores a line of an AUTH exchange, so that it can be repeated. */
static void remember_login(struct smtp *s, struct jeebs_bytes line, bool first)
{
	if (first) {
		s->login_n = 0;
		s->odd_login = !smtp_auth_repeatable(line);
	}
	if (!s->login_allowed || s->odd_login || line.n + 2 > sizeof s->login - s->login_n) {
		s->odd_login = true;
		s->login_n = 0;
		return;
	}
	memcpy(s->login + s->login_n, line.p, line.n);
	memcpy(s->login + s->login_n + line.n, "\r\n", 2);
	s->login_n = (uint16_t)(s->login_n + line.n + 2);
}

/* Handles a whole line, given without its end. The client's next bytes are at @end. */
static void take_line(struct smtp *s, struct jeebs_bytes line, uint64_t end)
{
	bool last;

	if (s->parse.in == SMTP_IN_LOGIN) {
		remember_login(s, line, false);
		queue_unit(s, SMTP_UNIT_AUTH_LINE);
		begin_line(s, end);
		return;
	}
	enum smtp_unit kind = smtp_command(line);
	switch (kind) {
	case SMTP_UNIT_BDAT:
	case SMTP_UNIT_BDAT_LAST:
		(void)smtp_bdat(line, &s->parse.left, &last);
		s->parse.in = SMTP_IN_CHUNK;
		s->parse.chunk = (uint8_t)kind;
		return; /* the unit is queued when its last byte has come */
	case SMTP_UNIT_AUTH:
		remember_login(s, line, true);
		break;
	case SMTP_UNIT_EHLO:
	case SMTP_UNIT_HELO: {
		struct jeebs_bytes name = smtp_argument(line);
		s->name_n = (uint16_t)(name.n < sizeof s->name ? name.n : 0);
		memcpy(s->name, name.p, s->name_n);
		s->ext_hello = kind == SMTP_UNIT_EHLO;
		break;
	}
	default:
		break;
	}
	queue_unit(s, kind);
	begin_line(s, end);
}

static enum smtp_reason read_line(struct smtp *s, uint64_t at, struct jeebs_bytes b, size_t *ret_n)
{
	const uint8_t *lf = memchr(b.p, '\n', b.n);
	size_t n = lf ? (size_t)(lf - b.p) + 1 : b.n;

	for (size_t i = 0; i < n; i++) {
		if (!smtp_line_byte(b.p[i]))
			return SMTP_NOT_SMTP;
	}
	if (n > sizeof s->line - s->parse.line_n)
		return SMTP_LINE_TOO_LONG;
	memcpy(s->line + s->parse.line_n, b.p, n);
	s->parse.line_n = (uint16_t)(s->parse.line_n + n);
	*ret_n = n;
	if (!lf)
		return SMTP_FINE;
	struct jeebs_bytes line = {(const uint8_t *)s->line, s->parse.line_n - 1u};
	while (line.n > 0 && line.p[line.n - 1] == '\r')
		line.n--;
	take_line(s, line, at + n);
	return SMTP_FINE;
}

static void read_chunk(struct smtp *s, uint64_t at, uint64_t n)
{
	s->parse.left -= n;
	if (s->parse.left > 0)
		return;
	s->parse.in = SMTP_IN_LINE;
	queue_unit(s, s->parse.chunk);
	begin_line(s, at + n);
}

static void read_content(struct smtp *s, uint64_t at, struct jeebs_bytes b, size_t *ret_n)
{
	bool end;

	*ret_n = smtp_dot_take(&s->parse.dot, b, &end);
	if (!end)
		return;
	s->parse.in = SMTP_IN_LINE;
	queue_unit(s, SMTP_UNIT_CONTENT);
	begin_line(s, at + *ret_n);
}

/* ---- the server's side ----------------------------------------------------------------------- */

static void close_open(struct smtp *s)
{
	s->open = SMTP_OPEN_NOTHING;
	s->lost = false;
}

static void open_from(struct smtp *s, enum smtp_open what, uint64_t start)
{
	if (s->open != SMTP_OPEN_NOTHING)
		return;
	s->open = (uint8_t)what;
	s->open_start = start;
	s->open_reply = s->reply_start;
}

static enum smtp_reason login_reply(struct smtp *s, unsigned code, uint64_t start)
{
	s->parse.in = code == 334 ? SMTP_IN_LOGIN : SMTP_IN_LINE;
	if (code == 334) {
		open_from(s, SMTP_OPEN_LOGIN, start);
		return SMTP_FINE;
	}
	if (s->open == SMTP_OPEN_LOGIN)
		close_open(s);
	if (code != 235) {
		if (!s->logged_in)
			s->login_n = 0;
		s->odd_login = false;
		return SMTP_FINE;
	}
	s->logged_in = true;
	if (!s->login_allowed)
		return SMTP_AUTH;
	return s->odd_login ? SMTP_AUTH_MECHANISM : SMTP_FINE;
}

static enum smtp_reason unit_reply(struct smtp *s, const struct smtp_waiting *u, unsigned code)
{
	bool good = code / 100 == 2;

	switch (u->kind) {
	case SMTP_UNIT_EHLO:
	case SMTP_UNIT_HELO:
		if (good) {
			s->caps = u->kind == SMTP_UNIT_EHLO ? s->new_caps : 0;
			close_open(s);
		}
		s->introduced = good;
		break;
	case SMTP_UNIT_MAIL:
		if (good)
			open_from(s, SMTP_OPEN_MAIL, u->start);
		break;
	case SMTP_UNIT_DATA:
		if (code / 100 == 3) {
			s->parse.in = SMTP_IN_CONTENT;
			s->parse.dot = SMTP_DOT_BOL;
			open_from(s, SMTP_OPEN_MAIL, u->start);
		}
		break;
	case SMTP_UNIT_RSET:
		if (good)
			close_open(s);
		break;
	case SMTP_UNIT_CONTENT:
	case SMTP_UNIT_BDAT_LAST:
		close_open(s);
		break;
	case SMTP_UNIT_AUTH:
	case SMTP_UNIT_AUTH_LINE:
		return login_reply(s, code, u->start);
	case SMTP_UNIT_STARTTLS:
		if (good) { /* what the server knew, it has forgotten (RFC 3207 section 4.2) */
			close_open(s);
			open_from(s, SMTP_OPEN_TLS, u->start);
			s->parse.in = SMTP_IN_TLS;
		}
		break;
	case SMTP_UNIT_QUIT:
		s->closed |= good;
		break;
	default:
		break;
	}
	return SMTP_FINE;
}

/* Handles the end, at @end, of the reply to the oldest unit. */
static enum smtp_reason reply_done(struct smtp *s, uint64_t end)
{
	const struct smtp_waiting u = *smtp_queued(s, 0);

	s->queue_first = (uint8_t)((s->queue_first + 1) % SMTP_QUEUE_MAX);
	s->queue_n--;
	if (s->queue_n == 0)
		s->blocked = false; /* only the newest unit blocks */
	s->closed |= s->reply.code == 421;
	enum smtp_reason r = unit_reply(s, &u, s->reply.code);
	if (s->queue_n == 0 && s->open == SMTP_OPEN_NOTHING)
		s->lost = false;
	s->reply_start = end;
	s->new_caps = 0;
	return r;
}

/* Takes the capability in a line of a response to EHLO. The first line has none. */
static void end_cap_line(struct smtp *s, uint64_t off, struct jeebs_bytes seen)
{
	while (seen.n > 0 && (seen.p[seen.n - 1] == '\n' || seen.p[seen.n - 1] == '\r'))
		seen.n--;
	if (off != s->reply_start && seen.n > 4)
		s->new_caps |= smtp_cap((struct jeebs_bytes){seen.p + 4, seen.n - 4});
}

static enum smtp_reason read_reply(struct smtp *s, uint64_t at, struct jeebs_bytes b, size_t *ret_n)
{
	for (size_t i = 0; i < b.n; i++) {
		if (s->cap_n == 0)
			s->cap_start = at + i;
		if (s->cap_n < sizeof s->cap)
			s->cap[s->cap_n++] = (char)b.p[i];
		enum smtp_reply_is is = smtp_reply_byte(&s->reply, b.p[i]);
		/* The code ended with this byte, or the one before. */
		bool coded = s->reply.pos == 3;
		if (is == SMTP_REPLY_BAD ||
		    (coded && !smtp_reply_fits(smtp_queued(s, 0)->kind, s->reply.code)))
			return SMTP_NOT_SMTP;
		if (is == SMTP_REPLY_MORE)
			continue;
		end_cap_line(s, s->cap_start,
			     (struct jeebs_bytes){(const uint8_t *)s->cap, s->cap_n});
		s->cap_n = 0;
		if (is == SMTP_REPLY_DONE) {
			*ret_n = i + 1;
			return reply_done(s, at + i + 1);
		}
	}
	*ret_n = b.n;
	return SMTP_FINE;
}

/* ---- both ------------------------------------------------------------------------------------ */

/*
 * Gets the bytes of @dir that have come and were not read, at least one. Returns false when there
 * are none.
 */
static bool unread(const struct smtp *s, uint32_t dir, struct jeebs_bytes *ret)
{
	const struct smtp_side *side = &s->side[dir];
	uint64_t end = dir == s->chunk_dir ? s->chunk_off : side->next;

	if (side->read >= end) {
		uint64_t skip = side->read - end;
		if (dir != s->chunk_dir || skip >= s->chunk.n)
			return false;
		*ret = (struct jeebs_bytes){s->chunk.p + skip, s->chunk.n - (size_t)skip};
		return true;
	}
	*ret = s->ops->log(s->flow, dir, side->read);
	if (ret->n > end - side->read)
		ret->n = (size_t)(end - side->read);
	return true;
}

/* Reads what can be read of the client's bytes. *io_moved is set when something was read. */
static enum smtp_reason read_client(struct smtp *s, bool *io_moved)
{
	struct smtp_side *side = &s->side[JEEBS_TO_SERVER];
	enum smtp_reason r = SMTP_FINE;
	struct jeebs_bytes b;

	while (r == SMTP_FINE && !s->blocked && s->queue_n < SMTP_QUEUE_MAX &&
	       s->parse.in != SMTP_IN_TLS &&
	       (s->parse.in == SMTP_IN_CHUNK && s->parse.left == 0
			? (b = (struct jeebs_bytes){NULL, 0}, true)
			: unread(s, JEEBS_TO_SERVER, &b))) {
		uint64_t at = side->read;
		size_t n = 0;
		if (s->parse.in == SMTP_IN_CHUNK) {
			n = b.n < s->parse.left ? b.n : (size_t)s->parse.left;
			if (b.n == 0 && s->parse.left > 0)
				return SMTP_LOG_LOST;
			read_chunk(s, at, n);
		} else if (b.n == 0) {
			return SMTP_LOG_LOST;
		} else if (s->parse.in == SMTP_IN_CONTENT) {
			read_content(s, at, b, &n);
		} else {
			r = read_line(s, at, b, &n);
		}
		side->read += n;
		*io_moved = true;
	}
	return r;
}

static enum smtp_reason read_server(struct smtp *s, bool *io_moved)
{
	struct smtp_side *side = &s->side[JEEBS_TO_CLIENT];
	enum smtp_reason r = SMTP_FINE;
	struct jeebs_bytes b;

	while (r == SMTP_FINE && s->queue_n > 0 && unread(s, JEEBS_TO_CLIENT, &b)) {
		size_t n = 0;
		if (b.n == 0)
			return SMTP_LOG_LOST;
		r = read_reply(s, side->read, b, &n);
		side->read += n;
		*io_moved = true;
	}
	if (s->queue_n == 0 && side->next - side->read > SMTP_WAITING_MAX)
		return SMTP_UNASKED;
	return r;
}

int smtp_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
	      const struct jeebs_service *svc)
{
	struct smtp *s = state;

	s->flow = f;
	s->ops = ops;
	s->retain = svc->retain;
	s->login_allowed = svc->login == JEEBS_LOGIN_REPLAY;
	s->can_upgrade = svc->upgrade != NULL;
	s->upgraded = svc->flags & JEEBS_SERVICE_UPGRADED;
	for (int dir = 0; dir < 2; dir++)
		s->side[dir].next = s->side[dir].read = svc->begin[dir];
	s->line_start = s->side[JEEBS_TO_SERVER].read;
	s->reply_start = s->side[JEEBS_TO_CLIENT].read;
	/* Behind STARTTLS there is no second greeting. */
	s->queue[0] = (struct smtp_waiting){.start = s->line_start, .kind = SMTP_UNIT_CONNECT};
	s->queue_n = !s->upgraded;
	return JEEBS_OK;
}

int smtp_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct smtp *s = state;
	enum smtp_reason r = SMTP_FINE;
	bool moved = true;

	(void)now_ns;
	s->chunk = b;
	s->chunk_off = off;
	s->chunk_dir = dir;
	s->side[dir].next = off + b.n;
	while (r == SMTP_FINE && moved && !s->closed) {
		moved = false;
		r = read_client(s, &moved);
		if (r == SMTP_FINE)
			r = read_server(s, &moved);
	}
	s->chunk = (struct jeebs_bytes){NULL, 0};
	/* As long as the server has not spoken the handshake may be another server's. */
	if (r == SMTP_FINE && s->parse.in == SMTP_IN_TLS &&
	    s->side[JEEBS_TO_CLIENT].next > s->reply_start) {
		if (s->can_upgrade && s->ops->hand_over(s->flow, s->line_start, s->reply_start))
			return JEEBS_HAND_OVER;
		r = SMTP_STARTTLS;
	}
	if (r != SMTP_FINE)
		return give_up(s, r);
	if (s->closed) {
		for (int i = 0; i < 2; i++)
			s->side[i].read = s->side[i].next;
		s->line_start = s->side[JEEBS_TO_SERVER].read;
		s->reply_start = s->side[JEEBS_TO_CLIENT].read;
		s->parse = (struct smtp_parse){0};
		s->queue_n = 0;
		close_open(s);
	}
	keep_needed(s);
	return JEEBS_OK;
}

int smtp_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	struct smtp *s = state;
	struct smtp_side *side = &s->side[dir];

	if (from == to)
		return give_up(s, SMTP_OLDER);
	if (dir == JEEBS_TO_CLIENT)
		return give_up(s, SMTP_SERVER_GAP);
	/* Behind a gap the client's position is known only within a chunk. */
	if (s->parse.in != SMTP_IN_CHUNK || side->read != from || to - from > s->parse.left ||
	    s->closed)
		return give_up(s, SMTP_CLIENT_GAP);
	side->next = side->read = to;
	s->lost = true;
	read_chunk(s, from, to - from);
	keep_needed(s);
	return JEEBS_OK;
}

int smtp_fin(void *state, uint32_t dir, uint64_t off)
{
	/* The FIN is also in the cut, and matters only there. */
	(void)state;
	(void)dir;
	(void)off;
	return JEEBS_OK;
}
