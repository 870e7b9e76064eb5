/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "decode.h"

#define T0 INT64_C(1700000000123456789)

/* The TCP segment in all frames here: a timestamp option, and five bytes of payload. */
#define TCP_BYTES 37
#define PAYLOAD   "hello"

static void put(struct buf *b, const void *p, size_t n)
{
	assert_int_equal(buf_append(b, p, n), 0);
}

static void put_tcp(struct buf *b)
{
	buf_u16be(b, 40000);
	buf_u16be(b, 80);
	buf_u32be(b, 0xfffffff0);
	buf_u32be(b, 0x01020304);
	buf_u8(b, 8 << 4);
	buf_u8(b, TCP_ACK | TCP_PSH);
	buf_u16be(b, 501);
	buf_u32be(b, 0); /* checksum, urgent pointer */
	buf_u32be(b, 0x0101080a);
	buf_u32be(b, 111);
	buf_u32be(b, 222);
	put(b, PAYLOAD, 5);
}

static void put_ipv4(struct buf *b, uint16_t total, uint8_t option_words, uint16_t fragment,
		     uint8_t protocol)
{
	buf_u8(b, (uint8_t)(0x45 + option_words));
	buf_u8(b, 0xb8);
	buf_u16be(b, total);
	buf_u16be(b, 7);
	buf_u16be(b, fragment);
	buf_u8(b, 63);
	buf_u8(b, protocol);
	buf_u16be(b, 0);
	put(b, "\x0a\x09\x00\x01\x0a\x09\x00\x02", 8);
	for (int i = 0; i < option_words; i++)
		buf_u32be(b, 0x01010101);
}

static void put_ipv6(struct buf *b, uint16_t length, uint8_t next)
{
	buf_u32be(b, 0x6b800000); /* version 6, traffic class 0xb8 */
	buf_u16be(b, length);
	buf_u8(b, next);
	buf_u8(b, 63);
	put(b, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	put(b, "\xfd\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02", 16);
}

static void put_ethernet(struct buf *b, uint16_t type)
{
	put(b, "\x02\0\0\0\0\x0b\x02\0\0\0\0\x0a", 12);
	buf_u16be(b, type);
}

/* Decodes a copy of exactly @captured bytes, so that ASan sees a read beyond them. */
static enum decode_outcome decode_cut(const struct buf *b, uint16_t link, size_t captured,
				      size_t wire, struct segment *ret)
{
	uint8_t *copy = malloc(captured ? captured : 1);
	struct frame f = {
		.data = bytes_of(copy, captured),
		.wire_len = (uint32_t)wire,
		.link = link,
		.time_ns = T0,
	};

	assert_non_null(copy);
	if (captured)
		memcpy(copy, b->p, captured);
	enum decode_outcome r = decode_frame(&f, ret);
	if (r == DECODE_TCP && ret->payload.n == 5)
		assert_memory_equal(ret->payload.p, PAYLOAD, 5);
	free(copy);
	return r;
}

static enum decode_outcome decode(const struct buf *b, uint16_t link, struct segment *ret)
{
	assert_int_equal(buf_error(b), 0);
	return decode_cut(b, link, b->n, b->n, ret);
}

static void assert_segment(const struct segment *s, uint8_t family)
{
	struct endpoint src, dst;

	endpoint_parse(family == NETADDR_V4 ? "10.9.0.1:40000" : "[fd00::1]:40000", false, &src);
	endpoint_parse(family == NETADDR_V4 ? "10.9.0.2:80" : "[fd00::2]:80", false, &dst);
	assert_true(endpoint_eq(&s->src, &src));
	assert_true(endpoint_eq(&s->dst, &dst));
	assert_int_equal(s->seq, 0xfffffff0);
	assert_int_equal(s->ack, 0x01020304);
	assert_int_equal(s->flags, TCP_ACK | TCP_PSH);
	assert_int_equal(s->window, 501);
	assert_int_equal(s->ttl, 63);
	assert_int_equal(s->tos, 0xb8);
	assert_int_equal(s->opt.seen, TCP_OPT_TIMESTAMP);
	assert_int_equal(s->opt.tsval, 111);
	assert_int_equal(s->opt.tsecr, 222);
	assert_int_equal(s->payload_len, 5);
	assert_int_equal(s->payload.n, 5);
	assert_int_equal(s->time_ns, T0);
}

/*
 * The frame is truncated at every length, and the original length stays. Up to the end of the TCP
 * header it is truncated, behind that a segment with less payload. A frame that was as short on
 * the wire is malformed.
 */
static void assert_every_cut(const struct buf *b, uint16_t link)
{
	struct segment s;

	for (size_t n = 0; n < b->n; n++) {
		enum decode_outcome r = decode_cut(b, link, n, b->n, &s);
		if (n < b->n - 5) {
			assert_int_equal(r, DECODE_TRUNCATED);
		} else {
			assert_int_equal(r, DECODE_TCP);
			assert_int_equal(s.payload_len, 5);
			assert_int_equal(s.payload.n, n - (b->n - 5));
		}
		assert_int_equal(decode_cut(b, link, n, n, &s), DECODE_MALFORMED);
	}
}

static void assert_decodes(struct buf *b, uint16_t link, uint8_t family)
{
	struct segment s;

	assert_int_equal(decode(b, link, &s), DECODE_TCP);
	assert_segment(&s, family);
	assert_false(s.vlan_present);
	assert_int_equal(s.mac_valid, link == FRAME_LINK_ETHERNET);
	assert_every_cut(b, link);
	buf_deinit(b);
}

static void test_ethernet_ipv4(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct segment s;

	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0x4000, 6);
	put_tcp(&b);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
	assert_true(s.mac_valid);
	assert_memory_equal(s.dst_mac, "\x02\0\0\0\0\x0b", 6);
	assert_memory_equal(s.src_mac, "\x02\0\0\0\0\x0a", 6);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V4);
}

