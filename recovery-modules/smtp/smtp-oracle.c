/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "smtp-oracle.h"

#include <errno.h>
#include <stdlib.h>
#include <strings.h>

#include "base/buf.h"
#include "recovery-modules/replay/replay-oracle.h"

/* Ceiling of each direction. Captured bytes beyond it count as lost. */
#define STREAM_MAX ((size_t)2047u << 20)
#define INPUT_MAX  ((size_t)256u << 20)

/* What the client's next bytes are. */
enum mode {
	MODE_LINE,
	MODE_CONTENT,
	MODE_LOGIN,
};

/* A unit and its reply. Offsets are of the direction concerned. */
struct exchange {
	size_t ask, ask_end;
	size_t reply, reply_end; /* as far as captured */
	/* Index of the unit that opened the transaction; its own index: there is none. */
	size_t begin;
	unsigned code;
	bool whole; /* of the reply */
	enum mode mode;
};

/*
 * The server's bytes from offset `server` on were sent when it had heard the client up to `client`.
 */
struct turn {
	size_t server, client;
};

struct oracle {
	struct buf stream[2];
	bool lost[2]; /* by direction: the bytes that follow are not known */
	bool fin[2];
	struct exchange *list;
	size_t n, cap;
	struct turn *turns; /* in the order of the capture */
	size_t turn_n, turn_cap;
	bool unasked;   /* the server said more than is in `list`, without being asked */
	bool foreign;   /* the conversation is not SMTP */
	bool upgraded;  /* it is what was said behind STARTTLS: the greeting is made up */
	void *verbatim; /* the oracle of any protocol, which repeats it byte by byte */
};

struct connection {
	const struct oracle *oracle;
	void *verbatim; /* a connection to that oracle */
	struct buf in;
	size_t at;   /* how much of `in` was handled */
	size_t next; /* index of the expected exchange */
	bool greeted;
	size_t scanned; /* of the message being read: whole lines that are not its end */
	enum mode mode;
	uint32_t state;
};

static void oracle_close(void *oracle)
{
	struct oracle *o = oracle;

	if (!o)
		return;
	if (o->verbatim)
		replay_oracle.close(o->verbatim);
	for (int i = 0; i < 2; i++)
		buf_deinit(&o->stream[i]);
	free(o->list);
	free(o->turns);
	free(o);
}

static void *oracle_open(const struct jeebs_service *svc)
{
	struct oracle *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	for (int i = 0; i < 2; i++)
		o->stream[i] = BUF_INIT(STREAM_MAX);
	o->upgraded = svc && svc->flags & JEEBS_SERVICE_UPGRADED;
	o->verbatim = replay_oracle.open(svc);
	if (!o->verbatim) {
		oracle_close(o);
		return NULL;
	}
	return o;
}

