/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "telnet-oracle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "recovery-modules/replay/replay-oracle.h"

/* Ceiling of each direction, and of the box's bytes that were not handled. Bytes beyond it count
 * as lost. */
#define STREAM_MAX (64u << 20)

#define IAC  0xffu
#define SB   0xfau
#define SE   0xf0u
#define WILL 0xfbu
#define NAWS 31u

/* One thing that was said: an option, a sub-negotiation, or text with its commands. */
struct item {
	uint32_t dir;
	bool text;
	bool idle;    /* nobody waits for it */
	size_t at, n; /* in the stream; n 0: an item of the server whose end was not recorded */
};

struct oracle {
	struct buf stream[2];
	size_t scanned[2]; /* by direction: items were made up to this offset */
	bool lost;         /* bytes behind a gap of either direction are not known */
	bool fin[2];
	struct item *items;
	size_t item_n, item_cap;
	size_t said_n;  /* offset behind the server's last complete item */
	bool begun;     /* the server has begun a token and not ended it: */
	size_t begun_i; /* this item, which does not wait for what was said meanwhile */
	/* The last verb of each end about each option of the client and of the server. */
	uint8_t word[2][2][256];
	/* The oracle of any protocol, which repeats the conversation byte by byte. */
	void *verbatim;
	bool foreign; /* the conversation is not Telnet */
};

struct connection {
	const struct oracle *oracle;
	void *verbatim;   /* a connection to that oracle */
	struct buf in;    /* from the box */
	size_t scanned;   /* how much of `in` was read */
	size_t text_n;    /* bytes of the client's text that were heard, */
	size_t text_used; /* and how many of them items have used */
	bool *heard;      /* by item: the client's item was heard */
	size_t next;      /* the item to be said, or to be waited for */
	bool over;        /* everything was said */
	uint32_t state;
};

/* ---- tokens -------------------------------------------------------------------------- */

static size_t subnegotiation(struct bytes b)
{
	for (size_t i = 3; i + 1 < b.n; i++) {
		if (b.p[i] != IAC)
			continue;
		if (b.p[i + 1] == SE)
			return i + 2;
		i++;
	}
	return 0;
}

/* Length of the token at the start of @b; 0: it is not complete. */
static size_t token(struct bytes b, bool *ret_text)
{
	*ret_text = true;
	if (b.n == 0)
		return 0;
	if (b.p[0] != IAC) {
		const uint8_t *end = memchr(b.p, IAC, b.n);
		return end ? (size_t)(end - b.p) : b.n;
	}
	if (b.n < 2)
		return 0;
	*ret_text = b.p[1] != SB && (b.p[1] < WILL || b.p[1] == IAC);
	if (*ret_text)
		return 2;
	if (b.p[1] == SB)
		return subnegotiation(b);
	return b.n < 3 ? 0 : 3;
}

/* ---- the conversation ---------------------------------------------------------------- */

static void oracle_close(void *oracle)
{
	struct oracle *o = oracle;

	if (!o)
		return;
	for (int i = 0; i < 2; i++)
		buf_deinit(&o->stream[i]);
	if (o->verbatim)
		replay_oracle.close(o->verbatim);
	free(o->items);
	free(o);
}

static void *oracle_open(const struct jeebs_service *svc)
{
	struct oracle *o = calloc(1, sizeof *o);

	if (!o)
		return NULL;
	for (int i = 0; i < 2; i++)
		o->stream[i] = BUF_INIT(STREAM_MAX);
	o->verbatim = replay_oracle.open(svc);
	if (!o->verbatim) {
		oracle_close(o);
		return NULL;
	}
	return o;
}

static bool is_option(struct bytes token)
{
	return token.n == 3 && token.p[0] == IAC && token.p[1] >= WILL && token.p[1] < IAC;
}

/* Whether the token is about an option that the ends have not agreed on (RFC 855). */
static bool is_stray(const struct oracle *o, struct bytes token)
{
	if (token.n < 3 || token.p[0] != IAC || token.p[1] != SB)
		return false;
	for (unsigned side = 0; side < 2; side++)
		if (o->word[JEEBS_TO_SERVER][side][token.p[2]] == 1 &&
		    o->word[JEEBS_TO_CLIENT][side][token.p[2]] == 1)
			return false;
	return true;
}

