/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations that OpenSSL made: each record opens, is read in part, and is sealed to the very
 * same bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "base/reader.h"
#include "keyvault/record/tls-suite.h"
#include "session-crypto.h"
#include "test/tls-rig.h"

static const struct {
	const char *name;
	uint16_t number;
} suites[] = {
	{"TLS_AES_128_GCM_SHA256", 0x1301},        {"TLS_AES_256_GCM_SHA384", 0x1302},
	{"TLS_CHACHA20_POLY1305_SHA256", 0x1303},  {"TLS_AES_128_CCM_SHA256", 0x1304},
	{"TLS_AES_128_CCM_8_SHA256", 0x1305},      {"ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b},
	{"ECDHE-ECDSA-AES256-GCM-SHA384", 0xc02c}, {"ECDHE-ECDSA-CHACHA20-POLY1305", 0xcca9},
	{"ECDHE-ECDSA-AES128-CCM", 0xc0ac},        {"ECDHE-ECDSA-AES256-CCM", 0xc0ad},
	{"ECDHE-ECDSA-AES128-CCM8", 0xc0ae},       {"ECDHE-ECDSA-AES256-CCM8", 0xc0af},
};
#define SUITES (sizeof suites / sizeof suites[0])

/* One direction of a conversation, read record by record. */
struct follower {
	struct jeebs_keys *keys;
	const struct tls_suite *suite;
	struct reader wire;
	struct buf plain; /* application data */
	uint32_t dir, key;
	uint64_t number;
	bool started; /* something was sealed */
	bool etm;
	uint32_t records, updates;
};

static struct jeebs_bytes given(struct bytes b)
{
	return (struct jeebs_bytes){b.p, b.n};
}

/* The additional data of a record (RFC 8446 section 5.2, RFC 5246 section 6.2.3.3). */
static struct bytes additional(const struct follower *f, struct bytes header, size_t n,
			       uint8_t out[static 13])
{
	if (f->suite->tls13) {
		memcpy(out, header.p, 5);
		return bytes_of(out, 5);
	}
	for (int i = 0; i < 8; i++)
		out[i] = (uint8_t)(f->number >> (56 - 8 * i));
	memcpy(out + 8, header.p, 3);
	out[11] = (uint8_t)(n >> 8);
	out[12] = (uint8_t)n;
	return bytes_of(out, 13);
}

/* Reads any part of the record without its tag; it is what the whole has there. */
static void check_parts(const struct follower *f, uint64_t nonce, struct bytes sealed,
			struct bytes text)
{
	uint8_t part[20000];
	size_t step = text.n / 7 + 1;

	for (size_t from = 0; from < text.n; from += step) {
		for (size_t n = 1; n <= text.n - from; n += step) {
			assert_int_equal(session_crypto_ops.peek(
						 f->keys, f->key, nonce, from,
						 given(bytes_head(bytes_from(sealed, from), n)),
						 part),
					 JEEBS_CRYPTO_OK);
			assert_memory_equal(part, text.p + from, n);
		}
	}
}

/* A changed bit anywhere, another number or other additional data is found out. */
static void check_forged(const struct follower *f, uint64_t nonce, struct bytes aad,
			 struct bytes sealed)
{
	uint8_t copy[20000], out[20000];
	const size_t places[] = {0, sealed.n / 2, sealed.n - 1};
	const struct jeebs_crypto_ops *c = &session_crypto_ops;

	for (unsigned i = 0; i < 3; i++) {
		memcpy(copy, sealed.p, sealed.n);
		copy[places[i]] ^= 0x10;
		assert_int_equal(c->open(f->keys, f->key, nonce, given(aad),
					 given(bytes_of(copy, sealed.n)), out),
				 JEEBS_CRYPTO_FORGED);
	}
	assert_int_equal(c->open(f->keys, f->key, nonce + 1, given(aad), given(sealed), out),
			 JEEBS_CRYPTO_FORGED);
	assert_int_equal(
		c->open(f->keys, f->key, nonce, given(bytes_from(aad, 1)), given(sealed), out),
		JEEBS_CRYPTO_FORGED);
	assert_int_equal(c->open(f->keys, f->key, nonce, given(aad),
				 given(bytes_head(sealed, f->suite->tag - 1u)), out),
			 JEEBS_CRYPTO_FORGED);
}

static void check_sealed_again(struct follower *f, uint64_t nonce, struct bytes aad,
			       struct bytes text, struct bytes sealed)
{
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	uint8_t out[20000];

	assert_int_equal(c->seal(f->keys, f->key, nonce, given(aad), given(text), out),
			 JEEBS_CRYPTO_OK);
	assert_memory_equal(out, sealed.p, sealed.n);
	/* Not twice, not backwards, and none is left out. */
	assert_int_equal(c->seal(f->keys, f->key, nonce, given(aad), given(text), out),
			 JEEBS_CRYPTO_USED);
	assert_int_equal(c->seal(f->keys, f->key, nonce - 1, given(aad), given(text), out),
			 JEEBS_CRYPTO_USED);
	assert_int_equal(c->seal(f->keys, f->key, nonce + 2, given(aad), given(text), out),
			 JEEBS_CRYPTO_USED);
}

static struct jeebs_key_spec spec_of(const struct tls_rig *r, const struct follower *f,
				     uint32_t kind)
{
	struct jeebs_key_spec s = {.kind = kind, .dir = f->dir, .suite = f->suite->number};

	memcpy(s.client_random, r->wire[JEEBS_TO_SERVER].p + 11, 32);
	memcpy(s.server_random, r->wire[JEEBS_TO_CLIENT].p + 11, 32);
	return s;
}

static void set_key(const struct tls_rig *r, struct follower *f, uint32_t kind)
{
	struct jeebs_key_spec spec = spec_of(r, f, kind);
	uint32_t again;

	assert_int_equal(session_crypto_ops.derive(f->keys, &spec, &f->key), JEEBS_CRYPTO_OK);
	assert_int_equal(session_crypto_ops.derive(f->keys, &spec, &again), JEEBS_CRYPTO_OK);
	assert_int_equal(f->key, again);
	f->number = 0;
	f->started = true;
}

#define PIECES_MAX 16

static int open_cut(const struct follower *f, uint64_t nonce, struct bytes aad, struct bytes sealed,
		    size_t first, size_t size, size_t n, uint8_t *out)
{
	struct jeebs_bytes piece[PIECES_MAX + 1];

	for (size_t i = 0; i < n; i++) {
		struct bytes b = i + 1 < n ? bytes_head(sealed, i == 0 ? first : size) : sealed;
		piece[i] = given(b);
		sealed = bytes_from(sealed, b.n);
	}
	return session_crypto_ops.open_pieces(f->keys, f->key, nonce, given(aad), piece, n, out);
}

/* In whatever pieces it lies, it is the same record; and not with another byte in one of them. */
static void check_pieces(const struct follower *f, uint64_t nonce, struct bytes aad,
			 struct bytes sealed, struct bytes text)
{
	static const size_t sizes[] = {0, 1, 7, 16, 17, 1000};
	static uint8_t out[20000], copy[20000];

	for (size_t first = 0; first < 40; first += 3)
		for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
			size_t n = 2 + (first + s) % (PIECES_MAX - 1);
			memset(out, 0xaa, text.n);
			assert_int_equal(open_cut(f, nonce, aad, sealed, first, sizes[s], n, out),
					 JEEBS_CRYPTO_OK);
			assert_memory_equal(out, text.p, text.n);
			memcpy(copy, sealed.p, sealed.n);
			copy[(first * 31 + s) % sealed.n] ^= 4;
			assert_int_equal(open_cut(f, nonce, aad, bytes_of(copy, sealed.n), first,
						  sizes[s], n, out),
					 JEEBS_CRYPTO_FORGED);
			for (size_t i = 0; i < text.n; i++)
				assert_int_equal(out[i], 0);
		}
	/* The tag in two of them. */
	assert_int_equal(open_cut(f, nonce, aad, sealed, sealed.n - 3, 0, 2, out), JEEBS_CRYPTO_OK);
	assert_memory_equal(out, text.p, text.n);
	assert_int_equal(open_cut(f, nonce, aad, sealed, 1, 1, PIECES_MAX + 1, out),
			 JEEBS_CRYPTO_FAILED);
	assert_int_equal(
		open_cut(f, nonce, aad, bytes_head(sealed, f->suite->tag - 1u), 1, 1, 3, out),
		JEEBS_CRYPTO_FORGED);
	assert_int_equal(
		session_crypto_ops.open_pieces(f->keys, 99, nonce, given(aad), NULL, 0, out),
		JEEBS_CRYPTO_NO_KEY);
}

