/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * HTTP inside TLS: conversations recorded with real servers, said again by OpenSSL, and cut. What
 * the client decrypts is what the real server went on to send; no number is sealed twice.
 *
 * Every byte is a cut if JEEBS_LONG is set, otherwise one of many.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/h2/h2.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http.h"
#include "recovery-modules/replay/replay-oracle.h"
#include "recovery-modules/replay/replay.h"
#include "recovery-modules/smtp/smtp-oracle.h"
#include "recovery-modules/smtp/smtp.h"
#include "recovery-modules/telnet/telnet-oracle.h"
#include "recovery-modules/telnet/telnet.h"
#include "test/layer-rig.h"
#include "tls.h"

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_AES_256_GCM_SHA384",       "ECDHE-ECDSA-AES128-GCM-SHA256",
	"ECDHE-ECDSA-AES128-SHA",       "ECDHE-ECDSA-AES256-SHA384"};
#define SUITES (sizeof suites / sizeof suites[0])

static struct jeebs_module https;

static struct layer_counts check_kind(const struct layer_case *base, const char *const *names,
				      const struct harness_options *o, bool reopen, uint64_t step)
{
	struct layer_counts n = {0};

	for (unsigned i = 0; names[i]; i++) {
		struct layer_case c = *base;
		struct layer l;
		c.recording = names[i];
		c.tls.suite = base->tls.suite ? base->tls.suite : suites[i % SUITES];
		c.tls.name = "a.example";
		c.updates = 3;
		layer_open(&l, &c);
		layer_cut_all(&l, i % step, step, o, reopen, &n);
		layer_close(&l);
	}
	layer_print(base->name, &n);
	return n;
}

static struct layer_counts check_http(const struct layer_case *base,
				      const struct harness_options *o, bool reopen, uint64_t step)
{
	static const char *const names[] = {
		"nginx-keep-alive", "apache-range",      "lighttpd-keep-alive", "nginx-pipelined",
		"apache-close",     "nginx-put-chunked", "lighttpd-parts",      NULL};

	return check_kind(base, names, o, reopen, step);
}

static void check_all(const struct harness_options *o, bool reopen, uint64_t step)
{
	struct layer_counts n = check_http(&(struct layer_case){.name = "layer"}, o, reopen, step);

	assert_true(n.exact > n.cuts / 2);
	assert_true(n.anew > 0);
	assert_int_equal(n.followed, 0);
}

static const struct harness_options small_chunks = {
	.live = {.max = 311, .seed = 3}, .backend = {.max = 170, .seed = 5}, .view_max = 160};

/* With keys from the beginning no connection is too long: these are ten times as long. */
static void test_cuts_followed(void **state)
{
	const struct layer_case c = {.name = "followed", .follow = true, .retain = 1600};

	for (int i = 0; i < 2; i++) {
		struct layer_counts n =
			check_http(&c, i ? &small_chunks : NULL, false, i ? 223 : 41);
		assert_true(n.exact > n.cuts / 2 && n.followed > n.cuts / 2);
	}
}

/* The keys come in the middle. They are awaited, so that more is kept until then. */
static void test_cuts_followed_later(void **state)
{
	struct layer_case c = {.name = "followed later", .follow = true};

	for (c.follow_at = 900; c.follow_at < 4000; c.follow_at += 433)
		check_http(&c, &small_chunks, false, 577);
	c.follow_at = 2600;
	c.retain = 1600;
	struct layer_counts n = check_http(&c, NULL, false, 577);
	assert_true(n.followed > n.cuts / 4 && n.exact > n.cuts / 2);
}

/* With the MAC inside, and behind; sealed and live. */
static void test_cuts_of_cbc(void **state)
{
	static const char *const cbc[] = {"ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES256-SHA384"};

	for (unsigned i = 0; i < 8; i++) {
		const struct layer_case c = {
			.name = i & 1 ? "cbc" : "cbc, encrypt-then-MAC",
			.tls = {.suite = cbc[i / 4], .no_encrypt_then_mac = i & 1},
			.follow = i & 2};
		struct layer_counts n = check_http(&c, i & 2 ? &small_chunks : NULL, false, 83);
		assert_true(n.exact > n.cuts / 2);
		assert_int_equal(n.followed > 0, c.follow);
	}
}

