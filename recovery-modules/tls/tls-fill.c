/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-fill.h"

#include "tls-hello.h"

#define GREASE 0x0a /* twice: an extension that nobody knows (RFC 8701) */

/* Content being made: what was out, then whatever is fitting. */
struct making {
	struct bytes known;
	uint8_t *out;
	size_t n, max;
	bool wrong;
};

/* The next byte: the one that was out, or @wish. */
static uint8_t put(struct making *m, uint8_t wish)
{
	if (m->n >= m->max) {
		m->wrong = true;
		return 0;
	}
	uint8_t b = m->n < m->known.n ? m->known.p[m->n] : wish;
	m->out[m->n++] = b;
	return b;
}

static void put_some(struct making *m, size_t n)
{
	for (size_t i = 0; i < n && !m->wrong; i++)
		put(m, 0);
}

/*
 * A length of @bytes bytes that is at most @most, and @wish if none of it was out. Of a part the
 * rest is made as long as it may be.
 */
static size_t put_length(struct making *m, int bytes, size_t wish, size_t most)
{
	size_t v = 0, out = m->known.n > m->n ? m->known.n - m->n : 0;

	if (out == 0)
		most = wish < most ? wish : most;
	for (int i = bytes - 1; i >= 0; i--) {
		size_t above = v << 8, unit = (size_t)1 << (8 * i);
		/* The largest byte with which it is not beyond @most. */
		size_t top = most / unit > above ? most / unit - above : 0;
		v = above | put(m, (uint8_t)(top < 255 ? top : 255));
	}
	m->wrong |= v > most;
	return v;
}

/* Extensions of @n bytes: those that were out, and one that is passed over. */
static void put_extensions(struct making *m, size_t n)
{
	while (n > 0 && !m->wrong) {
		m->wrong |= n < 4;
		put(m, GREASE);
		put(m, GREASE);
		size_t one = put_length(m, 2, n - 4, n - 4);
		put_some(m, one);
		n -= m->wrong ? n : 4 + one;
	}
}

/* NewSessionTicket (RFC 8446 section 4.6.1), whose lifetime is over at once if none was out. */
static void make_ticket(struct making *m)
{
	const size_t around = 4 + 4 + 1 + 2 + 2, least = around + 1;

	if (m->max < 4 + least) {
		m->wrong = true;
		return;
	}
	put(m, TLS_NEW_SESSION_TICKET);
	size_t n = put_length(m, 3, m->max - 4, m->max - 4);
	m->wrong |= n < least;
	put_some(m, 4 + 4);
	size_t nonce = put_length(m, 1, 0, m->wrong ? 0 : n - least);
	put_some(m, nonce);
	m->wrong |= nonce > n - least;
	size_t rest = m->wrong ? 1 : n - around - nonce;
	/* Behind a ticket there is an extension, or nothing. */
	size_t ticket = put_length(m, 2, rest, rest);
	m->wrong |= ticket == 0 || ticket > rest;
	put_some(m, m->wrong ? 0 : ticket);
	size_t left = m->wrong ? 0 : rest - ticket;
	size_t extensions = put_length(m, 2, left, left);
	m->wrong |= extensions != left;
	put_extensions(m, m->wrong ? 0 : extensions);
}

static void make_update(struct making *m)
{
	static const uint8_t message[] = {TLS_KEY_UPDATE, 0, 0, 1, 0};

	for (size_t i = 0; i < sizeof message - 1; i++)
		m->wrong |= put(m, message[i]) != message[i];
	m->wrong |= put(m, 0) > 1;
}

static void make_close(struct making *m)
{
	m->wrong |= put(m, 1) != 1; /* a warning */
	m->wrong |= put(m, 0) != 0;
}

uint8_t tls_fill_type(enum tls_fill what)
{
	return what == TLS_FILL_CLOSE ? TLS_ALERT : TLS_HANDSHAKE;
}

bool tls_fill_ends(const struct tls_owed *o, const uint8_t *text, size_t n, uint8_t type)
{
	if (n >= o->known)
		return true;
	for (size_t i = n + 1; i < o->known; i++)
		if (text[i] != 0)
			return false;
	return o->least == 0 && text[n] == type;
}

size_t tls_fill_make(enum tls_fill what, const struct tls_owed *o, const uint8_t *text,
		     uint8_t *out)
{
	struct making m = {.known = bytes_of(text, o->known), .out = out, .max = o->most};

	switch (what) {
	case TLS_FILL_TICKET:
		make_ticket(&m);
		break;
	case TLS_FILL_UPDATE:
		make_update(&m);
		break;
	case TLS_FILL_CLOSE:
		make_close(&m);
		break;
	case TLS_FILL_NONE:
		m.wrong = true;
	}
	return m.wrong || m.n < o->least || !tls_fill_ends(o, text, m.n, tls_fill_type(what)) ? 0
											      : m.n;
}

/* Which it could be, by its first byte: if it is longer, it is padded. */
static enum tls_fill guess(const struct tls_suite *s, const struct tls_owed *o, const uint8_t *text)
{
	if (!s->tls13)
		return o->type == TLS_ALERT ? TLS_FILL_CLOSE : TLS_FILL_NONE;
	if (o->known == 0)
		return TLS_FILL_NONE; /* anything may be there, data too */
	switch (text[0]) {
	case TLS_NEW_SESSION_TICKET:
		return TLS_FILL_TICKET;
	case TLS_KEY_UPDATE:
		return TLS_FILL_UPDATE;
	case 1: /* a warning */
		return TLS_FILL_CLOSE;
	default:
		return TLS_FILL_NONE;
	}
}

enum tls_fill tls_fill_find(const struct tls_suite *s, const struct tls_owed *o,
			    const uint8_t *text)
{
	uint8_t made[TLS_PLAIN_MAX];
	enum tls_fill what = guess(s, o, text);

	if (o->whole && what != TLS_FILL_NONE && o->type != tls_fill_type(what))
		return TLS_FILL_NONE;
	return tls_fill_make(what, o, text, made) > 0 ? what : TLS_FILL_NONE;
}
