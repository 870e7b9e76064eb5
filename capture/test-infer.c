/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "infer.h"

static struct infer in;
static bool timestamps;
static uint16_t window[2];

static int set_up(void **state)
{
	infer_init(&in);
	timestamps = true;
	window[0] = 502;
	window[1] = 509;
	return 0;
}

static bool see(int dir, int64_t off, int64_t ack, uint32_t n)
{
	struct infer_segment s = {.dir = (uint8_t)dir,
				  .ack_seen = true,
				  .timestamp = timestamps,
				  .push = true,
				  .window = window[dir],
				  .payload_len = n,
				  .off = off,
				  .ack = ack};
	return infer_see(&in, &s);
}

static void client(int64_t off, int64_t ack, uint32_t n)
{
	see(0, off, ack, n);
}

static void server(int64_t off, int64_t ack, uint32_t n)
{
	see(1, off, ack, n);
}

/* One request of 80 bytes and one response of @n bytes, acknowledged at once and in full. */
static void exchange(int round, uint32_t n)
{
	int64_t in_at = round * INT64_C(80), out_at = round * (int64_t)n;

	client(in_at, out_at, 80);
	server(out_at, in_at + 80, n);
	client(in_at + 80, out_at + n, 0);
}

static void assert_bounds(int dir, int low, int high)
{
	assert_int_equal(in.scale[dir].low, low);
	assert_int_equal(in.scale[dir].high, high);
}

static void assert_missing(const char *text)
{
	char out[INFER_TEXT_MAX];

	infer_missing(&in, out);
	assert_string_equal(out, text);
	assert_int_equal(infer_known(&in), text[0] == 0);
}

static void assert_explained(enum infer_topic topic, const char *text)
{
	char out[INFER_TEXT_MAX];

	infer_explain(&in, topic, 536, out);
	assert_string_equal(out, text);
}

/* ---- scales ---- */

static void test_nothing_seen(void **state)
{
	assert_missing("all options: nothing of the client was seen yet");
	client(0, 0, 10);
	assert_missing("all options: nothing of the server was seen yet");
	assert_false(infer_settled(&in));
	server(0, 10, 10);
	assert_true(infer_settled(&in));
	assert_missing("window scale of the client: between 0 and 14");
	assert_explained(INFER_SCALE_SERVER,
			 "window scale of the server: between 0 and 14; 0 is safe and used");
	assert_explained(INFER_SCALE_CLIENT,
			 "window scale of the client: between 0 and 14; 0 is too little");
}

/* Linux sends ten segments at once on the window of a fresh socket. */
static void test_first_flight_is_enough(void **state)
{
	exchange(0, 14480);
	assert_bounds(0, 0, 14); /* a single observation may be a matter of capture order */
	exchange(1, 14480);
	assert_bounds(0, 5, 14);
	assert_missing("");
	assert_int_equal(infer_wscale(&in, 0), 5);
	assert_int_equal(infer_wscale(&in, 1), 0);
	assert_explained(INFER_SCALE_CLIENT,
			 "window scale of the client: between 5 and 14; 5 is safe and used; 14480 "
			 "in flight on a field of 502");
}

static void test_small_answers_prove_little(void **state)
{
	for (int i = 0; i < 100; i++)
		exchange(i, 1300);
	assert_bounds(0, 1, 14);
	assert_missing("window scale of the client: between 1 and 14");
}

/* The scale that is used never gives less than half of what the old server had in flight. */
static void test_lower_bound_covers_the_flight(void **state)
{
	for (uint32_t n = 20000; n < 60000000; n += n / 3) {
		set_up(NULL);
		window[0] = 20000;
		exchange(0, n);
		exchange(1, n);
		assert_true(((uint64_t)20000 << in.scale[0].low) * 3 / 2 + 1 >= n);
		assert_true(in.scale[0].low == 0 ||
			    ((uint64_t)20000 << (in.scale[0].low - 1)) * 3 / 2 < n);
	}
}

/*
 * A sender that the window limits shows the true scale, whichever it is. No traffic shows a larger
 * one.
 */
static void test_window_limited(void **state)
{
	for (int s = 0; s <= INFER_SCALE_MAX; s++) {
		set_up(NULL);
		window[0] = 3000;
		for (int i = 0; i < 5; i++)
			exchange(i, 3000u << s);
		assert_bounds(0, s, 14);
	}
}

