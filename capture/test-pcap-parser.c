/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test/pcap-rig.h"

static int parse_all(struct buf *b, struct seen *s, struct pcap_file_position *ret)
{
	int r = parse(b, b->n, s, ret);

	if (r == PCAP_FILE_END)
		assert_int_equal(ret->offset, b->n);
	assert_int_equal(ret->packet, s->count);
	buf_deinit(b);
	return r;
}

static void expect_frame(const struct seen *s, uint32_t i, const char *text, uint32_t wire,
			 int64_t time_ns, uint16_t link)
{
	assert_true(i < s->count);
	assert_string_equal(s->text[i], text);
	assert_int_equal(s->f[i].wire_len, wire);
	assert_int_equal(s->f[i].time_ns, time_ns);
	assert_int_equal(s->f[i].link, link);
	assert_false(s->f[i].vlan_present);
}

/* The second frame's time has the largest number of seconds that 32 bits hold. */
static void test_pcap_kinds(void **state)
{
	static const struct {
		uint32_t magic;
		int64_t ns;
		bool modified;
	} row[] = {{0xa1b2c3d4, 1000, false}, {0xa1b23c4d, 1, false}, {0xa1b2cd34, 1000, true}};

	for (int i = 0; i < 6; i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s;
		struct pcap_file_position at;
		big = i % 2;
		pcap_head(&b, row[i / 2].magic, 0xf0000000 | 1); /* with a frame check sequence */
		for (int k = 0; k < 2; k++) {
			const char *data = k ? "second" : "";
			w32(&b, k ? UINT32_MAX : 1700000000);
			w32(&b, 666666);
			w32(&b, (uint32_t)strlen(data));
			w32(&b, 60);
			if (row[i / 2].modified)
				w64(&b, 0x1122334455667788);
			buf_append(&b, data, strlen(data));
		}
		assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_END);
		assert_int_equal(s.count, 2);
		int64_t fraction = 666666 * row[i / 2].ns;
		expect_frame(&s, 0, "", 60, 1700000000 * NS_PER_S + fraction, FRAME_LINK_ETHERNET);
		expect_frame(&s, 1, "second", 60, UINT32_MAX * NS_PER_S + fraction,
			     FRAME_LINK_ETHERNET);
	}
}

static void test_pcapng_blocks(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s;
		struct pcap_file_position at;
		big = i;
		shb(&b);
		unknown_block(&b, 8);
		idb(&b, 1, 4, -1, 0);
		idb(&b, 113, 0, 9, 0);
		epb(&b, 0, 1700000000000001, "epb", 100);
		epb(&b, 1, 1700000000000000002, "cooked", 6);
		pb(&b, 1, 1700000000000000003, "pb", 2);
		unknown_block(&b, 0);
		spb(&b, "simple", 6);     /* the snaplen of interface 0 truncates it to 4 */
		spb(&b, "ab\xff\xff", 2); /* padding is no data */
		assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_END);
		assert_int_equal(s.count, 5);
		expect_frame(&s, 0, "epb", 100, 1700000000000001000, FRAME_LINK_ETHERNET);
		expect_frame(&s, 1, "cooked", 6, 1700000000000000002, FRAME_LINK_SLL);
		expect_frame(&s, 2, "pb", 2, 1700000000000000003, FRAME_LINK_SLL);
		/* A block without a time takes that of the block before. */
		expect_frame(&s, 3, "simp", 6, 1700000000000000003, FRAME_LINK_ETHERNET);
		expect_frame(&s, 4, "ab", 2, 1700000000000000003, FRAME_LINK_ETHERNET);
	}
}

static void test_pcapng_time(void **state)
{
	static const struct {
		int tsresol;
		int64_t offset_s;
		uint64_t ticks;
		int64_t time_ns;
	} row[] = {
		{0, 0, 5, 5000000000},
		{3, 0, 1700000000123, 1700000000123000000},
		{6, 100, 7, 100000007000},
		{6, -1, 3000000, 2000000000},
		{12, 0, 1500000001999, 1500000001},
		{18, 0, UINT64_C(2000000000000000000), 2000000000},
		{0x80, 0, 3, 3000000000},
		{0x80 | 10, 0, 1536, 1500000000},
		{0x80 | 32, 0, UINT64_C(0x6553f10080000000), 1700000000500000000},
		{0x80 | 63, 0, UINT64_C(1) << 62, 500000000},
		{9, 0, INT64_MAX, INT64_MAX},
	};

	big = false;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s;
		struct pcap_file_position at;
		shb(&b);
		idb(&b, 1, 0, row[i].tsresol, row[i].offset_s);
		epb(&b, 0, row[i].ticks, "x", 1);
		assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_END);
		assert_int_equal(s.f[0].time_ns, row[i].time_ns);
	}
}

