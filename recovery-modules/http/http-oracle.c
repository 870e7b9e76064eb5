/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "http-oracle.h"

#include <errno.h>
#include <stdlib.h>

#include "oracle-exchange.h"
#include "oracle-head.h"
#include "oracle-parts.h"
#include "oracle-range.h"

/* Ceiling of each direction. Captured bytes beyond it count as lost. */
#define STREAM_MAX (size_t)(2047u << 20)
/* Ceilings of the box's bytes that were not dealt with, and of a generated head. */
#define INPUT_MAX (64u << 20)
#define HEAD_MAX  (1u << 20)

struct oracle {
	struct oracle_stream stream[2];
	struct oracle_mark *marks;
	size_t mark_n, mark_cap;
	struct oracle_exchanges exchanges;
};

struct connection {
	const struct oracle *oracle;
	struct buf in;
	size_t at;        /* in `in`: the start of the request being read */
	size_t passed;    /* how far the request was read */
	size_t scanned;   /* how far its head was searched for its end */
	size_t rest;      /* how many bytes equal the unreadable rest of the capture */
	bool not_rest;    /* the next bytes differ from that rest */
	bool malformed;   /* the head is malformed */
	uint64_t cut;     /* end of the server's bytes at the cut */
	size_t next;      /* index of the expected exchange */
	bool in_body;     /* in the body of the request; then these are valid: */
	bool differs;     /* the body differs, or is not known */
	bool begun, done; /* 1xx heads were sent; the final response was sent */
	/* End of the 1xx heads that were sent, where the final head is not known. */
	uint64_t interim;
	const struct oracle_exchange *meant;
	struct oracle_body body;
	bool tunnel; /* after the request comes a tunnel; positions in it and in `marks`: */
	uint64_t heard, said;
	size_t turn;
	uint32_t state;
	/* Valid during receive(). */
	int (*answer)(void *ctx, struct jeebs_bytes b);
	void *ctx;
};

static void *oracle_open(const struct jeebs_service *svc)
{
	struct oracle *o = calloc(1, sizeof *o);

	(void)svc;
	if (!o)
		return NULL;
	for (int i = 0; i < 2; i++)
		oracle_stream_init(&o->stream[i], STREAM_MAX);
	return o;
}

static void oracle_close(void *oracle)
{
	struct oracle *o = oracle;

	if (!o)
		return;
	for (int i = 0; i < 2; i++)
		oracle_stream_deinit(&o->stream[i]);
	oracle_exchanges_deinit(&o->exchanges);
	free(o->marks);
	free(o);
}

/* Notes how far the client had come when the server spoke. */
static int mark(struct oracle *o)
{
	uint64_t to_server = o->stream[JEEBS_TO_SERVER].end;

	if (o->mark_n > 0 && o->marks[o->mark_n - 1].to_server == to_server)
		return 0;
	if (o->mark_n == o->mark_cap) {
		size_t cap = o->mark_cap ? 2 * o->mark_cap : 16;
		struct oracle_mark *more = reallocarray(o->marks, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		o->marks = more;
		o->mark_cap = cap;
	}
	o->marks[o->mark_n++] = (struct oracle_mark){o->stream[JEEBS_TO_CLIENT].end, to_server};
	return 0;
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct oracle *o = oracle;

	(void)from;
	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	oracle_stream_gap(&o->stream[dir], to);
	return 0;
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT || off < o->stream[dir].end)
		return -EINVAL;
	oracle_stream_gap(&o->stream[dir], off);
	int r = dir == JEEBS_TO_CLIENT ? mark(o) : 0;
	return r < 0 ? r : oracle_stream_append(&o->stream[dir], bytes_of(b.p, b.n));
}

static int oracle_fin(void *oracle, uint32_t dir, uint64_t off)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	oracle_stream_gap(&o->stream[dir], off);
	o->stream[dir].fin = true;
	return 0;
}

