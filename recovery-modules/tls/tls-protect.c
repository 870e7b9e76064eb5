/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-protect.h"

#include "tls-cbc.h"

#define VERSION_12 0x0303u /* of a record of 1.3 too */
#define AAD_MAX    13

void tls_protect_key(struct tls_protect *p, const struct tls_suite *s, uint32_t key)
{
	*p = (struct tls_protect){.suite = s, .key = key};
}

static size_t explicit_bytes(const struct tls_protect *p)
{
	return tls_suite_explicit_bytes(p->suite);
}

static uint64_t number_at(const uint8_t *b)
{
	uint64_t v = 0;

	for (int i = 0; i < 8; i++)
		v = v << 8 | b[i];
	return v;
}

static void put_number(uint8_t *b, uint64_t v)
{
	for (int i = 0; i < 8; i++)
		b[i] = (uint8_t)(v >> (56 - 8 * i));
}

/* The record with the current number has this explicit nonce. */
static void note_nonce(struct tls_protect *p, uint64_t nonce)
{
	if (p->has_nonce && nonce - p->number != p->nonce_ahead)
		p->no_count = true;
	p->has_nonce = true;
	p->nonce_ahead = nonce - p->number;
}

/* The nonce of a record that is not on the wire. False: none is known to be unused. */
static bool next_nonce(const struct tls_protect *p, uint64_t *ret)
{
	*ret = explicit_bytes(p) ? p->number + p->nonce_ahead : p->number;
	return explicit_bytes(p) == 0 || (p->has_nonce && !p->no_count);
}

/* More records than a server seals before anybody misses one. */
#define NONCES_SKIPPED ((uint64_t)1 << 40)

void tls_skip_nonces(struct tls_protect *p)
{
	if (explicit_bytes(p) > 0)
		p->nonce_ahead += NONCES_SKIPPED;
}

/* What the tag covers besides the text, of @n bytes. */
static struct jeebs_bytes additional(const struct tls_protect *p, const uint8_t *header, size_t n,
				     uint8_t room[static AAD_MAX])
{
	if (p->suite->tls13) {
		memcpy(room, header, TLS_HEADER_BYTES);
		return (struct jeebs_bytes){room, TLS_HEADER_BYTES};
	}
	put_number(room, p->number);
	memcpy(room + 8, header, 3);
	room[11] = (uint8_t)(n >> 8);
	room[12] = (uint8_t)n;
	return (struct jeebs_bytes){room, AAD_MAX};
}

/* ---- opening -------------------------------------------------------------------------------- */

static enum tls_outcome outcome_of(int crypto)
{
	return crypto == JEEBS_CRYPTO_OK       ? TLS_OK
	       : crypto == JEEBS_CRYPTO_FORGED ? TLS_FORGED
					       : TLS_FAILED;
}

/* Takes the type and the zeros off what was sealed (RFC 8446 section 5.4). */
static enum tls_outcome read_inner(const uint8_t *text, size_t n, struct tls_text *ret)
{
	size_t end = n;

	while (end > 0 && text[end - 1] == 0)
		end--;
	if (end == 0 || end - 1 > TLS_PLAIN_MAX)
		return TLS_MALFORMED;
	*ret = (struct tls_text){.type = text[end - 1], .n = end - 1, .pad = n - end};
	return TLS_OK;
}

/* What is sealed of the record: all behind @skipped, which the first piece has. */
static int open_sealed(const struct tls_protect *p, const struct tls_crypto *c, uint64_t nonce,
		       struct jeebs_bytes aad, const struct tls_wire *wire, size_t skipped,
		       uint8_t *out)
{
	struct tls_wire sealed = *wire;

	sealed.piece[0].p += skipped;
	sealed.piece[0].n -= skipped;
	if (sealed.n == 1)
		return c->ops->open(c->keys, p->key, nonce, aad, sealed.piece[0], out);
	return c->ops->open_pieces(c->keys, p->key, nonce, aad, sealed.piece, sealed.n, out);
}

enum tls_outcome tls_open_wire(struct tls_protect *p, const struct tls_crypto *c,
			       const struct tls_wire *wire, uint8_t *out, struct tls_text *ret)
{
	size_t explicit = explicit_bytes(p), around = explicit + p->suite->tag;
	const uint8_t *header = wire->piece[0].p;
	struct tls_text text = {0};
	uint8_t room[AAD_MAX];

	if (tls_suite_is_cbc(p->suite))
		return tls_cbc_open(p, c, bytes_of(header, wire->piece[0].n), out, ret);
	if (wire->bytes < TLS_HEADER_BYTES)
		return TLS_FORGED;
	size_t payload = wire->bytes - TLS_HEADER_BYTES;
	if (payload < around || payload > TLS_PAYLOAD_MAX ||
	    payload != (size_t)(header[3] << 8 | header[4]) ||
	    (p->suite->tls13 && header[0] != TLS_DATA))
		return TLS_FORGED;
	uint64_t nonce = explicit ? number_at(header + TLS_HEADER_BYTES) : p->number;
	text.type = header[0];
	text.n = payload - around;
	struct jeebs_bytes aad = additional(p, header, text.n, room);
	enum tls_outcome r =
		outcome_of(open_sealed(p, c, nonce, aad, wire, TLS_HEADER_BYTES + explicit, out));
	if (r == TLS_OK && p->suite->tls13)
		r = read_inner(out, text.n, &text);
	if (r != TLS_OK)
		return r;
	if (text.n > TLS_PLAIN_MAX)
		return TLS_MALFORMED;
	if (explicit)
		note_nonce(p, nonce);
	p->number++;
	*ret = text;
	return TLS_OK;
}

