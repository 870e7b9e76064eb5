/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Conversations are recorded with a server in memory, cut at every byte, and
 * continued with another server. What the client gets is compared with what the
 * old server would have gone on to send.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "harness.h"
#include "http-date.h"
#include "http.h"
#include "test-server.h"

#define STEPS_MAX 32

/* A recorded conversation: the steps in the order of the wire. */
struct step {
	uint32_t dir;
	size_t from, to; /* in stream[dir] */
};

struct record {
	struct buf stream[2];
	struct step steps[STEPS_MAX];
	size_t step_count;
	size_t total; /* bytes of both directions */
	bool closed;  /* the server closes at the end */
};

static void record_step(struct record *r, uint32_t dir, size_t from)
{
	assert_true(r->step_count < STEPS_MAX);
	r->steps[r->step_count++] = (struct step){dir, from, r->stream[dir].n};
	r->total += r->stream[dir].n - from;
}

/* Requests in the order of sending; a request that begins with '+' is sent with the one before. */
static struct record record_new(struct test_server server, const char *const *requests)
{
	struct record r = {.stream = {BUF_INIT(1u << 20), BUF_INIT(1u << 20)}};
	bool fail = false;

	for (size_t i = 0; requests[i];) {
		size_t from = r.stream[JEEBS_TO_SERVER].n, answer = r.stream[JEEBS_TO_CLIENT].n;
		buf_printf(&r.stream[JEEBS_TO_SERVER], "%s", requests[i++]);
		while (requests[i] && requests[i][0] == '+')
			buf_printf(&r.stream[JEEBS_TO_SERVER], "%s", requests[i++] + 1);
		record_step(&r, JEEBS_TO_SERVER, from);
		test_server_receive(&server, bytes_from(buf_view(&r.stream[JEEBS_TO_SERVER]), from),
				    false, &r.stream[JEEBS_TO_CLIENT], &r.closed, &fail);
		record_step(&r, JEEBS_TO_CLIENT, answer);
	}
	test_server_deinit(&server);
	for (int i = 0; i < 2; i++) {
		buf_append(&r.stream[i], "", 1); /* a terminated string, too */
		r.stream[i].n--;
	}
	return r;
}

static void record_free(struct record *r)
{
	buf_deinit(&r->stream[0]);
	buf_deinit(&r->stream[1]);
}

/* Shows the harness the first @cut bytes. *ret_more: what the client has not sent by then. */
static void feed(struct harness *h, const struct record *r, size_t cut, struct bytes *ret_more)
{
	size_t sent[2] = {0, 0};

	for (size_t i = 0; i < r->step_count; i++) {
		const struct step *s = &r->steps[i];
		size_t n = s->to - s->from < cut ? s->to - s->from : cut;
		cut -= n;
		sent[s->dir] += n;
		harness_data(h, s->dir, bytes_of(r->stream[s->dir].p + s->from, n));
	}
	*ret_more = bytes_from(buf_view(&r->stream[JEEBS_TO_SERVER]), sent[JEEBS_TO_SERVER]);
}

/* Responses as a client understands them: status and body, one per line. */
static void understand(struct bytes in, const struct record *r, struct buf *out)
{
	const char *p = (const char *)in.p, *end = p + in.n;
	const char *ask = (const char *)r->stream[JEEBS_TO_SERVER].p;

	while (p < end) {
		const char *body = memmem(p, (size_t)(end - p), "\r\n\r\n", 4);
		char head[2048];
		assert_non_null(body);
		body += 4;
		snprintf(head, sizeof head, "%.*s", (int)(body - p), p);
		int status = atoi(head + 9);
		buf_printf(out, "%d ", status);
		bool none = status < 200 || status == 204 || status == 304;
		/* The asks are found one after the other; a test record has no blank lines in
		 * bodies. */
		if (status >= 200) {
			none |= strncmp(ask, "HEAD", 4) == 0;
			const char *next = strstr(ask, "\r\n\r\n");
			ask = next ? next + 4 : ask;
		}
		const char *length = strstr(head, "Content-Length: ");
		p = body;
		if (none) {
		} else if (strstr(head, "Transfer-Encoding: chunked")) {
			size_t n;
			char *data;
			while ((n = strtoul(p, &data, 16)) > 0) {
				assert_true(data + 4 + n <= end);
				buf_append(out, data + 2, n);
				p = data + 2 + n;
				assert_memory_equal(p, "\r\n", 2);
				p += 2;
			}
			p = strstr(p, "\r\n\r\n") + 4;
		} else {
			size_t n = length ? strtoul(length + 16, NULL, 10) : (size_t)(end - p);
			assert_true(n <= (size_t)(end - p));
			buf_append(out, p, n);
			p += n;
		}
		buf_printf(out, "\n");
	}
}

