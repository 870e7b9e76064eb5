/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a flush may take of a worker's time. The store is a counter, and the clock is ours. */
#include <errno.h>

#include "store/store.h"
#include "watch/test/watch-rig.h"
#include "worker-store.h"
#include "worker.h"

#define FLOWS       30
#define INTERVAL_NS (10 * NS_PER_MS)

/* ---- a clock that moves when it is read (link option --wrap) ---- */

static int64_t mono_ns, step_ns;

int __real_clock_gettime(clockid_t id, struct timespec *ts);
int __wrap_clock_gettime(clockid_t id, struct timespec *ts);

int __wrap_clock_gettime(clockid_t id, struct timespec *ts)
{
	if (id != CLOCK_MONOTONIC)
		return __real_clock_gettime(id, ts);
	mono_ns += step_ns;
	*ts = (struct timespec){.tv_sec = mono_ns / NS_PER_S, .tv_nsec = mono_ns % NS_PER_S};
	return 0;
}

/* ---- the store (link option --wrap) ---- */

static uint32_t puts_seen, submits;
static bool behind;

int __wrap_store_submit(struct store *s, struct store_batch *b);

int __wrap_store_submit(struct store *s, struct store_batch *b)
{
	if (behind)
		return -EAGAIN;
	submits++;
	puts_seen += b->puts;
	store_batch_reset(b);
	return 0;
}

static struct worker_config config;
static struct worker_store store;

static int set_up(void **state)
{
	static const char *const names[] = {"web1"};
	static struct evidence evidence[1];

	mono_ns = 1000 * NS_PER_S;
	step_ns = 0;
	puts_seen = submits = 0;
	behind = false;
	rig_setup(NULL);
	config = (struct worker_config){
		.store = (struct store *)&config, /* never dereferenced */
		.store_interval_ns = INTERVAL_NS,
		.server_names = names,
		.evidence = evidence,
	};
	config.watch.track.max_flows = 64;
	worker_store_init(&store, &config);
	for (int i = 0; i < FLOWS; i++, rig.client.port++)
		rig_handshake();
	return 0;
}

static int tear_down(void **state)
{
	worker_store_deinit(&store);
	return rig_teardown(state);
}

static void flush(void)
{
	mono_ns += INTERVAL_NS;
	worker_store_flush(&store, rig.watch, mono_ns);
}

static void test_all_in_one(void **state)
{
	flush();
	assert_int_equal(puts_seen, FLOWS);
	assert_int_equal(store.cut_short, 0);
	assert_true(list_empty(watch_dirty(rig.watch)));
	flush(); /* nothing has changed */
	assert_int_equal(submits, 1);
}

/* The budget is a millisecond. Flows beyond it wait for the next interval, and none is lost. */
static void test_budget(void **state)
{
	uint32_t flushes = 0;

	step_ns = 100 * NS_PER_US;
	while (!list_empty(watch_dirty(rig.watch))) {
		uint32_t before = puts_seen;
		flush();
		flushes++;
		assert_in_range(puts_seen - before, 1, 10);
	}
	assert_int_equal(flushes, FLOWS / 10);
	assert_int_equal(puts_seen, FLOWS); /* each once */
	assert_int_equal(store.cut_short, flushes - 1);
	assert_int_equal(store.record_errors, 0);
}

/* Nothing is written before the interval has passed. */
static void test_interval(void **state)
{
	worker_store_flush(&store, rig.watch, mono_ns);
	uint32_t first = puts_seen;
	rig.client.port--;
	client(TCP_ACK, 0, 0, 10);
	assert_false(list_empty(watch_dirty(rig.watch)));
	mono_ns += INTERVAL_NS - 1;
	worker_store_flush(&store, rig.watch, mono_ns);
	assert_int_equal(puts_seen, first);
}

/* While the store is behind the batch is kept, and later submitted unchanged. */
static void test_store_behind(void **state)
{
	behind = true;
	flush();
	assert_int_equal(store.deferred, 1);
	assert_true(list_empty(watch_dirty(rig.watch)));
	behind = false;
	flush();
	assert_int_equal(puts_seen, FLOWS);
	assert_int_equal(submits, 1);
}

/* A record holds what the module knows, so it is made to read what was put off. */
static void test_a_record_is_read_for(void **state)
{
	rig.unread = true;
	rig_handshake();
	client(TCP_ACK, 0, 0, 100);
	assert_int_equal(rig.opens, FLOWS);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 0);
	flush();
	assert_int_equal(rig.opens, FLOWS + 1);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 100);
	assert_int_equal(puts_seen, FLOWS + 1);
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_all_in_one),
		TEST(test_budget),
		TEST(test_interval),
		TEST(test_store_behind),
		TEST(test_a_record_is_read_for),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
