/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handshakes made by OpenSSL, seen without keys; and what is no handshake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "tls-session.h"

struct seen {
	uint32_t records[2], sealed[2];
	uint64_t end[2];
};

static void count(void *ctx, uint32_t dir, const struct tls_record *r, bool sealed)
{
	struct seen *n = ctx;

	assert_int_equal(r->off, n->end[dir]); /* records lie end to end */
	n->end[dir] = tls_record_end(r);
	n->records[dir]++;
	n->sealed[dir] += sealed;
}

/* Shows the session the conversation in its order, in pieces of @piece bytes. */
static void show(const struct tls_rig *r, size_t piece, struct tls_session *s, struct seen *n)
{
	*s = (struct tls_session){0};
	*n = (struct seen){0};
	for (uint32_t i = 0; i < r->order_n; i++) {
		const struct tls_rig_chunk *c = &r->order[i];
		struct bytes b = bytes_of(r->wire[c->dir].p + c->from, (size_t)(c->to - c->from));
		while (b.n > 0) {
			tls_session_take(s, c->dir, bytes_head(b, piece), count, n);
			b = bytes_from(b, piece);
		}
	}
}

/* In any pieces it comes to the same. */
static void check_pieces(const struct tls_rig *r, const struct tls_session *want)
{
	static const size_t pieces[] = {1, 2, 3, 7, 100};
	struct tls_session s;
	struct seen n;

	for (unsigned i = 0; i < sizeof pieces / sizeof pieces[0]; i++) {
		show(r, pieces[i], &s, &n);
		assert_memory_equal(&s, want, sizeof s);
	}
}

static struct tls_rig *converse(const struct tls_rig_options *o)
{
	struct tls_rig *r = tls_rig_new(o);

	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("GET / HTTP/1.1\r\n\r\n"));
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str("HTTP/1.1 204 No Content\r\n\r\n"));
	return r;
}

static void test_what_a_handshake_shows(void **state)
{
	static const struct {
		struct tls_rig_options o;
		uint16_t suite;
		uint32_t to_server, to_client; /* records that are sealed */
	} cases[] = {
		{{.suite = "ECDHE-ECDSA-AES128-GCM-SHA256", .name = "a.example", .alpn = "h2"},
		 0xc02b,
		 2,
		 2},
		{{.suite = "ECDHE-ECDSA-CHACHA20-POLY1305", .client_certificate = true},
		 0xcca9,
		 2,
		 2},
		{{.suite = "TLS_AES_128_GCM_SHA256", .name = "b.example", .alpn = "http/1.1"},
		 0x1301,
		 2,
		 7},
		{{.suite = "TLS_AES_256_GCM_SHA384", .no_middlebox = true}, 0x1302, 2, 7},
		{{.suite = "TLS_CHACHA20_POLY1305_SHA256", .client_groups = "X25519:P-256"},
		 0x1303,
		 2,
		 7},
		{{.suite = "TLS_AES_128_GCM_SHA256", .client_certificate = true}, 0x1301, 4, 8},
	};

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct tls_rig *r = converse(&cases[i].o);
		struct tls_session s;
		struct seen n;
		show(r, SIZE_MAX, &s, &n);
		assert_null(s.refused);
		assert_non_null(s.suite);
		assert_int_equal(s.suite->number, cases[i].suite);
		assert_memory_equal(s.client_random, r->secret[0].client_random, 32);
		assert_string_equal(s.name, cases[i].o.name ? cases[i].o.name : "");
		/* In TLS 1.3 the server's choice is sealed. */
		assert_string_equal(s.alpn,
				    cases[i].o.alpn && !s.suite->tls13 ? cases[i].o.alpn : "");
		assert_int_equal(s.retried, cases[i].o.client_groups != NULL);
		assert_false(s.resumed);
		for (uint32_t dir = 0; dir < 2; dir++) {
			assert_int_equal(s.side[dir].phase, TLS_SEALED);
			assert_int_equal(s.side[dir].sealed, n.sealed[dir]);
			assert_int_equal(n.end[dir], r->wire[dir].n);
			assert_true(tls_records_between(&s.side[dir].records));
		}
		assert_int_equal(n.sealed[JEEBS_TO_SERVER], cases[i].to_server);
		assert_in_range(n.sealed[JEEBS_TO_CLIENT], cases[i].to_client - 2,
				cases[i].to_client);
		check_pieces(r, &s);
		tls_rig_free(r);
	}
}