static void test_pcapng_impossible_time(void **state)
{
	static const struct {
		int tsresol;
		int64_t offset_s;
		uint64_t ticks;
	} row[] = {
		{9, 0, (uint64_t)INT64_MAX + 1},
		{0, 0, UINT64_MAX},
		{0x80, 0, UINT64_MAX},
		{6, -2, 1000000},
		{6, INT64_MAX, 0},
		{6, INT64_MIN, 0},
		{19, 0, 1},
		{0x80 | 64, 0, 1},
		{0xff, 0, 1},
	};

	big = true;
	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s;
		struct pcap_file_position at;
		shb(&b);
		idb(&b, 1, 0, row[i].tsresol, row[i].offset_s);
		epb(&b, 0, row[i].ticks, "x", 1);
		assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
		assert_non_null(strstr(at.detail, "impossible time"));
	}
}

/* Each section has its own byte order and its own interfaces. */
static void test_pcapng_sections(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct seen s;
	struct pcap_file_position at;

	big = false;
	shb(&b);
	idb(&b, 1, 0, 9, 0);
	idb(&b, 228, 0, 9, 0);
	epb(&b, 1, 1, "one", 3);
	big = true;
	shb(&b);
	idb(&b, 113, 0, 6, 0);
	epb(&b, 0, 2, "two", 3);
	size_t third = b.n;
	epb(&b, 1, 3, "three", 5); /* the section before had this interface */
	assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
	assert_int_equal(s.count, 2);
	expect_frame(&s, 0, "one", 3, 1, FRAME_LINK_IPV4);
	expect_frame(&s, 1, "two", 3, 2000, FRAME_LINK_SLL);
	assert_int_equal(at.offset, third);
	assert_string_equal(at.detail, "packet 3 is of interface 1, of 1");
}

/* The file is truncated at each place: whole packets are delivered, and the place is reported. */
static void expect_every_cut(struct buf *b, const size_t *ends, uint32_t count)
{
	struct seen s;
	struct pcap_file_position at;

	for (size_t n = 0; n < b->n; n++) {
		uint32_t whole = 0;
		int r = parse(b, n, &s, &at);
		while (whole < count && ends[whole] <= n)
			whole++;
		assert_int_equal(s.count, whole);
		assert_int_equal(at.packet, whole);
		if (r == PCAP_FILE_END) {
			assert_int_equal(at.offset, n);
			assert_string_equal(at.detail, "");
			continue;
		}
		assert_int_equal(r, n < 4 ? PCAP_FILE_NOT_A_CAPTURE : PCAP_FILE_TRUNCATED);
		assert_true(at.offset < n || n == 0);
		assert_true(strlen(at.detail) > 0);
	}
	buf_deinit(b);
}

static void test_every_cut(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	size_t ends[3];

	big = false;
	pcap_head(&b, 0xa1b2c3d4, 1);
	for (int i = 0; i < 3; i++) {
		pcap_packet(&b, 1, 2, "packet", 6);
		ends[i] = b.n;
	}
	expect_every_cut(&b, ends, 3);

	big = true;
	shb(&b);
	idb(&b, 1, 0, 6, 0);
	for (int i = 0; i < 3; i++) {
		epb(&b, 0, 2, "packet", 6);
		ends[i] = b.n;
		unknown_block(&b, 12);
	}
	expect_every_cut(&b, ends, 3);
}

static void test_truncated_detail(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct seen s;
	struct pcap_file_position at;

	big = false;
	pcap_head(&b, 0xa1b2c3d4, 1);
	pcap_packet(&b, 1, 2, "packet", 6);
	pcap_packet(&b, 1, 2, "packet", 6);
	assert_int_equal(parse(&b, b.n - 1, &s, &at), PCAP_FILE_TRUNCATED);
	assert_int_equal(at.packet, 1);
	assert_int_equal(at.offset, 24 + 22);
	assert_string_equal(at.detail, "the file ends inside the record after packet 1");
	buf_deinit(&b);
}

static void test_not_a_capture(void **state)
{
	static const struct {
		const char *content;
		size_t n;
		const char *detail;
	} row[] = {
		{"", 0, "the file is empty"},
		{"abc", 3, "the file has 3 bytes"},
		{"\x1f\x8b\x08\0gzip", 8, "it starts with 1f 8b 08 00: neither pcap nor pcapng"},
		{"\xa1\xb2\xc3\xd5 nearly", 11,
		 "it starts with a1 b2 c3 d5: neither pcap nor pcapng"},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct seen s = {0};
		struct pcap_file_position at;
		assert_int_equal(pcap_file_parse(bytes_of(row[i].content, row[i].n), see, &s, &at),
				 PCAP_FILE_NOT_A_CAPTURE);
		assert_string_equal(at.detail, row[i].detail);
		assert_int_equal(at.offset, 0);
	}
}

static void test_pcap_corrupt(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct seen s;
	struct pcap_file_position at;

	big = false;
	pcap_head(&b, 0xa1b2c3d4, 1);
	pcap_packet(&b, 1, 2, "good", 4);
	w64(&b, 0);
	w32(&b, PCAP_RECORD_MAX - 16 + 1);
	w32(&b, 4);
	assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
	assert_int_equal(s.count, 1);
	assert_int_equal(at.offset, 24 + 20);
	assert_string_equal(at.detail,
			    "packet 2 claims 1048561 captured bytes, more than any frame has");

	big = true;
	pcap_head(&b, 0xa1b2c3d4, 1);
	b.p[5] = 3;
	assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
	assert_string_equal(at.detail, "pcap version 3.4 is not known");
}

