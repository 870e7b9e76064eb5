/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Numbers of a socket against the segments of the wire: right ones pass, each wrong one is named.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/clock.h"
#include "drill-check.h"
#include "watch/plan.h"

#define CLIENT_ISN 0xffffff00u /* both wrap in the middle of the data */
#define SERVER_ISN 0xfffffff0u
#define EVENTS_MAX 64
#define SCALE      4

static struct endpoint server, client;
static struct track *track;
static struct drill_event event[EVENTS_MAX];
static struct drill_events events;
static struct flow *flow;
static uint8_t payload[1000];

static void wire(enum flow_dir d, uint8_t flags, uint64_t off, size_t n, uint64_t ack,
		 uint16_t window)
{
	bool c = d == FLOW_TO_SERVER, syn = flags & TCP_SYN;
	struct segment s = {
		.src = c ? client : server,
		.dst = c ? server : client,
		.seq = (c ? CLIENT_ISN : SERVER_ISN) + !syn + (uint32_t)off,
		.ack = (c ? SERVER_ISN : CLIENT_ISN) + 1 + (uint32_t)ack,
		.window = window,
		.flags = flags,
		.payload = bytes_of(payload, n),
		.payload_len = (uint32_t)n,
		.opt = {.seen = TCP_OPT_TIMESTAMP, .tsval = 1000 + events.n},
		.time_ns = (int64_t)(events.n + 1) * NS_PER_MS,
	};

	if (syn) {
		s.opt.seen |= TCP_OPT_WSCALE;
		s.opt.wscale = SCALE;
	}
	flow = track_segment(track, &s);
	assert_non_null(flow);
	assert_true(events.n < EVENTS_MAX);
	event[events.n] = drill_event_of(flow, &s, events.n + 1);
	events.n++;
}

/*
 * Data in both directions: 700 bytes of the client and 900 of the server, of which 400 are
 * acknowledged.
 */
static int set_up(void **state)
{
	struct track_config tc = {
		.max_flows = 4,
		.buffer_max = 1 << 20,
		.stream_max = 1 << 20,
		.hole_timeout_ns = NS_PER_S,
		.services = &server,
		.service_count = 1,
	};
	struct track_sink sink = {0};

	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &server), 0);
	assert_int_equal(endpoint_parse("10.1.0.7:40000", false, &client), 0);
	track = track_new(&tc, &sink, NULL);
	assert_non_null(track);
	events = (struct drill_events){
		.v = event,
		.handshake = true,
		.isn = {CLIENT_ISN, SERVER_ISN},
		.wscale = {SCALE, SCALE},
	};
	wire(FLOW_TO_SERVER, TCP_SYN, 0, 0, 0, 60000);
	wire(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, 0, 0, 0, 50000);
	wire(FLOW_TO_SERVER, TCP_ACK, 0, 700, 0, 2000);
	wire(FLOW_TO_CLIENT, TCP_ACK, 0, 400, 700, 3000);
	wire(FLOW_TO_SERVER, TCP_ACK, 700, 0, 400, 1900);
	wire(FLOW_TO_CLIENT, TCP_ACK, 400, 500, 700, 2900); /* the window shrinks, its edge stays */
	return 0;
}

static int tear_down(void **state)
{
	track_free(track);
	return 0;
}

static struct snapshot at_cut(struct drill_position *ret)
{
	struct snapshot s;

	drill_events_link(&events);
	drill_events_read(&events, events.n);
	plan_snapshot(flow, &s);
	*ret = (struct drill_position){
		.to_server_end = flow->stream[FLOW_TO_SERVER].next,
		.to_client_end = flow->stream[FLOW_TO_CLIENT].next,
		.now_ns = (int64_t)events.n * NS_PER_MS,
	};
	return s;
}

static void test_right(void **state)
{
	struct drill_position at;
	struct snapshot s = at_cut(&at);

	assert_null(drill_check_snapshot(&events, &s, &at));
	assert_int_equal(s.snd_una, (uint32_t)(SERVER_ISN + 1 + 400));
}