enum tls_outcome tls_open(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			  uint8_t *out, struct tls_text *ret)
{
	struct tls_wire one = tls_wire_of(wire);

	return tls_open_wire(p, c, &one, out, ret);
}

enum tls_outcome tls_open_within(struct tls_protect *p, const struct tls_crypto *c,
				 struct bytes wire, uint64_t from, uint64_t to, uint8_t *out,
				 struct tls_text *ret)
{
	enum tls_outcome r = TLS_FORGED;

	for (uint64_t n = from; n <= to && r == TLS_FORGED; n++) {
		struct tls_protect try = *p;
		try.number = n;
		r = tls_open(&try, c, wire, out, ret);
		if (r == TLS_OK)
			*p = try;
		if (n == UINT64_MAX)
			break;
	}
	return r;
}

void tls_pass_over(struct tls_protect *p, struct bytes wire)
{
	struct bytes payload = bytes_from(wire, TLS_HEADER_BYTES);

	if (explicit_bytes(p) && payload.n >= 8)
		note_nonce(p, number_at(payload.p));
	p->number++;
}

/* ---- sealing -------------------------------------------------------------------------------- */

size_t tls_sealed_bytes(const struct tls_suite *s, size_t n, size_t pad)
{
	size_t inner = s->tls13 ? n + 1 + pad : n;

	if (tls_suite_is_cbc(s))
		return tls_cbc_sealed_bytes(s, n);
	return TLS_HEADER_BYTES + tls_suite_explicit_bytes(s) + inner + s->tag;
}

static size_t payload_max(const struct tls_suite *s)
{
	return s->tls13 ? TLS_PAYLOAD_MAX_13 : TLS_PAYLOAD_MAX;
}

/* What a record is made of. In TLS 1.3 the type is that inside. */
struct made {
	uint64_t nonce;
	uint16_t version;
	uint8_t type;
	struct bytes content;
	size_t pad;
};

/*
 * The one place that seals. It moves the number before it does, so that whatever becomes of the
 * record, no other one is sealed under its number.
 */
static enum tls_outcome seal(struct tls_protect *p, const struct tls_crypto *c,
			     const struct made *m, uint8_t *out)
{
	const struct tls_suite *s = p->suite;
	size_t whole = tls_sealed_bytes(s, m->content.n, m->pad), explicit = explicit_bytes(p);
	size_t inner = s->tls13 ? m->content.n + 1 + m->pad : m->content.n;
	uint8_t *text = out + TLS_HEADER_BYTES + explicit, room[AAD_MAX];

	tls_header(s->tls13 ? TLS_DATA : m->type, m->version, whole - TLS_HEADER_BYTES, out);
	if (explicit)
		put_number(out + TLS_HEADER_BYTES, m->nonce);
	if (m->content.n > 0)
		memcpy(text, m->content.p, m->content.n);
	if (s->tls13) {
		text[m->content.n] = m->type;
		memset(text + m->content.n + 1, 0, m->pad);
	}
	struct jeebs_bytes aad = additional(p, out, inner, room);
	struct jeebs_bytes in = {text, inner};
	if (explicit)
		note_nonce(p, m->nonce);
	p->number++;
	if (c->ops->seal(c->keys, p->key, m->nonce, aad, in, text) == JEEBS_CRYPTO_OK)
		return TLS_OK;
	memset(out, 0, whole);
	return TLS_FAILED;
}

enum tls_outcome tls_seal(struct tls_protect *p, const struct tls_crypto *c, uint8_t type,
			  struct bytes b, size_t pad, uint8_t *out)
{
	struct made m = {.version = VERSION_12, .type = type, .content = b, .pad = pad};

	if (p->owed)
		return TLS_OWED;
	if (b.n > TLS_PLAIN_MAX || pad > TLS_PLAIN_MAX - b.n || (pad > 0 && !p->suite->tls13))
		return TLS_TOO_LONG;
	if (tls_suite_is_cbc(p->suite))
		return tls_cbc_seal(p, c, type, b, out);
	if (!next_nonce(p, &m.nonce))
		return TLS_NO_NONCE;
	return seal(p, c, &m, out);
}

/* ---- a record that was cut ------------------------------------------------------------------ */

