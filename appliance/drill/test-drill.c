/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The every-cut drill must find what is wrong: a module that asks the backup everything
 * again and leaves out what was delivered, told to err in each way there is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/clock.h"
#include "drill-report.h"

enum fault {
	NONE,
	OTHER_BYTE,       /* one byte of the answer differs */
	STALLS,           /* sends nothing */
	NEVER_ENDS,       /* finishes the backup, never the client */
	ENDS_EARLY,       /* finishes the client at once */
	MORE,             /* sends one byte more than the server did */
	AGAINST_CONTRACT, /* sends to the client after its end */
	FORGETS,          /* the checkpoint lacks a part of the state */
	ABORTS,
	REFUSES,
};

static enum fault fault;

/* ---- the module ------------------------------------------------------------------------------ */

struct line_state {
	uint64_t seen;     /* the client's bytes so far */
	uint64_t suppress; /* of the answer: delivered before the server died */
	bool odd, lost;
};

static int line_open(void *state, struct jeebs_flow *f, const struct jeebs_live_ops *ops,
		     const struct jeebs_service *svc)
{
	ops->keep_from(f, JEEBS_TO_SERVER, 0);
	return JEEBS_OK;
}

static int line_data(void *state, uint32_t dir, uint64_t off, struct jeebs_bytes b, int64_t now_ns)
{
	struct line_state *s = state;

	if (dir == JEEBS_TO_SERVER)
		s->seen = off + b.n;
	s->odd = true;
	return JEEBS_OK;
}

static int line_gap(void *state, uint32_t dir, uint64_t from, uint64_t to)
{
	if (dir != JEEBS_TO_SERVER)
		return JEEBS_OK;
	((struct line_state *)state)->lost = true;
	return JEEBS_GIVE_UP;
}

static int line_fin(void *state, uint32_t dir, uint64_t off)
{
	return JEEBS_OK;
}

static size_t line_checkpoint(const void *state, uint8_t *out, size_t cap)
{
	if (cap >= sizeof(struct line_state))
		memcpy(out, state, sizeof(struct line_state));
	return sizeof(struct line_state);
}

static int line_restore(void *state, struct jeebs_bytes checkpoint)
{
	struct line_state *s = state;

	memcpy(s, checkpoint.p, sizeof *s);
	if (fault == FORGETS)
		s->odd = false;
	return JEEBS_OK;
}

static void line_plan(const void *state, const struct jeebs_cut *cut, struct jeebs_plan *ret)
{
	const struct line_state *s = state;

	*ret = (struct jeebs_plan){.verdict = fault == REFUSES ? JEEBS_REFUSE : JEEBS_CONTINUE,
				   .reason = fault == REFUSES ? "told-to" : "again"};
	if (fault == FORGETS && s->odd)
		ret->reason = "odd";
	if (s->lost)
		*ret = (struct jeebs_plan){.verdict = JEEBS_REFUSE, .reason = "question-lost"};
}

static void ask_again(struct line_state *s, const struct jeebs_cut *cut, struct jeebs_join *j,
		      const struct jeebs_join_ops *ops)
{
	s->suppress = cut->to_client_end;
	for (uint64_t off = 0; off < cut->to_server_end;) {
		struct jeebs_bytes b = cut->log(cut->flow, JEEBS_TO_SERVER, off);
		assert_true(b.n > 0);
		ops->to_backend(j, b);
		off += b.n;
	}
	if (fault == ENDS_EARLY || fault == AGAINST_CONTRACT)
		ops->finish_client(j);
	if (fault == AGAINST_CONTRACT)
		ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)"x", 1});
	if (fault == ABORTS)
		ops->abort(j, "changed-its-mind");
}

static void pass_on(struct line_state *s, struct jeebs_join *j, const struct jeebs_join_ops *ops,
		    struct jeebs_bytes b)
{
	size_t skip = s->suppress < b.n ? (size_t)s->suppress : b.n;

	s->suppress -= skip;
	if (skip == b.n)
		return;
	uint8_t *p = malloc(b.n - skip);
	memcpy(p, b.p + skip, b.n - skip);
	if (fault == OTHER_BYTE)
		p[b.n - skip - 1] ^= 1;
	ops->to_client(j, (struct jeebs_bytes){p, b.n - skip});
	free(p);
}

