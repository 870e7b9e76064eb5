/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "pool.h"
#include "stream.h"

#define KEEP_NOTHING UINT64_MAX

static struct pool pool;
static struct stream stream;
static struct loans loans;    /* all zero: nothing is borrowed */
static uint8_t seen[1 << 20]; /* the bytes that were shown, by offset */
static uint64_t shown_to;
static uint64_t keep;
static uint64_t lost_from;
static int ceilings;

static int set_up(void **state)
{
	pool_init(&pool, 1 << 20, 1 << 16);
	stream = (struct stream){0};
	shown_to = 0;
	keep = KEEP_NOTHING;
	lost_from = UINT64_MAX;
	ceilings = 0;
	return 0;
}

static int tear_down(void **state)
{
	stream_deinit(&stream, &pool);
	assert_int_equal(pool.used, 0);
	pool_deinit(&pool);
	assert_int_equal(pool.idle, 0);
	return 0;
}

static uint8_t pattern(uint64_t off)
{
	return (uint8_t)(off * 7 + off / 251);
}

static void show(uint64_t off, struct bytes b)
{
	assert_int_equal(off, shown_to);
	memcpy(seen + off, b.p, b.n);
	shown_to += b.n;
	stream_keep_from(&stream, &pool, keep);
}

static void drain(void)
{
	uint64_t off;
	struct bytes b;

	while ((b = stream_next_held(&stream, UINT64_MAX, &off)).n > 0)
		show(off, b);
}

static enum stream_outcome push_bytes(uint64_t off, struct bytes b)
{
	enum stream_outcome o, first = STREAM_DUPLICATE;
	uint64_t at, lost;
	struct bytes new;
	bool any = false;

	while ((o = stream_push(&stream, &pool, off, b, &at, &new)) == STREAM_ADVANCED) {
		any = true;
		first = o;
		show(at, new);
		if (stream_commit(&stream, &pool, &loans, at, new, &lost) == STREAM_E_CEILING) {
			ceilings++;
			lost_from = lost;
		}
		drain();
	}
	return any ? first : o;
}

static enum stream_outcome push(uint64_t off, size_t n)
{
	uint8_t *p = malloc(n ? n : 1);

	assert_non_null(p);
	for (size_t i = 0; i < n; i++)
		p[i] = pattern(off + i);
	enum stream_outcome o = push_bytes(off, bytes_of(p, n));
	free(p);
	return o;
}

static void assert_log(uint64_t from, uint64_t to)
{
	assert_int_equal(stream.keep, from);
	assert_int_equal(stream.next, to);
	while (from < to) {
		struct bytes b = stream_view(&stream, from);
		assert_true(b.n > 0 && b.n <= to - from);
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.p[i], pattern(from + i));
		from += b.n;
	}
	assert_int_equal(stream_view(&stream, to).n, 0);
}

static void assert_shown(uint64_t to)
{
	assert_int_equal(shown_to, to);
	for (uint64_t i = 0; i < to; i++)
		assert_int_equal(seen[i], pattern(i));
}

static void test_pool_sizes(void **state)
{
	struct pool_block *a = pool_get(&pool, 1), *b = pool_get(&pool, 2048),
			  *c = pool_get(&pool, 2049);

	assert_int_equal(pool_block_size(a), 2048);
	assert_int_equal(pool_block_size(b), 2048);
	assert_int_equal(pool_block_size(c), 4096);
	assert_int_equal(pool.used, 8192);
	pool_put(&pool, a);
	pool_put(&pool, b);
	assert_int_equal(pool.idle, 4096);
	struct pool_block *again = pool_get(&pool, 100);
	assert_ptr_equal(again, b);
	pool_put(&pool, again);
	pool_put(&pool, c);
	pool_put(&pool, NULL);
	assert_int_equal(pool.used, 0);
}

static void test_pool_ceilings(void **state)
{
	struct pool_block *all = pool_get(&pool, 1 << 20);

	assert_non_null(all);
	assert_null(pool_get(&pool, 1));
	assert_int_equal(pool.refused, 1);
	pool_put(&pool, all); /* more than idle_max: back to libc */
	assert_int_equal(pool.idle, 0);
	pool.block_max = 5000;
	assert_null(pool_get(&pool, 5001));
	assert_null(pool_get(&pool, SIZE_MAX));
	assert_int_equal(pool.refused, 3);
	struct pool_block *b = pool_get(&pool, 5000);
	assert_int_equal(pool_block_size(b), 8192);
	pool_put(&pool, b);
}

