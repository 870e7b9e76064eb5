/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/buf.h"
#include "snapshot.h"

static struct snapshot example(const char *server, const char *client)
{
	struct snapshot s = {
		.snd_una = 0xfffffff0,
		.snd_nxt = 0x00000010,
		.rcv_nxt = 3,
		.snd_wnd = 4,
		.snd_wl1 = 5,
		.max_window = 6,
		.rcv_edge = 7,
		.mss = 1460,
		.snd_wscale = 8,
		.rcv_wscale = 9,
		.wscale_ok = true,
		.ts_ok = true,
		.tsval = 10,
		.tsval_ns = INT64_C(1754400000123456789),
		.ts_hz = 250,
		.ts_recent = 11,
		.ttl = 63,
		.tos = 0x28,
		.vlan_present = true,
		.vlan_tci = 0x2064,
		.client_mac = {1, 2, 3, 4, 5, 6},
		.server_mac = {7, 8, 9, 10, 11, 12},
		.server_fin = true,
	};

	assert_int_equal(endpoint_parse(server, false, &s.server), 0);
	assert_int_equal(endpoint_parse(client, false, &s.client), 0);
	return s;
}

static void assert_same(const struct snapshot *a, const struct snapshot *b)
{
	assert_true(endpoint_eq(&a->server, &b->server));
	assert_true(endpoint_eq(&a->client, &b->client));
	assert_int_equal(a->snd_una, b->snd_una);
	assert_int_equal(a->snd_nxt, b->snd_nxt);
	assert_int_equal(a->rcv_nxt, b->rcv_nxt);
	assert_int_equal(a->snd_wnd, b->snd_wnd);
	assert_int_equal(a->snd_wl1, b->snd_wl1);
	assert_int_equal(a->max_window, b->max_window);
	assert_int_equal(a->rcv_edge, b->rcv_edge);
	assert_int_equal(a->mss, b->mss);
	assert_int_equal(a->snd_wscale, b->snd_wscale);
	assert_int_equal(a->rcv_wscale, b->rcv_wscale);
	assert_int_equal(a->wscale_ok, b->wscale_ok);
	assert_int_equal(a->sack_ok, b->sack_ok);
	assert_int_equal(a->ts_ok, b->ts_ok);
	assert_int_equal(a->tsval, b->tsval);
	assert_true(a->tsval_ns == b->tsval_ns);
	assert_int_equal(a->ts_hz, b->ts_hz);
	assert_int_equal(a->ts_recent, b->ts_recent);
	assert_int_equal(a->probe_byte_ok, b->probe_byte_ok);
	assert_int_equal(a->probe_byte, b->probe_byte);
	assert_int_equal(a->ttl, b->ttl);
	assert_int_equal(a->tos, b->tos);
	assert_int_equal(a->may_fragment, b->may_fragment);
	assert_int_equal(a->vlan_present, b->vlan_present);
	assert_int_equal(a->vlan_tci, b->vlan_tci);
	assert_memory_equal(a->client_mac, b->client_mac, 6);
	assert_memory_equal(a->server_mac, b->server_mac, 6);
	assert_int_equal(a->client_fin, b->client_fin);
	assert_int_equal(a->server_fin, b->server_fin);
}

static struct buf encoded(const struct snapshot *s)
{
	uint8_t room[SNAPSHOT_BYTES_MAX];
	struct writer w = WRITER_IN(room);
	struct buf b = BUF_INIT(1024);

	snapshot_encode(s, &w);
	assert_true(writer_ok(&w));
	assert_int_equal(buf_bytes(&b, writer_view(&w)), 0);
	return b;
}

static enum snapshot_outcome decoded(struct bytes in, struct snapshot *ret, size_t *ret_left)
{
	struct reader r = reader_init(in);
	enum snapshot_outcome o = snapshot_decode(&r, ret);

	*ret_left = reader_left(&r);
	return o;
}

static void round_trip(struct snapshot in)
{
	struct snapshot out;
	size_t left;
	struct buf b = encoded(&in);

	buf_u8(&b, 0xaa); /* the bytes behind the snapshot belong to another reader */
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_OK);
	assert_int_equal(left, 1);
	assert_same(&in, &out);
	buf_deinit(&b);
}

static void test_round_trip(void **state)
{
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");

	round_trip(s);
	round_trip(example("[fd00::1]:443", "[fd00::2]:1"));
	/* Each flag has its own bit. */
	for (unsigned i = 0; i < 256; i++) {
		s.wscale_ok = i & 1;
		s.snd_wscale = s.rcv_wscale = i & 1 ? 14 : 0;
		s.sack_ok = i & 2;
		s.ts_ok = i & 4;
		s.vlan_present = i & 8;
		s.client_fin = i & 16;
		s.server_fin = i & 32;
		s.probe_byte_ok = i & 64;
		s.probe_byte = i & 64 ? 0xa5 : 0;
		s.may_fragment = i & 128;
		round_trip(s);
	}
}