static void test_ethernet_ipv6(void **state)
{
	struct buf b = BUF_INIT(4096);

	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, TCP_BYTES, 6);
	put_tcp(&b);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V6);
}

static void test_ipv4_options(void **state)
{
	for (uint8_t words = 1; words <= 10; words++) {
		struct buf b = BUF_INIT(4096);
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, (uint16_t)(20 + words * 4 + TCP_BYTES), words, 0, 6);
		put_tcp(&b);
		assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V4);
	}
}

static void test_other_links(void **state)
{
	static const struct {
		uint16_t link;
		const char *header;
		size_t n;
		bool v6;
	} row[] = {
		{FRAME_LINK_RAW, "", 0, false},
		{FRAME_LINK_RAW, "", 0, true},
		{FRAME_LINK_RAW_OLD, "", 0, false},
		{FRAME_LINK_RAW_OLD, "", 0, true},
		{FRAME_LINK_IPV4, "", 0, false},
		{FRAME_LINK_IPV6, "", 0, true},
		{FRAME_LINK_NULL, "\x02\0\0\0", 4, false},
		{FRAME_LINK_NULL, "\0\0\0\x02", 4, false},
		{FRAME_LINK_NULL, "\x0a\0\0\0", 4, true},
		{FRAME_LINK_NULL, "\0\0\0\x18", 4, true},
		{FRAME_LINK_NULL, "\x1c\0\0\0", 4, true},
		{FRAME_LINK_LOOP, "\0\0\0\x1e", 4, true},
		{FRAME_LINK_LOOP, "\0\0\0\x02", 4, false},
		{FRAME_LINK_SLL, "\0\0\0\x01\0\x06\x02\0\0\0\0\x0a\0\0\x08\0", 16, false},
		{FRAME_LINK_SLL, "\0\0\0\x01\0\x06\x02\0\0\0\0\x0a\0\0\x86\xdd", 16, true},
		{FRAME_LINK_SLL2, "\x08\0\0\0\0\0\0\x02\0\x01\0\x06\x02\0\0\0\0\x0a\0\0", 20,
		 false},
		{FRAME_LINK_SLL2, "\x86\xdd\0\0\0\0\0\x02\0\x01\0\x06\x02\0\0\0\0\x0a\0\0", 20,
		 true},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		put(&b, row[i].header, row[i].n);
		if (row[i].v6)
			put_ipv6(&b, TCP_BYTES, 6);
		else
			put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
		put_tcp(&b);
		assert_decodes(&b, row[i].link, row[i].v6 ? NETADDR_V6 : NETADDR_V4);
	}
}

