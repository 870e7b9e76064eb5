/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations made by OpenSSL, followed with their keys, cut at every byte, and gone on with:
 * what is sealed is what OpenSSL sealed, and OpenSSL's client understands it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "tls-follow.h"

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",
	"TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",
	"TLS_AES_128_CCM_SHA256",
	"TLS_AES_128_CCM_8_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES256-GCM-SHA384",
	"ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-ECDSA-AES128-CCM",
	"ECDHE-ECDSA-AES256-CCM8",
	"ECDHE-ECDSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA",
	"ECDHE-ECDSA-AES128-SHA256",
	"ECDHE-ECDSA-AES256-SHA384",
	/* Again, without encrypt-then-MAC. */
	"ECDHE-ECDSA-AES128-SHA",
	"ECDHE-ECDSA-AES256-SHA",
	"ECDHE-ECDSA-AES128-SHA256",
	"ECDHE-ECDSA-AES256-SHA384",
};
#define SUITES (sizeof suites / sizeof suites[0])

static bool is_without_etm(unsigned i)
{
	return i >= SUITES - 4;
}

static struct tls_rig *rig_of(unsigned i)
{
	return tls_rig_new(&(struct tls_rig_options){.suite = suites[i],
						     .no_encrypt_then_mac = is_without_etm(i)});
}

/* Someone who sees the conversation and has its keys. */
struct observer {
	struct tls_rig *rig;
	struct tls_session session;
	struct tls_crypto crypto;
	struct tls_follow follow[2];
	bool begun[2];
	struct buf plain[2];
	uint64_t at[2]; /* the bytes before this offset were followed */
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
};

static struct observer *observer_new(struct tls_rig *r)
{
	struct observer *o = calloc(1, sizeof *o);
	struct session_secrets secrets = tls_rig_secrets(r);

	assert_non_null(o);
	o->rig = r;
	o->crypto.ops = &session_crypto_ops;
	o->crypto.keys = session_crypto_init(o->room, &secrets);
	o->plain[0] = o->plain[1] = BUF_INIT(1u << 24);
	return o;
}

static void observer_free(struct observer *o)
{
	session_crypto_deinit(o->crypto.keys);
	buf_deinit(&o->plain[0]);
	buf_deinit(&o->plain[1]);
	free(o);
}

/* The keys as they are in @o, to seal with them without consequences. */
static struct tls_crypto copy_of(const struct observer *o, uint8_t room[SESSION_CRYPTO_BYTES])
{
	memcpy(room, o->room, SESSION_CRYPTO_BYTES);
	return (struct tls_crypto){(struct jeebs_keys *)(void *)room, &session_crypto_ops};
}

/* A copy of all that is known follows the record in pieces: it comes to the same. */
static void in_pieces(const struct observer *o, const struct tls_follow *f, struct bytes wire,
		      size_t size, struct tls_text *ret, uint8_t *out)
{
	static uint8_t room[SESSION_CRYPTO_BYTES];
	struct tls_crypto c = copy_of(o, room);
	struct tls_session session = o->session;
	struct tls_follow copy = *f;
	struct tls_wire w = {.bytes = wire.n};

	if (tls_suite_is_cbc(o->session.suite))
		size = wire.n; /* in one */
	for (size_t n = size > TLS_WIRE_FIRST ? size : TLS_WIRE_FIRST; wire.n > 0; n = size) {
		struct bytes b = w.n + 1 < TLS_WIRE_PIECES ? bytes_head(wire, n) : wire;
		w.piece[w.n++] = (struct jeebs_bytes){b.p, b.n};
		wire = bytes_from(wire, b.n);
	}
	assert_true(tls_follow_wire(&copy, &session, &c, &w, out, ret));
}

