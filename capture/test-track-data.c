/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test/track-script.h"

/* ---- data ---- */

static void exchange(void)
{
	struct flow *f = handshake();

	c(A, 0, 0, 3000);
	s(A, 0, 3000, 5000);
	c(A, 3000, 5000, 100);
	s(A, 5000, 3000, 1400); /* out of order */
	s(A, 7800, 3000, 1400);
	s(A, 6400, 3100, 1400);
	s(A, 6400, 3100, 1400);
	c(A, 3100, 9200, 0);
	assert_int_equal(shown[0], 3100);
	assert_int_equal(shown[1], 9200);
	assert_int_equal(f->acked[0], 3100);
	assert_int_equal(f->acked[1], 9200);
	assert_int_equal(f->retransmits[1], 1);
	assert_int_equal(track_stats(track)->out_of_order[1], 1);
	assert_int_equal(f->edge[1], 69200);
	assert_int_equal(track_stats(track)->bad_seq, 0);
	assert_int_equal(track_pool(track)->used, 0);
}

static void test_data(void **state)
{
	exchange();
}

static void test_sequence_wraps(void **state)
{
	/* The wrap falls within the SYN, between SYN and data, within data, and between
	 * segments. */
	static const uint32_t from[] = {UINT32_MAX,        UINT32_MAX - 1,    UINT32_MAX - 1500,
					UINT32_MAX - 3000, UINT32_MAX - 5000, UINT32_MAX - 6400,
					0x7fffffff - 2000};

	for (size_t i = 0; i < sizeof from / sizeof from[0]; i++) {
		for (size_t k = 0; k < sizeof from / sizeof from[0]; k++) {
			isn[0] = from[i];
			isn[1] = from[k];
			exchange();
			restart();
		}
	}
}

/*
 * The stream is longer than the number space: offsets continue where sequence numbers begin again.
 */
static void test_stream_longer_than_the_number_space(void **state)
{
	struct flow *f = handshake();
	uint64_t start = UINT64_C(0x1ffff0000), off = start;

	/* Sets the stream 8 GiB ahead, instead of sending them. */
	f->stream[1] = (struct stream){.next = off, .keep = off, .shown = off, .high = off};
	f->acked[1] = f->edge[1] = shown[1] = off;
	for (int i = 0; i < 200; i++) {
		s(A, (int64_t)off, 0, 1000);
		off += 1000;
		c(A, 0, (int64_t)off, 0);
		assert_int_equal(f->acked[1], off);
	}
	assert_int_equal(shown[1], off);
	assert_true(start >> 32 != off >> 32);
	assert_int_equal(track_stats(track)->bad_seq, 0);
}

static void test_overlap_first_copy_wins(void **state)
{
	uint8_t other[200];

	struct flow *f = handshake();
	keep[0] = 0;
	c(A, 0, 0, 100);
	c(A, 150, 0, 50);
	memset(other, 0xEE, sizeof other);
	payload = other;
	c(A, 150, 0, 50); /* other bytes at old places */
	c(A, 50, 0, 50);
	for (uint64_t i = 100; i < 150; i++)
		other[i - 50] = pattern(FLOW_TO_SERVER, i);
	c(A, 50, 0, 150);
	assert_int_equal(shown[0], 200);
	assert_log(f, FLOW_TO_SERVER, 0, 200);
	assert_int_equal(f->retransmits[0], 2);
}

static void test_unacknowledged_is_always_kept(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 4000);
	s(A, 4000, 0, 4000);
	assert_log(f, FLOW_TO_CLIENT, 0, 8000);
	c(A, 0, 3000, 0);
	assert_log(f, FLOW_TO_CLIENT, 3000, 8000);
	c(A, 0, 1000, 0); /* an old segment */
	assert_log(f, FLOW_TO_CLIENT, 3000, 8000);
	s(A, 8000, 0, 7000);
	assert_log(f, FLOW_TO_CLIENT, 3000, 15000);
	c(A, 0, 15000, 0);
	assert_log(f, FLOW_TO_CLIENT, 15000, 15000);
	assert_int_equal(track_pool(track)->used, 0);
	assert_int_equal(f->window[1], 60000);
}

