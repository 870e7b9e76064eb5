/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "takeover.h"
#include "test/watch-rig.h"

static struct plan plan_of(const struct flow *f)
{
	struct plan p;

	assert_non_null(f);
	plan_make(f->user, &p);
	assert_non_null(p.reason);
	assert_non_null(memchr(p.detail, 0, sizeof p.detail));
	return p;
}

static void assert_refused(const struct flow *f, const char *reason)
{
	struct plan p = plan_of(f);

	assert_false(p.cont);
	assert_string_equal(p.reason, reason);
}

/* ---- refusals of the transport ---- */

static void test_handshake_not_seen(void **state)
{
	struct flow *f = client(TCP_ACK, 0, 0, 10);

	assert_refused(f, "handshake-not-seen");
	rig.client.port++;
	f = server(TCP_SYN | TCP_ACK, -1, 0, 0);
	assert_refused(f, "handshake-not-seen");
	f = client(TCP_SYN, -1, 0, 0);
	assert_true(plan_of(f).cont);
}

static void test_mptcp(void **state)
{
	rig.syn.seen |= TCP_OPT_MPTCP;
	struct flow *f = rig_handshake()->flow;
	assert_true(plan_of(f).cont); /* it was offered, but not agreed to */
	rig.answer.seen |= TCP_OPT_MPTCP;
	rig.client.port++;
	f = rig_handshake()->flow;
	assert_refused(f, "mptcp");
}

static void test_signed(void **state)
{
	rig.syn.seen |= TCP_OPT_MD5;
	assert_refused(rig_handshake()->flow, "tcp-signed");
	rig.syn.seen ^= TCP_OPT_MD5 | TCP_OPT_AO;
	rig.client.port++;
	assert_refused(rig_handshake()->flow, "tcp-signed");
}

static void test_urgent(void **state)
{
	rig_handshake();
	assert_refused(client(TCP_ACK | TCP_URG, 0, 0, 10), "urgent-data");
}

static void test_fragments(void **state)
{
	struct flow *f = rig_handshake()->flow;
	struct segment g = {.src = rig.client, .dst = rig.server, .time_ns = rig.now_ns};

	g.src.port = g.dst.port = 0;
	track_fragment(watch_track(rig.watch), &g);
	track_tick(watch_track(rig.watch), rig.now_ns);
	assert_refused(f, "ip-fragments");
}

static void test_bad_options(void **state)
{
	rig.answer.seen |= TCP_OPT_BAD;
	assert_refused(rig_handshake()->flow, "bad-options");
}

static void test_no_module(void **state)
{
	rig.open_result = JEEBS_GIVE_UP;
	struct flow *f = rig_handshake()->flow;
	assert_refused(f, "no-module");
	assert_string_equal(plan_of(f).module, "-");
	watch_free(rig.watch);
	rig.service.module = NULL;
	rig_start(65536);
	assert_refused(rig_handshake()->flow, "no-module");
}

/* What the capture may have lost of the client the client is asked for. */
static void test_client_unheard(void **state)
{
	struct flow *f = rig_handshake()->flow;

	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 0);
	track_capture_drops(watch_track(rig.watch), rig.now_ns);
	assert_true(plan_of(f).cont);
	track_probe_begin(f);
	assert_refused(f, "client-unheard");
	client(TCP_ACK, 100, 0, 0);
	assert_true(plan_of(f).cont);

	/* It need not be asked for what it has said since. */
	rig.now_ns++;
	track_probe_begin(f);
	assert_true(plan_of(f).cont);
	track_capture_drops(watch_track(rig.watch), rig.now_ns);
	assert_refused(f, "client-unheard");
	client(TCP_ACK | TCP_FIN, 100, 0, 0);
	assert_true(plan_of(f).cont);
}