static void test_limits_and_resumption(void **state)
{
	struct tls_rig_options o = {.suite = "ECDHE-ECDSA-AES256-GCM-SHA384",
				    .max_fragment = TLSEXT_max_fragment_length_1024};
	struct tls_rig *r = converse(&o);
	struct tls_session s;
	struct seen n;

	show(r, SIZE_MAX, &s, &n);
	assert_int_equal(s.max_fragment, 2);
	tls_rig_free(r);

	o = (struct tls_rig_options){.suite = "TLS_AES_128_GCM_SHA256"};
	r = converse(&o);
	o.session = tls_rig_session(r);
	tls_rig_free(r);
	r = converse(&o);
	SSL_SESSION_free(o.session);
	show(r, SIZE_MAX, &s, &n);
	assert_null(s.refused);
	assert_true(s.resumed);
	check_pieces(r, &s);
	tls_rig_free(r);
}

/* Where a KeyUpdate may have been is remembered. */
static void test_remembers_updates(void **state)
{
	struct tls_rig *r = converse(&(struct tls_rig_options){.suite = "TLS_AES_128_GCM_SHA256"});
	struct tls_session s;
	struct seen n;
	uint64_t before;

	show(r, SIZE_MAX, &s, &n);
	before = s.side[JEEBS_TO_CLIENT].sealed;
	assert_int_equal(s.side[JEEBS_TO_CLIENT].updates_n, 0);
	for (int i = 0; i < TLS_UPDATES_MAX + 2; i++)
		tls_rig_key_update(r, JEEBS_TO_CLIENT, false);
	show(r, SIZE_MAX, &s, &n);
	assert_int_equal(s.side[JEEBS_TO_CLIENT].updates_n, TLS_UPDATES_MAX);
	for (unsigned i = 0; i < TLS_UPDATES_MAX; i++)
		assert_int_equal(s.side[JEEBS_TO_CLIENT].updates[i], before + 2 + i);
	assert_int_equal(s.side[JEEBS_TO_SERVER].updates_n, 0);
	tls_rig_free(r);
}

/* The server's hello says whether the MAC is behind. */
static void test_encrypt_then_mac(void **state)
{
	for (int no_etm = 0; no_etm < 2; no_etm++) {
		struct tls_rig_options o = {.suite = "ECDHE-ECDSA-AES128-SHA256",
					    .no_encrypt_then_mac = no_etm};
		struct tls_rig *r = converse(&o);
		struct tls_session s;
		struct seen n;
		show(r, SIZE_MAX, &s, &n);
		assert_null(s.refused);
		assert_true(tls_suite_is_cbc(s.suite));
		assert_int_equal(s.suite->etm, !no_etm);
		assert_int_equal(!!(s.agreed & TLS_EXT_ENCRYPT_THEN_MAC), !no_etm);
		tls_rig_free(r);
	}
}

static void test_other_ciphers_are_refused(void **state)
{
	struct tls_rig *r =
		converse(&(struct tls_rig_options){.suite = "ECDHE-ECDSA-CAMELLIA128-SHA256"});
	struct tls_session s;
	struct seen n;

	show(r, SIZE_MAX, &s, &n);
	assert_string_equal(s.refused, "cipher-not-continuable");
	tls_rig_free(r);
}