/* Each number is tested one too large and one too small. */
static void test_each_number_wrong(void **state)
{
	struct drill_position at;
	const struct snapshot right = at_cut(&at);
	static const struct {
		size_t field;
		int32_t by;
		const char *word;
	} wrong[] = {
		{offsetof(struct snapshot, snd_una), 1, "snd-una-differs"},
		{offsetof(struct snapshot, snd_una), -1, "snd-una-differs"},
		{offsetof(struct snapshot, snd_nxt), -501, "snd-nxt-differs"},
		{offsetof(struct snapshot, rcv_nxt), -1, "rcv-nxt-differs"},
		{offsetof(struct snapshot, rcv_edge), 1, "right-edge-differs"},
		{offsetof(struct snapshot, rcv_edge), -1, "right-edge-differs"},
		{offsetof(struct snapshot, max_window), 1, "window-differs"},
		{offsetof(struct snapshot, snd_wnd), -1, "window-differs"},
		{offsetof(struct snapshot, tsval), -1000, "tsval-runs-back"},
	};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		struct snapshot s = right;
		uint32_t v;
		memcpy(&v, (uint8_t *)&s + wrong[i].field, sizeof v);
		v += (uint32_t)wrong[i].by;
		memcpy((uint8_t *)&s + wrong[i].field, &v, sizeof v);
		const char *word = drill_check_snapshot(&events, &s, &at);
		assert_non_null(word);
		assert_string_equal(word, wrong[i].word);
	}
}

/*
 * The next ACK of the client shows what it held at the cut, unless the server sent something in
 * between.
 */
static void test_answer(void **state)
{
	struct drill_position at;
	struct snapshot s = at_cut(&at);
	uint32_t cut = events.n;

	assert_int_equal(drill_events_answer(&events), -1);
	wire(FLOW_TO_SERVER, TCP_ACK, 700, 0, 900, 1900);
	drill_events_link(&events);
	assert_int_equal(events.at, cut);
	assert_int_equal(drill_events_answer(&events), 900);
	assert_null(drill_check_snapshot(&events, &s, &at));
	s.snd_una += 500; /* as the client's answer would */
	assert_null(drill_check_snapshot(&events, &s, &at));
	s.snd_una++;
	assert_string_equal(drill_check_snapshot(&events, &s, &at), "snd-una-differs");
	s.snd_una -= 2;
	s.snd_nxt -= 1;
	assert_string_equal(drill_check_snapshot(&events, &s, &at), "snd-nxt-differs");
}

static void test_no_answer_behind_a_retransmission(void **state)
{
	struct drill_position at;

	at_cut(&at);
	wire(FLOW_TO_CLIENT, TCP_ACK, 400, 500, 700, 2900);
	wire(FLOW_TO_SERVER, TCP_ACK, 700, 0, 900, 1900);
	drill_events_link(&events);
	assert_int_equal(drill_events_answer(&events), -1);
}

/* A FIN takes one number. */
static void test_fins(void **state)
{
	struct drill_position at;

	wire(FLOW_TO_SERVER, TCP_ACK | TCP_FIN, 700, 0, 900, 1900);
	wire(FLOW_TO_CLIENT, TCP_ACK | TCP_FIN, 900, 0, 701, 2900);
	struct snapshot s = at_cut(&at);
	assert_true(s.client_fin && s.server_fin);
	assert_null(drill_check_snapshot(&events, &s, &at));
	s.rcv_nxt--;
	assert_string_equal(drill_check_snapshot(&events, &s, &at), "rcv-nxt-differs");
}

/* What acknowledges bytes of before the beginning advertises nothing, and is no acknowledgement. */
static void test_ack_before_the_beginning(void **state)
{
	struct drill_position at;

	wire(FLOW_TO_CLIENT, TCP_ACK, 900, 10, (uint64_t)-40, 60000);
	struct snapshot s = at_cut(&at);
	assert_null(drill_check_snapshot(&events, &s, &at));
}

/* An ACK is captured before the SYN-ACK: it is judged by what the number turns out to mean. */
static void test_early_ack(void **state)
{
	struct drill_position at;
	struct endpoint other = client;

	for (int wrong = 0; wrong < 2; wrong++) {
		client.port++;
		events.n = 0;
		events.at = 0;
		memset(events.acked, 0, sizeof events.acked);
		events.edge = events.window_max = 0;
		events.has_ts = false;
		wire(FLOW_TO_SERVER, TCP_SYN, 0, 0, 0, 500);
		wire(FLOW_TO_SERVER, TCP_ACK, 0, 0, wrong ? (uint64_t)-100000000 : 0, 400);
		wire(FLOW_TO_CLIENT, TCP_SYN | TCP_ACK, 0, 0, 0, 500);
		struct snapshot s = at_cut(&at);
		assert_null(drill_check_snapshot(&events, &s, &at));
		assert_int_equal(events.window_max, wrong ? 500 : 400 << SCALE);
	}
	client = other;
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_right),     CASE(test_each_number_wrong),
		CASE(test_answer),    CASE(test_no_answer_behind_a_retransmission),
		CASE(test_fins),      CASE(test_ack_before_the_beginning),
		CASE(test_early_ack),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