static void test_client_bytes_lost(void **state)
{
	struct flow *f = rig_handshake()->flow;

	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 150, 0);
	/* On a running connection they may still come. */
	assert_refused(f, "client-bytes-lost");
	track_settle(watch_track(rig.watch), f);
	/* The module was told of the gap, so the module decides. */
	assert_int_equal(rig.gaps, 1);
	assert_string_equal(plan_of(f).module, "rig");
	assert_true(plan_of(f).cont);
}

/* Bytes that were sent beyond a hole are not in flight for the box: the module makes them again. */
static void test_hole_beyond_what_is_in_flight(void **state)
{
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 150, 0, 50);
	assert_int_equal(plan_in_flight(f), 100);
	assert_true(plan_of(f).cont);
	assert_int_equal(rig.cut.to_client_end, 100);
	client(TCP_ACK, 0, 120, 0); /* the client has 20 bytes of the hole */
	track_settle(watch_track(rig.watch), f);
	assert_int_equal(plan_in_flight(f), 0);
	assert_true(plan_of(f).cont);
	assert_int_equal(rig.cut.to_client_end, 120);
	/* The client has all of it, and the box has what follows the gap. */
	client(TCP_ACK, 0, 200, 0);
	track_settle(watch_track(rig.watch), f);
	assert_true(plan_of(f).cont);
	assert_int_equal(rig.cut.to_client_end, 200);
}

/* A client without SACK may hold a FIN behind a hole, and does not say so. */
static void test_fin_beyond_a_hole(void **state)
{
	rig.syn.seen = rig.answer.seen = TCP_OPT_MSS;
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	assert_true(plan_of(f).cont);
	server(TCP_ACK | TCP_FIN, 150, 0, 0);
	assert_refused(f, "server-bytes-lost");
	client(TCP_ACK, 0, 151, 0);
	track_settle(watch_track(rig.watch), f);
	assert_true(plan_of(f).cont);
	assert_true(rig.cut.server_fin);
}

static void test_server_bytes_lost(void **state)
{
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	/* The tracker declares no gap beyond what is acknowledged. If it did: */
	f->stream[FLOW_TO_CLIENT].gap_end = 50;
	assert_refused(f, "server-bytes-lost");
	client(TCP_ACK, 0, 50, 0);
	assert_true(plan_of(f).cont);
}

/* Bytes that the client holds behind a hole were on the wire, and nobody knows what they were. */
static void test_client_holds_what_was_not_captured(void **state)
{
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	rig.sacked_to = 200;
	client(TCP_ACK, 0, 50, 0);
	assert_refused(f, "server-bytes-lost");
	server(TCP_ACK, 150, 0, 50); /* captured now, but not the bytes before it */
	assert_refused(f, "server-bytes-lost");
	server(TCP_ACK, 100, 0, 50);
	assert_true(plan_of(f).cont);
	assert_int_equal(rig.cut.to_client_end, 200);
	struct takeover_item *item = takeover_extract(watch_flow(f), 0, true);
	assert_int_equal(item->taken.sacked_to, 200);
	takeover_item_free(item);
}

/* A capture that truncates segments has holes at once. The client's ACK closes them. */
static void test_cut_short_segments(void **state)
{
	struct flow *f = rig_handshake()->flow;

	rig.captured = 60;
	server(TCP_ACK, 0, 0, 100);
	client(TCP_ACK, 0, 80, 0);
	assert_true(f->marks & FLOW_MARK_TRUNCATED);
	assert_int_equal(rig.gaps, 1);
	assert_true(plan_of(f).cont);
	assert_int_equal(rig.cut.to_client_end, 80);
	assert_int_equal(rig.cut.to_client_acked, 80);
}

static void test_log_ceiling(void **state)
{
	watch_free(rig.watch);
	rig_start(4096);
	struct flow *f = rig_handshake()->flow;
	for (int i = 0; i < 8; i++)
		server(TCP_ACK, i * 1000, 0, 1000);
	assert_int_equal(plan_in_flight(f), 8000);
	assert_refused(f, "log-ceiling");
	assert_true(f->marks & FLOW_MARK_LOG_CEILING);
	client(TCP_ACK, 0, 8000, 0); /* the client has all of it: nothing must be sent again */
	assert_true(plan_of(f).cont);
}