enum expect {
	SAME_BYTES,    /* the client gets exactly the old server's bytes */
	SAME_MESSAGES, /* it gets messages of the same status and body */
	EITHER_SERVER, /* each message is wholly that of one server; or it is refused or reset */
};

struct run {
	const char *name;
	struct test_server old, backend;
	enum expect expect;
	struct harness_options options;
	bool reopen;             /* checkpoint and restore at the cut */
	struct buf new_messages; /* what the backend would have answered */
	/* Results. */
	unsigned continued, refused, aborted;
	const char *last_reason; /* of a refusal or an abort */
	const char *only_reason; /* other reasons fail the test; NULL: none is allowed to happen */
};

static void complain(const struct run *run, size_t cut, const struct jeebs_plan *plan,
		     const struct harness *h)
{
	print_message("%s: cut at %zu, plan %s (%s), outcome %d %s%s%s\n", run->name, cut,
		      plan->reason, plan->detail, h->outcome,
		      h->abort_reason ? h->abort_reason : "", h->violation ? ", violation: " : "",
		      h->violation ? h->violation : "");
}

static void stopped(struct run *run, size_t cut, const struct jeebs_plan *plan,
		    const struct harness *h, const char *reason)
{
	run->last_reason = reason;
	if (run->expect == EITHER_SERVER ||
	    (run->only_reason && strcmp(run->only_reason, reason) == 0))
		return;
	complain(run, cut, plan, h);
	fail();
}

/* Takes the first line of @io. */
static struct bytes take_line(struct bytes *io)
{
	const uint8_t *lf = io->n ? memchr(io->p, '\n', io->n) : NULL;
	struct bytes line = bytes_head(*io, lf ? (size_t)(lf - io->p) : io->n);

	*io = bytes_from(*io, line.n + 1);
	return line;
}

/* Each message in @got is the one in @old or the one in @new, and none is missing. */
static bool messages_right(struct bytes got, struct bytes old, struct bytes new)
{
	while (got.n > 0 || old.n > 0) {
		struct bytes g = take_line(&got), o = take_line(&old), n = take_line(&new);
		if (!bytes_eq(g, o) && !bytes_eq(g, n)) {
			print_message("got  %.*s\nold  %.*s\nnew  %.*s\n", (int)g.n, g.p, (int)o.n,
				      o.p, (int)n.n, n.p);
			return false;
		}
	}
	return true;
}

static bool right(const struct run *run, const struct record *r, const struct harness *h,
		  size_t delivered)
{
	struct buf all = BUF_INIT(1u << 20), got = BUF_INIT(1u << 20), want = BUF_INIT(1u << 20);
	const struct buf *old = &r->stream[JEEBS_TO_CLIENT];

	buf_append(&all, old->p, delivered);
	buf_bytes(&all, buf_view(&h->client));
	bool ok = bytes_eq(buf_view(&all), buf_view(old));
	if (!ok && run->expect != SAME_BYTES) {
		buf_append(&all, "", 1); /* a terminated string */
		all.n--;
		understand(buf_view(&all), r, &got);
		understand(buf_view(old), r, &want);
		ok = messages_right(buf_view(&got), buf_view(&want), buf_view(&run->new_messages));
	}
	if (!ok)
		print_message("client: %.*s\n", (int)all.n, all.p);
	buf_deinit(&all);
	buf_deinit(&got);
	buf_deinit(&want);
	return ok;
}

static void one_cut(struct run *run, const struct record *r, size_t cut)
{
	struct harness h;
	struct jeebs_plan plan;
	struct bytes more;
	struct test_server backend = run->backend;
	struct harness_backend side = {.receive = test_server_receive, .ctx = &backend};

	assert_int_equal(harness_init(&h, &http_module, &run->options), 0);
	feed(&h, r, cut, &more);
	if (run->reopen)
		assert_int_equal(harness_reopen(&h), 0);
	harness_plan(&h, &plan);
	if (plan.verdict == JEEBS_REFUSE) {
		run->refused++;
		stopped(run, cut, &plan, &h, plan.reason);
	} else {
		size_t delivered = (size_t)h.log[JEEBS_TO_CLIENT].next;
		harness_resume(&h, &side, more, false);
		bool end = h.outcome == (r->closed ? HARNESS_FINISHED : HARNESS_JOINED);
		if (h.outcome == HARNESS_ABORTED) {
			run->aborted++;
			stopped(run, cut, &plan, &h, h.abort_reason);
		} else if (!right(run, r, &h, delivered) || (!end && run->expect == SAME_BYTES)) {
			complain(run, cut, &plan, &h);
			fail();
		} else {
			run->continued++;
		}
	}
	if (h.violation) {
		complain(run, cut, &plan, &h);
		fail();
	}
	harness_deinit(&h);
	test_server_deinit(&backend);
}

