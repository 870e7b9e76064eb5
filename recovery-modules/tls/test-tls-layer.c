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

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/h2/h2.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/harness/test/conversation.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http-oracle.h"
#include "recovery-modules/http/http.h"
#include "tls.h"

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",       "ECDHE-ECDSA-AES256-GCM-SHA384",
	"TLS_CHACHA20_POLY1305_SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
	"TLS_AES_256_GCM_SHA384",       "ECDHE-ECDSA-AES128-GCM-SHA256"};
#define SUITES (sizeof suites / sizeof suites[0])

static struct jeebs_module https;

/* One recording, in TLS. */
struct sealed {
	const char *name;
	struct tls_rig *rig;
	void *oracle;
	bool fin[2];
	uint64_t wire_n; /* both directions */
};

struct counts {
	unsigned cuts, exact, other, refused, unknown, aborted, handshake;
};

/* ---- a recording ---------------------------------------------------------------------------- */

static struct buf read_file(const char *name)
{
	struct buf b = BUF_INIT(1u << 20);
	char path[512];

	snprintf(path, sizeof path, "%s/%s", TEST_RECORDINGS, name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	assert_int_equal(buf_reserve(&b, 1u << 20), 0);
	b.n = fread(b.p, 1, 1u << 20, f);
	fclose(f);
	return b;
}

/* In TLS 1.3 keys change now and then. */
static void change_keys(struct tls_rig *r, unsigned turn)
{
	if (SSL_version(r->end[0]) == TLS1_3_VERSION && turn % 3 == 1)
		tls_rig_key_update(r, turn & 1, turn % 5 == 0);
}

static void record_said(struct sealed *c, const struct conversation_record *rec,
			uint64_t off[static 2])
{
	uint32_t dir = rec->kind == 'C' || rec->kind == 'F' ? JEEBS_TO_CLIENT : JEEBS_TO_SERVER;

	if (rec->kind == 'E' || rec->kind == 'F') {
		assert_int_equal(http_oracle.fin(c->oracle, dir, off[dir]), 0);
		tls_rig_close(c->rig, dir);
		c->fin[dir] = true;
		return;
	}
	assert_int_equal(http_oracle.data(c->oracle, dir, off[dir],
					  (struct jeebs_bytes){rec->b.p, rec->b.n}),
			 0);
	off[dir] += rec->b.n;
	tls_rig_say(c->rig, dir, rec->b);
}

static void sealed_open(struct sealed *c, const char *name, const char *suite)
{
	struct buf file = read_file(name);
	struct reader r = reader_init(buf_view(&file));
	struct conversation_record rec;
	uint64_t off[2] = {0, 0}, unasked;
	unsigned turn = 0;

	*c = (struct sealed){.name = name};
	c->oracle = http_oracle.open(NULL);
	assert_non_null(c->oracle);
	c->rig = tls_rig_new(&(struct tls_rig_options){.suite = suite, .name = "a.example"});
	tls_rig_handshake(c->rig);
	while (conversation_next(&r, &rec)) {
		if (!c->fin[0] && !c->fin[1])
			change_keys(c->rig, turn++);
		record_said(c, &rec, off);
	}
	assert_int_equal(http_oracle.learned(c->oracle, &unasked), 0);
	c->wire_n = c->rig->wire[0].n + c->rig->wire[1].n;
	buf_deinit(&file);
}

static void sealed_close(struct sealed *c)
{
	http_oracle.close(c->oracle);
	tls_rig_free(c->rig);
}

/* ---- keys, and what is sealed with them ----------------------------------------------------- */

static struct jeebs_crypto_ops counting;
static struct {
	uint32_t key;
	uint64_t nonce;
} sealed_log[4096];
static uint32_t sealed_n;

static int counting_seal(struct jeebs_keys *k, uint32_t key, uint64_t nonce, struct jeebs_bytes aad,
			 struct jeebs_bytes in, uint8_t *out)
{
	for (uint32_t i = 0; i < sealed_n; i++)
		assert_false(sealed_log[i].key == key && sealed_log[i].nonce == nonce);
	assert_true(sealed_n < 4096);
	sealed_log[sealed_n].key = key;
	sealed_log[sealed_n++].nonce = nonce;
	return session_crypto_ops.seal(k, key, nonce, aad, in, out);
}

/* ---- what the client gets ------------------------------------------------------------------- */

/* The client's TLS, from the bytes alone that it got. */
struct client {
	struct tls_session session;
	struct tls_follow follow;
	struct tls_crypto crypto;
	struct bytes wire;
	struct buf plain;
	bool begun;
};

static void client_record(void *ctx, uint32_t dir, const struct tls_record *rec, bool sealed)
{
	static uint8_t out[TLS_PAYLOAD_MAX];
	struct client *c = ctx;
	struct tls_text t;

	if (dir != JEEBS_TO_CLIENT || !sealed)
		return;
	if (!c->begun)
		assert_true(tls_follow_begin(&c->follow, &c->session, &c->crypto, dir));
	c->begun = true;
	assert_false(c->follow.closed); /* nothing follows close_notify */
	if (!tls_follow_record(
		    &c->follow, &c->session, &c->crypto,
		    bytes_of(c->wire.p + rec->off, (size_t)(tls_record_end(rec) - rec->off)), out,
		    &t))
		fail_msg("the client's TLS: %s, in record %u", c->follow.refused,
			 (unsigned)c->follow.protect.number);
	if (t.type == TLS_DATA)
		buf_bytes(&c->plain, bytes_of(out, t.n));
}

/* What all that the server's side has sent says. Its last record is complete. */
typedef void record_fn(void *ctx, uint32_t dir, const struct tls_record *rec, bool sealed);
static struct buf decrypt(const struct sealed *c, struct bytes wire, record_fn *each,
			  bool *ret_closed, bool *ret_between)
{
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct session_secrets secrets = tls_rig_secrets(c->rig);
	static struct client k;

	k = (struct client){.wire = wire, .plain = BUF_INIT(1u << 24)};
	k.crypto = (struct tls_crypto){session_crypto_init(room, &secrets), &session_crypto_ops};
	/* Of what it says itself the client knows its hello, which comes first. */
	for (uint32_t i = 0; i < c->rig->order_n && c->rig->order[i].dir == 0; i++)
		tls_session_take(&k.session, JEEBS_TO_SERVER,
				 bytes_of(c->rig->wire[0].p, (size_t)c->rig->order[i].to), NULL,
				 NULL);
	tls_session_take(&k.session, JEEBS_TO_CLIENT, wire, each, &k);
	assert_null(k.session.refused);
	*ret_closed = k.follow.closed;
	*ret_between = tls_records_between(&k.session.side[JEEBS_TO_CLIENT].records);
	session_crypto_deinit(k.crypto.keys);
	return k.plain;
}

/* Whether @off of the server's bytes lies in a record that is not data: a message, an alert. */
static struct {
	uint64_t from, to;
} others[4096];
static uint32_t others_n;

static void note_other(void *ctx, uint32_t dir, const struct tls_record *rec, bool sealed)
{
	struct client *c = ctx;
	size_t before = c->plain.n;

	client_record(ctx, dir, rec, sealed);
	if (dir == JEEBS_TO_CLIENT && c->plain.n == before && others_n < 4096) {
		others[others_n].from = rec->off;
		others[others_n++].to = tls_record_end(rec);
	}
}

static bool is_in_other(uint64_t off)
{
	for (uint32_t i = 0; i < others_n; i++)
		if (off > others[i].from && off < others[i].to)
			return true;
	return false;
}

/* ---- one cut -------------------------------------------------------------------------------- */

struct run {
	const struct sealed *c;
	struct harness h;
	uint64_t cut[2]; /* how far each direction had come */
	void *connection;
	bool unknown;
};

static void live(struct run *u, uint64_t cut)
{
	const struct tls_rig *r = u->c->rig;

	for (uint32_t i = 0; i < r->order_n && cut > 0; i++) {
		const struct tls_rig_chunk *k = &r->order[i];
		struct bytes b = bytes_of(r->wire[k->dir].p + k->from, (size_t)(k->to - k->from));
		b = bytes_head(b, (size_t)cut);
		harness_data(&u->h, k->dir, b);
		u->cut[k->dir] += b.n;
		cut -= b.n;
	}
	if (cut == 0)
		return;
	for (uint32_t dir = 0; dir < 2; dir++)
		if (u->c->fin[dir])
			harness_fin(&u->h, dir);
}

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct run *u = ctx;
	uint32_t state;