static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	struct oracle *o = oracle;

	oracle_exchanges_deinit(&o->exchanges);
	int r = oracle_exchanges_read(&o->exchanges, &o->stream[JEEBS_TO_SERVER],
				      &o->stream[JEEBS_TO_CLIENT], o->marks, o->mark_n);
	*ret_unasked = o->exchanges.unasked;
	return r;
}

/* Whether the whole response was on the wire before the cut. */
static bool complete_at(const struct oracle_exchange *e, const struct jeebs_cut *cut)
{
	if (!e->finished || e->end > cut->to_client_end)
		return false;
	return e->kind != ORACLE_BODY_UNTIL_CLOSE || cut->server_fin;
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	const struct oracle *o = oracle;
	struct connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->oracle = o;
	c->in = BUF_INIT(INPUT_MAX);
	c->state = JEEBS_ORACLE_OPEN;
	c->cut = cut->to_client_end;
	/* Responses end in order, so a binary search finds the first that does not end before
	 * the cut. */
	size_t lo = 0, hi = o->exchanges.n;
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;
		if (complete_at(&o->exchanges.list[mid], cut))
			lo = mid + 1;
		else
			hi = mid;
	}
	c->next = lo;
	return c;
}

static void oracle_disconnect(void *connection)
{
	struct connection *c = connection;

	if (!c)
		return;
	buf_deinit(&c->in);
	free(c);
}

/*
 * Sends the recorded bytes [from, to) of the server. At the first unknown byte the state becomes
 * UNKNOWN.
 */
static int send_recorded(struct connection *c, uint64_t from, uint64_t to)
{
	const struct oracle_stream *s = &c->oracle->stream[JEEBS_TO_CLIENT];

	while (from < to) {
		struct bytes v = oracle_stream_view(s, from);
		if (v.n == 0) {
			c->state = JEEBS_ORACLE_UNKNOWN;
			return 0;
		}
		if (v.n > to - from)
			v.n = (size_t)(to - from);
		int r = c->answer(c->ctx, (struct jeebs_bytes){v.p, v.n});
		if (r < 0)
			return r;
		from += v.n;
	}
	return 0;
}

static struct bytes asked_head(const struct connection *c)
{
	return bytes_of(c->in.p + c->at, c->scanned);
}

static struct bytes recorded_ask(const struct connection *c)
{
	const struct oracle_exchange *e = c->meant;

	return bytes_head(oracle_stream_view(&c->oracle->stream[JEEBS_TO_SERVER], e->ask),
			  (size_t)(e->ask_body - e->ask));
}

static struct bytes recorded_answer(const struct connection *c)
{
	const struct oracle_exchange *e = c->meant;

	return bytes_head(oracle_stream_view(&c->oracle->stream[JEEBS_TO_CLIENT], e->final),
			  (size_t)(e->body - e->final));
}

static int send_made_up(struct connection *c, struct buf *head, enum oracle_range how,
			uint64_t skip, uint64_t n)
{
	if (buf_error(head) < 0)
		return buf_error(head) == -ENOBUFS ? 0 : -ENOMEM;
	int r = c->answer(c->ctx, (struct jeebs_bytes){head->p, head->n});
	if (r == 0 && how == ORACLE_RANGE_PART)
		r = send_recorded(c, c->meant->body + skip, c->meant->body + skip + n);
	return r;
}

/*
 * Sends the captured response. If its body was cut, the box knows its head. Then several ranges are
 * sent as from another process, with another boundary.
 */
static int send_captured(struct connection *c)
{
	const struct oracle_exchange *e = c->meant;
	uint64_t end = e->tunnel ? e->body : e->end;
	struct buf again = BUF_INIT(HEAD_MAX);
	bool other = false;
	int r;

	if (e->status == 206 && c->cut >= e->body && c->cut < end && end - e->body < HEAD_MAX / 2) {
		struct bytes body =
			bytes_head(oracle_stream_view(&c->oracle->stream[JEEBS_TO_CLIENT], e->body),
				   (size_t)(end - e->body));
		other = body.n == end - e->body &&
			oracle_parts_again(recorded_answer(c), body, &again);
	}
	if (buf_error(&again) < 0)
		r = -ENOMEM;
	else if (other)
		r = c->answer(c->ctx, (struct jeebs_bytes){again.p, again.n});
	else
		r = send_recorded(c, e->final, end);
	buf_deinit(&again);
	return r;
}