/* Opens one sealed record. Returns its plaintext, in @out. */
static struct bytes follow_record(struct follower *f, struct bytes header, struct bytes payload,
				  uint8_t *out)
{
	size_t explicit = tls_suite_explicit_bytes(f->suite);
	struct reader r = reader_init(payload);
	uint64_t nonce = explicit ? reader_u64be(&r) : f->number;
	struct bytes sealed = bytes_from(payload, explicit);
	size_t n = sealed.n - f->suite->tag;
	uint8_t aad_room[13];
	struct bytes aad = additional(f, header, n, aad_room);

	assert_int_equal(
		session_crypto_ops.open(f->keys, f->key, nonce, given(aad), given(sealed), out),
		JEEBS_CRYPTO_OK);
	check_parts(f, nonce, sealed, bytes_of(out, n));
	check_forged(f, nonce, aad, sealed);
	check_pieces(f, nonce, aad, sealed, bytes_of(out, n));
	check_sealed_again(f, nonce, aad, bytes_of(out, n), sealed);
	f->number++;
	f->records++;
	return bytes_of(out, n);
}

/* What a record of TLS 1.3 means for the keys: after Finished and KeyUpdate there are others. */
static void hear_inner(const struct tls_rig *r, struct follower *f, struct bytes text)
{
	size_t n = text.n;

	while (n > 0 && text.p[n - 1] == 0)
		n--;
	assert_true(n > 0);
	uint8_t type = text.p[--n];
	if (type == 23)
		buf_bytes(&f->plain, bytes_head(text, n));
	/* OpenSSL has Finished at the end of a record. */
	const uint8_t finished[] = {20, 0, 0, (uint8_t)tls_suite_hash_bytes(f->suite)};
	size_t finished_n = sizeof finished + finished[3];
	if (type == 22 && n >= finished_n &&
	    memcmp(text.p + n - finished_n, finished, sizeof finished) == 0)
		set_key(r, f, JEEBS_KEY_TLS13_APPLICATION);
	if (type == 22 && n == 5 && text.p[0] == 24) {
		uint32_t next, again;
		assert_int_equal(session_crypto_ops.next(f->keys, f->key, &next), JEEBS_CRYPTO_OK);
		assert_int_equal(session_crypto_ops.next(f->keys, f->key, &again), JEEBS_CRYPTO_OK);
		assert_int_equal(next, again);
		assert_true(next != f->key);
		f->key = next;
		f->number = 0;
		f->updates++;
	}
}

