/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is said may be shown later: the same, in the same order, or never. */
#include "test/track-script.h"

#define FLOWS_MAX 1024 /* that are put off at the same time */

static int set_up_later(void **state)
{
	set_up(state);
	put_off = true;
	return 0;
}

#define LATER(f) cmocka_unit_test_setup_teardown(f, set_up_later, tear_down)

static void assert_shown(uint64_t to_server, uint64_t to_client)
{
	assert_int_equal(shown[0], to_server);
	assert_int_equal(shown[1], to_client);
}

/* A question and its answer, acknowledged. */
static void exchange(uint32_t question, uint32_t answer)
{
	c(A, (int64_t)the_flow()->stream[0].next, (int64_t)the_flow()->stream[1].next, question);
	s(A, (int64_t)the_flow()->stream[1].next, (int64_t)the_flow()->stream[0].next, answer);
	c(A, (int64_t)the_flow()->stream[0].next, (int64_t)the_flow()->stream[1].next, 0);
}

/* ---- shown when somebody asks ---- */

static uint64_t order[8][2];
static int64_t times[8];
static int order_n;

static void note_order(enum flow_dir d, uint64_t off, size_t n)
{
	assert_true(order_n < 8);
	times[order_n] = the_flow()->last_ns[d];
	order[order_n][0] = d;
	order[order_n++][1] = off;
}

static void test_shown_in_order_with_its_times(void **state)
{
	const uint64_t expected[][2] = {{0, 0}, {1, 0}, {0, 100}, {1, 300}, {1, 500}};
	int64_t began;

	order_n = 0;
	before_shown = note_order;
	struct flow *f = handshake();
	began = now;
	exchange(100, 300);
	c(A, 100, 300, 50);
	s(A, 300, 150, 200);
	s(A, 500, 150, 100);
	assert_shown(0, 0);
	assert_log(f, FLOW_TO_SERVER, 0, 150);
	assert_log(f, FLOW_TO_CLIENT, 0, 600);
	int64_t last[2] = {f->last_ns[0], f->last_ns[1]};

	track_catch_up(track, f);
	assert_shown(150, 600);
	assert_int_equal(order_n, 5);
	assert_memory_equal(order, expected, sizeof expected);
	const int64_t at[] = {began, began + 1000, began + 3000, began + 4000, began + 5000};
	assert_memory_equal(times, at, sizeof at);
	assert_memory_equal(f->last_ns, last, sizeof last);
	assert_log(f, FLOW_TO_SERVER, 150, 150);
	assert_log(f, FLOW_TO_CLIENT, 300, 600); /* what the client has not acknowledged */

	s(A, 600, 150, 10); /* from here on at once */
	assert_shown(150, 610);
}

static void test_keeps_what_is_asked_for_when_it_is_shown(void **state)
{
	struct flow *f = handshake();

	keep[0] = 40;
	keep_end[1] = true;
	exchange(100, 300);
	track_catch_up(track, f);
	assert_log(f, FLOW_TO_SERVER, 40, 100);
	assert_log(f, FLOW_TO_CLIENT, 300, 300);
	assert_int_equal(f->acked_byte, pattern(FLOW_TO_CLIENT, 299));
	assert_int_equal(f->acked_byte_end, 300);
}

static void test_in_several_blocks(void **state)
{
	struct flow *f = handshake();

	exchange(100, 1500);
	s(A, 1500, 100, 1500); /* the first block of the log is full in the middle of it */
	s(A, 3000, 100, 1500);
	assert_shown(0, 0);
	track_catch_up(track, f);
	assert_shown(100, 4500);
	assert_log(f, FLOW_TO_CLIENT, 1500, 4500);
}

static void test_fin_is_shown_behind_the_bytes(void **state)
{
	struct flow *f = handshake();

	exchange(100, 300);
	s(F | A, 300, 100, 0);
	assert_int_equal(fins[1], 0);
	track_catch_up(track, f);
	assert_int_equal(fins[1], 1);
	assert_int_equal(fin_at[1], 300);
	c(F | A, 100, 301, 0);
	assert_int_equal(fins[0], 1);
	assert_int_equal(fin_at[0], 100);
}

static bool put_off_now;

static void put_off_first(enum flow_dir d, uint64_t off, size_t n)
{
	if (!put_off_now)
		return;
	put_off_now = false;
	track_put_off(the_flow());
}

/* The first bytes are shown, and shown again later. */
static void test_put_off_when_shown(void **state)
{
	put_off = false;
	put_off_now = true;
	before_shown = put_off_first;
	struct flow *f = handshake();
	c(A, 0, 0, 100);
	assert_shown(100, 0);
	shown[0] = 0;
	s(A, 0, 100, 300);
	assert_shown(0, 0);
	assert_log(f, FLOW_TO_SERVER, 0, 100);
	track_catch_up(track, f);
	assert_shown(100, 300);
}

/* ---- shown to nobody ---- */

static void test_ended_unread(void **state)
{
	handshake();
	exchange(100, 300);
	s(F | A, 300, 100, 0);
	c(F | A, 100, 301, 0);
	s(A, 301, 101, 0);
	assert_int_equal(closes, 1);
	assert_int_equal(why, TRACK_CLOSE_FIN);
	assert_shown(0, 0);
	assert_int_equal(fins[0] + fins[1], 0);
	assert_int_equal(track_pool(track)->used, 0);
}

/* ---- shown because it must not wait ---- */

static void test_too_long(void **state)
{
	handshake();
	c(A, 0, 0, 192);
	for (int64_t off = 0; off < 8000; off += 1000)
		s(A, off, 192, 1000);
	assert_shown(0, 0);
	s(A, 8000, 192, 1);
	assert_shown(192, 8001);
}