static void line_resume(void *state, const struct jeebs_cut *cut, struct jeebs_join *j,
			const struct jeebs_join_ops *ops, uint32_t event, struct jeebs_bytes b)
{
	struct line_state *s = state;

	if (fault == STALLS)
		return;
	switch (event) {
	case JEEBS_EV_START:
		ask_again(s, cut, j, ops);
		return;
	case JEEBS_EV_CLIENT_DATA:
		ops->to_backend(j, b);
		return;
	case JEEBS_EV_BACKEND_DATA:
		pass_on(s, j, ops, b);
		return;
	case JEEBS_EV_BACKEND_EOF:
		if (fault == NEVER_ENDS)
			return;
		if (fault == MORE)
			ops->to_client(j, (struct jeebs_bytes){(const uint8_t *)"x", 1});
		ops->finish_client(j);
		return;
	default:
		return;
	}
}

static void line_close(void *state) {}

static const struct jeebs_module line_module = {
	.abi = JEEBS_MODULE_ABI,
	.size = sizeof(struct jeebs_module),
	.name = "line",
	.version = "1",
	.state_size = sizeof(struct line_state),
	.open = line_open,
	.data = line_data,
	.gap = line_gap,
	.fin = line_fin,
	.checkpoint = line_checkpoint,
	.restore = line_restore,
	.plan = line_plan,
	.resume = line_resume,
	.close = line_close,
};

/* ---- the oracle: the same bytes answer the same bytes ---- */

struct exact {
	struct buf server, client;
	/* The server sends its bytes from @from on once it has received @after bytes of the
	 * client. */
	struct exact_turn {
		uint64_t from, after;
	} turn[64];
	uint32_t turns;
	uint64_t lost; /* offset of the first lost byte of the server, + 1 */
	bool fin;
	uint64_t got, sent; /* offsets in the connection */
};

static uint64_t unasked = UINT64_MAX;
static int oracles; /* open oracles and their connections */

static void *exact_open(const struct jeebs_service *svc)
{
	struct exact *e = calloc(1, sizeof *e);

	e->server = e->client = BUF_INIT(1 << 20);
	oracles++;
	return e;
}

static int exact_data(void *oracle, uint32_t dir, uint64_t off, struct jeebs_bytes b)
{
	struct exact *e = oracle;

	if (dir == JEEBS_TO_SERVER)
		return buf_append(&e->client, b.p, b.n);
	assert_int_equal(off, e->server.n);
	assert_true(e->turns < 64);
	e->turn[e->turns++] = (struct exact_turn){off, e->client.n};
	return buf_append(&e->server, b.p, b.n);
}

static int exact_gap(void *oracle, uint32_t dir, uint64_t from, uint64_t to)
{
	struct exact *e = oracle;
	static uint8_t nothing[1 << 18];

	if (e->lost == 0 && dir == JEEBS_TO_CLIENT)
		e->lost = from + 1;
	assert_true(to - from <= sizeof nothing);
	return buf_append(dir == JEEBS_TO_SERVER ? &e->client : &e->server, nothing,
			  (size_t)(to - from));
}

static int exact_fin(void *oracle, uint32_t dir, uint64_t off)
{
	struct exact *e = oracle;

	e->fin = e->fin || dir == JEEBS_TO_CLIENT;
	return 0;
}

static int exact_learned(void *oracle, uint64_t *ret_unasked)
{
	*ret_unasked = unasked;
	return 0;
}

static void *exact_connect(void *oracle, const struct jeebs_cut *cut)
{
	struct exact *e = oracle;

	e->got = e->sent = 0;
	oracles++;
	return e;
}

static int exact_receive(void *connection, struct jeebs_bytes b, int eof,
			 int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			 uint32_t *ret_state)
{
	struct exact *e = connection;
	uint64_t until = e->server.n;

	*ret_state = JEEBS_ORACLE_OPEN;
	if (e->got + b.n > e->client.n || memcmp(e->client.p + e->got, b.p, b.n) != 0) {
		*ret_state = JEEBS_ORACLE_UNKNOWN;
		return 0;
	}
	e->got += b.n;
	for (uint32_t i = e->turns; i > 0 && e->turn[i - 1].after > e->got; i--)
		until = e->turn[i - 1].from;
	if (e->lost && until >= e->lost) {
		*ret_state = JEEBS_ORACLE_UNKNOWN;
		until = e->lost - 1;
	}
	struct jeebs_bytes out = {e->server.p + e->sent, (size_t)(until - e->sent)};
	e->sent = until;
	if (e->fin && until == e->server.n)
		*ret_state = JEEBS_ORACLE_CLOSE;
	return out.n ? answer(ctx, out) : 0;
}

