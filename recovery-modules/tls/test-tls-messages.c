/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A record that says no data is cut, at each of its bytes: a client of OpenSSL goes on with what it
 * gets, and its next question is answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http.h"
#include "tls.h"

#define GET  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define HEAD "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256", "TLS_AES_128_CCM_8_SHA256"};
static const char *const suites_12[] = {"ECDHE-ECDSA-AES128-GCM-SHA256",
					"ECDHE-ECDSA-CHACHA20-POLY1305", "ECDHE-ECDSA-AES128-SHA"};

static struct jeebs_module https;

/* A conversation whose server dies while it says one message more. */
struct cut {
	struct tls_rig *rig;
	struct harness h;
	struct jeebs_plan plan;
	struct bytes more; /* what the client says behind the cut */
	uint64_t wire[2];  /* what there was before */
	_Alignas(max_align_t) uint8_t room[SESSION_CRYPTO_BYTES];
};

static void answer(void *ctx, struct bytes b, bool eof, struct buf *ret, bool *close, bool *fail)
{
	if (b.n > 0)
		buf_bytes(ret, bytes_str(HEAD "world"));
}

static void live(struct cut *c)
{
	const struct tls_rig *r = c->rig;

	for (uint32_t i = 0; i < r->order_n; i++) {
		const struct tls_rig_chunk *k = &r->order[i];
		harness_data(&c->h, k->dir,
			     bytes_of(r->wire[k->dir].p + k->from, (size_t)(k->to - k->from)));
	}
}

/* Returns the length of the record that was cut. */
static size_t die_in(struct cut *c, const char *suite, enum tls_rig_message m, size_t n,
		     const struct harness_options *o)
{
	struct session_secrets secrets;

	c->rig = tls_rig_new(&(struct tls_rig_options){.suite = suite});
	tls_rig_handshake(c->rig);
	tls_rig_say(c->rig, JEEBS_TO_SERVER, bytes_str(GET));
	tls_rig_say(c->rig, JEEBS_TO_CLIENT, bytes_str(HEAD "hello"));
	size_t whole = tls_rig_message_part(c->rig, m, n);
	assert_int_equal(harness_init(&c->h, &https, o), 0);
	live(c);
	c->wire[0] = c->rig->wire[0].n;
	c->wire[1] = c->rig->wire[1].n;
	secrets = tls_rig_secrets(c->rig);
	harness_unseal(&c->h, session_crypto_init(c->room, &secrets), &session_crypto_ops);
	harness_plan(&c->h, &c->plan);
	return whole;
}

static void go_on(struct cut *c, bool asks)
{
	const struct harness_backend backend = {.receive = answer};

	if (asks) {
		tls_rig_say(c->rig, JEEBS_TO_SERVER, bytes_str(GET));
		c->more = bytes_from(buf_view(&c->rig->wire[0]), (size_t)c->wire[0]);
	}
	harness_resume(&c->h, &backend, c->more, false);
	tls_rig_deliver(c->rig, JEEBS_TO_CLIENT, buf_view(&c->h.client));
}

static void end(struct cut *c)
{
	assert_null(c->h.violation);
	harness_deinit(&c->h);
	tls_rig_free(c->rig);
	free(c);
}

static struct cut *cut_new(void)
{
	struct cut *c = calloc(1, sizeof *c);

	assert_non_null(c);
	return c;
}

static const struct jeebs_service service = {
	.protocol = "https", .retain = 1 << 20, .inner = &http_module};

/* Cuts in @m at @n; the client asks or does not. Returns the length of the record. */
static size_t check(const char *suite, enum tls_rig_message m, size_t n, bool asks)
{
	const struct harness_options o = {.service = &service};
	struct cut *c = cut_new();
	size_t whole = die_in(c, suite, m, n, &o);

	if (c->plan.verdict != JEEBS_CONTINUE)
		fail_msg("%s, message %d cut at %zu: %s", suite, m, n, c->plan.reason);
	go_on(c, asks);
	if (c->h.outcome != HARNESS_JOINED)
		fail_msg("%s, message %d cut at %zu: outcome %d, %s", suite, m, n, c->h.outcome,
			 c->h.abort_reason);
	const struct buf *said = &c->rig->plain[JEEBS_TO_CLIENT];
	const char *all = asks ? HEAD "hello" HEAD "world" : HEAD "hello";
	assert_true(bytes_eq(buf_view(said), bytes_str(all)));
	end(c);
	return whole;
}

static size_t step_of(void)
{
	return getenv("JEEBS_LONG") ? 1 : 23;
}

static void test_tickets(void **state)
{
	for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		size_t whole = check(suites[i], TLS_RIG_TICKET, 1, true);
		for (size_t n = 2 + i; n < whole; n += step_of())
			assert_int_equal(check(suites[i], TLS_RIG_TICKET, n, n & 1), whole);
		check(suites[i], TLS_RIG_TICKET, whole - 1, true);
	}
}