static void test_too_many_pieces(void **state)
{
	handshake();
	for (int64_t off = 0; off < 12; off += 2) {
		c(A, off, off, 2);
		s(A, off, off + 2, 2);
	}
	assert_shown(0, 0);
	c(A, 12, 12, 2);
	assert_shown(14, 12);
}

static void test_fin_too_many(void **state)
{
	handshake();
	for (int64_t off = 0; off < 12; off++)
		c(A, off, 0, 1);
	assert_shown(0, 0);
	c(F | A, 12, 0, 0);
	assert_shown(12, 0);
	assert_int_equal(fins[0], 1);
}

static void test_too_old(void **state)
{
	handshake();
	exchange(100, 300);
	track_tick(track, now + TRACK_LATER_NS - 10 * NS_PER_MS);
	assert_shown(0, 0);
	track_tick(track, now + TRACK_LATER_NS);
	assert_shown(100, 300);
}

static void test_an_old_byte_again(void **state)
{
	static const uint8_t other[50] = {0xee};
	struct flow *f = handshake();

	keep[0] = 0;
	exchange(100, 300);
	payload = other;
	c(A, 50, 300, 50);
	payload = NULL;
	assert_shown(100, 300);
	assert_true(f->marks & FLOW_MARK_AMBIGUOUS_TO_SERVER);
	assert_int_equal(f->stream[0].doubt_from, 50);
}

/* What the module had let go is not compared, as if it had been shown at once. */
static void test_an_old_byte_that_nobody_keeps(void **state)
{
	static const uint8_t other[50] = {0xee};
	struct flow *f = handshake();

	exchange(100, 300);
	payload = other;
	c(A, 50, 300, 50);
	payload = NULL;
	assert_shown(100, 300);
	assert_false(f->marks & FLOW_MARK_AMBIGUOUS_TO_SERVER);
}

static void test_a_hole(void **state)
{
	handshake();
	exchange(100, 300);
	s(A, 400, 100, 100);
	assert_shown(100, 300);
	s(A, 300, 100, 100);
	assert_shown(100, 500);
}

static void test_a_gap(void **state)
{
	handshake();
	exchange(100, 300);
	c(A, 100, 350, 0); /* the client acknowledges what was not captured */
	assert_shown(100, 300);
	track_settle(track, the_flow());
	assert_shown(100, 350);
	assert_int_equal(gaps[1], 1);
	assert_int_equal(gap_from[1], 300);
}

static void test_before_its_cause(void **state)
{
	handshake();
	exchange(100, 300);
	s(A, 300, 200, 100); /* answers what was not seen yet */
	assert_shown(100, 300);
	c(A, 100, 300, 100);
	assert_shown(200, 400);
}

static void test_fin_alone(void **state)
{
	handshake();
	s(F | A, 0, 0, 0);
	assert_int_equal(fins[1], 1);
}

/* Of connections without a byte there is nothing to remember, so they take no place. */
static void test_too_many_flows(void **state)
{
	struct flow *first;

	config.max_flows = 2 * FLOWS_MAX;
	config.buffer_max = 16 << 20;
	restart();
	for (uint16_t i = 0; i <= FLOWS_MAX; i++) {
		client.port = (uint16_t)(2000 + i);
		handshake();
	}
	for (uint16_t i = 0; i < FLOWS_MAX; i++) {
		client.port = (uint16_t)(2000 + i);
		c(A, 0, 0, 10);
	}
	assert_shown(0, 0);
	client.port = 2000;
	first = the_flow();
	client.port = 2000 + FLOWS_MAX;
	c(A, 0, 0, 10);
	assert_shown(10, 0); /* of the first */
	assert_int_equal(first->stream[0].keep, 10);
	assert_int_equal(the_flow()->stream[0].keep, 0);
}

static void test_memory_is_short(void **state)
{
	struct flow *f;

	config.buffer_max = 16384;
	restart();
	handshake();
	exchange(100, 300);
	assert_shown(0, 0);
	client.port++;
	f = handshake();
	put_off = false;
	keep[0] = 0;
	shown[0] = shown[1] = 0;
	track_catch_up(track, f);
	c(A, 0, 0, 7000);
	assert_int_equal(shown[0], 7000);
	shown[0] = 0; /* the other flow begins at 0 */
	before_shown = NULL;
	client.port--;
	track_tick(track, now);
	assert_shown(100, 300);
}

static void test_no_room(void **state)
{
	config.stream_max = 4096;
	restart();
	handshake();
	c(A, 0, 0, 100);
	for (int64_t off = 0; off < 4000; off += 1000)
		s(A, off, 100, 1000);
	assert_shown(0, 0);
	s(A, 4000, 100, 1000);
	assert_shown(100, 5000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		LATER(test_shown_in_order_with_its_times),
		LATER(test_keeps_what_is_asked_for_when_it_is_shown),
		LATER(test_in_several_blocks),
		LATER(test_fin_is_shown_behind_the_bytes),
		LATER(test_put_off_when_shown),
		LATER(test_ended_unread),
		LATER(test_too_long),
		LATER(test_too_many_pieces),
		LATER(test_fin_too_many),
		LATER(test_too_old),
		LATER(test_an_old_byte_again),
		LATER(test_an_old_byte_that_nobody_keeps),
		LATER(test_a_hole),
		LATER(test_a_gap),
		LATER(test_before_its_cause),
		LATER(test_fin_alone),
		LATER(test_too_many_flows),
		LATER(test_memory_is_short),
		LATER(test_no_room),
	};
	return cmocka_run_group_tests_name("track-later", tests, NULL, NULL);
}