static void follow(const struct tls_rig *r, struct follower *f)
{
	static uint8_t out[20000];

	while (reader_left(&f->wire) > 0) {
		struct bytes header = reader_bytes(&f->wire, 5);
		struct bytes payload =
			reader_bytes(&f->wire, (size_t)(header.p[3] << 8 | header.p[4]));
		assert_true(reader_ok(&f->wire));
		if (header.p[0] == 20) { /* ChangeCipherSpec: 1.3 does not mean it */
			if (!f->suite->tls13)
				set_key(r, f, JEEBS_KEY_TLS12);
			continue;
		}
		if (f->suite->tls13 && header.p[0] == 23 && !f->started)
			set_key(r, f, JEEBS_KEY_TLS13_HANDSHAKE);
		if (!f->started)
			continue;
		struct bytes text = follow_record(f, header, payload, out);
		if (f->suite->tls13)
			hear_inner(r, f, text);
		else if (header.p[0] == 23)
			buf_bytes(&f->plain, text);
	}
}

static void check_conversation(struct tls_rig *r, uint16_t number, uint32_t updates)
{
	struct jeebs_keys *keys;
	struct session_secrets secrets = tls_rig_secrets(r);
	void *room = calloc(1, SESSION_CRYPTO_BYTES);

	keys = session_crypto_init(room, &secrets);
	for (uint32_t dir = 0; dir < 2; dir++) {
		struct follower f = {.keys = keys,
				     .suite = tls_suite_find(number),
				     .wire = reader_init(buf_view(&r->wire[dir])),
				     .plain = BUF_INIT(1u << 24),
				     .dir = dir};
		assert_non_null(f.suite);
		follow(r, &f);
		assert_true(bytes_eq(buf_view(&f.plain), buf_view(&r->plain[dir])));
		assert_true(f.records >= 3);
		assert_int_equal(f.updates, updates);
		buf_deinit(&f.plain);
	}
	session_crypto_deinit(keys);
	for (size_t i = 0; i < SESSION_CRYPTO_BYTES; i++)
		assert_int_equal(((uint8_t *)room)[i], 0);
	free(room);
}