static void exact_disconnect(void *connection)
{
	oracles--;
}

static void exact_close(void *oracle)
{
	struct exact *e = oracle;

	buf_deinit(&e->server);
	buf_deinit(&e->client);
	free(e);
	oracles--;
}

static const struct jeebs_oracle exact_oracle = {
	.abi = JEEBS_ORACLE_ABI,
	.size = sizeof(struct jeebs_oracle),
	.name = "line",
	.open = exact_open,
	.data = exact_data,
	.gap = exact_gap,
	.fin = exact_fin,
	.learned = exact_learned,
	.connect = exact_connect,
	.receive = exact_receive,
	.disconnect = exact_disconnect,
	.close = exact_close,
};

/* ---- the capture ------------------------------------------------------------------- */

#define C   FLOW_TO_SERVER /* sent by the client */
#define S   FLOW_TO_CLIENT
#define ACK TCP_ACK

struct seg {
	enum flow_dir dir;
	int flags;
	int64_t off, ack; /* stream offsets; -1: the position of a SYN */
	const char *text;
};

/* Both ISNs are so close to the wrap that the sequence numbers pass it. */
static const uint32_t isn[2] = {UINT32_C(0xfffffff0), UINT32_C(0xfffffff8)};

static const struct seg talk[] = {
	{C, TCP_SYN, -1, 0, ""},
	{S, TCP_SYN | ACK, -1, 0, ""},
	{C, ACK, 0, 0, ""},
	{C, ACK, 0, 0, "one and a half, "},
	{S, ACK, 0, 16, "first answer"},
	{C, ACK, 16, 5, ""},
	{C, ACK, 16, 12, "two"},
	{S, ACK, 12, 19, "second "},
	{S, ACK, 12, 19, "second "}, /* a retransmission */
	{C, ACK, 19, 12, ""},
	{S, ACK, 19, 19, "answer, long enough to be cut in many places"},
	{C, ACK, 19, 63, ""},
	{S, TCP_FIN | ACK, 63, 19, ""},
	{C, TCP_FIN | ACK, 19, 64, ""},
	{S, ACK, 64, 20, ""},
};
#define TALK_N (sizeof talk / sizeof talk[0])

static struct watch_service service;
static struct drill_report report;
static size_t memory_max, horizon;
static int64_t hole_timeout_ns;
static struct drill_said said[8]; /* what the first connection's client sent */
static uint32_t said_n;
static const struct jeebs_oracle *oracle;

static struct segment segment_of(const struct seg *g, uint32_t packet)
{
	struct endpoint client;

	assert_int_equal(endpoint_parse("10.1.0.7:40000", false, &client), 0);
	return (struct segment){
		.src = g->dir == C ? client : service.endpoint,
		.dst = g->dir == C ? service.endpoint : client,
		.seq = isn[g->dir] + 1 + (uint32_t)g->off,
		.ack = isn[!g->dir] + 1 + (uint32_t)g->ack,
		.flags = (uint8_t)g->flags,
		.window = 60000,
		.payload = bytes_str(g->text),
		.payload_len = (uint32_t)strlen(g->text),
		.time_ns = (1000 + packet) * NS_PER_S,
	};
}