	assert_int_equal(http_oracle.receive(u->connection, (struct jeebs_bytes){b.p, b.n}, eof,
					     take, answer, &state),
			 0);
	*close = state == JEEBS_ORACLE_CLOSE;
	*fail = state == JEEBS_ORACLE_RESET;
	u->unknown |= state == JEEBS_ORACLE_UNKNOWN;
}

/* The cut as the oracle has it: in plaintext. */
static void go_on(struct run *u)
{
	const struct tls *s = u->h.state;
	struct jeebs_cut cut = {.to_server_end = s->plain[JEEBS_TO_SERVER],
				.to_client_end = s->plain[JEEBS_TO_CLIENT],
				.client_fin = s->closed[JEEBS_TO_SERVER],
				.server_fin = s->closed[JEEBS_TO_CLIENT]};
	struct harness_backend backend = {.receive = receive, .ctx = u};
	struct bytes more = bytes_from(buf_view(&u->c->rig->wire[0]), (size_t)u->cut[0]);

	u->connection = http_oracle.connect(u->c->oracle, &cut);
	assert_non_null(u->connection);
	harness_resume(&u->h, &backend, more, u->c->fin[0]);
	http_oracle.disconnect(u->connection);
}

#define FAIL(u, ...)                                                                \
	do {                                                                        \
		printf("%s, cut at %u + %u: ", (u)->c->name, (unsigned)(u)->cut[0], \
		       (unsigned)(u)->cut[1]);                                      \
		fail_msg(__VA_ARGS__);                                              \
	} while (0)

