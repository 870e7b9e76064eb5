/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "loan.h"
#include "stream.h"

static struct pool pool;
static struct loans loans;
static struct stream stream;
static uint8_t frame[LOANS_MAX * LOAN_BYTES_MIN + LOAN_LOG_MAX];

static uint8_t pattern(uint64_t off)
{
	return (uint8_t)(off * 7 + off / 251);
}

static int set_up(void **state)
{
	pool_init(&pool, 1 << 20, 1 << 16);
	assert_int_equal(loans_init(&loans), 0);
	stream = (struct stream){0};
	for (size_t i = 0; i < sizeof frame; i++)
		frame[i] = pattern(i);
	return 0;
}

static int tear_down(void **state)
{
	stream_deinit(&stream, &pool);
	for (uint32_t i = 0; i < loans.count; i++)
		assert_null(loans.v[i].stream);
	loans_deinit(&loans);
	assert_int_equal(pool.used, 0);
	pool_deinit(&pool);
	return 0;
}

/* The next @n bytes are said, and kept from @keep on. */
static void say(size_t n, uint64_t keep)
{
	uint64_t at, lost, off = stream.next;
	struct bytes new;

	assert_int_equal(stream_push(&stream, &pool, off, bytes_of(frame + off, n), &at, &new),
			 STREAM_ADVANCED);
	stream_keep_from(&stream, &pool, keep);
	assert_int_equal(stream_commit(&stream, &pool, &loans, at, new, &lost), 0);
}

/* The frames go. */
static void repay(void)
{
	loans_repay(&loans);
	memset(frame, 0xee, sizeof frame);
}

static bool is_borrowed(uint64_t off)
{
	return stream_view(&stream, off).p == frame + off;
}

static void assert_kept(const struct stream *s, uint64_t from, uint64_t to)
{
	assert_int_equal(s->keep, from);
	assert_int_equal(s->next, to);
	while (from < to) {
		struct bytes b = stream_view(s, from);
		assert_true(b.n > 0 && b.n <= to - from);
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.p[i], pattern(from + i));
		from += b.n;
	}
}

static void test_what_is_needed_is_copied_when_frames_go(void **state)
{
	say(1000, 0);
	say(1000, 0);
	say(1000, 0);
	assert_true(is_borrowed(0) && is_borrowed(1500) && is_borrowed(2999));
	assert_kept(&stream, 0, 3000);
	stream_keep_from(&stream, &pool, 1500); /* in the middle of one */
	assert_kept(&stream, 1500, 3000);
	repay();
	assert_false(is_borrowed(1500));
	assert_kept(&stream, 1500, 3000);
}

static void test_what_was_let_go_is_not_copied(void **state)
{
	say(1000, 0);
	const uint8_t *memory = stream.chain.first->data;
	memset(stream.chain.first->data, 0x11, 2000);
	say(1000, 0);
	stream_keep_from(&stream, &pool, 1000);
	repay();
	assert_int_equal(memory[0], 0x11);
	assert_int_equal(memory[999], 0x11);
	assert_int_equal(memory[1000], pattern(1000));
	assert_kept(&stream, 1000, 2000);
}

static void test_all_let_go(void **state)
{
	say(1000, 0);
	say(1000, 0);
	stream_keep_from(&stream, &pool, 2000);
	assert_int_equal(pool.used, 0);
	assert_null(stream.loan);
	repay();
	assert_int_equal(loans.count, 0);
}

static void test_small_and_old(void **state)
{
	say(LOAN_BYTES_MIN - 1, 0);
	assert_false(is_borrowed(0));
	assert_int_equal(loans.count, 0);
	while (stream.next <= LOAN_LOG_MAX)
		say(16384, 0);
	uint64_t at = stream.next;
	say(1000, 0);
	assert_false(is_borrowed(at));
	assert_true(is_borrowed(at - 1));
	assert_kept(&stream, 0, at + 1000);
	repay();
	assert_kept(&stream, 0, at + 1000);
}

static void test_no_more_than_there_is_room_for(void **state)
{
	for (int i = 0; i < LOANS_MAX; i++)
		say(LOAN_BYTES_MIN, 0);
	assert_int_equal(loans.count, LOANS_MAX);
	uint64_t at = stream.next;
	say(LOAN_BYTES_MIN, 0);
	assert_true(is_borrowed(at - 1));
	assert_false(is_borrowed(at));
	assert_kept(&stream, 0, at + LOAN_BYTES_MIN);
	repay();
	assert_int_equal(loans.count, 0);
	assert_kept(&stream, 0, at + LOAN_BYTES_MIN);
}

static void test_old_bytes_again(void **state)
{
	uint8_t other[1000];
	uint64_t from, to;

	memset(other, 0x55, sizeof other);
	say(1000, 0);
	say(10, 0);
	say(1000, 0);
	assert_true(stream_agrees(&stream, 100, bytes_of(frame + 100, 1800), &from, &to));
	assert_false(stream_agrees(&stream, 700, bytes_of(other, 1000), &from, &to));
	assert_int_equal(from, 700);
	assert_int_equal(to, 1700);
}

static void test_copy_of_a_stream(void **state)
{
	struct stream other = {0};

	say(1000, 0);
	say(20, 0);
	say(1000, 500);
	assert_int_equal(stream_clone(&other, &pool, &stream), 0);
	assert_null(other.loan);
	assert_kept(&other, 500, 2020);
	stream_keep_from(&stream, &pool, 2020);
	repay();
	assert_kept(&other, 500, 2020);
	stream_deinit(&other, &pool);
}

static void test_ceiling(void **state)
{
	uint64_t at, lost;
	struct bytes new;

	pool.block_max = 2048;
	say(1500, 0);
	assert_int_equal(stream_push(&stream, &pool, 1500, bytes_of(frame + 1500, 1500), &at, &new),
			 STREAM_ADVANCED);
	assert_int_equal(stream_commit(&stream, &pool, &loans, at, new, &lost), STREAM_E_CEILING);
	assert_kept(&stream, 3000 - 2048, 3000);
	repay();
	assert_kept(&stream, 3000 - 2048, 3000);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_is_needed_is_copied_when_frames_go),
		CASE(test_what_was_let_go_is_not_copied),
		CASE(test_all_let_go),
		CASE(test_small_and_old),
		CASE(test_no_more_than_there_is_room_for),
		CASE(test_old_bytes_again),
		CASE(test_copy_of_a_stream),
		CASE(test_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
