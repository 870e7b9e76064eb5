/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Decisions, refusals and the order of things, one by one. Every cut is in test-replay-recorded.c.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "recovery-modules/harness/harness.h"
#include "replay.h"

static const struct jeebs_service defaults = {.port = 6379, .protocol = "replay", .retain = 4096};

static void begin_with(struct harness *h, const struct jeebs_service *svc)
{
	const struct harness_options options = {.service = svc, .view_max = 16};

	assert_int_equal(harness_init(h, &replay_module, &options), 0);
}

static void begin(struct harness *h)
{
	begin_with(h, &defaults);
}

static void to_server(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_SERVER, bytes_str(text));
}

static void to_client(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_CLIENT, bytes_str(text));
}

/* Asserts the plan, before and after a checkpoint. */
static void assert_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	assert_true(verdict == JEEBS_CONTINUE || plan.detail[0]);
	assert_int_equal(harness_reopen(h), 0);
	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_null(h->violation);
}

/* ---- a backup ---------------------------------------------------------------------- */

/* The backup sends a line once it has received so many bytes. */
struct line {
	size_t heard;
	const char *says;
};

struct backup {
	const struct line *line; /* the list ends with NULL */
	size_t heard;
	bool closes; /* after the last line */
	bool needs_eof;
	unsigned calls;
	struct buf order; /* the bytes it received and sent, in that order */
};

static void receive(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
		    bool *fail)
{
	struct backup *k = ctx;

	(void)fail;
	k->calls++;
	k->heard += b.n;
	buf_printf(&k->order, "%.*s", (int)b.n, b.n ? (const char *)b.p : "");
	for (; k->line->says && k->line->heard <= k->heard && (eof || !k->needs_eof); k->line++) {
		buf_printf(answer, "%s", k->line->says);
		buf_printf(&k->order, "[%s]", k->line->says);
	}
	*close = !k->line->says && (k->closes || eof);
}

static void resume_with(struct harness *h, struct backup *k, const char *more, bool eof)
{
	const struct harness_backend backend = {.receive = receive, .ctx = k};
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_int_equal(plan.verdict, JEEBS_CONTINUE);
	k->order = BUF_INIT(1u << 20);
	harness_resume(h, &backend, bytes_str(more), eof);
	assert_null(h->violation);
	buf_append(&k->order, "", 1);
}

static void assert_bytes(const struct buf *b, const char *text)
{
	assert_int_equal(b->n, strlen(text));
	if (b->n)
		assert_memory_equal(b->p, text, b->n);
}

static void assert_order(struct backup *k, const char *text)
{
	assert_string_equal((const char *)k->order.p, text);
	buf_deinit(&k->order);
}

/* ---- how it continues -------------------------------------------------------------- */

static void test_idle(void **state)
{
	static const struct line greets[] = {{0, "hello\n"}, {3, "x\n"}, {0, NULL}};
	struct backup k = {.line = greets};
	struct harness h;

	begin(&h);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	/* The backup is connected at once: it may greet. */
	resume_with(&h, &k, "", false);
	assert_bytes(&h.client, "hello\n");
	assert_order(&k, "[hello\n]");
	harness_deinit(&h);
}

static void test_unanswered(void **state)
{
	static const struct line lines[] = {{4, "+PONG\r\n"}, {8, "+OK\r\n"}, {0, NULL}};
	struct backup k = {.line = lines};
	struct harness h;

	begin(&h);
	to_server(&h, "PING");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	resume_with(&h, &k, "PONG", true);
	assert_bytes(&h.client, "+PONG\r\n+OK\r\n");
	assert_bytes(&h.backend, "PINGPONG");
	assert_int_equal(h.outcome, HARNESS_FINISHED);
	harness_deinit(&h);
	buf_deinit(&k.order);
}

/* Each part is sent only when the backup has come so far: it greets, it answers. In between
 * nothing is sent. */