static void judge(struct run *u, const struct jeebs_plan *plan, struct counts *n)
{
	const struct buf *said = &u->c->rig->plain[JEEBS_TO_CLIENT];
	struct buf wire = BUF_INIT(1u << 24);
	bool closed, between;

	buf_bytes(&wire, bytes_head(buf_view(&u->c->rig->wire[JEEBS_TO_CLIENT]),
				    (size_t)u->cut[JEEBS_TO_CLIENT]));
	buf_bytes(&wire, buf_view(&u->h.client));
	struct buf got = decrypt(u->c, buf_view(&wire), client_record, &closed, &between);
	if (plan->style == JEEBS_STYLE_STANDALONE) {
		n->other++;
	} else if (!bytes_eq(buf_view(&got), bytes_head(buf_view(said), got.n))) {
		FAIL(u, "the client got something else");
	} else if (u->h.outcome == HARNESS_ABORTED) {
		/* What a ticket or another message was to say nobody knows. */
		if (!is_in_other(u->cut[1]) || strncmp(u->h.abort_reason, "record-", 7) != 0)
			FAIL(u, "aborted, %s", u->h.abort_reason);
		n->aborted++;
	} else if (u->unknown) {
		n->unknown++;
	} else {
		if (got.n != said->n)
			FAIL(u, "%zu of %zu bytes", got.n, said->n);
		if (!between)
			FAIL(u, "ends in the middle of a record");
		assert_int_equal(closed, u->h.outcome == HARNESS_FINISHED);
		n->exact++;
	}
	buf_deinit(&got);
	buf_deinit(&wire);
}

static void check_cut(const struct sealed *c, uint64_t cut, const struct harness_options *options,
		      bool reopen, struct counts *n)
{
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct session_secrets secrets = tls_rig_secrets(c->rig);
	struct run u = {.c = c};
	struct jeebs_plan plan;

	n->cuts++;
	sealed_n = 0;
	assert_int_equal(harness_init(&u.h, &https, options), 0);
	live(&u, cut);
	if (reopen)
		assert_int_equal(harness_reopen(&u.h), 0);
	harness_plan(&u.h, &plan);
	struct jeebs_keys *keys = session_crypto_init(room, &secrets);
	if (plan.verdict == JEEBS_REFUSE) {
		assert_string_equal(plan.reason, "handshake-cut");
		n->handshake++;
	} else {
		assert_int_equal(plan.verdict, JEEBS_IF_KEYS);
		harness_unseal(&u.h, keys, &counting);
		harness_plan(&u.h, &plan);
		if (plan.verdict == JEEBS_CONTINUE) {
			go_on(&u);
			judge(&u, &plan, n);
		} else if (strcmp(plan.reason, "handshake-cut") == 0) {
			n->handshake++;
		} else {
			/* What a ticket or another message was to say nobody knows. */
			if (!is_in_other(u.cut[1]))
				FAIL(&u, "refused, %s", plan.reason);
			n->refused++;
		}
	}
	if (u.h.violation)
		FAIL(&u, "%s", u.h.violation);
	session_crypto_deinit(keys);
	harness_deinit(&u.h);
}

