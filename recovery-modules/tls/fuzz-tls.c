/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Hostile bytes, in the clear and under the keys. First byte:
 *
 *	'c'	what follows are pieces: direction, length, bytes. In any other pieces the
 *		session comes to the same.
 *	's'	suite, then messages of the server: type, zeros, length, bytes. They are sealed as
 *		they are, and followed. The last one is cut at every byte: what is sealed for
 *		it begins with what was out, and is what was to be said. What it could be
 *		besides data is completed as that, and followed.
 */
#include <stdlib.h>

#include "base/demand.h"
#include "jeebs/recovery-module.h"
#include "keyvault/crypto/session-crypto.h"
#include "tls-fill.h"
#include "tls-follow.h"

const char *const fuzz_outcomes[] = {"clear",
				     "sealed in the open",
				     "not-tls",
				     "handshake-failed",
				     "data",
				     "finished",
				     "key changed",
				     "closed",
				     "not followed",
				     "completed",
				     "completed with other content",
				     "not completed",
				     "completed as a message",
				     NULL};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* ---- in the clear --------------------------------------------------------------------------- */

static void show(struct reader r, size_t piece, struct tls_session *s)
{
	*s = (struct tls_session){0};
	while (reader_left(&r) > 0) {
		uint32_t dir = reader_u8(&r) & 1;
		struct bytes b = reader_bytes(&r, reader_u16be(&r));
		for (; b.n > 0; b = bytes_from(b, piece))
			tls_session_take(s, dir, bytes_head(b, piece), NULL, NULL);
	}
}

static void clear(struct reader r)
{
	static struct tls_session s, t;

	show(r, SIZE_MAX, &s);
	for (size_t piece = 1; piece < 9; piece += 3) {
		show(r, piece, &t);
		demand(s.refused == t.refused);
		/* What is refused may have been refused in the middle of a piece. */
		demand(s.refused || memcmp(&s, &t, sizeof s) == 0);
	}
	if (!s.refused)
		reached("clear");
	else if (strcmp(s.refused, "not-tls") == 0)
		reached("not-tls");
	else if (strcmp(s.refused, "handshake-failed") == 0)
		reached("handshake-failed");
	if (s.side[0].sealed + s.side[1].sealed > 0)
		reached("sealed in the open");
}

/* ---- under the keys ------------------------------------------------------------------------- */

static bool find(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
		 enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	static const uint8_t secret[48] = {1, 2, 3};
	const struct tls_suite *suite = ctx;

	*ret = bytes_of(secret, suite->tls13 ? tls_suite_hash_bytes(suite) : TLS_MASTER_BYTES);
	return candidate == 0;
}

struct end {
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
	struct tls_crypto c;
	struct tls_follow f;
	struct tls_session s;
};

static void begin(struct end *e, const struct tls_suite *suite)
{
	struct session_secrets secrets = {find, (void *)suite};

	*e = (struct end){.s.suite = suite};
	e->c.ops = &session_crypto_ops;
	e->c.keys = session_crypto_init(e->room, &secrets);
	demand(tls_follow_begin(&e->f, &e->s, &e->c, JEEBS_TO_CLIENT));
	/* OpenSSL begins anywhere; so does this server. */
	e->f.protect.has_nonce = true;
	e->f.protect.nonce_ahead = 0xfffffffffffffff0;
}

/* Both ends have the same key, for the one who reads says when it changes. */
static void same_key(struct end *from, struct end *to)
{
	struct jeebs_key_spec spec = {.kind = JEEBS_KEY_TLS13_APPLICATION,
				      .dir = JEEBS_TO_CLIENT,
				      .suite = to->s.suite->number};
	uint32_t key = from->f.protect.key;

	if (from->f.protect.key == to->f.protect.key)
		return;
	if (from->f.handshake && !to->f.handshake) {
		from->f.handshake = false;
		demand(from->c.ops->derive(from->c.keys, &spec, &key) == JEEBS_CRYPTO_OK);
		reached("finished");
	} else {
		demand(from->c.ops->next(from->c.keys, key, &key) == JEEBS_CRYPTO_OK);
		reached("key changed");
	}
	demand(key == to->f.protect.key);
	tls_protect_key(&from->f.protect, to->s.suite, key);
}

