/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A case is a script of segments in stream offsets: c(flags, off, ack, n) from the
 * client, s(...) from the server; -1 is the place of a SYN. Bytes follow a pattern
 * of their offset, and whatever is shown must continue where it stopped.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "clock.h"
#include "track.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST

static struct track *track;
static struct track_config config;
static struct endpoint server, client, services[3];
static struct netaddr ignored;

/* What the next segments look like; set_up() makes them plain. */
static uint32_t isn[2];
static uint16_t window[2];
static struct tcp_options option[2];
static uint32_t captured;      /* bytes of payload the capture holds, at most */
static const uint8_t *payload; /* instead of the pattern */
static int64_t now;

/* What was called. */
static uint64_t shown[2];
static uint64_t keep[2]; /* what the data callback asks for */
static bool keep_end[2]; /* ... or from the end of each chunk */
static int opens, closes, changes, fins[2], gaps[2];
static enum track_close why;
static uint64_t fin_at[2], gap_from[2], gap_to[2];

static uint8_t pattern(enum flow_dir d, uint64_t off)
{
	return (uint8_t)(off * 31 + off / 253 + (d ? 101 : 7));
}

static void on_open(void *ctx, struct flow *f)
{
	opens++;
	assert_ptr_equal(track_find(track, &f->server, &f->client), f);
}

static void on_data(void *ctx, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	assert_true(b.n > 0);
	assert_int_equal(off, shown[d]);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], pattern(d, off + i));
	shown[d] = off + b.n;
	assert_int_equal(track_log(f, d, off).n, 0); /* not in the log yet */
	if (keep_end[d])
		track_keep_from(track, f, d, off + b.n);
	else if (keep[d] != TRACK_KEEP_NOTHING)
		track_keep_from(track, f, d, keep[d]);
	assert_int_equal(b.p[b.n - 1], pattern(d, off + b.n - 1)); /* still there */
}

static void on_gap(void *ctx, struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
{
	assert_int_equal(from, shown[d]);
	assert_true(to > from);
	shown[d] = to;
	gaps[d]++;
	gap_from[d] = from;
	gap_to[d] = to;
}

static void on_fin(void *ctx, struct flow *f, enum flow_dir d, uint64_t off)
{
	assert_int_equal(off, shown[d]);
	fins[d]++;
	fin_at[d] = off;
}

static void on_changed(void *ctx, struct flow *f)
{
	changes++;
}

static void on_close(void *ctx, struct flow *f, enum track_close w)
{
	closes++;
	why = w;
	assert_int_equal(f->state, FLOW_CLOSED);
}

static const struct track_sink sink = {on_open, on_data, on_gap, on_fin, on_changed, on_close};

static void restart(void)
{
	track_free(track);
	track = track_new(&config, &sink, NULL);
	assert_non_null(track);
	opens = closes = changes = 0;
	memset(shown, 0, sizeof shown);
	memset(fins, 0, sizeof fins);
	memset(gaps, 0, sizeof gaps);
}

static int set_up(void **state)
{
	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &server), 0);
	assert_int_equal(endpoint_parse("10.1.0.7:40000", false, &client), 0);
	assert_int_equal(netaddr_parse("10.1.0.99", &ignored), 0);
	services[0] = server;
	config = (struct track_config){
		.max_flows = 100,
		.buffer_max = 1 << 20,
		.stream_max = 1 << 18,
		.idle_timeout_ns = 16 * NS_PER_S,
		.hole_timeout_ns = 50 * NS_PER_MS,
		.key = {{1, 2}},
		.services = services,
		.service_count = 1,
		.ignore_clients = &ignored,
		.ignore_count = 1,
	};
	isn[0] = 1000;
	isn[1] = 5000;
	window[0] = window[1] = 60000;
	for (int d = 0; d < 2; d++) {
		option[d] = (struct tcp_options){
			.seen = TCP_OPT_MSS | TCP_OPT_SACK_PERM | TCP_OPT_WSCALE, .mss = 1460};
		keep[d] = TRACK_KEEP_NOTHING;
		keep_end[d] = false;
	}
	captured = UINT32_MAX;
	payload = NULL;
	now = 1000 * NS_PER_S;
	track = NULL;
	restart();
	return 0;
}

static int tear_down(void **state)
{
	track_free(track);
	return 0;
}

static struct flow *emit(enum flow_dir d, int flags, int64_t off, int64_t ack, uint32_t n)
{
	struct segment g = {
		.src = d ? server : client,
		.dst = d ? client : server,
		.seq = isn[d] + 1 + (uint32_t)off,
		.ack = isn[!d] + 1 + (uint32_t)ack,
		.window = window[d],
		.flags = (uint8_t)flags,
		.ttl = 64,
		.opt = option[d],
		.payload_len = n,
		.time_ns = now,
		.mac_valid = true,
		.src_mac = {2, 0, 0, 0, 0, (uint8_t)d},
	};
	uint32_t have = n < captured ? n : captured;
	uint8_t *p = malloc(have + 1);

