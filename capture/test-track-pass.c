/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Bytes pass unread, if nobody wants them. If somebody does, all is as if they had been read. */
#include "test/track-script.h"

#define PART 1000 /* bytes of a segment */

/* The source. */
static struct buf tape = BUF_INIT(64 << 20);
static const uint8_t *newest;
static size_t newest_n;
static int readings; /* how often something was read again */
static bool is_gone; /* the source cannot be read */

/* What the callee lets pass, and what it was told. */
static uint64_t pass_to[2];
static int passed[2];

static bool where(void *ctx, const uint8_t *p, uint64_t *ret)
{
	if (p < newest || p >= newest + newest_n)
		return false;
	*ret = tape.n - newest_n + (size_t)(p - newest);
	return true;
}

static int read_again(void *ctx, uint64_t at, uint8_t *to, size_t n)
{
	readings++;
	assert_true(at <= tape.n && n <= tape.n - at);
	if (is_gone)
		return -1;
	memcpy(to, tape.p + at, n);
	return 0;
}

static void on_data_or_none(void *ctx, struct flow *f, enum flow_dir d, uint64_t off,
			    struct bytes b)
{
	if (b.n > 0) {
		on_data(ctx, f, d, off, b);
	} else {
		assert_true(off > shown[d]);
		passed[d]++;
		shown[d] = off;
		if (keep_end[d])
			track_keep_from(track, f, d, off);
	}
	if (pass_to[d] > off + b.n)
		track_pass(track, f, d, off + b.n, pass_to[d]);
}

static int set_up_passing(void **state)
{
	const struct track_source source = {.where = where, .read = read_again};
	struct track_sink reader = sink;

	set_up(state);
	track_free(track);
	reader.data = on_data_or_none;
	track = track_new(&config, &reader, NULL);
	assert_non_null(track);
	track_read_again(track, &source);
	buf_reset(&tape);
	readings = 0;
	is_gone = false;
	keep_end[0] = keep_end[1] = true;
	for (int d = 0; d < 2; d++) {
		pass_to[d] = 0;
		passed[d] = 0;
	}
	return 0;
}

static int tear_down_passing(void **state)
{
	tear_down(state);
	buf_deinit(&tape);
	return 0;
}

/* A segment with data, or with @filler in the place of what was said. */
static struct flow *part_of(enum flow_dir d, uint64_t off, uint32_t n, const uint8_t *filler)
{
	const struct flow *f = the_flow();
	struct segment g = {
		.src = d ? server : client,
		.dst = d ? client : server,
		.seq = isn[d] + 1 + (uint32_t)off,
		.ack = isn[!d] + 1 + (uint32_t)f->stream[!d].next,
		.window = window[d],
		.flags = TCP_ACK,
		.payload_len = n,
		.time_ns = now,
	};
	uint8_t *p = malloc(n);

	for (uint32_t i = 0; i < n; i++)
		p[i] = filler ? *filler : pattern(d, off + i);
	g.payload = bytes_of(p, n);
	assert_int_equal(buf_append(&tape, p, n), 0);
	newest = p;
	newest_n = n;
	struct flow *after = track_segment(track, &g);
	memset(p, 0xee, n);
	free(p);
	newest_n = 0;
	now += 1000;
	return after;
}

static void part(enum flow_dir d)
{
	part_of(d, the_flow()->stream[d].next, PART, NULL);
}

static void acknowledge(enum flow_dir d, uint64_t ack)
{
	emit(d, A, (int64_t)the_flow()->stream[d].next, (int64_t)ack, 0);
}

static void assert_shown(uint64_t to_server, uint64_t to_client)
{
	assert_int_equal(shown[0], to_server);
	assert_int_equal(shown[1], to_client);
}

/* ---- nobody wants them ---- */

static void test_all_come(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 4 * PART;
	part(FLOW_TO_SERVER);
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_CLIENT);
	assert_shown(PART, PART);
	part(FLOW_TO_CLIENT);
	assert_shown(PART, 4 * PART);
	assert_int_equal(passed[1], 1);
	acknowledge(FLOW_TO_SERVER, 4 * PART);
	assert_log(f, FLOW_TO_CLIENT, 4 * PART, 4 * PART);
	assert_int_equal(f->acked_byte, pattern(FLOW_TO_CLIENT, 4 * PART - 1));
	assert_int_equal(f->acked_byte_end, 4 * PART);
	assert_int_equal(track_pool(track)->used, 0);
	pass_to[1] = 7 * PART; /* and again */
	part(FLOW_TO_SERVER);
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_CLIENT);
	assert_int_equal(passed[1], 2);
	assert_int_equal(readings, 0);
}

static void test_ended_unread(void **state)
{
	handshake();
	pass_to[1] = 4 * PART;
	part(FLOW_TO_CLIENT);
	part(FLOW_TO_CLIENT);
	c(A | R, 0, 2 * PART, 0);
	assert_int_equal(closes, 1);
	assert_shown(0, PART);
	assert_int_equal(readings, 0);
}

