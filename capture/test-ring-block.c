/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The frames of one block, built in memory. */
#include "capture/test/fake-block.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ring-block.h"

static const struct fake_frame three[] = {
	{"abc", 3, 3, 0, 0x123, PACKET_HOST},
	{"de", 2, 9, TP_STATUS_VLAN_VALID | TP_STATUS_VLAN_TPID_VALID | TP_STATUS_CSUM_VALID,
	 0x2064, PACKET_OTHERHOST},
	{"fgh", 3, 3, TP_STATUS_VLAN_VALID | TP_STATUS_LOSING | TP_STATUS_CSUMNOTREADY, 0,
	 PACKET_OUTGOING},
};

static void test_block_frames(void **state)
{
	_Alignas(16) uint8_t block[BLOCK] = {0};
	struct seen s = {0};
	uint64_t truncated = 5;

	block_fill(block, three, 3);
	assert_int_equal(ring_block_walk(bytes_of(block, BLOCK), see, &s, &truncated),
			 RING_BLOCK_DONE);
	assert_int_equal(s.count, 3);
	assert_int_equal(truncated, 6);
	for (uint32_t i = 0; i < 3; i++) {
		assert_int_equal(s.last[i].data.n, three[i].captured);
		assert_memory_equal(s.last[i].data.p, three[i].data, three[i].captured);
		assert_int_equal(s.last[i].wire_len, three[i].wire);
		assert_int_equal(s.last[i].time_ns, 1700000000 * NS_PER_S + i);
		assert_int_equal(s.last[i].link, FRAME_LINK_ETHERNET);
		assert_int_equal(s.last[i].vlan_present, i > 0);
		assert_int_equal(s.last[i].outgoing, i == 2);
	}
	assert_int_equal(s.last[0].sum, FRAME_SUM_ON_WIRE);
	assert_int_equal(s.last[1].sum, FRAME_SUM_TESTED);
	assert_int_equal(s.last[2].sum, FRAME_SUM_OPEN);
	assert_int_equal(s.last[1].vlan_tci, 0x2064);
	assert_int_equal(s.last[2].vlan_tci, 0);
}

static void test_block_pieces(void **state)
{
	static const struct fake_frame row[] = {
		{"a", 1, 1, .gso_type = VIRTIO_NET_HDR_GSO_NONE, .gso_size = 7},
		{"b", 1, 1, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448},
		{"c", 1, 1, .gso_type = VIRTIO_NET_HDR_GSO_TCPV6 | VIRTIO_NET_HDR_GSO_ECN,
		 .gso_size = 1428},
		{"d", 1, 1, .gso_type = VIRTIO_NET_HDR_GSO_UDP, .gso_size = 1472},
		/* The block had no room for the whole frame, so the kernel has not written its
		 * virtio header. */
		{"e", 1, 2, .gso_type = VIRTIO_NET_HDR_GSO_TCPV4, .gso_size = 1448},
	};
	static const uint16_t piece[] = {0, 1448, 1428, 0, 0};
	_Alignas(16) uint8_t block[BLOCK] = {0};
	struct seen s = {0};
	uint64_t truncated = 0;

	block_fill(block, row, 5);
	assert_int_equal(ring_block_walk(bytes_of(block, BLOCK), see, &s, &truncated),
			 RING_BLOCK_DONE);
	for (uint32_t i = 0; i < 5; i++)
		assert_int_equal(s.last[i].piece, piece[i]);
}

static void test_block_empty(void **state)
{
	_Alignas(16) uint8_t block[BLOCK] = {0};
	struct seen s = {0};
	uint64_t truncated = 0;

	block_fill(block, NULL, 0);
	assert_int_equal(ring_block_walk(bytes_of(block, BLOCK), see, &s, &truncated), 0);
	assert_int_equal(s.count, 0);
}

static void test_block_is_delivered_whole_when_stopped(void **state)
{
	_Alignas(16) uint8_t block[BLOCK] = {0};
	struct seen s = {.stop_at = 1};
	uint64_t truncated = 0;

	block_fill(block, three, 3);
	assert_int_equal(ring_block_walk(bytes_of(block, BLOCK), see, &s, &truncated),
			 RING_BLOCK_STOPPED);
	assert_int_equal(s.count, 3);
}

/* Damages the second frame (or the block), and expects the frame before it and no other. */
static void expect_bad(void (*damage)(uint8_t *block, struct tpacket3_hdr *second),
		       uint32_t frames_before)
{
	uint8_t *block = aligned_alloc(16, BLOCK); /* on the heap: ASan sees its end */
	struct seen s = {0};
	uint64_t truncated = 0;

	assert_non_null(block);
	memset(block, 0, BLOCK);
	block_fill(block, three, 3);
	damage(block, (void *)(block + 48 + 256));
	assert_int_equal(ring_block_walk(bytes_of(block, BLOCK), see, &s, &truncated), -EBADMSG);
	assert_int_equal(s.count, frames_before);
	free(block);
}

static void first_outside(uint8_t *block, struct tpacket3_hdr *h)
{
	((struct tpacket_block_desc *)(void *)block)->hdr.bh1.offset_to_first_pkt = BLOCK - 16;
}

static void first_unaligned(uint8_t *block, struct tpacket3_hdr *h)
{
	((struct tpacket_block_desc *)(void *)block)->hdr.bh1.offset_to_first_pkt = 49;
}

static void too_many_packets(uint8_t *block, struct tpacket3_hdr *h)
{
	((struct tpacket_block_desc *)(void *)block)->hdr.bh1.num_pkts = UINT32_MAX;
}

static void next_outside(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_next_offset = UINT32_MAX - 7;
}

static void next_is_itself(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_next_offset = 0;
}

static void packet_outside(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_mac = UINT16_MAX;
}

static void packet_without_its_header(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_mac = (uint16_t)(TPACKET_ALIGN(sizeof *h) + sizeof(struct sockaddr_ll) +
			       sizeof(struct virtio_net_hdr) - 1);
}

static void packet_over_the_end(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_snaplen = BLOCK - 48 - 256 - PACKET_AT + 1;
}

static void packet_of_any_length(uint8_t *block, struct tpacket3_hdr *h)
{
	h->tp_snaplen = UINT32_MAX;
}

static void test_block_bad_offsets(void **state)
{
	expect_bad(first_outside, 0);
	expect_bad(first_unaligned, 0);
	expect_bad(too_many_packets, 3);
	expect_bad(next_outside, 2);
	expect_bad(next_is_itself, 2);
	expect_bad(packet_outside, 1);
	expect_bad(packet_without_its_header, 1);
	expect_bad(packet_over_the_end, 1);
	expect_bad(packet_of_any_length, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_frames),
		cmocka_unit_test(test_block_pieces),
		cmocka_unit_test(test_block_empty),
		cmocka_unit_test(test_block_is_delivered_whole_when_stopped),
		cmocka_unit_test(test_block_bad_offsets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