/* Drills the @n segments. The counts are in `report`. */
static void drill(const struct seg *g, uint32_t n)
{
	struct watch_config wc = {
		.track = {.max_flows = 16,
			  .buffer_max = 1 << 20,
			  .stream_max = 1 << 18,
			  .hole_timeout_ns = hole_timeout_ns,
			  .key = {{1, 2}}},
		.services = &service,
		.service_count = 1,
	};
	struct drill_truth *truth = drill_truth_new(&wc.track, &service, 1, memory_max);
	struct watch *live = watch_new(&wc);
	struct drill_bench b = {.scratch = watch_new(&wc), .oracle = oracle, .horizon = horizon};

	report = (struct drill_report){.step = 1, .horizon = horizon};
	for (uint32_t i = 0; i < n; i++) {
		struct segment s = segment_of(&g[i], i);
		drill_truth_at(truth, i + 1);
		drill_truth_saw(truth, track_segment(drill_truth_track(truth), &s), &s);
	}
	drill_truth_end(truth);
	assert_int_equal(drill_truth_error(truth), 0);
	for (uint32_t i = 0; i < n; i++) {
		struct segment s = segment_of(&g[i], i);
		struct drill_finding f;
		track_segment(watch_track(live), &s);
		list_for_each_safe (it, tmp, watch_dirty(live)) {
			struct flow *flow = list_entry(it, struct flow, dirty);
			list_del(it);
			if (!flow_is_live(flow))
				continue;
			assert_int_equal(drill_cut(&b, watch_flow(flow),
						   drill_truth_flow(truth, flow->id), i + 1, &f),
					 0);
			drill_report_add(&report, flow, i + 1, &f);
			assert_int_equal(track_count(watch_track(b.scratch)), 0);
		}
	}
	report.unknown = drill_truth_unknown(truth);
	const struct drill_flow *first = drill_truth_flow(truth, 1);
	said_n = first ? first->said_count : 0;
	for (uint32_t i = 0; i < said_n && i < 8; i++)
		said[i] = first->said[i];
	watch_free(b.scratch);
	watch_free(live);
	drill_truth_free(truth);
	assert_int_equal(oracles, 0);
	assert_int_equal(report.cuts, report.exact + report.refused + report.wrong);
}

static int set_up(void **state)
{
	fault = NONE;
	unasked = UINT64_MAX;
	memory_max = SIZE_MAX;
	hole_timeout_ns = 10 * NS_PER_S;
	horizon = 1 << 16;
	oracle = &exact_oracle;
	service = (struct watch_service){.module = &line_module, .protocol = "line"};
	return endpoint_parse("10.9.0.1:80", false, &service.endpoint);
}

/* Asserts that each cut has this outcome, from the first cut on that it can show at. */
static void assert_finds(enum fault what, const char *kind)
{
	fault = what;
	drill(talk, TALK_N);
	assert_true(report.wrong > 0);
	assert_int_equal(report.error_count, 1);
	assert_string_equal(report.error[0].reason, kind);
	assert_int_equal(report.error[0].n, report.wrong);
	assert_string_equal(report.first.reason, kind);
	assert_int_equal(report.first_client.port, 40000);
}

/* ---- tests ------------------------------------------------------------------------- */

static void test_every_cut_is_exact(void **state)
{
	drill(talk, TALK_N);
	/* No cut is at the SYN, whose flow is not live yet, nor at the last packet, which ends
	 * the flow. */
	assert_int_equal(report.cuts, TALK_N - 2);
	assert_int_equal(report.exact, report.cuts);
}

static void test_other_byte(void **state)
{
	assert_finds(OTHER_BYTE, "other-bytes");
	/* At the first cut the whole first answer is due. Its last byte is wrong. */
	assert_int_equal(report.first_packet, 2);
	assert_int_equal(report.first.offset, 11);
	assert_int_equal(report.first.window, 3);
	assert_memory_equal(report.first.want, "st answer", 9);
	assert_memory_equal(report.first.got, "st answes", 9);
	/* The cuts at which nothing more is due. */
	assert_int_equal(report.exact, 4);
}

static void test_stall(void **state)
{
	assert_finds(STALLS, "stalls");
	assert_int_equal(report.first.offset, 0);
	assert_memory_equal(report.first.want, "first answer", 12);
}

static void test_end_missing(void **state)
{
	assert_finds(NEVER_ENDS, "end-missing");
	assert_int_equal(report.first.offset, 63);
}

static void test_early_end(void **state)
{
	assert_finds(ENDS_EARLY, "ends-early");
}

static void test_more_than_there_is(void **state)
{
	assert_finds(MORE, "more-than-the-server-sent");
	assert_int_equal(report.first.offset, 63);
}

static void test_contract(void **state)
{
	assert_finds(AGAINST_CONTRACT, "to_client after pass, finish or abort");
	assert_int_equal(report.wrong, report.cuts);
}

static void test_checkpoint_that_forgets(void **state)
{
	assert_finds(FORGETS, "checkpoint-plans-otherwise");
	assert_int_equal(report.exact, 2); /* before the first byte there is no state to forget */
}

static void test_refusals_are_told_apart(void **state)
{
	fault = REFUSES;
	drill(talk, TALK_N);
	assert_int_equal(report.refused, report.cuts);
	assert_int_equal(report.refusal_count, 1);
	assert_string_equal(report.refusal[0].reason, "told-to");
	assert_false(report.refusal[0].resuming);
	fault = ABORTS;
	drill(talk, TALK_N);
	assert_int_equal(report.wrong, 0);
	assert_int_equal(report.refused, report.cuts);
	assert_string_equal(report.refusal[0].reason, "changed-its-mind");
	assert_true(report.refusal[0].resuming);
}

