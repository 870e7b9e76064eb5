/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "test/track-script.h"

/* ---- handshake ---- */

static void test_handshake(void **state)
{
	option[0].seen |= TCP_OPT_TIMESTAMP;
	option[1].seen |= TCP_OPT_TIMESTAMP;
	option[0].wscale = 7;
	option[1].wscale = 20; /* RFC 7323: a scale above 14 counts as 14 */
	option[1].mss = 1400;
	struct flow *f = c(S, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_int_equal(track_live_count(track), 0);
	assert_false(flow_is_live(f));
	f = s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	assert_int_equal(track_live_count(track), 1);
	assert_int_equal(f->window[0], 60000); /* the window of a SYN is never scaled */
	f = c(A, 0, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->isn[0], 1000);
	assert_int_equal(f->isn[1], 5000);
	assert_int_equal(f->syn[0].mss, 1460);
	assert_int_equal(f->syn[1].mss, 1400);
	assert_int_equal(f->syn[1].wscale, 14);
	assert_true(f->syn[0].sack && f->syn[1].sack && f->ts_ok);
	assert_int_equal(f->window[1], 60000 << 7);
	assert_int_equal(f->edge[1], 60000 << 7);
	assert_int_equal(f->edge[0], 60000);
	assert_int_equal(f->marks, 0);
	assert_int_equal(f->service, 0);
	assert_int_equal(f->server_mac[5], 1);
	assert_int_equal(f->client_mac[5], 0);
	assert_int_equal(f->ttl, 64);
	assert_int_equal(flow_seq(f, FLOW_TO_CLIENT, 3), 5004);
	assert_int_equal(opens, 1);
	assert_int_equal(track_stats(track)->segments, 3);
	assert_int_equal(changes, 3);
}

static void test_options_need_both_sides(void **state)
{
	option[0].wscale = 7;
	option[0].seen |= TCP_OPT_TIMESTAMP | TCP_OPT_MPTCP;
	option[1].seen = TCP_OPT_MSS;
	struct flow *f = handshake();
	assert_false(f->ts_ok);
	assert_int_equal(f->window[1], 60000);
	assert_false(f->syn[1].sack);
	assert_int_equal(f->marks & FLOW_MARK_MPTCP, 0);
}

static void test_handshake_marks(void **state)
{
	option[0].seen |= TCP_OPT_MPTCP | TCP_OPT_BAD;
	option[1].seen |= TCP_OPT_MPTCP;
	c(S | TCP_ECE | TCP_CWR, -1, 0, 0);
	struct flow *f = s(S | A | TCP_ECE, -1, 0, 0);
	assert_int_equal(f->marks, FLOW_MARK_MPTCP | FLOW_MARK_ECN | FLOW_MARK_BAD_OPTIONS);
	option[1].seen |= TCP_OPT_MD5;
	f = c(A | TCP_URG, 0, 0, 5);
	s(A, 0, 5, 0);
	assert_true(f->marks & FLOW_MARK_URGENT);
	assert_true(f->marks & FLOW_MARK_MD5_AO);
	assert_string_equal(flow_mark_name(FLOW_MARK_BAD_OPTIONS), "bad-options");
	assert_string_equal(flow_mark_name(FLOW_MARK_MD5_AO | FLOW_MARK_ECN), "md5-ao");
	assert_string_equal(flow_mark_name((enum flow_mark)0), "unknown");
	assert_string_equal(flow_state_name(FLOW_SYN_RCVD), "syn-received");
	assert_string_equal(flow_state_name(FLOW_STATE_COUNT_), "unknown");
}

static void test_ecn_refused(void **state)
{
	c(S | TCP_ECE | TCP_CWR, -1, 0, 0);
	assert_int_equal(s(S | A, -1, 0, 0)->marks, 0);
	restart();
	c(S | TCP_ECE | TCP_CWR, -1, 0, 0); /* a broken server reflects the flags */
	assert_int_equal(s(S | A | TCP_ECE | TCP_CWR, -1, 0, 0)->marks, 0);
}

static void test_handshake_retransmissions(void **state)
{
	c(S, -1, 0, 0);
	/* A client that gets no answer repeats its SYN with fewer options. */
	option[0].seen = TCP_OPT_MSS;
	struct flow *f = c(S, -1, 0, 0);
	assert_false(f->syn[0].sack);
	s(S | A, -1, 0, 0);
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	c(A, 0, 0, 0);
	s(S | A, -1, 0, 0); /* the client's ACK was lost behind the tap */
	c(A, 0, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->retransmits[0], 2);
	assert_int_equal(f->retransmits[1], 2);
	assert_int_equal(opens, 1);
	assert_int_equal(f->window[1], 60000);
	c(A, 0, 0, 10);
	assert_int_equal(shown[0], 10);
}

static void test_answered_anew(void **state)
{
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	isn[1] = 777777; /* a new ISN: SYN cookies */
	s(S | A, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->isn[1], 777777);
	isn[1] = 5; /* too late for a new ISN */
	s(S | A, -1, 0, 0);
	assert_int_equal(f->isn[1], 777777);
	assert_int_equal(track_stats(track)->bad_seq, 1);
}

static void test_synack_before_syn(void **state)
{
	struct flow *f = s(S | A, -1, 0, 0);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(track_live_count(track), 0);
	f = c(S, -1, 0, 0);
	assert_int_equal(f->marks, 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	assert_int_equal(track_live_count(track), 1);
	c(A, 0, 0, 100);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(shown[0], 100);
	assert_int_equal(opens, 1);
	assert_int_equal(track_stats(track)->flows_midstream, 0);
}

/* Its answer comes when the connection goes on without it: then windows are what they mean. */
static void test_synack_after_it_was_given_up(void **state)
{
	option[0].seen = option[1].seen = TCP_OPT_WSCALE;
	option[0].wscale = 7;
	option[1].wscale = 2;
	window[0] = 500;
	c(S, -1, 0, 0);
	option[0].seen = 0;
	struct flow *f = c(A, 0, 0, 0);
	now += config.hole_timeout_ns;
	track_tick(track, now);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->window[1], 500);
	s(S | A, -1, 0, 0);
	assert_int_equal(f->marks, 0);
	assert_int_equal(f->window[1], 500 << 7);
	assert_int_equal(f->window_max[1], 500 << 7);
	assert_int_equal(f->edge[1], 500 << 7);
}

static void test_syn_never_captured(void **state)
{
	struct flow *f = s(S | A, -1, 0, 0);
	c(A, 0, 0, 100);
	s(A, 0, 100, 50);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(track_live_count(track), 0);
	assert_int_equal(track_stats(track)->flows_midstream, 1);
	c(S, -1, 0, 0); /* the SYN comes after all */
	assert_int_equal(f->marks, 0);
	assert_int_equal(track_live_count(track), 1);
	assert_int_equal(shown[0], 100);
	assert_int_equal(shown[1], 50);
}

static void test_client_ack_before_synack(void **state)
{
	option[0].wscale = 3;
	c(S, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	c(A, 0, 0, 100);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_int_equal(shown[0], 0); /* the data waits until the handshake is complete */
	s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(shown[0], 100);
	assert_int_equal(f->window[1], 60000 << 3);
	assert_int_equal(f->marks, 0);
	s(A, 0, 100, 10);
	assert_int_equal(shown[1], 10);
	assert_int_equal(f->acked[0], 100);
}

static void test_synack_never_captured(void **state)
{
	c(S, -1, 0, 0);
	s(A, 0, 0, 0); /* proves nothing */
	c(A, 0, 0, 10);
	c(A, 10, 40, 10);
	struct flow *f = s(A, 20, 10, 20); /* the first 20 bytes were lost, too */
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->isn[1], 5000);
	s(A, 0, 10, 20);
	assert_int_equal(shown[1], 0);
	s(S | A, -1, 0, 0);
	assert_int_equal(shown[1], 40);
	assert_int_equal(f->marks, 0);
	assert_true(f->syn[1].seen);
}

static void test_split_handshake(void **state)
{
	c(S, -1, 0, 0);
	s(A, 0, 0, 0);
	s(S, -1, 0, 0);
	c(S | A, -1, 0, 0);
	struct flow *f = s(A, 0, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->marks, 0);
	c(A, 0, 0, 4);
	s(A, 0, 4, 0);
	assert_int_equal(shown[0], 4);
	assert_int_equal(f->acked[0], 4);
}

static void test_data_in_syn(void **state)
{
	c(S, -1, 0, 30);
	struct flow *f = s(S | A, -1, 30, 20);
	assert_int_equal(f->marks, FLOW_MARK_TFO_DATA);
	assert_int_equal(shown[0], 30);
	assert_int_equal(shown[1], 20);
	assert_int_equal(f->acked[0], 30);
	c(A, 30, 20, 10);
	assert_int_equal(shown[0], 40);
	assert_int_equal(f->acked[1], 20);
}

static void test_syn_with_fin_is_nothing(void **state)
{
	assert_null(c(S | F, -1, 0, 0));
	struct flow *f = handshake();
	c(S | F, -1, 0, 0);
	assert_int_equal(track_stats(track)->bad_seq, 1);
	assert_false(f->fin_seen[0]);
}

static void test_connection_refused(void **state)
{
	c(S, -1, 0, 0);
	isn[1] = (uint32_t)-1; /* seq 0 */
	assert_non_null(s(R | A, 0, 77, 0));
	assert_int_equal(track_stats(track)->bad_rst, 1);
	assert_null(s(R | A, 0, 0, 0));
	assert_int_equal(closes, 1);
	assert_int_equal(why, TRACK_CLOSE_RST);
	assert_int_equal(track_count(track), 0);
}

/* ---- who is tracked ---- */

static void test_not_ours(void **state)
{
	server.port = 81;
	assert_null(c(S, -1, 0, 0));
	server.port = 80;
	assert_null(s(S, -1, 0, 0)); /* the server opens a connection itself */
	assert_null(s(A, 0, 0, 0));
	assert_null(c(R, 0, 0, 0));
	client.addr = ignored;
	assert_null(c(S, -1, 0, 0));
	assert_null(c(A, 0, 0, 10));
	assert_int_equal(track_stats(track)->ignored, 6);
	assert_int_equal(track_count(track), 0);
}

static void test_services(void **state)
{
	services[0].port = 0;
	services[1] = server;
	assert_int_equal(endpoint_parse("[fd00::1]:443", false, &services[2]), 0);
	config.service_count = 3;
	restart();
	assert_int_equal(c(S, -1, 0, 0)->service, 1);
	server.port = 22;
	assert_int_equal(c(S, -1, 0, 0)->service, 0);
	server = services[2];
	assert_int_equal(endpoint_parse("[fd00::2]:5000", false, &client), 0);
	assert_int_equal(handshake()->service, 2);
	server.port = 444;
	assert_null(c(S, -1, 0, 0));
	assert_int_equal(track_count(track), 3);
	assert_int_equal(track_live_count(track), 1);
}

static void test_two_protected_servers_talk(void **state)
{
	services[1] = client;
	config.service_count = 2;
	restart();
	struct flow *f = handshake();
	assert_true(endpoint_eq(&f->server, &server));
	restart();
	f = s(S | A, -1, 0, 0);
	assert_true(endpoint_eq(&f->server, &server));
	restart();
	s(S, -1, 0, 0); /* now the other address is the server */
	f = c(S | A, -1, 0, 0);
	assert_true(endpoint_eq(&f->server, &client));
	assert_int_equal(f->state, FLOW_SYN_RCVD);
}

static void test_trailing_packets_make_no_flow(void **state)
{
	handshake();
	assert_null(c(R, 0, 0, 0));
	assert_null(s(A, 0, 0, 1000)); /* was in flight */
	assert_int_equal(track_count(track), 0);
	now += 3 * NS_PER_S;
	shown[1] = 0;
	isn[1] += 1000;
	assert_non_null(s(A, 0, 0, 1000));
}

static void test_outbound_is_not_midstream(void **state)
{
	services[0].port = 0;
	restart();
	server.port = 50000;
	client.port = 443;
	assert_null(c(A, 0, 0, 100));
	assert_null(s(A, 0, 0, 100));
	server.port = 80;
	client.port = 50000;
	assert_non_null(c(A, 0, 0, 100));
}

/* ---- the end ---- */

static void test_close(void **state)
{
	struct flow *f = handshake();

	c(A | F, 0, 0, 100);
	assert_int_equal(fins[0], 1);
	assert_int_equal(fin_at[0], 100);
	assert_false(f->fin_acked[0]);
	s(A, 0, 101, 200);
	assert_true(f->fin_acked[0]);
	assert_int_equal(f->acked[0], 100);
	assert_true(flow_is_live(f));
	c(A | F, 0, 0, 100); /* a retransmission */
	c(A | F, 100, 0, 0);
	c(A, 100, 200, 50); /* data behind the end does not count */
	c(A, 101, 200, 50);
	assert_int_equal(shown[0], 100);
	s(F | A, 200, 101, 0);
	s(F | A, 200, 101, 0);
	assert_int_equal(fins[0], 1);
	assert_int_equal(fins[1], 1);
	assert_null(c(A, 101, 201, 0));
	assert_int_equal(why, TRACK_CLOSE_FIN);
	assert_int_equal(closes, 1);
	assert_int_equal(track_count(track), 0);
	assert_null(s(F | A, 200, 101, 0));
	assert_int_equal(track_stats(track)->flows_closed, 1);
}

static void test_simultaneous_close(void **state)
{
	handshake();
	c(F | A, 0, 0, 0);
	s(F | A, 0, 0, 0);
	assert_non_null(c(A, 1, 1, 0));
	assert_null(s(A, 1, 1, 0));
	assert_int_equal(why, TRACK_CLOSE_FIN);
	assert_int_equal(fins[0] + fins[1], 2);
}

static void test_fin_out_of_order(void **state)
{
	struct flow *f = handshake();

	s(F | A, 1000, 0, 500);
	assert_true(f->fin_seen[1]);
	assert_int_equal(fins[1], 0);
	s(A, 0, 0, 1000);
	assert_int_equal(fins[1], 1);
	assert_int_equal(fin_at[1], 1500);
	assert_log(f, FLOW_TO_CLIENT, 0, 1500);
}

static void test_fin_acknowledged_before_seen(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 100);
	c(A, 0, 101, 0);
	assert_int_equal(f->acked[1], 101);
	s(F | A, 100, 0, 0);
	assert_int_equal(f->acked[1], 100);
	assert_true(f->fin_acked[1]);
	now += NS_PER_S;
	track_tick(track, now);
	assert_int_equal(gaps[1], 0);
	assert_int_equal(fins[1], 1);
}