static void one_record(void *ctx, uint32_t dir, const struct tls_record *rec, bool sealed)
{
	static uint8_t out[TLS_PAYLOAD_MAX], other[TLS_PAYLOAD_MAX];
	struct observer *o = ctx;
	struct tls_follow *f = &o->follow[dir];
	struct bytes wire =
		bytes_of(o->rig->wire[dir].p + rec->off, (size_t)(tls_record_end(rec) - rec->off));
	struct tls_text text, again[2];

	o->at[dir] = tls_record_end(rec);
	if (!sealed)
		return;
	if (!o->begun[dir])
		assert_true(tls_follow_begin(f, &o->session, &o->crypto, dir));
	o->begun[dir] = true;
	in_pieces(o, f, wire, 1, &again[0], other);
	in_pieces(o, f, wire, 5000, &again[1], other);
	if (!tls_follow_record(f, &o->session, &o->crypto, wire, out, &text))
		fail_msg("%s", f->refused);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(again[i].type, text.type);
		assert_int_equal(again[i].n, text.n);
	}
	assert_memory_equal(other, out, text.n);
	if (text.type == TLS_DATA)
		buf_bytes(&o->plain[dir], bytes_of(out, text.n));
}

/* Follows what has come since the last call. */
static void observe(struct observer *o, uint32_t *io_chunk)
{
	const struct tls_rig *r = o->rig;

	for (; *io_chunk < r->order_n; ++*io_chunk) {
		const struct tls_rig_chunk *c = &r->order[*io_chunk];
		tls_session_take(&o->session, c->dir,
				 bytes_of(r->wire[c->dir].p + c->from, (size_t)(c->to - c->from)),
				 one_record, o);
		assert_null(o->session.refused);
	}
}

static struct bytes text_of(size_t n)
{
	static uint8_t text[40000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 7 + (i >> 8) + 1);
	return bytes_of(text, n);
}

static void assert_same(struct bytes a, struct bytes b)
{
	assert_int_equal(a.n, b.n);
	if (a.n > 0)
		assert_memory_equal(a.p, b.p, a.n);
}

static void check_plain(const struct observer *o)
{
	for (int dir = 0; dir < 2; dir++)
		assert_same(buf_view(&o->plain[dir]), buf_view(&o->rig->plain[dir]));
}

static void converse(struct tls_rig *r, bool tls13)
{
	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, text_of(20));
	tls_rig_say(r, JEEBS_TO_CLIENT, text_of(20000));
	if (!tls13)
		return;
	tls_rig_key_update(r, JEEBS_TO_SERVER, true);
	tls_rig_say(r, JEEBS_TO_SERVER, text_of(10));
	tls_rig_say(r, JEEBS_TO_CLIENT, text_of(10));
	tls_rig_key_update(r, JEEBS_TO_CLIENT, false);
	tls_rig_say(r, JEEBS_TO_CLIENT, text_of(30));
}

/* Of CBC, if @n bytes are out. */
static bool has_free_iv(const struct tls_suite *s, size_t n)
{
	return tls_suite_is_cbc(s) && n < TLS_HEADER_BYTES + 16;
}

/*
 * The record @whole, with content @content, cut behind its first @n bytes: known is what was out,
 * and sealing the same content gives the same record.
 */
static void check_cut(const struct observer *o, struct bytes whole, struct bytes content, size_t n)
{
	struct tls_protect p = o->follow[JEEBS_TO_CLIENT].protect;
	uint8_t room[SESSION_CRYPTO_BYTES], text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX];
	struct tls_crypto c = copy_of(o, room);
	struct tls_owed owed;
	size_t sealed_n;

	assert_int_equal(tls_owe(&p, &c, bytes_head(whole, n), text, &owed), TLS_OK);
	assert_int_equal(owed.type, TLS_DATA);
	assert_true(owed.least <= content.n && content.n <= owed.most);
	assert_memory_equal(text, content.p, owed.known < content.n ? owed.known : content.n);
	if (n >= TLS_HEADER_BYTES && !tls_suite_is_cbc(p.suite))
		assert_int_equal(owed.most, content.n);
	/* Nothing else may be sealed. */
	assert_int_equal(tls_seal(&p, &c, TLS_DATA, content, 0, out), TLS_OWED);
	assert_int_equal(tls_seal_owed(&p, &c, &owed, content, out, &sealed_n), TLS_OK);
	if (has_free_iv(p.suite, n))
		assert_memory_equal(out, whole.p, n); /* and it opens, see check_other() */
	else
		assert_same(bytes_of(out, sealed_n), whole);
	/* Once. */
	assert_int_equal(tls_seal_owed(&p, &c, &owed, content, out, &sealed_n), TLS_TOO_LONG);
	assert_int_equal(p.number, o->follow[JEEBS_TO_CLIENT].protect.number + 1);
	assert_int_equal(tls_seal(&p, &c, TLS_DATA, content, 0, out), TLS_OK);
}

