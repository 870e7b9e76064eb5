/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "oracle-exchange.h"

#include <errno.h>
#include <stdlib.h>

#include "oracle-head.h"

static struct oracle_exchange *add(struct oracle_exchanges *x)
{
	if (x->n == x->cap) {
		size_t cap = x->cap ? 2 * x->cap : 16;
		struct oracle_exchange *more =
			cap > UINT32_MAX ? NULL : reallocarray(x->list, cap, sizeof *more);
		if (!more)
			return NULL;
		x->list = more;
		x->cap = cap;
	}
	struct oracle_exchange *e = &x->list[x->n++];
	*e = (struct oracle_exchange){.ask_end = UINT64_MAX, .end = UINT64_MAX};
	return e;
}

/* The offset behind the body that begins at @off; UINT64_MAX: it cannot be known. */
static uint64_t body_end(const struct oracle_stream *s, uint64_t off, enum oracle_body_kind kind,
			 uint64_t length)
{
	struct oracle_body b;

	/* The length tells where it ends, even if bytes are lost. */
	if (kind == ORACLE_BODY_COUNTED)
		return length <= s->end - off ? off + length : UINT64_MAX;
	oracle_body_init(&b, kind, length);
	while (b.place != ORACLE_BODY_END && off < s->end) {
		struct bytes v = oracle_stream_view(s, off);
		if (v.n == 0)
			return UINT64_MAX;
		off += oracle_body_take(&b, v);
		if (b.place == ORACLE_BODY_BAD)
			return UINT64_MAX;
	}
	bool ended = kind == ORACLE_BODY_UNTIL_CLOSE ? s->fin : b.place == ORACLE_BODY_END;
	return ended ? off : UINT64_MAX;
}

/* Empty lines before a request are ignored (RFC 9112 section 2.2). */
static uint64_t skip_empty_lines(const struct oracle_stream *s, uint64_t off)
{
	struct bytes v = oracle_stream_view(s, off);
	size_t n = 0;

	while (n < v.n && (v.p[n] == '\r' || v.p[n] == '\n'))
		n++;
	return off + n;
}

static int read_asks(struct oracle_exchanges *x, const struct oracle_stream *s)
{
	uint64_t off = 0;

	for (;;) {
		struct bytes v;
		struct oracle_ask ask;
		size_t scanned = 0;
		x->ask_rest = off = skip_empty_lines(s, off);
		v = oracle_stream_view(s, off);
		size_t n = oracle_head_end(v, &scanned);
		if (n == 0 || !oracle_head_ask(bytes_head(v, n), &ask))
			return 0;
		struct oracle_exchange *e = add(x);
		if (!e)
			return -ENOMEM;
		e->ask = off;
		e->ask_body = off + n;
		e->ask_end = body_end(s, e->ask_body, ask.kind, ask.length);
		e->key = oracle_head_key(bytes_head(v, n));
		e->close = ask.close;
		if (e->ask_end == UINT64_MAX) {
			x->ask_rest = s->end;
			return 0;
		}
		off = e->ask_end;
	}
}

static bool method_is(const struct oracle_stream *to_server, const struct oracle_exchange *e,
		      const char *method)
{
	struct bytes v = oracle_stream_view(to_server, e->ask);

	return v.n > strlen(method) && memcmp(v.p, method, strlen(method)) == 0 &&
	       v.p[strlen(method)] == ' ';
}

/* Takes the final head @a, which is @n bytes at @off. */
static void read_final(struct oracle_exchange *e, const struct oracle_stream *to_server,
		       const struct oracle_stream *s, uint64_t off, size_t n,
		       const struct oracle_answer *a)
{
	bool none = a->status == 204 || a->status == 304 || method_is(to_server, e, "HEAD");

	e->tunnel =
		a->status == 101 || (a->status / 100 == 2 && method_is(to_server, e, "CONNECT"));
	e->finished = true;
	e->final = off;
	e->body = off + n;
	e->status = (uint16_t)a->status;
	e->kind = none ? ORACLE_BODY_NONE : a->kind;
	e->close |= a->close || e->kind == ORACLE_BODY_UNTIL_CLOSE;
	/* What passes through a tunnel is no exchange, and its end is not known. */
	if (!e->tunnel)
		e->end = body_end(s, e->body, e->kind, a->length);
}

/* Returns false when the bytes are no response. */
static bool read_answer(struct oracle_exchange *e, const struct oracle_stream *to_server,
			const struct oracle_stream *s, uint64_t off)
{
	e->answer = off;
	for (;;) {
		struct bytes v = oracle_stream_view(s, off);
		struct oracle_answer a;
		size_t scanned = 0, n = oracle_head_end(v, &scanned);
		bool whole = n > 0;
		if (whole && !oracle_head_answer(bytes_head(v, n), &a))
			return false;
		e->answered = true;
		if (!whole)
			return true;
		if (a.status >= 200 || a.status == 101) {
			read_final(e, to_server, s, off, n, &a);
			return true;
		}
		off += n;
	}
}

/* How far the client had come when the server's bytes were captured. */
struct clock {
	const struct oracle_mark *marks;
	size_t n, at;
};

/*
 * How many bytes of the client were captured before byte @to_client of the server. Calls must
 * ascend.
 */
static uint64_t clock_asked(struct clock *c, uint64_t to_client)
{
	while (c->at + 1 < c->n && c->marks[c->at + 1].to_client <= to_client)
		c->at++;
	return c->n ? c->marks[c->at].to_server : 0;
}

/*
 * From @off on the server sent bytes that are no response to @e. Those sent before @e was asked
 * belong to the exchange before. Returns the offset behind them.
 */