static void every_cut(struct run *run, const char *const *requests)
{
	struct record r = record_new(run->old, requests);
	struct record new = record_new(run->backend, requests);

	run->new_messages = BUF_INIT(1u << 20);
	if (!run->backend.garbage)
		understand(buf_view(&new.stream[JEEBS_TO_CLIENT]), &new, &run->new_messages);
	run->continued = run->refused = run->aborted = 0;
	for (size_t cut = 0; cut <= r.total; cut++)
		one_cut(run, &r, cut);
	record_free(&r);
	record_free(&new);
	buf_deinit(&run->new_messages);
}

#define GET(path) "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"

static const char *const keep_alive[] = {GET("/file"), GET("/plain"), GET("/missing"), NULL};
static const char *const chunked[] = {GET("/chunked"), GET("/file"), GET("/chunked"), NULL};
static const char *const trailer[] = {GET("/trailer"), GET("/file"), NULL};
static const char *const until[] = {GET("/file"), GET("/until"), NULL};
static const char *const bye[] = {GET("/chunked"), GET("/bye"), NULL};
static const char *const bodiless[] = {
	"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n",    GET("/same"),  GET("/none"), GET("/empty"),
	"HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n", GET("/plain"), NULL};
static const char *const pipelined[] = {
	GET("/file"),      "+" GET("/chunked"),
	"+" GET("/dated"), "+HEAD /plain HTTP/1.1\r\nHost: a\r\n\r\n",
	GET("/weak"),      NULL};
static const char *const ranged[] = {
	"GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=20-99\r\nAccept: x\r\n\r\n",
	"GET /dated HTTP/1.1\r\nrange: bytes=5-149\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 "
	"GMT\r\n\r\n",
	GET("/dated"), NULL};
static const char *const uploads[] = {
	"PUT /plain HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789",
	"PUT /chunked HTTP/1.1\r\nTransfer-Encoding: "
	"chunked\r\n\r\n5;a=b\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n",
	"DELETE /none HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /empty HTTP/1.1\r\nHost: a\r\n\r\n",
	NULL};
static const char *const informed[] = {GET("/continue"), GET("/continue"), NULL};

static const struct {
	const char *name;
	const char *const *requests;
	const char *only_reason;
} conversations[] = {
	{"keep-alive", keep_alive, NULL},
	{"chunked", chunked, NULL},
	{"trailer", trailer, "trailer-cut"},
	{"until", until, NULL},
	{"bye", bye, NULL},
	{"bodiless", bodiless, NULL},
	{"pipelined", pipelined, NULL},
	{"ranged", ranged, NULL},
	{"uploads", uploads, NULL},
	{"informed", informed, NULL},
};

static void each_conversation(struct run *run)
{
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run->name = conversations[i].name;
		run->only_reason = conversations[i].only_reason;
		every_cut(run, conversations[i].requests);
		assert_true(run->continued > 0);
	}
}

static struct run run_init(enum expect expect)
{
	return (struct run){
		.old = test_server_init(), .backend = test_server_init(), .expect = expect};
}

static void test_every_cut_same_server(void **state)
{
	struct run run = run_init(SAME_BYTES);

	each_conversation(&run);
	assert_int_equal(run.refused + run.aborted, 0); /* of the last conversation */
}

static void test_every_cut_in_any_chunking(void **state)
{
	static const struct harness_options options[] = {
		{.live = {.max = 1}, .backend = {.max = 1}, .view_max = 1},
		{.live = {.max = 7}, .backend = {.max = 3}, .view_max = 5},
		{.live = {.max = 90, .seed = 1}, .backend = {.max = 50, .seed = 2}, .view_max = 64},
	};

	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		struct run run = run_init(SAME_BYTES);
		run.options = options[i];
		each_conversation(&run);
	}
}

static void test_every_cut_after_restore(void **state)
{
	struct run run = run_init(SAME_BYTES);

	run.reopen = true;
	run.options.live.max = 11;
	each_conversation(&run);
}

static void get_checkpoint(const struct record *r, size_t cut, size_t chunk, struct buf *out)
{
	struct harness_options options = {.live = {.max = chunk}, .view_max = 16};
	struct harness h;
	struct bytes more;

	assert_int_equal(harness_init(&h, &http_module, &options), 0);
	feed(&h, r, cut, &more);
	assert_int_equal(harness_checkpoint(&h, out), 0);
	assert_null(h.violation);
	harness_deinit(&h);
}