/* The transport decides before the module. */
static void test_transport_first(void **state)
{
	rig_handshake();
	rig.cut.to_client_end = 12345;
	assert_refused(client(TCP_ACK | TCP_URG, 0, 0, 10), "urgent-data");
	assert_int_equal(rig.cut.to_client_end, 12345); /* the module was not asked */
}

/* ---- the module's word ---- */

static void test_module_decides(void **state)
{
	struct flow *f = rig_handshake()->flow;
	struct plan p = plan_of(f);

	assert_true(p.cont);
	assert_string_equal(p.module, "rig");
	assert_string_equal(p.reason, "rigged");
	rig.verdict = JEEBS_REFUSE;
	rig.reason = "too-many";
	assert_refused(f, "too-many");
	rig.verdict = 77; /* not CONTINUE, which means no */
	assert_refused(f, "too-many");
	rig.reason = NULL;
	rig.detail = 'x';
	assert_refused(f, "unnamed");
	assert_int_equal(strlen(plan_of(f).detail), JEEBS_DETAIL_MAX - 1);
}

static void test_gave_up_is_still_asked(void **state)
{
	struct flow *f = rig_handshake()->flow;

	rig.data_result = JEEBS_GIVE_UP;
	client(TCP_ACK, 0, 0, 10);
	rig.verdict = JEEBS_REFUSE;
	rig.reason = "lost-track";
	assert_refused(f, "lost-track");
}

/* ---- the cut ---- */

static void test_cut(void **state)
{
	struct jeebs_cut cut;

	rig.keep[FLOW_TO_SERVER] = 0;
	struct flow *f = rig_handshake()->flow;
	client(TCP_ACK, 0, 0, 100);
	server(TCP_ACK, 0, 100, 300);
	client(TCP_ACK, 100, 120, 0);
	plan_cut(f->user, &cut);
	assert_int_equal(cut.to_server_end, 100);
	assert_int_equal(cut.to_client_end, 300);
	assert_int_equal(cut.to_client_acked, 120);
	assert_false(cut.client_fin || cut.server_fin);
	struct jeebs_bytes b = cut.log(cut.flow, JEEBS_TO_SERVER, 10);
	assert_int_equal(b.n, 90);
	assert_int_equal(b.p[0], rig_byte(FLOW_TO_SERVER, 10));
	b = cut.log(cut.flow, JEEBS_TO_CLIENT, 120);
	assert_int_equal(b.n, 180);
	assert_int_equal(b.p[179], rig_byte(FLOW_TO_CLIENT, 299));
	assert_int_equal(cut.log(cut.flow, JEEBS_TO_CLIENT, 119).n, 0);
	assert_int_equal(cut.log(cut.flow, 2, 0).n, 0);
	assert_int_equal(cut.log(cut.flow, UINT32_MAX, 0).n, 0);
}

static void test_cut_with_ends(void **state)
{
	struct jeebs_cut cut;
	struct flow *f = rig_handshake()->flow;

	client(TCP_ACK | TCP_FIN, 50, 0, 10); /* the 50 bytes before it are missing */
	plan_cut(f->user, &cut);
	assert_false(cut.client_fin);
	client(TCP_ACK, 0, 0, 50);
	plan_cut(f->user, &cut);
	assert_true(cut.client_fin);
	assert_int_equal(cut.to_server_end, 60);
	server(TCP_ACK | TCP_FIN, 0, 61, 20);
	plan_cut(f->user, &cut);
	assert_true(cut.server_fin);
	assert_int_equal(cut.to_client_end, 20);
	assert_int_equal(cut.to_client_acked, 0);
}

/* The client has acknowledged more than was captured of the server. */
static void test_cut_ack_ahead(void **state)
{
	struct jeebs_cut cut;
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	client(TCP_ACK, 0, 150, 0);
	plan_cut(f->user, &cut);
	assert_int_equal(cut.to_client_end, 100);
	assert_int_equal(cut.to_client_acked, 100);
	assert_int_equal(plan_in_flight(f), 0);
}