static struct bytes text_of(size_t n)
{
	static uint8_t text[40000];

	for (size_t i = 0; i < sizeof text; i++)
		text[i] = (uint8_t)(i * 7 + (i >> 8));
	return bytes_of(text, n);
}

static void test_every_suite(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suites[i].name});
		bool tls13 = suites[i].number >> 8 == 0x13;

		tls_rig_handshake(r);
		tls_rig_say(r, JEEBS_TO_SERVER, text_of(1));
		tls_rig_say(r, JEEBS_TO_CLIENT, text_of(20000));
		if (tls13) {
			tls_rig_key_update(r, JEEBS_TO_SERVER, true);
			tls_rig_say(r, JEEBS_TO_CLIENT, text_of(100));
			tls_rig_say(r, JEEBS_TO_SERVER, text_of(100));
			tls_rig_key_update(r, JEEBS_TO_CLIENT, false);
			tls_rig_key_update(r, JEEBS_TO_SERVER, false);
		}
		tls_rig_say(r, JEEBS_TO_CLIENT, text_of(333));
		tls_rig_say(r, JEEBS_TO_SERVER, text_of(17));
		tls_rig_close(r, JEEBS_TO_CLIENT);
		check_conversation(r, suites[i].number, tls13 ? 2 : 0);
		tls_rig_free(r);
	}
}

/* ---- what there is no key for --------------------------------------------------------------- */

struct found {
	struct bytes secret[4];
	uint32_t n;
	uint32_t asked;
};

static bool find_listed(void *ctx, const uint8_t client_random[static TLS_RANDOM_BYTES],
			enum tls_secret label, uint32_t candidate, struct bytes *ret)
{
	struct found *f = ctx;

	f->asked++;
	if (label != TLS_SERVER_APPLICATION || candidate >= f->n)
		return false;
	*ret = f->secret[candidate];
	return true;
}

