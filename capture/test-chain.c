/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* cmocka wants these first */
#include <cmocka.h>

#include "chain.h"

static struct pool pool;
static struct chain chain;

static int set_up(void **state)
{
	pool_init(&pool, 1 << 20, 1 << 18);
	return 0;
}

static int tear_down(void **state)
{
	chain_free(&chain, &pool);
	assert_int_equal(pool.used, 0);
	pool_deinit(&pool);
	return 0;
}

static uint8_t pattern(uint64_t off)
{
	return (uint8_t)(off * 37 + (off >> 8));
}

static void fill(uint64_t from, uint64_t end)
{
	uint8_t piece[1000];

	while (from < end) {
		size_t n = end - from < sizeof piece ? (size_t)(end - from) : sizeof piece;
		for (size_t i = 0; i < n; i++)
			piece[i] = pattern(from + i);
		chain_write(&chain, from, bytes_of(piece, n));
		from += n;
	}
}

/* Returns how many views it takes. */
static uint32_t assert_reads(const struct chain *c, uint64_t from, uint64_t end)
{
	uint32_t views = 0;

	for (; from < end; views++) {
		struct bytes b = chain_view(c, from, end);
		assert_in_range(b.n, 1, end - from);
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.p[i], pattern(from + i));
		from += b.n;
	}
	return views;
}

static uint32_t blocks(void)
{
	uint32_t n = 0;

	for (const struct pool_block *b = chain.first; b; b = b->next)
		n++;
	return n;
}

static void test_empty(void **state)
{
	assert_true(chain_cover(&chain, &pool, 100, 100));
	assert_null(chain.first);
	assert_int_equal(chain_end(&chain), 0);
	chain_drop_before(&chain, &pool, 1000);
	chain_write(&chain, 5, BYTES_NONE);
	chain_free(&chain, &pool);
	assert_int_equal(pool.used, 0);
}

/* 2, 2, 4, 8, 16, 32 KiB, then 64 KiB each: never more than twice what is needed. */
static void test_grows_without_moving(void **state)
{
	const uint64_t from = 1000, end = from + 300000;
	const uint8_t *first = NULL;

	for (uint64_t at = from; at < end; at += 500) {
		assert_true(chain_cover(&chain, &pool, from, at + 500));
		fill(at, at + 500);
		if (!first)
			first = chain_view(&chain, from, at + 500).p;
		uint64_t need = at + 500 - from;
		assert_in_range(pool.used, need, need < 2048 ? 2048 : 2 * need);
		assert_in_range(pool.used, need, need + need / 2 + CHAIN_BLOCK_MAX);
	}
	assert_ptr_equal(chain_view(&chain, from, end).p, first);
	assert_int_equal(blocks(), 6 + 4);
	assert_int_equal(assert_reads(&chain, from, end), 10);
}

static void test_large_at_once(void **state)
{
	assert_true(chain_cover(&chain, &pool, 7, 200007));
	assert_int_equal(blocks(), 4);
	assert_in_range(chain_end(&chain), 200007, 7 + 4 * CHAIN_BLOCK_MAX);
	fill(7, 200007);
	assert_int_equal(assert_reads(&chain, 7, 200007), 4);
	/* A write across two blocks, and one that begins with a block. */
	fill(7 + CHAIN_BLOCK_MAX - 10, 7 + CHAIN_BLOCK_MAX + 10);
	fill(7 + CHAIN_BLOCK_MAX, 7 + CHAIN_BLOCK_MAX + 1);
	assert_reads(&chain, 7, 200007);
}

/* A window slides over it: the blocks go round. */
static void test_window_slides(void **state)
{
	const uint64_t window = 100000;
	size_t most = 0;

	for (uint64_t at = 0; at < 3000000; at += 1000) {
		uint64_t keep = at > window ? at - window : 0;
		chain_drop_before(&chain, &pool, keep);
		assert_true(chain.first == NULL || chain.first->from <= keep);
		assert_true(chain_cover(&chain, &pool, keep, at + 1000));
		fill(at, at + 1000);
		if (at % 50000 == 0)
			assert_reads(&chain, keep, at + 1000);
		most = pool.used > most ? pool.used : most;
	}
	assert_in_range(most, window, window + 2 * CHAIN_BLOCK_MAX);
	/* Never more than that was asked of libc. */
	assert_in_range(pool.used + pool.idle, window, window + 3 * CHAIN_BLOCK_MAX);
}

static void test_ceiling_leaves_it(void **state)
{
	pool.max = 20000;
	assert_true(chain_cover(&chain, &pool, 0, 3000));
	size_t used = pool.used;
	uint64_t end = chain_end(&chain);
	assert_false(chain_cover(&chain, &pool, 0, 40000));
	assert_int_equal(pool.used, used);
	assert_int_equal(chain_end(&chain), end);
	assert_ptr_equal(chain.first, chain.last);
	assert_null(chain.last->next);
	/* Room for no more than is needed is enough. */
	pool.max = used + 2048;
	assert_true(chain_cover(&chain, &pool, 0, end + 1));
	assert_int_equal(pool.used, pool.max);
	chain_free(&chain, &pool);
	assert_false(chain_cover(&chain, &pool, 5, 100000));
	assert_null(chain.first);
	assert_null(chain.last);
	assert_int_equal(pool.used, 0);
}

static void test_slide(void **state)
{
	assert_true(chain_cover(&chain, &pool, 50, 4050));
	assert_int_equal(chain_end(&chain), 50 + 4096);
	fill(50, 4050);
	chain_slide(&chain, 5000);
	assert_int_equal(chain_end(&chain), 5000);
	assert_reads(&chain, 5000 - 4096, 4050);
	fill(4050, 5000);
	assert_reads(&chain, 5000 - 4096, 5000);
	/* Further than its own length nothing of it is left. */
	chain_slide(&chain, 90000);
	fill(90000 - 4096, 90000);
	assert_reads(&chain, 90000 - 4096, 90000);
	assert_int_equal(pool.used, 4096);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_empty),         TEST(test_grows_without_moving), TEST(test_large_at_once),
		TEST(test_window_slides), TEST(test_ceiling_leaves_it),    TEST(test_slide),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
