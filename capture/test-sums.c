/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the decoder says of checksums: every damaged bit, what hosts leave open, what was cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "decode.h"
#include "frame-seal.h"

#define PAYLOAD_MAX 1500

static uint8_t packet[40 + 20 + PAYLOAD_MAX];
static size_t packet_n, tcp_at;

/* Makes the packet without checksums. */
static void make(bool v6, size_t payload)
{
	tcp_at = v6 ? 40 : 20;
	packet_n = tcp_at + 20 + payload;
	memset(packet, 0, sizeof packet);
	for (size_t i = 0; i < packet_n; i++)
		packet[i] = (uint8_t)(i * 37 + 11);
	memset(packet, 0, tcp_at);
	packet[0] = v6 ? 0x60 : 0x45;
	size_t length = v6 ? packet_n - 40 : packet_n;
	packet[v6 ? 4 : 2] = (uint8_t)(length >> 8);
	packet[v6 ? 5 : 3] = (uint8_t)length;
	packet[v6 ? 6 : 9] = 6;
	packet[v6 ? 7 : 8] = 64;
	for (size_t i = 0; i < (v6 ? 32u : 8u); i++)
		packet[(v6 ? 8 : 12) + i] = (uint8_t)(i + 10);
	packet[tcp_at + 12] = 5 << 4;
	packet[tcp_at + 16] = packet[tcp_at + 17] = 0;
}

static enum segment_sum sum_of(enum frame_sum known, size_t captured)
{
	struct frame f = {.data = bytes_of(packet, captured),
			  .wire_len = (uint32_t)packet_n,
			  .link = FRAME_LINK_RAW,
			  .sum = (uint8_t)known};
	struct segment s;

	assert_int_equal(decode_frame(&f, &s), DECODE_TCP);
	return (enum segment_sum)s.sum;
}

/* The checksum by the definition of RFC 1071, two bytes at a time. */
static uint16_t plain_sum(struct bytes b)
{
	uint64_t sum = 0;

	for (size_t i = 0; i < b.n; i++)
		sum += (uint64_t)b.p[i] << (i % 2 ? 0 : 8);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static void test_any_length(void **state)
{
	static uint8_t bytes[700];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (uint8_t)(i * 167 + (i >> 3));
	for (size_t from = 0; from < 9; from++)
		for (size_t n = 0; from + n <= sizeof bytes; n++)
			assert_int_equal(checksum_carry(checksum_add(0, bytes_of(bytes + from, n))),
					 plain_sum(bytes_of(bytes + from, n)));
	memset(bytes, 0xff, sizeof bytes);
	assert_int_equal(checksum_carry(checksum_add(0, bytes_of(bytes, sizeof bytes))), 0xffff);
}

/* The sum is added up in parts. The largest sums are among these. */
static void test_large(void **state)
{
	static uint8_t bytes[3 * 16 * CHECKSUM_PART + 7];

	for (int fill = 0; fill < 3; fill++) {
		for (size_t i = 0; i < sizeof bytes; i++)
			bytes[i] = (uint8_t)(fill == 0 ? 0 : fill == 1 ? 0xff : i * 167 + (i >> 9));
		for (size_t n = sizeof bytes; n > 10000; n -= 10001)
			assert_int_equal(checksum_carry(checksum_add(0, bytes_of(bytes, n))),
					 plain_sum(bytes_of(bytes, n)));
	}
}

/* A change of any one bit is found, wherever it is. */
static void test_every_bit(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (size_t payload = 0; payload < 80; payload += 79) {
			make(v6, payload);
			frame_seal(packet, packet_n);
			assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n), SEGMENT_SUM_RIGHT);
			assert_int_equal(sum_of(FRAME_SUM_FILE, packet_n), SEGMENT_SUM_RIGHT);
			for (size_t bit = tcp_at * 8; bit < packet_n * 8; bit++) {
				if (bit / 8 == tcp_at + 12) /* the header's own length */
					continue;
				packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
				assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n),
						 SEGMENT_SUM_WRONG);
				packet[bit / 8] ^= (uint8_t)(1u << bit % 8);
			}
		}
	}
}

/* The IP header's checksum covers TTL and addresses, whatever the NIC says of TCP's. */
static void test_ip_header(void **state)
{
	static const size_t at[] = {1, 4, 5, 8, 10, 11, 12, 19};

	make(false, 100);
	frame_seal(packet, packet_n);
	for (size_t i = 0; i < sizeof at / sizeof at[0]; i++)
		for (uint8_t sum = FRAME_SUM_ON_WIRE; sum <= FRAME_SUM_FILE; sum++) {
			packet[at[i]] ^= 0x40;
			assert_int_equal(sum_of(sum, packet_n), SEGMENT_SUM_WRONG);
			packet[at[i]] ^= 0x40;
		}
}

static void test_what_the_source_knows(void **state)
{
	make(false, 100);
	frame_seal(packet, packet_n);
	packet[packet_n - 1] ^= 1;
	assert_int_equal(sum_of(FRAME_SUM_TESTED, packet_n), SEGMENT_SUM_RIGHT);
	assert_int_equal(sum_of(FRAME_SUM_OPEN, packet_n), SEGMENT_SUM_OPEN);
	assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n), SEGMENT_SUM_WRONG);
	assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n - 1), SEGMENT_SUM_TRUNCATED);
	assert_int_equal(sum_of(FRAME_SUM_FILE, packet_n - 1), SEGMENT_SUM_TRUNCATED);
}

/*
 * A sum that a host left to its NIC is accepted only in a file. On a wire the receiver would drop
 * it.
 */
static void test_left_open(void **state)
{
	for (int v6 = 0; v6 < 2; v6++) {
		for (int with_length = 0; with_length < 2; with_length++) {
			make(v6, 333);
			frame_seal(packet, packet_n);
			struct netaddr src = {.family = v6 ? NETADDR_V6 : NETADDR_V4}, dst = src;
			memcpy(src.b, packet + (v6 ? 8 : 12), v6 ? 16 : 4);
			memcpy(dst.b, packet + (v6 ? 24 : 16), v6 ? 16 : 4);
			uint16_t pseudo = checksum_carry(checksum_pseudo(
				&src, &dst, 6, with_length ? packet_n - tcp_at : 0));
			packet[tcp_at + 16] = (uint8_t)(pseudo >> 8);
			packet[tcp_at + 17] = (uint8_t)pseudo;
			assert_int_equal(sum_of(FRAME_SUM_FILE, packet_n), SEGMENT_SUM_OPEN);
			assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n), SEGMENT_SUM_WRONG);
			packet[tcp_at + 17] ^= 1;
			assert_int_equal(sum_of(FRAME_SUM_FILE, packet_n), SEGMENT_SUM_WRONG);
		}
	}
	make(false, 10); /* the IP header has no checksum either */
	frame_seal(packet, packet_n);
	packet[10] = packet[11] = 0;
	assert_int_equal(sum_of(FRAME_SUM_FILE, packet_n), SEGMENT_SUM_RIGHT);
	assert_int_equal(sum_of(FRAME_SUM_ON_WIRE, packet_n), SEGMENT_SUM_WRONG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_any_length),
		cmocka_unit_test(test_large),
		cmocka_unit_test(test_every_bit),
		cmocka_unit_test(test_ip_header),
		cmocka_unit_test(test_what_the_source_knows),
		cmocka_unit_test(test_left_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