/* From here on it is not HTTP: the server answers the same when the client says the same. */
static void open_tunnel(struct connection *c)
{
	c->tunnel = c->meant->ask_end != UINT64_MAX;
	c->heard = c->meant->ask_end;
	c->said = c->meant->body;
	c->turn = 0;
	if (!c->tunnel)
		c->state = JEEBS_ORACLE_UNKNOWN;
}

/* Sends the final response to the request being read. */
static int send_final(struct connection *c)
{
	const struct oracle_exchange *e = c->meant;
	struct buf head = BUF_INIT(HEAD_MAX);
	uint64_t skip = 0, n = 0;
	int r = 0;

	c->done = true;
	enum oracle_range how = oracle_range_answer(asked_head(c), recorded_ask(c),
						    recorded_answer(c), &head, &skip, &n);
	if (how == ORACLE_RANGE_AS_CAPTURED)
		r = send_captured(c);
	else if (how == ORACLE_RANGE_UNKNOWN)
		c->state = JEEBS_ORACLE_UNKNOWN;
	else
		r = send_made_up(c, &head, how, skip, n);
	buf_deinit(&head);
	/* After another answer these extra bytes may be different. */
	if (r == 0 && c->state == JEEBS_ORACLE_OPEN && !e->tunnel && e->extra_end > e->end) {
		if (how == ORACLE_RANGE_AS_CAPTURED)
			r = send_recorded(c, e->end, e->extra_end);
		else
			c->state = JEEBS_ORACLE_UNKNOWN;
	}
	if (r == 0 && c->state == JEEBS_ORACLE_OPEN && e->tunnel)
		open_tunnel(c);
	else if (r == 0 && c->state == JEEBS_ORACLE_OPEN && e->close)
		c->state = JEEBS_ORACLE_CLOSE;
	return r;
}

/* How many bytes of the body the old server had when it sent the final response. */
static uint64_t body_had(const struct oracle_exchange *e)
{
	return e->asked > e->ask_body ? e->asked - e->ask_body : 0;
}

/*
 * Sends complete 1xx heads from c->interim on. A client may wait for them before it sends its body.
 */
static int send_interim(struct connection *c)
{
	const struct oracle_stream *s = &c->oracle->stream[JEEBS_TO_CLIENT];

	for (;;) {
		struct bytes v = oracle_stream_view(s, c->interim);
		size_t scanned = 0, n = oracle_head_end(v, &scanned);
		if (n < sizeof "HTTP/1.1 1" ||
		    memcmp(v.p, "HTTP/1.1 1", sizeof "HTTP/1.1 1" - 1) != 0)
			return 0;
		int r = send_recorded(c, c->interim, c->interim + n);
		if (r < 0)
			return r;
		c->interim += n;
	}
}

/* Handles a final response whose head is not completely captured. */
static int answer_unfinished(struct connection *c)
{
	const struct oracle_exchange *e = c->meant;
	uint64_t captured = c->oracle->stream[JEEBS_TO_SERVER].end - e->ask;
	int r = e->answered ? send_interim(c) : 0;

	if (r < 0 || (c->body.place != ORACLE_BODY_END && c->passed < captured))
		return r;
	r = c->differs || !e->answered ? 0 : send_recorded(c, c->interim, UINT64_MAX);
	c->state = JEEBS_ORACLE_UNKNOWN;
	return r;
}

/* Answers as far as the bytes of the request that have come allow. */
static int answer_now(struct connection *c)
{
	const struct oracle_exchange *e = c->meant;

	if (!e->finished)
		return answer_unfinished(c);
	if (!c->begun) {
		c->begun = true;
		int r = send_recorded(c, e->answer, e->final);
		if (r < 0 || c->state != JEEBS_ORACLE_OPEN)
			return r;
	}
	if (c->done || (c->body.place != ORACLE_BODY_END && c->passed - c->scanned < body_had(e)))
		return 0;
	if (c->differs) {
		c->state = JEEBS_ORACLE_UNKNOWN;
		return 0;
	}
	return send_final(c);
}