static void test_several_secrets(void **state)
{
	static const uint8_t a[48] = {1}, b[48] = {2};
	struct found found = {.secret = {bytes_of(a, 32), bytes_of(a, 48), bytes_of(b, 32)},
			      .n = 3};
	struct session_secrets secrets = {.find = find_listed, .ctx = &found};
	struct jeebs_key_spec spec = {
		.kind = JEEBS_KEY_TLS13_APPLICATION, .dir = JEEBS_TO_CLIENT, .suite = 0x1301};
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	void *room = calloc(1, SESSION_CRYPTO_BYTES);
	struct jeebs_keys *k = session_crypto_init(room, &secrets);
	uint32_t first = 0, second = 0, other = 0;

	assert_int_equal(c->derive(k, &spec, &first), JEEBS_CRYPTO_OK);
	spec.candidate = 1; /* the one of another length is not counted */
	assert_int_equal(c->derive(k, &spec, &second), JEEBS_CRYPTO_OK);
	assert_true(first != second);
	spec.candidate = 2;
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_KEY);
	spec = (struct jeebs_key_spec){
		.kind = JEEBS_KEY_TLS13_APPLICATION, .dir = JEEBS_TO_CLIENT, .suite = 0x1302};
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_OK);
	spec.dir = JEEBS_TO_SERVER; /* there is none with that label */
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_KEY);
	spec.dir = 2;
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_KEY);
	spec = (struct jeebs_key_spec){.kind = 77, .suite = 0x1301};
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_KEY);
	spec.kind = JEEBS_KEY_TLS13_APPLICATION;
	spec.suite = 0xc02b; /* of TLS 1.2 */
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_SUITE);
	spec.kind = JEEBS_KEY_TLS12;
	spec.suite = 0xc072; /* CAMELLIA-128-CBC */
	assert_int_equal(c->derive(k, &spec, &other), JEEBS_CRYPTO_NO_SUITE);
	session_crypto_deinit(k);
	free(room);
}

