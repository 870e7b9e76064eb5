/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Long logs that go to the store: a watched connection, and a real store. */
#include "watch/test/watch-rig.h"

#include <errno.h>

#include "watch/spill.h"
#include "watch/takeover.h"
#include "store/test/store-env.h"
#include "worker-spill.h"
#include "worker.h"

#define KIB         1024
#define ABOVE       (512 * KIB)
#define STREAM_MAX  (4 * MIB)
#define INTERVAL_NS (10 * NS_PER_MS)
#define PIECE       60000

static struct worker_config wc;
static struct worker_spill spill;
static struct store *store;
static struct jeebs_flow *jf;
static uint64_t sent;
static int64_t now_ns;

static void on_spilled(void *ctx, const struct jeebs_flow *f, struct spilled *ret)
{
	worker_spill_open(&spill, f, ret);
}

static void on_closed(void *ctx, struct jeebs_flow *f, enum track_close why)
{
	worker_spill_closed(&spill, f);
	rig_on_closed(ctx, f, why);
}

static void start(uint64_t store_size)
{
	struct store_loaded loaded;

	assert_int_equal(setup(NULL), 0);
	store = open_size(store_size, &loaded);
	rig_setup(NULL);
	watch_free(rig.watch);
	wc = (struct worker_config){.store = store, .store_interval_ns = INTERVAL_NS};
	wc.watch = (struct watch_config){
		.track = {.max_flows = rig.max_flows,
			  .buffer_max = 16 * MIB,
			  .stream_max = STREAM_MAX,
			  .hole_timeout_ns = 200 * NS_PER_MS,
			  .key = {{1, 2}}},
		.spill_above = ABOVE,
		.services = &rig.service,
		.service_count = 1,
		.hooks = {.spilled = on_spilled, .gap = rig_on_gap, .closed = on_closed},
		.ctx = &rig,
	};
	rig.watch = watch_new(&wc.watch);
	assert_non_null(rig.watch);
	worker_spill_init(&spill, &wc);
	rig.keep[0] = 0;
	jf = rig_handshake();
	sent = 0;
	now_ns = clock_mono_ns();
}

static void end(void)
{
	rig_teardown(NULL);
	worker_spill_deinit(&spill);
	store_close(store);
	assert_int_equal(teardown(NULL), 0);
}

static void flush(void)
{
	now_ns += INTERVAL_NS;
	worker_spill_flush(&spill, rig.watch, now_ns);
}

/* Flushes until @holds is true, which depends on the store's thread. */
static void flush_until(bool (*holds)(void))
{
	int64_t limit = clock_mono_ns() + 60 * NS_PER_S;

	while (!holds()) {
		assert_true(clock_mono_ns() < limit);
		flush();
	}
}

static bool at_rest(void)
{
	return !spill.submitted && list_empty(&spill.under_way) && store_batch_empty(&spill.batch);
}

static uint64_t spilled(void)
{
	struct store_stats st;

	store_stats(store, &st);
	return st.spilled_bytes;
}

static bool none_spilled(void)
{
	return at_rest() && spilled() == 0;
}

static size_t in_memory(void)
{
	const struct stream *s = &jf->flow->stream[FLOW_TO_SERVER];

	return (size_t)(s->next - s->keep);
}

static bool refused(void)
{
	return at_rest() && spill_of(jf)->ended;
}

static bool memory_is_small(void)
{
	return at_rest() && in_memory() <= ABOVE;
}

/* The client sends @n more bytes, and all are acknowledged. */
static void say(uint64_t n)
{
	for (uint64_t k; n > 0; n -= k, sent += k) {
		k = n < PIECE ? n : PIECE;
		client(TCP_ACK, (int64_t)sent, 0, k);
		server(TCP_ACK, 0, (int64_t)(sent + k), 0);
	}
}

/* Uploads @n bytes at the pace of the store. */
static void upload(uint64_t n)
{
	for (uint64_t done = 0; done < n; done += 4 * PIECE) {
		say(n - done < 4 * PIECE ? n - done : 4 * PIECE);
		flush_until(memory_is_small);
	}
}

/* Up to which offset every byte from @off on is there and right. */
static uint64_t right_until(struct jeebs_bytes (*log)(struct jeebs_flow *f, uint32_t dir,
						      uint64_t off),
			    struct jeebs_flow *f, uint64_t off)
{
	for (struct jeebs_bytes b; (b = log(f, JEEBS_TO_SERVER, off)).n > 0; off += b.n)
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.p[i], rig_byte(FLOW_TO_SERVER, off + i));
	return off;
}

static uint64_t plan_sees(uint64_t off)
{
	struct jeebs_cut cut;

	plan_cut(jf, &cut);
	uint64_t end = right_until(cut.log, cut.flow, off);
	watch_close_spilled(jf);
	return end;
}

