/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "path.h"

static struct path path;
static uint64_t nxt;

static int set_up(void **state)
{
	path = (struct path){0};
	nxt = 0;
	return 0;
}

/* Sends the next @len bytes in segments of @piece bytes. Returns the offset of the first. */
static uint64_t sent(uint32_t len, uint16_t piece, bool more)
{
	uint64_t off = nxt;

	path_see(&path,
		 &(struct path_segment){.off = off, .len = len, .piece = piece, .more = more});
	nxt += len;
	return off;
}

static void again(uint64_t off, uint32_t len, uint16_t piece)
{
	path_see(&path,
		 &(struct path_segment){
			 .off = off, .len = len, .piece = piece, .more = true, .again = true});
}

static void through(uint16_t size, int count)
{
	for (; count > 0; count--) {
		sent(size, size, true);
		path_acked(&path, nxt);
	}
}

static void test_acknowledged(void **state)
{
	assert_int_equal(path_size(&path), 0);
	sent(1000, 1000, true);
	assert_int_equal(path_size(&path), 0);
	path_acked(&path, 999);
	assert_int_equal(path_size(&path), 0);
	path_acked(&path, 1000);
	assert_int_equal(path_size(&path), 1000);
	/* Several segments lie in one frame: one that comes through suffices. */
	sent(5000, 1200, false);
	path_acked(&path, nxt - 5000 + 1200);
	assert_int_equal(path_size(&path), 1200);
}

static void test_not_full(void **state)
{
	sent(1000, 1000, false);
	sent(9000, 0, true);
	path_acked(&path, nxt);
	assert_int_equal(path_size(&path), 0);
}

static void test_largest_is_watched(void **state)
{
	sent(1000, 1000, true);
	sent(1400, 1400, true);
	sent(1200, 1200, true);
	path_acked(&path, nxt);
	assert_int_equal(path_size(&path), 1400);
}

/* A larger size that was seen counts for as long as that many smaller ones came through after
 * it, and for at most twice as many. */
static void test_lately(void **state)
{
	through(1400, 1);
	through(1200, PATH_LATELY);
	assert_int_equal(path_size(&path), 1400);
	through(1200, PATH_LATELY);
	assert_int_equal(path_size(&path), 1200);
	through(1300, 1);
	assert_int_equal(path_size(&path), 1300);
}

static void test_cut_counts_at_once(void **state)
{
	through(1400, 3 * PATH_LATELY);
	uint64_t off = sent(14000, 1400, true);
	again(off, 1400, 1400);
	assert_int_equal(path_size(&path), 1400);
	again(off, 1000, 1000);
	assert_int_equal(path_size(&path), 1000);
	/* All of it comes through; nothing of it was as large. */
	again(off + 1000, 13000, 1000);
	path_acked(&path, nxt);
	assert_int_equal(path_size(&path), 1000);
}

static void test_cut_before_anything_came_through(void **state)
{
	uint64_t off = sent(1400, 1400, true);

	again(off, 1000, 1000);
	assert_int_equal(path_size(&path), 1000);
	again(off, 500, 500);
	assert_int_equal(path_size(&path), 500);
}

/* What was lost before the watched segment is sent again, not that segment. */
static void test_cut_before_the_watched_one(void **state)
{
	through(1400, 1);
	nxt += 14000;
	sent(1400, 1400, true);
	again(1400, 1000, 1000);
	assert_int_equal(path_size(&path), 1400); /* that one may have been as small at first */
	again(2400, 1000, 1000);
	assert_int_equal(path_size(&path), 1000);

	set_up(state);
	through(1400, 1);
	nxt += 14000;
	again(1400, 4000, 1000); /* several segments in one frame */
	assert_int_equal(path_size(&path), 1000);
}

static void test_small_ones_sent_again(void **state)
{
	through(1400, 1);
	nxt += 14000;
	again(1400, 300, 300);
	again(1700, 500, 500);
	again(2200, 1400, 1400);
	again(3600, 300, 300);
	assert_int_equal(path_size(&path), 1400);
}

/* A probe of the path fails: it was larger than the segments that come through. */
static void test_probe_failed(void **state)
{
	through(1200, 1);
	uint64_t off = sent(1350, 1350, true);
	sent(12000, 1200, true);
	again(off, 1200, 1200);
	path_acked(&path, nxt);
	assert_int_equal(path_size(&path), 1200);
}

/* The segments have an unknown size: their acknowledgement proves nothing. */
static void test_again_unknown(void **state)
{
	uint64_t off = sent(1400, 1400, true);

	again(off, 9000, 0);
	path_acked(&path, nxt);
	assert_int_equal(path_size(&path), 0);
}

#define CASE(fn) cmocka_unit_test_setup(fn, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_acknowledged),
		CASE(test_not_full),
		CASE(test_largest_is_watched),
		CASE(test_lately),
		CASE(test_cut_counts_at_once),
		CASE(test_cut_before_anything_came_through),
		CASE(test_cut_before_the_watched_one),
		CASE(test_small_ones_sent_again),
		CASE(test_probe_failed),
		CASE(test_again_unknown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