static void test_keeps_the_order(void **state)
{
	static const struct line lines[] = {
		{0, "hi\n"}, {5, "pass?\n"}, {9, "in\n"}, {12, "more\n"}, {0, NULL}};
	struct backup k = {.line = lines};
	struct harness h;

	begin(&h);
	to_client(&h, "hi\n");
	to_server(&h, "user\n");
	to_client(&h, "pass?\n");
	to_server(&h, "123\n");
	to_client(&h, "i");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	resume_with(&h, &k, "go\n", false);
	assert_order(&k, "[hi\n]user\n[pass?\n]123\n[in\n]go\n[more\n]");
	assert_bytes(&h.client, "n\nmore\n");
	harness_deinit(&h);
}

/*
 * The capture showed the answer before the question. The backup is silent until it gets the
 * question.
 */
static void test_an_answer_captured_early(void **state)
{
	static const struct line lines[] = {{3, "A\n"}, {6, "B\n"}, {0, NULL}};
	struct backup k = {.line = lines};
	struct harness h;

	begin(&h);
	to_server(&h, "one");
	to_client(&h, "A\n");
	to_client(&h, "B\n");
	to_server(&h, "two");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	resume_with(&h, &k, "", false);
	assert_bytes(&h.client, "");
	assert_order(&k, "one[A\n]two[B\n]");
	assert_int_equal(h.outcome, HARNESS_JOINED);
	harness_deinit(&h);
}

static void test_client_finished(void **state)
{
	static const struct line lines[] = {{5, "count: 5\n"}, {0, NULL}};
	struct backup k = {.line = lines, .needs_eof = true, .closes = true};
	struct harness h;

	/* The server answers only after the client's end. */
	for (size_t said = 0; said < 9; said++) {
		k = (struct backup){.line = lines, .needs_eof = true, .closes = true};
		begin(&h);
		to_server(&h, "abcde");
		harness_fin(&h, JEEBS_TO_SERVER);
		harness_data(&h, JEEBS_TO_CLIENT, bytes_of("count: 5\n", said));
		assert_plan(&h, JEEBS_CONTINUE, "replay");
		resume_with(&h, &k, "", true);
		assert_bytes(&h.client, &"count: 5\n"[said]);
		assert_int_equal(h.outcome, HARNESS_FINISHED);
		harness_deinit(&h);
		buf_deinit(&k.order);
	}
}

static void test_server_finished(void **state)
{
	static const struct line none[] = {{0, NULL}};
	struct backup k = {.line = none};
	struct harness h;

	begin(&h);
	to_server(&h, "QUIT");
	to_client(&h, "+OK\r\n");
	harness_fin(&h, JEEBS_TO_CLIENT);
	assert_plan(&h, JEEBS_CONTINUE, "finished");
	resume_with(&h, &k, "", true);
	assert_int_equal(h.outcome, HARNESS_FINISHED);
	assert_int_equal(k.calls, 0);
	harness_deinit(&h);
	buf_deinit(&k.order);
}

/* The module begins in the middle of a flow: the bytes before were another module's. */
static void test_begins_behind_an_upgrade(void **state)
{
	struct jeebs_service svc = defaults;
	static const struct line lines[] = {{2, "yes"}, {0, NULL}};
	struct backup k = {.line = lines};
	struct harness h;

	svc.begin[JEEBS_TO_SERVER] = 3;
	svc.begin[JEEBS_TO_CLIENT] = 7;
	begin_with(&h, &svc);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	to_server(&h, "go");
	to_client(&h, "ye");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	resume_with(&h, &k, "", false);
	assert_bytes(&h.backend, "go");
	assert_bytes(&h.client, "s");
	harness_deinit(&h);
	buf_deinit(&k.order);
}

/* ---- refusals ---- */