static void check_all(const struct harness_options *o, bool reopen, uint64_t step)
{
	static const char *const names[] = {
		"nginx-keep-alive", "apache-range",      "lighttpd-keep-alive", "nginx-pipelined",
		"apache-close",     "nginx-put-chunked", "lighttpd-parts"};
	static const struct jeebs_service service = {
		.protocol = "https", .retain = 1 << 20, .inner = &http_module};
	struct harness_options options = *o;
	struct counts n = {0};

	options.service = &service;
	if (getenv("JEEBS_LONG"))
		step = 1;
	for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct sealed c;
		bool closed, between;
		sealed_open(&c, names[i], suites[i % SUITES]);
		others_n = 0;
		struct buf all =
			decrypt(&c, buf_view(&c.rig->wire[1]), note_other, &closed, &between);
		assert_true(bytes_eq(buf_view(&all), buf_view(&c.rig->plain[1])));
		buf_deinit(&all);
		for (uint64_t cut = i % step; cut < c.wire_n + step; cut += step)
			check_cut(&c, cut > c.wire_n ? c.wire_n + 1 : cut, &options, reopen, &n);
		sealed_close(&c);
	}
	printf("%u cuts: %u exact, %u answered, %u in the handshake, %u unknown, %u refused, %u "
	       "aborted\n",
	       n.cuts, n.exact, n.other, n.handshake, n.unknown, n.refused, n.aborted);
	assert_true(n.exact > n.cuts / 2);
	assert_true(n.refused + n.aborted < n.cuts / 10);
}

static void test_cuts(void **state)
{
	check_all(&(struct harness_options){0}, false, 37);
}

static void test_cuts_in_small_chunks(void **state)
{
	check_all(&(struct harness_options){.live = {.max = 311, .seed = 3},
					    .backend = {.max = 170, .seed = 5},
					    .view_max = 160},
		  false, 211);
}

static void test_cuts_after_restore(void **state)
{
	check_all(&(struct harness_options){0}, true, 307);
}

static void test_what_can_be_composed(void **state)
{
	struct jeebs_module m, another = http_module;

	assert_true(layer_compose(&tls_module, &http_module, NULL, "https", &m));
	assert_string_equal(m.name, "https");
	assert_int_equal(m.state_size, tls_module.state_size + http_module.state_size);
	assert_int_equal(m.flags, 0);
	assert_false(layer_compose(&http_module, &http_module, NULL, "x", &m));
	assert_false(layer_compose(&tls_module, &tls_module, NULL, "x", &m));
	another.companion = "http-data";
	assert_false(layer_compose(&tls_module, &another, NULL, "x", &m));
	assert_false(layer_compose(&tls_module, &http_module, &another, "x", &m));
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
		{&usual, "\x16\3\1", "handshake-cut", 0},
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
		struct sealed c = {.rig = r};
		struct run u = {.c = &c};
		struct session_secrets secrets = tls_rig_secrets(r);
		struct jeebs_plan plan;
		tls_rig_handshake(r);
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(preface, sizeof preface - 1));
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(settings, sizeof settings - 1));
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_of(ack, sizeof ack - 1));
		assert_int_equal(harness_init(&u.h, &both, &o), 0);
		live(&u, r->wire[0].n + r->wire[1].n);
		harness_unseal(&u.h, session_crypto_init(room, &secrets), &session_crypto_ops);
		harness_plan(&u.h, &plan);
		assert_int_equal(plan.verdict, i < 2 ? JEEBS_CONTINUE : JEEBS_REFUSE);
		assert_string_equal(plan.reason, i < 2 ? "idle" : "no-inner-module");
		assert_null(u.h.violation);
		harness_deinit(&u.h);
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
		struct sealed c = {.rig = r};
		struct jeebs_plan plan;
		struct harness h;
		tls_rig_handshake(r);
		tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("GET / HTTP/1.1\r\n\r\n"));
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(room, sizeof room));
		struct run u = {.c = &c};
		assert_int_equal(harness_init(&u.h, &https, &o), 0);
		live(&u, r->wire[0].n + r->wire[1].n);
		h = u.h;
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_can_be_composed),
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_a_log_that_is_lost),
		cmocka_unit_test(test_alpn_chooses),
		cmocka_unit_test(test_cuts),
		cmocka_unit_test(test_cuts_in_small_chunks),
		cmocka_unit_test(test_cuts_after_restore),
	};

	if (!layer_compose(&tls_module, &http_module, NULL, "https", &https))
		return 1;
	counting = session_crypto_ops;
	counting.seal = counting_seal;
	return cmocka_run_group_tests_name("tls-layer", tests, NULL, NULL);
}