static void test_any_chunking_gives_one_state(void **state)
{
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		struct record r = record_new(test_server_init(), conversations[i].requests);
		for (size_t cut = 0; cut <= r.total; cut++) {
			struct buf whole = BUF_INIT(1u << 16), bytewise = BUF_INIT(1u << 16);
			get_checkpoint(&r, cut, 0, &whole);
			get_checkpoint(&r, cut, 1, &bytewise);
			assert_true(bytes_eq(buf_view(&whole), buf_view(&bytewise)));
			buf_deinit(&whole);
			buf_deinit(&bytewise);
		}
		record_free(&r);
	}
}

static void test_backend_with_other_date(void **state)
{
	struct run run = run_init(SAME_MESSAGES);

	run.backend.date = "Sun, 22 Nov 2026 11:12:13 GMT";
	each_conversation(&run);
}

static void test_backend_with_other_name(void **state)
{
	struct run run = run_init(SAME_MESSAGES);

	/* A cut inside the value cannot be completed: the name is told in two ways then. */
	run.backend.name = "tested/2.0";
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run.expect = EITHER_SERVER;
		every_cut(&run, conversations[i].requests);
		assert_in_range(run.aborted, 1, 10 * strlen("est/1.0"));
	}
}

static void test_backend_with_other_chunks(void **state)
{
	for (size_t chunk = 1; chunk <= 160; chunk += chunk < 24 ? 1 : 17) {
		struct run run = run_init(SAME_MESSAGES);
		run.name = "other chunks";
		run.backend.chunk = chunk;
		run.old.chunk = 19;
		run.options.backend.max = chunk % 5;
		every_cut(&run, chunked);
		run.only_reason = "trailer-cut";
		every_cut(&run, trailer);
	}
}

/* Chunk sizes of two digits, so that size lines are cut in two. */
static void test_backend_with_long_chunks(void **state)
{
	for (size_t chunk = 15; chunk <= 300; chunk += 9) {
		struct run run = run_init(EITHER_SERVER);
		run.name = "long chunks";
		run.old.length = run.backend.length = 300;
		run.old.chunk = 0x11;
		run.backend.chunk = chunk;
		every_cut(&run, chunked);
		assert_int_equal(run.refused, 0);
		/* "1" of "11" or of the last "a" or "b" was delivered, but there is no such chunk.
		 */
		assert_in_range(run.aborted, 0, 2);
	}
}

static void test_backend_with_other_etag(void **state)
{
	struct run run = run_init(SAME_MESSAGES);

	run.name = "other etag";
	run.backend.etag = "\"another\"";
	run.backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
	run.only_reason = "head-contradicts"; /* where the client has the old one already */
	every_cut(&run, keep_alive);
	assert_int_equal(run.refused, 0);
	assert_in_range(run.aborted, 1, 200); /* one head of the three */
}

static void test_backend_without_ranges(void **state)
{
	struct run run = run_init(SAME_BYTES);

	run.name = "no ranges";
	run.backend.no_ranges = true;
	every_cut(&run, keep_alive);
	every_cut(&run, pipelined);
}

static void test_backend_with_other_framing(void **state)
{
	struct run run = run_init(EITHER_SERVER);

	run.backend.swap_framing = true;
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run.name = conversations[i].name;
		every_cut(&run, conversations[i].requests);
		/* Bodies are re-framed; only in heads the difference shows. */
		assert_true(run.continued > run.aborted);
	}
}

static void test_backend_delimits_by_close(void **state)
{
	struct run run = run_init(EITHER_SERVER);
	struct record r = record_new(run.old, (const char *const[]){GET("/plain"), NULL});

	/* Counted for the client: its length proves the end. */
	run.backend.close_framing = true;
	run.new_messages = BUF_INIT(1u << 20);
	run.name = "counted";
	r.closed = true;
	one_cut(&run, &r, r.total - 100);
	assert_int_equal(run.continued, 1);
	record_free(&r);

	/* Chunked for the client: the backend's end could be a failure. */
	run.expect = EITHER_SERVER;
	r = record_new(run.old, (const char *const[]){GET("/chunked"), NULL});
	one_cut(&run, &r, r.total - 100);
	assert_int_equal(run.aborted, 1);
	assert_string_equal(run.last_reason, "framing-differs");
	record_free(&r);
}

static void other_content(struct run *run)
{
	run->backend.content = 2;
	run->backend.etag = "\"another\"";
	run->backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
}

static void test_backend_with_other_content(void **state)
{
	struct run run = run_init(EITHER_SERVER);

	other_content(&run);
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run.name = conversations[i].name;
		every_cut(&run, conversations[i].requests);
		assert_true(run.continued > 0);
	}
	every_cut(&run, keep_alive);
	assert_true(run.aborted > 3 * 140); /* each cut in each body */
	run.options.backend.max = 1;
	every_cut(&run, chunked);
	assert_true(run.aborted > 3 * 140);
}