static void next_request(struct connection *c)
{
	c->at += c->passed;
	c->passed = c->scanned = c->rest = 0;
	c->not_rest = c->malformed = c->in_body = false;
	/* Done so rarely that each byte is moved at most once more. */
	if (c->at > c->in.n / 2) {
		buf_consume(&c->in, c->at);
		c->at = 0;
	}
}

/* Whether @b is what the client sent at @off. */
static bool recorded_there(const struct connection *c, uint64_t off, struct bytes b)
{
	while (b.n > 0) {
		struct bytes v = oracle_stream_view(&c->oracle->stream[JEEBS_TO_SERVER], off);
		v = bytes_head(v, b.n);
		if (v.n == 0 || memcmp(v.p, b.p, v.n) != 0)
			return false;
		off += v.n;
		b = bytes_from(b, v.n);
	}
	return true;
}

/*
 * Handles the client's last bytes, which may have been no whole request and yet were answered (400,
 * 408). *ret_all: @b begins with all of them. Returns false when @b is something else.
 */
static bool is_rest(struct connection *c, struct bytes b, bool *ret_all)
{
	const struct oracle_exchanges *x = &c->oracle->exchanges;
	uint64_t n = c->oracle->stream[JEEBS_TO_SERVER].end - x->ask_rest;

	*ret_all = false;
	if (c->not_rest || c->next < x->n || n == 0 || x->answer_lost ||
	    x->answer_rest == c->oracle->stream[JEEBS_TO_CLIENT].end)
		return false;
	*ret_all = b.n >= n;
	size_t to = *ret_all ? (size_t)n : b.n;
	if (!recorded_there(c, x->ask_rest + c->rest, bytes_from(bytes_head(b, to), c->rest))) {
		c->not_rest = true;
		return false;
	}
	c->rest = to;
	return true;
}

static int answer_rest(struct connection *c)
{
	const struct oracle_stream *s = &c->oracle->stream[JEEBS_TO_CLIENT];
	int r = send_recorded(c, c->oracle->exchanges.answer_rest, s->end);

	if (r == 0 && c->state == JEEBS_ORACLE_OPEN)
		c->state = s->fin ? JEEBS_ORACLE_CLOSE : JEEBS_ORACLE_UNKNOWN;
	return r;
}

static int begin_request(struct connection *c, struct bytes head, const struct oracle_ask *ask)
{
	const struct oracle *o = c->oracle;
	const struct oracle_exchanges *x = &o->exchanges;
	size_t i = oracle_exchanges_find(x, &o->stream[JEEBS_TO_SERVER], head, c->next);

	if (i == x->n) {
		c->state = JEEBS_ORACLE_UNKNOWN;
		return 0;
	}
	if (i >= c->next)
		c->next = i + 1;
	c->meant = &x->list[i];
	c->interim = c->meant->answer;
	c->passed = head.n;
	c->differs = c->begun = c->done = false;
	c->in_body = true;
	oracle_body_init(&c->body, ask->kind, ask->length);
	return answer_now(c);
}

/* *ret_more: the input may contain more than what was read. */
static int read_head(struct connection *c, bool *ret_more)
{
	struct bytes b = bytes_from(buf_view(&c->in), c->at);
	struct oracle_ask ask;
	bool all;

	*ret_more = false;
	while (c->scanned == 0 && b.n > 0 && (b.p[0] == '\r' || b.p[0] == '\n')) {
		b = bytes_from(b, 1);
		c->at++;
	}
	bool rest = b.n > 0 && is_rest(c, b, &all);
	if (rest && all)
		return answer_rest(c);
	size_t n = c->malformed ? 0 : oracle_head_end(b, &c->scanned);
	if (n > 0 && oracle_head_ask(bytes_head(b, n), &ask)) {
		*ret_more = true;
		return begin_request(c, bytes_head(b, n), &ask);
	}
	c->malformed |= n > 0;
	if (c->malformed && !rest)
		c->state = JEEBS_ORACLE_UNKNOWN;
	return 0;
}