static void test_renegotiation_is_refused(void **state)
{
	struct tls_rig *r =
		converse(&(struct tls_rig_options){.suite = "ECDHE-ECDSA-AES128-GCM-SHA256"});
	struct tls_session s;
	struct seen n;

	tls_rig_renegotiate(r);
	show(r, SIZE_MAX, &s, &n);
	assert_string_equal(s.refused, "renegotiation");
	check_pieces(r, &s);
	tls_rig_free(r);
}

/* ---- by hand -------------------------------------------------------------------------------- */

struct step {
	uint32_t dir;
	const char *bytes;
	size_t n;
};

#define STEP(dir, bytes)                     \
	{                                    \
		dir, bytes, sizeof bytes - 1 \
	}
#define CLIENT(bytes) STEP(JEEBS_TO_SERVER, bytes)
#define SERVER(bytes) STEP(JEEBS_TO_CLIENT, bytes)
#define RANDOM        "0123456789abcdef0123456789abcdef"
/* A ClientHello without extensions, and one with an empty early_data. */
#define HELLO       "\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\0\0\2\x13\1\1\0"
#define EARLY_HELLO "\x16\3\1\0\x33\1\0\0\x2f\3\3" RANDOM "\0\0\2\x13\1\1\0\0\4\0\x2a\0\0"
/* A ServerHello of TLS 1.3, and one of 1.0. */
#define ANSWER     "\x16\3\3\0\x32\2\0\0\x2e\3\3" RANDOM "\0\x13\1\0\0\6\0\x2b\0\2\3\4"
#define OLD_ANSWER "\x16\3\1\0\x2a\2\0\0\x26\3\1" RANDOM "\0\xc0\x13\0"
#define ANSWER_12  "\x16\3\3\0\x2a\2\0\0\x26\3\3" RANDOM "\0\xc0\x2b\0"

static const char *refused(const struct step *steps, size_t n)
{
	const char *why = NULL;

	for (size_t piece = 1; piece <= 64; piece += 63) {
		struct tls_session s = {0};
		for (size_t i = 0; i < n; i++)
			for (size_t at = 0; at < steps[i].n; at += piece)
				tls_session_take(
					&s, steps[i].dir,
					bytes_head(bytes_of(steps[i].bytes + at, steps[i].n - at),
						   piece),
					NULL, NULL);
		if (piece > 1 && why != s.refused)
			fail_msg("in pieces %s, else %s", why ? why : "-",
				 s.refused ? s.refused : "-");
		why = s.refused;
	}
	return why;
}

static void expect(int line, const char *reason, const struct step *steps, size_t n)
{
	const char *why = refused(steps, n);

	if (strcmp(why ? why : "-", reason) != 0)
		fail_msg("line %d: %s", line, why ? why : "not refused");
}

#define EXPECT(reason, ...)                                          \
	expect(__LINE__, reason, (const struct step[]){__VA_ARGS__}, \
	       sizeof((const struct step[]){__VA_ARGS__}) / sizeof(struct step))

