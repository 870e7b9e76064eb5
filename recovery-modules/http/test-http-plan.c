/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Single decisions: continue how, or refuse why; and each ceiling of the live half. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http-date.h"
#include "test/record.h"

/* Asserts the plan of a conversation that begins with @ask and @answer. */
static void decided(const char *ask, const char *answer, uint32_t verdict, const char *reason)
{
	for (size_t chunk = 0; chunk < 3; chunk++) {
		struct harness_options options = {.live = {.max = chunk}};
		struct harness h;
		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		to_server(&h, ask);
		to_client(&h, answer);
		assert_plan(&h, verdict, reason);
		harness_deinit(&h);
	}
}

static void refused(const char *ask, const char *answer, const char *reason)
{
	decided(ask, answer, JEEBS_REFUSE, reason);
}

static void continued(const char *ask, const char *answer, const char *reason)
{
	decided(ask, answer, JEEBS_CONTINUE, reason);
}

static void test_requests_that_cannot_be_asked_again(void **state)
{
	const char *post = "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd";

	continued(post, "", "answered-502");
	continued("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", "", "answered-502");
	continued("PATCH /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "", "answered-502");
	continued("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "", "answered-502");
	refused(post, "HT", "request-not-idempotent");
	refused(post, OK_10 "\r\nabc", "request-not-idempotent");
	continued(GET("/a") "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", OK_10 "\r\nabc",
		  "answered-502");
	/* No server acts on an incomplete head. */
	continued("POST /a HTTP/1.1\r\nContent-Length: 4\r\n", "", "replay");
	/* The request was answered. */
	continued(post, OK_10 "\r\n0123456789", "idle");
}

static void test_upgrades_are_refused(void **state)
{
	const char *ask = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

	refused(ask, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"upgraded");
	refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "upgraded");
	/* The server refused the upgrade. */
	continued(ask, OK_10 "\r\n0123456789", "idle");
	continued("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n",
		  "HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n", "idle");
}

static void test_what_is_not_http(void **state)
{
	refused("SSH-2.0-OpenSSH_9.2\r\n\r\n", "", "not-http");
	refused("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "", "not-http");
	refused(GET("/"), "220 mail ESMTP\r\n\r\n", "not-http");
	refused("GET / HTTP/1.1\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "",
		"not-http");
	refused(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
		"not-http");
	refused(GET("/"),
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n11111111111111111\r\n",
		"not-http");
	refused(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab",
		"not-http");
	refused("", "HTTP/1.1 200 OK\r\n\r\n", "response-unasked");
	refused(GET("/"), OK_10 "\r\n0123456789HTTP/1.1 200 OK\r\n", "response-unasked");
	/* The bytes follow the last response: it was not the last, or its length was wrong. */
	refused(GET("/"), OK_10 "Connection: close\r\n\r\n0123456789x", "response-unasked");
}

static void test_cuts_in_free_text(void **state)
{
	continued(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b", "digest");
	continued(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum",
		  "digest");
	refused(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nab",
		"transfer-coding");
}

/* Requests beyond the queue's size wait in the log, and are sent again with the others. */
static void test_pipeline_deeper_than_the_queue(void **state)
{
	static const char post[] = "POST / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc";
	static const char put[] = "PUT / HTTP/1.1\r\nContent-Length: 11\r\n\r\n\r\n\r\nGET / x";

	for (size_t view = 0; view < 3; view++) {
		struct harness_options options = {.view_max = view};
		struct harness h;
		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		for (unsigned i = 0; i < 3 * HTTP_QUEUE_MAX; i++)
			to_server(&h, i % 2 ? put : "\r\n" GET("/"));
		assert_plan(&h, JEEBS_CONTINUE, "replay");
		/* The last request is incomplete. */
		to_server(&h, "POST / HTTP");
		assert_plan(&h, JEEBS_CONTINUE, "replay");
		to_client(&h, OK_10 "\r\n01234");
		assert_plan(&h, JEEBS_CONTINUE, "digest");
		harness_deinit(&h);
	}
	struct harness h;
	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	for (unsigned i = 0; i < 2 * HTTP_QUEUE_MAX; i++)
		to_server(&h, GET("/"));
	to_server(&h, post);
	to_server(&h, GET("/"));
	assert_plan(&h, JEEBS_REFUSE, "pipeline-too-deep");
	/* Once that request is next in turn, it is one that gets a 502. */
	for (unsigned i = 0; i < HTTP_QUEUE_MAX; i++)
		to_client(&h, OK_10 "\r\n0123456789");
	assert_plan(&h, JEEBS_REFUSE, "pipeline-too-deep");
	to_client(&h, OK_10 "\r\n0123456789");
	assert_plan(&h, JEEBS_CONTINUE, "answered-502");
	for (unsigned i = 1; i < HTTP_QUEUE_MAX + 2; i++)
		to_client(&h, OK_10 "\r\n0123456789");
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	harness_deinit(&h);

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	for (unsigned i = 0; i < HTTP_QUEUE_MAX; i++)
		to_server(&h, GET("/"));
	to_server(&h, "\1\2 no request\r\n\r\n");
	assert_plan(&h, JEEBS_REFUSE, "not-http");
	harness_deinit(&h);

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	for (unsigned i = 0; i <= HTTP_QUEUE_MAX; i++)
		to_server(&h, GET("/"));
	harness_gap(&h, JEEBS_TO_SERVER, 5);
	assert_plan(&h, JEEBS_REFUSE, "request-gap");
	harness_deinit(&h);
}

/* The unread requests have a ceiling. */
static void test_pipeline_ceiling(void **state)
{
	struct harness_options options = {.log_max = 2 * HTTP_BACKLOG_MAX};
	const size_t one = strlen(GET("/"));
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	for (unsigned i = 0; i < HTTP_QUEUE_MAX + HTTP_BACKLOG_MAX / one; i++)
		to_server(&h, GET("/"));
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	to_server(&h, GET("/"));
	assert_plan(&h, JEEBS_REFUSE, "pipeline-too-deep");
	harness_deinit(&h);
}

static void test_head_ceiling(void **state)
{
	static const char begin[] = "GET / HTTP/1.1\r\nX: ";
	const size_t fit = HTTP_HEAD_MAX - (sizeof begin - 1) - 4;

	for (size_t over = 0; over < 2; over++) {
		struct harness h;
		struct buf b = BUF_INIT(1u << 20);
		buf_append(&b, begin, sizeof begin - 1);
		assert_int_equal(buf_reserve(&b, fit + over), 0);
		memset(b.p + b.n, 'x', fit + over);
		b.n += fit + over;
		buf_printf(&b, "\r\n\r\n");
		assert_int_equal(harness_init(&h, &http_module, NULL), 0);
		harness_data(&h, JEEBS_TO_SERVER, buf_view(&b));
		assert_plan(&h, over ? JEEBS_REFUSE : JEEBS_CONTINUE,
			    over ? "head-too-long" : "replay");
		harness_deinit(&h);
		buf_deinit(&b);
	}
}

static void test_log_ceiling(void **state)
{
	struct harness_options options = {.log_max = 100};
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	to_server(&h, "PUT /a HTTP/1.1\r\nContent-Length: 200\r\n\r\n");
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	for (int i = 0; i < 10; i++)
		to_server(&h, "0123456789");
	assert_plan(&h, JEEBS_REFUSE, "request-log-incomplete");
	for (int i = 0; i < 10; i++)
		to_server(&h, "0123456789");
	to_client(&h, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	/* A head that is too long. */
	to_server(&h, GET("/"));
	to_client(&h, "HTTP/1.1 200 OK\r\nX: 0123456789012345678901234567890123456789\r\n");
	to_client(&h, "Y: 01234567890123456789012345678901234567890123456789\r\n");
	assert_plan(&h, JEEBS_REFUSE, "response-log-incomplete");
	to_client(&h, "Content-Length: 0\r\n\r\n");
	assert_plan(&h, JEEBS_REFUSE, "log-lost");
	harness_deinit(&h);
}

static void test_bodies_that_cannot_be_asked_again_are_not_kept(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, "POST /a HTTP/1.1\r\nContent-Length: 200\r\n\r\n");
	to_server(&h, "0123456789");
	assert_int_equal(h.log[JEEBS_TO_SERVER].span.bytes.n, 0);
	to_client(&h, OK_10 "\r\n01234");
	assert_int_equal(h.log[JEEBS_TO_CLIENT].span.bytes.n, 0);
	assert_null(h.violation);
	harness_deinit(&h);
}

/* Feeds each response of a record before its request. */
static void feed_answers_first(struct harness *h, const struct record *r)
{
	for (size_t i = 0; i + 1 < r->step_count; i += 2) {
		for (size_t k = 2; k > 0; k--) {
			const struct step *s = &r->steps[i + k - 1];
			harness_data(h, s->dir,
				     bytes_of(r->stream[s->dir].p + s->from, s->to - s->from));
			if (k == 2)
				assert_plan(h, JEEBS_REFUSE, "response-unasked");
		}
		assert_plan(h, JEEBS_CONTINUE, "idle");
	}
}

static void test_captured_in_another_order(void **state)
{
	for (size_t chunk = 0; chunk < 4; chunk++) {
		struct harness_options options = {.live = {.max = chunk}, .view_max = 8};
		struct record r = record_new(test_server_init(), record_pipelined);
		struct buf usual = BUF_INIT(1u << 16), now = BUF_INIT(1u << 16);
		struct harness h;

		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		feed_answers_first(&h, &r);
		assert_int_equal(h.log[JEEBS_TO_CLIENT].span.bytes.n, 0);
		get_checkpoint(&r, r.total, 0, &usual);
		assert_int_equal(harness_checkpoint(&h, &now), 0);
		assert_true(bytes_eq(buf_view(&now), buf_view(&usual)));
		assert_null(h.violation);
		harness_deinit(&h);
		buf_deinit(&usual);
		buf_deinit(&now);
		record_free(&r);
	}
}

static void test_waiting_ceiling(void **state)
{
	static const char text[] = "HTTP/1.1 200 OK\r\nContent-Length: 65498\r\n\r\n";
	static uint8_t body[65498];
	struct harness h;

	assert_int_equal(sizeof text - 1 + sizeof body, HTTP_WAITING_MAX + 4);
	for (size_t less = 3; less < 6; less++) {
		bool fits = less >= 4;
		assert_int_equal(harness_init(&h, &http_module, NULL), 0);
		to_client(&h, text);
		harness_data(&h, JEEBS_TO_CLIENT, bytes_of(body, sizeof body - less));
		assert_plan(&h, JEEBS_REFUSE, "response-unasked");
		assert_int_equal(h.gave_up, !fits);
		to_server(&h, GET("/"));
		assert_plan(&h, fits ? JEEBS_CONTINUE : JEEBS_REFUSE,
			    fits ? "digest" : "response-unasked");
		harness_deinit(&h);
	}
}

static void test_answered_before_the_upload_ended(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, "PUT /a HTTP/1.1\r\nContent-Length: 20\r\n\r\n0123456789");
	to_client(&h, "HTTP/1.1 413 Too Big\r\nContent-Length: 0\r\n\r\n");
	assert_plan(&h, JEEBS_REFUSE, "request-log-incomplete");
	to_server(&h, "0123456789");
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	harness_deinit(&h);
}

#define TAGGED                                                                            \
	"HTTP/1.1 200 OK\r\nContent-Length: 150\r\nETag: \"5f3c-1a2b\"\r\nContent-Type: " \
	"text/plain\r\n"

static void test_gaps_in_responses(void **state)
{
	struct harness h;
	struct test_server backend = test_server_init();
	struct harness_backend side = {test_server_receive, &backend, false};

	/* A body whose position still counts. */
	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, GET("/file"));
	to_client(&h, TAGGED "\r\nabc");
	harness_gap(&h, JEEBS_TO_CLIENT, 100);
	assert_plan(&h, JEEBS_CONTINUE, "range");
	harness_resume(&h, &side, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_JOINED);
	assert_int_equal(h.client.n, 150 - 103);
	assert_null(h.violation);
	harness_deinit(&h);

	/* The backend has another validator: the delivered bytes cannot be compared. */
	test_server_deinit(&backend);
	backend = test_server_init();
	backend.no_ranges = true;
	backend.etag = "\"other\"";
	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, GET("/file"));
	to_client(&h, TAGGED "\r\nabc");
	harness_gap(&h, JEEBS_TO_CLIENT, 100);
	assert_plan(&h, JEEBS_CONTINUE, "range");
	harness_resume(&h, &side, BYTES_NONE, false);
	assert_int_equal(h.outcome, HARNESS_ABORTED);
	assert_string_equal(h.abort_reason, "content-unproven");
	harness_deinit(&h);
	test_server_deinit(&backend);

	/* The content has no validator. After this response the connection can be continued
	 * again. */
	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, GET("/plain"));
	to_client(&h, OK_10 "\r\nabc");
	harness_gap(&h, JEEBS_TO_CLIENT, 3);
	assert_plan(&h, JEEBS_REFUSE, "response-gap");
	to_client(&h, "6789");
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	to_server(&h, GET("/plain"));
	to_client(&h, OK_10 "\r\n01");
	assert_plan(&h, JEEBS_CONTINUE, "digest");
	to_client(&h, "23456789");
	/* A loss of a whole body. */
	to_server(&h, GET("/plain"));
	to_client(&h, OK_10 "\r\n");
	harness_gap(&h, JEEBS_TO_CLIENT, 10);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	/* A loss beyond the body: a head may lie in it. */
	to_server(&h, GET("/plain"));
	to_client(&h, OK_10 "\r\n012");
	harness_gap(&h, JEEBS_TO_CLIENT, 8);
	assert_plan(&h, JEEBS_REFUSE, "response-gap");
	harness_deinit(&h);
}