/* Bytes of payload that a record may have of which @wire was out. False: it cannot be one. */
static bool payload_range(const struct tls_suite *s, struct bytes wire, size_t *ret_from,
			  size_t *ret_to)
{
	size_t around = tls_sealed_bytes(s, 0, 0) - TLS_HEADER_BYTES;
	size_t from = around, to = around + TLS_PLAIN_MAX;

	if (wire.n >= 4) {
		size_t low = (size_t)wire.p[3] << 8, high = low | 0xff;
		if (wire.n >= TLS_HEADER_BYTES) {
			low |= wire.p[4];
			high = low;
			to = payload_max(s);
		}
		from = low > from ? low : from;
		to = high < to ? high : to;
	}
	*ret_from = from;
	*ret_to = to;
	return from <= to;
}

static uint16_t version_of(struct bytes wire)
{
	uint8_t major = wire.n > 1 ? wire.p[1] : 3, minor = wire.n > 2 ? wire.p[2] : 3;

	return (uint16_t)(major << 8 | minor);
}

/* The nonce of the record of which @wire was out. */
static bool owed_nonce(const struct tls_protect *p, struct bytes wire, uint64_t *ret)
{
	struct bytes out = bytes_head(bytes_from(wire, TLS_HEADER_BYTES), explicit_bytes(p));
	uint8_t next[8];

	if (out.n == 8) {
		*ret = number_at(out.p);
		/* It is used, whatever it is; that others of this key have another one is the
		 * server's business. */
		return true;
	}
	if (!next_nonce(p, ret))
		return false;
	put_number(next, *ret);
	return out.n == 0 || memcmp(next, out.p, out.n) == 0;
}

enum tls_outcome tls_owe(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			 uint8_t *text, struct tls_owed *ret)
{
	const struct tls_suite *s = p->suite;
	struct tls_owed o = {.wire = wire, .type = wire.n > 0 ? wire.p[0] : TLS_DATA};
	size_t around = tls_sealed_bytes(s, 0, 0) - TLS_HEADER_BYTES, from, to;
	uint64_t nonce;

	if (tls_suite_is_cbc(s))
		return tls_cbc_owe(p, c, wire, text, ret);
	p->owed = true;
	if (wire.n == 0 || version_of(wire) >> 8 != 3 || !payload_range(s, wire, &from, &to) ||
	    (wire.n >= TLS_HEADER_BYTES && wire.n - TLS_HEADER_BYTES >= from) ||
	    (s->tls13 && o.type != TLS_DATA))
		return TLS_MALFORMED;
	if (!owed_nonce(p, wire, &nonce))
		return TLS_NO_NONCE;
	o.most = to - around < TLS_PLAIN_MAX ? to - around : TLS_PLAIN_MAX;
	o.least = s->tls13 ? 0 : from - around;
	if (o.least > o.most)
		return TLS_MALFORMED;
	struct bytes sealed = bytes_from(wire, TLS_HEADER_BYTES + explicit_bytes(p));
	o.known = sealed.n < from - explicit_bytes(p) - s->tag ? sealed.n
							       : from - explicit_bytes(p) - s->tag;
	struct jeebs_bytes in = {sealed.p, o.known};
	if (o.known > 0 && c->ops->peek(c->keys, p->key, nonce, 0, in, text) != JEEBS_CRYPTO_OK)
		return TLS_FAILED;
	o.whole = wire.n >= TLS_HEADER_BYTES && sealed.n >= from - explicit_bytes(p) - s->tag;
	if (o.whole)
		o.tag = sealed.n - o.known;
	if (o.whole && s->tls13) {
		struct tls_text t;
		if (read_inner(text, o.known, &t) != TLS_OK)
			return TLS_MALFORMED;
		o.type = t.type;
		o.known = o.least = o.most = t.n;
	}
	*ret = o;
	return TLS_OK;
}

enum tls_outcome tls_seal_owed(struct tls_protect *p, const struct tls_crypto *c,
			       const struct tls_owed *o, struct bytes content, uint8_t *out,
			       size_t *ret_n)
{
	struct made m = {.version = version_of(o->wire), .type = o->type, .content = content};
	size_t from, to, whole = tls_sealed_bytes(p->suite, content.n, 0);

	if (tls_suite_is_cbc(p->suite))
		return tls_cbc_seal_owed(p, c, o, content, out, ret_n);
	if (!p->owed || content.n < o->least || content.n > o->most)
		return TLS_TOO_LONG;
	if (!payload_range(p->suite, o->wire, &from, &to) || !owed_nonce(p, o->wire, &m.nonce))
		return TLS_FAILED;
	/* The shortest record that can be: zeros only where the length is owed. */
	if (p->suite->tls13 && whole - TLS_HEADER_BYTES < from)
		m.pad = from - (whole - TLS_HEADER_BYTES);
	enum tls_outcome r = seal(p, c, &m, out);
	whole += m.pad;
	if (r == TLS_OK && (whole <= o->wire.n || memcmp(out, o->wire.p, o->wire.n) != 0)) {
		memset(out, 0, whole);
		r = TLS_CONTRADICTS;
	}
	if (r != TLS_OK)
		return r; /* and it stays owed */
	p->owed = false;
	p->owed_said = content.n;
	*ret_n = whole;
	return TLS_OK;
}
