/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections whose handshake was not seen. */
#include "test/track-script.h"

/* Offset 0 is the first byte seen. From there on the connection is followed as any other. */
static void test_midstream(void **state)
{
	assert_null(c(A, 0, 0, 0)); /* a segment without data opens nothing */
	struct flow *f = c(A, 0, 0, 10);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(track_live_count(track), 0);
	c(A, 10, -500, 0); /* older than the box, in both directions */
	s(A, -500, 10, 500);
	c(A, 10, 9000, 0);
	s(A, 9000, 10, 1000); /* the bytes in flight before this are a hole */
	assert_int_equal(shown[0], 10);
	assert_int_equal(f->acked[0], 10);
	assert_int_equal(f->acked[1], 9000);
	now += 60 * NS_PER_MS;
	track_tick(track, now);
	assert_int_equal(gap_from[1], 0);
	assert_int_equal(gap_to[1], 9000);
	assert_int_equal(shown[1], 10000);
	assert_int_equal(track_stats(track)->flows_midstream, 1);
	/* A late SYN is not of this connection: the bytes before offset 0 are unknown. */
	c(S, -1, 0, 0);
	assert_false(f->syn[0].seen);
}

/* The windows are at least 60000 bytes. Nothing else was missing. */
static void test_options_inferred(void **state)
{
	option[0].seen |= TCP_OPT_TIMESTAMP;
	option[1].seen |= TCP_OPT_TIMESTAMP;
	struct flow *f = c(A, 0, 0, 10);
	assert_false(f->ts_ok);
	f = s(A, 0, 10, 100);
	assert_int_equal(f->marks, FLOW_MARK_INFERRED);
	assert_true(f->ts_ok);
	assert_int_equal(track_live_count(track), 1);
	assert_int_equal(track_stats(track)->flows_inferred, 1);
	assert_int_equal(f->window[1], 60000);
	/* The flow is live now: a SYN alone does not end it. */
	isn[0] += 5000;
	assert_ptr_equal(c(S, -1, 0, 0), f);
	isn[0] -= 5000;
	assert_int_equal(opens, 1);
	/* Timestamps that come and go count as none. */
	option[1].seen = 0;
	s(A, 100, 10, 100);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(track_live_count(track), 0);
	/* A SYN alone does not end the flow when it is not live either. The server's SYN-ACK does.
	 */
	isn[0] += 5000;
	assert_ptr_equal(c(S, -1, 0, 0), f);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	isn[1] += 70000;
	f = s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	assert_int_equal(why, TRACK_CLOSE_REUSED);
	assert_int_equal(f->marks, 0);
}

/* A window that was read with a smaller scale is read again. */
static void test_scale_inferred(void **state)
{
	window[0] = 500;
	struct flow *f = c(A, 0, 0, 10);
	s(A, 0, 10, 14000);
	c(A, 10, 14000, 0);
	assert_int_equal(f->window[1], 500);
	assert_int_equal(f->edge[1], 14500);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	s(A, 14000, 10, 14000);
	assert_int_equal(f->marks, FLOW_MARK_INFERRED);
	assert_int_equal(f->window[1], 500 << 5);
	assert_int_equal(f->window_max[1], 500 << 5);
	assert_int_equal(f->edge[1], 14000 + (500 << 5));
	c(A, 10, 28000, 0);
	assert_int_equal(f->window[1], 500 << 5);
	assert_int_equal(f->edge[1], 28000 + (500 << 5));
	/* Beyond the window by the scale in use, and not beyond the window by the largest
	 * possible scale. */
	s(A, 28000 + 2000000, 10, 100);
	assert_int_equal(track_stats(track)->bad_seq, 0);
	s(A, 28000 + 20000000, 10, 100);
	assert_int_equal(track_stats(track)->bad_seq, 1);
	/* Nothing follows from a loss between, and what was known stays known. */
	track_capture_drops(track, now);
	s(A, 28000 + 2000100, 10, 100);
	assert_int_equal(f->infer->scale[0].low, 5);
	assert_true(f->marks & FLOW_MARK_INFERRED);
	/* An answer to the probe is meant for the box, and changes nothing of this. */
	track_probe_begin(f);
	option[0].seen |= TCP_OPT_TIMESTAMP;
	c(A, 10, 28000, 0);
	assert_true(f->marks & FLOW_MARK_INFERRED);
	assert_false(f->ts_ok);
	/* The client already holds the probe's byte. Its SACK block shows that it agreed to SACK.
	 */
	assert_false(f->infer->sack);
	option[0].seen |= TCP_OPT_SACK;
	option[0].sack_high = isn[1] + 28001;
	c(A, 10, 28000, 0);
	assert_true(f->infer->sack);
	assert_int_equal(f->sacked_to, 0);
}

static void test_midstream_mptcp(void **state)
{
	c(A, 0, 0, 10);
	struct segment g = {.src = server,
			    .dst = client,
			    .seq = isn[1] + 1,
			    .ack = isn[0] + 11,
			    .window = 60000,
			    .flags = A,
			    .opt = {.seen = TCP_OPT_MPTCP},
			    .payload_len = 10,
			    .time_ns = now};
	struct flow *f = track_segment(track, &g);
	assert_true(f->marks & FLOW_MARK_MPTCP);
	assert_true(f->marks & FLOW_MARK_MIDSTREAM);
}

static void test_midstream_close(void **state)
{
	c(A, 0, 0, 10);
	c(F | A, 10, 0, 0);
	s(F | A, 0, 11, 0);
	assert_null(c(A, 11, 1, 0));
	assert_int_equal(why, TRACK_CLOSE_FIN);
	assert_int_equal(fins[0], 1);
	assert_int_equal(fins[1], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_midstream),       CASE(test_options_inferred), CASE(test_scale_inferred),
		CASE(test_midstream_mptcp), CASE(test_midstream_close),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