static void test_fin_not_believed(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 1000);
	s(F | A, 500, 0, 0); /* bytes beyond that end were captured */
	assert_false(f->fin_seen[1]);
	s(F | A, 1000, 0, 0);
	s(F | A, 1005, 0, 0);
	assert_int_equal(f->fin_off[1], 1000);
	c(A, 0, 1005, 0); /* beyond the FIN */
	assert_int_equal(f->acked[1], 0);
	assert_int_equal(track_stats(track)->bad_seq, 2);
}

static void test_hole_at_the_end(void **state)
{
	handshake();
	s(A, 0, 0, 100);
	s(F | A, 200, 0, 0);
	c(F | A, 0, 201, 0);
	assert_int_equal(fins[1], 0);
	assert_null(s(A, 201, 1, 0)); /* both ends have everything: nothing comes again */
	assert_int_equal(gaps[1], 1);
	assert_int_equal(fins[1], 1);
	assert_int_equal(why, TRACK_CLOSE_FIN);
}

static void test_reuse(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 0, 100);
	isn[0] = 900000;
	assert_ptr_equal(c(S, -1, 0, 0), f); /* anybody can send this SYN */
	assert_int_equal(closes, 0);
	isn[0] = 1000;
	c(A, 100, 0, 100);
	assert_int_equal(shown[0], 200);
	isn[0] = 800000;
	option[0].mss = 777;
	c(S, -1, 0, 0);
	isn[1] = 70000;
	uint32_t id = f->id;
	shown[0] = 0;
	f = s(S | A, -1, 0, 0); /* the server confirms the new connection */
	assert_int_equal(why, TRACK_CLOSE_REUSED);
	assert_int_equal(closes, 1);
	assert_int_equal(opens, 2);
	assert_int_not_equal(f->id, id);
	assert_int_equal(f->syn[0].mss, 777);
	assert_int_equal(f->marks, 0);
	c(A, 0, 0, 50);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(shown[0], 50);
	assert_int_equal(track_live_count(track), 1);
}