/* ---- somebody does ---- */

static void test_asked_for(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 9 * PART;
	for (int i = 0; i < 4; i++)
		part(FLOW_TO_CLIENT);
	acknowledge(FLOW_TO_SERVER, 2 * PART + 10);
	int64_t last = f->last_ns[1];

	track_catch_up(track, f);
	assert_shown(0, 4 * PART);
	assert_log(f, FLOW_TO_CLIENT, 2 * PART + 10, 4 * PART);
	assert_int_equal(f->acked_byte, pattern(FLOW_TO_CLIENT, 2 * PART + 9));
	assert_int_equal(f->acked_byte_end, 2 * PART + 10);
	assert_int_equal(f->last_ns[1], last);
	assert_int_equal(readings, 3);
	part(FLOW_TO_CLIENT); /* from here on at once */
	assert_shown(0, 5 * PART);
	assert_int_equal(passed[1], 0);
}

static int64_t times[8];
static int times_n;

static void note_time(enum flow_dir d, uint64_t off, size_t n)
{
	assert_true(times_n < 8);
	times[times_n++] = the_flow()->last_ns[d];
}

static void test_shown_with_their_times(void **state)
{
	struct flow *f = handshake();
	const int64_t began = now;

	times_n = 0;
	before_shown = note_time;
	pass_to[0] = 9 * PART;
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_SERVER);
	track_catch_up(track, f);
	const int64_t expected[] = {began, began + 1000, began + 2000};
	assert_int_equal(times_n, 3);
	assert_memory_equal(times, expected, sizeof expected);
}

static void test_the_other_end_speaks(void **state)
{
	handshake();
	pass_to[0] = 9 * PART;
	part(FLOW_TO_SERVER);
	part(FLOW_TO_SERVER);
	assert_shown(PART, 0);
	part(FLOW_TO_CLIENT);
	assert_shown(2 * PART, PART);
	part(FLOW_TO_SERVER);
	assert_shown(3 * PART, PART);
}

static void test_longer_than_said(void **state)
{
	handshake();
	pass_to[0] = 2 * PART + 10;
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_SERVER);
	assert_shown(3 * PART, 0);
	assert_int_equal(passed[0], 0);
}

static void test_a_fin(void **state)
{
	struct flow *f = handshake();

	pass_to[0] = 9 * PART;
	part(FLOW_TO_SERVER);
	part(FLOW_TO_SERVER);
	c(F | A, 2 * PART, 0, 0);
	assert_shown(2 * PART, 0);
	assert_int_equal(fins[0], 1);
	assert_log(f, FLOW_TO_SERVER, 2 * PART, 2 * PART);
}

static void test_a_hole(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 9 * PART;
	part(FLOW_TO_CLIENT);
	part(FLOW_TO_CLIENT);
	part_of(FLOW_TO_CLIENT, 3 * PART, PART, NULL);
	assert_shown(0, 2 * PART);
	part_of(FLOW_TO_CLIENT, 2 * PART, PART, NULL);
	assert_shown(0, 4 * PART);
	assert_log(f, FLOW_TO_CLIENT, 0, 4 * PART);
}

/* What is behind the bytes is there already: held, because it came first. */
static void test_held_before(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 9 * PART;
	part_of(FLOW_TO_CLIENT, PART, PART, NULL);
	part_of(FLOW_TO_CLIENT, 0, PART, NULL);
	assert_shown(0, 2 * PART);
	track_catch_up(track, f);
	assert_log(f, FLOW_TO_CLIENT, 0, 2 * PART);
}

/* ---- bytes that come again ---- */

static void test_the_last_segment_again(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 4 * PART;
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_CLIENT);
	part_of(FLOW_TO_CLIENT, 2 * PART, PART, NULL);
	part_of(FLOW_TO_CLIENT, PART + 100, PART, NULL);
	assert_shown(0, PART);
	assert_int_equal(f->retransmits[1], 2);
	part(FLOW_TO_CLIENT);
	assert_int_equal(passed[1], 1);
	part_of(FLOW_TO_CLIENT, 3 * PART, PART, NULL);
	assert_int_equal(f->retransmits[1], 3);
	assert_int_equal(f->marks, 0);
	acknowledge(FLOW_TO_SERVER, 4 * PART);
	assert_log(f, FLOW_TO_CLIENT, 4 * PART, 4 * PART);
}

static void test_other_bytes_again(void **state)
{
	static const uint8_t other = 0xaa;

	for (int whole = 0; whole < 2; whole++) {
		struct flow *f = handshake();
		pass_to[1] = whole ? 3 * PART : 9 * PART;
		for (int i = 0; i < 3; i++)
			part(FLOW_TO_CLIENT);
		assert_int_equal(passed[1], whole);
		part_of(FLOW_TO_CLIENT, 2 * PART, PART, &other);
		assert_int_equal(f->marks, FLOW_MARK_AMBIGUOUS_TO_CLIENT);
		assert_int_equal(f->stream[1].doubt_from / PART, 2);
		assert_shown(0, 3 * PART);
		assert_log(f, FLOW_TO_CLIENT, 0, 3 * PART);
		track_drop(track, f);
		memset(shown, 0, sizeof shown);
	}
}