/* With other content: sealed if what was out shows nothing of the difference. */
static void check_other(const struct observer *o, struct bytes whole, struct bytes content,
			size_t n)
{
	const struct tls_protect *before = &o->follow[JEEBS_TO_CLIENT].protect;
	bool cbc = tls_suite_is_cbc(before->suite);
	/* From here on it shows: of CBC, from four bytes of the block on, or it may be by chance.
	 */
	size_t shows = cbc ? TLS_HEADER_BYTES + 16 + (content.n - 1) / 16 * 16 + 4
			   : TLS_HEADER_BYTES + tls_suite_explicit_bytes(before->suite) + content.n;
	uint8_t room[SESSION_CRYPTO_BYTES], text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX];
	uint8_t other[64];
	struct tls_crypto c = copy_of(o, room);
	struct tls_protect p = *before, back;
	struct tls_owed owed;
	struct tls_text got;
	size_t sealed_n;

	memcpy(other, content.p, content.n);
	other[content.n - 1] ^= 1;
	assert_int_equal(tls_owe(&p, &c, bytes_head(whole, n), text, &owed), TLS_OK);
	enum tls_outcome r =
		tls_seal_owed(&p, &c, &owed, bytes_of(other, content.n), out, &sealed_n);
	if (cbc && n < shows && n + 4 > shows)
		return;
	if (n >= shows) {
		assert_int_equal(r, TLS_CONTRADICTS);
		for (size_t i = 0; i < whole.n; i++)
			assert_int_equal(out[i], 0); /* nothing of it is given away */
		assert_int_equal(tls_seal(&p, &c, TLS_DATA, content, 0, out), TLS_OWED);
		return;
	}
	assert_int_equal(r, TLS_OK);
	assert_memory_equal(out, whole.p, n);
	back = *before;
	assert_int_equal(tls_open(&back, &c, bytes_of(out, sealed_n), text, &got), TLS_OK);
	assert_same(bytes_of(text, got.n), bytes_of(other, content.n));
}

/* Less content: in TLS 1.3 zeros make up the length that is out, of CBC padding, otherwise nothing
 * can. */
static void check_shorter(const struct observer *o, struct bytes whole, struct bytes content,
			  size_t n)
{
	const struct tls_protect *before = &o->follow[JEEBS_TO_CLIENT].protect;
	uint8_t room[SESSION_CRYPTO_BYTES], text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX];
	struct tls_crypto c = copy_of(o, room);
	struct tls_protect p = *before, back;
	struct tls_owed owed;
	struct tls_text got;
	size_t sealed_n;

	assert_int_equal(tls_owe(&p, &c, bytes_head(whole, n), text, &owed), TLS_OK);
	struct bytes less = bytes_head(content, content.n / 2);
	enum tls_outcome r = tls_seal_owed(&p, &c, &owed, less, out, &sealed_n);
	if (tls_suite_is_cbc(before->suite) && n > TLS_HEADER_BYTES + 16) {
		/* Its first block is another one. */
		assert_true(r == TLS_CONTRADICTS || n < TLS_HEADER_BYTES + 16 + 4);
		return;
	}
	if (owed.known > less.n) {
		assert_true(r == TLS_CONTRADICTS ||
			    (r == TLS_TOO_LONG && (!before->suite->tls13 || owed.whole)));
		return;
	}
	if (!before->suite->tls13 && !tls_suite_is_cbc(before->suite) && n >= TLS_HEADER_BYTES) {
		assert_int_equal(r, TLS_TOO_LONG);
		return;
	}
	assert_int_equal(r, TLS_OK);
	assert_memory_equal(out, whole.p, n);
	if (n >= TLS_HEADER_BYTES)
		assert_int_equal(sealed_n, whole.n);
	back = *before;
	assert_int_equal(tls_open(&back, &c, bytes_of(out, sealed_n), text, &got), TLS_OK);
	assert_int_equal(got.type, TLS_DATA);
	assert_same(bytes_of(text, got.n), less);
}

