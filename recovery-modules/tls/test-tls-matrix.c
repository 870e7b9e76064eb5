/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What TLS has besides suites: each of it with each suite, cut at places all over the conversation;
 * at every byte if JEEBS_LONG is set.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <openssl/tls1.h>

#include "test/layer-rig.h"

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
	"ECDHE-ECDSA-AES256-CCM",
	"ECDHE-ECDSA-AES128-CCM8",
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

static const char *const recordings[] = {"nginx-keep-alive", "apache-range", "lighttpd-keep-alive",
					 "nginx-pipelined"};

static bool is_13(const char *suite)
{
	return suite[3] == '_';
}

static struct layer_counts total;
static unsigned turn;

/* Cuts at one of @step bytes. */
static void check(struct layer_case c, uint64_t step)
{
	struct layer l;

	c.recording = recordings[turn % 4];
	layer_open(&l, &c);
	layer_cut_all(&l, 97 * turn % step, step, NULL, turn % 3 == 2, &total);
	layer_close(&l);
	turn++;
}

static void check_suites(struct layer_case c, bool tls13, bool tls12, uint64_t step)
{
	for (unsigned i = 0; i < SUITES; i++) {
		c.tls.suite = suites[i];
		c.tls.no_encrypt_then_mac = is_without_etm(i);
		if (is_13(suites[i]) ? tls13 : tls12)
			check(c, step);
	}
}

static int begin(void **state)
{
	total = (struct layer_counts){0};
	return 0;
}

static int print(void **state)
{
	layer_print("matrix", &total);
	return 0;
}

static void test_every_suite(void **state)
{
	check_suites((struct layer_case){.name = "plain"}, true, true, 211);
	check_suites((struct layer_case){.name = "updates", .updates = 1}, true, false, 211);
	check_suites((struct layer_case){.name = "more updates", .updates = 3}, true, false, 307);
}

static void test_handshakes(void **state)
{
	check_suites((struct layer_case){.name = "retry", .tls = {.client_groups = "X25519:P-256"}},
		     true, false, 401);
	check_suites(
		(struct layer_case){.name = "certificate", .tls = {.client_certificate = true}},
		true, true, 601);
	check_suites((struct layer_case){.name = "no-middlebox", .tls = {.no_middlebox = true}},
		     true, false, 401);
	check_suites((struct layer_case){.name = "name and alpn",
					 .tls = {.name = "a.example", .alpn = "http/1.1"}},
		     true, true, 601);
}

/* Tickets of both versions, and session ids of TLS 1.2. */
static void test_resumption(void **state)
{
	for (unsigned i = 0; i < SUITES; i++) {
		for (int tickets = is_13(suites[i]); tickets < 2; tickets++) {
			struct tls_rig_options o = {.suite = suites[i],
						    .no_tickets = !tickets,
						    .no_encrypt_then_mac = is_without_etm(i)};
			struct tls_rig *first = tls_rig_new(&o);
			tls_rig_handshake(first);
			tls_rig_say(first, JEEBS_TO_CLIENT, bytes_str("hello"));
			o.session = tls_rig_session(first);
			tls_rig_free(first);
			check((struct layer_case){.name = "resumed", .tls = o}, 401);
			SSL_SESSION_free(o.session);
		}
	}
}

static void test_sizes(void **state)
{
	check_suites((struct layer_case){.name = "padding", .tls = {.padding = 256}}, true, false,
		     401);
	check_suites((struct layer_case){.name = "fragments",
					 .tls = {.max_fragment = TLSEXT_max_fragment_length_512}},
		     true, true, 601);
	check_suites((struct layer_case){.name = "record size", .tls = {.record_size_limit = 333}},
		     true, true, 601);
}

/* Of several secrets for one client random it is the one that opens. */
static void test_key_logs(void **state)
{
	static const struct {
		const char *name;
		enum layer_keys keys;
	} logs[] = {{"twice", LAYER_KEYS_TWICE},
		    {"wrong first", LAYER_KEYS_WRONG_FIRST},
		    {"wrong last", LAYER_KEYS_WRONG_LAST},
		    {"backwards", LAYER_KEYS_BACKWARDS}};

	for (unsigned i = 0; i < sizeof logs / sizeof logs[0]; i++)
		check_suites((struct layer_case){.name = logs[i].name,
						 .keys = logs[i].keys,
						 .updates = 2},
			     true, true, 997);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, begin, print)
	const struct CMUnitTest tests[] = {
		TEST(test_every_suite), TEST(test_handshakes), TEST(test_resumption),
		TEST(test_sizes),       TEST(test_key_logs),
	};

	layer_rig_begin();
	return cmocka_run_group_tests_name("tls-matrix", tests, NULL, NULL);
}