static void test_a_long_log_is_whole(void **state)
{
	start(64 * MIB);
	upload(5 * MIB + 123); /* more than a stream may hold */
	assert_true(in_memory() <= ABOVE);
	assert_true(spilled() >= 4 * MIB);
	assert_int_equal(jf->flow->marks & FLOW_MARK_LOG_CEILING, 0);
	assert_int_equal(plan_sees(0), sent);
	assert_int_equal(plan_sees(3 * MIB + 1), sent);

	/* A short log does not go to the store. */
	rig.keep[0] = sent;
	say(1);
	flush_until(none_spilled);
	assert_int_equal(plan_sees(sent - 1), sent);
	end();
}

static void test_short_logs_stay(void **state)
{
	start(64 * MIB);
	say(ABOVE);
	flush();
	flush();
	assert_true(at_rest());
	assert_int_equal(spill_of(jf)->id, 0);
	assert_int_equal(plan_sees(0), sent);
	end();
}

/* Bytes on their way to the store are still in memory: there is never a hole. */
static void test_no_hole_while_the_store_is_behind(void **state)
{
	struct store_batch b;

	start(64 * MIB);
	gate_hold(true);
	store_batch_init(&b, MIB, 100);
	put(&b, 1, blob(10)); /* the store's thread stops after this commit */
	submit(store, &b);
	gate_wait(1);
	for (int i = 0; i < 10; i++) {
		say(4 * PIECE);
		flush();
		assert_int_equal(plan_sees(0), sent);
	}
	assert_true(spill.submitted);
	assert_int_equal(in_memory(), sent);
	gate_hold(false);
	flush_until(memory_is_small);
	assert_int_equal(plan_sees(0), sent);
	store_batch_deinit(&b);
	end();
}

/* The queue is full: the same batch is submitted again. */
static void test_no_place_in_the_queue(void **state)
{
	struct store_batch b;

	start(64 * MIB);
	gate_hold(true);
	store_batch_init(&b, MIB, 100);
	del(&b, 1);
	submit(store, &b);
	gate_wait(1);
	for (int r = 0; r == 0;) {
		del(&b, 1);
		r = store_submit(store, &b);
	}
	say(2 * MIB);
	flush();
	assert_false(spill.submitted);
	say(MIB / 2);
	flush();
	assert_int_equal(plan_sees(0), sent);
	gate_hold(false);
	flush_until(memory_is_small);
	assert_int_equal(plan_sees(0), sent);
	store_batch_deinit(&b);
	end();
}

/* Bytes for which the store has no room stay in memory, up to the ceiling. Then the log begins
 * later, and says so. */