/* What the inner module knew is not in a checkpoint. */
static void test_cuts_followed_after_restore(void **state)
{
	const struct layer_case c = {.name = "followed, restored", .follow = true};
	struct layer_counts n = check_http(&c, NULL, true, 307);

	assert_true(n.followed > n.cuts / 2);
	assert_int_equal(n.exact, 0);
}

/* What @module continues it continues in TLS, sealed and live. */
static struct layer_counts check_inside(const struct layer_kind *k, const char *const *names,
					uint64_t step)
{
	struct layer_case c = {.name = k->service.protocol, .kind = k};
	struct layer_counts sealed = check_kind(&c, names, NULL, false, step);

	c.follow = true;
	struct layer_counts live = check_kind(&c, names, &small_chunks, false, step);
	assert_true(live.followed > live.cuts / 4);
	assert_int_equal(sealed.unknown + live.unknown, 0);
	return sealed;
}

static struct jeebs_module smtps, telnets, imaps;

static void test_smtp_inside(void **state)
{
	static const struct layer_kind kind = {.folder = "smtp/corpus/smtp-oracle",
					       .module = &smtps,
					       .service = {.protocol = "smtps",
							   .retain = 1 << 20,
							   .login = JEEBS_LOGIN_REPLAY,
							   .inner = &smtp_module},
					       .oracle = &smtp_oracle};
	static const char *const names[] = {"exim-one",    "exim-auth-plain", "exim-bdat",
					    "postfix-two", "postfix-errors",  NULL};
	struct layer_counts n = check_inside(&kind, names, 23);

	/* Half of these short ones is handshake. */
	assert_true(n.exact > n.cuts / 3 && n.exact > n.other);
}

/* Behind STARTTLS, towards backups that are asked for TLS in the same way, and plain ones. */
static void test_smtp_behind_starttls(void **state)
{
	struct layer_kind kind = {.folder = "smtp/corpus/smtp-oracle",
				  .module = &smtps,
				  .service = {.protocol = "tls:smtp",
					      .retain = 1 << 20,
					      .login = JEEBS_LOGIN_REPLAY,
					      .begin = {31, 47},
					      .inner = &smtp_module},
				  .oracle = &smtp_oracle,
				  .upgraded = true,
				  .asks = "EHLO [127.0.0.1]\r\nSTARTTLS\r\n"};
	static const char *const names[] = {"exim-one",    "exim-auth-plain", "exim-bdat",
					    "postfix-two", "postfix-errors",  NULL};

	for (int i = 0; i < 2; i++) {
		kind.secures = i;
		struct layer_counts n = check_inside(&kind, names, i ? 29 : 31);
		assert_true(n.exact > n.cuts / 3 && n.exact > n.other);
		assert_int_equal(n.anew, 0);
	}
}

static void test_telnet_inside(void **state)
{
	static const struct layer_kind kind = {.folder = "telnet/corpus/telnet-oracle",
					       .module = &telnets,
					       .service = {.protocol = "telnets",
							   .retain = 1 << 20,
							   .login = JEEBS_LOGIN_REPLAY,
							   .inner = &telnet_module},
					       .oracle = &telnet_oracle,
					       .choosy = true};
	static const char *const names[] = {"made-plain", "busybox-telnet", NULL};
	struct layer_counts n = check_inside(&kind, names, 23);

	assert_true(n.exact + n.other > n.cuts / 4);
}

static void test_replay_inside(void **state)
{
	static const struct layer_kind kind = {
		.folder = "replay/corpus/replay-oracle",
		.module = &imaps,
		.service = {.protocol = "imaps", .retain = 1 << 20, .inner = &replay_module},
		.oracle = &replay_oracle};
	static const char *const names[] = {"redis-list", "redis-pipelined", "memcached-quit",
					    NULL};
	struct layer_counts n = check_inside(&kind, names, 11);

	assert_true(n.exact > n.cuts / 8);
	assert_int_equal(n.other, 0);
}