static void test_keep(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 0, 100); /* without a request to keep */
	assert_log(f, FLOW_TO_SERVER, 100, 100);
	keep[0] = 150; /* the request is for a place within the chunk */
	c(A, 100, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 150, 200);
	c(A, 200, 0, 100); /* and for all that follows */
	assert_log(f, FLOW_TO_SERVER, 150, 300);
	keep[0] = 20; /* that place is already released: no effect */
	c(A, 300, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 150, 400);
	keep[0] = 100000; /* a place beyond what was shown: kept from the end of that */
	c(A, 400, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 500, 500);
	assert_int_equal(track_pool(track)->used, 0);
	keep[0] = TRACK_KEEP_NOTHING; /* the callback says nothing: its last request stands */
	c(A, 500, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 500, 600);
	track_keep_from(track, f, FLOW_TO_SERVER, 550);
	assert_log(f, FLOW_TO_SERVER, 550, 600);
	track_keep_from(track, f, FLOW_TO_SERVER, TRACK_KEEP_NOTHING);
	assert_log(f, FLOW_TO_SERVER, 600, 600);
	c(A, 600, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 700, 700);
	keep_end[0] = true;
	c(A, 700, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 800, 800);
	track_keep_from(track, f, FLOW_TO_SERVER, 5);
	keep_end[0] = false;
	c(A, 800, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 800, 900);
}

static void test_keep_and_unacknowledged(void **state)
{
	struct flow *f = handshake();

	keep_end[1] = true;
	s(A, 0, 0, 1000);
	assert_log(f, FLOW_TO_CLIENT, 0, 1000); /* the client may still need it */
	c(A, 0, 1000, 0);
	assert_log(f, FLOW_TO_CLIENT, 1000, 1000);
	keep_end[1] = false;
	keep[1] = 1500;
	s(A, 1000, 0, 1000);
	c(A, 0, 2000, 0);
	assert_log(f, FLOW_TO_CLIENT, 1500, 2000);
	s(A, 2500, 0, 500); /* released bytes come out of held ranges, too */
	keep[1] = 2900;
	s(A, 2000, 0, 500);
	assert_log(f, FLOW_TO_CLIENT, 2000, 3000);
	c(A, 0, 3000, 0);
	assert_log(f, FLOW_TO_CLIENT, 2900, 3000);
}

static void test_log_goes_round_in_few_blocks(void **state)
{
	struct flow *f = handshake();

	for (int64_t off = 0; off < 30000; off += 700) {
		s(A, off, 0, 700);
		assert_log(f, FLOW_TO_CLIENT, f->acked[1], (uint64_t)off + 700);
		if (off >= 1400)
			c(A, 0, off - 700, 0);
		assert_in_range(track_pool(track)->used, 700, 8192);
	}
	assert_in_range(track_pool(track)->idle, 0, 2048);
}

static void test_truncated_payload(void **state)
{
	struct flow *f = handshake();

	captured = 100;
	s(A, 0, 0, 1000);
	s(A, 1000, 0, 1000);
	assert_true(f->marks & FLOW_MARK_TRUNCATED);
	assert_int_equal(shown[1], 100);
	assert_int_equal(gaps[1], 0);
	c(A, 0, 2000, 0); /* no better copy will come */
	assert_int_equal(gaps[1], 2);
	assert_int_equal(shown[1], 2000);
	assert_int_equal(track_stats(track)->gap_bytes[1], 1800);
	captured = 0;
	s(A | F, 2000, 0, 10);
	assert_int_equal(f->fin_off[1], 2010);
	assert_int_equal(fins[1], 0);
	c(A, 0, 2011, 0);
	assert_int_equal(fins[1], 1);
}

/* ---- holes ---- */

