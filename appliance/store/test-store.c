/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the store does: changes, their order, its ceilings, its ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "test/store-env.h"

static void test_round_trip(void **state)
{
	struct store_loaded l;
	struct store_stats st;
	struct store_batch b;
	struct stat folder;
	char path[64];

	struct store *s = open_again(&l);
	assert_true(l.usable == 0 && !l.environment_bad && !l.environment_other_boot);
	store_batch_init(&b, MIB, 100);
	put(&b, 1, bytes_str("one"));
	put(&b, 2, bytes_str("two"));
	put(&b, 3, blob(20000));
	submit(s, &b);
	put(&b, 2, bytes_str("Two, changed"));
	del(&b, 1);
	del(&b, 77); /* it was never there */
	submit(s, &b);
	gate_wait(2);
	store_stats(s, &st);
	assert_int_equal(st.records, 2);
	assert_int_equal(st.puts, 4);
	assert_int_equal(st.dels, 2);
	assert_int_equal(st.batches, 2);
	assert_int_equal(st.commits, 2);
	assert_int_equal(st.errors + st.puts_dropped, 0);
	assert_in_range(st.bytes_used, 20000, 100000);
	assert_in_range(st.bytes_limit, 13 * MIB, 15 * MIB);
	assert_true(st.commit_max_ns >= st.commit_last_ns && st.commit_last_ns > 0);
	assert_null(store_close(s));
	snprintf(path, sizeof path, "%s/flows", dir);
	assert_int_equal(chmod(path, 0755), 0); /* the mode was changed by somebody */

	s = open_again(&l);
	assert_int_equal(l.usable, 2);
	assert_int_equal(l.malformed + l.too_old + l.other_boot + l.other_version, 0);
	struct seen seen = look(s);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.first[2], 'T');
	assert_int_equal(seen.first[3], 'b');
	assert_int_equal(stat(path, &folder), 0);
	assert_int_equal(folder.st_mode & 07777, 0700);
	store_batch_deinit(&b);
	store_close(s);
	assert_null(store_close(NULL));
}

static void test_order_in_and_across_batches(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct store *s = open_again(&l);

	store_batch_init(&b, MIB, 100);
	put(&b, 1, bytes_str("a"));
	del(&b, 1);
	put(&b, 1, bytes_str("b"));
	put(&b, 2, bytes_str("a"));
	submit(s, &b);
	del(&b, 2);
	submit(s, &b);
	put(&b, 3, bytes_str("a"));
	del(&b, 3);
	submit(s, &b);
	put(&b, 3, bytes_str("z"));
	submit(s, &b);
	store_batch_deinit(&b);
	store_close(s); /* commits what was submitted */
	s = open_again(&l);
	struct seen seen = look(s);
	assert_int_equal(seen.count, 2);
	assert_int_equal(seen.first[1], 'b');
	assert_int_equal(seen.first[3], 'z');
	store_close(s);
}

/* 1 MiB for records of 20 KiB: the first ones stay, and deletions and replacements still work. */
/* Replaces the first records again and again. */
static void replace_in_full(struct store *s, struct store_batch *b, uint64_t *io_batches)
{
	for (int round = 0; round < 20; round++) {
		uint8_t log[20000] = {(uint8_t)('c' + round)};
		for (uint32_t i = 1; i <= 5; i++)
			put(b, i, bytes_of(log, sizeof log));
		submit(s, b);
		gate_wait(++*io_batches);
	}
	struct seen seen = look(s);
	for (uint32_t i = 1; i <= 5; i++)
		assert_int_equal(seen.first[i], 'c' + 19);
}

/* Deletes the first @records, among new ones that do not fit. */
static void delete_in_full(struct store *s, struct store_batch *b, uint64_t records,
			   uint64_t *io_batches)
{
	struct store_stats st;

	store_stats(s, &st);
	uint64_t dropped = st.puts_dropped;
	for (uint32_t i = 1; i <= records; i++) {
		put(b, 1000 + i, blob(60000));
		del(b, i);
	}
	submit(s, b);
	gate_wait(++*io_batches);
	store_stats(s, &st);
	struct seen seen = look(s);
	for (uint32_t i = 1; i <= records; i++)
		assert_int_equal(seen.first[i], 0);
	assert_true(st.puts_dropped > dropped);
	assert_int_equal(st.errors, 0);
}

