/* SPDX-License-Identifier: GPL-3.0-or-later */
/* One direction is captured later than the other: what is seen before its cause waits for it. */
#include "test/track-script.h"

#define EVENTS_MAX   4096
#define REQUEST      100
#define PIECE        1000
#define PIECES       3
#define BLOCK_NS     (2 * NS_PER_MS)
#define STEP_NS      (50 * NS_PER_US)
#define DELAYS_COUNT 6

static const int64_t delays[DELAYS_COUNT] = {
	0, 1 * NS_PER_MS, 2 * NS_PER_MS, 5 * NS_PER_MS, 20 * NS_PER_MS, 200 * NS_PER_MS};

/* ---- a conversation, in the order of the wire ---- */

struct event {
	int64_t at_ns, seen_ns;
	enum flow_dir d;
	int flags;
	int64_t off, ack;
	uint32_t n;
};

static struct event events[EVENTS_MAX];
static uint32_t event_count;
static int64_t said[2]; /* how far each end has sent, its FIN counted */

static void say(enum flow_dir d, int flags, uint32_t n)
{
	int64_t at = event_count ? events[event_count - 1].at_ns + STEP_NS : now;

	assert_true(event_count < EVENTS_MAX);
	events[event_count++] = (struct event){
		.at_ns = at, .d = d, .flags = flags, .off = said[d], .ack = said[!d], .n = n};
	said[d] += n + !!(flags & F);
}

/* Requests and responses; the end @first sends the requests. Then both ends close. */
static void converse(enum flow_dir first, int rounds)
{
	event_count = 0;
	said[0] = said[1] = -1;
	say(FLOW_TO_SERVER, S, 0);
	said[0] = 0;
	say(FLOW_TO_CLIENT, S | A, 0);
	said[1] = 0;
	say(FLOW_TO_SERVER, A, 0);
	for (int i = 0; i < rounds; i++) {
		say(first, A, REQUEST);
		say(!first, A, 0);
		for (int k = 0; k < PIECES; k++)
			say(!first, A, PIECE);
		say(first, A, 0);
	}
	say(FLOW_TO_CLIENT, F | A, 0);
	say(FLOW_TO_SERVER, F | A, 0);
	say(FLOW_TO_CLIENT, A, 0);
}

/* Nothing is shown before the bytes that its sender had received when it was sent. */
static void assert_cause_shown(enum flow_dir d, uint64_t off, size_t n)
{
	for (uint32_t i = 0; i < event_count; i++) {
		const struct event *e = &events[i];
		if (e->d == d && e->n > 0 && (uint64_t)e->off < off + n &&
		    off < (uint64_t)e->off + e->n)
			assert_true((int64_t)shown[!d] >= e->ack);
	}
}

static int by_seen(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->seen_ns != y->seen_ns)
		return x->seen_ns < y->seen_ns ? -1 : 1;
	return x->at_ns < y->at_ns ? -1 : x->at_ns > y->at_ns;
}

/* Plays the segments to the tracker in the order of their capture times. */
static void play(void)
{
	static struct event order[EVENTS_MAX];

	memcpy(order, events, event_count * sizeof order[0]);
	qsort(order, event_count, sizeof order[0], by_seen);
	before_shown = assert_cause_shown;
	restart();
	for (uint32_t i = 0; i < event_count; i++) {
		const struct event *e = &order[i];
		for (; now + 10 * NS_PER_MS < e->seen_ns; now += 10 * NS_PER_MS)
			track_tick(track, now);
		now = e->seen_ns;
		emit(e->d, e->flags, e->off, e->ack, e->n);
	}
	assert_int_equal(closes, 1);
	assert_int_equal(why, TRACK_CLOSE_FIN);
	for (int d = 0; d < 2; d++) {
		assert_int_equal(gaps[d], 0);
		assert_int_equal(fins[d], 1);
		assert_int_equal(shown[d] + 1, said[d]);
	}
	assert_int_equal(track_pool(track)->used, 0);
}

static void test_one_direction_late(void **state)
{
	config.hole_timeout_ns = TRACK_HOLE_TIMEOUT_NS;
	config.stream_max = 1 << 20;
	config.buffer_max = 4 << 20;
	for (int first = 0; first < 2; first++)
		for (int late = 0; late < 2; late++)
			for (int i = 0; i < DELAYS_COUNT; i++) {
				converse((enum flow_dir)first, 300);
				for (uint32_t k = 0; k < event_count; k++)
					events[k].seen_ns =
						events[k].at_ns +
						((int)events[k].d == late ? delays[i] : 0);
				play();
			}
}