/* A command within: no server knows what to make of it. */
static bool is_malformed(struct bytes token)
{
	if (token.n < 3 || token.p[0] != IAC || token.p[1] != SB)
		return false;
	for (size_t i = 3; i + 2 < token.n; i++) {
		if (token.p[i] != IAC)
			continue;
		if (token.p[++i] != IAC)
			return true;
	}
	return false;
}

/*
 * Notes the word. Returns whether it is the client's, and either stray or already the last word of
 * both.
 */
static bool is_idle(struct oracle *o, uint32_t dir, struct bytes token)
{
	if (!is_option(token))
		return dir == JEEBS_TO_SERVER && (is_stray(o, token) || is_malformed(token));
	bool doing = token.p[1] >= 0xfd, on = (token.p[1] & 1) != 0;
	unsigned side = doing == (dir == JEEBS_TO_CLIENT); /* 1: an option of the client */
	uint8_t word = on ? 1 : 2, *mine = &o->word[dir][side][token.p[2]];
	uint8_t servers = o->word[JEEBS_TO_CLIENT][side][token.p[2]];
	bool over = !on && *mine != 1 && servers != 1; /* it ends what had not begun */
	bool idle = dir == JEEBS_TO_SERVER && ((*mine == word && servers == word) || over);

	*mine = word;
	return idle;
}

static int add(struct oracle *o, struct item item)
{
	if (o->item_n == o->item_cap) {
		size_t cap = o->item_cap ? 2 * o->item_cap : 32;
		struct item *more = reallocarray(o->items, cap, sizeof *more);
		if (!more)
			return -ENOMEM;
		o->items = more;
		o->item_cap = cap;
	}
	o->items[o->item_n++] = item;
	return 0;
}

/* Adds an item of the server at the place where it began. */
static int add_of_server(struct oracle *o, struct item item)
{
	int r = 0;

	if (!o->begun) {
		o->begun_i = o->item_n;
		r = add(o, item);
		if (r < 0)
			return r;
	}
	o->begun = item.n == 0;
	o->items[o->begun_i] = item;
	if (!o->begun && o->said_n <= o->begun_i)
		o->said_n = o->begun_i + 1;
	return 0;
}

/* Adds the next item of the direction. Returns 1 when there is none, or its end is missing. */
static int add_next(struct oracle *o, uint32_t dir)
{
	struct item item = {.dir = dir, .at = o->scanned[dir]};
	struct bytes rest = bytes_from(buf_view(&o->stream[dir]), item.at);
	int r = 0;

	item.n = token(rest, &item.text);
	if (item.n == 0) {
		item.text = false;
		if (rest.n > 0 && dir == JEEBS_TO_CLIENT)
			r = add_of_server(o, item);
		return r < 0 ? r : 1;
	}
	o->scanned[dir] += item.n;
	item.idle = is_idle(o, dir, bytes_head(rest, item.n));
	return dir == JEEBS_TO_CLIENT ? add_of_server(o, item) : add(o, item);
}

static int oracle_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT || off < o->stream[dir].n)
		return -EINVAL;
	int r = replay_oracle.data(o->verbatim, dir, off, b);
	o->lost |= off > o->stream[dir].n;
	if (o->lost || r < 0)
		return r;
	r = buf_append(&o->stream[dir], b.p, b.n);
	if (r == -ENOBUFS)
		o->lost = true;
	if (r < 0)
		return r == -ENOBUFS ? 0 : r;
	do
		r = add_next(o, dir);
	while (r == 0);
	return r < 0 ? r : 0;
}

static int oracle_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct oracle *o = oracle;

	if (dir > JEEBS_TO_CLIENT)
		return -EINVAL;
	o->lost = true;
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

static struct bytes words(const struct oracle *o, const struct item *i)
{
	return bytes_head(bytes_from(buf_view(&o->stream[i->dir]), i->at), i->n);
}

/* Whether the item has bytes that no terminal shows, and no command of Telnet. */
static bool is_binary(const struct item *i, struct bytes b)
{
	if (!i->text)
		return false;
	if (b.p[0] == IAC)
		return true; /* a command although no option was asked for */
	for (size_t k = 0; k < b.n; k++) {
		bool pad = b.p[k] == 0 && k > 0 && b.p[k - 1] == '\r';
		if (!pad && b.p[k] != 0x1b &&
		    (b.p[k] < 7 || b.p[k] > 126 || (b.p[k] > 13 && b.p[k] < ' ')))
			return true;
	}
	return false;
}