/* Nothing follows from one acknowledgement that was captured too late, or not at all. */
static void test_lost_acknowledgement(void **state)
{
	window[0] = 20000;
	client(0, 0, 80);
	server(0, 80, 20000);
	server(20000, 80, 15000); /* the ACK that allowed this was not captured */
	server(35000, 80, 5000);
	client(80, 40000, 0);
	for (int i = 2; i < 50; i++) {
		server(i * 20000, 80, 20000);
		client(80, (i + 1) * 20000, 0);
	}
	assert_bounds(0, 0, 14);
	/* Observations before and after a known loss are not compared. */
	infer_lost(&in);
	assert_false(infer_settled(&in));
	server(5000000, 80, 20000);
	client(80, 5020000, 0);
	infer_lost(&in);
	server(9000000, 80, 20000);
	client(80, 9020000, 0);
	assert_bounds(0, 0, 14);
	/* Two unknown losses do not add up across a known one. */
	server(9020000, 80, 60000);
	infer_lost(&in);
	client(80, 9080000, 0);
	server(9080000, 80, 60000);
	client(80, 9140000, 0);
	assert_bounds(0, 0, 14);
	server(9140000, 80, 60000);
	assert_bounds(0, 1, 14);
}

/* The smaller of two observations counts. */
static void test_smaller_of_two(void **state)
{
	window[0] = 500;
	client(0, 0, 80);
	server(0, 80, 14480);
	client(80, 14480, 0);
	server(14480, 80, 4000);
	assert_bounds(0, 3, 14);
	client(80, 18480, 0);
	server(18480, 80, 14480);
	assert_bounds(0, 3, 14);
	client(80, 32960, 0);
	server(32960, 80, 14480);
	assert_bounds(0, 5, 14);
}

/* More in flight than any scale allows has another cause. */
static void test_beyond_all_scales(void **state)
{
	window[0] = 1;
	client(0, 0, 80);
	for (int i = 0; i < 3; i++) {
		server(i * 100000, 80, 100000);
		client(80, (i + 1) * 100000, 0);
	}
	assert_bounds(0, 0, 14);
}

/* All acknowledgements are captured a little late: an error of half a window is allowed. */
static void test_order_of_capture(void **state)
{
	window[0] = 20000;
	client(0, 0, 80);
	for (int i = 0; i < 50; i++) {
		server(i * 8000, 80, 8000);
		if (i >= 1)
			client(80, (i - 1) * 8000, 0); /* 24000 in flight */
	}
	assert_bounds(0, 0, 14);
}

static void test_window_probes(void **state)
{
	client(0, 0, 80);
	server(0, 80, 500);
	for (int i = 0; i < 10; i++) {
		window[0] = 0;
		client(80, 500 + i, 0);
		server(500 + i, 80, 1);
	}
	assert_bounds(0, 0, 14);
}

/*
 * The application does not read: the window field falls by the acknowledged bytes, divided by the
 * scale.
 */
static void test_upper_bound(void **state)
{
	for (int s = 0; s <= INFER_SCALE_MAX; s++) {
		uint32_t all = 4000u << s;
		set_up(NULL);
		window[0] = 4000;
		client(0, 0, 80);
		for (uint32_t at = 0; at < all;) {
			uint32_t n = all - at < 1000 ? all - at : 1000;
			server(at, 80, n);
			at += n;
			window[0] = (uint16_t)((all - at) >> s); /* rounded down */
			client(80, at, 0);
		}
		assert_true(in.scale[0].high >= s);
		assert_true(in.scale[0].high <= s + 1 || s > 12);
		assert_false(in.scale[0].retracts);
	}
}

static void test_both_bounds_are_proof(void **state)
{
	window[0] = 600;
	for (int i = 0; i < 2; i++)
		exchange(i, 2400);
	assert_bounds(0, 2, 14);
	assert_missing("window scale of the client: between 2 and 14");
	window[0] = 200;
	client(160, 4800 + 1700, 0);
	assert_bounds(0, 2, 2);
	assert_missing("");
	assert_explained(INFER_SCALE_CLIENT,
			 "window scale of the client: 2; 2400 in flight on a field of 600; fell by "
			 "400 in 1700 bytes");
}

/* Nothing follows from a receiver that takes window back. */
static void test_retraction(void **state)
{
	window[0] = 1000;
	exchange(0, 12000);
	exchange(1, 12000);
	assert_bounds(0, 3, 14);
	window[0] = 100;
	client(160, 24010, 0);
	assert_bounds(0, 3, 14);
	assert_true(in.scale[0].retracts);
	assert_explained(INFER_SCALE_CLIENT,
			 "window scale of the client: between 3 and 14; 3 is too little; 12000 in "
			 "flight on a field of 1000; its window shrinks");
	window[0] = 1000;
	client(160, 24100, 0);
	window[0] = 600;
	client(160, 24100 + 3300, 0);
	assert_bounds(0, 3, 14);
}

/*
 * Not a retraction: the field 0 of a receiver without memory, and two equal ACKs in either order.
 */