/* Two rings are read in turn: from each come the frames of one block's time. */
static void test_a_ring_for_each_direction(void **state)
{
	for (int first = 0; first < 2; first++)
		for (int before = 0; before < 2; before++) {
			converse((enum flow_dir)first, 300);
			for (uint32_t k = 0; k < event_count; k++) {
				int64_t block = events[k].at_ns / BLOCK_NS * BLOCK_NS;
				events[k].seen_ns = block + ((int)events[k].d != before);
			}
			play();
		}
}

/* ---- bytes that never come ---- */

static void test_the_cause_was_lost(void **state)
{
	handshake();
	s(A, 0, 100, 50);
	assert_int_equal(shown[1], 0);
	now += config.hole_timeout_ns;
	track_tick(track, now);
	assert_int_equal(gap_to[0], 100);
	assert_int_equal(shown[1], 50);
	/* Nothing came from the other direction: it is not waited for again. */
	s(A, 50, 200, 50);
	assert_int_equal(shown[1], 100);
	/* Now something has come. */
	now += config.hole_timeout_ns;
	track_tick(track, now);
	assert_int_equal(gap_to[0], 200);
	c(A, 200, 100, 10);
	s(A, 100, 230, 50);
	assert_int_equal(shown[1], 100);
	c(A, 210, 100, 20);
	assert_int_equal(shown[1], 150);
	assert_int_equal(track_stats(track)->waited[1], 2);
	assert_int_equal(track_stats(track)->out_of_order[1], 0);
}

/*
 * A segment was captured only at its retransmission, with a newer ACK: neither direction has to
 * wait.
 */
static void test_each_for_the_other(void **state)
{
	handshake();
	c(A, 0, 0, 100);
	/* The capture has lost the answer of 50 bytes. */
	c(A, 100, 50, 100);
	assert_int_equal(shown[0], 100);
	s(A, 0, 200, 50); /* a retransmission */
	assert_int_equal(shown[0], 200);
	assert_int_equal(shown[1], 50);

	restart();
	handshake();
	c(A, 0, 0, 100);
	s(A, 50, 100, 50);
	c(A, 100, 100, 100);
	s(A, 100, 200, 50);
	assert_int_equal(shown[1], 0);
	s(A, 0, 200, 50);
	assert_int_equal(shown[0], 200);
	assert_int_equal(shown[1], 150);
	assert_int_equal(gaps[0] + gaps[1], 0);
}

/* Bytes beyond a hole wait for their own cause once the hole is filled. */
static void test_behind_a_hole(void **state)
{
	handshake();
	c(A, 0, 0, 100);
	s(A, 50, 200, 50); /* answers the next request, which was not captured */
	s(A, 0, 100, 50);
	assert_int_equal(shown[1], 50);
	c(A, 100, 50, 100);
	assert_int_equal(shown[1], 100);
}

/* One SYN was lost, and bytes behind it: what was held for both is shown when nothing more comes.
 */
static void test_behind_a_hole_and_half_shaken(void **state)
{
	c(S, -1, 0, 0);
	c(A, 0, 0, 0);
	s(A, 20, 0, 30);
	c(A, 0, 50, 0);
	assert_int_equal(shown[1], 0);
	struct flow *f = the_flow();
	track_settle(track, f);
	assert_int_equal(gap_to[1], 20);
	assert_int_equal(shown[1], 50);
	assert_int_equal(f->stream[1].next, f->acked[1]);
}

static void test_a_fin_waits(void **state)
{
	handshake();
	s(A | F, 0, 100, 0);
	assert_int_equal(fins[1], 0);
	c(A, 0, 0, 100);
	assert_int_equal(fins[1], 1);
	s(A, 1, 101, 0); /* the client's FIN was not captured */
	assert_int_equal(fins[0], 0);
	c(A | F, 100, 1, 0);
	assert_int_equal(closes, 1);
	assert_int_equal(fins[0], 1);

	restart(); /* what comes behind the end of the request answers it */
	handshake();
	s(A, 0, 101, 50);
	c(A, 0, 0, 100);
	assert_int_equal(shown[1], 0);
	c(A | F, 100, 0, 0);
	assert_int_equal(fins[0], 1);
	assert_int_equal(shown[1], 50);
}

/* ---- ceilings ---- */

static void test_no_room_to_wait(void **state)
{
	struct flow *f = handshake();
	uint64_t off = 0;

	for (; off < 2 * config.stream_max; off += 1000) {
		s(A, (int64_t)off, 100, 1000);
		/* The client's ACKs would move this edge. They come in the other direction. */
		f->edge[1] = off + 60000;
	}
	assert_int_equal(gap_to[0], 100); /* the client's bytes count as lost, these do not */
	assert_int_equal(gaps[1], 0);
	assert_int_equal(shown[1], off);
	assert_int_equal(track_stats(track)->wait_refused[1], 1);
}