static void test_cooked_direction(void **state)
{
	static const struct {
		uint16_t link;
		const char *header;
		size_t n;
		bool outgoing;
	} row[] = {
		{FRAME_LINK_SLL, "\0\x04\0\x01\0\x06\x02\0\0\0\0\x0a\0\0\x08\0", 16, true},
		{FRAME_LINK_SLL, "\0\x03\0\x01\0\x06\x02\0\0\0\0\x0a\0\0\x08\0", 16, false},
		{FRAME_LINK_SLL2, "\x08\0\0\0\0\0\0\x02\0\x01\x04\x06\x02\0\0\0\0\x0a\0\0", 20,
		 true},
		{FRAME_LINK_SLL2, "\x08\0\0\0\0\0\0\x02\0\x01\x00\x06\x02\0\0\0\0\x0a\0\0", 20,
		 false},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put(&b, row[i].header, row[i].n);
		put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
		put_tcp(&b);
		assert_int_equal(decode(&b, row[i].link, &s), DECODE_TCP);
		assert_int_equal(s.outgoing, row[i].outgoing);
		buf_deinit(&b);
	}
}

static void test_vlan_tags(void **state)
{
	static const uint16_t types[] = {0x8100, 0x88a8, 0x9100};

	for (size_t outer = 0; outer < 3; outer++) {
		for (int count = 1; count <= 4; count++) {
			struct buf b = BUF_INIT(4096);
			struct segment s;
			put_ethernet(&b, types[outer]);
			for (int i = 0; i < count; i++) {
				buf_u16be(&b, (uint16_t)(0x2064 + i)); /* priority 1, id 100 + i */
				buf_u16be(&b, i + 1 < count ? 0x8100 : 0x0800);
			}
			put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
			put_tcp(&b);
			assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
			assert_segment(&s, NETADDR_V4);
			assert_true(s.vlan_present);
			assert_int_equal(s.vlan_tci, 0x2064);
			assert_every_cut(&b, FRAME_LINK_ETHERNET);
			buf_deinit(&b);
		}
	}
}

static void test_metadata_tag_is_outer(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct segment s;

	put_ethernet(&b, 0x8100);
	buf_u16be(&b, 200);
	buf_u16be(&b, 0x0800);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
	put_tcp(&b);
	struct frame f = {
		.data = buf_view(&b),
		.wire_len = (uint32_t)b.n,
		.link = FRAME_LINK_ETHERNET,
		.vlan_present = true,
		.vlan_tci = 0, /* a priority tag is a tag too */
		.outgoing = true,
	};
	assert_int_equal(decode_frame(&f, &s), DECODE_TCP);
	assert_true(s.vlan_present);
	assert_int_equal(s.vlan_tci, 0);
	assert_true(s.outgoing);
	buf_deinit(&b);
}

static void put_pppoe(struct buf *b, uint8_t version, uint8_t code, uint16_t length,
		      uint16_t protocol)
{
	put_ethernet(b, 0x8864);
	buf_u8(b, version);
	buf_u8(b, code);
	buf_u16be(b, 0x0f07);
	buf_u16be(b, length);
	buf_u16be(b, protocol);
}

static void test_pppoe(void **state)
{
	struct buf b = BUF_INIT(4096);

	put_pppoe(&b, 0x11, 0, 2 + 20 + TCP_BYTES, 0x0021);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
	put_tcp(&b);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V4);
	put_pppoe(&b, 0x11, 0, 2 + 40 + TCP_BYTES, 0x0057);
	put_ipv6(&b, TCP_BYTES, 6);
	put_tcp(&b);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V6);
}

static void test_pppoe_refused(void **state)
{
	static const struct {
		uint8_t version, code;
		uint16_t length, protocol;
		enum decode_outcome outcome;
	} row[] = {
		{0x11, 0, 59, 0xc021, DECODE_NOT_TCP},    /* LCP */
		{0x11, 0xa7, 59, 0x0021, DECODE_NOT_TCP}, /* discovery code */
		{0x21, 0, 59, 0x0021, DECODE_MALFORMED},  /* version */
		{0x11, 0, 60, 0x0021, DECODE_MALFORMED},  /* longer than the frame */
		{0x11, 0, 58, 0x0021, DECODE_MALFORMED},  /* shorter than the IP packet */
		{0x11, 0, 1, 0x0021, DECODE_MALFORMED},   /* no room for a protocol */
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put_pppoe(&b, row[i].version, row[i].code, row[i].length, row[i].protocol);
		put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
		put_tcp(&b);
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), row[i].outcome);
		buf_deinit(&b);
	}
}