static bool nothing_more(struct flow *f)
{
	struct jeebs_cut cut;

	plan_cut(f->user, &cut);
	return cut.nothing_more;
}

/* That the old server had sent nothing more is proved by whole sight, and by the client. */
static void test_cut_at_the_end(void **state)
{
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK, 0, 0, 100);
	assert_true(nothing_more(f));
	client(TCP_ACK, 0, 100, 0);
	assert_true(nothing_more(f));
	rig.sacked_to = 300;
	client(TCP_ACK, 0, 100, 0);
	assert_false(nothing_more(f)); /* it has some of it */
	rig.sacked_to = 0;
	client(TCP_ACK, 0, 100, 0);
	assert_true(nothing_more(f));
	client(TCP_ACK, 0, 150, 0);
	assert_false(nothing_more(f));
	server(TCP_ACK, 100, 0, 50);
	assert_true(nothing_more(f));
	server(TCP_ACK, 250, 0, 50); /* behind a hole */
	assert_false(nothing_more(f));
	server(TCP_ACK, 150, 0, 100);
	assert_true(nothing_more(f));
	track_probe_begin(f);
	assert_false(nothing_more(f)); /* it was asked, and has not answered */
	client(TCP_ACK, 0, 300, 0);
	assert_true(nothing_more(f));
	track_capture_drops(watch_track(rig.watch), rig.now_ns + 10);
	assert_false(nothing_more(f));

	/* What it said before the last of them tells nothing, and neither does data: it may be said
	 * again. */
	server(TCP_ACK, 250, 300, 0);
	assert_false(nothing_more(f));
	rig.now_ns += 10;
	server(TCP_ACK, 250, 300, 50);
	client(TCP_ACK, 300, 300, 0);
	assert_false(nothing_more(f));
	server(TCP_ACK, 299, 300, 0); /* a probe */
	assert_false(nothing_more(f));
	server(TCP_ACK, 300, 300, 0);
	assert_true(nothing_more(f));
	server(TCP_ACK, 300, 300, 100);
	assert_true(nothing_more(f));
	track_capture_drops(watch_track(rig.watch), rig.now_ns);
	assert_false(nothing_more(f));
	server(TCP_ACK, 300, 300, 0); /* it has sent more than that */
	assert_false(nothing_more(f));
	rig.window = 0; /* then Linux says where the window ends */
	client(TCP_ACK, 300, 400, 0);
	server(TCP_ACK, 400, 300, 0);
	assert_false(nothing_more(f));
	rig.window = 1000;
	client(TCP_ACK, 300, 400, 0);
	server(TCP_ACK, 400, 300, 0);
	assert_true(nothing_more(f));
}

/* ---- the snapshot ---- */

static struct snapshot snapshot_of(const struct flow *f)
{
	struct snapshot n;

	plan_snapshot(f, &n);
	return n;
}

