/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Connections older than the box: what the module is told, the plan says and a socket gets. */
#include "pickup.h"
#include "plan.h"
#include "test/watch-rig.h"

static struct plan plan_of(const struct flow *f)
{
	struct plan p;

	assert_non_null(f);
	plan_make(f->user, &p);
	return p;
}

static struct snapshot snapshot_of(const struct flow *f)
{
	struct snapshot n;

	plan_snapshot(f, &n);
	return n;
}

static void assert_refused(const struct flow *f, const char *reason, const char *detail)
{
	struct plan p = plan_of(f);

	assert_false(p.cont);
	assert_string_equal(p.reason, reason);
	assert_string_equal(p.detail, detail);
}

/* Makes one exchange: the client's window field is @field, and @n bytes are sent at once. */
static struct flow *exchange(int round, uint16_t field, uint32_t n)
{
	rig.window = field;
	client(TCP_ACK, round * 100, (int64_t)round * n, 100);
	server(TCP_ACK, (int64_t)round * n, (round + 1) * 100, n);
	return client(TCP_ACK, (round + 1) * 100, (int64_t)(round + 1) * n, 0);
}

/* The refusal names the option that is missing, and what is known of it. */
static void test_refused_with_what_is_missing(void **state)
{
	struct flow *f = client(TCP_ACK, 0, 0, 10);

	assert_refused(f, "handshake-not-seen", "all options: nothing of the server was seen yet");
	rig.window = 500;
	server(TCP_ACK, 0, 10, 10);
	client(TCP_ACK, 10, 10, 0);
	f = client(TCP_ACK | TCP_PSH, 10, 10, 10);
	assert_int_equal(f->marks, FLOW_MARK_INFERRED); /* its first window was 60000 */
	rig.client.port++;
	rig.bytes[0] = rig.bytes[1] = 0;
	exchange(0, 500, 2600);
	f = exchange(1, 500, 2600);
	assert_refused(f, "handshake-not-seen", "window scale of the client: between 2 and 14");
	rig.client.port++;
	rig.bytes[0] = rig.bytes[1] = 0;
	/* From half a handshake nothing is inferred. */
	f = server(TCP_SYN | TCP_ACK, -1, 0, 0);
	assert_refused(f, "handshake-not-seen",
		       "one half of the handshake was not seen: its TCP options are unknown");
}

static void test_continued(void **state)
{
	char text[INFER_TEXT_MAX];

	exchange(0, 502, 14480);
	struct flow *f = exchange(1, 502, 14480);
	assert_true(plan_of(f).cont);
	struct snapshot n = snapshot_of(f);
	assert_true(n.wscale_ok);
	assert_int_equal(n.snd_wscale, 5);
	assert_int_equal(n.rcv_wscale, 0);
	assert_int_equal(n.snd_wnd, 502 << 5);
	assert_int_equal(n.max_window, 502 << 5);
	assert_int_equal(n.mss, 536);
	assert_false(n.sack_ok || n.ts_ok);
	assert_int_equal(n.snd_una, (uint32_t)(RIG_ISN_SERVER + 1 + 2 * 14480));
	assert_int_equal(n.snd_nxt, n.snd_una);
	assert_int_equal(n.rcv_nxt, (uint32_t)(RIG_ISN_CLIENT + 1 + 200));
	/* A client that has seen a window of 502 may not see a smaller one. */
	assert_int_equal(n.rcv_edge - n.rcv_nxt, 502);
	assert_true(pickup_explain(f, INFER_SCALE_CLIENT, text));
	assert_string_equal(text, "window scale of the client: between 5 and 14; 5 is safe and "
				  "used; 14480 in flight on a field of 502");
	rig.sacked_to = 2 * 14480;
	client(TCP_ACK, 200, 2 * 14480, 0);
	assert_true(snapshot_of(f).sack_ok);

	/* The encoded form can be decoded again. */
	uint8_t room[SNAPSHOT_BYTES_MAX];
	struct writer w = WRITER_IN(room);
	struct snapshot again;
	snapshot_encode(&n, &w);
	assert_true(writer_ok(&w));
	struct reader r = reader_init(writer_view(&w));
	assert_int_equal(snapshot_decode(&r, &again), SNAPSHOT_OK);
	assert_int_equal(again.snd_wscale, 5);
}

static void test_timestamps(void **state)
{
	rig.syn.seen |= TCP_OPT_TIMESTAMP; /* in every segment from now on */
	rig.answer.seen |= TCP_OPT_TIMESTAMP;
	rig.tsval[FLOW_TO_CLIENT] = 777;
	struct flow *f = exchange(0, 60000, 100);
	assert_true(plan_of(f).cont);
	assert_true(snapshot_of(f).ts_ok);
	assert_int_equal(snapshot_of(f).tsval, 777);
	rig.syn.seen = 0;
	client(TCP_ACK, 100, 100, 0);
	assert_refused(f, "handshake-not-seen", "timestamps: in some segments, not in others");
}

static void test_others_explain_nothing(void **state)
{
	struct flow *f = rig_handshake()->flow;
	char text[INFER_TEXT_MAX] = "as it was";

	assert_false(pickup_explain(f, INFER_MSS, text));
	pickup_missing(f, text);
	assert_string_equal(text, "as it was");
	assert_int_equal(snapshot_of(f).mss, 1400);
}

/* The module is opened at once, and told that bytes came before. */
static void test_module_is_told(void **state)
{
	struct flow *f = client(TCP_ACK, 0, 0, 40);

	assert_non_null(f);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(rig.opens, 1);
	assert_int_equal(rig.gaps, 2);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER], 40);
	server(TCP_ACK, 0, 40, 30);
	assert_int_equal(rig.bytes[FLOW_TO_CLIENT], 30);
	assert_int_equal(rig.gaps, 2);
}

static void test_module_does_not_want_it(void **state)
{
	rig.gap_result = JEEBS_GIVE_UP;
	rig.keep[FLOW_TO_SERVER] = 0;
	struct flow *f = client(TCP_ACK, 0, 0, 40);
	assert_int_equal(watch_flow(f)->listener.stage, WATCH_GAVE_UP);
	assert_int_equal(rig.gaps, 1);
	server(TCP_ACK, 0, 40, 30);
	assert_int_equal(rig.bytes[FLOW_TO_SERVER] + rig.bytes[FLOW_TO_CLIENT], 0);
	client(TCP_ACK, 40, 30, 0);
	assert_int_equal(track_pool(watch_track(rig.watch))->used, 0);
	assert_string_equal(plan_of(f).module, "rig"); /* the module's plan says why */
	assert_int_equal(rig.plans, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_refused_with_what_is_missing),
		TEST(test_continued),
		TEST(test_timestamps),
		TEST(test_others_explain_nothing),
		TEST(test_module_is_told),
		TEST(test_module_does_not_want_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