static int read_body(struct connection *c, bool *ret_more)
{
	const struct oracle_exchange *e = c->meant;
	struct bytes b = bytes_from(buf_view(&c->in), c->at + c->passed);
	size_t before = c->passed - c->scanned;

	*ret_more = true;
	if (c->body.place == ORACLE_BODY_END) {
		next_request(c);
		return 0;
	}
	/* Not beyond the place where the old server answered: that was all it had. */
	if (!c->done && body_had(e) > before)
		b = bytes_head(b, (size_t)(body_had(e) - before));
	if (b.n == 0) {
		*ret_more = false;
		return 0;
	}
	size_t n = oracle_body_take(&c->body, b);
	if (!recorded_there(c, e->ask_body + before, bytes_head(b, n)))
		c->differs = true;
	c->passed += n;
	if (c->body.place == ORACLE_BODY_BAD) {
		c->state = JEEBS_ORACLE_UNKNOWN;
		return 0;
	}
	return answer_now(c);
}

/* How far the server had come when the client had come to c->heard. */
static uint64_t tunnel_due(struct connection *c)
{
	const struct oracle *o = c->oracle;

	while (c->turn < o->mark_n && o->marks[c->turn].to_server <= c->heard)
		c->turn++;
	return c->turn < o->mark_n ? o->marks[c->turn].to_client : o->stream[JEEBS_TO_CLIENT].end;
}

/* Takes the bytes that equal the client's. Returns false when some do not. */
static bool hear_tunnel(struct connection *c)
{
	const struct oracle_stream *s = &c->oracle->stream[JEEBS_TO_SERVER];

	while (c->at < c->in.n) {
		struct bytes v = bytes_head(oracle_stream_view(s, c->heard), c->in.n - c->at);
		size_t n = 0;
		while (n < v.n && v.p[n] == c->in.p[c->at + n])
			n++;
		c->at += n;
		c->heard += n;
		if (n == 0 || n < v.n)
			return false;
	}
	return true;
}

static int read_tunnel(struct connection *c, bool *ret_more)
{
	const struct oracle *o = c->oracle;
	int r = 0;

	*ret_more = false;
	bool known = hear_tunnel(c);
	uint64_t due = tunnel_due(c);
	if (due > c->said) {
		r = send_recorded(c, c->said, due);
		c->said = due;
	}
	if (!known)
		c->state = JEEBS_ORACLE_UNKNOWN;
	if (r == 0 && c->state == JEEBS_ORACLE_OPEN && o->stream[JEEBS_TO_CLIENT].fin &&
	    c->said == o->stream[JEEBS_TO_CLIENT].end && c->heard == o->stream[JEEBS_TO_SERVER].end)
		c->state = JEEBS_ORACLE_CLOSE;
	return r;
}

static int read_input(struct connection *c)
{
	bool more = true;
	int r = 0;

	while (r == 0 && more && c->state == JEEBS_ORACLE_OPEN) {
		if (c->in_body)
			r = read_body(c, &more);
		else
			r = c->tunnel ? read_tunnel(c, &more) : read_head(c, &more);
	}
	return r;
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;
	int r = 0;

	c->answer = answer;
	c->ctx = ctx;
	if (c->state == JEEBS_ORACLE_OPEN) {
		r = buf_append(&c->in, b.p, b.n);
		if (r == -ENOBUFS) {
			c->state = JEEBS_ORACLE_UNKNOWN;
			r = 0;
		}
		if (r == 0)
			r = read_input(c);
	}
	if (r < 0)
		return r;
	/* Everything was answered, and the client asks nothing more. */
	if (eof && c->state == JEEBS_ORACLE_OPEN)
		c->state = JEEBS_ORACLE_CLOSE;
	*ret_state = c->state;
	return 0;
}

const struct jeebs_oracle http_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "http",
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

JEEBS_ORACLE_EXPORT(http_oracle);
