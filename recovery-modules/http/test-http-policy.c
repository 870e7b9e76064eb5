/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What the operator allows to be repeated, and what a client is told of the rest; upgrades that
 * are handed over; by which bytes HTTP is detected.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "test/record.h"

#define POST "POST /plain HTTP/1.1\r\nContent-Length: 9\r\n\r\nsome=data"
#define HEAD "HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct jeebs_service services[] = {
	[JEEBS_REPLAY_IDEMPOTENT] = {.protocol = "http", .replay = JEEBS_REPLAY_IDEMPOTENT},
	[JEEBS_REPLAY_ALL] = {.protocol = "http", .replay = JEEBS_REPLAY_ALL},
	[JEEBS_REPLAY_NONE] = {.protocol = "http", .replay = JEEBS_REPLAY_NONE},
};

/* ---- decisions ---- */

static void decided(unsigned replay, const char *ask, const char *answer, uint32_t verdict,
		    const char *reason)
{
	struct harness_options options = {.service = &services[replay]};
	struct jeebs_plan plan;
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	to_server(&h, ask);
	to_client(&h, answer);
	assert_plan(&h, verdict, reason);
	harness_plan(&h, &plan);
	bool answered = strcmp(reason, "answered-502") == 0;
	assert_int_equal(plan.style, answered ? JEEBS_STYLE_STANDALONE : JEEBS_STYLE_PROXY);
	harness_deinit(&h);
}

static void test_decisions(void **state)
{
	const unsigned idempotent = JEEBS_REPLAY_IDEMPOTENT, all = JEEBS_REPLAY_ALL,
		       none = JEEBS_REPLAY_NONE;

	decided(idempotent, POST, "", JEEBS_CONTINUE, "answered-502");
	decided(idempotent, POST, "HTTP/1.1 100 Continue\r\n\r\n", JEEBS_CONTINUE, "answered-502");
	decided(idempotent, POST, "H", JEEBS_REFUSE, "request-not-idempotent");
	decided(idempotent, POST, OK_10 "\r\nabc", JEEBS_REFUSE, "request-not-idempotent");
	decided(idempotent, POST, OK_10 "\r\n0123456789", JEEBS_CONTINUE, "idle");
	decided(idempotent, GET("/") POST, "", JEEBS_CONTINUE, "answered-502");
	decided(idempotent, GET("/") POST, OK_10 "\r\nabc", JEEBS_CONTINUE, "answered-502");
	decided(idempotent, POST GET("/"), OK_10 "\r\n0123456789", JEEBS_CONTINUE, "replay");
	decided(all, POST, "", JEEBS_CONTINUE, "replay");
	decided(all, POST, "H", JEEBS_CONTINUE, "head");
	decided(all, POST, OK_10 "\r\nabc", JEEBS_CONTINUE, "digest");
	decided(none, "", "", JEEBS_CONTINUE, "idle");
	decided(none, "GET / HT", "", JEEBS_CONTINUE, "replay");
	decided(none, GET("/"), "", JEEBS_CONTINUE, "answered-502");
	decided(none, HEAD, "", JEEBS_CONTINUE, "answered-502");
	decided(none, GET("/"), "HTTP/1.1 200", JEEBS_REFUSE, "replay-not-allowed");
	decided(none, GET("/"), OK_10 "\r\nabc", JEEBS_REFUSE, "replay-not-allowed");
	decided(none, GET("/"), OK_10 "\r\n0123456789", JEEBS_CONTINUE, "idle");
}

/* ---- every cut ---- */

struct run {
	struct test_server backend;
	struct harness_options options;
	const char *word; /* occurs in the body of a 502 */
	unsigned same, answered, refused, ended;
};

/* @got: complete responses of the old server, followed by the 502. */
static bool is_answered(struct bytes got, const struct record *r, const char *word, bool head)
{
	const struct buf *old = &r->stream[JEEBS_TO_CLIENT];
	const uint8_t *p = memmem(got.p, got.n, "HTTP/1.1 502 Bad Gateway\r\n", 26);
	char text[1024];

	if (!p || !bytes_eq(bytes_head(got, (size_t)(p - got.p)),
			    bytes_head(buf_view(old), (size_t)(p - got.p))))
		return false;
	snprintf(text, sizeof text, "%.*s", (int)(got.p + got.n - p), (const char *)p);
	const char *body = strstr(text, "\r\n\r\n"), *length = strstr(text, "Content-Length: ");
	assert_non_null(body);
	assert_non_null(length);
	assert_non_null(strstr(text, "Connection: close\r\n"));
	assert_non_null(strstr(text, word));
	assert_int_equal(strlen(body + 4), head ? 0 : atoi(length + 16));
	return true;
}