static void test_backend_with_other_length(void **state)
{
	struct run run = run_init(EITHER_SERVER);

	run.name = "longer";
	run.backend.length = 151;
	run.backend.etag = "\"another\"";
	run.backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
	every_cut(&run, keep_alive);
	assert_true(run.aborted > 3 * 140);
	/* The last byte is kept back until the end is proven. */
	run.backend.swap_framing = true;
	every_cut(&run, keep_alive);
	assert_true(run.aborted > 3 * 140);
	run.backend.length = 149;
	every_cut(&run, keep_alive);
	assert_true(run.aborted > 3 * 140);
}

static void test_backend_with_other_type(void **state)
{
	struct run run = run_init(EITHER_SERVER);

	run.name = "type";
	run.backend.type = "text/html";
	every_cut(&run, (const char *const[]){GET("/plain"), NULL});
	assert_true(run.aborted > 140);
}

/* The client must be able to tell that something went wrong: what it has is a true beginning. */
static void test_backend_that_fails(void **state)
{
	struct run run = run_init(SAME_BYTES);
	struct record r = record_new(run.old, chunked);

	for (size_t cut = 100; cut < r.total; cut += 41) {
		for (size_t after = 1; after < 700; after += 37) {
			for (int orderly = 0; orderly < 2; orderly++) {
				struct test_server backend = run.backend;
				struct harness_backend side = {test_server_receive, &backend,
							       false};
				struct harness h;
				struct jeebs_plan plan;
				struct bytes more;

				*(orderly ? &backend.close_after : &backend.fail_after) = after;
				assert_int_equal(harness_init(&h, &http_module, NULL), 0);
				feed(&h, &r, cut, &more);
				harness_plan(&h, &plan);
				size_t delivered = (size_t)h.log[JEEBS_TO_CLIENT].next;
				harness_resume(&h, &side, more, false);
				assert_null(h.violation);
				assert_true(delivered + h.client.n <= r.stream[JEEBS_TO_CLIENT].n);
				assert_memory_equal(h.client.p ? h.client.p : (const uint8_t *)"",
						    r.stream[JEEBS_TO_CLIENT].p + delivered,
						    h.client.n);
				if (delivered + h.client.n < r.stream[JEEBS_TO_CLIENT].n)
					assert_true(h.outcome == HARNESS_ABORTED ||
						    (orderly && h.outcome == HARNESS_FINISHED));
				harness_deinit(&h);
				test_server_deinit(&backend);
			}
		}
	}
	record_free(&r);
}

static void test_backend_that_is_no_http(void **state)
{
	struct run run = run_init(SAME_BYTES);
	struct record r = record_new(run.old, keep_alive);

	run.name = "garbage";
	run.backend.garbage = true;
	run.only_reason = "backend-not-http";
	one_cut(&run, &r, r.steps[0].to + r.steps[1].to - 10);
	assert_int_equal(run.aborted, 1);
	run.only_reason = "head-contradicts";
	one_cut(&run, &r, r.steps[0].to + 10);
	assert_int_equal(run.aborted, 2);
	record_free(&r);
}

/* Single decisions. */

static void to_server(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_SERVER, bytes_str(text));
}

static void to_client(struct harness *h, const char *text)
{
	harness_data(h, JEEBS_TO_CLIENT, bytes_str(text));
}

static void assert_plan(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	/* A decision survives a checkpoint. */
	assert_int_equal(harness_reopen(h), 0);
	harness_plan(h, &plan);
	assert_string_equal(plan.reason, reason);
	assert_null(h->violation);
}

/* A conversation that begins with @ask and @answer, and how it is decided. */
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

#define OK_10 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n"

static void test_requests_that_cannot_be_asked_again(void **state)
{
	const char *post = "POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nabcd";

	refused(post, "", "request-not-idempotent");
	refused("POST /a HTTP/1.1\r\nContent-Length: 4\r\n\r\nab", "", "request-not-idempotent");
	refused("PATCH /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "", "request-not-idempotent");
	refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "", "request-not-idempotent");
	refused(post, OK_10 "\r\nabc", "request-not-idempotent");
	refused(GET("/a") "POST /a HTTP/1.1\r\nContent-Length: 0\r\n\r\n", OK_10 "\r\nabc",
		"request-not-idempotent");
	/* No server acts on half a head. */
	continued("POST /a HTTP/1.1\r\nContent-Length: 4\r\n", "", "replay");
	/* It is answered. */
	continued(post, OK_10 "\r\n0123456789", "idle");
}

static void test_upgrades_are_refused(void **state)
{
	const char *ask = "GET / HTTP/1.1\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n";

	refused(ask, "HTTP/1.1 101 Switching\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n",
		"upgraded");
	refused("CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n", "upgraded");
	/* The server did not want to. */
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
}