/* Deletes all, and then there is room again. */
static void empty_and_fill(struct store *s, struct store_batch *b, uint64_t *io_batches)
{
	struct seen seen = look(s);

	for (uint32_t i = 0; i < 4096; i++) {
		if (seen.first[i])
			del(b, i);
	}
	submit(s, b);
	gate_wait(++*io_batches);
	for (uint32_t i = 1; i <= 10; i++)
		put(b, i, blob(20000));
	submit(s, b);
	gate_wait(++*io_batches);
	seen = look(s);
	assert_int_equal(seen.count, 10);
}

static void test_full_environment(void **state)
{
	struct store_loaded l;
	struct store_stats st;
	struct store_batch b;
	struct store *s = open_size(STORE_SIZE_MIN, &l);
	uint64_t batches = 0;

	store_batch_init(&b, 4 * MIB, 1000);
	for (uint32_t i = 1; i <= 100; i++) {
		put(&b, i, blob(20000));
		if (i % 10 == 0) {
			submit(s, &b);
			gate_wait(++batches);
		}
	}
	store_stats(s, &st);
	assert_true(st.puts_dropped > 0);
	assert_int_equal(st.records + st.puts_dropped, 100);
	assert_in_range(st.records, 35, 45); /* of 5 pages each, below seven eighths */
	assert_in_range(st.bytes_used, st.bytes_limit * 8 / 10, st.bytes_limit);
	assert_int_equal(st.errors, 0);
	uint64_t records = st.records;
	struct seen seen = look(s);
	for (uint32_t i = 1; i <= 100; i++)
		assert_int_equal(seen.first[i], i <= records ? 'b' : 0);

	replace_in_full(s, &b, &batches);
	store_stats(s, &st);
	assert_int_equal(st.records, records);
	assert_int_equal(st.errors, 0);

	delete_in_full(s, &b, records, &batches);
	empty_and_fill(s, &b, &batches);
	store_batch_deinit(&b);
	store_close(s);
}

/* Small records share leaves and have no pages of their own. */
static void test_full_of_small_records(void **state)
{
	struct store_loaded l;
	struct store_stats st;
	struct store_batch b;
	struct store *s = open_size(STORE_SIZE_MIN, &l);

	store_batch_init(&b, 8 * MIB, 5000);
	for (uint32_t i = 0; i < 4000; i++)
		put(&b, i, BYTES_NONE);
	submit(s, &b);
	gate_wait(1);
	store_stats(s, &st);
	assert_true(st.puts_dropped > 0);
	assert_true(st.records > 1000);
	assert_int_equal(st.records + st.puts_dropped, 4000);
	assert_true(st.bytes_used <= st.bytes_limit);
	for (uint32_t i = 0; i < 4000; i++)
		del(&b, i);
	submit(s, &b);
	gate_wait(2);
	store_stats(s, &st);
	assert_int_equal(st.records, 0);
	assert_int_equal(st.errors, 0);
	store_batch_deinit(&b);
	store_close(s);
}

static void test_full_queue_loses_nothing(void **state)
{
	struct store_loaded l;
	struct store_stats st;
	struct store_batch b;
	struct store *s = open_again(&l);

	store_batch_init(&b, MIB, 100);
	put(&b, 1, bytes_str("a"));
	gate_hold(true);
	submit(s, &b);
	gate_wait(1); /* the thread waits after its first commit */
	for (uint32_t i = 0; i < STORE_QUEUE_DEFAULT; i++) {
		put(&b, 10 + i, bytes_str("q"));
		submit(s, &b);
	}
	del(&b, 1);
	for (int i = 0; i < 3; i++)
		assert_int_equal(store_submit(s, &b), -EAGAIN);
	assert_int_equal(b.dels, 1);
	put(&b, 2, bytes_str("later")); /* and the batch goes on filling */
	assert_int_equal(store_submit(s, &b), -EAGAIN);
	store_stats(s, &st);
	assert_int_equal(st.deferred, 4);
	gate_hold(false);
	gate_wait(1 + STORE_QUEUE_DEFAULT);
	submit(s, &b);
	assert_int_equal(store_submit(s, &b), 0); /* empty: it does not count as a batch */
	store_close(s);
	assert_int_equal(gate.batches, 2 + STORE_QUEUE_DEFAULT);
	s = open_again(&l);
	assert_int_equal(l.usable, STORE_QUEUE_DEFAULT + 1);
	struct seen seen = look(s);
	assert_int_equal(seen.first[1], 0);
	assert_int_equal(seen.first[2], 'l');
	store_batch_deinit(&b);
	store_close(s);
}

