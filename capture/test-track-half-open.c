/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Handshakes that get no further: whoever knows an address can make any number of them. */
#include "test/track-script.h"

/* A SYN from an address that nobody has. The server answers it. */
static void spoof(uint32_t i)
{
	const struct endpoint real = client;

	client.addr.b[1] = 2;
	client.addr.b[2] = (uint8_t)(i >> 8);
	client.addr.b[3] = (uint8_t)i;
	client.port = 1025;
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	client = real;
}

static void test_slow_flood(void **state)
{
	struct flow *f;

	config.idle_timeout_ns = 7200 * NS_PER_S;
	restart();
	for (uint32_t i = 0; i < 1000; i++) {
		now += NS_PER_S / 28;
		spoof(i);
	}
	assert_true(track_count(track) == 100);
	assert_int_equal(track_stats(track)->table_full, 0);
	assert_int_equal(track_stats(track)->evicted, 900);
	f = handshake();
	for (uint32_t i = 0; i < 1000; i++) {
		now += NS_PER_S / 28;
		spoof(1000 + i);
		s(A, 1000 * (int64_t)i, 0, 1000);
		c(A, 0, 1000 * (int64_t)(i + 1), 0);
	}
	assert_ptr_equal(the_flow(), f);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(shown[1], 1000000);
	/* Only a table that is full of established connections has no room. */
	assert_int_equal(track_stats(track)->table_full, 0);
}

/* A client that does not exist sends data. The server sends nothing. */
static void speak_alone(uint32_t i, bool with_syn)
{
	const struct endpoint real = client;

	client.port = (uint16_t)(1025 + i);
	memset(shown, 0, sizeof shown);
	if (with_syn)
		c(S, -1, 0, 0);
	c(A, 0, 0, 100);
	now += NS_PER_S;
	track_tick(track, now);
	client = real;
}

/* A firewall keeps these segments from the server. With a SYN the server may also be too busy to
 * answer. */
static void test_one_end_alone(void **state)
{
	config.idle_timeout_ns = 7200 * NS_PER_S;
	for (int with_syn = 0; with_syn < 2; with_syn++) {
		config.max_flows = 10;
		restart();
		for (uint32_t i = 0; i < 50; i++)
			speak_alone(i, with_syn);
		memset(shown, 0, sizeof shown);
		struct flow *f = handshake();
		c(A, 0, 0, 100);
		for (uint32_t i = 0; i < 50; i++)
			speak_alone(i, with_syn);
		assert_ptr_equal(the_flow(), f);
		assert_int_equal(track_stats(track)->table_full, 0);
		now += 70 * NS_PER_S;
		track_tick(track, now);
		assert_int_equal(track_count(track), 1);
	}
}

/*
 * A half-open connection is kept as long as the server keeps it, which repeats its SYN-ACK after 1,
 * 2, 4, 8 and 16 seconds.
 */
static void test_age(void **state)
{
	config.idle_timeout_ns = 7200 * NS_PER_S;
	restart();
	c(S, -1, 0, 0);
	for (int i = 0; i < 6; i++) {
		s(S | A, -1, 0, 0);
		now += NS_PER_S << i;
		track_tick(track, now);
		assert_non_null(the_flow());
	}
	assert_int_equal(the_flow()->state, FLOW_SYN_RCVD);
	now += 33 * NS_PER_S;
	track_tick(track, now);
	assert_null(the_flow());
	assert_int_equal(why, TRACK_CLOSE_TIMEOUT);

	struct flow *f = handshake();
	now += 3600 * NS_PER_S;
	track_tick(track, now);
	assert_ptr_equal(the_flow(), f);
}

/* A client that was probed in a takeover is accounted for: its connection is not evicted. */
static void test_asked_is_not_evicted(void **state)
{
	struct flow *f;

	config.idle_timeout_ns = 7200 * NS_PER_S;
	restart();
	c(S, -1, 0, 0);
	f = s(S | A, -1, 0, 0);
	track_probe_begin(f);
	for (uint32_t i = 0; i < 200; i++)
		spoof(i);
	assert_ptr_equal(the_flow(), f);
	now += 100 * NS_PER_S;
	track_tick(track, now);
	assert_ptr_equal(the_flow(), f);
	assert_int_equal(track_count(track), 1);
}

/* A flood evicted the connection, and it continues: it is picked up without its handshake. */
static void test_evicted_is_picked_up(void **state)
{
	config.idle_timeout_ns = 7200 * NS_PER_S;
	restart();
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	for (uint32_t i = 0; i < 100; i++)
		spoof(i);
	assert_null(the_flow());
	struct flow *f = c(A, 0, 0, 100);
	assert_non_null(f);
	assert_true(f->marks & FLOW_MARK_MIDSTREAM);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_slow_flood),           CASE(test_one_end_alone),        CASE(test_age),
		CASE(test_asked_is_not_evicted), CASE(test_evicted_is_picked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
