/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The ring without a kernel: ring-sys is replaced below, blocks are built in memory. */
#include "capture/test/fake-block.h"

#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "ring-block.h"
#include "ring-sys.h"
#include "ring.h"

/* ---- the kernel of these tests ---- */

static struct {
	char calls[256];
	const char *fail; /* this call returns -EIO */
	int open_fds, maps;
	uint8_t *map;
	size_t map_bytes;
	uint32_t block_count, retire_ms;
	uint16_t filter_len, group;
	struct sock_filter filter[BPF_MAXINSNS];
	struct ring_sys_counters counters;
	int error;
} sys;

static int sys_call(const char *name)
{
	size_t n = strlen(sys.calls);

	snprintf(sys.calls + n, sizeof sys.calls - n, "%s%s", n ? " " : "", name);
	return sys.fail && strcmp(sys.fail, name) == 0 ? -EIO : 0;
}

int ring_sys_socket(void)
{
	if (sys_call("socket") < 0)
		return -EIO;
	sys.open_fds++;
	return 77;
}

int ring_sys_interface(int fd, const char *name, int *ret_index)
{
	assert_string_equal(name, "eth9");
	*ret_index = 9;
	return sys_call("interface");
}

int ring_sys_setup(int fd, size_t block_bytes, uint32_t block_count, uint32_t retire_ms)
{
	sys.block_count = block_count;
	sys.retire_ms = retire_ms;
	return sys_call("ring");
}

int ring_sys_filter(int fd, struct sock_filter *instructions, uint16_t count)
{
	sys.filter_len = count;
	memcpy(sys.filter, instructions, count * sizeof sys.filter[0]);
	return sys_call("filter");
}

int ring_sys_ignore_outgoing(int fd)
{
	return sys_call("ignore-outgoing");
}

int ring_sys_map(int fd, size_t bytes, uint8_t **ret)
{
	if (sys_call("mmap") < 0)
		return -EIO;
	sys.map = *ret = aligned_alloc(4096, bytes);
	assert_non_null(sys.map);
	memset(sys.map, 0, bytes);
	sys.map_bytes = bytes;
	sys.maps++;
	return 0;
}

int ring_sys_promiscuous(int fd, int index)
{
	assert_int_equal(index, 9);
	return sys_call("promiscuous");
}

int ring_sys_bind(int fd, int index)
{
	assert_int_equal(index, 9);
	return sys_call("bind");
}

int ring_sys_fanout(int fd, uint16_t group)
{
	sys.group = group;
	return sys_call("fanout");
}

int ring_sys_counters(int fd, struct ring_sys_counters *ret)
{
	*ret = sys.counters;
	return sys_call("counters");
}

int ring_sys_error(int fd)
{
	return sys.error;
}

void ring_sys_unmap(uint8_t *map, size_t bytes)
{
	assert_ptr_equal(map, sys.map);
	assert_int_equal(bytes, sys.map_bytes);
	free(map);
	sys.maps--;
}

void ring_sys_close(int fd)
{
	assert_int_equal(fd, 77);
	sys.open_fds--;
}

/* ---- opening ---- */

static const struct netaddr protected_v4 = {{10, 9, 0, 1}, NETADDR_V4};

static struct ring_config config_of_all_steps(void)
{
	return (struct ring_config){
		.interface = "eth9",
		.ring_bytes = 4 * BLOCK,
		.block_bytes = BLOCK,
		.fanout_group = 11,
		.fanout_size = 2,
		.promiscuous = true,
		.ignore_outgoing = true,
		.addresses = &protected_v4,
		.address_count = 1,
	};
}

static const char all_steps[] =
	"socket interface ring filter ignore-outgoing mmap promiscuous bind fanout";

static int sys_reset(void **state)
{
	memset(&sys, 0, sizeof sys);
	return 0;
}

static int sys_closed(void **state)
{
	return sys.open_fds || sys.maps;
}

