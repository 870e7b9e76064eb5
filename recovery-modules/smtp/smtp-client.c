/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the client said and says, unit by unit, on its way to the backup. */
#include "smtp.h"

#include <string.h>

/* How much the client has of the reply to a unit in the log. */
enum status {
	NOTHING,
	PART,
	WHOLE,
};

static enum status replied(struct smtp_run *x, unsigned *ret_code)
{
	struct smtp_resume *r = x->r;
	struct smtp_reply reply = {0};
	uint64_t at = r->said, end = x->cut->to_client_end;

	*ret_code = 0;
	while (at < end) {
		struct jeebs_bytes v = x->cut->log(x->cut->flow, JEEBS_TO_CLIENT, at);
		for (size_t i = 0; i < v.n && at < end; i++, at++) {
			enum smtp_reply_is is = smtp_reply_byte(&reply, v.p[i]);
			if (is == SMTP_REPLY_BAD)
				return PART;
			if (is == SMTP_REPLY_DONE) {
				r->said = at + 1;
				*ret_code = reply.code;
				return WHOLE;
			}
		}
		if (v.n == 0)
			break;
	}
	return r->said < end ? PART : NOTHING;
}

/* Whether the backup must be brought to the same state as this reply, which the client has. */
static bool counts(unsigned kind, unsigned code)
{
	switch (kind) {
	case SMTP_UNIT_MAIL:
	case SMTP_UNIT_RCPT:
	case SMTP_UNIT_BDAT:
	case SMTP_UNIT_STARTTLS:
		return code / 100 == 2;
	case SMTP_UNIT_DATA:
	case SMTP_UNIT_AUTH:
	case SMTP_UNIT_AUTH_LINE:
		return code / 100 == 3;
	default:
		return false;
	}
}

static bool in_transaction(unsigned kind)
{
	return kind == SMTP_UNIT_RCPT || kind == SMTP_UNIT_DATA || kind == SMTP_UNIT_BDAT ||
	       kind == SMTP_UNIT_BDAT_LAST;
}

static bool begins_anew(unsigned kind)
{
	return kind == SMTP_UNIT_MAIL || kind == SMTP_UNIT_RSET || kind == SMTP_UNIT_EHLO ||
	       kind == SMTP_UNIT_HELO;
}

static void send(struct smtp_run *x, const char *p, size_t n)
{
	x->ops->to_backend(x->j, (struct jeebs_bytes){(const uint8_t *)p, n});
}

/*
 * Handles a unit without asking the backup. @code is the reply for the client, unless it has one.
 */
static void alone(struct smtp_run *x, unsigned kind, enum status status, unsigned code)
{
	struct smtp_resume *r = x->r;
	char said[SMTP_REPLY_MAX];
	bool chunk = kind == SMTP_UNIT_BDAT || kind == SMTP_UNIT_BDAT_LAST;
	bool content = false;

	if (status == PART) {
		size_t n = smtp_delivered(x, said);
		content = n > 0 && said[0] == '3';
		smtp_complete_cut(x, (struct jeebs_bytes){NULL, 0}, false);
	} else if (status == WHOLE) {
		content = kind == SMTP_UNIT_DATA && code / 100 == 3;
	} else if (!chunk) {
		smtp_slot_push(x, kind, SMTP_LOCAL, code);
	}
	if (content) {
		r->parse.in = SMTP_IN_CONTENT;
		r->parse.dot = SMTP_DOT_BOL;
	}
	if (content || chunk) {
		r->skip = true;
		r->skip_quietly = chunk && status != NOTHING;
	}
}

/* Sends the line to the backup. */
static void tell(struct smtp_run *x, unsigned kind, enum status status, unsigned code)
{
	static const uint8_t how[] = {
		[NOTHING] = SMTP_FORWARD, [PART] = SMTP_COMPLETE, [WHOLE] = SMTP_SUPPRESS};
	struct smtp_resume *r = x->r;

	send(x, r->line, r->parse.line_n);
	r->skip = false;
	r->mailing |= kind == SMTP_UNIT_MAIL;
	smtp_slot_push(x, kind, how[status], code);
}