/* The record @whole is cut behind @n bytes, and was to say @content. */
static void cut(const struct end *reader, struct bytes whole, struct bytes content, size_t n)
{
	static uint8_t text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX];
	static struct end e, back;
	struct tls_owed owed;
	struct tls_text got;
	size_t sealed_n;

	memcpy(&e, reader, sizeof e);
	e.c.keys = (struct jeebs_keys *)(void *)e.room;
	memcpy(&back, &e, sizeof e);
	back.c.keys = (struct jeebs_keys *)(void *)back.room;
	if (tls_owe(&e.f.protect, &e.c, bytes_head(whole, n), text, &owed) != TLS_OK ||
	    tls_seal_owed(&e.f.protect, &e.c, &owed, content, out, &sealed_n) != TLS_OK) {
		demand(tls_seal(&e.f.protect, &e.c, TLS_DATA, BYTES_NONE, 0, out) == TLS_OWED);
		reached("not completed");
		return;
	}
	demand(sealed_n > n && memcmp(out, whole.p, n) == 0);
	demand(tls_open(&back.f.protect, &back.c, bytes_of(out, sealed_n), text, &got) == TLS_OK);
	demand(bytes_eq(bytes_of(text, got.n), content));
	reached(bytes_eq(bytes_of(out, sealed_n), whole) ? "completed"
							 : "completed with other content");
}

/* The same, and nobody knows what it was to say: whoever follows understands what is made of it. */
static void cut_fill(const struct end *reader, struct bytes whole, size_t n)
{
	static uint8_t text[TLS_PAYLOAD_MAX], made[TLS_PLAIN_MAX], out[TLS_RECORD_MAX];
	static struct end e, back;
	struct tls_owed owed;
	struct tls_text got;
	size_t sealed_n;

	memcpy(&e, reader, sizeof e);
	e.c.keys = (struct jeebs_keys *)(void *)e.room;
	memcpy(&back, &e, sizeof e);
	back.c.keys = (struct jeebs_keys *)(void *)back.room;
	if (tls_owe(&e.f.protect, &e.c, bytes_head(whole, n), text, &owed) != TLS_OK)
		return;
	enum tls_fill what = tls_fill_find(e.s.suite, &owed, text);
	if (what == TLS_FILL_NONE)
		return;
	size_t content = tls_fill_make(what, &owed, text, made);
	demand(content > 0);
	owed.type = tls_fill_type(what);
	demand(tls_seal_owed(&e.f.protect, &e.c, &owed, bytes_of(made, content), out, &sealed_n) ==
	       TLS_OK);
	demand(sealed_n > n && memcmp(out, whole.p, n) == 0);
	/* In the middle of a message there is none: nothing is completed there. */
	if (back.f.messages.have > 0 || back.f.handshake || back.f.closed)
		return;
	demand(tls_follow_record(&back.f, &back.s, &back.c, bytes_of(out, sealed_n), text, &got) ||
	       strcmp(back.f.refused, "too-many-key-updates") == 0);
	demand(got.type == owed.type && back.f.messages.have == 0);
	demand(back.f.closed == (what == TLS_FILL_CLOSE));
	reached("completed as a message");
}

static void cuts(const struct end *reader, struct bytes whole, struct bytes content)
{
	static const uint8_t other[64];

	for (size_t n = 1; n < whole.n; n += 1 + whole.n / 64) {
		cut(reader, whole, content, n);
		cut(reader, whole, bytes_head(bytes_of(other, sizeof other), content.n), n);
		cut(reader, whole, bytes_head(content, content.n / 2), n);
		cut_fill(reader, whole, n);
	}
}

static void sealed(struct reader r)
{
	static const uint16_t numbers[] = {0x1301, 0x1302, 0x1303, 0xc02b, 0xcca9, 0xc0ae};
	const struct tls_suite *suite = tls_suite_find(numbers[reader_u8(&r) % 6]);
	static uint8_t wire[TLS_RECORD_MAX], out[TLS_PAYLOAD_MAX];
	static struct end server, observer;
	struct tls_text text;

	begin(&server, suite);
	begin(&observer, suite);
	while (reader_left(&r) > 0 && !observer.f.refused) {
		uint8_t type = reader_u8(&r), pad = reader_u8(&r);
		struct bytes b = reader_bytes(&r, reader_u16be(&r));
		pad = suite->tls13 ? pad : 0;
		type = type ? type : 1; /* 0 is padding */
		if (!reader_ok(&r) || tls_seal(&server.f.protect, &server.c, type, b, pad, wire))
			return;
		struct bytes whole = bytes_of(wire, tls_sealed_bytes(suite, b.n, pad));
		if (reader_left(&r) == 0)
			cuts(&observer, whole, b);
		if (!tls_follow_record(&observer.f, &observer.s, &observer.c, whole, out, &text)) {
			reached("not followed");
			return;
		}
		demand(text.type == type && bytes_eq(bytes_of(out, text.n), b));
		if (text.type == TLS_DATA)
			reached("data");
		if (observer.f.closed)
			reached("closed");
		same_key(&server, &observer);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct reader r = reader_init(bytes_of(data, size));

	switch (reader_u8(&r)) {
	case 'c':
		clear(r);
		break;
	case 's':
		sealed(r);
		break;
	}
	return 0;
}
