/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Frames as bytes: probes, resets, ARP and neighbour discovery. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <netinet/in.h>

#include <cmocka.h>

#include "base/checksum.h"
#include "base/clock.h"
#include "neighbour.h"
#include "tcprepair.h"

static const uint8_t own_mac[6] = {2, 0, 0, 0, 0, 3};

static struct snapshot example(const char *server, const char *client)
{
	struct snapshot s = {
		.snd_una = 0x10000000,
		.snd_nxt = 0x10000800,
		.rcv_nxt = 0x20000000,
		.rcv_edge = 0x20000000 + 0x1234 * 128 + 127,
		.snd_wscale = 7,
		.rcv_wscale = 7,
		.wscale_ok = true,
		.mss = 1460,
		.ts_ok = true,
		.tsval = 0x30000000,
		.tsval_ns = 0,
		.ts_hz = 1000,
		.ts_recent = 0x40000000,
		.ttl = 63,
		.tos = 0x28,
		.client_mac = {2, 0, 0, 0, 0, 10},
	};

	assert_int_equal(endpoint_parse(server, false, &s.server), 0);
	assert_int_equal(endpoint_parse(client, false, &s.client), 0);
	return s;
}

/* The worked example of RFC 1071 section 3: the sum of 00 01 f2 03 f4 f5 f6 f7 is ddf2. */
static void test_checksum(void **state)
{
	static const uint8_t in[] = {0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7};

	assert_int_equal(checksum_fold(checksum_add(0, bytes_of(in, sizeof in))),
			 (uint16_t)~0xddf2);
	assert_int_equal(checksum_fold(checksum_add(0, bytes_of(in + 1, 1))), (uint16_t)~0x0100);
}

static void assert_tcp_checksum(const struct snapshot *s, struct bytes tcp)
{
	uint32_t sum = checksum_pseudo(&s->server.addr, &s->client.addr, IPPROTO_TCP, tcp.n);

	assert_int_equal(checksum_fold(checksum_add(sum, tcp)), 0);
}

static void test_probe_v4(void **state)
{
	static const uint8_t expected[] = {
		2,    0,    0,    0,    0,    10,   2,    0,    0,    0,    0,    3,    0x08, 0x00,
		0x45, 0x28, 0x00, 0x34, 0x00, 0x00, 0x40, 0x00, 0x3f, 0x06, 0x27, 0x80, /* IPv4 */
		10,   9,    0,    1,    10,   9,    0,    10,   0x00, 0x50, 0x9c, 0x40, 0x0f, 0xff,
		0xff, 0xff, 0x20, 0x00, 0x00, 0x00, /* TCP */
		0x80, 0x10, 0x12, 0x34,
	};
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");
	uint8_t out[PROBE_FRAME_MAX];

	size_t n = probe_build(&s, own_mac, NS_PER_S, out);
	assert_int_equal(n, 14 + 20 + 32);
	assert_memory_equal(out, expected, sizeof expected);
	assert_tcp_checksum(&s, bytes_of(out + 34, n - 34));
	static const uint8_t timestamps[] = {1,    1,    8,    10,   0x30, 0x00,
					     0x03, 0xea, 0x40, 0x00, 0x00, 0x00};
	assert_memory_equal(out + n - 12, timestamps, 12);
}

/* A probe carries one byte that the client already has. The checksum covers it. */
static void test_probe_byte(void **state)
{
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");
	uint8_t out[PROBE_FRAME_MAX];

	s.probe_byte_ok = true;
	s.probe_byte = 0xa5;
	size_t n = probe_build(&s, own_mac, NS_PER_S, out);
	assert_int_equal(n, 14 + 20 + 32 + 1);
	assert_int_equal(out[16] << 8 | out[17], 20 + 32 + 1);
	assert_int_equal(out[14 + 20 + 12] >> 4, 8);
	assert_int_equal(out[n - 1], 0xa5);
	assert_tcp_checksum(&s, bytes_of(out + 34, n - 34));
	assert_int_equal(probe_build_rst(&s, own_mac, out), 14 + 20 + 20);
}

/*
 * The VLAN tag is added by the interface. A congestion mark of the server's packets is not
 * repeated.
 */
