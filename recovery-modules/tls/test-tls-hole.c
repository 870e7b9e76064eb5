/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Downloads longer than may be kept, without keys before the server dies: a client of OpenSSL gets
 * the rest, byte for byte, if what was not kept is known to be data, and only then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/h2/h2.h"
#include "recovery-modules/harness/harness.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http.h"
#include "tls.h"

#define GET  "GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
#define BODY 400000u

static struct jeebs_module https;
static uint8_t body[BODY];

static const struct jeebs_service service = {
	.protocol = "https", .retain = 60000, .inner = &http_module, .inner_h2 = &h2_module};

struct download {
	struct tls_rig_options tls;
	const char *validator; /* NULL: an ETag */
	size_t say;            /* bytes that the server says at once */
	size_t update_at;      /* its key changes there; 0: never */
	bool uneven;           /* each record is of another length */
	bool reopen;
	size_t part; /* of a last record, of which so many bytes were out */
};

static void answer(void *ctx, struct bytes b, bool eof, struct buf *ret, bool *close, bool *fail)
{
	struct buf *asked = ctx;

	buf_bytes(asked, b);
	buf_u8(asked, 0);
	asked->n--;
	char *range = strstr((char *)asked->p, "bytes=");
	if (b.n == 0 || !strstr((char *)asked->p, "\r\n\r\n"))
		return;
	size_t from = range ? strtoul(range + 6, NULL, 10) : 0;
	assert_true(from < BODY);
	buf_printf(ret, "HTTP/1.1 %s\r\nContent-Length: %zu\r\nETag: \"x\"\r\n",
		   range ? "206 Partial Content" : "200 OK", BODY - from);
	if (range)
		buf_printf(ret, "Content-Range: bytes %zu-%u/%u\r\n", from, BODY - 1, BODY);
	buf_printf(ret, "\r\n");
	buf_bytes(ret, bytes_of(body + from, BODY - from));
	buf_reset(asked);
}

/* Says the beginning of the answer. The last record is cut. */
static void say_most(struct tls_rig *r, const struct download *d)
{
	size_t step = d->say ? d->say : 16384, n;
	char head[300];

	snprintf(head, sizeof head,
		 "HTTP/1.1 200 OK\r\nContent-Length: %u\r\nAccept-Ranges: bytes\r\n%s\r\n", BODY,
		 d->validator ? d->validator : "ETag: \"x\"\r\n");
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(head));
	for (size_t at = 0; at < BODY - 50000; at += n) {
		n = step;
		if (d->update_at && at <= d->update_at && at + n > d->update_at)
			tls_rig_key_update(r, JEEBS_TO_CLIENT, false);
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(body + at, n));
		step += d->uneven;
		if (d->part && at + n >= BODY - 50000)
			tls_rig_say_part(r, JEEBS_TO_CLIENT, bytes_of(body + at + n, 9000),
					 d->part);
	}
}

static void live(struct harness *h, const struct tls_rig *r)
{
	for (uint32_t i = 0; i < r->order_n; i++) {
		const struct tls_rig_chunk *k = &r->order[i];
		for (uint64_t at = k->from; at < k->to;) {
			size_t n = k->to - at < 1448 ? (size_t)(k->to - at) : 1448;
			harness_data(h, k->dir, bytes_of(r->wire[k->dir].p + at, n));
			at += n;
		}
	}
}

/* Every byte of the answer, whatever came before or behind the cut. */
static bool client_has_all(const struct tls_rig *r)
{
	struct bytes b = buf_view(&r->plain[JEEBS_TO_CLIENT]);

	return b.n > BODY && memcmp(b.p + b.n - BODY, body, BODY) == 0 &&
	       memcmp(b.p + b.n - BODY - 4, "\r\n\r\n", 4) == 0;
}