static void test_handles_have_a_ceiling(void **state)
{
	static const uint8_t a[32] = {1};
	struct found found = {.secret = {bytes_of(a, 32)}, .n = 1};
	struct session_secrets secrets = {.find = find_listed, .ctx = &found};
	struct jeebs_key_spec spec = {
		.kind = JEEBS_KEY_TLS13_APPLICATION, .dir = JEEBS_TO_CLIENT, .suite = 0x1303};
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	const struct jeebs_bytes none = {0};
	void *room = calloc(1, SESSION_CRYPTO_BYTES);
	struct jeebs_keys *k = session_crypto_init(room, &secrets);
	uint32_t key = 0, behind = 0;
	uint8_t out[64];

	assert_int_equal(c->open(k, 1, 0, none, none, out), JEEBS_CRYPTO_NO_KEY);
	assert_int_equal(c->derive(k, &spec, &key), JEEBS_CRYPTO_OK);
	for (int i = 1; i < SESSION_CRYPTO_KEYS; i++)
		assert_int_equal(c->next(k, key, &key), JEEBS_CRYPTO_OK);
	assert_int_equal(key, SESSION_CRYPTO_KEYS);
	assert_int_equal(c->next(k, key, &behind), JEEBS_CRYPTO_FAILED);
	/* Those that are there still serve. */
	assert_int_equal(c->seal(k, key, 0, none, none, out), JEEBS_CRYPTO_OK);
	assert_int_equal(c->open(k, key, 0, none, (struct jeebs_bytes){out, 16}, out + 32),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(c->seal(k, 0, 0, none, none, out), JEEBS_CRYPTO_NO_KEY);
	assert_int_equal(c->peek(k, key + 1, 0, 0, none, out), JEEBS_CRYPTO_NO_KEY);
	assert_int_equal(c->next(k, key + 1, &behind), JEEBS_CRYPTO_NO_KEY);
	/* More than a message may have. */
	const struct jeebs_bytes large = {room, JEEBS_CRYPTO_BYTES_MAX + 1};
	assert_int_equal(c->seal(k, key, 1, none, large, out), JEEBS_CRYPTO_FAILED);
	assert_int_equal(c->open(k, key, 1, none, large, out), JEEBS_CRYPTO_FAILED);
	assert_int_equal(c->peek(k, key, 1, 0, large, out), JEEBS_CRYPTO_FAILED);
	session_crypto_deinit(k);
	free(room);
}

/* ---- CBC ------------------------------------------------------------------------------------ */

/* What @f has a key for is not opened, and nothing of it is given away. */
static void check_cbc_forged(const struct follower *f, struct bytes head, struct bytes in)
{
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	uint8_t out[20000];
	size_t n;

	memset(out, 7, sizeof out);
	assert_int_equal(c->open_cbc(f->keys, f->key, f->number, given(head), given(in), out, &n),
			 JEEBS_CRYPTO_FORGED);
	for (size_t i = 0; i < in.n; i++)
		assert_true(out[i] == 0 || out[i] == 7);
}

/* Each byte of padding counts, though the MAC is not over it: blocks of nothing else. */
static void check_cbc_padding(const struct follower *f, struct bytes head, struct bytes text,
			      size_t pad)
{
	size_t n = 16 + text.n + pad + f->suite->tag, behind = f->etm ? f->suite->tag : 0, m;
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	uint8_t sealed[20000], out[20000];

	assert_int_equal(c->seal_cbc(f->keys, f->key, f->number, given(head), given(BYTES_NONE),
				     given(text), pad, sealed),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(c->open_cbc(f->keys, f->key, f->number, given(head),
				     given(bytes_of(sealed, n)), out, &m),
			 JEEBS_CRYPTO_OK);
	assert_true(bytes_eq(bytes_of(out, m), text));
	sealed[n - behind - 40] ^= 1;
	check_cbc_forged(f, head, bytes_of(sealed, n));
}

static void check_cbc_record(struct follower *f, struct bytes head, struct bytes sealed)
{
	const struct jeebs_crypto_ops *c = &session_crypto_ops;
	uint8_t text[20000], copy[20000], again[20000];
	size_t n, around = f->suite->tag + 16u;

	assert_int_equal(
		c->open_cbc(f->keys, f->key, f->number, given(head), given(sealed), text, &n),
		JEEBS_CRYPTO_OK);
	for (size_t i = 0; i<sealed.n; i += sealed.n> 500 ? 97 : 1) {
		memcpy(copy, sealed.p, sealed.n);
		copy[i] ^= 1;
		check_cbc_forged(f, head, bytes_of(copy, sealed.n));
		check_cbc_forged(f, head, bytes_head(sealed, i));
	}
	f->number++;
	check_cbc_forged(f, head, sealed);
	f->number--;
	memcpy(copy, "\x16\3\3", 3);
	copy[0] ^= head.p[0] == 0x16;
	check_cbc_forged(f, bytes_of(copy, 3), sealed);
	check_cbc_padding(f, head, bytes_of(text, n), sealed.n - around - n + 64);
	/* With its IV and padding it is the same again. */
	assert_int_equal(c->seal_cbc(f->keys, f->key, f->number, given(head),
				     given(bytes_head(sealed, 16)), given(bytes_of(text, n)),
				     sealed.n - around - n, again),
			 JEEBS_CRYPTO_OK);
	assert_memory_equal(again, sealed.p, sealed.n);
	/* Whatever makes no whole blocks, and what is no CBC, is refused. */
	assert_int_equal(c->seal_cbc(f->keys, f->key, f->number, given(head), given(BYTES_NONE),
				     given(bytes_of(text, n)), sealed.n - around - n + 1, again),
			 JEEBS_CRYPTO_FAILED);
	assert_int_equal(c->open(f->keys, f->key, 0, given(head), given(sealed), again),
			 JEEBS_CRYPTO_FAILED);
	const struct jeebs_bytes piece = given(sealed);
	assert_int_equal(c->open_pieces(f->keys, f->key, 0, given(head), &piece, 1, again),
			 JEEBS_CRYPTO_FAILED);
	assert_int_equal(c->seal(f->keys, f->key, 0, given(head), given(sealed), again),
			 JEEBS_CRYPTO_FAILED);
	if (head.p[0] == 23)
		buf_bytes(&f->plain, bytes_of(text, n));
	f->number++;
}

static void follow_cbc(struct tls_rig *r, uint32_t dir, uint16_t suite, bool etm)
{
	struct session_secrets secrets = tls_rig_secrets(r);
	void *room = calloc(1, SESSION_CRYPTO_BYTES);
	struct follower f = {.keys = session_crypto_init(room, &secrets),
			     .suite = tls_suite_find(suite),
			     .etm = etm,
			     .wire = reader_init(buf_view(&r->wire[dir])),
			     .plain = BUF_INIT(1 << 20)};
	struct jeebs_key_spec spec = {.kind = JEEBS_KEY_TLS12,
				      .dir = dir,
				      .suite = suite,
				      .flags = etm ? JEEBS_KEY_ENCRYPT_THEN_MAC : 0};
	bool sealed = false;

	memcpy(spec.client_random, r->wire[0].p + 11, 32);
	memcpy(spec.server_random, r->wire[1].p + 11, 32);
	assert_int_equal(session_crypto_ops.derive(f.keys, &spec, &f.key), JEEBS_CRYPTO_OK);
	while (reader_left(&f.wire) > 0) {
		struct bytes head = reader_bytes(&f.wire, 3);
		struct bytes body = reader_bytes(&f.wire, reader_u16be(&f.wire));
		assert_true(reader_ok(&f.wire));
		if (sealed)
			check_cbc_record(&f, head, body);
		sealed |= head.p[0] == 20;
	}
	assert_true(bytes_eq(buf_view(&f.plain), buf_view(&r->plain[dir])));
	session_crypto_deinit(f.keys);
	buf_deinit(&f.plain);
	free(room);
}

static void test_cbc(void **state)
{
	static const struct {
		const char *name;
		uint16_t number;
	} cbc[] = {{"ECDHE-ECDSA-AES128-SHA", 0xc009},
		   {"ECDHE-ECDSA-AES256-SHA", 0xc00a},
		   {"ECDHE-ECDSA-AES128-SHA256", 0xc023},
		   {"ECDHE-ECDSA-AES256-SHA384", 0xc024}};

	for (unsigned i = 0; i < 8; i++) {
		struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){
			.suite = cbc[i / 2].name, .no_encrypt_then_mac = i & 1});
		static const uint8_t much[20000] = {1, 2, 3};
		tls_rig_handshake(r);
		for (size_t n = 1; n < 40; n += 3)
			tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(much, n));
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(much, sizeof much));
		tls_rig_close(r, JEEBS_TO_CLIENT);
		for (uint32_t dir = 0; dir < 2; dir++)
			follow_cbc(r, dir, cbc[i / 2].number, !(i & 1));
		tls_rig_free(r);
	}
}

