/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Drills on captures whose checksums are wrong, left to a NIC, or not in the file. */
#include "base/clock.h"
#include "test/dry-run-rig.h"

#define RECORD 16

/* Changes the TCP checksum of the packet with this number. */
static void spoil(uint32_t n, uint8_t change)
{
	capture.p[offset[n] + RECORD + 20 + 17] ^= change;
}

static struct talk conversation(void)
{
	struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&t, GET);
	answer(&t, OK);
	acknowledge(&t);
	return t;
}

/* The client's next segment, first as a damaged copy, then as it is. */
static void test_damaged_is_not_believed(void **state)
{
	struct talk t = conversation();

	struct talk forged = t;
	ask(&forged, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
	spoil(packets, 0x10);
	ask(&t, GET);
	assert_int_equal(run(), 0);
	assert_int_equal(count(connection(0), "bytes_to_server"), 2 * strlen(GET));
	assert_int_equal(number("capture.damaged"), 1);
	assert_int_equal(number("capture.sums_absent_to_server"), 0);
	options.json = false;
	assert_int_equal(run(), 0);
	assert_non_null(strstr(ran.out, "1 segments have a wrong checksum"));
	assert_null(strstr(ran.out, "not in this capture"));
}

/* A direction without checksums is not tested. The other direction is. */
static void test_direction_without(void **state)
{
	struct talk t = conversation();

	for (uint32_t n = 1; n <= packets; n++)
		if (capture.p[offset[n] + RECORD + 15] == 1) /* 10.9.0.1 */
			spoil(n, 0x55);
	struct talk forged = t;
	ask(&forged, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
	spoil(packets, 0x10);
	assert_int_equal(run(), 0);
	assert_int_equal(count(connection(0), "bytes_to_server"), strlen(GET));
	assert_int_equal(count(connection(0), "bytes_to_client"), strlen(OK));
	assert_int_equal(number("capture.damaged"), 1);
	assert_int_equal(number("capture.sums_absent_to_client"), 2);
	assert_int_equal(number("capture.sums_absent_to_server"), 0);
	options.json = false;
	assert_int_equal(run(), 0);
	assert_non_null(strstr(
		ran.out, "checksums of the server's direction are not in this capture (2 segm"));
}

/* The client's checksums are left to a NIC. One segment has another checksum, so it was damaged. */
static void test_left_open_by_each(void **state)
{
	struct talk t = conversation();

	ask(&t, GET);
	for (uint32_t n = 1; n <= packets; n++) {
		uint8_t *ip = capture.p + offset[n] + RECORD, *tcp = ip + 20;
		size_t tcp_n = ((size_t)ip[2] << 8 | ip[3]) - 20;
		struct netaddr src = {.family = NETADDR_V4}, dst = src;

		memcpy(src.b, ip + 12, 4);
		memcpy(dst.b, ip + 16, 4);
		uint16_t pseudo = checksum_carry(checksum_pseudo(&src, &dst, 6, tcp_n));
		if (ip[15] == 1)
			continue;
		tcp[16] = (uint8_t)(pseudo >> 8);
		tcp[17] = (uint8_t)pseudo;
	}
	struct talk forged = t;
	ask(&forged, GET);
	spoil(packets, 0x10);
	assert_int_equal(run(), 0);
	assert_int_equal(count(connection(0), "bytes_to_server"), 2 * strlen(GET));
	assert_int_equal(number("capture.damaged"), 1);
	assert_int_equal(number("capture.sums_absent_to_server"), 5);
}

/* Eight segments of nine are damaged. They do not pass for a direction without checksums. */
static void test_right_ones_count(void **state)
{
	struct talk t = conversation();

	for (int i = 0; i < 8 * 4; i++) {
		struct talk forged = t;
		ask(&forged, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
		spoil(packets, 0x10);
	}
	assert_int_equal(run(), 0);
	assert_int_equal(count(connection(0), "bytes_to_server"), strlen(GET));
	assert_int_equal(number("capture.damaged"), 32);
}

static void test_truncated_by_the_capture(void **state)
{
	struct talk t = conversation();

	acknowledge(&t);
	uint8_t *last = capture.p + offset[packets] + RECORD;
	uint8_t copy[40];
	memcpy(copy, last, sizeof copy);
	copy[3] = 90; /* on the wire there were fifty bytes more */
	frame_seal(copy, sizeof copy);
	record(copy, sizeof copy, 90);
	run();
	assert_int_equal(number("capture.sums_cut"), 1);
	assert_int_equal(number("capture.damaged"), 0);
}

/* The client's first segment was damaged. The segments behind it show that. */
static void test_damaged_first(void **state)
{
	struct talk forged = talk("10.1.0.7:40000", "10.9.0.1:80");

	from_client(&forged, TCP_SYN, "");
	spoil(packets, 0x10);
	struct talk t = conversation();
	forged = t;
	ask(&forged, "GET /other HTTP/1.1\r\nHost: h\r\n\r\n");
	spoil(packets, 0x10);
	ask(&t, GET);
	for (int i = 0; i < 2; i++) {
		options.cut = i == 0 ? DRY_RUN_CUT_END : DRY_RUN_CUT_BUSIEST;
		assert_int_equal(run(), 0);
		assert_int_equal(count(connection(0), "bytes_to_server"), (2 - i) * strlen(GET));
		assert_int_equal(number("capture.damaged"), 2 - i);
		assert_int_equal(number("capture.sums_absent_to_server"), 0);
		assert_int_equal(number("totals.closed"), 0);
	}
}

/* The whole file decides what is damaged, not only what is before the cut. */
static void test_right_ones_behind_the_cut(void **state)
{
	struct talk forged = talk("10.1.0.7:40000", "10.9.0.1:80");

	from_client(&forged, TCP_SYN, "");
	spoil(packets, 0x10);
	conversation();
	options.cut = DRY_RUN_CUT_PACKET;
	options.cut_packet = 1;
	assert_int_equal(run(), 0);
	assert_int_equal(number("capture.packets"), 1);
	assert_int_equal(number("capture.damaged"), 1);
	options.cut = DRY_RUN_CUT_TIME;
	options.cut_ns = NS_PER_MS / 2;
	assert_int_equal(run(), 0);
	assert_int_equal(number("capture.packets"), 1);
	assert_int_equal(number("capture.damaged"), 1);
}

/* The first packet behind the cut counts too. */
static void test_next_one_behind_the_cut(void **state)
{
	struct talk forged = talk("10.1.0.7:40000", "10.9.0.1:80");

	for (int i = 0; i < 8; i++) {
		from_client(&forged, TCP_SYN, "");
		spoil(packets, 0x10);
	}
	from_client(&forged, TCP_ACK, "");
	options.cut = DRY_RUN_CUT_TIME;
	options.cut_ns = 7 * NS_PER_MS;
	assert_int_equal(run(), 0);
	assert_int_equal(number("capture.packets"), 8);
	assert_int_equal(number("capture.damaged"), 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_damaged_is_not_believed),   CASE(test_direction_without),
		CASE(test_left_open_by_each),         CASE(test_right_ones_count),
		CASE(test_truncated_by_the_capture),  CASE(test_damaged_first),
		CASE(test_right_ones_behind_the_cut), CASE(test_next_one_behind_the_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
