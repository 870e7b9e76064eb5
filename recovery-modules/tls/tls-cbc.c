/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tls-cbc.h"

#include "jeebs/recovery-module.h"

#define VERSION_12 0x0303u
#define BLOCK      16u
#define PAD_MAX    256u

static size_t least_pad(const struct tls_suite *s, size_t n)
{
	return BLOCK - (n + (s->etm ? 0 : s->tag)) % BLOCK;
}

/* Bytes of payload that are neither content nor padding. */
static size_t around(const struct tls_suite *s)
{
	return BLOCK + s->tag;
}

static size_t payload_of(const struct tls_suite *s, size_t n)
{
	return around(s) + n + least_pad(s, n);
}

size_t tls_cbc_sealed_bytes(const struct tls_suite *s, size_t n)
{
	return TLS_HEADER_BYTES + payload_of(s, n);
}

enum tls_outcome tls_cbc_open(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			      uint8_t *out, struct tls_text *ret)
{
	struct bytes payload = bytes_from(wire, TLS_HEADER_BYTES);
	struct tls_text text = {0};

	if (wire.n < TLS_HEADER_BYTES || payload.n > TLS_PAYLOAD_MAX ||
	    payload.n != (size_t)(wire.p[3] << 8 | wire.p[4]))
		return TLS_FORGED;
	if (!JEEBS_HAS(c->ops, open_cbc))
		return TLS_FAILED;
	int r = c->ops->open_cbc(c->keys, p->key, p->number, (struct jeebs_bytes){wire.p, 3},
				 (struct jeebs_bytes){payload.p, payload.n}, out, &text.n);
	if (r != JEEBS_CRYPTO_OK)
		return r == JEEBS_CRYPTO_FORGED ? TLS_FORGED : TLS_FAILED;
	if (text.n > TLS_PLAIN_MAX)
		return TLS_MALFORMED;
	text.type = wire.p[0];
	p->number++;
	*ret = text;
	return TLS_OK;
}

/* Makes a record with this padding, under @iv if it is not empty. The number does not move. */
static enum tls_outcome make(const struct tls_protect *p, const struct tls_crypto *c, uint8_t type,
			     uint16_t version, struct jeebs_bytes iv, struct bytes b, size_t pad,
			     uint8_t *out)
{
	tls_header(type, version, around(p->suite) + b.n + pad, out);
	if (!JEEBS_HAS(c->ops, seal_cbc) ||
	    c->ops->seal_cbc(c->keys, p->key, p->number, (struct jeebs_bytes){out, 3}, iv,
			     (struct jeebs_bytes){b.p, b.n}, pad,
			     out + TLS_HEADER_BYTES) != JEEBS_CRYPTO_OK)
		return TLS_FAILED;
	return TLS_OK;
}

enum tls_outcome tls_cbc_seal(struct tls_protect *p, const struct tls_crypto *c, uint8_t type,
			      struct bytes b, uint8_t *out)
{
	const struct jeebs_bytes random = {NULL, 0};
	enum tls_outcome r = make(p, c, type, VERSION_12, random, b, least_pad(p->suite, b.n), out);

	p->number++;
	return r;
}

/* ---- a record that was cut ------------------------------------------------------------------ */

/* The length is out: of so many bytes content and padding are made. False: it cannot be one. */
static bool content_and_pad(const struct tls_suite *s, struct bytes wire, size_t *ret)
{
	size_t n = (size_t)(wire.p[3] << 8 | wire.p[4]);

	if (n <= around(s) || n > TLS_PAYLOAD_MAX || (n - (s->etm ? s->tag : 0)) % BLOCK != 0 ||
	    wire.n - TLS_HEADER_BYTES >= n)
		return false;
	*ret = n - around(s);
	return true;
}