static int note_turn(struct oracle *o)
{
	struct turn t = {o->stream[JEEBS_TO_CLIENT].n, o->stream[JEEBS_TO_SERVER].n};

	if (o->turn_n > 0 && o->turns[o->turn_n - 1].client == t.client)
		return 0;
	if (o->turn_n == o->turn_cap) {
		size_t cap = o->turn_cap ? 2 * o->turn_cap : 32;
		struct turn *more = reallocarray(o->turns, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		o->turns = more;
		o->turn_cap = cap;
	}
	o->turns[o->turn_n++] = t;
	return 0;
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	int r = replay_oracle.data(o->verbatim, dir, off, b);
	if (off != o->stream[dir].n)
		o->lost[dir] = true;
	if (o->lost[dir] || r < 0)
		return r;
	if (dir == JEEBS_TO_CLIENT && (r = note_turn(o)) < 0)
		return r;
	r = buf_append(&o->stream[dir], b.p, b.n);
	if (r == -ENOBUFS)
		o->lost[dir] = true;
	return r == -ENOBUFS ? 0 : r;
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	o->lost[dir] = true;
	return replay_oracle.gap(o->verbatim, dir, from, to);
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	o->fin[dir] = true;
	return replay_oracle.fin(o->verbatim, dir, off);
}

/* ---- units and replies ------------------------------------------------------------- */

static size_t line_length(struct bytes b)
{
	const uint8_t *lf = b.n ? memchr(b.p, '\n', b.n) : NULL;

	return lf ? (size_t)(lf - b.p) + 1 : 0;
}

static bool verb(struct bytes line, const char *word)
{
	size_t n = strlen(word);

	return line.n > n && strncasecmp((const char *)line.p, word, n) == 0 &&
	       (line.p[n] == ' ' || line.p[n] == '\r' || line.p[n] == '\n');
}

static size_t spaces(struct bytes line, size_t i)
{
	while (i < line.n && (line.p[i] == ' ' || line.p[i] == '\t'))
		i++;
	return i;
}

/*
 * The length in a BDAT line. 0 for any other line, and for a malformed one, after which no chunk
 * follows.
 */
static uint64_t chunk_length(struct bytes line)
{
	uint64_t n = 0;
	size_t i = spaces(line, 4);

	if (!verb(line, "BDAT"))
		return 0;
	for (; i < line.n && line.p[i] >= '0' && line.p[i] <= '9' && n < UINT32_MAX; i++)
		n = n * 10 + (uint64_t)(line.p[i] - '0');
	i = spaces(line, i);
	if (line.n - i >= 4 && strncasecmp((const char *)line.p + i, "LAST", 4) == 0)
		i = spaces(line, i + 4);
	return i < line.n && line.p[i] != '\r' && line.p[i] != '\n' ? 0 : n;
}

/* Length of the message at the start of @b, with the final dot; 0: it is not complete. *io_from:
 * the end is not before this position. */
static size_t content_length(struct bytes b, size_t *io_from)
{
	for (size_t from = *io_from; from < b.n; *io_from = from) {
		struct bytes rest = bytes_from(b, from);
		bool at_start = from == 0 || (from >= 2 && b.p[from - 2] == '\r');
		if (at_start && rest.n >= 3 && memcmp(rest.p, ".\r\n", 3) == 0)
			return from + 3;
		size_t n = line_length(rest);
		if (n == 0)
			return 0;
		from += n;
	}
	return 0;
}

/* Length of the unit at the start of @b; 0: it is not complete. */
static size_t unit_length(struct bytes b, enum mode mode, size_t *io_scanned)
{
	if (mode == MODE_CONTENT)
		return content_length(b, io_scanned);
	size_t n = line_length(b);
	if (n == 0 || mode == MODE_LOGIN)
		return n;
	uint64_t chunk = chunk_length(bytes_head(b, n));
	return chunk <= b.n - n ? n + (size_t)chunk : 0;
}

/*
 * Whether a line of a reply may begin with @b. The first of the three digits is the class of the
 * reply.
 */
static bool reply_line(struct bytes b)
{
	static const char *const allowed[] = {"2345", "0123456789", "0123456789", " -\r\n"};

	for (size_t i = 0; i < 4 && i < b.n; i++) {
		if (b.p[i] == 0 || !strchr(allowed[i], b.p[i]))
			return false;
	}
	/* A 3xx asks the client to go on: with a message, or with its login. */
	return b.n < 3 || b.p[0] != '3' || memcmp(b.p, "354", 3) == 0 || memcmp(b.p, "334", 3) == 0;
}

/*
 * Length of the reply at the start of @b; 0: it is not complete, or, with *ret_strange, no reply.
 */
static size_t reply_length(struct bytes b, unsigned *ret_code, bool *ret_strange)
{
	size_t all = 0;

	*ret_strange = false;
	for (;;) {
		struct bytes rest = bytes_from(b, all);
		size_t n = line_length(rest);
		*ret_strange = !reply_line(rest);
		if (n == 0 || *ret_strange)
			return 0;
		all += n;
		if (rest.p[3] == '-')
			continue;
		*ret_code = (unsigned)(rest.p[0] - '0') * 100 + (unsigned)(rest.p[1] - '0') * 10 +
			    (unsigned)(rest.p[2] - '0');
		return all;
	}
}

static struct exchange *add(struct oracle *o)
{
	if (o->n == o->cap) {
		size_t cap = o->cap ? 2 * o->cap : 32;
		struct exchange *more = reallocarray(o->list, cap, sizeof *more);
		if (!more)
			return NULL;
		o->list = more;
		o->cap = cap;
	}
	o->list[o->n] = (struct exchange){.begin = o->n};
	return &o->list[o->n++];
}

static struct bytes asked(const struct oracle *o, const struct exchange *e)
{
	return bytes_head(bytes_from(buf_view(&o->stream[JEEBS_TO_SERVER]), e->ask),
			  e->ask_end - e->ask);
}

static enum mode next_mode(unsigned code)
{
	return code == 354 ? MODE_CONTENT : code == 334 ? MODE_LOGIN : MODE_LINE;
}

/* Whether the transaction or login that was open before @e is still open after it. */
static bool stays_open(const struct oracle *o, const struct exchange *e)
{
	struct bytes b = asked(o, e);

	if (e->mode == MODE_LOGIN)
		return e->code == 334;
	if (e->mode == MODE_CONTENT)
		return false;
	if (verb(b, "BDAT")) {
		struct bytes line = bytes_head(b, line_length(b));
		for (size_t i = 0; i + 4 <= line.n; i++) {
			if (strncasecmp((const char *)line.p + i, "LAST", 4) == 0)
				return false;
		}
		return true;
	}
	return !((verb(b, "RSET") || verb(b, "EHLO") || verb(b, "HELO")) && e->code / 100 == 2);
}

static bool opens(const struct oracle *o, const struct exchange *e)
{
	struct bytes b = asked(o, e);

	return e->mode == MODE_LINE &&
	       ((verb(b, "MAIL") && e->code / 100 == 2) || (verb(b, "AUTH") && e->code == 334));
}

/* How much of the client the server had heard when it sent the bytes at @server. *io_turn is
 * where the search begins and where it ended. */
static size_t heard_at(const struct oracle *o, size_t server, size_t *io_turn)
{
	while (*io_turn + 1 < o->turn_n && o->turns[*io_turn + 1].server <= server)
		(*io_turn)++;
	return *io_turn < o->turn_n ? o->turns[*io_turn].client : 0;
}

/* Of which the recording has nothing. */
static int add_greeting(struct oracle *o)
{
	struct exchange *e = add(o);

	if (!e)
		return -ENOMEM;
	e->code = 220;
	e->whole = true;
	return 0;
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	struct oracle *o = oracle;
	size_t in = 0, out = 0, open = SIZE_MAX, scanned, turn = 0;
	enum mode mode = MODE_LINE;
	bool mail = false;

	o->n = 0;
	o->foreign = o->unasked = false;
	*ret_unasked = UINT64_MAX;
	if (o->upgraded && add_greeting(o) < 0)
		return -ENOMEM;
	for (;;) {
		struct bytes client = bytes_from(buf_view(&o->stream[JEEBS_TO_SERVER]), in);
		struct bytes server = bytes_from(buf_view(&o->stream[JEEBS_TO_CLIENT]), out);
		/* The first reply is the greeting, to which no unit belongs. */
		scanned = 0;
		size_t unit = o->n == 0 ? 0 : unit_length(client, mode, &scanned);
		/* A line can be answered only when it is complete. */
		size_t least = mode == MODE_CONTENT ? 1 : line_length(client);
		bool too_early = server.n > 0 && heard_at(o, out, &turn) < in + (least ? least : 1);
		if (o->n > 0 && (unit == 0 || too_early)) {
			o->unasked = server.n > 0;
			if (o->unasked)
				*ret_unasked = out;
			return 0;
		}
		struct exchange *e = add(o);
		if (!e)
			return -ENOMEM;
		bool strange;
		size_t n = reply_length(server, &e->code, &strange);
		/* A server that has accepted a sender speaks SMTP, whatever it says later. */
		o->foreign = strange && !mail;
		if (o->foreign)
			return 0;
		e->whole = n > 0;
		e->mode = mode;
		e->ask = in;
		e->ask_end = in += unit;
		e->reply = out;
		e->reply_end = out += n > 0 ? n : server.n;
		if (open != SIZE_MAX)
			e->begin = open;
		if (!e->whole)
			return 0;
		mail = mail || opens(o, e);
		if (open == SIZE_MAX && opens(o, e))
			open = o->n - 1;
		else if (open != SIZE_MAX && !stays_open(o, e))
			open = SIZE_MAX;
		mode = next_mode(e->code);
	}
}

/* ---- the backup -------------------------------------------------------------------- */

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	const struct oracle *o = oracle;
	struct connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->oracle = o;
	c->in = BUF_INIT(INPUT_MAX);
	c->state = JEEBS_ORACLE_OPEN;
	if (o->foreign) {
		c->verbatim = replay_oracle.connect(o->verbatim, cut);
		if (c->verbatim)
			return c;
		free(c);
		return NULL;
	}
	while (c->next < o->n && o->list[c->next].whole &&
	       o->list[c->next].reply_end <= cut->to_client_end)
		c->next++;
	/* A message that was sent completely is not sent again, whatever its fate. */
	const struct exchange *e = c->next < o->n ? &o->list[c->next] : NULL;
	if (e && e->begin != c->next && cut->to_server_end >= e->ask_end && !stays_open(o, e) &&
	    opens(o, &o->list[e->begin]))
		c->next++;
	else if (e)
		c->next = e->begin;
	else if (o->n > 0 && o->list[o->n - 1].begin != o->n - 1)
		c->next = o->list[o->n - 1].begin;
	return c;
}