	for (uint32_t i = 0; i < have; i++)
		p[i] = payload ? payload[i] : pattern(d, (uint64_t)(off + (flags & S ? 1 : 0)) + i);
	g.payload = bytes_of(p, have);
	if (!(flags & S))
		g.opt.seen &= (uint16_t) ~(TCP_OPT_MSS | TCP_OPT_SACK_PERM | TCP_OPT_WSCALE |
					   TCP_OPT_MPTCP | TCP_OPT_BAD);
	struct flow *f = track_segment(track, &g);
	free(p);
	now += 1000;
	return f;
}

static struct flow *c(int flags, int64_t off, int64_t ack, uint32_t n)
{
	return emit(FLOW_TO_SERVER, flags, off, ack, n);
}

static struct flow *s(int flags, int64_t off, int64_t ack, uint32_t n)
{
	return emit(FLOW_TO_CLIENT, flags, off, ack, n);
}

static struct flow *handshake(void)
{
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	assert_non_null(f);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	return f;
}

static struct flow *the_flow(void)
{
	return track_find(track, &server, &client);
}

static void assert_log(const struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
{
	assert_int_equal(f->stream[d].keep, from);
	assert_int_equal(f->stream[d].next, to);
	while (from < to) {
		struct bytes b = track_log(f, d, from);
		assert_true(b.n > 0 && b.n <= to - from);
		for (size_t i = 0; i < b.n; i++)
			assert_int_equal(b.p[i], pattern(d, from + i));
		from += b.n;
	}
}

/* ---- handshake ---- */

static void test_handshake(void **state)
{
	option[0].seen |= TCP_OPT_TIMESTAMP;
	option[1].seen |= TCP_OPT_TIMESTAMP;
	option[0].wscale = 7;
	option[1].wscale = 20; /* more than RFC 7323 allows counts as 14 */
	option[1].mss = 1400;
	struct flow *f = c(S, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_int_equal(track_live_count(track), 0);
	assert_false(flow_is_live(f));
	f = s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_RCVD);
	assert_int_equal(track_live_count(track), 1);
	assert_int_equal(f->window[0], 60000); /* never scaled in a SYN */
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
	option[0].seen = TCP_OPT_MSS; /* without answer the client offers less */
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
	isn[1] = 777777; /* SYN cookies */
	s(S | A, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->isn[1], 777777);
	isn[1] = 5; /* too late now */
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

static void test_syn_never_captured(void **state)
{
	struct flow *f = s(S | A, -1, 0, 0);
	c(A, 0, 0, 100);
	s(A, 0, 100, 50);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(track_live_count(track), 0);
	assert_int_equal(track_stats(track)->flows_midstream, 1);
	c(S, -1, 0, 0); /* it comes after all */
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
	assert_int_equal(shown[0], 100);
	s(S | A, -1, 0, 0);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->window[1], 60000 << 3);
	assert_int_equal(f->marks, 0);
	s(A, 0, 100, 10);
	assert_int_equal(shown[1], 10);
	assert_int_equal(f->acked[0], 100);
}

static void test_synack_never_captured(void **state)
{
	c(S, -1, 0, 0);
	s(A, 0, 0, 0); /* tells nothing */
	c(A, 0, 0, 10);
	c(A, 10, 40, 10);
	struct flow *f = s(A, 20, 10, 20); /* the first 20 bytes were lost, too */
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->isn[1], 5000);
	s(A, 0, 10, 20);
	assert_int_equal(shown[1], 40);
	s(S | A, -1, 0, 0);
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
	assert_null(s(S, -1, 0, 0)); /* the server connects to somebody */
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
	s(S, -1, 0, 0); /* now the other is the server */
	f = c(S | A, -1, 0, 0);
	assert_true(endpoint_eq(&f->server, &client));
	assert_int_equal(f->state, FLOW_SYN_RCVD);
}

static void test_midstream(void **state)
{
	assert_null(c(A, 100, 200, 0)); /* carries nothing */
	struct flow *f = c(A, 100, 200, 10);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	s(A, 200, 110, 1000);
	c(A, 110, 1200, 0);
	s(A, 9000, 110, 1000);
	assert_int_equal(f->acked[0], 10);
	assert_int_equal(f->acked[1], 1000);
	assert_int_equal(f->stream[1].next, 9800);
	assert_int_equal(shown[0] + shown[1], 0);
	assert_int_equal(track_pool(track)->used, 0);
	assert_int_equal(track_live_count(track), 0);
	assert_int_equal(track_stats(track)->flows_midstream, 1);
	/* A late SYN cannot give back what was not kept. */
	isn[0] = f->isn[0];
	c(S, -1, 0, 0);
	assert_int_equal(f->marks, FLOW_MARK_MIDSTREAM);
	isn[0] += 5000;
	f = c(S, -1, 0, 0);
	assert_int_equal(f->state, FLOW_SYN_SENT);
	assert_int_equal(why, TRACK_CLOSE_REUSED);
	assert_int_equal(f->marks, 0);
}

