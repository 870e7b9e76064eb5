/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The same addresses and ports in several VLANs. */
#include "test/track-script.h"

static void in_vlan(uint16_t to_server, uint16_t to_client)
{
	vlan[0] = to_server;
	vlan[1] = to_client;
}

/*
 * One request and one response of 10 bytes each. The sequence numbers are those of one connection.
 */
static struct flow *exchange(void)
{
	shown[0] = shown[1] = 0;
	c(A, 0, 0, 10);
	struct flow *f = s(A, 0, 10, 10);
	assert_non_null(f);
	assert_int_equal(shown[0], 10);
	assert_int_equal(shown[1], 10);
	return f;
}

/* Two connections have the same addresses and ports, in two VLANs. */
static void test_two_vlans(void **state)
{
	in_vlan(10, 10);
	c(S, -1, 0, 0);
	isn[0] += 5000000;
	isn[1] += 7000000;
	in_vlan(20, 20);
	struct flow *b = handshake();
	isn[0] -= 5000000;
	isn[1] -= 7000000;
	in_vlan(0x2000 | 10, 10); /* the same VLAN with another priority */
	s(S | A, -1, 0, 0);
	struct flow *a = c(A, 0, 0, 0);
	assert_ptr_not_equal(a, b);
	assert_int_equal(a->state, FLOW_ESTABLISHED);
	assert_int_equal(track_count(track), 2);
	assert_ptr_equal(exchange(), a);
	isn[0] += 5000000;
	isn[1] += 7000000;
	in_vlan(20, 20);
	assert_ptr_equal(exchange(), b);
	struct flow *first = track_find(track, &server, &client);
	assert_true(first == a || first == b);
	assert_ptr_equal(track_twin(track, first), first == a ? b : a);
	assert_null(track_twin(track, track_twin(track, first)));
	c(R, 10, 0, 0);
	assert_int_equal(closes, 1);
	assert_int_equal(track_count(track), 1);
	assert_ptr_equal(the_flow(), a);
	assert_null(track_twin(track, a));
	assert_int_equal(opens, 2);
}

/* The mirror tags one direction only, or each direction with a private VLAN of its own. */
static void test_tags_that_differ_by_direction(void **state)
{
	static const uint16_t tags[][2] = {{10, 0}, {0, 10}, {10, 20}, {10, 10}, {0, 0}};

	for (size_t i = 0; i < sizeof tags / sizeof tags[0]; i++) {
		restart();
		in_vlan(tags[i][0], tags[i][1]);
		struct flow *f = handshake();
		assert_ptr_equal(exchange(), f);
		assert_int_equal(opens, 1);
		assert_int_equal(f->vlan[0], tags[i][0]);
		assert_int_equal(f->vlan[1], tags[i][1]);
	}
}

/* A sender of arbitrary tags gets no more than a few records of one connection. */
static void test_so_many_vlans(void **state)
{
	for (uint16_t v = 1; v <= 4 * TRACK_VLANS_MAX; v++) {
		in_vlan(v, v);
		c(S, -1, 0, 0);
		assert_true(track_count(track) <= TRACK_VLANS_MAX);
	}
	assert_int_equal(track_stats(track)->evicted, 3 * TRACK_VLANS_MAX);
	for (uint16_t v = 1; v <= TRACK_VLANS_MAX; v++) {
		in_vlan(v, v);
		handshake();
	}
	assert_int_equal(track_stats(track)->table_full, 0);
	in_vlan(100, 100);
	assert_null(c(S, -1, 0, 0));
	assert_int_equal(track_stats(track)->table_full, 1);
	in_vlan(1, 1);
	assert_non_null(c(A, 0, 0, 10));
}

/* A client's answer to the box need not come from the mirror. */
static void test_answers_from_anywhere(void **state)
{
	in_vlan(10, 10);
	struct flow *f = handshake();

	in_vlan(0, 0);
	assert_null(c(A, 0, 0, 0));
	track_probe_begin(f);
	assert_ptr_equal(c(A, 0, 0, 0), f);
	assert_true(f->probe_answered);
}
int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_two_vlans),
		CASE(test_tags_that_differ_by_direction),
		CASE(test_so_many_vlans),
		CASE(test_answers_from_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
