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
	NEVER_WRONG,   /* it gets the same messages, or is refused or reset */
};

struct run {
	const char *name;
	struct test_server old, backend;
	enum expect expect;
	struct harness_options options;
	bool reopen; /* checkpoint and restore at the cut */
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
	if (run->expect == NEVER_WRONG ||
	    (run->only_reason && strcmp(run->only_reason, reason) == 0))
		return;
	complain(run, cut, plan, h);
	fail();
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
		ok = bytes_eq(buf_view(&got), buf_view(&want));
		if (!ok)
			print_message("got  %.*s\nwant %.*s\n", (int)got.n, got.p, (int)want.n,
				      want.p);
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

	run->continued = run->refused = run->aborted = 0;
	for (size_t cut = 0; cut <= r.total; cut++)
		one_cut(run, &r, cut);
	record_free(&r);
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
		print_message("%s: %u continued, %u refused, %u aborted\n", run->name,
			      run->continued, run->refused, run->aborted);
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
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_cut_same_server),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