/*
 * Adapts the line to the backup's extensions. Returns false when the backup cannot do what the
 * client asks for.
 */
static bool rewrite(struct smtp_run *x, unsigned kind, struct jeebs_bytes line)
{
	struct smtp_resume *r = x->r;
	char out[SMTP_LINE_MAX];

	if (kind == SMTP_UNIT_BDAT || kind == SMTP_UNIT_BDAT_LAST)
		return !(r->missed & SMTP_CAP_CHUNKING);
	if (r->missed == 0 || (kind != SMTP_UNIT_MAIL && kind != SMTP_UNIT_RCPT))
		return true;
	size_t n = smtp_rewrite(line, r->missed, out, sizeof out);
	if (n == 0)
		return false;
	memcpy(r->line, out, n);
	r->parse.line_n = (uint16_t)n;
	return true;
}

static void chunk_follows(struct smtp_resume *r, unsigned kind, struct jeebs_bytes line)
{
	bool last;

	if (kind != SMTP_UNIT_BDAT && kind != SMTP_UNIT_BDAT_LAST)
		return;
	(void)smtp_bdat(line, &r->parse.left, &last);
	r->parse.in = SMTP_IN_CHUNK;
	r->parse.chunk = (uint8_t)kind;
}

/* Handles a whole line, which is in r->line with its end. */
static void take_line(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;
	struct jeebs_bytes line = {(const uint8_t *)r->line, r->parse.line_n};
	unsigned code;
	enum status status = replied(x, &code);

	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	unsigned kind = r->parse.in == SMTP_IN_LOGIN ? SMTP_UNIT_AUTH_LINE : smtp_command(line);
	chunk_follows(r, kind, line);
	if (r->doomed && begins_anew(kind))
		r->doomed = false;
	if (status == WHOLE && kind == SMTP_UNIT_BDAT && !counts(kind, code))
		smtp_doom(x); /* a chunk is missing */
	if (r->doomed && in_transaction(kind)) {
		alone(x, kind, status, status == WHOLE ? code : 451);
	} else if (status == WHOLE && !counts(kind, code)) {
		/* The line has no effect, or its effect is over. */
	} else if (!rewrite(x, kind, line)) {
		smtp_doom(x);
		alone(x, kind, status,
		      status == WHOLE                                  ? code
		      : in_transaction(kind) && kind != SMTP_UNIT_RCPT ? 451
								       : 455);
	} else {
		tell(x, kind, status, code);
	}
	r->parse.line_n = 0;
}

/* ---- content --------------------------------------------------------------------------------- */

/* The reply to content that was not sent to the backup. */
static void skipped(struct smtp_run *x, unsigned kind)
{
	struct smtp_resume *r = x->r;

	if (!r->skip_quietly)
		smtp_slot_push(x, kind, SMTP_LOCAL, 451);
	r->skip = r->skip_quietly = false;
}

/* Moves up to @n bytes of @b, which begins at r->at, to the backup. */
static void move(struct smtp_run *x, struct jeebs_bytes b, size_t n)
{
	struct smtp_resume *r = x->r;

	if (n > 0 && !r->skip) {
		if (r->at < x->cut->to_server_end)
			x->ops->log_to_backend(x->j, r->at, r->at + n);
		else
			x->ops->to_backend(x->j, (struct jeebs_bytes){b.p, n});
	}
}

static size_t take_content(struct smtp_run *x, struct jeebs_bytes b)
{
	struct smtp_resume *r = x->r;
	bool end;
	size_t n = smtp_dot_take(&r->parse.dot, b, &end);

	move(x, b, n);
	if (!end)
		return n;
	r->parse.in = SMTP_IN_LINE;
	if (r->skip) {
		skipped(x, SMTP_UNIT_CONTENT);
		r->doomed = false;
	} else {
		smtp_slot_push(x, SMTP_UNIT_CONTENT, SMTP_FORWARD, 0);
		r->mailing = false;
	}
	return n;
}