/* A short record cut at each byte, and a long one at some. */
static void test_every_cut(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		bool tls13 = strncmp(suites[i], "TLS_", 4) == 0;
		struct tls_rig *r = rig_of(i);
		struct observer *o = observer_new(r);
		uint32_t chunk = 0;

		converse(r, tls13);
		observe(o, &chunk);
		check_plain(o);
		for (int k = 0; k < 2; k++) {
			struct bytes content = text_of(k == 0 ? 24 : 16384);
			uint64_t from = r->wire[JEEBS_TO_CLIENT].n;
			tls_rig_say(r, JEEBS_TO_CLIENT, content);
			struct bytes whole = bytes_from(buf_view(&r->wire[JEEBS_TO_CLIENT]), from);
			size_t step = k == 0 ? 1 : 1009;
			for (size_t n = 1; n < whole.n; n += step) {
				check_cut(o, whole, content, n);
				if (k == 0)
					check_other(o, whole, content, n);
				if (k == 0)
					check_shorter(o, whole, content, n);
			}
			check_cut(o, whole, content, whole.n - 1);
			observe(o, &chunk);
			check_plain(o);
		}
		observer_free(o);
		tls_rig_free(r);
	}
}

/* The client of OpenSSL gets the rest of a record from us, then further ones, and a new key. */
static void test_a_client_goes_on(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		bool tls13 = strncmp(suites[i], "TLS_", 4) == 0;
		for (size_t cut = 1; cut < 54; cut += 7) {
			struct tls_rig *r = rig_of(i);
			struct observer *o = observer_new(r);
			uint8_t text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX],
				update[TLS_UPDATE_BYTES];
			struct tls_follow *f = &o->follow[JEEBS_TO_CLIENT];
			struct bytes half = text_of(40);
			uint32_t chunk = 0;
			struct tls_owed owed;
			size_t n;

			converse(r, tls13);
			uint64_t from = r->wire[JEEBS_TO_CLIENT].n,
				 had = r->plain[JEEBS_TO_CLIENT].n;
			tls_rig_say_part(r, JEEBS_TO_CLIENT, half, cut);
			observe(o, &chunk);
			assert_int_equal(o->at[JEEBS_TO_CLIENT], from);
			struct bytes part = bytes_from(buf_view(&r->wire[JEEBS_TO_CLIENT]), from);
			assert_int_equal(part.n, cut);
			assert_int_equal(tls_owe(&f->protect, &o->crypto, part, text, &owed),
					 TLS_OK);
			assert_int_equal(
				tls_seal_owed(&f->protect, &o->crypto, &owed, half, out, &n),
				TLS_OK);
			tls_rig_deliver(r, JEEBS_TO_CLIENT, bytes_from(bytes_of(out, n), cut));
			assert_same(bytes_from(buf_view(&r->plain[JEEBS_TO_CLIENT]), had), half);
			if (tls13) {
				n = tls_follow_update(f, &o->crypto, cut & 1, update);
				assert_true(n > 0);
				tls_rig_deliver(r, JEEBS_TO_CLIENT, bytes_of(update, n));
			}
			/* With zeros behind it where that can be. */
			assert_int_equal(tls_seal(&f->protect, &o->crypto, TLS_DATA, text_of(100),
						  tls13 ? 33 : 0, out),
					 TLS_OK);
			n = tls_sealed_bytes(f->protect.suite, 100, tls13 ? 33 : 0);
			tls_rig_deliver(r, JEEBS_TO_CLIENT, bytes_of(out, n));
			assert_same(bytes_from(buf_view(&r->plain[JEEBS_TO_CLIENT]), had + 40),
				    text_of(100));
			assert_int_equal(tls_seal(&f->protect, &o->crypto, TLS_ALERT,
						  bytes_of("\1\0", 2), 0, out),
					 TLS_OK);
			tls_rig_deliver(r, JEEBS_TO_CLIENT,
					bytes_of(out, tls_sealed_bytes(f->protect.suite, 2, 0)));
			assert_true(SSL_get_shutdown(r->end[0]) & SSL_RECEIVED_SHUTDOWN);
			observer_free(o);
			tls_rig_free(r);
		}
	}
}