static void test_gaps(void **state)
{
	static const struct {
		uint32_t dir;
		uint64_t n;
		const char *reason;
	} cases[] = {
		{JEEBS_TO_SERVER, 3, "client-gap"},
		{JEEBS_TO_CLIENT, 3, "server-gap"},
		{JEEBS_TO_SERVER, 0, "beginning-not-seen"},
		{JEEBS_TO_CLIENT, 0, "beginning-not-seen"},
	};
	struct harness h;

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		begin(&h);
		if (cases[i].n) {
			to_server(&h, "a");
			to_client(&h, "b");
		}
		harness_gap(&h, cases[i].dir, cases[i].n);
		assert_plan(&h, JEEBS_REFUSE, cases[i].reason);
		to_server(&h, "c");
		assert_plan(&h, JEEBS_REFUSE, cases[i].reason);
		harness_deinit(&h);
	}
}

static void test_ceiling(void **state)
{
	struct jeebs_service svc = defaults;
	struct harness h;

	svc.retain = 10;
	begin_with(&h, &svc);
	to_server(&h, "12345");
	to_client(&h, "any number of bytes, they need not be kept");
	to_server(&h, "67890");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 10);
	assert_int_equal(h.log[JEEBS_TO_CLIENT].span.bytes.n, 0);
	to_server(&h, "!");
	assert_plan(&h, JEEBS_REFUSE, "log-ceiling");
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	harness_deinit(&h);
}

/* The host's own ceiling shortens the log. */
static void test_log_cut_short(void **state)
{
	const struct harness_options options = {.service = &defaults, .log_max = 8};
	struct jeebs_plan plan;
	struct harness h;

	assert_int_equal(harness_init(&h, &replay_module, &options), 0);
	to_server(&h, "12345");
	to_server(&h, "67890");
	harness_plan(&h, &plan);
	assert_string_equal(plan.reason, "log-ceiling");
	assert_int_equal(plan.verdict, JEEBS_REFUSE);
	harness_deinit(&h);
}

static void test_not_allowed(void **state)
{
	struct jeebs_service svc = defaults;
	struct harness h;

	svc.replay = JEEBS_REPLAY_NONE;
	begin_with(&h, &svc);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	to_client(&h, "hi");
	assert_plan(&h, JEEBS_REFUSE, "replay-not-allowed");
	harness_deinit(&h);
	begin_with(&h, &svc);
	to_server(&h, "x");
	assert_plan(&h, JEEBS_REFUSE, "replay-not-allowed");
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	harness_deinit(&h);
	/* The other values of `replay` speak of requests. Here the choice of this module is the
	 * permission. */
	for (svc.replay = JEEBS_REPLAY_IDEMPOTENT; svc.replay <= JEEBS_REPLAY_ALL; svc.replay++) {
		begin_with(&h, &svc);
		to_server(&h, "x");
		assert_plan(&h, JEEBS_CONTINUE, "replay");
		harness_deinit(&h);
	}
}

static void test_stale(void **state)
{
	struct buf old = BUF_INIT(4096);
	struct jeebs_plan plan;
	struct harness h;

	begin(&h);
	to_server(&h, "a");
	assert_int_equal(harness_checkpoint(&h, &old), 0);
	to_client(&h, "b");
	assert_true(harness_restore(&h, buf_view(&old)));
	harness_plan(&h, &plan);
	assert_string_equal(plan.reason, "state-stale");
	assert_int_equal(plan.verdict, JEEBS_REFUSE);
	harness_deinit(&h);
	buf_deinit(&old);
}

/* ---- a backup that answers otherwise ---- */

/* The client has sent "get" and has @delivered of the old server. The backup sends @says. */
static void check_backup(const char *delivered, const char *says, bool closes, const char *client,
			 const char *reason)
{
	const struct line lines[] = {{3, says}, {0, NULL}};
	struct backup k = {.line = lines, .closes = closes};
	struct harness h;

	begin(&h);
	to_server(&h, "get");
	to_client(&h, delivered);
	resume_with(&h, &k, "", false);
	assert_bytes(&h.client, client);
	assert_int_equal(h.outcome, reason ? HARNESS_ABORTED : HARNESS_JOINED);
	if (reason)
		assert_string_equal(h.abort_reason, reason);
	harness_deinit(&h);
	buf_deinit(&k.order);
}