static void test_hole_becomes_gap_by_time(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 100);
	s(A, 200, 0, 100);
	c(A, 0, 300, 0); /* the client has all of it */
	assert_int_equal(f->acked[1], 300);
	assert_int_equal(f->stream[1].next, 100);
	now += 40 * NS_PER_MS;
	track_tick(track, now);
	assert_int_equal(gaps[1], 0);
	now += 20 * NS_PER_MS;
	track_tick(track, now);
	assert_int_equal(gaps[1], 1);
	assert_int_equal(gap_from[1], 100);
	assert_int_equal(gap_to[1], 200);
	assert_int_equal(shown[1], 300);
	assert_int_equal(f->marks, FLOW_MARK_GAP_TO_CLIENT);
	assert_int_equal(track_stats(track)->gaps[1], 1);
	assert_int_equal(track_stats(track)->gap_bytes[1], 100);
	assert_log(f, FLOW_TO_CLIENT, 300, 300);
	track_tick(track, now + NS_PER_S);
	assert_int_equal(gaps[1], 1);
}

static void test_hole_becomes_gap_by_the_next_segment(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 0, 100);
	s(A, 0, 150, 0);
	now += 60 * NS_PER_MS;
	/* The meaningless byte of a keep-alive must not fill the last byte of the hole. */
	uint8_t junk = 0xEE;
	payload = &junk;
	c(A, 149, 0, 1);
	assert_int_equal(gaps[0], 1);
	assert_int_equal(shown[0], 150);
	assert_int_equal(f->marks, FLOW_MARK_GAP_TO_SERVER);
	assert_int_equal(f->retransmits[0], 0);
}

/* The client has acknowledged a SYN-ACK that was not captured, and waits for its answer. Nothing
 * else comes. */
static void test_missed_synack_is_a_hole(void **state)
{
	c(S, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	c(A, 0, 0, 100);
	assert_false(flow_is_live(f));
	now += config.hole_timeout_ns - 3000;
	track_tick(track, now);
	assert_false(flow_is_live(f));
	now += 3000;
	track_tick(track, now);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->isn[1], isn[1]);
	assert_int_equal(gaps[0] + gaps[1], 0);
	s(S | A, -1, 0, 0); /* the SYN-ACK comes after all */
	assert_int_equal(f->marks, 0);

	restart();
	c(S, -1, 0, 0);
	f = c(A, 0, 0, 0);
	track_settle(track, f); /* nothing more will come */
	assert_int_equal(f->state, FLOW_ESTABLISHED);

	restart();
	c(S, -1, 0, 0);
	c(A, 0, 0, 50);
	f = s(A, 0, 50, 0); /* nor is the SYN-ACK needed: the server continues */
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->acked[0], 50);
	restart();
	c(S, -1, 0, 0);
	f = c(A, 0, 0, 50);
	s(S | A, -1, 50, 0); /* in time */
	now += 2 * config.hole_timeout_ns;
	track_tick(track, now);
	assert_int_equal(f->marks, 0);
}

static void test_hole_filled_in_time(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 300, 0); /* ACKs are captured before the data they acknowledge */
	s(A, 100, 0, 200);
	now += 40 * NS_PER_MS;
	s(A, 0, 0, 100);
	now += 100 * NS_PER_MS;
	track_tick(track, now);
	assert_int_equal(gaps[1], 0);
	assert_int_equal(shown[1], 300);
	assert_int_equal(f->marks, 0);
	assert_int_equal(f->acked[1], 300);
	assert_log(f, FLOW_TO_CLIENT, 300, 300);
}

/* An ACK that is always a little ahead moves the hole: it never becomes old. */
static void test_hole_that_moves_stays_young(void **state)
{
	struct flow *f = handshake();

	for (int64_t off = 0; off < 20000; off += 1000) {
		c(A, 0, off + 2000, 0);
		now += 20 * NS_PER_MS;
		s(A, off, 0, 1000);
	}
	assert_int_equal(gaps[1], 0);
	assert_int_equal(f->stream[1].next, 20000);
}