/* The format is read by other programs and later versions: a change needs a new version number. */
static void test_format_is_fixed(void **state)
{
	/* clang-format off */
	static const uint8_t expected[] = {
		2, 4, 10, 9, 0, 1, 0, 80, 10, 9, 0, 10,
		0x9c, 0x40, 0xff, 0xff, 0xff, 0xf0, 0, 0, 0, 0x10, 0, 0,
		0, 3, 0, 0, 0, 4, 0, 0, 0, 5, 0, 0,
		0, 6, 0, 0, 0, 7, 0x05, 0xb4, 8, 9, 1 | 4 | 8 | 32, 0,
		0, 0, 10, 0x18, 0x58, 0xe1, 0x81, 0x41, 0x4d, 0xcd, 0x15, 0,
		0, 0, 250, 0, 0, 0, 11, 63, 0x28, 0x20, 0x64, 1,
		2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12,
	};
	/* clang-format on */
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");
	struct buf b = encoded(&s);

	assert_int_equal(b.n, sizeof expected);
	assert_memory_equal(b.p, expected, sizeof expected);
	buf_deinit(&b);

	/* The last byte is the probe's, if there is one. */
	s.probe_byte_ok = true;
	s.probe_byte = 0xa5;
	b = encoded(&s);
	assert_int_equal(b.n, sizeof expected + 1);
	assert_int_equal(b.p[b.n - 1], 0xa5);
	buf_deinit(&b);
}

static void test_short_is_malformed(void **state)
{
	struct snapshot s = example("[fd00::1]:443", "[fd00::2]:1"), out = {.mss = 99};
	struct buf b = encoded(&s);
	size_t left;

	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(decoded(bytes_head(buf_view(&b), n), &out, &left),
				 SNAPSHOT_E_MALFORMED);
	assert_int_equal(out.mss, 99);
	b.p[0] = 0;
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_E_VERSION);
	b.p[0] = SNAPSHOT_VERSION + 1;
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_E_VERSION);
	b.p[0] = SNAPSHOT_VERSION;
	b.p[1] = 5;
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_E_MALFORMED);
	buf_deinit(&b);

	uint8_t room[20];
	struct writer small = WRITER_IN(room);
	snapshot_encode(&s, &small);
	assert_false(writer_ok(&small));
	assert_int_equal(writer_view(&small).n, 0);
}

static void expect_impossible(struct snapshot s)
{
	struct snapshot out;
	size_t left;
	struct buf b = encoded(&s);

	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_E_MALFORMED);
	buf_deinit(&b);
}

static void test_impossible_is_malformed(void **state)
{
	const struct snapshot good = example("10.9.0.1:80", "10.9.0.10:40000");
	struct snapshot s;

#define IMPOSSIBLE(change) (s = good, change, expect_impossible(s))
	IMPOSSIBLE(s.server.port = 0);
	IMPOSSIBLE(s.client.port = 0);
	IMPOSSIBLE(s.mss = 0);
	IMPOSSIBLE(s.snd_wscale = 15);
	IMPOSSIBLE(s.rcv_wscale = 15);
	IMPOSSIBLE(s.wscale_ok = false);
	IMPOSSIBLE(s.snd_wnd = s.max_window + 1);
	IMPOSSIBLE(s.max_window = (1u << 30) + 1);
	IMPOSSIBLE(s.snd_nxt = s.snd_una - 1);
	IMPOSSIBLE(s.ts_hz = 1000001);
#undef IMPOSSIBLE
}

/* A snapshot of version 1, without the flag that version 1 does not have. */
static void test_version_1(void **state)
{
	struct snapshot good = example("10.9.0.1:80", "10.9.0.10:40000"), out;
	struct buf b = encoded(&good);
	size_t left, flags_at = 2 + 12 + 28 + 4;

	b.p[0] = 1;
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_OK);
	assert_int_equal(left, 0);
	assert_same(&good, &out);
	b.p[flags_at] |= 0x80;
	assert_int_equal(decoded(buf_view(&b), &out, &left), SNAPSHOT_E_MALFORMED);
	buf_deinit(&b);
}

static void test_tsval(void **state)
{
	struct snapshot s = {.tsval = 1000, .tsval_ns = 5 * NS_PER_S, .ts_hz = 1000};

	/* The value is beyond the last one, also when no tick has passed or the clock was set
	 * back. */
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns), 1002);
	assert_int_equal(snapshot_tsval_at(&s, 0), 1002);
	s.tsval = 1001;
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns), 1002);
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns + NS_PER_S), 2002);
	s.ts_hz = 0; /* unknown: 1 kHz is the usual rate */
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns + NS_PER_S), 2002);
	s.ts_hz = 100;
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns + NS_PER_S), 1102);
	s.ts_hz = 1000000;
	assert_int_equal(snapshot_tsval_at(&s, s.tsval_ns + NS_PER_S), 1001002);

	/* The number wraps, also after more ticks than it can count. */
	s = (struct snapshot){.tsval = 0xffffffff, .tsval_ns = 0, .ts_hz = 1000};
	assert_int_equal(snapshot_tsval_at(&s, 0), 0);
	s.tsval = 0;
	assert_int_equal(snapshot_tsval_at(&s, INT64_C(4294967) * NS_PER_S + 297 * NS_PER_MS),
			 (uint32_t)2);
	for (int64_t ns = 0; ns < NS_PER_S; ns += 700001)
		assert_int_equal(snapshot_tsval_at(&s, ns) & 1, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_format_is_fixed),
		cmocka_unit_test(test_short_is_malformed),
		cmocka_unit_test(test_impossible_is_malformed),
		cmocka_unit_test(test_version_1),
		cmocka_unit_test(test_tsval),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