static void test_backup_differs(void **state)
{
	check_backup("value", "value and more", false, " and more", NULL);
	check_backup("value", "volue and more", false, "", "content-differs");
	check_backup("value", "valuE", false, "", "content-differs");
	/* A shorter answer: the first byte that differs suffices. */
	check_backup("value", "va\n", false, "", "content-differs");
	check_backup("value", "val", true, "", "backend-closed");
	check_backup("value", "", true, "", "backend-closed");
	check_backup("value", "val", false, "", "backend-silent");
	check_backup("value", "", false, "", "backend-silent");
}

static void test_backup_refuses(void **state)
{
	const struct harness_backend backend = {.refuse = true};
	struct harness h;

	begin(&h);
	to_server(&h, "get");
	to_client(&h, "value");
	harness_resume(&h, &backend, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "backend-failed");
	harness_deinit(&h);
}

/* The server's bytes are not kept. The digests alone show a difference, before more is sent. */
static void test_digest(void **state)
{
	char text[REPLAY_COMPARE_MAX + 100];
	struct jeebs_service svc = defaults;
	struct harness h;

	svc.retain = REPLAY_COMPARE_MAX;
	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	for (size_t bad = 0; bad < 2; bad++) {
		char other[sizeof text];
		memcpy(other, text, sizeof text);
		other[17] = bad ? 'y' : 'x';
		const struct line lines[] = {{3, other}, {6, "ok"}, {0, NULL}};
		struct backup k = {.line = lines};
		begin_with(&h, &svc);
		to_server(&h, "get");
		to_client(&h, text);
		to_server(&h, "del");
		to_client(&h, "o");
		assert_int_equal(h.log[JEEBS_TO_CLIENT].span.bytes.n, 0);
		resume_with(&h, &k, "", false);
		assert_bytes(&h.client, bad ? "" : "k");
		assert_bytes(&h.backend, bad ? "get" : "getdel");
		if (bad)
			assert_string_equal(h.abort_reason, "content-differs");
		harness_deinit(&h);
		buf_deinit(&k.order);
	}
}

/* The only digest is at the very end. */
static void test_digest_at_the_end(void **state)
{
	char text[REPLAY_COMPARE_MAX + 100];

	memset(text, 'x', sizeof text);
	text[sizeof text - 1] = 0;
	for (size_t bad = 0; bad < 2; bad++) {
		char other[sizeof text + 4];
		strcpy(other, text);
		strcat(other, "more");
		other[17] = bad ? 'y' : 'x';
		const struct line lines[] = {{3, other}, {0, NULL}};
		struct backup k = {.line = lines};
		struct jeebs_service svc = defaults;
		struct harness h;
		svc.retain = 1 << 20;
		begin_with(&h, &svc);
		to_server(&h, "get");
		to_client(&h, text);
		assert_int_equal(h.log[JEEBS_TO_CLIENT].span.bytes.n, 0);
		resume_with(&h, &k, "", false);
		assert_bytes(&h.client, bad ? "" : "more");
		if (bad)
			assert_string_equal(h.abort_reason, "content-differs");
		harness_deinit(&h);
		buf_deinit(&k.order);
	}
}

static const char *aborted_because;
static bool finished;

static void note_abort(struct jeebs_join *j, const char *reason)
{
	aborted_because = reason;
}

static void note_finish(struct jeebs_join *j)
{
	finished = true;
}

/*
 * The old server had finished, and the client has its FIN: nobody receives what the backup sends.
 */