/* One place behind the first of two packets of a good file is damaged. */
static void test_pcapng_corrupt(void **state)
{
	static const struct {
		int at; /* from the start of the second packet's block; < 0: from its end */
		uint32_t value;
		const char *detail;
	} row[] = {
		{4, 8, "block of type 0x00000006 with length 8"},
		{4, 37, "block of type 0x00000006 with length 37"},
		{4, 32, "block says 32 bytes at its start and 1633968482 at its end"},
		{4, 0x100004,
		 "block of type 0x00000006 with 1048580 bytes, more than any frame has"},
		{-4, 36, "block says 40 bytes at its start and 36 at its end"},
		{8, 1, "packet 2 is of interface 1, of 1"},
		{20, 9, "packet 2 claims 9 captured bytes in a block of 28"},
		{20, UINT32_MAX, "packet 2 claims 4294967295 captured bytes in a block of 28"},
	};

	for (size_t i = 0; i < sizeof row / sizeof row[0]; i++) {
		struct buf b = BUF_INIT(FILE_MAX);
		struct seen s;
		struct pcap_file_position at;
		big = false;
		shb(&b);
		idb(&b, 1, 0, 6, 0);
		epb(&b, 0, 1, "good", 4);
		size_t start = b.n;
		epb(&b, 0, 2, "badabcd", 7);
		uint8_t *p = b.p + (row[i].at < 0 ? b.n : start) + row[i].at;
		memcpy(p, &row[i].value, 4);
		assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
		assert_int_equal(s.count, 1);
		assert_int_equal(at.offset, start);
		assert_string_equal(at.detail, row[i].detail);
	}
}

static void expect_corrupt(struct buf *b, const char *detail)
{
	struct seen s;
	struct pcap_file_position at;

	assert_int_equal(parse_all(b, &s, &at), PCAP_FILE_CORRUPT);
	assert_string_equal(at.detail, detail);
}

static void test_pcapng_corrupt_headers(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX), body = BUF_INIT(FILE_MAX);

	big = false;
	shb(&b);
	b.p[8] = 0;
	expect_corrupt(&b, "section with byte-order magic 0x1a2b3c00");
	shb(&b);
	b.p[12] = 2;
	expect_corrupt(&b, "pcapng version 2.0 is not known");
	shb(&b);
	epb(&b, 0, 1, "x", 1);
	expect_corrupt(&b, "packet 1 is of interface 0, of 0");
	shb(&b);
	spb(&b, "x", 1);
	expect_corrupt(&b, "packet 1 is of interface 0, of 0");

	w32(&body, 1);
	shb(&b);
	block(&b, 1, &body);
	expect_corrupt(&b, "interface block of 4 bytes");
	shb(&b);
	idb(&b, 1, 0, 6, 0);
	block(&b, 6, &body);
	expect_corrupt(&b, "packet block of 4 bytes");
	buf_reset(&body);
	shb(&b);
	idb(&b, 1, 0, 6, 0);
	block(&b, 3, &body);
	expect_corrupt(&b, "simple packet block of 0 bytes");
	w32(&body, 0x1a2b3c4d);
	block(&b, 0x0a0d0d0a, &body);
	expect_corrupt(&b, "section header of 4 bytes");

	buf_reset(&body);
	w32(&body, 1);
	w32(&body, 0);
	w16(&body, 9); /* the four bytes of the option's value are missing */
	w16(&body, 1);
	shb(&b);
	block(&b, 1, &body);
	expect_corrupt(&b, "option 9 of interface 0 runs over the end of its block");
	buf_deinit(&body);
}

static void test_interface_ceiling(void **state)
{
	struct buf b = BUF_INIT(FILE_MAX);
	struct seen s;
	struct pcap_file_position at;

	big = false;
	shb(&b);
	for (int i = 0; i < PCAP_INTERFACES_MAX; i++)
		idb(&b, (uint16_t)i, 0, 6, 0);
	epb(&b, PCAP_INTERFACES_MAX - 1, 1, "x", 1);
	assert_int_equal(parse(&b, b.n, &s, &at), PCAP_FILE_END);
	assert_int_equal(s.f[0].link, PCAP_INTERFACES_MAX - 1);
	idb(&b, 1, 0, 6, 0);
	assert_int_equal(parse_all(&b, &s, &at), PCAP_FILE_CORRUPT);
	assert_string_equal(at.detail, "more than 4096 interfaces");
	assert_int_equal(s.count, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pcap_kinds),
		cmocka_unit_test(test_pcapng_blocks),
		cmocka_unit_test(test_pcapng_time),
		cmocka_unit_test(test_pcapng_impossible_time),
		cmocka_unit_test(test_pcapng_sections),
		cmocka_unit_test(test_every_cut),
		cmocka_unit_test(test_truncated_detail),
		cmocka_unit_test(test_not_a_capture),
		cmocka_unit_test(test_pcap_corrupt),
		cmocka_unit_test(test_pcapng_corrupt),
		cmocka_unit_test(test_pcapng_corrupt_headers),
		cmocka_unit_test(test_interface_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