/* Padding, client certificates, a second hello, resumption, fragments: all followed. */
static void test_follows_what_there_is(void **state)
{
	struct tls_rig_options o[] = {
		{.suite = "TLS_AES_128_GCM_SHA256", .padding = 512, .alpn = "h2"},
		{.suite = "TLS_AES_256_GCM_SHA384", .client_certificate = true},
		{.suite = "TLS_CHACHA20_POLY1305_SHA256", .client_groups = "X25519:P-256"},
		{.suite = "TLS_AES_128_GCM_SHA256", .max_fragment = TLSEXT_max_fragment_length_512},
		{.suite = "ECDHE-ECDSA-AES128-GCM-SHA256", .client_certificate = true},
		{.suite = "TLS_AES_256_GCM_SHA384"}, /* resumed */
		{.suite = "ECDHE-ECDSA-AES256-GCM-SHA384"},
	};

	for (unsigned i = 0; i < sizeof o / sizeof o[0]; i++) {
		bool tls13 = strncmp(o[i].suite, "TLS_", 4) == 0;
		if (i >= 5) {
			struct tls_rig *before = tls_rig_new(&o[i]);
			converse(before, false);
			o[i].session = tls_rig_session(before);
			tls_rig_free(before);
		}
		struct tls_rig *r = tls_rig_new(&o[i]);
		struct observer *w = observer_new(r);
		uint32_t chunk = 0;
		converse(r, tls13);
		tls_rig_close(r, JEEBS_TO_CLIENT);
		observe(w, &chunk);
		check_plain(w);
		assert_int_equal(w->session.resumed, i == 5);
		assert_string_equal(w->session.alpn, o[i].alpn ? o[i].alpn : "");
		assert_int_equal(w->session.max_fragment, o[i].max_fragment);
		assert_true(w->follow[JEEBS_TO_CLIENT].closed);
		assert_false(w->follow[JEEBS_TO_SERVER].closed);
		assert_int_equal(w->follow[JEEBS_TO_CLIENT].updates, tls13 ? 2 : 0);
		SSL_SESSION_free(o[i].session);
		observer_free(w);
		tls_rig_free(r);
	}
}

/* ---- numbers that are lost and found -------------------------------------------------------- */