static void test_refusals(void **state)
{
	EXPECT("-", CLIENT(HELLO), SERVER(ANSWER), SERVER("\x14\3\3\0\1\1"),
	       SERVER("\x17\3\3\0\1x"), CLIENT("\x14\3\3\0\1\1\x17\3\3\0\1x"));
	EXPECT("not-tls", CLIENT("GET / HTTP/1.1\r\n"));
	EXPECT("not-tls", CLIENT("\x16\2\1\0\1x")); /* another version of records */
	EXPECT("not-tls", CLIENT("\x16\3\5\0\1x"));
	EXPECT("not-tls", CLIENT("\x16\3\1\0\0"));           /* nothing in it */
	EXPECT("not-tls", CLIENT("\x16\3\1\x48\1x"));        /* too long */
	EXPECT("not-tls", CLIENT("\x15\3\1\0\2\1\0"));       /* an alert comes first */
	EXPECT("not-tls", CLIENT("\x17\3\3\0\1x"));          /* data come first */
	EXPECT("not-tls", CLIENT("\x16\3\1\0\4\2\0\0\0"));   /* a ServerHello of the client */
	EXPECT("not-tls", CLIENT("\x16\3\1\0\4\1\2\0\1"));   /* longer than any */
	EXPECT("not-tls", CLIENT("\x16\3\1\0\5\1\0\0\1\3")); /* too short */
	EXPECT("not-tls", CLIENT(HELLO), SERVER(ANSWER_12), SERVER("\x17\3\3\0\1x"));
	EXPECT("not-tls", CLIENT(HELLO), SERVER(ANSWER), SERVER("\x17\3\3\0\1x\x16\3\3\0\1x"));
	EXPECT("not-tls", CLIENT(HELLO), SERVER(ANSWER), SERVER("\x14\3\3\0\2\1\1"));
	EXPECT("not-tls", CLIENT(HELLO), SERVER(ANSWER),
	       SERVER("\x16\3\3\0\2\2\0\x14\3\3\0\1\1")); /* in the middle of a message */
	EXPECT("handshake-failed", CLIENT(HELLO), SERVER("\x15\3\1\0\2\2\x28"));
	EXPECT("early-data", CLIENT(EARLY_HELLO "\x17\3\3\0\1x"));
	EXPECT("tls-version", CLIENT(HELLO), SERVER(OLD_ANSWER));
	EXPECT("renegotiation", CLIENT(HELLO), SERVER(ANSWER ANSWER));
	EXPECT("heartbeat", CLIENT(HELLO), SERVER(ANSWER_12 "\x14\3\3\0\1\1\x18\3\3\0\1x"));
	EXPECT("heartbeat", CLIENT(HELLO), SERVER(ANSWER_12 "\x18\3\3\0\1x"));
	EXPECT("renegotiation", CLIENT(HELLO),
	       SERVER(ANSWER_12 "\x14\3\3\0\1\1\x16\3\3\0\1x\x16\3\3\0\1x"));
	EXPECT("renegotiation", CLIENT(HELLO), SERVER(ANSWER_12 "\x14\3\3\0\1\1\x14\3\3\0\1x"));
	/* A suite of another version than the one that was agreed on. */
	EXPECT("cipher-not-continuable", CLIENT(HELLO),
	       SERVER("\x16\3\3\0\x2a\2\0\0\x26\3\3" RANDOM "\0\x13\1\0"));
}

/* Hellos whose lengths do not fit together. */
static void test_malformed_hellos(void **state)
{
	EXPECT("not-tls", CLIENT("\x16\3\1\0\x2e\1\0\0\x2a\3\3" RANDOM "\0\0\2\x13\1\1\0\0"));
	EXPECT("not-tls",
	       CLIENT("\x16\3\1\0\x33\1\0\0\x2f\3\3" RANDOM "\0\0\2\x13\1\1\0\0\3\0\x2a\0\0"));
	EXPECT("not-tls",
	       CLIENT("\x16\3\1\0\x33\1\0\0\x2f\3\3" RANDOM "\0\0\2\x13\1\1\0\0\4\0\x2a\0\1"));
	EXPECT("not-tls", CLIENT("\x16\3\1\0\x2d\1\0\0\x29\3\3" RANDOM "\x21\0\2\x13\1\1\0"));
	/* The same extension twice; a fragment's length that there is not; a limit too small. */
	EXPECT("not-tls", CLIENT("\x16\3\1\0\x37\1\0\0\x33\3\3" RANDOM
				 "\0\0\2\x13\1\1\0\0\x8\0\x2a\0\0\0\x2a\0\0"));
	EXPECT("not-tls",
	       CLIENT("\x16\3\1\0\x34\1\0\0\x30\3\3" RANDOM "\0\0\2\x13\1\1\0\0\5\0\1\0\1\5"));
	EXPECT("not-tls",
	       CLIENT("\x16\3\1\0\x33\1\0\0\x2f\3\3" RANDOM "\0\0\2\x13\1\1\0\0\4\0\1\0\0"));
	EXPECT("not-tls", CLIENT("\x16\3\1\0\x35\1\0\0\x31\3\3" RANDOM
				 "\0\0\2\x13\1\1\0\0\6\0\x1c\0\2\0\x3f"));
	/* The server compresses, or has several protocols. */
	EXPECT("compression", CLIENT(HELLO),
	       SERVER("\x16\3\3\0\x2a\2\0\0\x26\3\3" RANDOM "\0\xc0\x2b\1"));
	EXPECT("not-tls", CLIENT(HELLO),
	       SERVER("\x16\3\3\0\x36\2\0\0\x32\3\3" RANDOM
		      "\0\xc0\x2b\0\0\x0a\0\x10\0\6\0\4\1a\1b"));
}

