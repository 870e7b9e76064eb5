/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * watch-rig: one watched connection, driven by segments in stream offsets, and
 * a module that notes what it was told. Shared by the tests of watch, plan and takeover.
 *
 * client(flags, off, ack, n) and server(...): @off and @ack are stream offsets, -1 the
 * place of a SYN; n bytes follow a pattern of their offset.
 */
#ifndef APPLIANCE_TEST_WATCH_RIG_H
#define APPLIANCE_TEST_WATCH_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "watch/watch.h"

#define RIG_PAYLOAD_MAX 70000

/* The ISNs are close to the wrap, so that every test crosses it. */
#define RIG_ISN_CLIENT UINT32_C(0xffffff00)
#define RIG_ISN_SERVER UINT32_C(0xfffff000)

struct rig_state {
	uint64_t magic;
	struct jeebs_flow *flow;
	const struct jeebs_live_ops *ops;
};

struct rig {
	struct watch *watch;
	struct watch_service service;
	struct endpoint server, client;
	watch_module_fn choose;
	struct watch_hooks hooks; /* lend and lease_back */
	bool unread;              /* what is said is read when somebody asks, and not at once */
	uint32_t max_flows;
	int64_t now_ns;
	uint32_t isn[2];
	struct tcp_options syn, answer; /* options of the handshake */
	uint16_t window;
	uint32_t tsval[2]; /* by direction, after a handshake with timestamps */
	uint64_t
		/* The client says in SACK that it holds bytes before this; 0: it does not. */
		sacked_to;
	uint8_t tos;
	size_t captured; /* ceiling of the payload bytes in the capture */
	/* How the module behaves. */
	int open_result, data_result, gap_result;
	uint64_t keep[2]; /* asked for in open and each data callback; UINT64_MAX: nothing */
	uint32_t verdict;
	const char *reason;
	char detail; /* the plan's detail is full of this character, without an end */
	/* What the module saw. */
	int opens, closes, gaps, fins, plans;
	uint64_t bytes[2];
	struct jeebs_cut cut; /* of the last plan */
	/* What the owner of the watch saw. */
	int closed, gap_hooks;
	uint64_t gap_bytes;
};

static struct rig rig;

static inline uint8_t rig_byte(enum flow_dir d, uint64_t off)
{
	return (uint8_t)(off * 7 + off / 251 + (d ? 91 : 3));
}

static inline int rig_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
			   const struct jeebs_service *svc)
{
	struct rig_state *s = state;

	assert_int_equal(s->magic, 0); /* the host zeroes the state, also when it is used again */
	assert_int_equal(svc->port, 80);
	assert_string_equal(svc->protocol, "rig");
	*s = (struct rig_state){.magic = 0x5a5a, .flow = f, .ops = ops};
	for (uint32_t d = 0; d < 2; d++)
		if (rig.keep[d] != UINT64_MAX)
			ops->keep_from(f, d, rig.keep[d]);
	rig.opens += rig.open_result == JEEBS_OK;
	return rig.open_result;
}

static inline int rig_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b,
			   int64_t now_ns)
{
	const struct rig_state *s = state;

	assert_int_equal(s->magic, 0x5a5a);
	assert_int_equal(off, rig.bytes[dir]);
	assert_true(now_ns > 0 && now_ns <= rig.now_ns);
	for (size_t i = 0; i < b.n; i++)
		assert_int_equal(b.p[i], rig_byte((enum flow_dir)dir, off + i));
	rig.bytes[dir] += b.n;
	if (rig.keep[dir] != UINT64_MAX)
		s->ops->keep_from(s->flow, dir, rig.keep[dir]);
	return rig.data_result;
}

static inline int rig_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	assert_int_equal(from, rig.bytes[dir]);
	rig.bytes[dir] = to;
	rig.gaps++;
	return rig.gap_result;
}

static inline int rig_fin(void *state, uint32_t dir, uint64_t off)
{
	assert_int_equal(off, rig.bytes[dir]);
	rig.fins++;
	return JEEBS_OK;
}

static inline size_t rig_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	return 0;
}

static inline int rig_restore(void *state, struct jeebs_bytes checkpoint)
{
	return JEEBS_OK;
}

static inline void rig_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	assert_int_equal(((const struct rig_state *)state)->magic, 0x5a5a);
	rig.plans++;
	rig.cut = *cut;
	*ret = (struct jeebs_plan){.verdict = rig.verdict, .reason = rig.reason};
	memset(ret->detail, rig.detail, sizeof ret->detail);
}

static inline void rig_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			      const struct jeebs_join_ops *ops, uint32_t event,
			      struct jeebs_bytes b)
{
}

static inline void rig_close(void *state)
{
	struct rig_state *s = state;

	assert_int_equal(s->magic, 0x5a5a); /* it was opened and is not closed */
	s->magic = 0xdead;
	rig.closes++;
}

static const struct jeebs_module rig_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "rig",
	.version = "1",
	.state_size = sizeof(struct rig_state),
	.open = rig_open,
	.data = rig_data,
	.gap = rig_gap,
	.fin = rig_fin,
	.checkpoint = rig_checkpoint,
	.restore = rig_restore,
	.plan = rig_plan,
	.resume = rig_resume,
	.close = rig_close,
};