static void oracle_disconnect(void *connection)
{
	struct connection *c = connection;

	if (!c)
		return;
	if (c->verbatim)
		replay_oracle.disconnect(c->verbatim);
	buf_deinit(&c->in);
	free(c);
}

/* A server that accepts one kind of line end accepts the others. */
static struct bytes without_end(struct bytes line)
{
	while (line.n > 0 && (line.p[line.n - 1] == '\n' || line.p[line.n - 1] == '\r'))
		line.n--;
	return line;
}

/* Compares two units: verbs without regard to case, everything else byte by byte. */
static bool same_unit(struct bytes a, struct bytes b, enum mode mode)
{
	if (mode != MODE_CONTENT && !verb(a, "BDAT")) {
		a = without_end(a);
		b = without_end(b);
	}
	if (a.n != b.n || a.n < 4)
		return bytes_eq(a, b);
	return strncasecmp((const char *)a.p, (const char *)b.p, 4) == 0 &&
	       memcmp(a.p + 4, b.p + 4, a.n - 4) == 0;
}

static const struct exchange *find(struct connection *c, struct bytes unit)
{
	const struct oracle *o = c->oracle;

	for (size_t i = c->next > 0 ? c->next : 1; i < o->n; i++) {
		if (o->list[i].mode == c->mode && same_unit(asked(o, &o->list[i]), unit, c->mode)) {
			c->next = i + 1;
			return &o->list[i];
		}
	}
	if (o->unasked && c->next >= o->n)
		return NULL; /* it is not known whether the units in between are sent again */
	for (size_t i = c->next < o->n ? c->next : o->n; i-- > 1;) {
		if (o->list[i].mode == c->mode && same_unit(asked(o, &o->list[i]), unit, c->mode))
			return &o->list[i];
	}
	return NULL;
}

