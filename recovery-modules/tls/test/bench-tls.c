/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the live half of tls costs, beside its stream being read by nobody: a long response of
 * HTTP in each suite, with keys (`keys: live`) and without (`keys: sealed`). Prints the best of
 * five runs, in CPU time; the host is nearly nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/private-memory.h"
#include "keyvault/crypto/test/tls-rig.h"
#include "recovery-modules/host/layer.h"
#include "recovery-modules/http/http.h"
#include "recovery-modules/tls/tls.h"

#define BODY_BYTES  ((size_t)48 << 20)
#define CHUNK_BYTES 14480 /* ten segments */
#define RUNS        5

static const char *const suites[] = {"TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
				     "TLS_CHACHA20_POLY1305_SHA256",
				     "ECDHE-ECDSA-AES128-GCM-SHA256"};

/* The host: what was shown is the beginning of what was said. */
static struct {
	const struct tls_rig *rig;
	uint64_t shown[2];
	struct jeebs_keys *keys; /* NULL: sealed */
} host;

/* Not the wall: other programs of a busy machine do not count. */
static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static void keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off) {}

static struct jeebs_bytes read_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	return (struct jeebs_bytes){host.rig->wire[dir].p + off, (size_t)(host.shown[dir] - off)};
}

static int keys(struct jeebs_flow *f, struct jeebs_keys **ret_keys,
		const struct jeebs_crypto_ops **ret_crypto)
{
	*ret_keys = host.keys;
	*ret_crypto = &session_crypto_ops;
	return host.keys ? JEEBS_KEYS_THERE : JEEBS_KEYS_NONE;
}

static uint8_t *scratch(struct jeebs_flow *f, size_t n)
{
	return scratch_take(n);
}

static const struct jeebs_live_ops ops = {.size = sizeof(struct jeebs_live_ops),
					  .keep_from = keep_from,
					  .log = read_log,
					  .keys = keys,
					  .scratch = scratch};

static struct tls_rig *say_all(const char *suite)
{
	static uint8_t body[16 << 10];
	struct tls_rig *r = tls_rig_new(&(struct tls_rig_options){.suite = suite});
	char head[128];

	tls_rig_handshake(r);
	tls_rig_say(r, JEEBS_TO_SERVER, bytes_str("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
	snprintf(head, sizeof head, "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n", BODY_BYTES);
	tls_rig_say(r, JEEBS_TO_CLIENT, bytes_str(head));
	for (size_t n = 0; n < BODY_BYTES; n += sizeof body)
		tls_rig_say(r, JEEBS_TO_CLIENT, bytes_of(body, sizeof body));
	return r;
}

static void show(const struct jeebs_module *m, void *state, uint32_t dir, struct bytes b)
{
	int r = m->data(state, dir, host.shown[dir], (struct jeebs_bytes){b.p, b.n}, 0);

	scratch_give_back();
	assert_int_equal(r, JEEBS_OK);
	host.shown[dir] += b.n;
}

/* Nanoseconds for each byte of the wire. */
static double run(const struct jeebs_module *m, struct tls_rig *r, bool live)
{
	static const struct jeebs_service service = {
		.protocol = "https", .retain = UINT64_MAX, .inner = &http_module};
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	struct session_secrets secrets = tls_rig_secrets(r);
	void *state = calloc(1, m->state_size);

	assert_non_null(state);
	memset(&host, 0, sizeof host);
	host.rig = r;
	host.keys = live ? session_crypto_init(room, &secrets) : NULL;
	assert_int_equal(m->open(state, NULL, &ops, &service), JEEBS_OK);
	int64_t start = cpu_ns();
	for (uint32_t i = 0; i < r->order_n; i++) {
		const struct tls_rig_chunk *k = &r->order[i];
		struct bytes b = bytes_of(r->wire[k->dir].p + k->from, (size_t)(k->to - k->from));
		for (; b.n > 0; b = bytes_from(b, bytes_head(b, CHUNK_BYTES).n))
			show(m, state, k->dir, bytes_head(b, CHUNK_BYTES));
	}
	double ns = (double)(cpu_ns() - start) / (double)(host.shown[0] + host.shown[1]);
	const struct tls *s = state;
	assert_int_equal(s->live, live);
	assert_true(!live || s->plain[JEEBS_TO_CLIENT] > BODY_BYTES);
	m->close(state);
	session_crypto_deinit(host.keys);
	free(state);
	return ns;
}

/* The cipher alone: what following cannot be faster than. */
static double cipher(struct tls_rig *r, const char *suite)
{
	bool tls13 = strncmp(suite, "TLS_", 4) == 0;
	static const struct {
		const char *name;
		uint16_t number;
	} numbers[] = {{"TLS_AES_128_GCM_SHA256", 0x1301},
		       {"TLS_AES_256_GCM_SHA384", 0x1302},
		       {"TLS_CHACHA20_POLY1305_SHA256", 0x1303},
		       {"ECDHE-ECDSA-AES128-GCM-SHA256", 0xc02b}};
	_Alignas(max_align_t) static uint8_t room[SESSION_CRYPTO_BYTES];
	static uint8_t text[16 << 10], sealed[sizeof text + 16];
	struct session_secrets secrets = tls_rig_secrets(r);
	struct jeebs_keys *k = session_crypto_init(room, &secrets);
	struct jeebs_key_spec spec = {.kind = tls13 ? JEEBS_KEY_TLS13_APPLICATION : JEEBS_KEY_TLS12,
				      .dir = JEEBS_TO_CLIENT};
	uint32_t key;

	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		if (strcmp(numbers[i].name, suite) == 0)
			spec.suite = numbers[i].number;
	memcpy(spec.client_random, r->secret[0].client_random, sizeof spec.client_random);
	assert_int_equal(session_crypto_ops.derive(k, &spec, &key), JEEBS_CRYPTO_OK);
	const struct jeebs_bytes none = {0}, in = {text, sizeof text},
				 out = {sealed, sizeof sealed};
	assert_int_equal(session_crypto_ops.seal(k, key, 0, none, in, sealed), JEEBS_CRYPTO_OK);
	int64_t start = cpu_ns();
	for (size_t n = 0; n < BODY_BYTES; n += sizeof text)
		assert_int_equal(session_crypto_ops.open(k, key, 0, none, out, text),
				 JEEBS_CRYPTO_OK);
	session_crypto_deinit(k);
	return (double)(cpu_ns() - start) / (double)BODY_BYTES;
}

static double best_of(double a, double b)
{
	return a < b ? a : b;
}

int main(void)
{
	struct jeebs_module https;

	if (!layer_compose(&tls_module, &http_module, NULL, "https", &https))
		return 1;
	printf("%-32s %8s %8s %8s   GB/s and core, live\n", "ns/byte", "sealed", "live", "cipher");
	for (size_t i = 0; i < sizeof suites / sizeof suites[0]; i++) {
		struct tls_rig *r = say_all(suites[i]);
		double best[3] = {1e9, 1e9, 1e9};
		for (int k = 0; k < RUNS; k++) {
			best[0] = best_of(best[0], run(&https, r, false));
			best[1] = best_of(best[1], run(&https, r, true));
			best[2] = best_of(best[2], cipher(r, suites[i]));
		}
		printf("%-32s %8.3f %8.3f %8.3f   %.2f\n", suites[i], best[0], best[1], best[2],
		       1 / best[1]);
		tls_rig_free(r);
	}
	return 0;
}