/* A name is one only without zeros, and if it fits. */
static void test_names(void **state)
{
	struct tls_session s = {0};
	static const char with_zero[] = "\x16\3\1\0\x3b\1\0\0\x37\3\3" RANDOM
					"\0\0\2\x13\1\1\0\0\x0c\0\0\0\x08\0\6\0\0\3a\0b";

	tls_session_take(&s, JEEBS_TO_SERVER, bytes_of(with_zero, sizeof with_zero - 1), NULL,
			 NULL);
	assert_null(s.refused);
	assert_string_equal(s.name, "");
	assert_true(s.offered & TLS_EXT_SERVER_NAME);
}

/* The place in a direction survives as bytes, and nothing else is taken for it. */
static void test_records_as_bytes(void **state)
{
	static const uint8_t wire[] = "\x17\3\3\0\3abc\x16\3\3\0\1x";
	uint8_t room[64];

	for (size_t n = 0; n <= sizeof wire - 1; n++) {
		struct tls_records r = {.off = 0}, back;
		struct bytes b = bytes_of(wire, n), part;
		while (tls_records_next(&r, &b, &part) != TLS_RECORDS_MORE)
			;
		struct writer w = WRITER_IN(room);
		tls_records_write(&w, &r);
		struct reader rd = reader_init(writer_view(&w));
		assert_true(tls_records_read(&rd, &back));
		assert_int_equal(reader_left(&rd), 0);
		if (r.have == TLS_HEADER_BYTES)
			assert_memory_equal(&back, &r, sizeof r);
		assert_int_equal(back.off, n);
		for (size_t k = 0; k < writer_pos(&w); k++) {
			rd = reader_init(bytes_of(room, k));
			assert_false(tls_records_read(&rd, &back));
		}
	}
	static const char *const wrong[] = {
		"\0\0\0\0\0\0\0\4\6\x17\3\3\0\0\0\0\0", "\0\0\0\0\0\0\0\4\5\x17\3\3\0\3\0\3",
		"\0\0\0\0\0\0\0\6\5\x17\3\3\0\3\0\1",   "\0\0\0\0\0\0\0\x9\5\x17\3\3\0\3\0\4",
		"\0\0\0\0\0\0\0\x9\5\x99\3\3\0\3\0\0",  "\0\0\0\0\0\0\0\x9\0\0\1xxxxx"};
	for (unsigned i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct tls_records back;
		struct reader rd = reader_init(bytes_of(wrong[i], 16));
		assert_false(tls_records_read(&rd, &back));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_a_handshake_shows),
		cmocka_unit_test(test_limits_and_resumption),
		cmocka_unit_test(test_remembers_updates),
		cmocka_unit_test(test_encrypt_then_mac),
		cmocka_unit_test(test_other_ciphers_are_refused),
		cmocka_unit_test(test_renegotiation_is_refused),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_malformed_hellos),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_records_as_bytes),
	};
	return cmocka_run_group_tests_name("tls-session", tests, NULL, NULL);
}