static void test_cuts(void **state)
{
	check_all(&(struct harness_options){0}, false, 37);
}

static void test_cuts_in_small_chunks(void **state)
{
	check_all(&small_chunks, false, 211);
}

static void test_cuts_after_restore(void **state)
{
	check_all(&(struct harness_options){0}, true, 307);
}

/*
 * More may have been on the wire: all that the real server went on to send. Nothing is sealed under
 * a nonce of that, and only with explicit nonces, between two records, there is another one.
 */
static void test_cuts_without_proof(void **state)
{
	static const struct harness_options o = {.more_may_be_out = true};

	for (unsigned i = 0; i < SUITES; i++) {
		struct layer_case c = {.name = "without proof", .recording = "nginx-keep-alive"};
		bool explicit = strncmp(suites[i], "ECDHE", 5) == 0 && strstr(suites[i], "AES");
		struct layer_counts n = {0};
		struct layer l;
		c.tls.suite = suites[i];
		layer_open(&l, &c);
		for (uint32_t k = 0; k < l.rig->order_n; k++) {
			/* Between two records, where another end begins to speak; and in one. */
			const struct tls_rig_chunk *q = &l.rig->order[k];
			uint64_t before = 0;
			for (uint32_t j = 0; j <= k; j++)
				before += l.rig->order[j].to - l.rig->order[j].from;
			layer_cut(&l, before, &o, false, &n);
			if (q->dir == JEEBS_TO_CLIENT)
				layer_cut(&l, before - 9, &o, false, &n);
		}
		layer_cut(&l, l.wire_n + 1, &o, false, &n);
		layer_print(suites[i], &n);
		assert_int_equal(n.exact + n.uncertain + n.handshake, n.cuts);
		assert_true(n.uncertain > 2);
		if (explicit)
			assert_true(n.exact > 2);
		else
			assert_in_range(n.exact, 1, 2); /* both have ended */
		layer_close(&l);
	}
}

static void test_what_can_be_composed(void **state)
{
	struct jeebs_module m, another = http_module;

	assert_true(layer_compose(&tls_module, &http_module, NULL, "https", &m));
	assert_string_equal(m.name, "https");
	assert_int_equal(m.state_size, tls_module.state_size + http_module.state_size);
	assert_int_equal(m.flags, JEEBS_MODULE_LAYERED);
	assert_null(m.companion);
	assert_false(layer_compose(&tls_module, &m, NULL, "x", &m));
	assert_false(layer_compose(&http_module, &http_module, NULL, "x", &m));
	assert_false(layer_compose(&tls_module, &tls_module, NULL, "x", &m));
	another.companion = "http-data";
	assert_true(layer_compose(&tls_module, &another, NULL, "x", &m));
	assert_string_equal(m.companion, "http-data");
	another.companion = NULL;
	another.state_size += 100;
	assert_true(layer_compose(&tls_module, &http_module, &another, "x", &m));
	assert_int_equal(m.state_size, tls_module.state_size + another.state_size);
}

/* Alone, or without its beginning, or longer than may be kept, TLS is refused by name. */
static void test_refusals(void **state)
{
	static const struct jeebs_service alone = {.protocol = "tls", .retain = 1 << 20},
					  shortest = {.protocol = "https",
						      .retain = 100,
						      .inner = &http_module},
					  usual = {.protocol = "https",
						   .retain = 1 << 20,
						   .inner = &http_module};
	static const struct {
		const struct jeebs_service *service;
		const char *said, *reason;
		uint64_t lost;
	} cases[] = {
		{&alone, "\x16\3\1", "no-inner-module", 0},
		{&usual, "GET / HTTP/1.1\r\n", "not-tls", 0},
		{&usual, "\x16\3\1", "gap", 10},
		{&shortest,
		 "\x16\3\1\1\1xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
		 "retain-exceeded", 0}};

	for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct harness_options o = {.service = cases[i].service};
		struct jeebs_plan plan;
		struct harness h;
		assert_int_equal(harness_init(&h, &https, &o), 0);
		harness_data(&h, JEEBS_TO_SERVER, bytes_str(cases[i].said));
		if (cases[i].lost)
			harness_gap(&h, JEEBS_TO_SERVER, cases[i].lost);
		assert_int_equal(harness_reopen(&h), 0);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_REFUSE);
		assert_string_equal(plan.reason, cases[i].reason);
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