/*
 * How far the server had come when the client began, or ended, what it never answered, against
 * RFC 854: nobody knows what a server would say to that.
 */
static uint64_t owes_from(const struct oracle *o)
{
	uint64_t since[2][256], said = 0, from = UINT64_MAX;
	uint8_t servers[2][256] = {{0}};

	memset(since, 0xff, sizeof since);
	for (size_t i = 0; i < o->item_n; i++) {
		const struct item *item = &o->items[i];
		struct bytes w = words(o, item);
		if (item->dir == JEEBS_TO_CLIENT)
			said += item->n;
		if (!is_option(w))
			continue;
		bool doing = w.p[1] >= 0xfd, on = (w.p[1] & 1) != 0;
		unsigned side = doing == (item->dir == JEEBS_TO_CLIENT);
		if (item->dir == JEEBS_TO_CLIENT) {
			since[side][w.p[2]] = UINT64_MAX;
			servers[side][w.p[2]] = on ? 1 : 2;
		} else if (on != (servers[side][w.p[2]] == 1) && said < since[side][w.p[2]]) {
			since[side][w.p[2]] = said;
		}
	}
	for (unsigned side = 0; side < 2; side++)
		for (unsigned k = 0; k < 256; k++)
			from = since[side][k] < from ? since[side][k] : from;
	return from;
}

/* The conversation is Telnet if it begins with an option, or with text and then an option. */
static int oracle_learned(void *oracle, uint64_t *ret_unasked)
{
	struct oracle *o = oracle;
	size_t i = 0;

	*ret_unasked = UINT64_MAX;
	while (i < o->item_n && !is_option(words(o, &o->items[i])) &&
	       !is_binary(&o->items[i], words(o, &o->items[i])))
		i++;
	o->foreign = i == o->item_n || !is_option(words(o, &o->items[i]));
	if (o->foreign)
		return 0;
	*ret_unasked = owes_from(o);
	/* What it began last, and did not end, says nothing to anybody. */
	if (o->scanned[JEEBS_TO_CLIENT] < o->stream[JEEBS_TO_CLIENT].n &&
	    o->scanned[JEEBS_TO_CLIENT] < *ret_unasked)
		*ret_unasked = o->scanned[JEEBS_TO_CLIENT];
	return 0;
}

/* ---- a connection -------------------------------------------------------------------- */

static void oracle_disconnect(void *connection)
{
	struct connection *c = connection;

	if (!c)
		return;
	if (c->verbatim)
		replay_oracle.disconnect(c->verbatim);
	buf_deinit(&c->in);
	free(c->heard);
	free(c);
}

static void *oracle_connect(void *oracle, const struct jeebs_cut *cut)
{
	const struct oracle *o = oracle;
	struct connection *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->oracle = o;
	if (o->foreign)
		c->verbatim = replay_oracle.connect(o->verbatim, cut);
	c->in = BUF_INIT(STREAM_MAX);
	c->state = JEEBS_ORACLE_OPEN;
	c->heard = calloc(o->item_n + 1, sizeof *c->heard);
	if (!c->heard || (o->foreign && !c->verbatim)) {
		oracle_disconnect(c);
		return NULL;
	}
	return c;
}

static bool is_window_size(struct bytes b)
{
	return b.n >= 3 && b.p[1] == SB && b.p[2] == NAWS;
}

/* A window size replaces those that the client sent before. Any of them may come first. */
static bool hear_window_size(struct connection *c, struct bytes said)
{
	const struct oracle *o = c->oracle;
	size_t first = o->item_n, last = o->item_n;

	for (size_t i = 0; i < o->item_n; i++) {
		const struct item *item = &o->items[i];
		if (item->dir != JEEBS_TO_SERVER || c->heard[i] || !is_window_size(words(o, item)))
			continue;
		if (first == o->item_n)
			first = i;
		if (last == o->item_n && bytes_eq(words(o, item), said))
			last = i;
	}
	if (first == o->item_n)
		return false;
	c->heard[first] = true;
	for (size_t i = first; last < o->item_n && i <= last; i++)
		c->heard[i] |= o->items[i].dir == JEEBS_TO_SERVER &&
			       is_window_size(words(o, &o->items[i]));
	return true;
}