static void test_settle(void **state)
{
	struct flow *f = handshake();

	s(A, 100, 0, 100); /* not acknowledged, so not known to be lost */
	c(A, 100, 0, 100);
	track_settle(track, f);
	assert_int_equal(gaps[0] + gaps[1], 0);
	c(A, 200, 150, 0); /* within the held range */
	s(A, 300, 300, 100);
	changes = 0;
	track_settle(track, f);
	assert_int_equal(changes, 1);
	assert_int_equal(gaps[1], 1);
	assert_int_equal(shown[1], 200);
	assert_log(f, FLOW_TO_CLIENT, 150, 200);
	assert_int_equal(gaps[0], 2);
	assert_int_equal(shown[0], 300);
	track_settle(track, f);
	assert_int_equal(changes, 1);
}

static void test_unacknowledged_hole_stays(void **state)
{
	struct flow *f = handshake();

	s(A, 100, 0, 100);
	now += NS_PER_S;
	track_tick(track, now);
	assert_int_equal(gaps[1], 0);
	s(A, 0, 0, 100);
	assert_int_equal(shown[1], 200);
	assert_int_equal(f->marks, 0);
}

/* ---- probes ---- */

static void test_keep_alive(void **state)
{
	struct flow *f = handshake();
	uint8_t junk = 0xEE;

	keep[0] = 0;
	payload = &junk;
	c(A, -1, 0, 1); /* before any data */
	payload = NULL;
	c(A, 0, 0, 100);
	s(A, 0, 100, 0);
	c(A, 99, 0, 0);
	payload = &junk;
	c(A, 99, 0, 1);
	assert_log(f, FLOW_TO_SERVER, 0, 100);
	assert_int_equal(f->retransmits[0], 0);
	assert_int_equal(f->stream[0].next, 100);
	assert_int_equal(track_stats(track)->bad_seq, 0);
}

static void test_zero_window_probe(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 100);
	window[0] = 0;
	c(A, 0, 100, 0);
	assert_int_equal(f->window[1], 0);
	assert_int_equal(f->edge[1], 60000); /* a window that was taken back was given before */
	s(A, 99, 0, 0);                      /* Linux: an old number and no data */
	c(A, 0, 100, 0);
	assert_int_equal(f->retransmits[1], 0);
	s(A, 100, 0, 1); /* RFC 9293: one byte of the stream, repeated */
	s(A, 100, 0, 1);
	assert_int_equal(shown[1], 101);
	window[0] = 500;
	c(A, 0, 100, 0);
	assert_int_equal(f->window[1], 500);
	assert_log(f, FLOW_TO_CLIENT, 100, 101);
}

static void test_probe_after_takeover(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 1000);
	track_probe_begin(f);
	s(A, -1, 0, 0); /* the box's own probe is captured, too */
	assert_false(f->probe_answered);
	window[0] = 1234;
	c(A, 0, 400, 0);
	assert_true(f->probe_wanted && f->probe_answered);
	assert_int_equal(f->acked[1], 400);
	assert_int_equal(f->window[1], 1234);
	track_probe_begin(f);
	assert_false(f->probe_answered);
	assert_null(c(R, 0, 0, 0));
}

/* The client's answer to the probe lies behind the captured bytes. Those between may have been
 * acknowledged without being captured, or come again. */
static void test_client_owes(void **state)
{
	isn[0] = UINT32_MAX - 120;
	struct flow *f = handshake();

	c(A, 0, 0, 100);
	assert_false(flow_client_owes(f)); /* no probe was sent */
	track_probe_begin(f);
	assert_false(flow_client_owes(f));
	c(A, 0, 0, 100); /* a retransmission: the server did not even have these bytes */
	assert_false(flow_client_owes(f));
	c(A, 100, 0, 0);
	assert_false(flow_client_owes(f));
	c(A, 150, 0, 0);
	assert_true(flow_client_owes(f));
	c(A, 140, 0, 10); /* not the first missing byte */
	assert_true(flow_client_owes(f));
	c(A, 100, 0, 1);
	assert_false(flow_client_owes(f));
	track_probe_begin(f);
	c(A, 101, 0, 0); /* no more than was captured */
	assert_false(flow_client_owes(f));
	c(A, 150, 0, 0);
	assert_true(flow_client_owes(f));
	c(A, 101, 0, 39);
	assert_false(flow_client_owes(f));
	assert_log(f, FLOW_TO_CLIENT, 0, 0);
}