/* How long the content may be. False: no record is so long. */
static bool find_range(const struct tls_suite *s, struct bytes wire, struct tls_owed *o)
{
	size_t sum, low = 0, high = SIZE_MAX;

	o->most = TLS_PLAIN_MAX;
	if (wire.n >= TLS_HEADER_BYTES) {
		if (!content_and_pad(s, wire, &sum))
			return false;
		o->least = sum > PAD_MAX ? sum - PAD_MAX : 0;
		if (sum - 1 < o->most)
			o->most = sum - 1;
		return o->least <= o->most;
	}
	if (wire.n == 4) {
		low = (size_t)wire.p[3] << 8;
		high = low | 0xff;
	}
	while (o->most > 0 && payload_of(s, o->most) > high)
		o->most--;
	for (o->least = 0; o->least < o->most && payload_of(s, o->least) < low;)
		o->least++;
	return payload_of(s, o->most) <= high && payload_of(s, o->least) >= low;
}

enum tls_outcome tls_cbc_owe(struct tls_protect *p, const struct tls_crypto *c, struct bytes wire,
			     uint8_t *text, struct tls_owed *ret)
{
	struct tls_owed o = {.wire = wire, .type = wire.n > 0 ? wire.p[0] : TLS_DATA};
	struct bytes sealed = bytes_from(wire, TLS_HEADER_BYTES);

	p->owed = true;
	if (wire.n == 0 || (wire.n > 1 && wire.p[1] != 3) || !find_range(p->suite, wire, &o))
		return TLS_MALFORMED;
	sealed = bytes_head(sealed, sealed.n / BLOCK * BLOCK);
	if (sealed.n > BLOCK &&
	    c->ops->peek(c->keys, p->key, p->number, 0, (struct jeebs_bytes){sealed.p, sealed.n},
			 text) != JEEBS_CRYPTO_OK)
		return TLS_FAILED;
	o.known = sealed.n > BLOCK ? sealed.n - BLOCK : 0;
	/* Behind that it may be the MAC, or padding. */
	o.known = o.known < o.least ? o.known : o.least;
	*ret = o;
	return TLS_OK;
}

/* The IV that was out, or a random one that begins as what was. */
static enum tls_outcome find_iv(const struct tls_protect *p, const struct tls_crypto *c,
				const struct tls_owed *o, uint8_t *room, uint8_t iv[static BLOCK])
{
	struct bytes out = bytes_head(bytes_from(o->wire, TLS_HEADER_BYTES), BLOCK);
	const struct jeebs_bytes random = {NULL, 0};

	if (out.n < BLOCK) {
		if (make(p, c, TLS_DATA, VERSION_12, random, BYTES_NONE, least_pad(p->suite, 0),
			 room) != TLS_OK)
			return TLS_FAILED;
		memcpy(iv, room + TLS_HEADER_BYTES, BLOCK);
	}
	if (out.n > 0)
		memcpy(iv, out.p, out.n);
	return TLS_OK;
}

enum tls_outcome tls_cbc_seal_owed(struct tls_protect *p, const struct tls_crypto *c,
				   const struct tls_owed *o, struct bytes content, uint8_t *out,
				   size_t *ret_n)
{
	uint16_t version = (uint16_t)(0x300 | (o->wire.n > 2 ? o->wire.p[2] : 3));
	bool fixed = o->wire.n >= TLS_HEADER_BYTES;
	/* Data may be said in two records as well, a message not. */
	size_t least = fixed && o->type == TLS_DATA ? o->least : content.n;
	size_t sum = content.n + least_pad(p->suite, content.n);
	uint8_t iv[BLOCK];

	if (!p->owed || content.n < o->least || content.n > o->most)
		return TLS_TOO_LONG;
	if ((fixed && !content_and_pad(p->suite, o->wire, &sum)) ||
	    find_iv(p, c, o, out, iv) != TLS_OK)
		return TLS_FAILED;
	size_t whole = TLS_HEADER_BYTES + around(p->suite) + sum;
	/* The record's content may be shorter than what there is to say. */
	for (size_t n = content.n + 1; n-- > least;) {
		if (make(p, c, o->type, version, (struct jeebs_bytes){iv, BLOCK},
			 bytes_head(content, n), sum - n, out) != TLS_OK)
			return TLS_FAILED;
		if (memcmp(out, o->wire.p, o->wire.n) != 0)
			continue;
		p->owed = false;
		p->number++;
		p->owed_said = n;
		*ret_n = whole;
		return TLS_OK;
	}
	memset(out, 0, whole);
	return TLS_CONTRADICTS;
}