/* Marks an item of the client as heard. It must be one that was not heard yet. */
static bool hear(struct connection *c, struct bytes said)
{
	const struct oracle *o = c->oracle;

	if (is_window_size(said))
		return hear_window_size(c, said);

	for (size_t i = 0; i < o->item_n; i++) {
		const struct item *item = &o->items[i];
		if (item->dir != JEEBS_TO_SERVER || item->text || c->heard[i])
			continue;
		if (bytes_eq(words(o, item), said)) {
			c->heard[i] = true;
			return true;
		}
	}
	return false;
}

/* Takes text of the client. It must be the next text that the client sent. */
static bool hear_text(struct connection *c, struct bytes said)
{
	const struct oracle *o = c->oracle;
	size_t at = 0;

	for (size_t i = 0; i < o->item_n && said.n > 0; i++) {
		const struct item *item = &o->items[i];
		if (item->dir != JEEBS_TO_SERVER || !item->text)
			continue;
		struct bytes w = words(o, item);
		size_t skip = c->text_n > at ? c->text_n - at : 0;
		at += w.n;
		w = bytes_from(w, skip);
		if (w.n == 0)
			continue;
		struct bytes part = bytes_head(said, w.n);
		if (!bytes_eq(part, bytes_head(w, part.n)))
			return false;
		said = bytes_from(said, part.n);
		c->text_n += part.n;
	}
	return said.n == 0;
}

static bool hear_all(struct connection *c)
{
	for (;;) {
		struct bytes b = bytes_from(buf_view(&c->in), c->scanned);
		bool text;
		size_t n = token(b, &text);
		if (n == 0)
			return true;
		b = bytes_head(b, n);
		if (text ? !hear_text(c, b) : !hear(c, b))
			return false;
		c->scanned += n;
	}
}

/* Whether the client's item was heard. */
static bool was_heard(struct connection *c, const struct item *item)
{
	if (!item->text)
		return item->idle || c->heard[c->next];
	if (c->text_n < c->text_used + item->n)
		return false;
	c->text_used += item->n;
	return true;
}

static int speak(struct connection *c, int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx)
{
	const struct oracle *o = c->oracle;

	if (c->over)
		return 0;
	for (; c->next < o->item_n; c->next++) {
		const struct item *item = &o->items[c->next];
		if (item->dir == JEEBS_TO_SERVER && !was_heard(c, item)) {
			if (o->lost && c->next >= o->said_n)
				/* Everything that is known was said. */
				c->state = JEEBS_ORACLE_UNKNOWN;
			return 0;
		}
		if (item->dir == JEEBS_TO_SERVER)
			continue;
		struct bytes w = words(o, item);
		int r = w.n > 0 ? answer(ctx, (struct jeebs_bytes){w.p, w.n}) : 0;
		if (r < 0)
			return r;
	}
	/* The rest is part of a token that the old server did not complete. */
	struct bytes rest =
		bytes_from(buf_view(&o->stream[JEEBS_TO_CLIENT]), o->scanned[JEEBS_TO_CLIENT]);
	int r = rest.n > 0 && !o->lost ? answer(ctx, (struct jeebs_bytes){rest.p, rest.n}) : 0;
	if (o->lost)
		c->state = JEEBS_ORACLE_UNKNOWN;
	else if (o->fin[JEEBS_TO_CLIENT])
		c->state = JEEBS_ORACLE_CLOSE;
	c->over = true;
	return r;
}

static int oracle_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	struct connection *c = connection;
	int r = 0;

	if (c->verbatim)
		return replay_oracle.receive(c->verbatim, b, eof, answer, ctx, ret_state);
	if (c->state == JEEBS_ORACLE_OPEN && (b.n > 0 || !c->over)) {
		r = buf_append(&c->in, b.p, b.n);
		bool known = r == 0 && hear_all(c);
		if (r == -ENOBUFS)
			r = 0;
		/* Everything that can be said is said, even if what comes next was not recorded. */
		if (r == 0)
			r = speak(c, answer, ctx);
		if (!known && c->state == JEEBS_ORACLE_OPEN)
			c->state = JEEBS_ORACLE_UNKNOWN;
	}
	if (r < 0)
		return r;
	/* One that spoke on when the client had finished does so. */
	if (eof && c->state == JEEBS_ORACLE_OPEN && c->over)
		c->state = JEEBS_ORACLE_CLOSE;
	*ret_state = c->state;
	return 0;
}

const struct jeebs_oracle telnet_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "telnet",
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

JEEBS_ORACLE_EXPORT(telnet_oracle);