static void test_nobody_is_left_to_talk_to(void **state)
{
	static const struct jeebs_join_ops ops = {.abort = note_abort,
						  .finish_client = note_finish};
	const struct jeebs_cut cut = {.to_server_end = 4, .to_client_end = 2, .server_fin = 1};
	struct harness h;

	begin(&h);
	to_server(&h, "QUIT");
	to_client(&h, "+O");
	harness_fin(&h, JEEBS_TO_CLIENT);
	replay_resume(h.state, &cut, NULL, &ops, JEEBS_EV_START, (struct jeebs_bytes){0});
	assert_true(finished);
	replay_resume(h.state, &cut, NULL, &ops, JEEBS_EV_CLIENT_EOF, (struct jeebs_bytes){0});
	assert_null(aborted_because);
	replay_resume(h.state, &cut, NULL, &ops, JEEBS_EV_CLIENT_DATA,
		      (struct jeebs_bytes){(const uint8_t *)"x", 1});
	assert_string_equal(aborted_because, "server-finished");
	harness_deinit(&h);
}

/* ---- the head of an upgrade -------------------------------------------------------- */

#define HEAD_101(date)                                                          \
	"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nDATE: " date \
	"\r\nServer: a\r\n\r\n"
#define MORNING "Sat, 21 Nov 2026 09:00:00 GMT"
#define EVENING "Sun, 22 Nov 2026 19:12:34 GMT"

/*
 * The old server had sent @old up to @cut, and the backup sends @backup. @same: the two heads count
 * as equal.
 */
static void check_head(const char *old, size_t cut, const char *backup, bool same, size_t chunk)
{
	const struct line lines[] = {{3, backup}, {0, NULL}};
	const struct harness_options options = {.service = &defaults,
						.live = {.max = chunk},
						.backend = {.max = chunk},
						.view_max = 7};
	struct backup k = {.line = lines};
	struct harness h;

	assert_int_equal(harness_init(&h, &replay_module, &options), 0);
	to_server(&h, "get");
	harness_data(&h, JEEBS_TO_CLIENT, bytes_of(old, cut));
	assert_int_equal(harness_reopen(&h), 0);
	resume_with(&h, &k, "", false);
	if (same) {
		assert_int_equal(h.outcome, HARNESS_JOINED);
		assert_bytes(&h.client, backup + cut);
	} else {
		assert_int_equal(h.outcome, HARNESS_ABORTED);
		assert_string_equal(h.abort_reason, "content-differs");
		assert_int_equal(h.client.n, 0);
	}
	harness_deinit(&h);
	buf_deinit(&k.order);
}

static void test_dates_of_an_upgrade_may_differ(void **state)
{
	static const char old[] = HEAD_101(MORNING) "frames", new[] = HEAD_101(EVENING) "frames";

	for (size_t cut = 0; cut < sizeof old; cut++)
		for (size_t chunk = 0; chunk < 8; chunk += 7)
			check_head(old, cut, new, true, chunk);
}