static void test_reuse_before_any_answer(void **state)
{
	c(S, -1, 0, 0);
	isn[0] = 900000;
	struct flow *f = c(S, -1, 0, 0);
	assert_int_equal(why, TRACK_CLOSE_REUSED);
	assert_int_equal(f->isn[0], 900000);
	assert_int_equal(track_count(track), 1);
}

/* ---- ceilings, time ---- */

static void test_flow_ceiling(void **state)
{
	for (uint16_t i = 0; i < 100; i++) {
		client.port = (uint16_t)(1000 + i);
		if (i < 98)
			handshake();
		else
			c(S, -1, 0, 0);
	}
	assert_int_equal(track_count(track), 100);
	client.port = 1098;
	c(S, -1, 0, 0); /* still trying to connect: 1099 is silent for longer */
	client.port = 5000;
	assert_non_null(c(S, -1, 0, 0));
	assert_int_equal(why, TRACK_CLOSE_EVICTED);
	assert_int_equal(track_count(track), 100);
	client.port = 1099;
	assert_null(the_flow());
	client.port = 1098;
	handshake();
	client.port = 5000;
	handshake();
	client.port = 5001;
	assert_null(c(S, -1, 0, 0));
	assert_int_equal(track_stats(track)->table_full, 1);
	assert_int_equal(closes, 1);
}