static void test_cuts_in_text_that_is_not_kept(void **state)
{
	const char *chunks = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=b";

	refused(GET("/"), chunks, "chunk-extension");
	refused(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Sum",
		"trailer-cut");
	refused(GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n3\r\nab",
		"transfer-coding");
}

static void test_pipeline_ceiling(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &http_module, NULL), 0);
	for (unsigned i = 0; i < HTTP_QUEUE_MAX; i++)
		to_server(&h, GET("/"));
	assert_plan(&h, JEEBS_CONTINUE, "replay");
	to_client(&h, OK_10 "\r\n0123456789");
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
	/* A head that does not fit. */
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
	assert_int_equal(h.log[JEEBS_TO_SERVER].bytes.n, 0);
	to_client(&h, OK_10 "\r\n01234");
	assert_int_equal(h.log[JEEBS_TO_CLIENT].bytes.n, 0);
	assert_null(h.violation);
	harness_deinit(&h);
}

/* Shows each response of a record before its request. */
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
		struct record r = record_new(test_server_init(), pipelined);
		struct buf usual = BUF_INIT(1u << 16), now = BUF_INIT(1u << 16);
		struct harness h;

		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		feed_answers_first(&h, &r);
		assert_int_equal(h.log[JEEBS_TO_CLIENT].bytes.n, 0);
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

	/* The backend ignores the range: what was delivered cannot be compared. */
	test_server_deinit(&backend);
	backend = test_server_init();
	backend.no_ranges = true;
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

	/* Nothing names the content; after the response all is well again. */
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
	/* A whole body. */
	to_server(&h, GET("/plain"));
	to_client(&h, OK_10 "\r\n");
	harness_gap(&h, JEEBS_TO_CLIENT, 10);
	assert_plan(&h, JEEBS_CONTINUE, "idle");
	/* Beyond the body: a head may be in it. */
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

/* A backend that says one text, whatever it is asked. */
struct speaker {
	const char *text;
	bool close;
	bool spoken;
};

static void speak(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close, bool *fail)
{
	struct speaker *s = ctx;

	if (!s->spoken)
		buf_bytes(answer, bytes_str(s->text));
	s->spoken = true;
	*close = s->close;
}

struct spoken {
	const char *ask, *delivered;
	const char *answer; /* of the backend, */
	bool close;         /* which closes then */
	bool client_fin;
	const char *client;           /* what the client gets */
	enum harness_outcome outcome; /* how it ends, */
	const char *reason;           /* and why */
};