/* Before the server speaks the backup may; not if it is not proved that the server has not. */
static void test_before_the_server_speaks(void **state)
{
	static const struct jeebs_service usual = {
		.protocol = "https", .retain = 1 << 20, .inner = &http_module};

	for (int i = 0; i < 4; i++) {
		struct harness_options o = {.service = &usual, .more_may_be_out = i == 1};
		struct jeebs_plan plan;
		struct harness h;
		assert_int_equal(harness_init(&h, &https, &o), 0);
		harness_data(&h, JEEBS_TO_SERVER, bytes_str("\x16\3\1"));
		if (i == 2)
			harness_data(&h, JEEBS_TO_CLIENT, bytes_str("\x16"));
		if (i == 3)
			harness_fin(&h, JEEBS_TO_CLIENT);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, i == 0 ? JEEBS_CONTINUE : JEEBS_REFUSE);
		assert_string_equal(plan.reason, i == 0 ? "handshake-anew" : "handshake-cut");
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

static void greet(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close, bool *fail)
{
	if (b.n == 0 && !eof)
		buf_bytes(answer, bytes_str("220 hello\r\n"));
}

/* Whoever waits for a greeting gets it: nothing has shown yet that it is TLS. */
static void test_a_server_that_speaks_first(void **state)
{
	static const struct jeebs_service usual = {
		.protocol = "https", .retain = 1 << 20, .inner = &http_module};
	const struct harness_backend backend = {.receive = greet};
	struct harness_options o = {.service = &usual};
	struct jeebs_plan plan;
	struct harness h;

	assert_int_equal(harness_init(&h, &https, &o), 0);
	harness_plan(&h, &plan);
	assert_string_equal(plan.reason, "handshake-anew");
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_JOINED);
	assert_true(bytes_eq(buf_view(&h.client), bytes_str("220 hello\r\n")));
	assert_null(h.violation);
	harness_deinit(&h);
}

/* With ALPN "h2" it is another module inside, if there is one. */
static void test_alpn_chooses(void **state)
{
	static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
	static const char settings[] = "\0\0\0\4\0\0\0\0\0\0\0\0\4\1\0\0\0\0",
			  ack[] = "\0\0\0\4\1\0\0\0\0";
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct jeebs_module both;

	assert_true(layer_compose(&tls_module, &http_module, &h2_module, "https", &both));
	for (unsigned i = 0; i < 4; i++) {
		const struct jeebs_service service = {.protocol = "https",
						      .retain = 1 << 20,
						      .inner = &http_module,
						      .inner_h2 = i < 2 ? &h2_module : NULL};
		struct harness_options o = {.service = &service};
		struct tls_rig *r = tls_rig_new(
			&(struct tls_rig_options){.suite = suites[i % 2], .alpn = "h2"});
		struct layer c = {.rig = r};
		struct harness h;
		uint64_t cut[2];
		struct session_secrets secrets = tls_rig_secrets(r);
		struct jeebs_plan plan;
		tls_rig_handshake(r);
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(preface, sizeof preface - 1));
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(settings, sizeof settings - 1));
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(ack, sizeof ack - 1));
		assert_int_equal(harness_init(&h, &both, &o), 0);
		layer_live(&c, &h, r->wire[0].n + r->wire[1].n, cut);
		harness_unseal(&h, session_crypto_init(room, &secrets), &session_crypto_ops);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, i < 2 ? JEEBS_CONTINUE : JEEBS_REFUSE);
		assert_string_equal(plan.reason, i < 2 ? "idle" : "no-inner-module");
		assert_null(h.violation);
		harness_deinit(&h);
		tls_rig_free(r);
	}
}