static void test_nothing_else_may(void **state)
{
	static const struct {
		const char *old, *new;
	} cases[] = {
		{HEAD_101(MORNING) "frames", HEAD_101(EVENING) "framez"},
		/* Another length, a field name that only ends in Date, no 101, bytes behind the
		 * head. */
		{HEAD_101(MORNING) "frames", HEAD_101("Sat, 21 Nov 2026 9:00:00 GMT") "frames"},
		{"HTTP/1.1 101 S\r\nX-Date: 1\r\n\r\n", "HTTP/1.1 101 S\r\nX-Date: 2\r\n\r\n"},
		{"HTTP/1.1 101 S\r\nDat: 1\r\n\r\n", "HTTP/1.1 101 S\r\nDat: 2\r\n\r\n"},
		{"HTTP/1.1 200 OK\r\nDate: 1\r\n\r\n", "HTTP/1.1 200 OK\r\nDate: 2\r\n\r\n"},
		{"HTTP/1.1 101 S\r\n\r\nDate: 1\r\n", "HTTP/1.1 101 S\r\n\r\nDate: 2\r\n"},
		{"HTTP/1.1 101 S\n\nDate: 1\n", "HTTP/1.1 101 S\n\nDate: 2\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		for (size_t chunk = 0; chunk < 8; chunk += 7)
			check_head(cases[i].old, strlen(cases[i].old), cases[i].new, false, chunk);
}

/* ---- marks ------------------------------------------------------------------------- */

/* Far more commands and answers than there are marks. */
static void test_marks_are_bounded(void **state)
{
	enum {
		TURNS = 1000
	};
	struct line lines[TURNS + 2];
	struct backup k = {.line = lines};
	struct jeebs_service svc = defaults;
	struct harness h;

	svc.retain = 1 << 16;
	begin_with(&h, &svc);
	for (size_t i = 0; i < TURNS; i++) {
		lines[i] = (struct line){(i + 1) * 5, i % 7 ? "+OK\r\n" : "$5\r\nhello\r\n"};
		to_server(&h, "PING\n");
		to_client(&h, lines[i].says);
	}
	const struct replay *s = h.state;
	assert_int_equal(s->marks.n, REPLAY_MARKS_MAX);
	assert_int_equal(s->marks.joined, TURNS - REPLAY_MARKS_MAX);
	/* The marks of the beginning are unchanged. */
	for (uint32_t i = 0; i < REPLAY_MARKS_OPENING; i++)
		assert_int_equal(s->marks.v[i].client, i * 5);
	lines[TURNS] = (struct line){TURNS * 5 + 3, "end"};
	lines[TURNS + 1] = (struct line){0, NULL};
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	resume_with(&h, &k, "END", false);
	assert_bytes(&h.client, "end");
	harness_deinit(&h);
	buf_deinit(&k.order);
}

static void test_hostile_checkpoints(void **state)
{
	struct buf good = BUF_INIT(4096);
	struct harness h;

	begin(&h);
	to_server(&h, "one");
	to_client(&h, "ONE");
	to_server(&h, "two");
	harness_fin(&h, JEEBS_TO_SERVER);
	assert_int_equal(harness_checkpoint(&h, &good), 0);
	harness_deinit(&h);

	for (size_t i = 0; i < good.n; i++) {
		/* Truncated checkpoints. */
		begin(&h);
		assert_false(harness_restore(&h, bytes_head(buf_view(&good), i)));
		harness_deinit(&h);
		/* Checkpoints of impossible conversations. One that is accepted does no harm. */
		for (unsigned bit = 0; bit < 8; bit++) {
			struct jeebs_plan plan;
			good.p[i] ^= (uint8_t)(1u << bit);
			begin(&h);
			if (harness_restore(&h, buf_view(&good)))
				harness_plan(&h, &plan);
			assert_null(h.violation);
			harness_deinit(&h);
			good.p[i] ^= (uint8_t)(1u << bit);
		}
	}
	buf_deinit(&good);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle),
		cmocka_unit_test(test_unanswered),
		cmocka_unit_test(test_keeps_the_order),
		cmocka_unit_test(test_an_answer_captured_early),
		cmocka_unit_test(test_client_finished),
		cmocka_unit_test(test_server_finished),
		cmocka_unit_test(test_begins_behind_an_upgrade),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_ceiling),
		cmocka_unit_test(test_log_cut_short),
		cmocka_unit_test(test_not_allowed),
		cmocka_unit_test(test_stale),
		cmocka_unit_test(test_backup_differs),
		cmocka_unit_test(test_backup_refuses),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_digest_at_the_end),
		cmocka_unit_test(test_nobody_is_left_to_talk_to),
		cmocka_unit_test(test_dates_of_an_upgrade_may_differ),
		cmocka_unit_test(test_nothing_else_may),
		cmocka_unit_test(test_marks_are_bounded),
		cmocka_unit_test(test_hostile_checkpoints),
	};
	return cmocka_run_group_tests_name("replay", tests, NULL, NULL);
}