/* Of each number, cipher and MAC are those that OpenSSL has for it. */
static void test_numbers_of_cbc(void **state)
{
	SSL_CTX *ctx = SSL_CTX_new(TLS_method());
	SSL *ssl = SSL_new(ctx);
	unsigned known = 0;

	for (uint32_t number = 0; number < 65536; number++) {
		const unsigned char name[2] = {(unsigned char)(number >> 8), (unsigned char)number};
		const struct tls_suite *s = tls_suite_find((uint16_t)number);
		const SSL_CIPHER *c = SSL_CIPHER_find(ssl, name);
		if (!s || !tls_suite_is_cbc(s))
			continue;
		assert_non_null(c);
		known++;
		assert_int_equal(SSL_CIPHER_get_cipher_nid(c),
				 s->cipher == TLS_AES_128_CBC ? NID_aes_128_cbc : NID_aes_256_cbc);
		const EVP_MD *mac = EVP_get_digestbynid(SSL_CIPHER_get_digest_nid(c));
		assert_int_equal(EVP_MD_get_size(mac), s->tag);
		assert_int_equal(EVP_MD_is_a(SSL_CIPHER_get_handshake_digest(c), "SHA384"),
				 s->sha384);
		const struct tls_suite *etm = tls_suite_encrypt_then_mac(s);
		assert_true(!s->etm && etm->etm && etm->number == s->number);
		assert_int_equal(etm->cipher, s->cipher);
	}
	assert_int_equal(known, 16);
	SSL_free(ssl);
	SSL_CTX_free(ctx);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_suite),
		cmocka_unit_test(test_cbc),
		cmocka_unit_test(test_numbers_of_cbc),
		cmocka_unit_test(test_several_secrets),
		cmocka_unit_test(test_handles_have_a_ceiling),
	};
	return cmocka_run_group_tests_name("session-crypto", tests, NULL, NULL);
}