static void test_without_oracle(void **state)
{
	oracle = NULL;
	drill(talk, TALK_N);
	assert_int_equal(report.refused, report.cuts);
	assert_string_equal(report.refusal[0].reason, "no-oracle");
}

static void test_memory_ceiling(void **state)
{
	memory_max = 50;
	drill(talk, TALK_N);
	assert_int_equal(report.unknown, 1);
	assert_int_equal(report.refused, report.cuts);
	assert_string_equal(report.refusal[0].reason, "drill-memory-ceiling");
}

/* Behind the horizon nothing is compared: a wrong byte there is not found. */
static void test_horizon(void **state)
{
	horizon = 11;
	fault = OTHER_BYTE;
	drill(talk, TALK_N);
	assert_true(report.exact > 3);
}

/* The client sends the second line only after it has read the first answer. */
static void test_client_waits_for_answers(void **state)
{
	unasked = 12;
	fault = STALLS;
	drill(talk, TALK_N);
	/* The client has asked for the first answer ... */
	assert_true(report.wrong > 0);
	assert_int_equal(report.refusal_count, 1); /* ... and not for what is behind it */
	assert_string_equal(report.refusal[0].reason, "server-spoke-unasked");
}

/* Bytes that the server sent without being asked, and had not begun at the cut: nobody sends them
 * in its place. */
static void test_what_nobody_asked_for(void **state)
{
	static const enum fault faults[] = {OTHER_BYTE, ENDS_EARLY};

	for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
		fault = faults[i];
		unasked = UINT64_MAX;
		drill(talk, TALK_N);
		assert_true(report.wrong > 0);
		unasked = 0;
		drill(talk, TALK_N);
		assert_int_equal(report.wrong, 0);
		assert_string_equal(report.refusal[0].reason, "server-spoke-unasked");
	}
}

/* What the capture lost is compared with nothing. No outcome blames the module for it. */
static void test_gap(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""},
		{S, TCP_SYN | ACK, -1, 0, ""},
		{C, ACK, 0, 0, ""},
		{C, ACK, 0, 0, "question"},
		/* the capture lost five bytes of the server */
		{S, ACK, 5, 8, "answer"},
		{C, ACK, 8, 11, ""},
		{C, ACK, 8, 11, "more"},
		{S, ACK, 11, 12, "rest"},
		{C, ACK, 12, 15, ""},
	};

	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 0);
	assert_true(report.refused > 0);
}

/* The captured part of the answer is proved. Whether the rest would come is unknown. */
static void test_proved_up_to_a_loss(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""}, {S, TCP_SYN | ACK, -1, 0, ""}, {C, ACK, 0, 0, ""},
		{C, ACK, 0, 0, "quest"}, {S, ACK, 0, 5, "answer"},      {S, ACK, 6, 5, " in two"},
		{C, ACK, 5, 17, "more"}, {S, ACK, 17, 9, "last"},       {C, ACK, 9, 21, ""},
	};

	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 0);
	assert_int_equal(report.exact_to_loss, 4);
	/* Two are behind the loss, and all that is due was captured. */
	assert_int_equal(report.exact, 6);
	assert_int_equal(report.refusal[0].n, 2); /* nothing is due before the loss */
	assert_string_equal(report.refusal[0].reason, "oracle-cannot-tell");
	/* A loss does not excuse what is wrong before it. */
	fault = OTHER_BYTE;
	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 4);
	assert_int_equal(report.exact_to_loss, 0);
	fault = STALLS;
	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 6);
	assert_int_equal(report.exact_to_loss, 0);
}

/*
 * The capture lost bytes of the first answer, and did not report them as lost when the client sent
 * its next request. So that request is shown late, although it was sent before its answer.
 */
static void test_question_behind_a_hole(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""},   {S, TCP_SYN | ACK, -1, 0, ""}, {C, ACK, 0, 0, ""},
		{C, ACK, 0, 0, "quest"},   {S, ACK, 0, 5, "answer"},      {S, ACK, 10, 5, "rest"},
		{C, ACK, 5, 14, "more"},   {S, ACK, 14, 9, "second"},     {C, ACK, 9, 20, "last"},
		{S, ACK, 20, 13, "third"}, {C, ACK, 13, 25, ""},
	};

	hole_timeout_ns = 60 * NS_PER_S;
	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(said_n, 3);
	assert_int_equal(said[0].received, 0);
	assert_int_equal(said[1].received, 14);
	assert_int_equal(said[2].received, 20);
}