/* Where nobody says what is inside: by ALPN, and without it by the port. */
static void test_the_inside_is_found(void **state)
{
	static const struct jeebs_module *const any[] = {&h2_module, &http_module, &smtp_module,
							 &replay_module, NULL};
	static const struct {
		const char *alpn;
		uint16_t port;
		const char *server, *client;
		const struct jeebs_module *inner; /* NULL: no-inner-module */
	} cases[] = {
		{"h2", 9999, "\0\0\0\4\0\0\0\0\0", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", &h2_module},
		{"http/1.1", 9999, "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &http_module},
		{NULL, 443, "", "GET / HTTP/1.1\r\nHost: a\r\n\r\n", &http_module},
		{NULL, 465, "220 mx\r\n", "EHLO me\r\n", &smtp_module},
		{NULL, 993, "* OK\r\n", "a NOOP\r\n", &replay_module},
		{"imap", 9999, "* OK\r\n", "a NOOP\r\n", &replay_module},
		{NULL, 9999, "", "hello", NULL},
		{"xmpp-client", 443, "", "hello", NULL},
	};
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct jeebs_module found;

	assert_true(layer_compose_any(&tls_module, any, "tls:auto", &found));
	assert_true(found.detect == tls_module.detect);
	for (unsigned i = 0; i < 2 * sizeof cases / sizeof cases[0]; i++) {
		const struct jeebs_service service = {.protocol = "tls:auto",
						      .retain = 1 << 20,
						      .port = cases[i / 2].port,
						      .inner_any = any};
		struct harness_options o = {.service = &service};
		struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){
			.suite = suites[i % 2], .alpn = cases[i / 2].alpn});
		struct layer c = {.rig = r};
		struct harness h;
		uint64_t cut[2];
		struct session_secrets secrets = tls_rig_secrets(r);
		struct jeebs_plan plan;
		tls_rig_handshake(r);
		if (cases[i / 2].server[0])
			tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(cases[i / 2].server));
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(cases[i / 2].client));
		assert_int_equal(harness_init(&h, &found, &o), 0);
		layer_live(&c, &h, r->wire[0].n + r->wire[1].n, cut);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_IF_KEYS);
		harness_unseal(&h, session_crypto_init(room, &secrets), &session_crypto_ops);
		harness_plan(&h, &plan);
		assert_ptr_equal(((const struct tls *)h.state)->inner, cases[i / 2].inner);
		if (cases[i / 2].inner)
			assert_int_equal(plan.verdict, JEEBS_CONTINUE);
		else
			assert_string_equal(plan.reason, "no-inner-module");
		assert_null(h.violation);
		harness_deinit(&h);
		tls_rig_free(r);
	}
}

/* The host may have less than it was asked to keep. */
static void test_a_log_that_is_lost(void **state)
{
	static const struct jeebs_service usual = {
		.protocol = "https", .retain = 1 << 20, .inner = &http_module};
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];

	for (int i = 0; i < 3; i++) {
		struct harness_options o = {.service = &usual, .log_max = 2000};
		struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suites[0]});
		struct layer c = {.rig = r};
		struct jeebs_plan plan;
		struct harness h;
		uint64_t cut[2];
		tls_rig_handshake(r);
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("GET / HTTP/1.1\r\n\r\n"));
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(room, sizeof room));
		assert_int_equal(harness_init(&h, &https, &o), 0);
		layer_live(&c, &h, r->wire[0].n + r->wire[1].n, cut);
		if (i == 1)
			assert_int_equal(harness_reopen(&h), 0);
		if (i == 1)
			harness_data(&h, JEEBS_TO_SERVER, bytes_str("x"));
		struct session_secrets secrets = tls_rig_secrets(r);
		if (i == 2)
			harness_unseal(&h, session_crypto_init(room, &secrets),
				       &session_crypto_ops);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_REFUSE);
		assert_string_equal(plan.reason, "log-lost");
		harness_deinit(&h);
		tls_rig_free(r);
	}
}

#define UPLOAD_HEAD "PUT /a HTTP/1.1\r\nContent-Length: 4194304\r\n\r\n"
#define UPLOAD_BODY ((size_t)4194304)

struct upload {
	struct buf stored;
	size_t heard_most; /* at once */
	bool over;
};