static void test_finds_the_number_again(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct tls_rig *r = rig_of(i);
		struct observer *o = observer_new(r);
		uint8_t out[TLS_PAYLOAD_MAX];
		uint32_t chunk = 0;
		struct tls_text text;

		converse(r, false);
		observe(o, &chunk);
		struct tls_protect p = o->follow[JEEBS_TO_CLIENT].protect, q = p;
		for (int k = 0; k < 50; k++) /* not seen */
			tls_rig_say(r, JEEBS_TO_CLIENT, text_of(5));
		uint64_t from = r->wire[JEEBS_TO_CLIENT].n, number = p.number + 50;
		tls_rig_say(r, JEEBS_TO_CLIENT, text_of(77));
		struct bytes wire = bytes_from(buf_view(&r->wire[JEEBS_TO_CLIENT]), from);
		/* Just out of the bound, and just within. */
		assert_int_equal(
			tls_open_within(&q, &o->crypto, wire, p.number, number - 1, out, &text),
			TLS_FORGED);
		assert_int_equal(q.number, p.number);
		assert_int_equal(
			tls_open_within(&q, &o->crypto, wire, p.number, number, out, &text),
			TLS_OK);
		assert_same(bytes_of(out, text.n), text_of(77));
		assert_int_equal(q.number, number + 1);
		/* OpenSSL counts its explicit nonces, so that a gap does not matter. */
		assert_int_equal(tls_seal(&q, &o->crypto, TLS_DATA, text_of(3), 0, out), TLS_OK);
		observer_free(o);
		tls_rig_free(r);
	}
}

/* A server that does not count its explicit nonces leaves none that is known to be unused. */
static void test_nonces_that_do_not_count(void **state)
{
	struct tls_rig *r =
		tls_rig_new(&(struct tls_rig_options){.suite = "ECDHE-ECDSA-AES128-GCM-SHA256"});
	struct observer *o = observer_new(r);
	uint8_t room[SESSION_CRYPTO_BYTES], out[TLS_PAYLOAD_MAX], text[TLS_PAYLOAD_MAX];
	uint32_t chunk = 0;
	struct tls_owed owed;
	size_t n;

	converse(r, false);
	observe(o, &chunk);
	struct tls_protect p = o->follow[JEEBS_TO_CLIENT].protect, q = p;
	struct tls_crypto c = copy_of(o, room);
	tls_pass_over(&p, bytes_of("\x17\3\3\0\x20"
				   "12345678xxxxxxxxxxxxxxxxxxxxxxxx",
				   37));
	assert_int_equal(tls_seal(&p, &c, TLS_DATA, text_of(3), 0, out), TLS_NO_NONCE);
	/* Neither is one of which a part is out that is not the next one. */
	uint8_t wrong[] = {0x17, 3, 3, 0, 0x20, 0};
	wrong[5] = (uint8_t) ~((q.nonce_ahead + q.number) >> 56);
	assert_int_equal(tls_owe(&q, &c, bytes_of(wrong, sizeof wrong), text, &owed), TLS_NO_NONCE);
	/* But one that is out as a whole is what it is. */
	q = o->follow[JEEBS_TO_CLIENT].protect;
	assert_int_equal(tls_owe(&q, &c,
				 bytes_of("\x17\3\3\0\x20"
					  "12345678",
					  13),
				 text, &owed),
			 TLS_OK);
	assert_int_equal(owed.least, 8);
	assert_int_equal(tls_seal_owed(&q, &c, &owed, text_of(8), out, &n), TLS_OK);
	assert_int_equal(n, 37);
	assert_int_equal(tls_seal(&q, &c, TLS_DATA, text_of(3), 0, out), TLS_NO_NONCE);
	observer_free(o);
	tls_rig_free(r);
}

/* ---- keys that do not fit ------------------------------------------------------------------- */

static void record_of_other_keys(void *ctx, uint32_t dir, const struct tls_record *rec, bool sealed)
{
	static uint8_t out[TLS_PAYLOAD_MAX];
	struct observer *o = ctx;
	struct tls_text text;

	if (!sealed || dir != JEEBS_TO_CLIENT || o->follow[dir].refused)
		return;
	if (!o->begun[dir] && !tls_follow_begin(&o->follow[dir], &o->session, &o->crypto, dir))
		return;
	o->begun[dir] = true;
	tls_follow_record(
		&o->follow[dir], &o->session, &o->crypto,
		bytes_of(o->rig->wire[dir].p + rec->off, (size_t)(tls_record_end(rec) - rec->off)),
		out, &text);
}