static void test_open_order(void **state)
{
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;

	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	assert_string_equal(sys.calls, all_steps);
	assert_int_equal(ring_fd(r), 77);
	assert_int_equal(sys.group, 11);
	assert_int_equal(sys.retire_ms, 2);
	assert_true(sys.filter_len > 4);
	assert_null(ring_close(r));
	assert_null(ring_close(NULL));
}

static bool passes_nothing(void)
{
	for (uint16_t i = 0; i < sys.filter_len; i++)
		if (BPF_CLASS(sys.filter[i].code) == BPF_RET && sys.filter[i].k != 0)
			return false;
	return sys.filter_len > 0;
}

/* A ring is shut from its first packet on. It is opened for some packets, and shut again. */
static void test_shut_until_it_listens(void **state)
{
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;

	cfg.shut = true;
	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	assert_string_equal(sys.calls, all_steps);
	assert_true(passes_nothing());
	assert_int_equal(ring_listen(r, &protected_v4, 1), 0);
	assert_false(passes_nothing());
	assert_int_equal(ring_listen(r, NULL, 0), 0);
	assert_true(passes_nothing());
	sys.fail = "filter";
	assert_int_equal(ring_listen(r, NULL, 0), -EIO);
	ring_close(r);
}

/* A ring without addresses drops the box's own frames, too. */
static void test_own_frames_are_dropped_first(void **state)
{
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;

	for (int with = 0; with <= 1; with++) {
		cfg.address_count = (uint32_t)with;
		assert_int_equal(ring_open(&cfg, &r, &where), 0);
		r = ring_close(r);
		assert_int_equal(sys.filter[0].k, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
		assert_int_equal(sys.filter[1].k, PACKET_OUTGOING);
		assert_int_equal(sys.filter[2].code, BPF_RET | BPF_K);
		assert_int_equal(sys.filter[2].k, 0);
		assert_false(passes_nothing());
	}
	cfg.ignore_outgoing = false;
	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	r = ring_close(r);
	assert_int_not_equal(sys.filter[0].k, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE));
}

static void test_open_only_what_is_asked_for(void **state)
{
	struct ring_config cfg = {
		.interface = "eth9", .ring_bytes = 100, .block_bytes = BLOCK, .fanout_size = 1};
	struct ring *r = NULL;
	const char *where;

	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	assert_string_equal(sys.calls, "socket interface ring mmap bind");
	assert_int_equal(sys.block_count, 4); /* the least */
	ring_close(r);
}

static void test_open_default_block(void **state)
{
	struct ring_config cfg = {.interface = "eth9",
				  .ring_bytes = (1 << 20) + RING_BLOCK_DEFAULT - 1,
				  .retire_ms = 7};
	struct ring *r = NULL;
	const char *where;

	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	assert_int_equal(sys.block_count, 8);
	assert_int_equal(sys.map_bytes, 1 << 20);
	assert_int_equal(sys.retire_ms, 7);
	ring_close(r);
}

/* 500 blocks a second time out, and half of a block may stay empty before a large frame. */
static void test_how_long_a_ring_keeps(void **state)
{
	assert_int_equal(ring_keeps_ns((size_t)64 << 20, 0), 1024 * NS_PER_MS);
	assert_int_equal(ring_keeps_ns((size_t)128 << 20, 0), 2048 * NS_PER_MS);
	assert_int_equal(ring_keeps_ns((size_t)128 << 20, 500 * 64 << 10), 1024 * NS_PER_MS);
	assert_true(ring_keeps_ns((size_t)128 << 20, 10000000) > NS_PER_S);
	assert_int_equal(ring_keeps_ns(1, 0), 8 * NS_PER_MS); /* there are always four blocks */
}

static void test_open_bad_sizes(void **state)
{
	static const size_t bad[] = {1, 2048, 4095, 4097, 3 << 20, SIZE_MAX / 2 + 1};

	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		struct ring_config cfg = config_of_all_steps();
		struct ring *r = NULL;
		const char *where;
		cfg.block_bytes = bad[i];
		assert_int_equal(ring_open(&cfg, &r, &where), -EINVAL);
		assert_string_equal(where, "size");
		assert_null(r);
	}
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;
	cfg.ring_bytes = SIZE_MAX;
	assert_int_equal(ring_open(&cfg, &r, &where), -EINVAL);
	assert_string_equal(sys.calls, "");
}