static void test_snapshot_plain(void **state)
{
	const uint16_t all = TCP_OPT_MSS | TCP_OPT_SACK_PERM | TCP_OPT_WSCALE | TCP_OPT_TIMESTAMP;

	rig.syn = (struct tcp_options){.seen = all, .mss = 1400, .wscale = 7, .tsval = 111};
	rig.answer = (struct tcp_options){.seen = all, .mss = 1460, .wscale = 9, .tsval = 222};
	rig.tsval[FLOW_TO_SERVER] = 333;
	rig.tsval[FLOW_TO_CLIENT] = 444;
	struct flow *f = rig_handshake()->flow;
	rig.tos = 0x20;
	rig.window = 600;
	client(TCP_ACK, 0, 0, 100);
	int64_t when = rig.now_ns + 1;
	server(TCP_ACK, 0, 100, 300);
	rig.window = 500;
	client(TCP_ACK, 100, 120, 0);

	struct snapshot n = snapshot_of(f);
	assert_true(endpoint_eq(&n.server, &rig.server) && endpoint_eq(&n.client, &rig.client));
	assert_int_equal(n.snd_una, (uint32_t)(RIG_ISN_SERVER + 1 + 120));
	assert_int_equal(n.snd_nxt, (uint32_t)(RIG_ISN_SERVER + 1 + 300));
	assert_int_equal(n.rcv_nxt, (uint32_t)(RIG_ISN_CLIENT + 1 + 100));
	assert_int_equal(n.snd_wnd, 500 << 7);
	assert_int_equal(n.snd_wl1, (uint32_t)(RIG_ISN_CLIENT + 1 + 100));
	assert_int_equal(n.max_window, 60000 << 7); /* of the last ACK of the handshake */
	assert_int_equal(n.rcv_edge, (uint32_t)(RIG_ISN_CLIENT + 1 + 100 + (600 << 9)));
	assert_int_equal(n.mss, 1400);
	assert_true(n.wscale_ok && n.sack_ok && n.ts_ok);
	assert_int_equal(n.snd_wscale, 7);
	assert_int_equal(n.rcv_wscale, 9);
	assert_int_equal(n.tsval, 444);
	assert_int_equal(n.tsval_ns, when);
	assert_int_equal(n.ts_recent, 333);
	assert_int_equal(n.ttl, 61);
	assert_int_equal(n.tos, 0x20);
	assert_int_equal(n.client_mac[5], 0);
	assert_int_equal(n.server_mac[5], 1);
	assert_false(n.client_fin || n.server_fin || n.vlan_present);
}

static void test_snapshot_without_options(void **state)
{
	rig.syn = rig.answer = (struct tcp_options){0};
	struct flow *f = rig_handshake()->flow;
	struct snapshot n = snapshot_of(f);

	assert_int_equal(n.mss, 536);
	assert_false(n.wscale_ok || n.sack_ok || n.ts_ok);
	assert_int_equal(n.snd_wscale + n.rcv_wscale, 0);
	assert_int_equal(n.snd_wnd, 60000);
	watch_free(rig.watch);
	assert_int_equal(endpoint_parse("[fd09::1]:80", false, &rig.server), 0);
	assert_int_equal(endpoint_parse("[fd01::7]:40000", false, &rig.client), 0);
	rig.service.endpoint = rig.server;
	rig_start(65536);
	assert_int_equal(snapshot_of(rig_handshake()->flow).mss, 1220);
}

/* An option that one side alone offers is not agreed. */
static void test_snapshot_half_offered(void **state)
{
	rig.syn.seen |= TCP_OPT_WSCALE;
	rig.syn.wscale = 5;
	rig.answer.seen = TCP_OPT_MSS;
	struct snapshot n = snapshot_of(rig_handshake()->flow);

	assert_false(n.wscale_ok || n.sack_ok);
	assert_int_equal(n.snd_wscale, 0);
	assert_int_equal(n.snd_wnd, 60000);
}

/* The highest right edge counts, even when the window has shrunk. */
static void test_snapshot_edge_never_shrinks(void **state)
{
	struct flow *f = rig_handshake()->flow;

	rig.window = 50000;
	client(TCP_ACK, 0, 0, 1000);
	server(TCP_ACK, 0, 1000, 0);
	rig.window = 10;
	client(TCP_ACK, 1000, 0, 1000);
	server(TCP_ACK, 0, 2000, 0);
	struct snapshot n = snapshot_of(f);
	assert_int_equal(n.rcv_edge, (uint32_t)(RIG_ISN_CLIENT + 1 + 60000)); /* of the SYN-ACK */
	rig.window = 60000;
	server(TCP_ACK, 0, 2000, 0);
	assert_int_equal(snapshot_of(f).rcv_edge, (uint32_t)(RIG_ISN_CLIENT + 1 + 62000));
}