static size_t take_chunk(struct smtp_run *x, struct jeebs_bytes b)
{
	struct smtp_resume *r = x->r;
	size_t n = b.n < r->parse.left ? b.n : (size_t)r->parse.left;

	move(x, b, n);
	r->parse.left -= n;
	if (r->parse.left > 0)
		return n;
	r->parse.in = SMTP_IN_LINE;
	if (r->skip)
		skipped(x, r->parse.chunk);
	else if (r->parse.chunk == SMTP_UNIT_BDAT_LAST)
		r->mailing = false;
	return n;
}

static size_t gather_line(struct smtp_run *x, struct jeebs_bytes b)
{
	struct smtp_resume *r = x->r;
	const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;
	size_t n = lf ? (size_t)(lf - b.p) + 1 : b.n;

	if (n > sizeof r->line - r->parse.line_n) {
		smtp_abort(x, "line-too-long");
		return 0;
	}
	if (n > 0)
		memcpy(r->line + r->parse.line_n, b.p, n);
	r->parse.line_n = (uint16_t)(r->parse.line_n + n);
	if (lf)
		take_line(x);
	return n;
}

/* ---- the stream ------------------------------------------------------------------------------ */

/* Whether the next unit must wait: the replies before it are not known well enough. */
bool smtp_client_waits(const struct smtp_run *x)
{
	const struct smtp_resume *r = x->r;
	bool one_by_one =
		r->at < x->cut->to_server_end || !(r->caps & SMTP_CAP_PIPELINING) || r->doomed;

	if (r->parse.in == SMTP_IN_CONTENT || r->parse.in == SMTP_IN_CHUNK || r->slot_n == 0)
		return false;
	unsigned newest = (r->slot_first + r->slot_n - 1u) % SMTP_QUEUE_MAX;
	return one_by_one || r->slot_n >= SMTP_QUEUE_MAX - 2 ||
	       smtp_unit_blocks(r->slots[newest].kind);
}

/* The client's next bytes: from the log, from those that had to wait, or new ones. */
static struct jeebs_bytes input(const struct smtp_run *x)
{
	const struct smtp_resume *r = x->r;
	uint64_t end = x->cut->to_server_end;

	if (r->at < end) {
		struct jeebs_bytes v = x->cut->log(x->cut->flow, JEEBS_TO_SERVER, r->at);
		if (v.n > end - r->at)
			v.n = (size_t)(end - r->at);
		return v;
	}
	if (r->pending_n > 0)
		return (struct jeebs_bytes){(const uint8_t *)r->pending, r->pending_n};
	return x->chunk;
}

static void consumed(struct smtp_run *x, size_t n)
{
	struct smtp_resume *r = x->r;

	if (r->at < x->cut->to_server_end) {
		r->at += n;
	} else if (r->pending_n > 0) {
		r->pending_n = (uint16_t)(r->pending_n - n);
		memmove(r->pending, r->pending + n, r->pending_n);
	} else {
		x->chunk.p += n;
		x->chunk.n -= n;
	}
}

void smtp_client_read(struct smtp_run *x)
{
	struct smtp_resume *r = x->r;

	while (r->phase == SMTP_PHASE_RUN && !r->turned && !smtp_client_waits(x)) {
		struct jeebs_bytes b = input(x);
		bool empty_chunk = r->parse.in == SMTP_IN_CHUNK && r->parse.left == 0;
		if (b.n == 0 && !empty_chunk) {
			if (r->at < x->cut->to_server_end)
				smtp_abort(x, "log-incomplete");
			break;
		}
		size_t n = r->parse.in == SMTP_IN_CONTENT ? take_content(x, b)
			   : r->parse.in == SMTP_IN_CHUNK ? take_chunk(x, b)
							  : gather_line(x, b);
		consumed(x, n);
	}
	if (r->phase != SMTP_PHASE_RUN || x->chunk.n == 0)
		return;
	if (x->chunk.n > sizeof r->pending - r->pending_n) {
		smtp_abort(x, "pipeline-too-deep");
		return;
	}
	memcpy(r->pending + r->pending_n, x->chunk.p, x->chunk.n);
	r->pending_n = (uint16_t)(r->pending_n + x->chunk.n);
	x->chunk.n = 0;
}