static void test_in_order_keeps_nothing(void **state)
{
	assert_int_equal(push(0, 100), STREAM_ADVANCED);
	assert_int_equal(push(100, 1), STREAM_ADVANCED);
	assert_int_equal(push(50, 51), STREAM_DUPLICATE);
	assert_int_equal(push(101, 0), STREAM_DUPLICATE);
	assert_int_equal(push(50, 100), STREAM_ADVANCED);
	assert_shown(150);
	assert_log(150, 150);
	assert_null(stream.chain.first);
	assert_int_equal(pool.used + pool.idle, 0); /* nothing was ever copied */
}

static void test_log_grows_and_shrinks(void **state)
{
	keep = 10;
	for (uint64_t off = 0; off < 5000; off += 500)
		push(off, 500);
	assert_log(10, 5000);
	assert_int_equal(pool.used, 8192);
	keep = 4000;
	push(5000, 5000);
	assert_log(4000, 10000);
	assert_int_equal(pool.used, 2048 + 4096 + 4096); /* the first block is gone */
	assert_true(stream_view(&stream, 4000).n < 6000);
	assert_int_equal(stream_view(&stream, 3999).n, 0);
	stream_keep_from(&stream, &pool, 3000); /* the position never goes back */
	assert_log(4000, 10000);
	keep = 9999;
	stream_keep_from(&stream, &pool, keep);
	assert_log(9999, 10000);
	stream_keep_from(&stream, &pool, 20000); /* the position never goes beyond next */
	assert_log(10000, 10000);
	assert_null(stream.chain.first);
}

static void test_hole_fills(void **state)
{
	assert_int_equal(push(100, 50), STREAM_HELD);
	assert_int_equal(stream_first_held(&stream), 100);
	assert_int_equal(push(200, 50), STREAM_HELD);
	assert_int_equal(push(110, 10), STREAM_DUPLICATE);
	assert_int_equal(stream.range_count, 2);
	assert_int_equal(push(150, 50), STREAM_HELD); /* the piece joins both ranges */
	assert_int_equal(stream.range_count, 1);
	assert_int_equal(stream.high, 250);
	assert_shown(0);
	assert_int_equal(push(0, 100), STREAM_ADVANCED);
	assert_shown(250);
	assert_int_equal(stream_first_held(&stream), 250);
	assert_null(stream.range);
	assert_null(stream.chain.first);
}

static void test_segment_over_held_ranges(void **state)
{
	push(10, 10);
	push(30, 10);
	push(50, 10);
	assert_int_equal(push(5, 50), STREAM_HELD);
	assert_int_equal(stream.range_count, 1);
	assert_int_equal(stream.range[0].from, 5);
	assert_int_equal(stream.range[0].to, 60);
	keep = 3;
	assert_int_equal(push(0, 100), STREAM_ADVANCED);
	assert_shown(100);
	assert_log(3, 100);
}

static void test_first_copy_wins(void **state)
{
	uint8_t other[100];

	memset(other, 0xEE, sizeof other);
	keep = 0;
	push(0, 10);
	push(20, 10);
	push(40, 10);
	/* Beyond the hole only [30, 40) is new, and this is its first copy. */
	for (int i = 30; i < 40; i++)
		other[i] = pattern((uint64_t)i);
	assert_int_equal(push_bytes(25, bytes_of(other + 25, 20)), STREAM_HELD);
	for (int i = 10; i < 20; i++)
		other[i] = pattern((uint64_t)i);
	for (int i = 50; i < 60; i++)
		other[i] = pattern((uint64_t)i);
	assert_int_equal(push_bytes(0, bytes_of(other, 60)), STREAM_ADVANCED);
	assert_shown(60);
	assert_log(0, 60);
}

static void test_ranges_ceiling(void **state)
{
	for (uint64_t i = 0; i < STREAM_RANGES_MAX; i++)
		assert_int_equal(push(10 + i * 10, 5), STREAM_HELD);
	assert_int_equal(push(1000, 5), STREAM_E_CEILING);
	assert_int_equal(push(1, 5), STREAM_E_CEILING);
	/* The piece touches a held range, so it takes no further one. */
	assert_int_equal(push(15, 3), STREAM_HELD);
	assert_int_equal(push(0, 1000), STREAM_ADVANCED);
	assert_shown(1000);
}

static void test_gap(void **state)
{
	keep = 0;
	push(0, 50);
	push(100, 50);
	push(200, 50);
	stream_gap(&stream, &pool, 80);
	assert_int_equal(stream.next, 80);
	shown_to = 80;
	drain();
	assert_int_equal(shown_to, 80); /* [80, 100) is still missing */
	stream_gap(&stream, &pool, 100);
	shown_to = 100;
	drain();
	assert_int_equal(shown_to, 150);
	assert_log(100, 150);
	assert_int_equal(stream.lost, 50);
	assert_int_equal(stream.gap_end, 100);
	push(150, 50);
	assert_int_equal(shown_to, 250);
	stream_gap(&stream, &pool, 300); /* nothing is held: the log begins anew behind the gap */
	assert_log(300, 300);
	assert_null(stream.chain.first);
}