static void test_one_owner(void **state)
{
	struct store_config c = config(16 * MIB);
	struct store_loaded l;
	struct store *first = open_again(&l), *second = NULL;

	assert_int_equal(store_open(&c, &second, &l), -EBUSY);
	assert_null(second);
	store_close(first);
	assert_int_equal(store_open(&c, &second, &l), 0);
	store_close(second);
}

static void test_open_refuses(void **state)
{
	struct store_config c = config(STORE_SIZE_MIN - 1);
	struct store_loaded l;
	struct store *s = NULL;

	assert_int_equal(store_open(&c, &s, &l), -EINVAL);
	c = config(STORE_SIZE_MIN);
	c.queue_max = 10000;
	assert_int_equal(store_open(&c, &s, &l), -EINVAL);
	c = config(STORE_SIZE_MIN);
	c.state_dir = "/nonexistent/place";
	assert_int_equal(store_open(&c, &s, &l), -ENOENT);
	assert_null(s);
}

static void test_clear(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct stat file;
	char path[64];
	struct store *s = open_again(&l);

	store_batch_init(&b, MIB, 0);
	put(&b, 1, bytes_str("x"));
	submit(s, &b);
	assert_null(store_clear(s));
	snprintf(path, sizeof path, "%s/flows/data.mdb", dir);
	assert_int_equal(stat(path, &file), -1);
	s = open_again(&l);
	assert_int_equal(l.usable + l.malformed, 0);
	assert_false(l.environment_other_boot);
	store_batch_deinit(&b);
	store_close(s);
	assert_null(store_clear(NULL));
}

static int stop_at_second(void *ctx, const struct store_record *r)
{
	return ++*(int *)ctx == 2 ? 42 : 0;
}

static void test_load_stops(void **state)
{
	struct store_loaded l;
	struct store_batch b;
	struct store *s = open_again(&l);
	int calls = 0;

	store_batch_init(&b, MIB, 0);
	for (uint32_t i = 0; i < 5; i++)
		put(&b, i, BYTES_NONE);
	submit(s, &b);
	gate_wait(1);
	assert_int_equal(store_load(s, stop_at_second, &calls), 42);
	assert_int_equal(calls, 2);
	store_batch_deinit(&b);
	store_close(s);
}

static void test_reads_boot_id(void **state)
{
	uint8_t a[STORE_BOOT_ID_BYTES] = {0}, b[STORE_BOOT_ID_BYTES] = {1};
	char text[64] = {0}, expected[64];

	assert_int_equal(store_boot_id(a), 0);
	assert_int_equal(store_boot_id(b), 0);
	assert_memory_equal(a, b, sizeof a);
	FILE *f = fopen("/proc/sys/kernel/random/boot_id", "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	fclose(f);
	snprintf(expected, sizeof expected, "%02x%02x%02x%02x-%02x%02x-", a[0], a[1], a[2], a[3],
		 a[4], a[5]);
	assert_memory_equal(text, expected, strlen(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		STORE_TEST(test_round_trip),
		STORE_TEST(test_order_in_and_across_batches),
		STORE_TEST(test_full_environment),
		STORE_TEST(test_full_of_small_records),
		STORE_TEST(test_full_queue_loses_nothing),
		STORE_TEST(test_one_owner),
		STORE_TEST(test_open_refuses),
		STORE_TEST(test_clear),
		STORE_TEST(test_load_stops),
		cmocka_unit_test(test_reads_boot_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