/* The client's FIN counts as one byte. */
static void test_client_owes_its_end(void **state)
{
	struct flow *f = handshake();

	track_probe_begin(f);
	c(A, 1, 0, 0);
	assert_true(flow_client_owes(f));
	c(F | A, 0, 0, 0);
	assert_false(flow_client_owes(f));
	track_probe_begin(f);
	c(A, 1, 0, 0);
	assert_false(flow_client_owes(f));
}

/* The bytes that the client holds behind a hole. Only its newest ACK counts. */
static void test_sacked(void **state)
{
	isn[1] = UINT32_MAX - 1200;
	struct flow *f = handshake();

	s(A, 0, 0, 1000);
	s(A, 1000, 0, 1000);
	option[0] = (struct tcp_options){.seen = TCP_OPT_SACK, .sack_high = isn[1] + 1 + 2000};
	c(A, 0, 400, 0);
	assert_int_equal(f->sacked_to, 2000);
	c(A, 0, 300, 0); /* an old ACK */
	assert_int_equal(f->sacked_to, 2000);
	option[0].sack_high = isn[1] + 1 + 100; /* a duplicate's block, below the ACK */
	c(A, 0, 500, 0);
	assert_int_equal(f->sacked_to, 0);
	option[0].sack_high = isn[1] + 1 + 1900;
	c(A, 0, 500, 0);
	assert_int_equal(f->sacked_to, 1900);
	option[0] = (struct tcp_options){0};
	c(A, 0, 2000, 0); /* the hole is filled */
	assert_int_equal(f->sacked_to, 0);
}

/* ---- windows, time stamps ---- */

static void test_old_ack_does_not_overwrite_window(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 1000);
	window[0] = 3000;
	c(A, 0, 1000, 10);
	window[0] = 9000;
	c(A, 0, 500, 0); /* acknowledges less than the newest */
	assert_int_equal(f->window[1], 3000);
	c(A, 5, 1000, 0);                     /* older sequence number */
	assert_int_equal(f->window[1], 9000); /* no: newer than the one at 0 */
	window[0] = 100;
	c(A, 0, 1000, 0);
	assert_int_equal(f->window[1], 9000);
	window[0] = 200;
	c(A, 5, 1000, 0); /* the same numbers: a window update */
	assert_int_equal(f->window[1], 200);
	assert_int_equal(f->window_seq[1], flow_seq(f, FLOW_TO_SERVER, 5));
	assert_int_equal(f->window_max[1], 60000);
	assert_int_equal(f->edge[1], 60000);
	window[0] = 60000;
	c(A, 10, 1000, 0);
	assert_int_equal(f->edge[1], 61000);
}

static void test_timestamps(void **state)
{
	option[0].seen |= TCP_OPT_TIMESTAMP;
	option[1].seen |= TCP_OPT_TIMESTAMP;
	option[1].tsval = UINT32_MAX - 100;
	struct flow *f = handshake();
	int64_t first = f->tsval_first_ns;

	assert_int_equal(f->tsval[1], UINT32_MAX - 100);
	assert_int_equal(flow_ts_hz(f), 0);
	now = first + 100 * NS_PER_MS;
	option[1].tsval += 100;
	s(A, 0, 0, 10);
	assert_int_equal(flow_ts_hz(f), 0); /* too short a time for a rate */
	now = first + 300 * NS_PER_MS;
	option[1].tsval += 200; /* wraps */
	s(A, 10, 0, 10);
	assert_int_equal(f->tsval[1], 199);
	assert_int_equal(f->tsval_ns[1], first + 300 * NS_PER_MS);
	assert_int_equal(flow_ts_hz(f), 1000);
	now += NS_PER_MS;
	option[1].tsval = 150; /* an old segment */
	s(A, 0, 0, 10);
	assert_int_equal(f->tsval[1], 199);
	option[1].tsval = 500000; /* from a segment that is not believed */
	s(A, 900000, 0, 10);
	assert_int_equal(f->tsval[1], 199);
}