static void one_cut(struct run *run, const struct record *r, size_t cut)
{
	struct test_server backend = run->backend;
	struct harness_backend side = {.receive = test_server_receive, .ctx = &backend};
	struct buf all = BUF_INIT(1u << 20);
	struct jeebs_plan plan;
	struct harness h;
	struct bytes more;

	assert_int_equal(harness_init(&h, &http_module, &run->options), 0);
	feed(&h, r, cut, &more);
	assert_int_equal(harness_reopen(&h), 0);
	harness_plan(&h, &plan);
	if (plan.verdict == JEEBS_REFUSE) {
		assert_string_equal(plan.reason, run->word);
		run->refused++;
	} else {
		buf_append(&all, r->stream[JEEBS_TO_CLIENT].p, (size_t)span_end(&h.log[1].span));
		harness_resume(&h, &side, more, false);
		buf_bytes(&all, buf_view(&h.client));
		bool same = bytes_eq(buf_view(&all), buf_view(&r->stream[JEEBS_TO_CLIENT]));
		bool head = memcmp(r->stream[JEEBS_TO_SERVER].p, "HEAD", 4) == 0;
		assert_true(h.outcome != HARNESS_ABORTED);
		if (strcmp(plan.reason, "answered-502") == 0) {
			assert_int_equal(h.outcome, HARNESS_FINISHED);
			if (is_answered(buf_view(&all), r, run->word, head))
				run->answered++;
			else
				run->ended++;
		} else {
			assert_true(same);
			run->same++;
		}
		/* No request that must not be repeated has reached the backend. */
		if (run->options.service->replay == JEEBS_REPLAY_IDEMPOTENT &&
		    strcmp(plan.reason, "answered-502") == 0)
			assert_null(memmem(h.backend.p ? h.backend.p : (uint8_t *)"", h.backend.n,
					   "POST", 4));
	}
	assert_null(h.violation);
	harness_deinit(&h);
	test_server_deinit(&backend);
	buf_deinit(&all);
}

static struct run every_cut(unsigned replay, const char *word, const char *const *requests,
			    const struct test_server *old, const struct harness_options *options)
{
	struct run run = {.backend = *old, .word = word};
	struct record r = record_new(*old, requests);

	if (options)
		run.options = *options;
	run.options.service = &services[replay];
	for (size_t cut = 0; cut <= r.total; cut++)
		one_cut(&run, &r, cut);
	record_free(&r);
	return run;
}

static const char *const post[] = {GET("/file"), POST, GET("/plain"), NULL};
static const char *const pipelined[] = {
	GET("/file"), "+" GET("/chunked"), "+" HEAD, "+" GET("/continue"),
	"+" POST,     "+" GET("/plain"),   NULL};
static const struct harness_options bytewise = {
	.live = {.max = 1}, .backend = {.max = 1}, .view_max = 1};
static const struct harness_options pieces = {
	.live = {.max = 90, .seed = 1}, .backend = {.max = 50, .seed = 2}, .view_max = 64};

static void test_post_is_answered(void **state)
{
	const struct test_server old = test_server_init();
	struct run run =
		every_cut(JEEBS_REPLAY_IDEMPOTENT, "request-not-idempotent", post, &old, NULL);

	/* From the end of the request's head to the first byte of its response. */
	assert_int_equal(run.answered, strlen("some=data") + 1);
	assert_int_equal(run.ended, 0);
	assert_true(run.refused > 150 && run.same > 300);
}

static void test_earlier_answers_are_in_order(void **state)
{
	const struct harness_options *const options[] = {NULL, &bytewise, &pieces};
	const struct test_server old = test_server_init();

	for (size_t i = 0; i < 3; i++) {
		struct run run = every_cut(JEEBS_REPLAY_IDEMPOTENT, "request-not-idempotent",
					   pipelined, &old, options[i]);
		/* All cuts in four responses, and in all requests but the last two. */
		assert_true(run.answered > 1000);
		assert_int_equal(run.ended, 0);
		assert_true(run.refused > 150);
	}
}