/* Returns the reason of the plan, if it is refused; NULL: it went on, and all was right. */
static const char *dies(const struct download *d)
{
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct buf asked = BUF_INIT(4096);
	const struct harness_backend backend = {.receive = answer, .ctx = &asked};
	const struct harness_options o = {.service = &service};
	struct tls_rig *r = tls_rig_new(&d->tls);
	struct jeebs_plan plan;
	struct harness h;

	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str(GET));
	say_most(r, d);
	assert_int_equal(harness_init(&h, &https, &o), 0);
	live(&h, r);
	/* The end, and what the client has not acknowledged. */
	assert_true(h.log[JEEBS_TO_CLIENT].span.bytes.n < service.retain + 2 * TLS_RECORD_MAX);
	/* Its records are read as well, and there are many. */
	const struct tls *tls = h.state;
	assert_int_equal(https.unseal_more(h.state) > 0, tls->holed);
	assert_true(https.unseal_more(h.state) >= tls->hole.records * tls->holed);
	if (d->reopen)
		assert_int_equal(harness_reopen(&h), 0);
	struct session_secrets secrets = tls_rig_secrets(r);
	harness_plan(&h, &plan);
	if (plan.verdict == JEEBS_IF_KEYS) {
		harness_unseal(&h, session_crypto_init(room, &secrets), &session_crypto_ops);
		harness_plan(&h, &plan);
	}
	if (plan.verdict == JEEBS_CONTINUE) {
		assert_string_equal(plan.reason, "range");
		harness_resume(&h, &backend, BYTES_NONE, false);
		if (h.outcome != HARNESS_JOINED)
			fail_msg("%s: outcome %d, %s", d->tls.suite, h.outcome, h.abort_reason);
		tls_rig_deliver(r, JEEBS_TO_CLIENT, buf_view(&h.client));
		assert_true(client_has_all(r));
	}
	if (h.violation)
		fail_msg("%s: %s", d->tls.suite, h.violation);
	harness_deinit(&h);
	buf_deinit(&asked);
	tls_rig_free(r);
	return plan.verdict == JEEBS_CONTINUE ? NULL : plan.reason;
}

static void check(const struct download *d, const char *reason)
{
	const char *why = dies(d);

	if (!why != !reason || (why && strcmp(why, reason) != 0))
		fail_msg("%s: %s, not %s", d->tls.suite, why ? why : "it went on",
			 reason ? reason : "that it goes on");
}

static const char *const suites[] = {
	"TLS_AES_128_GCM_SHA256",        "TLS_AES_256_GCM_SHA384",
	"TLS_CHACHA20_POLY1305_SHA256",  "TLS_AES_128_CCM_8_SHA256",
	"ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-CHACHA20-POLY1305",
	"ECDHE-ECDSA-AES128-CCM8"};
#define SUITES    (sizeof suites / sizeof suites[0])
#define SUITES_13 4u

/* In the middle of a record and between two, of lengths that come again. */
static void test_long_downloads(void **state)
{
	static const size_t parts[] = {0, 1, 5, 300, 8990};

	for (unsigned i = 0; i < SUITES; i++) {
		struct download d = {.tls.suite = suites[i]};
		for (unsigned k = 0; k < sizeof parts / sizeof parts[0]; k++) {
			d.part = parts[k];
			d.say = 16384 - 5000 * (k % 3);
			check(&d, NULL);
		}
		d.reopen = true;
		check(&d, "retain-exceeded");
	}
}

/* Zeros behind the data count as data if nobody looks. */
static void test_padding(void **state)
{
	for (unsigned i = 0; i < SUITES_13; i++) {
		struct download d = {.tls = {.suite = suites[i], .padding = 512}, .say = 10001};
		check(&d, "hole-not-data");
	}
}

static void test_key_update(void **state)
{
	for (unsigned i = 0; i < SUITES_13; i++) {
		struct download d = {.tls.suite = suites[i], .say = 7000};
		d.update_at = 200000; /* in the hole */
		check(&d, "hole-not-data");
		d.update_at = 10000; /* before it */
		check(&d, NULL);
	}
}

/* In TLS 1.3 lengths have to be remembered; in 1.2 they are added up. */
static void test_uneven(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		struct download d = {.tls.suite = suites[i], .say = 1500, .uneven = true};
		check(&d, i < SUITES_13 ? "retain-exceeded" : NULL);
	}
}

/* Of a body that nothing names, what was not kept cannot be compared. */
static void test_no_validator(void **state)
{
	struct download d = {.tls.suite = suites[0], .validator = "X-A: b\r\n"};

	check(&d, "response-gap");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_long_downloads), cmocka_unit_test(test_padding),
		cmocka_unit_test(test_key_update),     cmocka_unit_test(test_uneven),
		cmocka_unit_test(test_no_validator),
	};

	for (size_t i = 0; i < BODY; i++)
		body[i] = (uint8_t)(i * 2654435761u >> 13);
	if (!layer_compose(&tls_module, &http_module, &h2_module, "https", &https))
		return 1;
	return cmocka_run_group_tests_name("tls-hole", tests, NULL, NULL);
}