static void test_timestamp_clocks(void **state)
{
	static const uint32_t clocks[] = {100, 250, 1000, 1000000, 0};

	for (size_t i = 0; i < 5; i++) {
		struct flow f = {.tsval_first = 7, .tsval_first_ns = NS_PER_S};
		uint32_t hz = clocks[i] ? clocks[i] : 10000;
		f.tsval[1] = 7 + hz / 2 + 1;
		f.tsval_ns[1] = NS_PER_S + 500 * NS_PER_MS;
		assert_int_equal(flow_ts_hz(&f), clocks[i]);
	}
}

/* ---- any order ---- */

static uint32_t rng;

static uint32_t next_random(uint32_t below)
{
	rng = rng * 1664525 + 1013904223;
	return (rng >> 8) % below;
}

/*
 * Both streams in any segmentation, with repetitions, in any order within a window,
 * with ACKs ahead of and behind the data they acknowledge.
 */
static void test_any_order(void **state)
{
	for (uint32_t seed = 1; seed <= 200; seed++) {
		uint64_t size = 30000;

		restart();
		rng = seed;
		isn[0] = next_random(UINT32_MAX >> 8) << 8;
		isn[1] = (uint32_t)-20000 + next_random(40000);
		keep[0] = keep[1] = 0;
		struct flow *f = handshake();
		while (shown[0] < size || shown[1] < size) {
			enum flow_dir d = next_random(2) ? FLOW_TO_CLIENT : FLOW_TO_SERVER;
			uint64_t off = f->stream[d].next + next_random(4000);
			off -= off < 2000 ? off : next_random(2001);
			uint64_t n = 1 + next_random(1460);
			uint64_t ack = f->stream[!d].next + next_random(3000);
			ack = ack < 1000 ? ack : ack - 1000;
			ack = ack < size ? ack : size;
			if (off >= size)
				continue;
			emit(d, A, (int64_t)off, (int64_t)ack,
			     (uint32_t)(n < size - off ? n : size - off));
		}
		assert_log(f, FLOW_TO_SERVER, 0, size);
		assert_log(f, FLOW_TO_CLIENT, 0, size);
		assert_int_equal(gaps[0] + gaps[1], 0);
		assert_int_equal(track_stats(track)->bad_seq, 0);
		assert_int_equal(track_stats(track)->ambiguous[0], 0);
		assert_int_equal(track_stats(track)->ambiguous[1], 0);
		c(F | A, (int64_t)size, (int64_t)size, 0);
		s(F | A, (int64_t)size, (int64_t)size + 1, 0);
		assert_null(c(A, (int64_t)size + 1, (int64_t)size + 1, 0));
	}
}

static void stamp(enum flow_dir d, uint32_t tsval)
{
	option[d].seen |= TCP_OPT_TIMESTAMP;
	option[d].tsval = tsval;
}

/* The ACK is captured before its segments, and these out of order: all are young. */
static void test_ack_captured_first(void **state)
{
	stamp(FLOW_TO_SERVER, 1000);
	stamp(FLOW_TO_CLIENT, 9000);
	struct flow *f = handshake();
	now += NS_PER_S;
	s(A, 0, 200, 0);
	stamp(FLOW_TO_SERVER, 1001020);
	c(A, 100, 0, 100);
	stamp(FLOW_TO_SERVER, 1001000);
	c(A, 0, 0, 100);
	assert_int_equal(f->stream[FLOW_TO_SERVER].next, 200);
	assert_int_equal(track_stats(track)->bad_seq, 0);
	/* Much later it counts as an old duplicate. */
	now += NS_PER_S;
	c(A, 200, 0, 100);
	assert_int_equal(f->stream[FLOW_TO_SERVER].next, 200);
	assert_int_equal(track_stats(track)->bad_seq, 1);
}