static void test_earlier_answers_of_another_server(void **state)
{
	struct test_server backend = test_server_init();
	struct record r = record_new(test_server_init(), pipelined);
	struct run run = {.options = {.service = &services[0]}, .word = "request-not-idempotent"};
	size_t in_body = r.steps[0].to + 400; /* in the first response */

	/* The backend ends each response by closing: nothing after the first is answered. */
	backend.close_framing = true;
	run.backend = backend;
	one_cut(&run, &r, in_body);
	assert_int_equal(run.ended, 1);
	/* The backend fails in the middle of the second body: no 502 goes into a body. */
	backend = test_server_init();
	backend.close_after = 600;
	struct harness_backend side = {.receive = test_server_receive, .ctx = &backend};
	struct harness h;
	struct bytes more;
	assert_int_equal(harness_init(&h, &http_module, &run.options), 0);
	feed(&h, &r, r.steps[0].to, &more);
	harness_resume(&h, &side, more, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "backend-closed");
	assert_int_equal(h.client.n, 600);
	harness_deinit(&h);
	test_server_deinit(&backend);
	record_free(&r);
}

static void test_nothing_is_repeated(void **state)
{
	static const char *const asks[] = {GET("/file"), GET("/plain"), NULL};
	static const char *const head[] = {HEAD, NULL};
	const struct test_server old = test_server_init();

	struct run run = every_cut(JEEBS_REPLAY_NONE, "replay-not-allowed", asks, &old, NULL);
	assert_int_equal(run.answered, 2);
	assert_int_equal(run.ended, 0);
	assert_true(run.refused > 300 && run.same > 20);
	run = every_cut(JEEBS_REPLAY_NONE, "replay-not-allowed", head, &old, NULL);
	assert_int_equal(run.answered, 1);
}

static void test_everything_is_repeated(void **state)
{
	const struct test_server old = test_server_init();
	struct run run = every_cut(JEEBS_REPLAY_ALL, "", post, &old, NULL);

	assert_int_equal(run.answered + run.ended + run.refused, 0);
	run = every_cut(JEEBS_REPLAY_ALL, "", pipelined, &old, &bytewise);
	assert_int_equal(run.answered + run.ended + run.refused, 0);
}

/* ---- a client that goes on to upload ---- */

static const char *aborted;
static bool finished;

static void note_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	(void)j;
	(void)b;
}

static void note_finish(struct jeebs_join *j)
{
	(void)j;
	finished = true;
}

static void note_abort(struct jeebs_join *j, const char *reason)
{
	(void)j;
	aborted = reason;
}

static struct jeebs_bytes no_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	(void)f;
	(void)dir;
	(void)off;
	return (struct jeebs_bytes){NULL, 0};
}

static void test_discard_ceiling(void **state)
{
	static const uint8_t piece[65536];
	const struct jeebs_join_ops ops = {
		.to_client = note_client, .finish_client = note_finish, .abort = note_abort};
	const struct jeebs_bytes some = {piece, sizeof piece};
	struct harness h;

	aborted = NULL;
	finished = false;
	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, "POST / HTTP/1.1\r\nContent-Length: 999999999\r\n\r\n");
	struct jeebs_cut cut = {.to_server_end = span_end(&h.log[0].span), .log = no_log};
	http_resume(h.state, &cut, NULL, &ops, JEEBS_EV_START, (struct jeebs_bytes){NULL, 0});
	assert_true(finished);
	for (uint64_t n = 0; n < HTTP_DISCARD_MAX; n += some.n)
		http_resume(h.state, &cut, NULL, &ops, JEEBS_EV_CLIENT_DATA, some);
	assert_null(aborted);
	http_resume(h.state, &cut, NULL, &ops, JEEBS_EV_CLIENT_DATA, some);
	assert_string_equal(aborted, "client-goes-on");
	harness_deinit(&h);
}

/* ---- upgrades ---- */

#define UPGRADE "GET /chat HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"
#define SWITCH  "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n"