/* Whoever makes bytes wait in many connections at once gets no more than the memory of the
 * streams. */
static void test_all_that_waits_has_one_ceiling(void **state)
{
	const uint16_t flows = 16;
	const int64_t rounds = 2000;

	config.buffer_max = 1 << 18;
	restart();
	for (uint16_t i = 0; i < flows; i++, client.port++) {
		memset(shown, 0, sizeof shown);
		handshake();
		for (int64_t k = 0; k < rounds; k++)
			s(A, k, 10 * (k + 1), 1);
		if (i == 0)
			assert_true(track_pool(track)->used >=
				    (size_t)rounds * sizeof(struct flow_need));
		assert_true(track_pool(track)->used <= config.buffer_max);
	}
	assert_true(track_stats(track)->wait_refused[1] > 0);
	for (uint16_t i = 0; i < flows; i++) {
		client.port--;
		track_drop(track, the_flow());
	}
	assert_int_equal(track_pool(track)->used, 0);
}

static void test_too_much_to_wait_for(void **state)
{
	const int64_t rounds = 5000;

	handshake();
	for (int64_t i = 0; i < rounds; i++)
		s(A, i, 10 * (i + 1), 1);
	assert_int_equal(gaps[1], 0);
	assert_int_equal(gaps[0], 1);
	assert_true(shown[1] > 0);
	assert_int_equal(track_stats(track)->wait_refused[1], 1);
	for (int64_t i = 0; i < rounds; i++)
		c(A, 10 * i, i, 10);
	assert_int_equal(shown[0], 10 * rounds);
	assert_int_equal(shown[1], rounds);
}

/*
 * Bytes of a stranger in the server's name acknowledge what the client is about to send. They wait,
 * or do not if the list is full. They differ from the server's bytes, and that is found.
 */
static void test_strangers_bytes_in_the_list(void **state)
{
	static const uint8_t words[50] = "HTTP/1.1 200 OK";

	for (int full = 0; full < 2; full++) {
		restart();
		struct flow *f = handshake();
		int64_t at = full ? 5000 : 0;
		for (int64_t i = 0; i < at; i++)
			s(A, i, 10 * (i + 1), 1);
		assert_int_equal(track_stats(track)->wait_refused[1] > 0, full);
		s(A, at, 10 * (at + 1), sizeof words); /* the stranger's bytes are the pattern */
		c(A, 0, 0, 100);
		payload = words;
		s(A, at, 10 * (at + 1), sizeof words);
		payload = NULL;
		assert_true(f->marks & FLOW_MARK_AMBIGUOUS_TO_CLIENT);
		assert_true(f->stream[1].doubt_from >= (uint64_t)at);
		assert_true(f->stream[1].doubt_to > (uint64_t)at);
	}
}

/* ---- the end of waiting ---- */

static void test_nothing_waits_in_a_takeover(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 100, 50);
	track_settle(track, f);
	assert_int_equal(gap_to[0], 100);
	assert_int_equal(shown[1], 50);
	track_probe_begin(f);
	/* Acknowledges 40 bytes that the dead server sent, and that were not captured. */
	c(A, 100, 90, 10);
	assert_int_equal(shown[0], 110);
}

static void test_a_copy_waits_as_well(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 100, 50);
	s(A, 50, 200, 50);
	struct track *other = track_new(&config, &sink, NULL), *mine = track;
	assert_non_null(other);
	struct flow *copy;
	track = other; /* the callbacks look it up there */
	track_tick(other, now);
	copy = track_clone(other, f);
	assert_non_null(copy);
	c(A, 0, 0, 100);
	assert_int_equal(shown[1], 50);
	track_settle(other, copy);
	assert_int_equal(shown[1], 100);
	assert_int_equal(f->stream[1].next, 0);
	track_free(other);
	track = mine;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_one_direction_late),
		CASE(test_a_ring_for_each_direction),
		CASE(test_the_cause_was_lost),
		CASE(test_each_for_the_other),
		CASE(test_behind_a_hole),
		CASE(test_behind_a_hole_and_half_shaken),
		CASE(test_a_fin_waits),
		CASE(test_no_room_to_wait),
		CASE(test_too_much_to_wait_for),
		CASE(test_all_that_waits_has_one_ceiling),
		CASE(test_strangers_bytes_in_the_list),
		CASE(test_nothing_waits_in_a_takeover),
		CASE(test_a_copy_waits_as_well),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