static const char *refusal(struct tls_rig *r)
{
	struct observer *o = observer_new(r);

	for (uint32_t i = 0; i < r->order_n; i++)
		tls_session_take(&o->session, r->order[i].dir,
				 bytes_of(r->wire[r->order[i].dir].p + r->order[i].from,
					  (size_t)(r->order[i].to - r->order[i].from)),
				 record_of_other_keys, o);
	const char *why = o->follow[JEEBS_TO_CLIENT].refused;
	observer_free(o);
	return why;
}

static void test_keys_that_do_not_fit(void **state)
{
	for (unsigned i = 0; i < SUITES; i += 5) {
		bool tls13 = strncmp(suites[i], "TLS_", 4) == 0;
		struct tls_rig *r = rig_of(i);
		converse(r, tls13);
		assert_null(refusal(r));
		/* The right one comes second: another one has the same client random. */
		uint32_t n = r->secret_n;
		for (uint32_t k = n; k-- > 0;) {
			r->secret[2 * k + 1] = r->secret[k];
			r->secret[2 * k] = r->secret[2 * k + 1];
			r->secret[2 * k].bytes[0] ^= 1;
		}
		r->secret_n = 2 * n;
		assert_null(refusal(r));
		/* Only wrong ones. */
		for (uint32_t k = 0; k < n; k++)
			r->secret[2 * k + 1] = r->secret[2 * k];
		assert_string_equal(refusal(r), "keys-of-another-session");
		r->secret_n = 0;
		assert_string_equal(refusal(r), "keys-missing");
		tls_rig_free(r);
	}
}

/* What no record can be of which so much was out. */
static void test_owed_records_that_cannot_be(void **state)
{
	static const struct {
		const char *wire;
		size_t n;
	} wrong[] = {{"", 0},
		     {"\x16", 1},
		     {"\x17\2", 2},
		     {"\x17\3\3\x50", 4},
		     {"\x17\3\3\0\x10", 5},
		     {"\x17\3\3\0\x14"
		      "xxxxxxxxxxxxxxxxxxxx",
		      25},
		     {"\x17\3\3\x42\0", 5}};
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suites[0]});
	struct observer *o = observer_new(r);
	uint8_t text[TLS_PAYLOAD_MAX], out[TLS_RECORD_MAX];
	uint32_t chunk = 0;
	struct tls_owed owed;

	converse(r, true);
	observe(o, &chunk);
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct tls_protect p = o->follow[JEEBS_TO_CLIENT].protect;
		assert_int_equal(
			tls_owe(&p, &o->crypto, bytes_of(wrong[i].wire, wrong[i].n), text, &owed),
			TLS_MALFORMED);
		assert_int_equal(tls_seal(&p, &o->crypto, TLS_DATA, text_of(1), 0, out), TLS_OWED);
	}
	/* More than fits. */
	struct tls_protect p = o->follow[JEEBS_TO_CLIENT].protect;
	assert_int_equal(tls_seal(&p, &o->crypto, TLS_DATA, text_of(16385), 0, out), TLS_TOO_LONG);
	assert_int_equal(tls_seal(&p, &o->crypto, TLS_DATA, text_of(16384), 1, out), TLS_TOO_LONG);
	assert_int_equal(p.number, o->follow[JEEBS_TO_CLIENT].protect.number);
	observer_free(o);
	tls_rig_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_a_client_goes_on),
		cmocka_unit_test(test_follows_what_there_is),
		cmocka_unit_test(test_finds_the_number_again),
		cmocka_unit_test(test_nonces_that_do_not_count),
		cmocka_unit_test(test_keys_that_do_not_fit),
		cmocka_unit_test(test_owed_records_that_cannot_be),
	};
	return cmocka_run_group_tests_name("tls-protect", tests, NULL, NULL);
}