static void test_stream_ceiling(void **state)
{
	config.stream_max = 10000;
	restart();
	struct flow *f = handshake();

	for (int64_t off = 0; off < 12000; off += 1000)
		s(A, off, 0, 1000);
	assert_int_equal(shown[1], 12000); /* shown in any case */
	assert_log(f, FLOW_TO_CLIENT, 2000, 12000);
	assert_int_equal(f->marks, FLOW_MARK_LOG_CEILING);
	assert_int_equal(track_stats(track)->buffer_refused, 2000);
}

static void test_pool_ceiling(void **state)
{
	config.buffer_max = 8192;
	restart();
	for (uint16_t i = 0; i < 5; i++) {
		client.port = (uint16_t)(1000 + i);
		shown[1] = 0;
		handshake();
		s(A, 0, 0, 2000);
	}
	assert_int_equal(track_pool(track)->used, 8192);
	assert_int_equal(the_flow()->marks, FLOW_MARK_LOG_CEILING);
	assert_int_equal(track_stats(track)->buffer_refused, 2000);
	client.port = 1000;
	c(A, 0, 2000, 0);
	assert_int_equal(track_pool(track)->used, 6144);
}

static void test_ranges_ceiling(void **state)
{
	struct flow *f = handshake();

	for (int64_t i = 0; i < STREAM_RANGES_MAX + 1; i++)
		s(A, 100 + i * 200, 0, 100);
	assert_int_equal(track_stats(track)->buffer_refused, 100);
	assert_int_equal(f->marks, 0); /* nothing is lost: it comes again */
	assert_int_equal(track_stats(track)->out_of_order[1], STREAM_RANGES_MAX);
}