static uint64_t skip_extra(const struct oracle_exchange *e, const struct clock *c, uint64_t off,
			   uint64_t end)
{
	for (size_t i = c->at; i < c->n; i++) {
		uint64_t until = i + 1 < c->n ? c->marks[i + 1].to_client : end;
		if (c->marks[i].to_server > e->ask)
			break;
		off = until > off ? until : off;
	}
	return off;
}

static void not_expected(struct oracle_exchanges *x, uint64_t off)
{
	if (off < x->unasked)
		x->unasked = off;
}

static uint64_t another_protocol(struct oracle_exchanges *x, uint64_t off)
{
	not_expected(x, off);
	return UINT64_MAX;
}

/*
 * The server's bytes are no response to @e. Since @e is the last thing that it was asked, it would
 * say them again to the same request.
 */
static uint64_t not_readable(struct oracle_exchanges *x, struct oracle_exchange *e, struct clock *c,
			     uint64_t off)
{
	bool to_it = clock_asked(c, off) > e->ask && c->marks[c->at].to_client == off;

	e->answered = to_it && e == &x->list[x->n - 1];
	return another_protocol(x, off);
}

/*
 * Reads the responses. Returns up to where the server's bytes are understood; UINT64_MAX: the
 * position is lost.
 */
static uint64_t read_answers(struct oracle_exchanges *x, const struct oracle_stream *to_server,
			     const struct oracle_stream *s, struct clock *c)
{
	uint64_t off = 0;

	for (size_t i = 0; i < x->n; i++) {
		struct oracle_exchange *e = &x->list[i];
		if (clock_asked(c, off) <= e->ask && off < s->end)
			not_expected(x, off);
		bool whole = read_answer(e, to_server, s, off);
		if (!whole && !e->answered && i > 0) {
			uint64_t behind = skip_extra(e, c, off, s->end);
			whole = behind > off && read_answer(e, to_server, s, behind);
			if (!e->answered)
				return behind > off ? another_protocol(x, off)
						    : not_readable(x, e, c, off);
			e[-1].extra_end = behind;
			not_expected(x, off);
			off = behind;
		}
		if (!whole && !e->answered)
			return not_readable(x, e, c, off);
		if (!whole)
			return another_protocol(x, off);
		if (!e->finished)
			return off == s->end ? off : UINT64_MAX;
		e->asked = clock_asked(c, e->final);
		e->extra_end = e->end;
		if (e->end == UINT64_MAX)
			return UINT64_MAX;
		/* A further response shows that the connection did not end with the one before. */
		if (i > 0 && e[-1].close) {
			e[-1].close = false;
			not_expected(x, e->answer);
		}
		off = e->end;
	}
	return off;
}

static int compare_keys(const void *a, const void *b, void *ctx)
{
	const struct oracle_exchange *list = ctx;
	uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;

	if (list[i].key != list[k].key)
		return list[i].key < list[k].key ? -1 : 1;
	return i < k ? -1 : i > k;
}

int oracle_exchanges_read(struct oracle_exchanges *x, const struct oracle_stream *to_server,
			  const struct oracle_stream *to_client, const struct oracle_mark *marks,
			  size_t mark_n)
{
	*x = (struct oracle_exchanges){.unasked = UINT64_MAX};
	int r = read_asks(x, to_server);
	if (r < 0)
		return r;
	struct clock clock = {.marks = marks, .n = mark_n};
	x->answer_rest = read_answers(x, to_server, to_client, &clock);
	x->answer_lost = x->answer_rest == UINT64_MAX;
	if (!x->answer_lost)
		not_expected(x, x->answer_rest);
	/* All requests are known and answered, so the bytes that follow belong to the last
	 * response. */
	struct oracle_exchange *last = x->n ? &x->list[x->n - 1] : NULL;
	if (last && last->finished && !x->answer_lost && x->ask_rest == to_server->end) {
		last->extra_end = to_client->end;
		last->close |= last->extra_end > last->end && to_client->fin;
	}
	x->by_key = calloc(x->n + 1, sizeof *x->by_key);
	if (!x->by_key)
		return -ENOMEM;
	for (uint32_t i = 0; i < x->n; i++)
		x->by_key[i] = i;
	if (x->n > 0)
		qsort_r(x->by_key, x->n, sizeof *x->by_key, compare_keys, x->list);
	return 0;
}

void oracle_exchanges_deinit(struct oracle_exchanges *x)
{
	free(x->list);
	free(x->by_key);
	*x = (struct oracle_exchanges){0};
}

static bool is_meant(const struct oracle_exchanges *x, const struct oracle_stream *to_server,
		     size_t i, uint64_t key, struct bytes head)
{
	const struct oracle_exchange *e = &x->list[i];
	struct bytes v = oracle_stream_view(to_server, e->ask);

	return e->key == key &&
	       oracle_head_same(bytes_head(v, (size_t)(e->ask_body - e->ask)), head);
}

size_t oracle_exchanges_find(const struct oracle_exchanges *x,
			     const struct oracle_stream *to_server, struct bytes head, size_t from)
{
	uint64_t key = oracle_head_key(head);
	size_t lo = 0, hi = x->n;

	/* Binary search for the first entry at or behind (key, from). */
	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2, i = x->by_key[mid];
		const struct oracle_exchange *e = &x->list[i];
		if (e->key < key || (e->key == key && i < from))
			lo = mid + 1;
		else
			hi = mid;
	}
	/* Equal keys of different heads are not searched further; then the exchange is unknown. */
	if (lo < x->n && is_meant(x, to_server, x->by_key[lo], key, head))
		return x->by_key[lo];
	if (lo > 0 && is_meant(x, to_server, x->by_key[lo - 1], key, head))
		return x->by_key[lo - 1];
	return x->n;
}
