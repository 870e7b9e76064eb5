/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Networks put frames around segments, merge them, and divide them. The same conversation gives the
 * same report in any frame.
 */
#include "test/dry-run-rig.h"

#define HEAD "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 200000\r\n\r\n"

/* ---- frames around a segment ---- */

/* Writes the frame of the IP packet @p of @n bytes; @version 4 or 6. */
typedef void (*wrap_fn)(struct buf *b, const uint8_t *p, size_t n, int version);

static uint16_t type_of(int version)
{
	return version == 6 ? 0x86dd : 0x0800;
}

static void macs(struct buf *b)
{
	buf_append(b, "\2\0\0\0\0\1\2\0\0\0\0\2", 12);
}

static void wrap_ethernet(struct buf *b, const uint8_t *p, size_t n, int version)
{
	macs(b);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

/* Short frames are padded to the shortest one of Ethernet, and a trailer may follow. */
static void wrap_padded(struct buf *b, const uint8_t *p, size_t n, int version)
{
	static const uint8_t trailer[60] = "HTTP/1.1 500 not of the packet\r\n\r\n";

	wrap_ethernet(b, p, n, version);
	buf_append(b, trailer, sizeof trailer);
}

static void wrap_vlan(struct buf *b, const uint8_t *p, size_t n, int version)
{
	macs(b);
	buf_u32be(b, 0x81000064);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

static void wrap_tags(struct buf *b, uint32_t outer, uint32_t inner)
{
	macs(b);
	buf_u32be(b, outer);
	buf_u32be(b, inner);
}

static void wrap_qinq(struct buf *b, const uint8_t *p, size_t n, int version)
{
	wrap_tags(b, 0x88a80005, 0x81000064);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

static void wrap_qinq_old(struct buf *b, const uint8_t *p, size_t n, int version)
{
	wrap_tags(b, 0x91000005, 0x81000064);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

static void wrap_pppoe(struct buf *b, const uint8_t *p, size_t n, int version)
{
	wrap_tags(b, 0x81000005, 0x81000064);
	buf_u16be(b, 0x8864);
	buf_u32be(b, 0x11000001);
	buf_u16be(b, (uint16_t)(n + 2));
	buf_u16be(b, version == 6 ? 0x0057 : 0x0021);
	buf_append(b, p, n);
}

static void wrap_sll(struct buf *b, const uint8_t *p, size_t n, int version)
{
	buf_u32be(b, 0x00000001);
	buf_append(b, "\0\6\2\0\0\0\0\1\0\0", 10);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

static void wrap_sll2_vlan(struct buf *b, const uint8_t *p, size_t n, int version)
{
	buf_u16be(b, 0x8100);
	buf_append(b, "\0\0\0\0\0\1\0\1\0\6\2\0\0\0\0\1\0\0", 18);
	buf_u16be(b, 0x0064);
	buf_u16be(b, type_of(version));
	buf_append(b, p, n);
}

static void wrap_null(struct buf *b, const uint8_t *p, size_t n, int version)
{
	buf_append(b, version == 6 ? "\36\0\0\0" : "\2\0\0\0", 4);
	buf_append(b, p, n);
}

/* ---- headers between IP and TCP ---- */

/* @first: the protocol in the IP header. @more: the headers before TCP. */
static void with_extensions(struct buf *b, const uint8_t *p, size_t n, uint8_t first,
			    const uint8_t *more, size_t more_n)
{
	assert_int_equal(p[0] >> 4, 6);
	buf_append(b, p, 4);
	buf_u16be(b, (uint16_t)(n - 40 + more_n));
	buf_u8(b, first);
	buf_append(b, p + 7, 33);
	buf_append(b, more, more_n);
	buf_append(b, p + 40, n - 40);
}

static void wrap_hop_by_hop(struct buf *b, const uint8_t *p, size_t n, int version)
{
	static const uint8_t more[] = {6, 0, 5, 2, 0, 0, 1, 0}; /* router alert */

	with_extensions(b, p, n, 0, more, sizeof more);
}

/* Headers of every kind, and the fragment header of a whole packet (RFC 6946). */
static void wrap_all_extensions(struct buf *b, const uint8_t *p, size_t n, int version)
{
	static const uint8_t more[] = {
		60, 0, 1, 4, 0, 0, 0, 0,                         /* hop-by-hop */
		43, 1, 1, 4, 0, 0, 0, 0, 1, 6, 0, 0, 0, 0, 0, 0, /* destination */
		44, 2, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
		0,  0, 0, 0, 0, 0, 0, 0, /* routing */
		60, 0, 0, 0, 0, 0, 0, 9, /* fragment */
		6,  0, 1, 4, 0, 0, 0, 0, /* destination */
	};

	with_extensions(b, p, n, 0, more, sizeof more);
}

static void wrap_ip_options(struct buf *b, const uint8_t *p, size_t n, int version)
{
	assert_int_equal(p[0], 0x45);
	buf_u8(b, 0x46);
	buf_u8(b, p[1]);
	buf_u16be(b, (uint16_t)(n + 4));
	buf_append(b, p + 4, 16);
	buf_u32be(b, 0x94040000); /* router alert */
	buf_append(b, p + 20, n - 20);
}

/* Offload leaves the length 0. The network card fills it in. */
static void wrap_length_zero(struct buf *b, const uint8_t *p, size_t n, int version)
{
	size_t at = version == 6 ? 4 : 2;

	buf_append(b, p, at);
	buf_u16be(b, 0);
	buf_append(b, p + at + 2, n - at - 2);
}

/* ---- the same conversation ---- */

/* Writes all packets as a file of link type @link, each in its frame. */
static void wrap_all(wrap_fn wrap, uint32_t link)
{
	struct buf raw = capture;
	uint32_t count = packets;

	capture = BUF_INIT(1 << 20);
	begin_capture();
	capture.p[23] = (uint8_t)link;
	capture.p[22] = (uint8_t)(link >> 8);
	for (uint32_t i = 1; i <= count; i++) {
		struct buf frame = BUF_INIT(8192);
		const uint8_t *r = raw.p + offset[i];
		size_t n = (size_t)r[10] << 8 | r[11];
		wrap(&frame, r + 16, n, r[16] >> 4);
		assert_int_equal(buf_error(&frame), 0);
		record(frame.p, frame.n, frame.n);
		buf_deinit(&frame);
	}
	buf_deinit(&raw);
}

/* Four clients: between requests, waiting for an answer, in the middle of one, and in the middle of
 * the one to a request that must not be repeated. */
static void converse(const char *server, const char *const client[4])
{
	struct talk t[4];

	begin_capture();
	for (int i = 0; i < 4; i++) {
		t[i] = talk_open(client[i], server);
		ask(&t[i], i == 3 ? POST : GET);
	}
	answer(&t[3], "HTTP/1.1 2");
	acknowledge(&t[3]);
	answer(&t[0], OK);
	acknowledge(&t[0]);
	answer(&t[2], HEAD "0123456789");
	acknowledge(&t[2]);
	answer(&t[2], "abcdef");
}

static const char *const clients4[] = {"10.1.0.7:40000", "10.1.0.7:40001", "10.1.0.8:40000",
				       "10.1.0.9:40000"};
static const char *const clients6[] = {"[fd01::7]:40000", "[fd01::7]:40001", "[fd01::8]:40000",
				       "[fd01::9]:40000"};

static json_t *expected(const char *server, const char *const clients[4])
{
	converse(server, clients);
	assert_int_equal(run(), 1);
	assert_int_equal(number("totals.live"), 4);
	assert_int_equal(number("totals.continue"), 3);
	assert_int_equal(number("totals.refuse_by_reason.request-not-idempotent"), 1);
	assert_int_equal(count(connection(2), "in_flight"), 6);
	return json_incref(get("connections"));
}

struct way {
	wrap_fn wrap;
	uint32_t link;
};

static void assert_same_in(const char *server, const char *const clients[4], const struct way *ways,
			   size_t n)
{
	json_t *want = expected(server, clients);

	for (size_t i = 0; i < n; i++) {
		converse(server, clients);
		wrap_all(ways[i].wrap, ways[i].link);
		assert_int_equal(run(), 1);
		if (!json_equal(get("connections"), want))
			fail_msg("way %zu: %s", i, ran.out);
		assert_int_equal(number("capture.tcp_packets"), number("capture.packets"));
	}
	json_decref(want);
}

static const struct way frames[] = {
	{wrap_ethernet, FRAME_LINK_ETHERNET}, {wrap_padded, FRAME_LINK_ETHERNET},
	{wrap_vlan, FRAME_LINK_ETHERNET},     {wrap_qinq, FRAME_LINK_ETHERNET},
	{wrap_qinq_old, FRAME_LINK_ETHERNET}, {wrap_pppoe, FRAME_LINK_ETHERNET},
	{wrap_sll, FRAME_LINK_SLL},           {wrap_sll2_vlan, FRAME_LINK_SLL2},
	{wrap_null, FRAME_LINK_NULL},
};

static void test_ipv4_in_any_frame(void **state)
{
	static const struct way inside[] = {
		{wrap_ip_options, FRAME_LINK_IPV4},
		{wrap_length_zero, FRAME_LINK_RAW},
	};

	assert_same_in("10.9.0.1:80", clients4, frames, sizeof frames / sizeof frames[0]);
	assert_same_in("10.9.0.1:80", clients4, inside, sizeof inside / sizeof inside[0]);
}

static void test_ipv6_in_any_frame(void **state)
{
	static const struct way inside[] = {
		{wrap_hop_by_hop, FRAME_LINK_RAW},
		{wrap_all_extensions, FRAME_LINK_IPV6},
		{wrap_length_zero, FRAME_LINK_RAW},
	};

	assert_int_equal(endpoint_parse("fd09::1", true, &options.server), 0);
	assert_same_in("[fd09::1]:80", clients6, frames, sizeof frames / sizeof frames[0]);
	assert_same_in("[fd09::1]:80", clients6, inside, sizeof inside / sizeof inside[0]);
}

/* A mirror may carry the same connection on several networks. Its tag does not make it two.
 */
static void test_tagged_in_one_direction_only(void **state)
{
	json_t *want = expected("10.9.0.1:80", clients4);
	struct buf plain;
	uint32_t count = packets;

	converse("10.9.0.1:80", clients4);
	plain = capture;
	capture = BUF_INIT(1 << 20);
	begin_capture();
	capture.p[23] = FRAME_LINK_ETHERNET;
	for (uint32_t i = 1; i <= count; i++) {
		struct buf frame = BUF_INIT(8192);
		const uint8_t *r = plain.p + offset[i];
		bool to_server = r[16 + 16] == 10 && r[16 + 17] == 9;
		(to_server ? wrap_vlan : wrap_ethernet)(&frame, r + 16, (size_t)r[10] << 8 | r[11],
							4);
		record(frame.p, frame.n, frame.n);
		buf_deinit(&frame);
	}
	buf_deinit(&plain);
	assert_int_equal(run(), 1);
	assert_true(json_equal(get("connections"), want));
	json_decref(want);
}

/*
 * An answer was acknowledged but not captured. At the cut before it, the client itself would say
 * that it has it.
 */
static void converse_with_a_loss(void)
{
	begin_capture();
	struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	ask(&t, GET);
	t.server_seq += (uint32_t)strlen(OK);
	acknowledge(&t);
	ask(&t, GET);
	answer(&t, OK);
	acknowledge(&t);
}

static void test_every_cut_in_any_frame(void **state)
{
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	converse_with_a_loss();
	assert_int_equal(run(), 1);
	json_t *refused = json_incref(get("refused"));
	assert_int_equal(number("refused.response-gap"), 5);
	for (size_t i = 0; i < sizeof frames / sizeof frames[0]; i++) {
		converse_with_a_loss();
		wrap_all(frames[i].wrap, frames[i].link);
		assert_int_equal(run(), 1);
		assert_int_equal(number("wrong"), 0);
		if (!json_equal(get("refused"), refused))
			fail_msg("frame %zu: %s", i, ran.out);
	}
	json_decref(refused);
}

/* ---- segments that were merged: super-packets ---- */

/* The server sends @n bytes of a body in segments of @at_once. IP lengths beyond 64 KiB are 0. */
static void answer_body(struct talk *t, size_t n, size_t at_once)
{
	for (size_t done = 0; done < n;) {
		size_t part = n - done < at_once ? n - done : at_once;
		struct buf b = BUF_INIT(1 << 20);
		size_t ip = part + 40 > UINT16_MAX ? (size_t)-20 : 20 + part;

		ip_header(&b, &t->server, &t->client, ip, 0);
		buf_u16be(&b, t->server.port);
		buf_u16be(&b, t->client.port);
		buf_u32be(&b, t->server_seq);
		buf_u32be(&b, t->client_seq);
		buf_u16be(&b, 0x5010);
		buf_u16be(&b, 60000);
		buf_u32be(&b, 0);
		for (size_t i = 0; i < part; i++)
			buf_u8(&b, (uint8_t)((done + i) * 7 >> 3));
		assert_int_equal(buf_error(&b), 0);
		frame_seal(b.p, b.n);
		record(b.p, b.n, b.n);
		buf_deinit(&b);
		t->server_seq += (uint32_t)part;
		done += part;
	}
}

/* The client acknowledges the middle of a segment. The report does not depend on how the bytes were
 * divided into packets. */
static void test_super_packets(void **state)
{
	static const size_t at_once[] = {1448, 536, 9000, 60000, 150000};
	const size_t head = strlen(HEAD), body = 150000, unacknowledged = 70000;

	for (size_t i = 0; i < sizeof at_once / sizeof at_once[0]; i++) {
		begin_capture();
		struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:80");
		ask(&t, GET);
		answer(&t, HEAD);
		answer_body(&t, body, at_once[i]);
		t.server_seq -= (uint32_t)unacknowledged;
		acknowledge(&t);
		assert_int_equal(run(), 0);
		json_t *c = connection(0);
		assert_string_equal(word(c, "reason"), "range");
		assert_int_equal(count(c, "bytes_to_client"), head + body);
		assert_int_equal(count(c, "in_flight"), unacknowledged);
	}
}

/* ---- packets that were divided: fragments ---- */

/* Divides the packet written last into two or more fragments, as a router does in IPv4. */
static void fragment_last(void)
{
	static uint8_t whole[4096];
	const uint8_t *r = capture.p + offset[packets];
	size_t n = (size_t)r[10] << 8 | r[11], first = 24;

	memcpy(whole, r + 16, n);
	assert_true(n > 20 + first);
	capture.n = offset[packets--];
	for (size_t at = 0; at < n - 20; at += first) {
		struct buf b = BUF_INIT(4096);
		size_t part = n - 20 - at < first ? n - 20 - at : first;
		bool more = at + part < n - 20;

		buf_append(&b, whole, 20);
		buf_append(&b, whole + 20 + at, part);
		b.p[2] = (uint8_t)((20 + part) >> 8);
		b.p[3] = (uint8_t)(20 + part);
		b.p[6] = (uint8_t)((more ? 0x20 : 0) | at >> 11);
		b.p[7] = (uint8_t)(at >> 3);
		frame_seal(b.p, b.n);
		record(b.p, b.n, b.n);
		buf_deinit(&b);
	}
}

/* A request came in fragments, which the box does not put together. So its connection is refused,
 * whatever the server did. Others go on. */
static void test_fragments_ipv4(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct talk b = talk_open("10.1.0.8:40000", "10.9.0.1:80");

	ask(&a, GET);
	fragment_last();
	ask(&b, GET);
	for (int i = 0; i < 20; i++) /* the mark comes within 10 ms */
		acknowledge(&b);
	assert_int_equal(run(), 1);
	assert_true(number("capture.fragments") > 1);
	assert_string_equal(word(connection(0), "reason"), "ip-fragments");
	assert_string_equal(word(connection(1), "verdict"), "continue");
}

/* The cut is right behind the fragments. */
static void test_fragments_at_the_cut(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	fragment_last();
	assert_int_equal(run(), 1);
	assert_string_equal(word(connection(0), "reason"), "ip-fragments");
}

static void wrap_fragment_first(struct buf *b, const uint8_t *p, size_t n, int version)
{
	static const uint8_t more[] = {6, 0, 0, 1, 0, 0, 0, 9};

	with_extensions(b, p, n, 44, more, sizeof more);
}

static void wrap_fragment_later(struct buf *b, const uint8_t *p, size_t n, int version)
{
	static const uint8_t more[] = {6, 0, 1, 8, 0, 0, 0, 9};

	with_extensions(b, p, n, 44, more, sizeof more);
}

static void test_fragments_ipv6(void **state)
{
	static const wrap_fn kinds[] = {wrap_fragment_first, wrap_fragment_later};

	assert_int_equal(endpoint_parse("fd09::1", true, &options.server), 0);
	for (int i = 0; i < 2; i++) {
		begin_capture();
		struct talk a = talk_open("[fd01::7]:40000", "[fd09::1]:80");
		struct talk b = talk_open("[fd01::8]:40000", "[fd09::1]:80");
		ask(&a, GET);
		struct buf frame = BUF_INIT(4096);
		const uint8_t *r = capture.p + offset[packets];
		kinds[i](&frame, r + 16, (size_t)r[10] << 8 | r[11], 6);
		capture.n = offset[packets--];
		record(frame.p, frame.n, frame.n);
		buf_deinit(&frame);
		ask(&b, GET);
		assert_int_equal(run(), 1);
		assert_int_equal(number("capture.fragments"), 1);
		assert_string_equal(word(connection(0), "reason"), "ip-fragments");
		assert_string_equal(word(connection(1), "verdict"), "continue");
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_ipv4_in_any_frame),
		CASE(test_ipv6_in_any_frame),
		CASE(test_tagged_in_one_direction_only),
		CASE(test_every_cut_in_any_frame),
		CASE(test_super_packets),
		CASE(test_fragments_ipv4),
		CASE(test_fragments_at_the_cut),
		CASE(test_fragments_ipv6),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
