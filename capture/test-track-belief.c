/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What the tracker does not believe, because its receiver would not. */
#include "test/track-script.h"

static void test_far_segments(void **state)
{
	struct flow *f = handshake();

	s(A, 125537, 0, 10); /* the edge and one window: just outside */
	s(A, -0x50000000, 0, 10);
	c(A, 0, 0x50000000, 0); /* acknowledges what nobody can have sent */
	assert_int_equal(track_stats(track)->bad_seq, 3);
	assert_int_equal(f->stream[1].high, 0);
	assert_int_equal(f->acked[1], 0);
	s(A, 125536, 0, 10);
	assert_int_equal(track_stats(track)->bad_seq, 3);
	assert_int_equal(f->stream[1].high, 125546);
}

static void test_very_old_ack(void **state)
{
	struct flow *f = handshake();

	for (int64_t off = 0; off < 100000; off += 1000) {
		s(A, off, 0, 1000);
		c(A, 0, off + 1000, 0);
	}
	/* The server would not accept this segment either (RFC 5961 section 5.2). */
	c(A, 0, 34463, 10);
	assert_int_equal(track_stats(track)->bad_seq, 1);
	assert_int_equal(shown[0], 0);
	c(A, 0, 34464, 10);
	assert_int_equal(shown[0], 10);
	assert_int_equal(f->acked[1], 100000);
}

static void test_capture_drops(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 100);
	s(A, 10000000, 0, 100);
	assert_int_equal(track_stats(track)->bad_seq, 1);
	track_capture_drops(track, now);
	assert_true(f->marks & FLOW_MARK_CAPTURE_DROPS);
	s(A, 10000000, 0, 100); /* after the loss the stream continues at any place */
	assert_int_equal(track_stats(track)->bad_seq, 1);
	c(A, 0, 10000100, 0);
	track_settle(track, f);
	assert_int_equal(shown[1], 10000100);
	s(A, 10000100, 0, 100);
	assert_int_equal(shown[1], 10000200);
	s(A, 30000000, 0, 100); /* a second jump is not believed */
	assert_int_equal(track_stats(track)->bad_seq, 2);
}

static void test_rst(void **state)
{
	handshake();
	s(A, 0, 0, 1000);
	s(R, 200000, 0, 0);
	s(R, -1, 0, 0);
	c(R, -1, 0, 0);
	assert_int_equal(track_stats(track)->bad_rst, 3);
	assert_int_equal(closes, 0);
	/* RFC 5961 section 3.2: a RST counts only at exactly the expected number. At others the
	 * receiver answers with a challenge ACK. */
	s(R, 500, 0, 0);
	s(R, 999, 0, 0);
	s(R, 1001, 0, 0);
	s(R, 1500, 0, 0);
	c(R, 1, 0, 0);
	assert_int_equal(track_stats(track)->bad_rst, 8);
	assert_int_equal(closes, 0);
	assert_null(s(R, 1000, 0, 0));
	assert_int_equal(why, TRACK_CLOSE_RST);
	restart();
	handshake();
	s(A, 2000, 0, 10); /* behind a hole */
	assert_non_null(s(R, 2000, 0, 0));
	assert_null(s(R, 0, 0, 0));
	restart();
	handshake();
	s(A, 2000, 0, 10);
	assert_null(s(R, 2010, 0, 0)); /* with SACK also at the end of the last block */
	restart();
	option[0].seen = TCP_OPT_MSS;
	handshake();
	s(A, 2000, 0, 10);
	assert_non_null(s(R, 2010, 0, 0));
	restart();
	handshake();
	c(A, 0, 700, 0); /* the server has bytes that were not captured */
	assert_non_null(s(R, 0, 0, 0));
	assert_null(s(R, 700, 0, 0));
	restart();
	handshake();
	c(F | A, 0, 0, 0);
	assert_non_null(c(R, -1, 0, 0));
	assert_non_null(c(R, 2, 0, 0));
	assert_null(c(R, 1, 0, 0)); /* behind its FIN */
	restart();
	handshake();
	c(F | A, 0, 0, 0);
	assert_null(c(R, 0, 0, 0)); /* at its FIN */
	restart();
	handshake();
	c(F | A, 100, 0, 0);
	assert_non_null(c(R, 100, 0, 0)); /* the server may lack the bytes before it */
	restart();
	handshake();
	/* After a loss the expected number is unknown, so no RST counts. The probe will tell. */
	track_capture_drops(track, now);
	assert_non_null(c(R, 5000, 0, 0));
}

/* RFC 9293 section 3.10.7.4, "if the ACK bit is off, drop the segment". */
static void test_no_ack(void **state)
{
	struct flow *f = handshake();

	c(0, 0, 0, 100);
	c(F, 0, 0, 0);
	c(TCP_PSH | TCP_URG, 0, 0, 100);
	s(0, 0, 0, 100);
	assert_int_equal(track_stats(track)->no_ack, 4);
	assert_int_equal(f->stream[0].high, 0);
	assert_int_equal(f->stream[1].high, 0);
	assert_int_equal(f->marks, 0);
	assert_false(f->fin_seen[0]);
	c(A, 0, 0, 100);
	assert_int_equal(shown[0], 100);
}

/* An established connection takes nothing from a SYN (RFC 5961 section 4.2). */
static void test_syn_when_established(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 100);
	window[1] = 5;
	s(S | A, -1, 0, 0);
	c(S, -1, 0, 100);
	assert_int_equal(shown[0], 0);
	assert_int_equal(f->acked[0], 0);
	assert_int_equal(f->window[0], 60000);
	c(S | A, -1, 100, 0);
	assert_int_equal(f->acked[1], 0);
}

/* At a far place both ends must agree: then the capture has lost what lies between. */
static void test_far_away(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 5000000, 10);
	assert_int_equal(f->acked[1], 0);
	assert_int_equal(shown[0], 0);
	c(A, 0, 0, 10);
	s(A, 9000000, 10, 10); /* a different far place */
	assert_int_equal(f->stream[1].high, 0);
	c(A, 10, 9000010, 10);
	assert_int_equal(f->acked[1], 9000010);
	assert_int_equal(shown[0], 10); /* the rest waits for the bytes it answers */
	s(A, 9000010, 10, 10);
	assert_int_equal(f->stream[1].high, 9000020);
	track_settle(track, f);
	assert_int_equal(shown[0], 20);
}

/*
 * Only the ends of a connection were captured: an ACK alone does not show where the server stands.
 */
static void test_ends_alone(void **state)
{
	c(S, -1, 0, 0);
	struct flow *f = s(S | A, -1, 0, 0);

	s(F | A, 500000, 1932, 0);
	c(F | A, 1932, 500001, 0);
	assert_int_equal(f->acked[FLOW_TO_CLIENT], 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	assert_int_equal(track_stats(track)->bad_seq, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_far_segments), CASE(test_very_old_ack), CASE(test_capture_drops),
		CASE(test_rst),          CASE(test_no_ack),       CASE(test_syn_when_established),
		CASE(test_far_away),     CASE(test_ends_alone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
