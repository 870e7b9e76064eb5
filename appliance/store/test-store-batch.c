/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>

#include <cmocka.h>

#include "store-queue.h"
#include "test/store-record.h"

static void test_order(void **state)
{
	struct store_batch b;
	struct store_record one = test_record(1, bytes_str("first"), 1), out;
	struct endpoint server = test_server(), client = test_client(1);
	struct store_op op;

	store_batch_init(&b, 1 << 20, 10);
	assert_true(store_batch_empty(&b));
	assert_int_equal(store_batch_put(&b, &one, 100), 0);
	assert_int_equal(store_batch_del(&b, &server, &client), 0);
	one.log[1].span = span_lend(7, bytes_str("again"));
	assert_int_equal(store_batch_put(&b, &one, 100), 0);
	assert_false(store_batch_empty(&b));

	struct reader r = reader_init(buf_view(&b.ops));
	assert_true(store_batch_next(&r, &op));
	assert_false(op.del);
	assert_int_equal(store_record_decode(op.value, &out), STORE_DECODE_OK);
	assert_true(bytes_eq(buf_view(&out.log[1].span.bytes), bytes_str("first")));
	assert_true(store_batch_next(&r, &op));
	assert_true(op.del);
	uint8_t key[STORE_KEY_BYTES];
	store_key(&server, &client, key);
	assert_true(bytes_eq(op.key, bytes_of(key, sizeof key)));
	assert_true(store_batch_next(&r, &op));
	assert_int_equal(store_record_decode(op.value, &out), STORE_DECODE_OK);
	assert_true(bytes_eq(buf_view(&out.log[1].span.bytes), bytes_str("again")));
	assert_false(store_batch_next(&r, &op));
	store_batch_deinit(&b);
}

/* A batch full of records still accepts deletions, as many as were promised. */
static void test_ceilings(void **state)
{
	struct store_batch b;
	struct store_record rec = test_record(1, bytes_str("some bytes"), 1);
	struct endpoint server = test_server(), client = test_client(1);
	int r;

	store_batch_init(&b, 10000, 50);
	while ((r = store_batch_put(&b, &rec, 100)) == 0)
		assert_in_range(b.puts, 1, 100);
	assert_int_equal(r, -ENOBUFS);
	assert_in_range(b.puts, 20, 60);
	assert_in_range(b.puts_bytes, 9500, 10000);
	size_t n = b.ops.n;
	assert_int_equal(store_batch_put(&b, &rec, 100), -ENOBUFS); /* and leaves no trace */
	assert_int_equal(b.ops.n, n);
	for (int i = 0; i < 50; i++)
		assert_int_equal(store_batch_del(&b, &server, &client), 0);
	assert_int_equal(store_batch_del(&b, &server, &client), -ENOBUFS);
	assert_int_equal(b.dels, 50);

	/* Everything is there. */
	struct reader ops = reader_init(buf_view(&b.ops));
	struct store_op op;
	uint32_t puts = 0, dels = 0;
	while (store_batch_next(&ops, &op)) {
		puts += !op.del;
		dels += op.del;
	}
	assert_int_equal(reader_left(&ops), 0);
	assert_int_equal(puts, b.puts);
	assert_int_equal(dels, 50);

	/* Deletions that come first take no room from records. */
	store_batch_reset(&b);
	for (int i = 0; i < 50; i++)
		assert_int_equal(store_batch_del(&b, &server, &client), 0);
	for (uint32_t i = 0; i < puts; i++)
		assert_int_equal(store_batch_put(&b, &rec, 100), 0);
	assert_int_equal(store_batch_put(&b, &rec, 100), -ENOBUFS);
	store_batch_deinit(&b);
	assert_true(store_batch_empty(&b));
}

static void test_refused_record_leaves_no_trace(void **state)
{
	struct store_batch b;
	struct store_record rec = test_record(1, bytes_str("x"), 1);

	store_batch_init(&b, 10000, 1);
	assert_int_equal(store_batch_put(&b, &rec, 100), 0);
	size_t n = b.ops.n;
	rec.protocol = BYTES_NONE;
	assert_int_equal(store_batch_put(&b, &rec, 100), -EINVAL);
	assert_int_equal(b.ops.n, n);
	assert_int_equal(b.puts, 1);
	store_batch_deinit(&b);
}

static void fill(struct store_batch *b, uint32_t client)
{
	struct endpoint server = test_server(), c = test_client(client);

	assert_int_equal(store_batch_del(b, &server, &c), 0);
}

static void test_queue_is_bounded_and_in_order(void **state)
{
	struct store_queue *q = malloc(sizeof *q);
	struct store_batch b;
	struct store_queue_item got = {.ops = BUF_INIT(0)};
	uint8_t key[STORE_KEY_BYTES];

	assert_non_null(q);
	store_queue_init(q, 3);
	store_batch_init(&b, 0, 1000);
	for (uint32_t round = 0; round < 100; round++) { /* beyond the end of the ring */
		for (uint32_t i = 0; i < 3; i++) {
			fill(&b, i);
			assert_int_equal(store_queue_push(q, &b, NULL, 0), 0);
			assert_true(store_batch_empty(&b));
			assert_int_equal(b.ops.n, 0);
		}
		fill(&b, 3);
		fill(&b, 4);
		size_t n = b.ops.n;
		assert_int_equal(store_queue_push(q, &b, NULL, 0), -EAGAIN);
		assert_int_equal(b.dels, 2); /* unchanged: nothing is lost */
		assert_int_equal(b.ops.n, n);
		for (uint32_t i = 0; i < 3; i++) {
			struct endpoint server = test_server(), client = test_client(i);
			struct store_op op;
			assert_true(store_queue_pop(q, &got));
			struct reader r = reader_init(buf_view(&got.ops));
			assert_true(store_batch_next(&r, &op));
			store_key(&server, &client, key);
			assert_true(bytes_eq(op.key, bytes_of(key, sizeof key)));
		}
		store_batch_reset(&b);
	}
	/* What was pushed before the queue was closed is popped after it. */
	fill(&b, 1);
	assert_int_equal(store_queue_push(q, &b, NULL, 0), 0);
	store_queue_close(q);
	assert_true(store_queue_pop(q, &got));
	assert_false(store_queue_pop(q, &got));
	buf_deinit(&got.ops);
	store_batch_deinit(&b);
	store_queue_deinit(q);
	free(q);
}

/* Grown buffers come back: after the first rounds the batch needs no new memory. */
static void test_queue_returns_memory(void **state)
{
	struct store_queue *q = malloc(sizeof *q);
	struct store_batch b;
	struct store_queue_item got = {.ops = BUF_INIT(0)};

	assert_non_null(q);
	store_queue_init(q, 2);
	store_batch_init(&b, 0, 1000);
	for (int i = 0; i < 10; i++) {
		for (uint32_t n = 0; n < 100; n++)
			fill(&b, n);
		assert_int_equal(store_queue_push(q, &b, NULL, 0), 0);
		assert_true(store_queue_pop(q, &got));
		if (i > 2)
			assert_true(b.ops.cap >= 4100);
	}
	fill(&b, 1);
	assert_int_equal(store_queue_push(q, &b, NULL, 0), 0); /* left inside: deinit frees it */
	buf_deinit(&got.ops);
	store_batch_deinit(&b);
	store_queue_deinit(q);
	free(q);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_ceilings),
		cmocka_unit_test(test_refused_record_leaves_no_trace),
		cmocka_unit_test(test_queue_is_bounded_and_in_order),
		cmocka_unit_test(test_queue_returns_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