static void store(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close, bool *fail)
{
	struct upload *u = ctx;

	if (b.n > u->heard_most)
		u->heard_most = b.n;
	assert_false(u->over);
	assert_int_equal(buf_bytes(&u->stored, b), 0);
	if (u->stored.n == strlen(UPLOAD_HEAD) + UPLOAD_BODY)
		buf_bytes(answer, bytes_str("HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n"));
	u->over = *close = eof;
}

/*
 * Plan and backup read more of the log than can be shown at once, or be in a queue. What the client
 * says behind it, and its end, keep their place.
 */
static void test_a_long_upload(void **state)
{
	static const struct jeebs_service service = {
		.protocol = "https", .retain = 64 << 20, .inner = &http_module};
	static const size_t half = UPLOAD_BODY / 2;
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suites[0]});
	struct harness_options o = {.service = &service,
				    .live = {.max = 16384},
				    .room_max = 100000,
				    .queue_max = 400000};
	struct layer c = {.rig = r};
	struct upload u = {.stored = BUF_INIT(2 * UPLOAD_BODY)};
	const struct harness_backend backend = {.receive = store, .ctx = &u};
	uint8_t *body = malloc(UPLOAD_BODY);
	struct jeebs_plan plan;
	struct harness h;
	uint64_t cut[2];

	assert_non_null(body);
	for (size_t i = 0; i < UPLOAD_BODY; i++)
		body[i] = (uint8_t)(i * 131 + (i >> 8));
	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(UPLOAD_HEAD));
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(body, half));
	assert_int_equal(harness_init(&h, &https, &o), 0);
	layer_live(&c, &h, r->wire[0].n + r->wire[1].n, cut);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(body + half, half));
	tls_rig_close(r, JEEBS_TO_SERVER);
	struct session_secrets secrets = tls_rig_secrets(r);
	harness_unseal(&h, session_crypto_init(room, &secrets), &session_crypto_ops);
	harness_plan(&h, &plan);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	assert_string_equal(plan.reason, "replay");
	harness_resume(&h, &backend, bytes_from(buf_view(&r->wire[0]), (size_t)cut[0]), true);
	assert_null(h.violation);
	assert_null(h.abort_reason);
	assert_true(u.over);
	assert_int_equal(u.stored.n, strlen(UPLOAD_HEAD) + UPLOAD_BODY);
	assert_memory_equal(u.stored.p + strlen(UPLOAD_HEAD), body, UPLOAD_BODY);
	/* It is heard after several events. */
	assert_true(u.heard_most < 3 * o.room_max);
	harness_deinit(&h);
	tls_rig_free(r);
	buf_deinit(&u.stored);
	free(body);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_can_be_composed),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_log_that_is_lost),
		cmocka_unit_test(test_a_long_upload),
		cmocka_unit_test(test_before_the_server_speaks),
		cmocka_unit_test(test_a_server_that_speaks_first),
		cmocka_unit_test(test_alpn_chooses),
		cmocka_unit_test(test_the_inside_is_found),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_cuts_in_small_chunks),
		cmocka_unit_test(test_cuts_after_restore),
		cmocka_unit_test(test_cuts_without_proof),
		cmocka_unit_test(test_cuts_followed),
		cmocka_unit_test(test_cuts_followed_later),
		cmocka_unit_test(test_cuts_of_cbc),
		cmocka_unit_test(test_cuts_followed_after_restore),
		cmocka_unit_test(test_smtp_inside),
		cmocka_unit_test(test_smtp_behind_starttls),
		cmocka_unit_test(test_telnet_inside),
		cmocka_unit_test(test_replay_inside),
	};

	if (!layer_compose(&tls_module, &http_module, NULL, "https", &https) ||
	    !layer_compose(&tls_module, &smtp_module, NULL, "smtps", &smtps) ||
	    !layer_compose(&tls_module, &telnet_module, NULL, "telnets", &telnets) ||
	    !layer_compose(&tls_module, &replay_module, NULL, "imaps", &imaps))
		return 1;
	layer_rig_begin();
	return cmocka_run_group_tests_name("tls-layer", tests, NULL, NULL);
}