static int reply(struct connection *c, const struct exchange *e,
		 int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx)
{
	static const char greeting[] = "220 made up\r\n";
	int r = 0;

	if (c->oracle->upgraded && e == &c->oracle->list[0])
		return answer(ctx,
			      (struct jeebs_bytes){(const uint8_t *)greeting, sizeof greeting - 1});
	if (e->reply_end > e->reply)
		r = answer(ctx,
			   (struct jeebs_bytes){c->oracle->stream[JEEBS_TO_CLIENT].p + e->reply,
						e->reply_end - e->reply});
	c->mode = next_mode(e->code);
	const struct oracle *o = c->oracle;
	bool last = o->lost[JEEBS_TO_CLIENT] && e->reply_end == o->stream[JEEBS_TO_CLIENT].n;
	if (!e->whole || last)
		c->state = JEEBS_ORACLE_UNKNOWN;
	else if (e->code == 221 || e->code == 421)
		c->state = JEEBS_ORACLE_CLOSE;
	else if (e->code == 220 && e->ask_end > e->ask && e == &o->list[o->n - 1])
		c->state = JEEBS_ORACLE_UNKNOWN; /* TLS follows, which the capture does not show */
	return r;
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;
	const struct oracle *o = c->oracle;
	int r = 0;

	if (c->verbatim)
		return replay_oracle.receive(c->verbatim, b, eof, answer, ctx, ret_state);
	if (c->state == JEEBS_ORACLE_OPEN && !c->greeted) {
		c->greeted = true;
		if (o->n == 0)
			c->state = JEEBS_ORACLE_UNKNOWN;
		else
			r = reply(c, &o->list[0], answer, ctx);
	}
	if (r == 0 && c->state == JEEBS_ORACLE_OPEN) {
		r = buf_append(&c->in, b.p, b.n);
		if (r == -ENOBUFS)
			c->state = JEEBS_ORACLE_UNKNOWN;
		if (r == -ENOBUFS)
			r = 0;
	}
	while (r == 0 && c->state == JEEBS_ORACLE_OPEN) {
		struct bytes in = bytes_from(buf_view(&c->in), c->at);
		size_t n = unit_length(in, c->mode, &c->scanned);
		if (n == 0)
			break;
		c->scanned = 0;
		const struct exchange *e = find(c, bytes_head(in, n));
		c->at += n;
		if (e)
			r = reply(c, e, answer, ctx);
		else
			c->state = JEEBS_ORACLE_UNKNOWN;
	}
	if (r < 0)
		return r;
	if (eof && c->state == JEEBS_ORACLE_OPEN)
		c->state = JEEBS_ORACLE_CLOSE;
	*ret_state = c->state;
	return 0;
}

const struct jeebs_oracle smtp_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "smtp",
	.open = oracle_open,
	.data = oracle_data,
	.gap = oracle_gap,
	.fin = oracle_fin,
	.learned = oracle_learned,
	.connect = oracle_connect,
	.receive = oracle_receive,
	.disconnect = oracle_disconnect,
	.close = oracle_close,
};

JEEBS_ORACLE_EXPORT(smtp_oracle);