static void test_padding_is_not_payload(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct segment s;

	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
	put_tcp(&b);
	put(&b, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
	assert_segment(&s, NETADDR_V4);
	buf_deinit(&b);

	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, TCP_BYTES, 6);
	put_tcp(&b);
	put(&b, "\0\0\0\0\0\0\0\0", 8);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
	assert_segment(&s, NETADDR_V6);
	buf_deinit(&b);
}

/* A super-packet is longer than IP's length can say. That is 0, and the frame tells the length,
 * truncated or not. */
static void test_big_packets(void **state)
{
	const size_t more = 200000;
	uint8_t *zeros = calloc(1, more);

	for (int v6 = 0; v6 < 2; v6++) {
		struct buf b = BUF_INIT(1 << 20);
		struct segment s;
		put_ethernet(&b, v6 ? 0x86dd : 0x0800);
		if (v6)
			put_ipv6(&b, 0, 6);
		else
			put_ipv4(&b, 0, 0, 0, 6);
		put_tcp(&b);
		put(&b, zeros, more);
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
		assert_int_equal(s.payload_len, 5 + more);
		assert_int_equal(s.payload.n, 5 + more);
		assert_int_equal(decode_cut(&b, FRAME_LINK_ETHERNET, 128, b.n, &s), DECODE_TCP);
		assert_int_equal(s.payload_len, 5 + more);
		assert_int_equal(s.payload.n, 128 - (b.n - more - 5));
		buf_deinit(&b);
	}
	free(zeros);
}

/* A jumbogram (RFC 2675) has the length 0. The true one is in a hop-by-hop option. */
static void test_ipv6_jumbo_option(void **state)
{
	struct buf b = BUF_INIT(4096);

	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, 0, 0);
	put(&b, "\x06\0\xc2\x04\0\x01\0\0", 8);
	put_tcp(&b);
	struct segment s;
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_TCP);
	assert_segment(&s, NETADDR_V6);
	buf_deinit(&b);
}

static void test_ipv4_fragments(void **state)
{
	static const struct {
		uint16_t fragment;
		uint8_t protocol;
		enum decode_outcome outcome;
	} row[] = {
		{0x0000, 6, DECODE_TCP},      {0x4000, 6, DECODE_TCP},
		{0x8000, 6, DECODE_TCP}, /* the reserved bit means nothing here */
		{0x2000, 6, DECODE_FRAGMENT}, {0x2001, 6, DECODE_FRAGMENT},
		{0x0001, 6, DECODE_FRAGMENT}, {0x1fff, 6, DECODE_FRAGMENT},
		{0x2000, 17, DECODE_NOT_TCP}, {0x0001, 1, DECODE_NOT_TCP},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, 20 + TCP_BYTES, 0, row[i].fragment, row[i].protocol);
		put_tcp(&b);
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), row[i].outcome);
		if (row[i].outcome == DECODE_TCP)
			assert_int_equal(s.may_fragment, row[i].fragment != 0x4000);
		if (row[i].outcome == DECODE_FRAGMENT) {
			assert_int_equal(s.src.addr.family, NETADDR_V4);
			assert_memory_equal(s.src.addr.b, "\x0a\x09\x00\x01", 4);
			assert_memory_equal(s.dst.addr.b, "\x0a\x09\x00\x02", 4);
			assert_int_equal(s.time_ns, T0);
		}
		buf_deinit(&b);
	}
}

/* One extension header of @n bytes. */
static void put_extension(struct buf *b, uint8_t next, size_t n)
{
	buf_u8(b, next);
	buf_u8(b, (uint8_t)(n / 8 - 1));
	for (size_t i = 2; i < n; i++)
		buf_u8(b, 1);
}

static void put_fragment_header(struct buf *b, uint8_t next, uint16_t offset_and_flags)
{
	buf_u8(b, next);
	buf_u8(b, 0);
	buf_u16be(b, offset_and_flags);
	buf_u32be(b, 0x1234);
}