static void test_updates(void **state)
{
	for (unsigned i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		enum tls_rig_message m = i & 1 ? TLS_RIG_UPDATE_BOTH : TLS_RIG_UPDATE;
		size_t whole = check(suites[i], m, 1, true);
		for (size_t n = 2; n < whole; n += getenv("JEEBS_LONG") ? 1 : 2)
			assert_int_equal(check(suites[i], m, n, n & 1), whole);
	}
}

/* The server has begun to close, and nobody asks any more: it is closed. */
static void check_close(const char *suite, size_t n)
{
	const struct harness_options o = {.service = &service};
	struct cut *c = cut_new();

	die_in(c, suite, TLS_RIG_CLOSE, n, &o);
	assert_int_equal(c->plan.verdict, JEEBS_CONTINUE);
	go_on(c, false);
	assert_true(bytes_eq(buf_view(&c->rig->plain[1]), bytes_str(HEAD "hello")));
	if (c->h.outcome != HARNESS_FINISHED ||
	    !(SSL_get_shutdown(c->rig->end[0]) & SSL_RECEIVED_SHUTDOWN))
		fail_msg("%s, close_notify cut at %zu: outcome %d, %s", suite, n, c->h.outcome,
			 c->h.abort_reason);
	end(c);
}

static void test_closes(void **state)
{
	/* In TLS 1.3 not before something of it is out that tells. */
	for (size_t n = 6; n < 24; n++)
		check_close(suites[n % 3], n);
	for (size_t n = 1; n < 31; n++)
		check_close(suites_12[0], n);
	for (size_t n = 1; n < 23; n++)
		check_close(suites_12[1], n);
	for (size_t n = 1; n < 57; n++)
		check_close(suites_12[2], n);
}

/*
 * Without the proof that no more was out only close_notify is completed, of which all was known,
 * and behind which nothing is said; the client is not told anything else.
 */
static void test_without_proof(void **state)
{
	const struct harness_options o = {.service = &service, .more_may_be_out = true};
	static const enum tls_rig_message messages[] = {TLS_RIG_TICKET, TLS_RIG_UPDATE,
							TLS_RIG_CLOSE};

	for (unsigned i = 0; i < 3; i++) {
		for (size_t n = 1, whole = SIZE_MAX; n < whole; n += i ? 1 : 17) {
			struct cut *c = cut_new();
			whole = die_in(c, suites[0], messages[i], n, &o);
			bool known = n >= whole - 8 && messages[i] == TLS_RIG_CLOSE;
			if (c->plan.verdict == JEEBS_CONTINUE)
				harness_resume(&c->h, &(struct harness_backend){.receive = answer},
					       BYTES_NONE, false);
			if (known) {
				assert_int_equal(c->plan.verdict, JEEBS_CONTINUE);
				assert_int_equal(c->h.client.n, whole - n);
			} else {
				assert_int_equal(c->h.client.n, 0);
				assert_string_equal(c->plan.reason, "record-uncertain");
			}
			end(c);
		}
	}
}

static uint64_t nonce_of(struct bytes record)
{
	uint64_t v = 0;

	assert_true(record.n > TLS_HEADER_BYTES + 8);
	for (int i = 0; i < 8; i++)
		v = v << 8 | record.p[TLS_HEADER_BYTES + i];
	return v;
}

/*
 * Between two records other nonces than those of what may be out are left where they are explicit,
 * and a client goes on with them.
 */
static void test_nonces_ahead(void **state)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct harness_options o = {.service = &service, .more_may_be_out = i == 1};
		struct cut *c = cut_new();
		die_in(c, suites_12[0], TLS_RIG_CLOSE, 0, &o);
		uint64_t last = nonce_of(bytes_from(buf_view(&c->rig->wire[1]),
						    c->rig->wire[1].n - TLS_HEADER_BYTES - 24 -
							    sizeof HEAD "hello" + 1));
		go_on(c, true);
		assert_int_equal(c->h.outcome, HARNESS_JOINED);
		assert_true(bytes_eq(buf_view(&c->rig->plain[JEEBS_TO_CLIENT]),
				     bytes_str(HEAD "hello" HEAD "world")));
		uint64_t ahead = nonce_of(buf_view(&c->h.client)) - last;
		if (o.more_may_be_out)
			assert_true(ahead > UINT32_MAX);
		else
			assert_int_equal(ahead, 1);
		end(c);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tickets),      cmocka_unit_test(test_updates),
		cmocka_unit_test(test_closes),       cmocka_unit_test(test_without_proof),
		cmocka_unit_test(test_nonces_ahead),
	};

	if (!layer_compose(&tls_module, &http_module, NULL, "https", &https))
		return 1;
	return cmocka_run_group_tests_name("tls-messages", tests, NULL, NULL);
}