static void check_spoken(const struct spoken *c)
{
	for (size_t chunk = 0; chunk < 4; chunk++) {
		struct harness_options options = {.backend = {.max = chunk}};
		struct speaker speaker = {c->answer, c->close, false};
		struct harness_backend side = {speak, &speaker, false};
		struct jeebs_plan plan;
		struct harness h;

		assert_int_equal(harness_init(&h, &http_module, &options), 0);
		to_server(&h, c->ask);
		to_client(&h, c->delivered);
		if (c->client_fin)
			harness_fin(&h, JEEBS_TO_SERVER);
		harness_plan(&h, &plan);
		assert_int_equal(plan.verdict, JEEBS_CONTINUE);
		harness_resume(&h, &side, BYTES_NONE, false);
		if (h.outcome != c->outcome || !bytes_eq(buf_view(&h.client), bytes_str(c->client)))
			print_message("answer %s\nclient %.*s\n", c->answer, (int)h.client.n,
				      h.client.p);
		assert_int_equal(h.outcome, c->outcome);
		assert_int_equal(h.client.n, strlen(c->client));
		assert_memory_equal(h.client.n ? h.client.p : (const uint8_t *)"", c->client,
				    h.client.n);
		if (c->reason)
			assert_string_equal(h.abort_reason, c->reason);
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

#define HALF   OK_10 "ETag: \"a\"\r\n\r\n01234"
#define PART   "HTTP/1.1 206 Partial\r\n"
#define TAG    "ETag: \"a\"\r\n"
#define RANGE  "Content-Range: bytes 5-9/10\r\n"
#define FIVE   "Content-Length: 5\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n"

static void test_ranges_that_were_not_asked_for(void **state)
{
	static const struct spoken cases[] = {
		{GET("/"), HALF, PART TAG RANGE FIVE "\r\n56789", .client = "56789",
		 .outcome = HARNESS_JOINED},
		{GET("/"), HALF, PART TAG RANGE CHUNKS "\r\n5\r\n56789\r\n0\r\n\r\n",
		 .client = "56789", .outcome = HARNESS_JOINED},
		{GET("/"), HALF, PART "ETag: \"b\"\r\n" RANGE FIVE "\r\n56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART "ETag: W/\"a\"\r\n" RANGE FIVE "\r\n56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART RANGE FIVE "\r\n56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART TAG FIVE "\r\n56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 4-8/10\r\n" FIVE "\r\n45678",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 4-9/10\r\n" FIVE "\r\n45678",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 5-8/10\r\n" FIVE "\r\n45678",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 5-9/11\r\n" FIVE "\r\n56789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG RANGE "Content-Length: 6\r\n\r\n567890", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), HALF, "HTTP/1.1 304 Not Modified\r\n" TAG "\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "status-differs"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

static void test_no_complete_body_of_another_length(void **state)
{
	static const struct spoken cases[] = {
		/* Too long: whatever the chunks are, the last byte stays back. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\na\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
		 .client = "5678", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		/* Too short, by its chunks and by its end. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n9\r\n012345678\r\n0\r\n\r\n", .client = "5678",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 200 OK\r\n\r\n012345678", .close = true,
		 .client = "5678", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 200 OK\r\n\r\n0123456789", .close = true,
		 .client = "56789", .outcome = HARNESS_FINISHED},
		/* Shorter than what was delivered. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n3\r\n012\r\n0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789x", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		/* The backend says nothing of what it was asked. */
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n",
		 .close = true, .client = "", .outcome = HARNESS_ABORTED,
		 .reason = "backend-closed"},
		{GET("/"), OK_10 "\r\n01234", OK_10 "\r\n012345", .close = true, .client = "5",
		 .outcome = HARNESS_FINISHED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

static void test_the_end_of_the_connection_is_kept(void **state)
{
	static const struct spoken cases[] = {
		/* The old server would have closed: the backend keeps its side open, and says more.
		 */
		{GET("/"), OK_10 "Connection: close\r\n\r\n01234", OK_10 "\r\n0123456789HTTP/1.1",
		 .client = "56789", .outcome = HARNESS_FINISHED},
		{GET("/"), "HTTP/1.0 200 OK\r\nContent-Length: 10\r\n\r\n01234",
		 OK_10 "\r\n0123456789", .client = "56789", .outcome = HARNESS_FINISHED},
		{GET("/"), "HTTP/1.1 200 OK\r\n\r\n01234", OK_10 "\r\n0123456789",
		 .client = "56789", .outcome = HARNESS_FINISHED},
		{GET("/"), "HTTP/1.1 200 OK\r\nConnection: close\r\n" CHUNKS "\r\n5\r\n01234\r\n",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n5\r\n01234\r\n1\r\n5\r\n0\r\n\r\nmore",
		 .client = "1\r\n5\r\n0\r\n\r\n", .outcome = HARNESS_FINISHED},
		/* The client sends nothing more: this was the last response. */
		{GET("/"), OK_10 "\r\n01234", OK_10 "\r\n0123456789", .client_fin = true,
		 .client = "56789", .outcome = HARNESS_FINISHED},
		{GET("/") GET("/"), OK_10 "\r\n01234", OK_10 "\r\n0123456789", .client_fin = true,
		 .client = "56789", .outcome = HARNESS_JOINED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

static void test_heads_are_completed_or_contradicted(void **state)
{
#define DAY       "Date: Sat, 21 Nov 2026 03:36:41 GMT\r\n"
#define OTHER_DAY "Date: Sun, 22 Nov 2026 13:26:31 GMT\r\n"
	static const struct spoken cases[] = {
		{GET("/"), "HTTP/1.1 200 OK\r\nDate: Sat, 21 N",
		 "HTTP/1.1 200 OK\r\n" OTHER_DAY "A: b\r\n\r\n",
		 .client = "ov 2026 13:26:31 GMT\r\nA: b\r\n\r\n", .outcome = HARNESS_JOINED},
		/* Not of the one form that can be completed. */
		{GET("/"), "HTTP/1.1 200 OK\r\nDate: Sat, 21 N",
		 "HTTP/1.1 200 OK\r\nDate: 0\r\n\r\n", .client = "", .outcome = HARNESS_ABORTED,
		 .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nDate: Sat, 21 N",
		 "HTTP/1.1 200 OK\r\nAge: 0\r\n" DAY "\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		/* Fields that the client has are not sent again, wherever they are. */
		{GET("/"), "HTTP/1.1 200 OK\r\nServer: a\r\n" DAY "Allow: x\r\n",
		 "HTTP/1.1 200 OK\r\n" OTHER_DAY "allow: x\r\nVary: y\r\nServer: b\r\n\r\n",
		 .client = "Vary: y\r\n\r\n", .outcome = HARNESS_JOINED},
		/* All of a value but its LF. */
		{GET("/"), "HTTP/1.1 200 OK\r\nServer: a\r",
		 "HTTP/1.1 200 OK\r\nServer: bcd\r\nA: b\r\n\r\n", .client = "\nA: b\r\n\r\n",
		 .outcome = HARNESS_JOINED},
		{GET("/"), "HTTP/1.1 200 OK\r\nA: b\r\n\r", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		 .client = "\n", .outcome = HARNESS_JOINED},
		/* A line of the old server is missing, differs, or is shorter than delivered. */
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: x\r\n", "HTTP/1.1 200 OK\r\nVary: y\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: x\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: abc", "HTTP/1.1 200 OK\r\nAllow: ab\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 20", "HTTP/1.1 404 No\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		/* An informational head that the client has, or that the backend adds. */
		{GET("/"), "HTTP/1.1 100 Continue\r\n\r\n",
		 "HTTP/1.1 100 Go\r\nA: b\r\n\r\nHTTP/1.1 200 OK\r\n\r\n",
		 .client = "HTTP/1.1 200 OK\r\n\r\n", .outcome = HARNESS_JOINED},
		{GET("/"), "HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		 .client = "HTTP/1.1 200 OK\r\n\r\n", .outcome = HARNESS_JOINED},
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 103 Early\r\n\r\n" OK_10 "\r\n0123456789",
		 .client = "56789", .outcome = HARNESS_JOINED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/* More volatile names than are remembered: the last ones are compared like all others. */
static void test_names_ceiling(void **state)
{
	for (unsigned count = 1; count <= HTTP_REHEAD_NAMES_MAX + 1; count++) {
		struct buf old = BUF_INIT(4096), new = BUF_INIT(4096);
		bool fits = count <= HTTP_REHEAD_NAMES_MAX;
		buf_printf(&old, "HTTP/1.1 200 OK\r\n");
		buf_printf(&new, "HTTP/1.1 200 OK\r\n");
		for (unsigned i = 0; i < count; i++) {
			buf_printf(&old, "X-%u: a\r\n", i);
			buf_printf(&new, "X-%u: b\r\n", i);
		}
		buf_append(&old, "", 1);
		buf_append(&new, "\r\n", 3);
		const struct spoken c = {
			GET("/"),
			(const char *)old.p,
			(const char *)new.p,
			.client = fits ? "\r\n" : "",
			.outcome = fits ? HARNESS_JOINED : HARNESS_ABORTED,
			.reason = fits ? NULL : "head-contradicts",
		};
		check_spoken(&c);
		buf_deinit(&old);
		buf_deinit(&new);
	}
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
	/* A range that is not as long as the body. */
	continued(GET("/"),
		  "HTTP/1.1 206 OK\r\nContent-Length: 10\r\n" TAG
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
		"Range: bytes=3-149\r\nIf-Range: \"5f3c-1a2b\"\r\n\r\nHEAD / HTTP/1.1\r\n";

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
	struct record r = record_new(test_server_init(), pipelined);
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
		cmocka_unit_test(test_every_cut_same_server),
		cmocka_unit_test(test_every_cut_in_any_chunking),
		cmocka_unit_test(test_every_cut_after_restore),
		cmocka_unit_test(test_any_chunking_gives_one_state),
		cmocka_unit_test(test_backend_with_other_date),
		cmocka_unit_test(test_backend_with_other_name),
		cmocka_unit_test(test_backend_with_other_chunks),
		cmocka_unit_test(test_backend_with_long_chunks),
		cmocka_unit_test(test_backend_with_other_etag),
		cmocka_unit_test(test_backend_without_ranges),
		cmocka_unit_test(test_backend_with_other_framing),
		cmocka_unit_test(test_backend_delimits_by_close),
		cmocka_unit_test(test_backend_with_other_content),
		cmocka_unit_test(test_backend_with_other_length),
		cmocka_unit_test(test_backend_with_other_type),
		cmocka_unit_test(test_backend_that_fails),
		cmocka_unit_test(test_backend_that_is_no_http),
		cmocka_unit_test(test_requests_that_cannot_be_asked_again),
		cmocka_unit_test(test_upgrades_are_refused),
		cmocka_unit_test(test_what_is_not_http),
		cmocka_unit_test(test_cuts_in_text_that_is_not_kept),
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
		cmocka_unit_test(test_ranges_that_were_not_asked_for),
		cmocka_unit_test(test_no_complete_body_of_another_length),
		cmocka_unit_test(test_the_end_of_the_connection_is_kept),
		cmocka_unit_test(test_heads_are_completed_or_contradicted),
		cmocka_unit_test(test_names_ceiling),
		cmocka_unit_test(test_weak_dates_do_not_name_content),
		cmocka_unit_test(test_range_request_keeps_the_rest),
		cmocka_unit_test(test_restore_refuses_what_it_cannot_know),
		cmocka_unit_test(test_text_ceilings),
		cmocka_unit_test(test_dates),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