static void test_ipv6_extensions(void **state)
{
	struct buf b = BUF_INIT(1 << 20);

	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, 8 + 24 + 16 + 8 + TCP_BYTES, 0);
	put_extension(&b, 43, 8);
	put_extension(&b, 60, 24);
	put_extension(&b, 44, 16);
	put_fragment_header(&b, 6, 0); /* an atomic fragment: a whole packet */
	put_tcp(&b);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V6);

	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, 2048 + TCP_BYTES, 60);
	put_extension(&b, 6, 2048); /* the longest one possible */
	put_tcp(&b);
	assert_decodes(&b, FRAME_LINK_ETHERNET, NETADDR_V6);
}

static void test_ipv6_fragments(void **state)
{
	static const struct {
		uint8_t next;
		uint16_t field;
		enum decode_outcome outcome;
	} row[] = {
		{6, 0x0001, DECODE_FRAGMENT}, {6, 0x0008, DECODE_FRAGMENT},
		{6, 0xfff8, DECODE_FRAGMENT}, {60, 0x0008, DECODE_FRAGMENT},
		{17, 0x0001, DECODE_NOT_TCP}, {58, 0x0008, DECODE_NOT_TCP},
		{6, 0x0006, DECODE_TCP}, /* reserved bits alone */
		{17, 0x0000, DECODE_NOT_TCP},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put_ethernet(&b, 0x86dd);
		put_ipv6(&b, 8 + TCP_BYTES, 44);
		put_fragment_header(&b, row[i].next, row[i].field);
		put_tcp(&b);
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), row[i].outcome);
		if (row[i].outcome == DECODE_FRAGMENT) {
			assert_int_equal(s.src.addr.family, NETADDR_V6);
			assert_int_equal(s.dst.addr.b[15], 2);
		}
		buf_deinit(&b);
	}
}

static void test_ipv6_malformed(void **state)
{
	struct buf b = BUF_INIT(4096);
	struct segment s;

	/* An extension header ends behind its packet, but within the frame. */
	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, 16, 0);
	put_extension(&b, 6, 24);
	put_tcp(&b);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_MALFORMED);
	buf_deinit(&b);

	/* The packet is hop-by-hop headers to its end. */
	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, 1600, 0);
	for (int i = 0; i < 200; i++)
		put_extension(&b, 0, 8);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_MALFORMED);
	buf_deinit(&b);
}

static void test_other_protocols(void **state)
{
	static const uint16_t types[] = {0x0806, 0x88cc, 0x8863, 0x0026, 0x0000};
	struct segment s;

	for (size_t i = 0; i < sizeof types / sizeof types[0]; i++) {
		struct buf b = BUF_INIT(4096);
		put_ethernet(&b, types[i]);
		put(&b, "\x01\x02\x03", 3);
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_NOT_TCP);
		buf_deinit(&b);
	}
	struct buf b = BUF_INIT(4096);
	put_ethernet(&b, 0x0800);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 17);
	put_tcp(&b);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_NOT_TCP);
	assert_int_equal(decode(&b, 147, &s), DECODE_NOT_TCP); /* a link type for private use */
	buf_deinit(&b);
	put_ethernet(&b, 0x86dd);
	put_ipv6(&b, TCP_BYTES,
		 51); /* an authentication header: TCP behind it cannot be continued */
	put_tcp(&b);
	assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), DECODE_NOT_TCP);
	buf_deinit(&b);
	put(&b, "\x07\0\0\0", 4);
	put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
	put_tcp(&b);
	assert_int_equal(decode(&b, FRAME_LINK_NULL, &s), DECODE_NOT_TCP);
	buf_deinit(&b);
}

/* One byte of a good frame is changed. Each row says which one, counted from the frame's start, and
 * what the frame is then. */