static void test_no_retraction(void **state)
{
	window[0] = 1000;
	exchange(0, 100);
	window[0] = 0;
	client(80, 110, 0);
	window[0] = 1000;
	client(80, 110, 0);
	window[0] = 900;
	client(80, 110, 0);
	assert_bounds(0, 0, 14);
	assert_false(in.scale[0].retracts);
}

static void test_scale_of_the_server(void **state)
{
	window[1] = 500;
	for (int i = 0; i < 2; i++) {
		client(i * 3000, i * 50, 3000);
		server(i * 50, (i + 1) * 3000, 50);
	}
	client(6000, 100, 3000);
	assert_bounds(1, 2, 14);
	assert_int_equal(infer_wscale(&in, 1), 2);
}

/* An old segment, retransmitted or late, moves no bound. */
static void test_old_acknowledgements(void **state)
{
	window[0] = 1000;
	exchange(0, 5000);
	window[0] = 60000;
	client(0, 10, 0);
	assert_int_equal(in.scale[0].window, 1000);
	assert_int_equal(in.scale[0].largest, 1000);
}

/* ---- the others ---- */

static void test_timestamps(void **state)
{
	exchange(0, 100);
	assert_true(infer_ts(&in));
	assert_explained(INFER_TIMESTAMPS,
			 "timestamps: used (in all 2 segments of the client and 1 of the server)");
	timestamps = false;
	client(80, 100, 0);
	assert_missing("timestamps: in some segments, not in others");
	assert_explained(INFER_TIMESTAMPS,
			 "timestamps: contradictory (with: 2 of the client, 1 of the server; "
			 "without: 1 and 0)");
	set_up(NULL);
	timestamps = false;
	client(0, 0, 80);
	assert_explained(INFER_TIMESTAMPS, "timestamps: missing (only one end was seen)");
	server(0, 80, 100);
	assert_false(infer_ts(&in));
	assert_explained(INFER_TIMESTAMPS, "timestamps: not used (in none of 1 segments of the "
					   "client and 1 of the server)");
}

static void test_sack_and_mptcp(void **state)
{
	struct infer_segment s = {.ack_seen = true, .timestamp = true, .sack = true};

	window[0] = 60000;
	exchange(0, 100);
	assert_missing("");
	assert_explained(INFER_SACK, "SACK: no block was seen; taken as not agreed, which is safe");
	assert_true(infer_see(&in, &s));
	assert_true(in.sack);
	assert_explained(INFER_SACK, "SACK: agreed (a block was seen)");
	s.mptcp = true;
	assert_true(infer_see(&in, &s));
	assert_missing("Multipath TCP is in use");
}

static void test_mss(void **state)
{
	struct infer_segment s = {.dir = 1, .payload_len = 200};

	assert_int_equal(infer_mss(&in, 536), 536);
	for (int i = 0; i < 3; i++)
		infer_see(&in, &s);
	assert_int_equal(infer_mss(&in, 536), 536);
	infer_see(&in, &s);
	assert_int_equal(infer_mss(&in, 536), 200);
	assert_explained(INFER_MSS, "MSS: 200 (the server cut its data into 200 bytes)");
	in.with_timestamp[0] = in.with_timestamp[1] = 1;
	assert_int_equal(infer_mss(&in, 536), 212);
	/* As large as possible: several segments that an offload merged. */
	s.payload_len = 100000;
	for (int i = 0; i < 4; i++)
		infer_see(&in, &s);
	assert_int_equal(infer_mss(&in, 536), 536);
	assert_explained(INFER_MSS, "MSS: not known; 536, which every host takes");
	/* The end of the server's answer is no cut. */
	infer_init(&in);
	s.payload_len = 100;
	s.push = true;
	for (int i = 0; i < 9; i++)
		infer_see(&in, &s);
	assert_int_equal(infer_mss(&in, 536), 536);
	s.push = false;
	s.dir = 0; /* what the client sends says nothing about what it accepts */
	infer_init(&in);
	for (int i = 0; i < 9; i++)
		infer_see(&in, &s);
	assert_int_equal(infer_mss(&in, 1220), 1220);
}

#define CASE(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_nothing_seen),
		CASE(test_first_flight_is_enough),
		CASE(test_small_answers_prove_little),
		CASE(test_lower_bound_covers_the_flight),
		CASE(test_window_limited),
		CASE(test_lost_acknowledgement),
		CASE(test_smaller_of_two),
		CASE(test_beyond_all_scales),
		CASE(test_order_of_capture),
		CASE(test_window_probes),
		CASE(test_upper_bound),
		CASE(test_both_bounds_are_proof),
		CASE(test_retraction),
		CASE(test_no_retraction),
		CASE(test_scale_of_the_server),
		CASE(test_old_acknowledgements),
		CASE(test_timestamps),
		CASE(test_sack_and_mptcp),
		CASE(test_mss),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