/*
 * The capture lost more than both windows hold. So far away neither end is believed alone: the
 * server's next segment does not count, and neither does the client's ACK of it. The client's bytes
 * count as acknowledging nothing before the server has gone on.
 */
static void test_behind_a_loss_of_windows(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""},     {S, TCP_SYN | ACK, -1, 0, ""},
		{C, ACK, 0, 0, ""},          {C, ACK, 0, 0, "quest"},
		{S, ACK, 0, 5, "answer"},    {C, ACK, 5, 6, ""},
		{S, ACK, 200000, 5, "far"},  {C, ACK, 5, 200003, ""},
		{S, ACK, 200003, 5, "rest"}, {C, ACK, 5, 200007, ""},
	};

	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 0);
	assert_int_equal(report.exact, 5);
	assert_int_equal(report.exact_to_loss, 3);
}

static int silent_receive(void *connection, struct jeebs_bytes b, int eof,
			  int (*answer)(void *ctx, struct jeebs_bytes b), void *ctx,
			  uint32_t *ret_state)
{
	*ret_state = JEEBS_ORACLE_OPEN;
	return 0;
}

/* The module is not blamed for what comes behind lost bytes. */
static void test_client_waits_in_a_gap(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""}, {S, TCP_SYN | ACK, -1, 0, ""}, {C, ACK, 0, 0, ""},
		{C, ACK, 0, 0, "quest"}, {S, ACK, 1, 5, "answer"},      {C, ACK, 5, 7, ""},
		{C, ACK, 5, 7, "more"},
	};
	struct jeebs_oracle silent = exact_oracle;

	silent.receive = silent_receive;
	oracle = &silent;
	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 0);
	assert_true(report.refused > 0);
	assert_string_equal(report.refusal[0].reason, "capture-incomplete");
}

/* The capture lost the end of the client's request, but not the answer. */
static void test_question_without_an_end(void **state)
{
	static const struct seg g[] = {
		{C, TCP_SYN, -1, 0, ""}, {S, TCP_SYN | ACK, -1, 0, ""}, {C, ACK, 0, 0, ""},
		{C, ACK, 0, 0, "quest"}, {S, ACK, 0, 8, "answer"},      {C, ACK, 8, 6, ""},
	};

	drill(g, sizeof g / sizeof g[0]);
	assert_int_equal(report.wrong, 0);
	assert_true(report.refused > 0);
	assert_string_equal(report.refusal[0].reason, "capture-incomplete");
}

static void test_reasons_have_a_ceiling(void **state)
{
	static char name[DRILL_REASONS_MAX + 10][16];
	struct drill_report r = {0};
	struct flow f = {0};

	for (uint32_t i = 0; i < DRILL_REASONS_MAX + 10; i++) {
		snprintf(name[i], sizeof name[i], "reason-%u", i);
		drill_report_add(
			&r, &f, 1,
			&(struct drill_finding){.verdict = DRILL_REFUSED, .reason = name[i]});
	}
	assert_int_equal(r.refusal_count, DRILL_REASONS_MAX);
	assert_int_equal(r.refused, DRILL_REASONS_MAX + 10);
	assert_int_equal(r.refusal[DRILL_REASONS_MAX - 1].n, 11);
}

#define CASE(f) cmocka_unit_test_setup(f, set_up)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_every_cut_is_exact),
		CASE(test_other_byte),
		CASE(test_stall),
		CASE(test_end_missing),
		CASE(test_early_end),
		CASE(test_more_than_there_is),
		CASE(test_contract),
		CASE(test_checkpoint_that_forgets),
		CASE(test_refusals_are_told_apart),
		CASE(test_without_oracle),
		CASE(test_memory_ceiling),
		CASE(test_horizon),
		CASE(test_client_waits_for_answers),
		CASE(test_what_nobody_asked_for),
		CASE(test_gap),
		CASE(test_proved_up_to_a_loss),
		CASE(test_question_behind_a_hole),
		CASE(test_behind_a_loss_of_windows),
		CASE(test_client_waits_in_a_gap),
		CASE(test_question_without_an_end),
		CASE(test_reasons_have_a_ceiling),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