static void test_idle(void **state)
{
	handshake(); /* silent from here */
	client.port++;
	for (int i = 0; i < 6; i++) {
		if (i == 0)
			handshake();
		c(A, -1, 0, 0);
		now += 3 * NS_PER_S;
		track_tick(track, now);
		assert_int_equal(closes, i < 5 ? 0 : 1); /* after 18 s */
	}
	assert_non_null(the_flow());
	assert_int_equal(why, TRACK_CLOSE_TIMEOUT);
	now += 14 * NS_PER_S;
	track_tick(track, now);
	assert_int_equal(closes, 2);
	assert_int_equal(track_count(track), 0);
}

static void test_fragments(void **state)
{
	struct segment g = {.src = server, .dst = client};

	struct flow *f = handshake();
	client.addr.b[3]++;
	struct flow *other = handshake();
	g.src.port = g.dst.port = 0;
	track_fragment(track, &g);
	track_fragment(track, &g);
	track_tick(track, now);
	assert_int_equal(f->marks, FLOW_MARK_FRAGMENT);
	assert_int_equal(other->marks, 0);
	g.src = g.dst; /* neither address is protected */
	for (int i = 0; i < 100; i++) {
		g.dst.addr.b[3] = (uint8_t)i;
		track_fragment(track, &g);
	}
	track_tick(track, now);
	assert_int_equal(other->marks, 0);
	g.src = server;
	for (int i = 100; i < 200; i++) { /* too many to tell apart: all are doubtful */
		g.dst.addr.b[3] = (uint8_t)i;
		track_fragment(track, &g);
	}
	track_tick(track, now);
	assert_int_equal(other->marks, FLOW_MARK_FRAGMENT);
}