static void test_stream_ceiling(void **state)
{
	pool.block_max = 5000;
	keep = 100;
	push(0, 4000);
	assert_int_equal(ceilings, 0);
	push(4000, 1100);
	assert_log(100, 5100);
	assert_int_equal(ceilings, 0);
	push(5100, 1);
	assert_int_equal(ceilings, 1);
	assert_int_equal(lost_from, 100);
	assert_log(101, 5101);
	push(5101, 9000); /* the piece is larger than all that may be kept */
	assert_int_equal(ceilings, 2);
	assert_log(9101, 14101);
	assert_int_equal(push(19100, 2), STREAM_E_CEILING); /* this range would span 5001 bytes */
	assert_int_equal(push(14200, 2), STREAM_E_CEILING);
	keep = 14101;
	stream_keep_from(&stream, &pool, keep);
	assert_int_equal(push(19000, 101), STREAM_HELD);
	assert_int_equal(push(19200, 1), STREAM_E_CEILING);
}

static void test_pool_ceiling_cuts_the_log(void **state)
{
	pool.max = 4096;
	keep = 0;
	push(0, 4000);
	assert_int_equal(pool.used, 4096);
	push(4000, 1000); /* there is no larger block: the newest 4096 bytes stay */
	assert_int_equal(ceilings, 1);
	assert_int_equal(lost_from, 0);
	assert_log(904, 5000);

	struct stream other = {0};
	uint64_t at, lost;
	struct bytes new, b = bytes_str("nothing left for me");
	assert_int_equal(stream_push(&other, &pool, 0, b, &at, &new), STREAM_ADVANCED);
	stream_keep_from(&other, &pool, 0);
	assert_int_equal(stream_commit(&other, &pool, &loans, at, new, &lost), STREAM_E_CEILING);
	assert_int_equal(lost, 0);
	assert_int_equal(other.keep, b.n);
	assert_int_equal(other.next, b.n);
	assert_int_equal(stream_push(&other, &pool, 100, b, &at, &new), STREAM_E_CEILING);
	stream_deinit(&other, &pool);
}

/* A log of several blocks loses the first of them. */
static void test_pool_ceiling_cuts_a_block(void **state)
{
	pool.max = 8192;
	keep = 0;
	for (uint64_t off = 0; off < 8000; off += 2000)
		push(off, 2000);
	assert_log(0, 8000);
	assert_int_equal(ceilings, 0);
	push(8000, 1000);
	assert_int_equal(ceilings, 1);
	assert_int_equal(lost_from, 0);
	assert_log(2048, 9000);
	assert_int_equal(pool.used, 8192);
}

/* What fits is no ceiling, wherever in its block it was. */
static void test_single_block_slides(void **state)
{
	pool.max = 2048;
	keep = 0;
	push(0, 1500);
	keep = 1000;
	push(1500, 1000);
	assert_log(1000, 2500);
	assert_int_equal(push(2900, 148), STREAM_HELD);
	assert_int_equal(push(2900, 149), STREAM_E_CEILING);
	push(2500, 400);
	assert_log(1000, 3048);
	assert_int_equal(ceilings, 0);
	assert_int_equal(pool.used, 2048);
}

static uint32_t rng;

static uint32_t next_random(uint32_t below)
{
	rng = rng * 1664525 + 1013904223;
	return (rng >> 8) % below;
}

/* Any segmentation, order and repetition of a stream shows each byte once and in order. */
static void test_any_segmentation(void **state)
{
	for (uint32_t seed = 1; seed <= 300; seed++) {
		uint64_t size = 20000;

		set_up(NULL);
		rng = seed;
		keep = 0;
		while (stream.next < size) {
			uint64_t off = stream.next + next_random(3000);
			off -= off < 1500 ? 0 : next_random(1500);
			uint64_t n = 1 + next_random(1500);
			if (off >= size)
				continue;
			push(off, n < size - off ? n : size - off);
			if (next_random(4) == 0)
				keep = stream.next -
				       next_random((uint32_t)(stream.next - stream.keep) + 1);
		}
		assert_shown(size);
		assert_log(stream.keep, size);
		assert_int_equal(ceilings, 0);
		tear_down(NULL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_pool_sizes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pool_ceilings, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_in_order_keeps_nothing, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_log_grows_and_shrinks, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_hole_fills, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_segment_over_held_ranges, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_first_copy_wins, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_ranges_ceiling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_gap, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_stream_ceiling, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pool_ceiling_cuts_the_log, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_pool_ceiling_cuts_a_block, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_single_block_slides, set_up, tear_down),
		cmocka_unit_test(test_any_segmentation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