/* ---- the log ---- */

static void test_an_upload_stays(void **state)
{
	struct flow *f = handshake();

	keep_end[0] = false;
	keep[0] = 10;
	pass_to[0] = 50 * PART;
	for (int i = 0; i < 50; i++)
		part(FLOW_TO_SERVER);
	assert_int_equal(passed[0], 1);
	assert_true(track_pool(track)->used < 5 * PART);
	assert_int_equal(track_log(f, FLOW_TO_SERVER, 10).n, PART - 10);
	assert_int_equal(track_log(f, FLOW_TO_SERVER, PART).n, 0);
	part(FLOW_TO_CLIENT); /* that is shown as ever */
	assert_shown(50 * PART, PART);
	assert_int_equal(readings, 0);
	track_recall(track, f);
	assert_log(f, FLOW_TO_SERVER, 10, 50 * PART);
	assert_int_equal(readings, 49);
	assert_shown(50 * PART, PART);
	keep[0] = 51 * PART;
	part(FLOW_TO_SERVER);
	assert_log(f, FLOW_TO_SERVER, 51 * PART, 51 * PART);
}

static void test_goes_on_behind_what_is_kept(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 3 * PART;
	for (int i = 0; i < 3; i++)
		part(FLOW_TO_CLIENT);
	acknowledge(FLOW_TO_SERVER, 2 * PART - 10);
	part(FLOW_TO_CLIENT);
	assert_shown(0, 4 * PART);
	assert_log(f, FLOW_TO_CLIENT, 2 * PART - 10, 4 * PART);
}

/* ---- where nothing passes ---- */

static void test_more_than_the_log_may_have(void **state)
{
	handshake();
	keep_end[0] = false;
	keep[0] = 0;
	pass_to[0] = config.stream_max + 1;
	part(FLOW_TO_SERVER);
	part(FLOW_TO_SERVER);
	assert_shown(2 * PART, 0);
	pass_to[0] = config.stream_max;
	part(FLOW_TO_SERVER);
	part(FLOW_TO_SERVER);
	assert_shown(3 * PART, 0);
}

static void test_nothing_was_asked_for(void **state)
{
	handshake();
	keep_end[0] = false;
	pass_to[0] = 9 * PART;
	part(FLOW_TO_SERVER);
	part(FLOW_TO_SERVER);
	assert_shown(2 * PART, 0);
}

static void test_too_many_notes(void **state)
{
	struct flow *f = handshake();
	uint64_t off = 0;

	pass_to[0] = config.stream_max;
	for (int i = 0; i <= 16385; i++, off += 2) {
		assert_shown(off ? 2 : 0, 0);
		part_of(FLOW_TO_SERVER, off, 2, NULL);
	}
	assert_shown(off, 0); /* the first segment, all notes, and one more */
	assert_int_equal(f->marks, 0);
}

/* The source does not hold what the segment has: nothing is noted that would be wrong. */
static void test_from_elsewhere(void **state)
{
	handshake();
	pass_to[0] = 9 * PART;
	part(FLOW_TO_SERVER);
	c(A, PART, 0, PART);
	assert_shown(2 * PART, 0);
}

static void test_the_source_is_gone(void **state)
{
	struct flow *f = handshake();

	pass_to[1] = 9 * PART;
	for (int i = 0; i < 4; i++)
		part(FLOW_TO_CLIENT);
	is_gone = true;
	track_catch_up(track, f);
	assert_int_equal(gaps[1], 1);
	assert_int_equal(gap_from[1], PART);
	assert_int_equal(gap_to[1], 4 * PART);
	assert_int_equal(f->marks, FLOW_MARK_GAP_TO_CLIENT);
	assert_log(f, FLOW_TO_CLIENT, 4 * PART, 4 * PART);
}

#define PASS(f) cmocka_unit_test_setup_teardown(f, set_up_passing, tear_down_passing)

int main(void)
{
	const struct CMUnitTest tests[] = {
		PASS(test_all_come),
		PASS(test_ended_unread),
		PASS(test_asked_for),
		PASS(test_shown_with_their_times),
		PASS(test_the_other_end_speaks),
		PASS(test_longer_than_said),
		PASS(test_a_fin),
		PASS(test_a_hole),
		PASS(test_held_before),
		PASS(test_the_last_segment_again),
		PASS(test_other_bytes_again),
		PASS(test_an_upload_stays),
		PASS(test_goes_on_behind_what_is_kept),
		PASS(test_more_than_the_log_may_have),
		PASS(test_nothing_was_asked_for),
		PASS(test_too_many_notes),
		PASS(test_from_elsewhere),
		PASS(test_the_source_is_gone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