/*
 * Which of two copies the receiver took is unknown: whoever forged the first may have sent the ACK,
 * too.
 */
static void test_two_copies(void **state)
{
	static uint8_t other[100];

	keep[0] = 0;

	for (int held = 0; held < 2; held++) {
		struct flow *f = handshake();
		const struct stream *in = &f->stream[0];
		c(A, 0, 0, 50);
		/* The other copy of bytes in the log, or behind a hole. */
		c(A, held ? 60 : 50, 0, 40);
		payload = other;
		c(A, held ? 60 : 50, 0, 40);
		payload = NULL;
		c(A, 40, 0, 100);
		assert_int_equal(track_stats(track)->ambiguous[0], 1);
		assert_int_equal(in->doubt_from, held ? 60 : 50);
		assert_int_equal(in->doubt_to, held ? 100 : 90);
		assert_true(f->marks & FLOW_MARK_AMBIGUOUS_TO_SERVER);
		s(A, 0, 140, 30);
		c(A, 140, 30, 0);
		payload = other;
		c(A, 100, 30, 40);
		assert_int_equal(track_stats(track)->ambiguous[0], 2);
		assert_int_equal(in->doubt_to, 140);
		/* The client has acknowledged these: nobody holds them any more. */
		s(A, 0, 140, 30);
		c(A, 139, 30, 1); /* the byte of a keep-alive means nothing */
		payload = NULL;
		c(A, 100, 30, 40);
		assert_int_equal(track_stats(track)->ambiguous[0], 2);
		assert_int_equal(track_stats(track)->ambiguous[1], 0);
		restart();
	}
}

static void test_bytes_set_aside_are_copied_when_they_are_taken(void **state)
{
	keep[FLOW_TO_SERVER] = 0;
	struct flow *f = handshake();
	c(A, 0, 0, 100);
	dst_mac[FLOW_TO_SERVER] = 9;
	c(A, 100, 0, 1000);
	assert_int_equal(shown[FLOW_TO_SERVER], 100);
	s(A, 0, 1100, 0); /* so the server has another MAC now */
	assert_int_equal(shown[FLOW_TO_SERVER], 1100);
	assert_log(f, FLOW_TO_SERVER, 0, 1100);
	repay();
	assert_log(f, FLOW_TO_SERVER, 0, 1100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_bytes_set_aside_are_copied_when_they_are_taken),
		CASE(test_data),
		CASE(test_sequence_wraps),
		CASE(test_stream_longer_than_the_number_space),
		CASE(test_overlap_first_copy_wins),
		CASE(test_unacknowledged_is_always_kept),
		CASE(test_keep),
		CASE(test_keep_and_unacknowledged),
		CASE(test_log_goes_round_in_few_blocks),
		CASE(test_truncated_payload),
		CASE(test_hole_becomes_gap_by_time),
		CASE(test_hole_becomes_gap_by_the_next_segment),
		CASE(test_missed_synack_is_a_hole),
		CASE(test_hole_filled_in_time),
		CASE(test_hole_that_moves_stays_young),
		CASE(test_settle),
		CASE(test_unacknowledged_hole_stays),
		CASE(test_keep_alive),
		CASE(test_zero_window_probe),
		CASE(test_probe_after_takeover),
		CASE(test_client_owes),
		CASE(test_client_owes_its_end),
		CASE(test_sacked),
		CASE(test_old_ack_does_not_overwrite_window),
		CASE(test_timestamps),
		CASE(test_timestamp_clocks),
		CASE(test_any_order),
		CASE(test_two_copies),
		CASE(test_ack_captured_first),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