static void test_open_failures(void **state)
{
	char steps[sizeof all_steps], *save = NULL;

	strcpy(steps, all_steps);
	for (char *s = strtok_r(steps, " ", &save); s; s = strtok_r(NULL, " ", &save)) {
		struct ring_config cfg = config_of_all_steps();
		struct ring *r = NULL;
		const char *where = NULL;
		sys_reset(NULL);
		sys.fail = s;
		assert_int_equal(ring_open(&cfg, &r, &where), -EIO);
		assert_string_equal(where, s);
		assert_null(r);
		assert_int_equal(sys_closed(NULL), 0);
	}
}

/* ---- reading ---- */

static struct ring *open_four_blocks(void)
{
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;

	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	return r;
}

static struct tpacket_block_desc *sys_block(uint32_t i)
{
	return (void *)(sys.map + (size_t)i * BLOCK);
}

/* Hands block @i over, as the kernel does, with one frame whose only byte is @name. */
static void sys_hand_over(uint32_t i, const char *name)
{
	const struct fake_frame f = {name, 1, 1, 0, 0, PACKET_HOST};

	block_fill((uint8_t *)sys_block(i), &f, 1);
	sys_block(i)->hdr.bh1.block_status = TP_STATUS_USER;
}

static void test_read_in_order_and_around(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {0};

	assert_int_equal(ring_read(r, 8, see, &s), 0);
	sys_hand_over(0, "a");
	sys_hand_over(1, "b");
	sys_hand_over(2, "c");
	assert_int_equal(ring_read(r, 2, see, &s), 2); /* at most two */
	assert_int_equal(sys_block(0)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_int_equal(sys_block(1)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_int_equal(sys_block(2)->hdr.bh1.block_status, TP_STATUS_USER);
	sys_hand_over(3, "d");
	sys_hand_over(0, "e");
	assert_int_equal(ring_read(r, 8, see, &s), 3);
	assert_string_equal(s.first_byte, "abcde");
	assert_int_equal(ring_read(r, 8, see, &s), 0);
	ring_close(r);
}

static void test_peek_at_the_next_block(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {0};
	int64_t ns = 7;

	assert_false(ring_peek(r, &ns));
	assert_int_equal(ns, 7);
	sys_hand_over(0, "a");
	sys_hand_over(1, "b");
	sys_block(0)->hdr.bh1.ts_last_pkt.ts_sec = 3;
	sys_block(1)->hdr.bh1.ts_last_pkt.ts_sec = 5;
	sys_block(1)->hdr.bh1.ts_last_pkt.ts_nsec = 9;
	assert_true(ring_peek(r, &ns));
	assert_int_equal(ns, 3 * NS_PER_S);
	assert_int_equal(ring_read(r, 1, see, &s), 1);
	assert_true(ring_peek(r, &ns));
	assert_int_equal(ns, 5 * NS_PER_S + 9);
	assert_int_equal(ring_read(r, 1, see, &s), 1);
	assert_false(ring_peek(r, &ns));
	ring_close(r);
}

/* Full blocks follow one another. A block that timed out comes alone. */
static void test_busy(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {0};

	assert_false(ring_is_busy(r));
	sys_hand_over(0, "a");
	sys_hand_over(1, "b");
	assert_int_equal(ring_read(r, 1, see, &s), 1);
	assert_false(ring_is_busy(r)); /* another block can be read at once */
	assert_int_equal(ring_read(r, 1, see, &s), 1);
	assert_true(ring_is_busy(r));
	sys_hand_over(2, "c");
	sys_block(2)->hdr.bh1.block_status |= TP_STATUS_BLK_TMO;
	assert_int_equal(ring_read(r, 1, see, &s), 1);
	assert_false(ring_is_busy(r));
	ring_close(r);
}

static void test_read_stops_after_the_block(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {.stop_at = 1};

	sys_hand_over(0, "a");
	sys_hand_over(1, "b");
	assert_int_equal(ring_read(r, 8, see, &s), 1);
	assert_string_equal(s.first_byte, "a");
	assert_int_equal(ring_read(r, 8, see, &s), 1);
	assert_string_equal(s.first_byte, "ab");
	ring_close(r);
}

static void test_read_gives_back_a_bad_block(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {0};

	sys_hand_over(0, "a");
	sys_hand_over(1, "b");
	sys_block(0)->hdr.bh1.offset_to_first_pkt = BLOCK;
	assert_int_equal(ring_read(r, 8, see, &s), -EBADMSG);
	assert_int_equal(sys_block(0)->hdr.bh1.block_status, TP_STATUS_KERNEL);
	assert_int_equal(ring_read(r, 8, see, &s), 1);
	assert_string_equal(s.first_byte, "b");
	ring_close(r);
}

static void test_read_tells_that_the_interface_went_down(void **state)
{
	struct ring *r = open_four_blocks();
	struct seen s = {0};

	sys_hand_over(0, "a");
	sys.error = -ENETDOWN;
	assert_int_equal(ring_read(r, 8, see, &s), 1); /* the frame before it comes first */
	assert_int_equal(ring_read(r, 8, see, &s), -ENETDOWN);
	ring_close(r);
}

static void test_stats_add_up(void **state)
{
	struct ring *r = open_four_blocks();
	struct ring_stats st = {.packets = 1000};
	const struct fake_frame cut = {"x", 1, 70000, 0, 0, PACKET_HOST};
	struct seen s = {0};

	sys_hand_over(0, "a");
	block_fill((uint8_t *)sys_block(0), &cut, 1);
	assert_int_equal(ring_read(r, 8, see, &s), 1);
	sys.counters = (struct ring_sys_counters){10, 3, 1};
	assert_int_equal(ring_stats(r, &st), 0);
	sys.counters = (struct ring_sys_counters){5, 0, 0};
	assert_int_equal(ring_stats(r, &st), 0);
	assert_int_equal(st.packets, 1015);
	assert_int_equal(st.drops, 3);
	assert_int_equal(st.freezes, 1);
	assert_int_equal(st.truncated, 1);
	sys.fail = "counters";
	assert_int_equal(ring_stats(r, &st), -EIO);
	ring_close(r);
}

/* The kernel takes 4096 instructions. A longer filter is refused, not shortened. */
static void test_filter_ceiling(void **state)
{
	struct netaddr many[250];
	struct ring_config cfg = config_of_all_steps();
	struct ring *r = NULL;
	const char *where;

	for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
		memset(many[i].b, 0xfd, sizeof many[i].b);
		many[i].b[15] = (uint8_t)i;
		many[i].family = NETADDR_V6;
	}
	cfg.addresses = many;
	cfg.address_count = 100;
	assert_int_equal(ring_open(&cfg, &r, &where), 0);
	ring_close(r);
	r = NULL;
	cfg.address_count = sizeof many / sizeof many[0];
	assert_int_equal(ring_open(&cfg, &r, &where), -E2BIG);
	assert_string_equal(where, "filter");
	assert_null(r);
}

#define with_sys(f) cmocka_unit_test_setup_teardown(f, sys_reset, sys_closed)

int main(void)
{
	const struct CMUnitTest tests[] = {
		with_sys(test_open_order),
		with_sys(test_shut_until_it_listens),
		with_sys(test_own_frames_are_dropped_first),
		with_sys(test_open_only_what_is_asked_for),
		with_sys(test_open_default_block),
		cmocka_unit_test(test_how_long_a_ring_keeps),
		with_sys(test_open_bad_sizes),
		with_sys(test_open_failures),
		with_sys(test_read_in_order_and_around),
		with_sys(test_peek_at_the_next_block),
		with_sys(test_busy),
		with_sys(test_read_stops_after_the_block),
		with_sys(test_read_gives_back_a_bad_block),
		with_sys(test_read_tells_that_the_interface_went_down),
		with_sys(test_stats_add_up),
		with_sys(test_filter_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