static void test_midstream_close(void **state)
{
	c(A, 100, 200, 10);
	c(F | A, 110, 200, 0);
	s(F | A, 200, 111, 0);
	assert_null(c(A, 111, 201, 0));
	assert_int_equal(why, TRACK_CLOSE_FIN);
	assert_int_equal(fins[0] + fins[1], 0);
}

static void test_trailing_packets_make_no_flow(void **state)
{
	handshake();
	assert_null(c(R, 0, 0, 0));
	assert_null(s(A, 0, 0, 1000)); /* was on the way */
	assert_int_equal(track_count(track), 0);
	now += 3 * NS_PER_S;
	assert_non_null(s(A, 1000, 0, 1000));
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
	/* Within the SYN, between SYN and data, within data, between segments. */
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

/* More than the number space holds: offsets go on where numbers begin anew. */
static void test_stream_longer_than_the_number_space(void **state)
{
	struct flow *f = handshake();
	uint64_t start = UINT64_C(0x1ffff0000), off = start;

	/* There after 8 GiB, which a test need not send. */
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
	c(A, 150, 0, 50); /* other bytes in old places */
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
	c(A, 0, 1000, 0); /* old */
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

	c(A, 0, 0, 100); /* not asked for */
	assert_log(f, FLOW_TO_SERVER, 100, 100);
	keep[0] = 150; /* asked for from within the chunk */
	c(A, 100, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 150, 200);
	c(A, 200, 0, 100); /* and all that follows */
	assert_log(f, FLOW_TO_SERVER, 150, 300);
	keep[0] = 20; /* forgotten: no effect */
	c(A, 300, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 150, 400);
	keep[0] = 100000; /* beyond what was shown: from the end of it */
	c(A, 400, 0, 100);
	assert_log(f, FLOW_TO_SERVER, 500, 500);
	assert_int_equal(track_pool(track)->used, 0);
	keep[0] = TRACK_KEEP_NOTHING; /* the callback is silent: the last word stands */
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
	s(A, 2500, 0, 500); /* released bytes come from held ranges, too */
	keep[1] = 2900;
	s(A, 2000, 0, 500);
	assert_log(f, FLOW_TO_CLIENT, 2000, 3000);
	c(A, 0, 3000, 0);
	assert_log(f, FLOW_TO_CLIENT, 2900, 3000);
}

static void test_log_wraps_in_its_buffer(void **state)
{
	struct flow *f = handshake();

	for (int64_t off = 0; off < 30000; off += 700) {
		s(A, off, 0, 700);
		assert_log(f, FLOW_TO_CLIENT, f->acked[1], (uint64_t)off + 700);
		if (off >= 1400)
			c(A, 0, off - 700, 0);
	}
	assert_int_equal(track_pool(track)->used, 4096);
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
	c(A, 0, 2000, 0); /* nothing better will come */
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
	/* A keep-alive with one byte of no meaning must not fill the last place of it. */
	uint8_t junk = 0xEE;
	payload = &junk;
	c(A, 149, 0, 1);
	assert_int_equal(gaps[0], 1);
	assert_int_equal(shown[0], 150);
	assert_int_equal(f->marks, FLOW_MARK_GAP_TO_SERVER);
	assert_int_equal(f->retransmits[0], 0);
}

static void test_hole_filled_in_time(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 300, 0); /* ACKs before what they acknowledge */
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

/* An ACK that is always a little ahead is not one old hole. */
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

	s(A, 100, 0, 100); /* not acknowledged: not known to be lost */
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
	assert_int_equal(f->edge[1], 60000); /* a window taken back was still given */
	s(A, 99, 0, 0);                      /* Linux: an old number and no data */
	c(A, 0, 100, 0);
	assert_int_equal(f->retransmits[1], 0);
	s(A, 100, 0, 1); /* RFC 9293: one byte of the stream, again and again */
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
	s(A, -1, 0, 0); /* our own question is seen as well */
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

/* ---- windows, time stamps ---- */

static void test_old_ack_does_not_overwrite_window(void **state)
{
	struct flow *f = handshake();

	s(A, 0, 0, 1000);
	window[0] = 3000;
	c(A, 0, 1000, 10);
	window[0] = 9000;
	c(A, 0, 500, 0); /* acknowledges less */
	assert_int_equal(f->window[1], 3000);
	c(A, 5, 1000, 0);                     /* older sequence number */
	assert_int_equal(f->window[1], 9000); /* no: newer than the one at 0 */
	window[0] = 100;
	c(A, 0, 1000, 0);
	assert_int_equal(f->window[1], 9000);
	window[0] = 200;
	c(A, 5, 1000, 0); /* same numbers: an update */
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
	assert_int_equal(flow_ts_hz(f), 0); /* too short to tell */
	now = first + 300 * NS_PER_MS;
	option[1].tsval += 200; /* wraps */
	s(A, 10, 0, 10);
	assert_int_equal(f->tsval[1], 199);
	assert_int_equal(f->tsval_ns[1], first + 300 * NS_PER_MS);
	assert_int_equal(flow_ts_hz(f), 1000);
	now += NS_PER_MS;
	option[1].tsval = 150; /* an old copy */
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

/* ---- what is not believed ---- */

static void test_far_segments(void **state)
{
	struct flow *f = handshake();

	s(A, 125537, 0, 10); /* the edge and one window: just out */
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
	/* The server would not take this either (RFC 5961 section 5.2). */
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
	track_capture_drops(track);
	assert_true(f->marks & FLOW_MARK_CAPTURE_DROPS);
	s(A, 10000000, 0, 100); /* goes on from wherever it is */
	assert_int_equal(track_stats(track)->bad_seq, 1);
	c(A, 0, 10000100, 0);
	track_settle(track, f);
	assert_int_equal(shown[1], 10000100);
	s(A, 10000100, 0, 100);
	assert_int_equal(shown[1], 10000200);
	s(A, 30000000, 0, 100); /* once */
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
	assert_null(s(R, 500, 0, 0)); /* what the client expects lies between acked and next */
	assert_int_equal(why, TRACK_CLOSE_RST);
	restart();
	handshake();
	assert_null(s(R, 59999, 0, 0)); /* within the window */
	restart();
	handshake();
	c(F | A, 0, 0, 0);
	s(A, 0, 1, 0);
	assert_null(c(R, 1, 0, 0)); /* after its FIN */
	assert_int_equal(track_stats(track)->bad_rst, 0);
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
	c(A | F, 0, 0, 100); /* retransmission */
	c(A | F, 100, 0, 0);
	c(A, 100, 200, 50); /* data after the end is none */
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
	s(F | A, 500, 0, 0); /* bytes beyond it were seen */
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
	assert_null(s(A, 201, 1, 0)); /* both have everything: it will not come again */
	assert_int_equal(gaps[1], 1);
	assert_int_equal(fins[1], 1);
	assert_int_equal(why, TRACK_CLOSE_FIN);
}

static void test_reuse(void **state)
{
	struct flow *f = handshake();

	c(A, 0, 0, 100);
	isn[0] = 900000;
	assert_ptr_equal(c(S, -1, 0, 0), f); /* anybody can send this */
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
	f = s(S | A, -1, 0, 0); /* the server does mean it */
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
	c(S, -1, 0, 0); /* still trying: 1099 is silent for longer */
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
	assert_int_equal(f->marks, 0); /* it will be sent again */
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
		assert_int_equal(closes, i < 5 ? 0 : 1); /* 18 s */
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
	g.src = g.dst; /* between strangers */
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
		c(F | A, (int64_t)size, (int64_t)size, 0);
		s(F | A, (int64_t)size, (int64_t)size + 1, 0);
		assert_null(c(A, (int64_t)size + 1, (int64_t)size + 1, 0));
	}
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

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
		CASE(test_midstream),
		CASE(test_midstream_close),
		CASE(test_trailing_packets_make_no_flow),
		CASE(test_outbound_is_not_midstream),
		CASE(test_data),
		CASE(test_sequence_wraps),
		CASE(test_stream_longer_than_the_number_space),
		CASE(test_overlap_first_copy_wins),
		CASE(test_unacknowledged_is_always_kept),
		CASE(test_keep),
		CASE(test_keep_and_unacknowledged),
		CASE(test_log_wraps_in_its_buffer),
		CASE(test_truncated_payload),
		CASE(test_hole_becomes_gap_by_time),
		CASE(test_hole_becomes_gap_by_the_next_segment),
		CASE(test_hole_filled_in_time),
		CASE(test_hole_that_moves_stays_young),
		CASE(test_settle),
		CASE(test_unacknowledged_hole_stays),
		CASE(test_keep_alive),
		CASE(test_zero_window_probe),
		CASE(test_probe_after_takeover),
		CASE(test_old_ack_does_not_overwrite_window),
		CASE(test_timestamps),
		CASE(test_timestamp_clocks),
		CASE(test_far_segments),
		CASE(test_very_old_ack),
		CASE(test_capture_drops),
		CASE(test_rst),
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
		CASE(test_any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