static void test_gaps_in_requests(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	to_server(&h, "PUT /a HTTP/1.1\r\nContent-Length: 10\r\n\r\n01");
	harness_gap(&h, JEEBS_TO_SERVER, 8);
	assert_plan(&h, JEEBS_REFUSE, "request-gap");
	to_client(&h, OK_10 "\r\n0123456789");
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	to_server(&h, "GET / HT");
	harness_gap(&h, JEEBS_TO_SERVER, 3);
	assert_plan(&h, JEEBS_REFUSE, "request-gap");
	harness_deinit(&h);
}

static void test_server_had_finished(void **state)
{
	static const struct {
		const char *answer, *reason;
		uint32_t verdict;
	} cases[] = {
		{OK_10 "\r\n01234", "truncated-by-server", JEEBS_REFUSE},
		{"HTTP/1.1 200 OK\r\n", "truncated-by-server", JEEBS_REFUSE},
		{OK_10 "\r\n0123456789", "finished", JEEBS_CONTINUE},
		{"HTTP/1.1 200 OK\r\n\r\nabc", "finished", JEEBS_CONTINUE},
		{"", "finished", JEEBS_CONTINUE},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct harness_backend none = {.refuse = true};
		struct harness h;
		assert_int_equal(harness_init(&h, &http_module, NULL), 0);
		to_server(&h, GET("/"));
		to_client(&h, cases[i].answer);
		harness_fin(&h, JEEBS_TO_CLIENT);
		assert_plan(&h, cases[i].verdict, cases[i].reason);
		if (cases[i].verdict == JEEBS_CONTINUE) {
			harness_resume(&h, &none, BYTES_NONE, true);
			assert_int_equal(h.outcome, HARNESS_FINISHED);
			assert_int_equal(h.client.n, 0);
			assert_false(h.asked);
		}
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

static void test_client_had_finished(void **state)
{
	struct record r = record_new(test_server_init(), (const char *const[]){GET("/weak"), NULL});

	for (size_t n = 0; n <= r.stream[JEEBS_TO_CLIENT].n; n++) {
		struct test_server backend = test_server_init();
		struct harness_backend side = {test_server_receive, &backend, false};
		struct jeebs_plan plan;
		struct harness h;
		assert_int_equal(harness_init(&h, &http_module, NULL), 0);
		harness_data(&h, JEEBS_TO_SERVER, buf_view(&r.stream[JEEBS_TO_SERVER]));
		harness_fin(&h, JEEBS_TO_SERVER);
		harness_data(&h, JEEBS_TO_CLIENT,
			     bytes_head(buf_view(&r.stream[JEEBS_TO_CLIENT]), n));
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_CONTINUE);
		harness_resume(&h, &side, BYTES_NONE, false);
		assert_int_equal(h.outcome, HARNESS_FINISHED);
		assert_int_equal(n + h.client.n, r.stream[JEEBS_TO_CLIENT].n);
		assert_null(h.violation);
		harness_deinit(&h);
		test_server_deinit(&backend);
	}
	record_free(&r);
}

static void test_weak_dates_do_not_name_content(void **state)
{
#define DATED(modified)                                                                    \
	"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nDate: Sun, 06 Nov 1994 08:50:37 GMT\r\n" \
	"Last-Modified: " modified "\r\n"
	continued(GET("/"), DATED("Sun, 06 Nov 1994 08:49:37 GMT") "\r\n01", "range");
	continued(GET("/"), DATED("Sun, 06 Nov 1994 08:49:38 GMT") "\r\n01", "digest");
	continued(GET("/"), DATED("Mon, 06 Nov 1994 08:49:37 GMT") "\r\n01", "digest");
	continued(GET("/"), DATED("Sun, 06 Nov 1994 08:49:37 GMT") "ETag: W/\"a\"\r\n\r\n01",
		  "digest");
	continued(GET("/"), DATED("Sun, 06 Nov 1994 08:49:37 GMT") "Accept-Ranges: none\r\n\r\n01",
		  "digest");
	continued("PUT / HTTP/1.1\r\nContent-Length: 0\r\n\r\n",
		  DATED("Sun, 06 Nov 1994 08:49:37 GMT") "\r\n01", "digest");
	/* The range and the body differ in length. */
	continued(GET("/"),
		  "HTTP/1.1 206 OK\r\nContent-Length: 10\r\n"
		  "ETag: \"a\"\r\n"
		  "Content-Range: bytes 0-10/20\r\n\r\n01",
		  "digest");
#undef DATED
}

static void test_range_request_keeps_the_rest(void **state)
{
	static const char ask[] =
		"GET /file HTTP/1.1\r\nHost: a\r\nRANGE: bytes=0-9\r\n folded\r\n"
		"If-Range: \"x\"\r\nRange-Unit: y\r\nConnection: keep-alive\r\n\r\n"
		"HEAD / HTTP/1.1\r\n";
	static const char again[] =
		"GET /file HTTP/1.1\r\nHost: a\r\nRange-Unit: y\r\nConnection: keep-alive\r\n"
		"Range: bytes=0-149\r\nIf-Range: \"5f3c-1a2b\"\r\n\r\nHEAD / HTTP/1.1\r\n";

	for (size_t view = 0; view < 9; view++) {
		struct harness_options options = {.view_max = view};
		struct harness_backend none = {.refuse = true};
		struct harness h;
		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		to_server(&h, ask);
		to_client(&h, TAGGED "\r\nabc");
		assert_plan(&h, JEEBS_CONTINUE, "range");
		harness_resume(&h, &none, BYTES_NONE, false);
		assert_int_equal(h.backend.n, sizeof again - 1);
		assert_memory_equal(h.backend.p, again, h.backend.n);
		assert_string_equal(h.abort_reason, "backend-failed");
		harness_deinit(&h);
	}
}

static void test_restore_refuses_what_it_cannot_know(void **state)
{
	struct record r = record_new(test_server_init(), record_pipelined);
	struct harness h;
	struct buf b = BUF_INIT(1u << 16);
	struct bytes more;

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	feed(&h, &r, r.total / 2, &more);
	assert_int_equal(harness_checkpoint(&h, &b), 0);
	for (size_t n = 0; n < b.n; n++)
		assert_false(harness_restore(&h, bytes_head(buf_view(&b), n)));
	assert_true(harness_restore(&h, buf_view(&b)));
	buf_u8(&b, 0);
	assert_false(harness_restore(&h, buf_view(&b)));
	b.n--;
	b.p[0]++; /* another version */
	assert_false(harness_restore(&h, buf_view(&b)));
	harness_deinit(&h);
	buf_deinit(&b);
	record_free(&r);
}

/* Shows @n times 'x' of free text. */
static uint8_t after_text(struct http_body *b, size_t n)
{
	const uint8_t x = 'x';
	struct jeebs_bytes data;

	while (n-- > 0 && b->step != HTTP_STEP_BAD)
		assert_int_equal(http_body_take(b, (struct jeebs_bytes){&x, 1}, &data), 1);
	return b->step;
}

static void test_text_ceilings(void **state)
{
	static const struct http_body extension = {.kind = HTTP_BODY_CHUNKED,
						   .step = HTTP_STEP_EXTENSION};
	static const struct http_body trailer_line = {.kind = HTTP_BODY_CHUNKED,
						      .step = HTTP_STEP_TRAILER};
	struct http_body b = extension;

	assert_int_equal(after_text(&b, HTTP_EXTENSION_MAX), HTTP_STEP_EXTENSION);
	assert_int_equal(after_text(&b, 1), HTTP_STEP_BAD);
	b = trailer_line;
	assert_int_equal(after_text(&b, HTTP_TRAILER_MAX), HTTP_STEP_TRAILER_LINE);
	assert_int_equal(after_text(&b, 1), HTTP_STEP_BAD);
}

static void test_dates(void **state)
{
	static const char *const good[] = {
		"Thu, 01 Jan 1970 00:00:00 GMT", "Sun, 06 Nov 1994 08:49:37 GMT",
		"Tue, 29 Feb 2000 23:59:59 GMT", "Mon, 01 Mar 2100 00:00:00 GMT",
		"Fri, 31 Dec 9999 23:59:59 GMT",
	};
	static const int64_t seconds[] = {0, 784111777, 951868799, INT64_C(4107542400),
					  INT64_C(253402300799)};
	static const char *const bad[] = {
		"Mon, 06 Nov 1994 08:49:37 GMT",
		"Sun, 06 Nov 1994 08:49:37 UTC",
		"Mon, 29 Feb 2100 00:00:00 GMT",
		"Wed, 31 Dec 1969 23:59:59 GMT",
		"Sunday, 06-Nov-94 08:49:37 GMT",
		"Sun, 06 Nov 1994 24:49:37 GMT",
		"",
	};
	char out[HTTP_DATE_LEN];
	int64_t s;

	for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
		assert_true(http_date_parse(
			(struct jeebs_bytes){(const uint8_t *)good[i], strlen(good[i])}, &s));
		assert_true(s == seconds[i]);
		http_date_format(s, out);
		assert_memory_equal(out, good[i], sizeof out);
	}
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
		assert_false(http_date_parse(
			(struct jeebs_bytes){(const uint8_t *)bad[i], strlen(bad[i])}, &s));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requests_that_cannot_be_asked_again),
		cmocka_unit_test(test_upgrades_are_refused),
		cmocka_unit_test(test_what_is_not_http),
		cmocka_unit_test(test_cuts_in_free_text),
		cmocka_unit_test(test_pipeline_deeper_than_the_queue),
		cmocka_unit_test(test_pipeline_ceiling),
		cmocka_unit_test(test_head_ceiling),
		cmocka_unit_test(test_log_ceiling),
		cmocka_unit_test(test_bodies_that_cannot_be_asked_again_are_not_kept),
		cmocka_unit_test(test_captured_in_another_order),
		cmocka_unit_test(test_waiting_ceiling),
		cmocka_unit_test(test_answered_before_the_upload_ended),
		cmocka_unit_test(test_gaps_in_responses),
		cmocka_unit_test(test_gaps_in_requests),
		cmocka_unit_test(test_server_had_finished),
		cmocka_unit_test(test_client_had_finished),
		cmocka_unit_test(test_weak_dates_do_not_name_content),
		cmocka_unit_test(test_range_request_keeps_the_rest),
		cmocka_unit_test(test_restore_refuses_what_it_cannot_know),
		cmocka_unit_test(test_text_ceilings),
		cmocka_unit_test(test_dates),
	};
	return cmocka_run_group_tests_name("http-plan", tests, NULL, NULL);
}
