/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What passes the ring's filter; against what libpcap makes of the same in words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pcap/pcap.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ring-filter.h"

#define ADDRESSES_MAX 1600
#define FRAME_MAX     128

static struct sock_filter instructions[BPF_MAXINSNS];
static struct bpf_program filter = {.bf_insns = (struct bpf_insn *)(void *)instructions};
static struct netaddr protected[ADDRESSES_MAX];
static uint64_t rng;

_Static_assert(sizeof(struct bpf_insn) == sizeof(struct sock_filter), "the same by two names");

static uint32_t below(uint32_t n)
{
	rng = rng * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(rng >> 33) % n;
}

static int build(const struct netaddr *a, uint32_t n, uint32_t max)
{
	int r = ring_filter_build(a, n, instructions, max);

	filter.bf_len = r > 0 ? (uint32_t)r : 0;
	return r;
}

static bool passes(const struct bpf_program *program, const uint8_t *frame, uint32_t n)
{
	struct pcap_pkthdr h = {.caplen = n, .len = n};

	return pcap_offline_filter(program, &h, frame) != 0;
}

/* ---- two addresses ---- */

static const struct netaddr two[] = {
	{{10, 9, 0, 1}, NETADDR_V4},
	{{0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, NETADDR_V6},
};

/* An Ethernet frame with @tags in-band tags and an IP header between these last address bytes. */
static uint32_t between(uint8_t *b, int tags, bool v6, uint8_t src, uint8_t dst, uint16_t fragment)
{
	uint8_t *p = b;

	memset(b, 0, 128);
	p += 12;
	for (int i = 0; i < tags; i++) {
		memcpy(p, i + 1 < tags ? "\x88\xa8\0\5" : "\x81\0\0\6", 4);
		p += 4;
	}
	memcpy(p, v6 ? "\x86\xdd\x60" : "\x08\0\x45", 3);
	p += 2;
	if (v6) {
		p[6] = 6;
		p[8] = p[24] = 0xfd;
		p[23] = src;
		p[39] = dst;
		return (uint32_t)(p - b) + 60;
	}
	p[6] = (uint8_t)(fragment >> 8);
	p[7] = (uint8_t)fragment;
	p[9] = 6;
	p[12] = p[16] = 10;
	p[13] = p[17] = 9;
	p[15] = src;
	p[19] = dst;
	return (uint32_t)(p - b) + 40;
}

/* The protocols that pass: TCP, and of IPv6 the headers that it may be behind. */
static void try_protocols(int tags, bool v6)
{
	static const uint8_t row[] = {0, 1, 6, 17, 43, 44, 50, 58, 60, 132};
	uint8_t b[FRAME_MAX];

	for (size_t i = 0; i < sizeof row; i++) {
		uint32_t n = between(b, tags, v6, 1, 2, 0);
		b[14 + 4 * tags + (v6 ? 6 : 9)] = row[i];
		bool extension = row[i] == 0 || row[i] == 43 || row[i] == 44 || row[i] == 60;
		assert_int_equal(passes(&filter, b, n), row[i] == 6 || (v6 && extension));
	}
}

static void test_passes_the_protected_alone(void **state)
{
	uint8_t b[FRAME_MAX];

	assert_true(build(two, 2, BPF_MAXINSNS) > 0);
	for (int tags = 0; tags <= 1; tags++) {
		for (int v6 = 0; v6 <= 1; v6++) {
			assert_true(passes(&filter, b, between(b, tags, v6, 1, 2, 0)));
			assert_true(passes(&filter, b, between(b, tags, v6, 2, 1, 0)));
			assert_false(passes(&filter, b, between(b, tags, v6, 2, 3, 0)));
			try_protocols(tags, v6);
		}
		/* The first and the last fragment. */
		assert_true(passes(&filter, b, between(b, tags, false, 1, 2, 0x2000)));
		assert_true(passes(&filter, b, between(b, tags, false, 2, 1, 0x00b9)));
	}
	uint32_t n = between(b, 0, false, 1, 2, 0);
	b[13] = 0x06; /* ARP */
	assert_false(passes(&filter, b, n));
}

/* ---- libpcap's ---- */

#define TCP "(ip proto 6 or ip6[6] = 6 or ip6[6] = 0 or ip6[6] = 43 or ip6[6] = 44 or ip6[6] = 60)"

static void hosts(FILE *out, uint32_t n)
{
	char text[NETADDR_STRLEN];

	for (uint32_t i = 0; i < n; i++)
		fprintf(out, "%s%s host %s", i ? " or " : "",
			protected[i].family == NETADDR_V6 ? "ip6" : "ip",
			netaddr_format(&protected[i], text));
}

/* In the text of a libpcap filter "vlan" moves all offsets behind it. */
static void libpcap_compile(uint32_t n, struct bpf_program *ret)
{
	pcap_t *pcap = pcap_open_dead(DLT_EN10MB, RING_FILTER_SNAPLEN);
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("(" TCP " and (", out);
	hosts(out, n);
	fputs(")) or (vlan and " TCP " and (", out);
	hosts(out, n);
	fputs("))", out);
	fclose(out);
	assert_int_equal(pcap_compile(pcap, ret, text, 1, PCAP_NETMASK_UNKNOWN), 0);
	free(text);
	pcap_close(pcap);
}

/* Some addresses have much in common, some nothing. */
static struct netaddr some_address(uint8_t family)
{
	struct netaddr a = {.family = family};
	uint32_t len = family == NETADDR_V6 ? 16 : 4;

	for (uint32_t i = 0; i < len; i++)
		a.b[i] = (uint8_t)(below(4) ? below(3) : below(256));
	return a;
}

static struct netaddr of_frame(uint32_t n, uint8_t family)
{
	struct netaddr a = protected[below(n)];

	if (a.family != family || below(4) == 0)
		return some_address(family);
	if (below(3) == 0)
		a.b[below(family == NETADDR_V6 ? 16 : 4)] ^= (uint8_t)(1u << below(8));
	return a;
}

static uint32_t some_frame(uint8_t *b, uint32_t n)
{
	static const char *const tag[] = {"\x81\0", "\x88\xa8", "\x91\0", "\x92\0"};
	static const uint8_t next[] = {6, 6, 6, 0, 43, 44, 60, 17, 50};
	bool v6 = below(2);
	uint8_t family = v6 ? NETADDR_V6 : NETADDR_V4, *p = b + 12;
	struct netaddr src = of_frame(n, family), dst = of_frame(n, family);

	memset(b, 0, FRAME_MAX);
	for (uint32_t tags = below(5) % 3; tags > 0; tags--, p += 4)
		memcpy(p, tag[below(4)], 2);
	memcpy(p, v6 ? "\x86\xdd\x60" : "\x08\0\x45", 3);
	p += 2;
	if (!v6)
		p[6] = (uint8_t)below(64);
	p[v6 ? 6 : 9] = next[below(sizeof next)];
	memcpy(p + (v6 ? 8 : 12), src.b, v6 ? 16 : 4);
	memcpy(p + (v6 ? 24 : 16), dst.b, v6 ? 16 : 4);
	return (uint32_t)(p - b) + 60;
}

static void test_same_as_libpcap(void **state)
{
	static const uint32_t counts[] = {1, 2, 3, 15, 16, 17, 33, 40};
	uint32_t passed = 0, dropped = 0;
	uint8_t b[FRAME_MAX];

	rng = 1;
	for (size_t c = 0; c < 3 * sizeof counts / sizeof *counts; c++) {
		uint32_t n = counts[c / 3];
		struct bpf_program other;
		for (uint32_t i = 0; i < n; i++) /* one family, the other, both */
		protected[i] =
			some_address(c % 3 == 0 || (c % 3 == 2 && i % 2) ? NETADDR_V4 : NETADDR_V6);
		assert_true(build(protected, n, BPF_MAXINSNS) > 0);
		libpcap_compile(n, &other);
		for (int i = 0; i < 3000; i++) {
			uint32_t len = some_frame(b, n);
			bool ours = passes(&filter, b, len);
			assert_int_equal(ours, passes(&other, b, len));
			passed += ours;
			dropped += !ours;
		}
		pcap_freecode(&other);
	}
	assert_in_range(passed, 5000, 1000000);
	assert_in_range(dropped, 5000, 1000000);
}

/* ---- many ---- */

static uint32_t frame_of(uint8_t *b, const struct netaddr *src, const struct netaddr *dst)
{
	bool v6 = src->family == NETADDR_V6;
	uint32_t n = between(b, 0, v6, 0, 0, 0);

	memcpy(b + (v6 ? 22 : 26), src->b, v6 ? 16 : 4);
	memcpy(b + (v6 ? 38 : 30), dst->b, v6 ? 16 : 4);
	return n;
}

static void try_all(uint32_t n)
{
	struct netaddr stranger = {.family = protected[0].family};
	uint8_t b[FRAME_MAX];

	memset(stranger.b, 0xee, 16);
	for (uint32_t i = 0; i < n; i++) {
		struct netaddr near = protected[i];
		assert_true(passes(&filter, b, frame_of(b, &protected[i], &stranger)));
		assert_true(passes(&filter, b, frame_of(b, &stranger, &protected[i])));
		near.b[near.family == NETADDR_V6 ? 9 : 1] ^= 0x80;
		assert_false(passes(&filter, b, frame_of(b, &near, &stranger)));
		assert_false(passes(&filter, b, frame_of(b, &stranger, &near)));
	}
}

/*
 * The worst addresses for the filter's size, by their common bytes and by how the searches divide.
 */
static void test_many(void **state)
{
	for (uint32_t i = 0; i < 1344; i++)
	protected[i] =
		(struct netaddr){{(uint8_t)(i * 77), 1, (uint8_t)(i >> 8), (uint8_t)i}, NETADDR_V4};
	assert_true(build(protected, 1344, BPF_MAXINSNS - 3) > 0);
	try_all(1344);
	for (uint32_t i = 0; i < 201; i++)
	protected[i] = (struct netaddr){{0xfd, 0, 0, 0, 0, (uint8_t)i, [15] = 1}, NETADDR_V6};
	assert_true(build(protected, 201, BPF_MAXINSNS - 3) > 0); /* one address in each network */
	try_all(201);
	for (uint32_t i = 0; i < 201; i++)
	protected[i] = (struct netaddr){{0xfd, [15] = (uint8_t)i}, NETADDR_V6};
	assert_true(build(protected, 201, BPF_MAXINSNS - 3) > 0);
	try_all(201);
	/* Many address endings that lie in seventeen networks each, and between them one that
	 * lies in a single network. */
	for (uint32_t i = 0; i < 201; i++)
	protected[i] = (struct netaddr){
		{0xfd, [7] = (uint8_t)i, [14] = (uint8_t)(i / 18), [15] = i % 18 == 0}, NETADDR_V6};
	assert_true(build(protected, 201, BPF_MAXINSNS - 3) > 0);
	try_all(201);
}

static void test_ceiling(void **state)
{
	for (uint32_t i = 0; i < ADDRESSES_MAX; i++)
	protected[i] = (struct netaddr){{10, 1, (uint8_t)(i >> 8), (uint8_t)i}, NETADDR_V4};
	int n = build(protected, 100, BPF_MAXINSNS);
	assert_in_range(n, 200, 364); /* config reckons with this number */
	assert_int_equal(build(protected, 100, (uint32_t)n), n);
	assert_int_equal(build(protected, 100, (uint32_t)n - 1), -E2BIG);
	assert_int_equal(build(protected, 100, 0), -E2BIG);
	assert_int_equal(build(protected, ADDRESSES_MAX, BPF_MAXINSNS), -E2BIG);
	/* An address that is named twice takes one place. */
	protected[100] = protected[7];
	assert_int_equal(build(protected, 101, BPF_MAXINSNS), n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_passes_the_protected_alone),
		cmocka_unit_test(test_same_as_libpcap),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