static void test_the_store_is_full(void **state)
{
	struct store_stats st;

	start(2 * MIB); /* of which parts of logs may take half */
	say(3 * MIB);
	flush_until(refused);
	store_stats(store, &st);
	assert_true(st.spill_refused > 0);
	assert_true(st.bytes_used <= st.bytes_limit);
	assert_true(spilled() <= MIB);
	assert_true(spill_of(jf)->ended);
	assert_int_equal(spill.refused, 1);
	assert_int_equal(plan_sees(0), sent);
	say(5 * MIB);
	flush();
	assert_true(jf->flow->marks & FLOW_MARK_LOG_CEILING);
	assert_true(plan_sees(0) < sent);
	assert_int_equal(plan_sees(sent - 1), sent);

	struct takeover_item *item = takeover_extract(jf, 0, true);
	struct jeebs_related none[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;
	assert_non_null(item);
	takeover_cut(item, &cut, none);
	assert_true(right_until(cut.log, cut.flow, 0) < sent);
	assert_null(item->taken.remains.log[FLOW_TO_SERVER]
			    .spilled.view); /* a join could not read across the hole */
	takeover_item_free(item);
	end();
}

/* When the module releases bytes, the store deletes the parts before them. */
static void test_keep_moves_on(void **state)
{
	start(64 * MIB);
	upload(12 * MIB);
	uint64_t before = spilled();
	rig.keep[0] = 6 * MIB;
	say(1);
	flush_until(at_rest);
	flush();
	flush_until(at_rest);
	assert_true(spilled() < before - 4 * MIB);
	assert_int_equal(plan_sees(6 * MIB), sent);
	assert_int_equal(plan_sees(0), 0);
	upload(MIB);
	assert_int_equal(plan_sees(6 * MIB), sent);
	end();
}

/* A view that the module has read while it watches is closed within one interval. */
static void test_view_is_closed(void **state)
{
	struct store_stats st;

	start(64 * MIB);
	upload(2 * MIB);
	assert_true(watch_log(jf, JEEBS_TO_SERVER, 0).n > 0);
	store_stats(store, &st);
	assert_int_equal(st.views, 1);
	flush();
	store_stats(store, &st);
	assert_int_equal(st.views, 0);
	end();
}

/* A takeover takes the view along. It stays when the connection's parts are deleted. */
static void test_takeover_takes_a_view(void **state)
{
	start(64 * MIB);
	upload(5 * MIB);
	uint64_t end_off = sent;
	struct takeover_item *item = takeover_extract(jf, 0, true);
	struct jeebs_related none[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;

	assert_non_null(item);
	assert_true(item->taken.remains.log[FLOW_TO_SERVER].bytes.n <= ABOVE);
	assert_int_equal(item->taken.remains.log[FLOW_TO_SERVER].spilled.from, 0);
	track_drop(watch_track(rig.watch), jf->flow);
	flush_until(none_spilled);
	/* Others use the store meanwhile. */
	jf = rig_handshake();
	sent = 0;
	rig.bytes[0] = rig.bytes[1] = 0;
	upload(5 * MIB);

	takeover_cut(item, &cut, none);
	assert_int_equal(right_until(cut.log, cut.flow, 0), end_off);
	assert_int_equal(plan_sees(0), sent);
	takeover_item_free(item);
	end();
}

/* The module gives up while the store works: the bytes that come then are not wanted. */
static void test_given_up_while_under_way(void **state)
{
	start(64 * MIB);
	gate_hold(true);
	say(2 * MIB);
	flush();
	assert_true(spill.submitted);
	rig.data_result = JEEBS_GIVE_UP;
	say(1);
	assert_int_equal(jf->listener.stage, WATCH_GAVE_UP);
	assert_int_equal(in_memory(), 0);
	gate_hold(false);
	flush_until(none_spilled);
	say(2 * MIB);
	assert_int_equal(in_memory(), 0);
	end();
}

static void test_closed_while_under_way(void **state)
{
	start(64 * MIB);
	gate_hold(true);
	say(2 * MIB);
	flush();
	assert_true(spill.submitted);
	track_drop(watch_track(rig.watch), jf->flow);
	assert_true(list_empty(&spill.under_way));
	gate_hold(false);
	flush_until(none_spilled);
	end();
}

/* No part is of use to the next process. The connection's record says that the log is shortened. */
static void test_none_survives_a_restart(void **state)
{
	struct store_loaded loaded;

	start(64 * MIB);
	upload(5 * MIB);
	worker_spill_deinit(&spill);
	wc.store = NULL;
	store_close(store);
	store = open_size(64 * MIB, &loaded);
	assert_true(loaded.spilled > 60);
	assert_int_equal(loaded.usable + loaded.malformed, 0);
	assert_int_equal(look(store).count, 0);
	worker_spill_init(&spill, &wc);
	end();
}

static void test_views(void **state)
{
	struct store_loaded loaded;
	struct store_batch b;
	struct spilled o = {0};

	assert_int_equal(setup(NULL), 0);
	store = open_size(16 * MIB, &loaded);
	store_batch_init(&b, MIB, 100);
	struct span log = span_lend(0, blob(8000));
	assert_int_equal(store_batch_spill(&b, 7, &log, 100, 1500), 0);
	assert_int_equal(store_batch_spill(&b, 7, &log, 1600, 1500), 0);
	assert_int_equal(store_batch_spill(&b, 7, &log, 4000, 1500), 0); /* behind a hole */
	assert_int_equal(store_batch_spill(&b, 8, &log, 0, 1500), 0);
	assert_int_equal(store_batch_spill(&b, 8, &log, 7000, 1500), -EINVAL);
	assert_int_equal(store_submit_spill(store, &b, 3, 9), 0);
	gate_wait(1);
	assert_int_equal(store_spilled(store, 3), 18);
	assert_int_equal(store_view(store, 7, 0, 200, &o), -ENODATA);
	assert_int_equal(store_view(store, 7, 100, 3200, &o), -ENODATA);
	assert_int_equal(store_view(store, 9, 0, 1, &o), -ENODATA);
	assert_null(o.view);
	assert_int_equal(store_view(store, 7, 150, 3100, &o), 0);
	assert_int_equal(o.at(o.view, 99).n, 0);
	assert_int_equal(spilled_at(&o, 149).n, 0);
	assert_int_equal(spilled_at(&o, 150).n, 1450);
	assert_int_equal(spilled_at(&o, 1600).n, 1500);
	assert_int_equal(spilled_at(&o, 3099).n, 1);
	assert_int_equal(spilled_at(&o, 3100).n, 0);

	assert_int_equal(store_batch_forget(&b, 7, UINT64_MAX), 0);
	assert_int_equal(store_submit_spill(store, &b, 3, 10), 0);
	gate_wait(2);
	assert_int_equal(spilled_at(&o, 150).n, 1450);
	spilled_free(&o);
	assert_int_equal(store_view(store, 7, 150, 3100, &o), -ENODATA);
	assert_int_equal(store_view(store, 8, 0, 1500, &o), 0);
	spilled_free(&o);
	store_batch_deinit(&b);
	store_close(store);
	assert_int_equal(teardown(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_long_log_is_whole),
		cmocka_unit_test(test_short_logs_stay),
		cmocka_unit_test(test_no_hole_while_the_store_is_behind),
		cmocka_unit_test(test_no_place_in_the_queue),
		cmocka_unit_test(test_the_store_is_full),
		cmocka_unit_test(test_keep_moves_on),
		cmocka_unit_test(test_view_is_closed),
		cmocka_unit_test(test_takeover_takes_a_view),
		cmocka_unit_test(test_given_up_while_under_way),
		cmocka_unit_test(test_closed_while_under_way),
		cmocka_unit_test(test_none_survives_a_restart),
		cmocka_unit_test(test_views),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