static void test_probe_v6_vlan(void **state)
{
	struct snapshot s = example("[fd00::1]:80", "[fd00::a]:40000");
	uint8_t out[PROBE_FRAME_MAX];

	s.vlan_present = true;
	s.vlan_tci = 0x2064;
	s.ts_ok = false;
	s.tos |= 3;
	size_t n = probe_build(&s, own_mac, NS_PER_S, out);
	assert_int_equal(n, 14 + 40 + 20);
	assert_memory_equal(out + 12, ((uint8_t[]){0x86, 0xdd}), 2);
	assert_memory_equal(out + 14, ((uint8_t[]){0x62, 0x80, 0, 0, 0, 20, 6, 63}), 8);
	assert_memory_equal(out + 22, s.server.addr.b, 16);
	assert_memory_equal(out + 38, s.client.addr.b, 16);
	assert_tcp_checksum(&s, bytes_of(out + 54, n - 54));
}

static void expect_window(int32_t open, uint8_t scale, uint16_t expected)
{
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");
	uint8_t out[PROBE_FRAME_MAX];

	s.rcv_edge = s.rcv_nxt + (uint32_t)open;
	s.rcv_wscale = scale;
	(void)probe_build(&s, own_mac, 0, out);
	assert_int_equal(out[48] << 8 | out[49], expected);
}

static void test_probe_window(void **state)
{
	expect_window(0, 7, 0);
	expect_window(-1, 0, 0); /* the client's FIN lies beyond the edge */
	expect_window(127, 7, 0);
	expect_window(128, 7, 1);
	expect_window(65535, 0, 65535);
	expect_window(70000, 0, 65535);
}

static void test_rst(void **state)
{
	struct snapshot s = example("10.9.0.1:80", "10.9.0.10:40000");
	uint8_t out[PROBE_FRAME_MAX];

	s.ttl = 0; /* no packet of the server was seen */
	size_t n = probe_build_rst(&s, own_mac, out);
	assert_int_equal(n, 14 + 20 + 20);
	assert_int_equal(out[22], 64);
	assert_memory_equal(out + 38, ((uint8_t[]){0x10, 0, 0, 0, 0x20, 0, 0, 0, 0x50, 0x14}), 10);
	assert_tcp_checksum(&s, bytes_of(out + 34, n - 34));
}

static struct netaddr addr(const char *text)
{
	struct netaddr a;

	assert_int_equal(netaddr_parse(text, &a), 0);
	return a;
}

static void expect_parse(struct bytes frame, const char *who, bool gratuitous)
{
	struct netaddr expected = addr(who);
	struct link_answer a;

	assert_true(neighbour_parse(frame, &a));
	assert_true(netaddr_eq(&a.addr, &expected));
	assert_memory_equal(a.mac, own_mac, 6);
	assert_int_equal(a.gratuitous, gratuitous);
}

static void test_arp(void **state)
{
	static const uint8_t request[] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2,  0, 0, 0, 0,
		3,    0x08, 0x06, 0,    1,    8,    0,  6, 4, 0, 1, /* request */
		2,    0,    0,    0,    0,    3,    10, 9, 0, 1,    /* sender */
		0,    0,    0,    0,    0,    0,    10, 9, 0, 1,    /* target */
	};
	struct netaddr s = addr("10.9.0.1"), own = addr("10.9.0.3");
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	struct link_answer a = {.gratuitous = true};

	size_t n = neighbour_announce_arp(&s, own_mac, false, out);
	assert_int_equal(n, sizeof request);
	assert_memory_equal(out, request, n);
	expect_parse(bytes_of(out, n), "10.9.0.1", true);
	n = neighbour_announce_arp(&s, own_mac, true, out);
	assert_int_equal(out[21], 2);
	assert_memory_equal(out + 32, own_mac, 6);
	expect_parse(bytes_of(out, n), "10.9.0.1", true);

	/* A request is not taken for an answer. */
	n = neighbour_ask(&s, &own, own_mac, out);
	assert_memory_equal(out + 28, own.b, 4);
	assert_memory_equal(out + 38, s.b, 4);
	assert_false(neighbour_parse(bytes_of(out, n), &a));
	out[21] = 2; /* as a reply: 10.9.0.3 answers 10.9.0.1 */
	expect_parse(bytes_of(out, n), "10.9.0.3", false);
	for (size_t i = 0; i < n; i++)
		assert_false(neighbour_parse(bytes_of(out, i), &a));
	out[15] = 6; /* not Ethernet */
	assert_false(neighbour_parse(bytes_of(out, n), &a));
}