static inline void rig_on_gap(void *ctx, const struct jeebs_flow *jf, enum flow_dir dir,
			      uint64_t bytes)
{
	assert_ptr_equal(ctx, &rig);
	rig.gap_hooks++;
	rig.gap_bytes += bytes;
}

static inline void rig_on_closed(void *ctx, struct jeebs_flow *jf, enum track_close why)
{
	assert_ptr_equal(ctx, &rig);
	rig.closed++;
}

static inline void rig_start(size_t stream_max)
{
	struct watch_config wc = {
		.track = {.max_flows = rig.max_flows,
			  .buffer_max = 16 << 20,
			  .stream_max = stream_max,
			  .hole_timeout_ns = 200 * NS_PER_MS,
			  .key = {{1, 2}}},
		.services = &rig.service,
		.service_count = 1,
		.choose_module = rig.choose,
		.hooks = {.gap = rig_on_gap,
			  .closed = rig_on_closed,
			  .lend = rig.hooks.lend,
			  .lease_back = rig.hooks.lease_back},
		.ctx = &rig,
	};

	rig.watch = watch_new(&wc);
	assert_non_null(rig.watch);
}

static inline int rig_setup(void **state)
{
	rig = (struct rig){
		.max_flows = 64,
		.now_ns = 1000 * NS_PER_S,
		.isn = {RIG_ISN_CLIENT, RIG_ISN_SERVER},
		.window = 60000,
		.keep = {UINT64_MAX, UINT64_MAX},
		.verdict = JEEBS_CONTINUE,
		.reason = "rigged",
		.captured = SIZE_MAX,
		.syn = {.seen = TCP_OPT_MSS | TCP_OPT_SACK_PERM, .mss = 1400},
		.answer = {.seen = TCP_OPT_MSS | TCP_OPT_SACK_PERM, .mss = 1460},
	};
	assert_int_equal(endpoint_parse("10.9.0.1:80", false, &rig.server), 0);
	assert_int_equal(endpoint_parse("10.1.0.7:40000", false, &rig.client), 0);
	rig.service = (struct watch_service){
		.endpoint = rig.server, .module = &rig_module, .protocol = "rig", .server = 0};
	rig_start(4 << 20);
	return 0;
}

static inline int rig_teardown(void **state)
{
	rig.watch = watch_free(rig.watch);
	assert_int_equal(rig.opens, rig.closes); /* exactly once each */
	return 0;
}

static inline struct flow *rig_send(enum flow_dir d, uint8_t flags, int64_t off, int64_t ack,
				    size_t n)
{
	static uint8_t payload[RIG_PAYLOAD_MAX];
	bool to_client = d == FLOW_TO_CLIENT;
	struct segment s = {
		.src = to_client ? rig.server : rig.client,
		.dst = to_client ? rig.client : rig.server,
		.seq = rig.isn[d] + 1 + (uint32_t)off,
		.ack = rig.isn[!d] + 1 + (uint32_t)ack,
		.window = rig.window,
		.flags = flags,
		.ttl = to_client ? 61 : 50,
		.tos = rig.tos,
		.mac_valid = true,
		.src_mac = {2, 0, 0, 0, 0, to_client},
		.payload = {payload, n < rig.captured ? n : rig.captured},
		.payload_len = (uint32_t)n,
		.time_ns = ++rig.now_ns,
	};

	assert_true(n <= sizeof payload);
	for (size_t i = 0; i < n; i++)
		payload[i] = rig_byte(d, (uint64_t)off + i);
	if (flags & TCP_SYN)
		s.opt = to_client ? rig.answer : rig.syn;
	else if (rig.syn.seen & rig.answer.seen & TCP_OPT_TIMESTAMP)
		s.opt = (struct tcp_options){.seen = TCP_OPT_TIMESTAMP, .tsval = rig.tsval[d]};
	if (!to_client && rig.sacked_to) {
		s.opt.seen |= TCP_OPT_SACK;
		s.opt.sack_high = rig.isn[!d] + 1 + (uint32_t)rig.sacked_to;
	}
	struct flow *f = track_segment(watch_track(rig.watch), &s);
	if (f && f->user && !rig.unread)
		watch_read(watch_flow(f));
	return f;
}

static inline struct flow *client(uint8_t flags, int64_t off, int64_t ack, size_t n)
{
	return rig_send(FLOW_TO_SERVER, flags, off, ack, n);
}

static inline struct flow *server(uint8_t flags, int64_t off, int64_t ack, size_t n)
{
	return rig_send(FLOW_TO_CLIENT, flags, off, ack, n);
}

static inline struct jeebs_flow *rig_handshake(void)
{
	client(TCP_SYN, -1, 0, 0);
	server(TCP_SYN | TCP_ACK, -1, 0, 0);
	struct flow *f = client(TCP_ACK, 0, 0, 0);

	assert_non_null(f);
	assert_int_equal(f->state, FLOW_ESTABLISHED);
	return watch_flow(f);
}

#endif