static void drop_even(void *ctx, struct flow *f)
{
	(*(int *)ctx)++;
	if (f->client.port % 2 == 0)
		track_drop(track, f);
}

static void test_each_and_drop(void **state)
{
	int n = 0;

	config.max_flows = 5000;
	restart();
	for (uint16_t i = 0; i < 3000; i++) {
		client.port = (uint16_t)(1000 + i);
		handshake();
	}
	track_each(track, drop_even, &n);
	assert_int_equal(n, 3000);
	assert_int_equal(track_count(track), 1500);
	assert_int_equal(track_live_count(track), 1500);
	for (uint16_t i = 0; i < 3000; i++) {
		client.port = (uint16_t)(1000 + i);
		if (client.port % 2)
			assert_non_null(the_flow());
		else
			assert_null(the_flow());
	}
	assert_int_equal(why, TRACK_CLOSE_DROPPED);
	track_free(track);
	track = NULL;
	assert_int_equal(closes, 3000);
}

static uint8_t visits[3000];

static void visit(void *ctx, struct flow *f)
{
	visits[f->client.port - 1000]++;
}

/* A walk in parts. Flows come and go between the parts. */
static void test_each_part(void **state)
{
	uint32_t at = 0;
	int parts = 0;

	config.max_flows = 5000;
	restart();
	assert_int_equal(track_each_part(track, 0, 10, visit, NULL), 0); /* no flow yet */
	for (uint16_t i = 0; i < 2000; i++) {
		client.port = (uint16_t)(1000 + i);
		handshake();
	}
	memset(visits, 0, sizeof visits);
	do {
		at = track_each_part(track, at, 100, visit, NULL);
		client.port = (uint16_t)(1000 + parts); /* an already visited one */
		track_drop(track, the_flow());
		client.port = (uint16_t)(3000 + parts);
		handshake();
		parts++;
	} while (at);
	assert_true(parts >= 20);
	for (int i = 0; i < 2000; i++)
		assert_int_equal(visits[i], 1);
	for (int i = 2000; i < 3000; i++)
		assert_true(visits[i] <= 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_handshake),
		CASE(test_options_need_both_sides),
		CASE(test_handshake_marks),
		CASE(test_ecn_refused),
		CASE(test_handshake_retransmissions),
		CASE(test_answered_anew),
		CASE(test_synack_before_syn),
		CASE(test_synack_after_it_was_given_up),
		CASE(test_syn_never_captured),
		CASE(test_client_ack_before_synack),
		CASE(test_synack_never_captured),
		CASE(test_split_handshake),
		CASE(test_data_in_syn),
		CASE(test_syn_with_fin_is_nothing),
		CASE(test_connection_refused),
		CASE(test_not_ours),
		CASE(test_services),
		CASE(test_two_protected_servers_talk),
		CASE(test_trailing_packets_make_no_flow),
		CASE(test_outbound_is_not_midstream),
		CASE(test_close),
		CASE(test_simultaneous_close),
		CASE(test_fin_out_of_order),
		CASE(test_fin_acknowledged_before_seen),
		CASE(test_fin_not_believed),
		CASE(test_hole_at_the_end),
		CASE(test_reuse),
		CASE(test_reuse_before_any_answer),
		CASE(test_flow_ceiling),
		CASE(test_stream_ceiling),
		CASE(test_pool_ceiling),
		CASE(test_ranges_ceiling),
		CASE(test_idle),
		CASE(test_fragments),
		CASE(test_each_and_drop),
		CASE(test_each_part),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