static void test_contradicting_lengths(void **state)
{
	static const struct {
		size_t at;
		uint8_t value;
		enum decode_outcome outcome;
	} row[] = {
		{14, 0x44, DECODE_MALFORMED},    /* IP header of 16 bytes */
		{14, 0x55, DECODE_MALFORMED},    /* IP version 5 */
		{14, 0x4f, DECODE_MALFORMED},    /* options longer than the packet */
		{17, 19, DECODE_MALFORMED},      /* total length below the header's */
		{17, 39, DECODE_MALFORMED},      /* ... below TCP's */
		{17, 51, DECODE_MALFORMED},      /* ... below TCP's options */
		{17, 52, DECODE_TCP},            /* ... without payload */
		{17, 58, DECODE_MALFORMED},      /* one more than the frame has */
		{16, 0x20, DECODE_MALFORMED},    /* 8 KiB more */
		{46, 4 << 4, DECODE_MALFORMED},  /* TCP header of 16 bytes */
		{46, 0, DECODE_MALFORMED},       /* ... of none */
		{46, 10 << 4, DECODE_MALFORMED}, /* ... longer than the packet */
		{46, 9 << 4, DECODE_TCP},        /* ... eats the payload's first four bytes */
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, 20 + TCP_BYTES, 0, 0, 6);
		put_tcp(&b);
		b.p[row[i].at] = row[i].value;
		assert_int_equal(decode(&b, FRAME_LINK_ETHERNET, &s), row[i].outcome);
		buf_deinit(&b);
	}
}

static void test_options_of_a_syn(void **state)
{
	static const uint8_t area[] = {2, 4, 0x05, 0xb4, 4, 2,  8,  10, 0, 0, 1,  0, 0, 0,
				       0, 2, 1,    3,    3, 15, 30, 4,  0, 1, 34, 2, 0, 99};
	struct tcp_options o;

	decode_tcp_options(bytes_of(area, sizeof area), &o);
	assert_int_equal(o.seen, TCP_OPT_MSS | TCP_OPT_SACK_PERM | TCP_OPT_TIMESTAMP |
					 TCP_OPT_WSCALE | TCP_OPT_MPTCP | TCP_OPT_TFO);
	assert_int_equal(o.mss, 1460);
	assert_int_equal(o.wscale, 15);
	assert_int_equal(o.tsval, 256);
	assert_int_equal(o.tsecr, 2);
}

static void test_options_edges(void **state)
{
	static const struct {
		const char *area;
		size_t n;
		uint16_t seen;
	} row[] = {
		{"", 0, 0},
		{"\0", 1, 0},
		{"\1\1\1\1", 4, 0},
		{"\0\2\4\5", 4, 0}, /* what is behind the end of options is not read */
		{"\2", 1, TCP_OPT_BAD},
		{"\2\0\0\0", 4, TCP_OPT_BAD},
		{"\2\1\0\0", 4, TCP_OPT_BAD},
		{"\2\4\5", 3, TCP_OPT_BAD},
		{"\2\3\5\1", 4, TCP_OPT_BAD}, /* an MSS of one byte */
		{"\3\2\1\1", 4, TCP_OPT_BAD},
		{"\4\3\1\1", 4, TCP_OPT_BAD},
		{"\5\2\1\1", 4, TCP_OPT_BAD}, /* a SACK without a block */
		{"\5\12abcdefgh\1\1", 12, TCP_OPT_SACK},
		{"\5\13abcdefghi\1", 12, TCP_OPT_BAD},
		{"\x10\12abcdefgh", 10, 0},     /* unknown kinds are passed over */
		{"\x10\0\1\1", 4, TCP_OPT_BAD}, /* their length leads beyond the options */
		{"\x10\1\1\1", 4, TCP_OPT_BAD},
		{"\10\11abcdefg\1\1\1", 12, TCP_OPT_BAD},
		{"\x13\x12pppppppppppppppp\0\0", 20, TCP_OPT_MD5},
		{"\x13\x10pppppppppppppp", 16, TCP_OPT_BAD},
		{"\x1d\x04\1\2", 4, TCP_OPT_AO},
		{"\x1d\x03\1\2", 4, TCP_OPT_BAD},
		{"\x1e\x02\1\1", 4, TCP_OPT_BAD},
		{"\x22\x06kook\1\1", 8, TCP_OPT_TFO},
		/* Options before the damage are valid. What is behind it is not read. */
		{"\2\4\5\xb4\3\0\4\2", 8, TCP_OPT_MSS | TCP_OPT_BAD},
		{"\4\2\10\12abcd", 8, TCP_OPT_SACK_PERM | TCP_OPT_BAD},
		{"\4\2\3\3\7\xfe\xff\1", 8, TCP_OPT_SACK_PERM | TCP_OPT_WSCALE | TCP_OPT_BAD},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		uint8_t *copy = malloc(row[i].n ? row[i].n : 1);
		struct tcp_options o;
		memcpy(copy, row[i].area, row[i].n);
		decode_tcp_options(bytes_of(copy, row[i].n), &o);
		assert_int_equal(o.seen, row[i].seen);
		assert_int_equal(o.mss, row[i].seen & TCP_OPT_MSS ? 1460 : 0);
		free(copy);
	}
}