static void test_snapshot_probe_byte(void **state)
{
	struct flow *f = rig_handshake()->flow;

	assert_false(snapshot_of(f).probe_byte_ok);
	server(TCP_ACK, 0, 0, 300);
	assert_false(snapshot_of(f).probe_byte_ok); /* the client has no byte yet */
	client(TCP_ACK, 0, 120, 0);
	struct snapshot n = snapshot_of(f);
	assert_true(n.probe_byte_ok);
	assert_int_equal(n.probe_byte, rig_byte(FLOW_TO_CLIENT, 119));
	client(TCP_ACK, 0, 300, 0);
	n = snapshot_of(f);
	assert_true(n.probe_byte_ok);
	assert_int_equal(n.probe_byte, rig_byte(FLOW_TO_CLIENT, 299));
	/* The client has acknowledged more than was captured, so the byte is not known. */
	client(TCP_ACK, 0, 400, 0);
	track_settle(watch_track(rig.watch), f);
	assert_false(snapshot_of(f).probe_byte_ok);
}

static void test_snapshot_client_fin(void **state)
{
	struct flow *f = rig_handshake()->flow;

	client(TCP_ACK | TCP_FIN, 0, 0, 100);
	struct snapshot n = snapshot_of(f);
	assert_true(n.client_fin);
	assert_int_equal(n.rcv_nxt, (uint32_t)(RIG_ISN_CLIENT + 1 + 101));
	rig.client.port++;
	f = rig_handshake()->flow;
	/* Bytes before it are missing, so it does not count. */
	client(TCP_ACK | TCP_FIN, 100, 0, 0);
	n = snapshot_of(f);
	assert_false(n.client_fin);
	assert_int_equal(n.rcv_nxt, RIG_ISN_CLIENT + 1);
}

static void test_snapshot_server_fin(void **state)
{
	struct flow *f = rig_handshake()->flow;

	server(TCP_ACK | TCP_FIN, 0, 0, 100);
	struct snapshot n = snapshot_of(f);
	assert_true(n.server_fin);
	assert_int_equal(n.snd_una, RIG_ISN_SERVER + 1);
	assert_int_equal(n.snd_nxt, (uint32_t)(RIG_ISN_SERVER + 1 + 101));
	client(TCP_ACK, 0, 100, 0); /* acknowledges the data, not the FIN */
	n = snapshot_of(f);
	assert_int_equal(n.snd_una, (uint32_t)(RIG_ISN_SERVER + 1 + 100));
	assert_int_equal(n.snd_nxt, (uint32_t)(RIG_ISN_SERVER + 1 + 101));
	client(TCP_ACK, 0, 101, 0);
	n = snapshot_of(f);
	assert_int_equal(n.snd_una, n.snd_nxt);
	assert_int_equal(n.snd_nxt, (uint32_t)(RIG_ISN_SERVER + 1 + 101));
	assert_true(n.server_fin);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(test_handshake_not_seen),
		TEST(test_mptcp),
		TEST(test_signed),
		TEST(test_urgent),
		TEST(test_fragments),
		TEST(test_bad_options),
		TEST(test_no_module),
		TEST(test_client_unheard),
		TEST(test_client_bytes_lost),
		TEST(test_hole_beyond_what_is_in_flight),
		TEST(test_fin_beyond_a_hole),
		TEST(test_server_bytes_lost),
		TEST(test_client_holds_what_was_not_captured),
		TEST(test_cut_short_segments),
		TEST(test_log_ceiling),
		TEST(test_transport_first),
		TEST(test_module_decides),
		TEST(test_gave_up_is_still_asked),
		TEST(test_cut),
		TEST(test_cut_with_ends),
		TEST(test_cut_at_the_end),
		TEST(test_cut_ack_ahead),
		TEST(test_snapshot_plain),
		TEST(test_snapshot_without_options),
		TEST(test_snapshot_half_offered),
		TEST(test_snapshot_edge_never_shrinks),
		TEST(test_snapshot_probe_byte),
		TEST(test_snapshot_client_fin),
		TEST(test_snapshot_server_fin),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
