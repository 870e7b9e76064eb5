/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * track-script: what the tests of the tracker share.
 *
 * A case is a script of segments in stream offsets: c(flags, off, ack, n) from the
 * client, s(...) from the server; -1 is the place of a SYN. Bytes follow a pattern
 * of their offset, and whatever is shown must continue where it stopped.
 */
#ifndef CAPTURE_TRACK_SCRIPT_H
#define CAPTURE_TRACK_SCRIPT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/buf.h"
#include "base/clock.h"
#include "capture/track.h"

#define S TCP_SYN
#define A TCP_ACK
#define F TCP_FIN
#define R TCP_RST

static struct track *track;
static struct track_config config;
static struct endpoint server, client, services[3];
static struct netaddr ignored;

/* Properties of the next segments. set_up() resets them. */
static uint32_t isn[2];
static uint16_t window[2];
static struct tcp_options option[2];
static uint16_t vlan[2];       /* 0: no tag */
static uint8_t dst_mac[2];     /* its last byte */
static uint32_t captured;      /* ceiling of the payload bytes in the capture */
static const uint8_t *payload; /* used instead of the pattern */
static int64_t now;

/* What the track borrows: payloads of this many segments. */
#define LENT_MAX 5
static bool borrows;
static struct buf lent[LENT_MAX];
static uint32_t lent_count;

static bool put_off;                                                  /* flows are put off */
static void (*before_shown)(enum flow_dir d, uint64_t off, size_t n); /* may be NULL */

/* What the callbacks have seen. */
static uint64_t shown[2];
static uint64_t keep[2]; /* what the data callback asks for */
static bool keep_end[2]; /* ... or it asks from the end of each chunk */
static int opens, closes, changes, fins[2], gaps[2];
static enum track_close why;
static uint64_t fin_at[2], gap_from[2], gap_to[2];

static inline uint8_t pattern(enum flow_dir d, uint64_t off)
{
	return (uint8_t)(off * 31 + off / 253 + (d ? 101 : 7));
}

static inline void on_open(void *ctx, struct flow *f)
{
	const struct flow *found = track_find(track, &f->server, &f->client);

	opens++;
	while (found && found != f)
		found = track_twin(track, found);
	assert_ptr_equal(found, f);
	if (put_off)
		track_put_off(f);
}

static inline void on_data(void *ctx, struct flow *f, enum flow_dir d, uint64_t off, struct bytes b)
{
	assert_true(b.n > 0);
	assert_int_equal(off, shown[d]);
	if (before_shown)
		before_shown(d, off, b.n);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], pattern(d, off + i));
	shown[d] = off + b.n;
	assert_int_equal(track_log(f, d, off).n, 0); /* the chunk is not in the log yet */
	if (keep_end[d])
		track_keep_from(track, f, d, off + b.n);
	else if (keep[d] != TRACK_KEEP_NOTHING)
		track_keep_from(track, f, d, keep[d]);
	assert_int_equal(b.p[b.n - 1], pattern(d, off + b.n - 1)); /* the view is still valid */
}

static inline void on_gap(void *ctx, struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
{
	assert_int_equal(from, shown[d]);
	assert_true(to > from);
	shown[d] = to;
	gaps[d]++;
	gap_from[d] = from;
	gap_to[d] = to;
}

static inline void on_fin(void *ctx, struct flow *f, enum flow_dir d, uint64_t off)
{
	assert_int_equal(off, shown[d]);
	fins[d]++;
	fin_at[d] = off;
}

static inline void on_changed(void *ctx, struct flow *f)
{
	changes++;
}

static inline void on_close(void *ctx, struct flow *f, enum track_close w)
{
	closes++;
	why = w;
	assert_int_equal(f->state, FLOW_CLOSED);
}

static const struct track_sink sink = {on_open, on_data, on_gap, on_fin, on_changed, on_close};

/* Lets the payloads of all segments so far go. */
static inline void repay(void)
{
	if (track)
		track_repay(track);
	while (lent_count > 0) {
		const struct buf *b = &lent[--lent_count];
		memset(b->p, 0xee, b->n);
		free(b->p);
	}
}

static inline void restart(void)
{
	track_free(track);
	track = NULL;
	repay();
	track = track_new(&config, &sink, NULL);
	assert_non_null(track);
	assert_int_equal(borrows ? track_borrow(track) : 0, 0);
	opens = closes = changes = 0;
	memset(shown, 0, sizeof shown);
	memset(fins, 0, sizeof fins);
	memset(gaps, 0, sizeof gaps);
}

static inline int set_up_rig(void)
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
	vlan[0] = vlan[1] = 0;
	dst_mac[0] = dst_mac[1] = 0;
	before_shown = NULL;
	put_off = false;
	now = 1000 * NS_PER_S;
	track = NULL;
	restart();
	return 0;
}

static inline int set_up(void **state)
{
	borrows = false;
	return set_up_rig();
}

static inline int set_up_borrowing(void **state)
{
	borrows = true;
	return set_up_rig();
}

static inline int tear_down(void **state)
{
	track_free(track);
	track = NULL;
	repay();
	return 0;
}

/* The payload of a segment has been taken. */
static inline void take_back(uint8_t *p, uint32_t n)
{
	if (!borrows) {
		free(p);
		return;
	}
	if (lent_count == LENT_MAX)
		repay();
	lent[lent_count++] = (struct buf){.p = p, .n = n};
}

static inline struct flow *emit(enum flow_dir d, int flags, int64_t off, int64_t ack, uint32_t n)
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
		.vlan_present = vlan[d],
		.vlan_tci = vlan[d],
		.payload_len = n,
		.time_ns = now,
		.mac_valid = true,
		.src_mac = {2, 0, 0, 0, 0, (uint8_t)d},
		.dst_mac = {2, 0, 0, 0, 0, dst_mac[d]},
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
	take_back(p, have);
	now += 1000;
	return f;
}

static inline struct flow *c(int flags, int64_t off, int64_t ack, uint32_t n)
{
	return emit(FLOW_TO_SERVER, flags, off, ack, n);
}

static inline struct flow *s(int flags, int64_t off, int64_t ack, uint32_t n)
{
	return emit(FLOW_TO_CLIENT, flags, off, ack, n);
}

static inline struct flow *handshake(void)
{
	c(S, -1, 0, 0);
	s(S | A, -1, 0, 0);
	struct flow *f = c(A, 0, 0, 0);
	assert_non_null(f);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	return f;
}

static inline struct flow *the_flow(void)
{
	return track_find(track, &server, &client);
}

static inline void assert_log(const struct flow *f, enum flow_dir d, uint64_t from, uint64_t to)
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

/* Each case is run twice: bytes are copied at once, or borrowed for some segments. */
#define RUN(f, name, up)                     \
	{                                    \
		name, f, up, tear_down, NULL \
	}
#define CASE(f) RUN(f, #f, set_up), RUN(f, #f " (borrowing)", set_up_borrowing)

#endif