static void fix_checksum(uint8_t *frame, size_t n)
{
	struct netaddr src = {.family = NETADDR_V6}, dst = src;

	memcpy(src.b, frame + 22, 16);
	memcpy(dst.b, frame + 38, 16);
	frame[56] = frame[57] = 0;
	uint32_t sum = checksum_pseudo(&src, &dst, IPPROTO_ICMPV6, n - 54);
	uint16_t v = checksum_fold(checksum_add(sum, bytes_of(frame + 54, n - 54)));
	frame[56] = (uint8_t)(v >> 8);
	frame[57] = (uint8_t)v;
}

static void test_advertisement(void **state)
{
	struct netaddr s = addr("fd00::1");
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	struct link_answer a;

	size_t n = neighbour_announce_nd(&s, own_mac, out);
	assert_int_equal(n, 14 + 40 + 32);
	assert_memory_equal(out, ((uint8_t[]){0x33, 0x33, 0, 0, 0, 1}), 6);
	assert_int_equal(out[21], 255);
	assert_int_equal(out[58], 0x20); /* Override, not Solicited */
	expect_parse(bytes_of(out, n), "fd00::1", true);
	out[58] = 0x60;
	assert_false(neighbour_parse(bytes_of(out, n), &a)); /* the checksum is checked */
	fix_checksum(out, n);
	expect_parse(bytes_of(out, n), "fd00::1", false);
	for (size_t i = 0; i < n; i++)
		assert_false(neighbour_parse(bytes_of(out, i), &a));

	/* The checks of RFC 4861 section 7.1.2 (hop limit, option lengths, target). */
	out[21] = 254;
	assert_false(neighbour_parse(bytes_of(out, n), &a));
	out[21] = 255;
	out[79] = 0; /* an option of length 0 */
	fix_checksum(out, n);
	assert_false(neighbour_parse(bytes_of(out, n), &a));
	out[79] = 1;
	out[62] = 0xff; /* a multicast target */
	fix_checksum(out, n);
	assert_false(neighbour_parse(bytes_of(out, n), &a));
}

/* Without the target link-layer address option the sender of the frame is taken. */
static void test_advertisement_without_option(void **state)
{
	struct netaddr s = addr("fd00::1");
	uint8_t out[NEIGHBOUR_FRAME_MAX];

	size_t n = neighbour_announce_nd(&s, own_mac, out) - 8;
	out[19] = 24;
	fix_checksum(out, n);
	expect_parse(bytes_of(out, n), "fd00::1", true);
}

static void test_solicitation(void **state)
{
	struct netaddr s = addr("fd00::1234:5678"), own = addr("fd00::3"),
		       group = addr("ff02::1:ff34:5678");
	uint8_t out[NEIGHBOUR_FRAME_MAX];
	struct link_answer a;

	size_t n = neighbour_ask(&s, &own, own_mac, out);
	assert_memory_equal(out, ((uint8_t[]){0x33, 0x33, 0xff, 0x34, 0x56, 0x78}), 6);
	assert_memory_equal(out + 22, own.b, 16);
	assert_memory_equal(out + 38, group.b, 16);
	assert_int_equal(out[54], 135);
	assert_memory_equal(out + 62, s.b, 16);
	assert_memory_equal(out + 78, ((uint8_t[]){1, 1}), 2);
	uint32_t sum = checksum_pseudo(&own, &group, IPPROTO_ICMPV6, n - 54);
	assert_int_equal(checksum_fold(checksum_add(sum, bytes_of(out + 54, n - 54))), 0);
	assert_false(neighbour_parse(bytes_of(out, n), &a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_probe_v4),
		cmocka_unit_test(test_probe_byte),
		cmocka_unit_test(test_probe_v6_vlan),
		cmocka_unit_test(test_probe_window),
		cmocka_unit_test(test_rst),
		cmocka_unit_test(test_arp),
		cmocka_unit_test(test_advertisement),
		cmocka_unit_test(test_advertisement_without_option),
		cmocka_unit_test(test_solicitation),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