static void upgrade(const struct jeebs_service *svc, size_t chunk, bool handed_over)
{
	struct harness_options options = {.live = {.max = chunk}, .service = svc};
	const char *first = GET("/a"), *answer = OK_10 "\r\n0123456789";
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	to_server(&h, first);
	to_client(&h, answer);
	to_server(&h, UPGRADE);
	to_client(&h, SWITCH "frames");
	assert_int_equal(h.handed_over, handed_over);
	assert_null(h.violation);
	if (handed_over) {
		assert_int_equal(h.handed_over_at[JEEBS_TO_SERVER], strlen(first));
		assert_int_equal(h.handed_over_at[JEEBS_TO_CLIENT], strlen(answer));
	} else {
		assert_plan(&h, JEEBS_REFUSE, "upgraded");
	}
	harness_deinit(&h);
}

static void test_upgrade_is_handed_over(void **state)
{
	struct jeebs_service svc = {.protocol = "http", .upgrade = "replay"};

	for (size_t chunk = 0; chunk < 40; chunk++)
		upgrade(&svc, chunk, true);
	/* A repeated upgrade is a repeated request. */
	svc.replay = JEEBS_REPLAY_NONE;
	upgrade(&svc, 0, false);
	svc = (struct jeebs_service){.protocol = "http"};
	upgrade(&svc, 0, false);
}

/* The capture shows the answer before its request. */
static void test_upgrade_out_of_order(void **state)
{
	const struct jeebs_service svc = {.protocol = "http", .upgrade = "replay"};
	struct harness_options options = {.service = &svc};
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	to_client(&h, SWITCH);
	to_server(&h, UPGRADE);
	assert_true(h.handed_over);
	assert_null(h.violation);
	harness_deinit(&h);
}

/* ---- detection ---- */

static uint32_t detected(const char *to_server, size_t n, const char *to_client)
{
	return http_detect((struct jeebs_bytes){(const uint8_t *)to_server, n},
			   (struct jeebs_bytes){(const uint8_t *)to_client, strlen(to_client)});
}

static void test_detection(void **state)
{
	static const char *const yes[] = {"GET / HTTP/1.1\r\n", "M-SEARCH * HTTP/1.1\n",
					  "\r\nPOST /a?b=c HTTP/1.0\r\n"};
	static const char *const no[] = {"PRI * HTTP/2.0\r\n",
					 "GET /\r\n",
					 "EHLO a\r\n",
					 "USER me\r\n",
					 "get / HTTP/1.1\r\n",
					 "GET  HTTP/1.1\r\n",
					 "GET / HTTP/1.11\r\n",
					 "OPTIONS rtsp://a RTSP/1.0\r\n",
					 "*1\r\n$4\r\nPING\r\n",
					 "GET / HTTP/1.1\rx",
					 "GETTTTTTTTTTTTTTTTTTTTTTTTTT / HTTP/1.1\r\n"};

	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++) {
		size_t n = strlen(yes[i]);
		for (size_t k = 0; k < n; k++)
			assert_int_equal(detected(yes[i], k, ""), JEEBS_DETECT_MAYBE);
		assert_int_equal(detected(yes[i], n, ""), JEEBS_DETECT_YES);
		assert_int_equal(detected(yes[i], n, "HTTP/1.1 200"), JEEBS_DETECT_YES);
		assert_int_equal(detected(yes[i], n, "220 mail"), JEEBS_DETECT_NO);
	}
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		assert_int_equal(detected(no[i], strlen(no[i]), ""), JEEBS_DETECT_NO);
	assert_int_equal(detected("", 0, "220 ftp\r\n"), JEEBS_DETECT_NO);
	assert_int_equal(detected("", 0, "HTT"), JEEBS_DETECT_MAYBE);

	char *line = malloc(9000);
	memset(line, 'a', 9000);
	memcpy(line, "GET /", 5);
	assert_int_equal(detected(line, 8191, ""), JEEBS_DETECT_MAYBE);
	assert_int_equal(detected(line, 9000, ""), JEEBS_DETECT_NO);
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decisions),
		cmocka_unit_test(test_post_is_answered),
		cmocka_unit_test(test_earlier_answers_are_in_order),
		cmocka_unit_test(test_earlier_answers_of_another_server),
		cmocka_unit_test(test_nothing_is_repeated),
		cmocka_unit_test(test_everything_is_repeated),
		cmocka_unit_test(test_discard_ceiling),
		cmocka_unit_test(test_upgrade_is_handed_over),
		cmocka_unit_test(test_upgrade_out_of_order),
		cmocka_unit_test(test_detection),
	};
	return cmocka_run_group_tests_name("http-policy", tests, NULL, NULL);
}