/* The highest of three blocks counts, across the wrap. The first one is a duplicate (RFC 2883) and
 * low. */
static void test_options_sack(void **state)
{
	static const uint8_t area[] = {1,    1,    5,    26,   0xff, 0xff, 0xf0, 0x00, 0xff, 0xff,
				       0xf1, 0x00, 0x00, 0x00, 0x00, 0x10, 0x00, 0x00, 0x00, 0x90,
				       0xff, 0xff, 0xff, 0x00, 0xff, 0xff, 0xff, 0x80};
	struct tcp_options o;

	decode_tcp_options(bytes_of(area, sizeof area), &o);
	assert_int_equal(o.seen, TCP_OPT_SACK);
	assert_int_equal(o.sack_high, 0x90);
	decode_tcp_options(bytes_of(area, 12), &o); /* a truncated option says nothing */
	assert_int_equal(o.seen, TCP_OPT_BAD);
}

/* The usual layout of options has a path of its own, which must read what the loop reads. */
static void test_options_usual_timestamp(void **state)
{
	static const uint8_t area[] = {1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8, 1, 1, 1, 1};
	struct tcp_options usual, loop;

	decode_tcp_options(bytes_of(area, 12), &usual);
	decode_tcp_options(bytes_of(area, 16), &loop);
	assert_int_equal(usual.seen, TCP_OPT_TIMESTAMP);
	assert_int_equal(usual.tsval, 0x01020304);
	assert_int_equal(usual.tsecr, 0x05060708);
	assert_int_equal(loop.seen, usual.seen);
	assert_int_equal(loop.tsval, usual.tsval);
	assert_int_equal(loop.tsecr, usual.tsecr);
}

/* The writer of a capture did not know the original length, even of frames from which the
 * packet's length follows. */
static void test_wire_length_below_captured(void **state)
{
	for (uint16_t total = 0; total <= 20 + TCP_BYTES; total += 20 + TCP_BYTES) {
		struct buf b = BUF_INIT(4096);
		struct segment s;
		put_ethernet(&b, 0x0800);
		put_ipv4(&b, total, 0, 0, 6);
		put_tcp(&b);
		assert_int_equal(decode_cut(&b, FRAME_LINK_ETHERNET, b.n, 0, &s), DECODE_TCP);
		assert_segment(&s, NETADDR_V4);
		buf_deinit(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ethernet_ipv4),
		cmocka_unit_test(test_ethernet_ipv6),
		cmocka_unit_test(test_ipv4_options),
		cmocka_unit_test(test_other_links),
		cmocka_unit_test(test_cooked_direction),
		cmocka_unit_test(test_vlan_tags),
		cmocka_unit_test(test_metadata_tag_is_outer),
		cmocka_unit_test(test_pppoe),
		cmocka_unit_test(test_pppoe_refused),
		cmocka_unit_test(test_padding_is_not_payload),
		cmocka_unit_test(test_big_packets),
		cmocka_unit_test(test_ipv6_jumbo_option),
		cmocka_unit_test(test_ipv4_fragments),
		cmocka_unit_test(test_ipv6_extensions),
		cmocka_unit_test(test_ipv6_fragments),
		cmocka_unit_test(test_ipv6_malformed),
		cmocka_unit_test(test_other_protocols),
		cmocka_unit_test(test_contradicting_lengths),
		cmocka_unit_test(test_options_of_a_syn),
		cmocka_unit_test(test_options_edges),
		cmocka_unit_test(test_options_sack),
		cmocka_unit_test(test_options_usual_timestamp),
		cmocka_unit_test(test_wire_length_below_captured),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
