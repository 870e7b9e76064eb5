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

#include "test/record.h"

/* Appends a body as one line. */
static void append_body(struct buf *out, const char *p, size_t n)
{
	size_t from = out->n;

	buf_append(out, p, n);
	for (size_t i = from; i < out->n; i++) {
		if (out->p[i] == '\n')
			out->p[i] = '\r';
	}
}

/* Reads responses as a client does: one line each, with status and body. */
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
		/* The requests follow one another. A test record has no blank lines in bodies. */
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
				append_body(out, data + 2, n);
				p = data + 2 + n;
				assert_memory_equal(p, "\r\n", 2);
				p += 2;
			}
			p = strstr(p, "\r\n\r\n") + 4;
		} else {
			size_t n = length ? strtoul(length + 16, NULL, 10) : (size_t)(end - p);
			assert_true(n <= (size_t)(end - p));
			append_body(out, p, n);
			p += n;
		}
		buf_printf(out, "\n");
	}
}

enum expect {
	SAME_BYTES,    /* the client gets exactly the old server's bytes */
	SAME_MESSAGES, /* the client gets messages of the same status and body */
	EITHER_SERVER, /* each message is wholly one server's; or the cut is refused or reset */
};

struct run {
	const char *name;
	struct test_server old, backend;
	enum expect expect;
	struct harness_options options;
	bool reopen;             /* checkpoint and restore at the cut */
	struct buf new_messages; /* the answers of the backend to all requests */
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

/* Takes the first line from @io. */
static struct bytes take_line(struct bytes *io)
{
	const uint8_t *lf = io->n ? memchr(io->p, '\n', io->n) : NULL;
	struct bytes line = bytes_head(*io, lf ? (size_t)(lf - io->p) : io->n);

	*io = bytes_from(*io, line.n + 1);
	return line;
}

/* Each message in @got is that of @old or that of @new, and none is missing. */
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
		size_t delivered = (size_t)span_end(&h.log[JEEBS_TO_CLIENT].span);
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

static const char *const keep_alive[] = {GET("/file"), GET("/plain"), GET("/missing"), NULL};
static const char *const chunked[] = {GET("/chunked"), GET("/file"), GET("/chunked"), NULL};
static const char *const trailer[] = {GET("/trailer"), GET("/file"), NULL};
static const char *const until[] = {GET("/file"), GET("/until"), NULL};
static const char *const bye[] = {GET("/chunked"), GET("/bye"), NULL};
static const char *const bodiless[] = {
	"HEAD /file HTTP/1.1\r\nHost: a\r\n\r\n",    GET("/same"),  GET("/none"), GET("/empty"),
	"HEAD /chunked HTTP/1.1\r\nHost: a\r\n\r\n", GET("/plain"), NULL};
static const char *const ranged[] = {
	"GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=20-99\r\nAccept: x\r\n\r\n",
	"GET /dated HTTP/1.1\r\nrange: bytes=5-149\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 "
	"GMT\r\n\r\n",
	GET("/dated"), NULL};
static const char *const several[] = {
	"GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=20-59,70-75,0-9,140-149\r\n\r\n",
	"GET /dated HTTP/1.1\r\nRange: bytes=5-5,7-80\r\n\r\n", GET("/dated"), NULL};
static const char *const uploads[] = {
	"PUT /plain HTTP/1.1\r\nContent-Length: 20\r\n\r\n01234567890123456789",
	"PUT /chunked HTTP/1.1\r\nTransfer-Encoding: "
	"chunked\r\n\r\n5;a=b\r\nabcde\r\n1\r\nf\r\n0\r\n\r\n",
	"DELETE /none HTTP/1.1\r\nHost: a\r\n\r\n", "OPTIONS /empty HTTP/1.1\r\nHost: a\r\n\r\n",
	NULL};
#define THREE \
	"+" GET("/none"), "+" GET("/same"), "+PUT /none HTTP/1.1\r\nContent-Length: 1\r\n\r\nx"
static const char *const deep[] = {GET("/file"), THREE, THREE, THREE, THREE,
				   THREE,        THREE, THREE, NULL};
static const char *const informed[] = {GET("/continue"), GET("/continue"), NULL};

static const struct {
	const char *name;
	const char *const *requests;
	const char *only_reason;
} conversations[] = {
	{"keep-alive", keep_alive, NULL},
	{"chunked", chunked, NULL},
	{"trailer", trailer, NULL},
	{"until", until, NULL},
	{"bye", bye, NULL},
	{"bodiless", bodiless, NULL},
	{"pipelined", record_pipelined, NULL},
	{"ranged", ranged, NULL},
	{"uploads", uploads, NULL},
	{"several", several, NULL},
	{"informed", informed, NULL},
	{"deep", deep, NULL},
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
	assert_int_equal(run.refused + run.aborted, 0); /* in the last conversation */
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

	/* A cut inside the value cannot be completed: its two forms differ. */
	run.backend.name = "tested/2.0";
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run.expect = EITHER_SERVER;
		every_cut(&run, conversations[i].requests);
		assert_in_range(run.aborted, 1, 22 * strlen("est/1.0"));
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
		every_cut(&run, trailer);
	}
}

/* The chunk sizes have two digits, so that size lines are cut in two. */
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
		/* "1" of "11", or of the last "a" or "b", was delivered, and there is no such
		 * chunk. */
		assert_in_range(run.aborted, 0, 2);
	}
}

static void test_backend_with_other_etag(void **state)
{
	struct run run = run_init(SAME_MESSAGES);

	run.name = "other etag";
	run.backend.etag = "\"another\"";
	run.backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
	run.only_reason = "head-contradicts"; /* where the client already has the old head */
	every_cut(&run, keep_alive);
	assert_int_equal(run.refused, 0);
	assert_in_range(run.aborted, 1, 200); /* one head of three */
}

static void test_backend_without_ranges(void **state)
{
	struct run run = run_init(SAME_BYTES);

	run.name = "no ranges";
	run.backend.no_ranges = true;
	every_cut(&run, keep_alive);
	every_cut(&run, record_pipelined);
}

static void test_backend_with_other_framing(void **state)
{
	struct run run = run_init(EITHER_SERVER);

	run.backend.swap_framing = true;
	for (size_t i = 0; i < sizeof conversations / sizeof conversations[0]; i++) {
		run.name = conversations[i].name;
		every_cut(&run, conversations[i].requests);
		/* Bodies are re-framed. Only heads show the difference. */
		assert_true(run.continued > run.aborted);
	}
}

static void test_backend_delimits_by_close(void **state)
{
	struct run run = run_init(EITHER_SERVER);
	struct record r = record_new(run.old, (const char *const[]){GET("/plain"), NULL});

	/* The client has a length: it proves the end. */
	run.backend.close_framing = true;
	run.new_messages = BUF_INIT(1u << 20);
	run.name = "counted";
	r.closed = true;
	one_cut(&run, &r, r.total - 100);
	assert_int_equal(run.continued, 1);
	record_free(&r);

	/* The client gets chunks: the backend's end might be a failure. */
	run.expect = EITHER_SERVER;
	r = record_new(run.old, (const char *const[]){GET("/chunked"), NULL});
	one_cut(&run, &r, r.total - 100);
	assert_int_equal(run.aborted, 1);
	assert_string_equal(run.last_reason, "framing-differs");
	record_free(&r);
}

static const struct {
	const char *boundary;
	int parts;
} part_forms[] = {
	{"00000000000000000007", PARTS_NGINX}, {"00000000000000000123", PARTS_NGINX},
	{"fkj49sn38dcn3", PARTS_LIGHTTPD},     {"e4faf850290121fb", PARTS_APACHE},
	{"an-other--", PARTS_APACHE},
};
#define PART_FORMS (sizeof part_forms / sizeof part_forms[0])

static unsigned bytes_of_bodies(const struct record *r)
{
	const char *p = (const char *)r->stream[JEEBS_TO_CLIENT].p;
	unsigned n = 0;

	while ((p = strstr(p, "Content-Length: "))) {
		n += (unsigned)atoi(p + 16);
		p++;
	}
	return n;
}

/* Each form of several parts is tested against each other. */
static void test_backend_with_other_boundary(void **state)
{
	for (size_t i = 1; i < PART_FORMS * PART_FORMS; i += 3) {
		struct run run = run_init(EITHER_SERVER);
		run.name = part_forms[i / PART_FORMS].boundary;
		run.old.boundary = run.name;
		run.old.parts = part_forms[i / PART_FORMS].parts;
		run.backend.boundary = part_forms[i % PART_FORMS].boundary;
		run.backend.parts = part_forms[i % PART_FORMS].parts;
		run.backend.swap_framing = i % 3 == 0;
		run.options.backend.max = i % 4;
		run.reopen = i % 2;
		every_cut(&run, several);
		struct record r = record_new(run.old, several);
		/* No cut in a body fails: only heads show the boundary. */
		assert_int_equal(run.refused, 0);
		assert_true(run.aborted < r.total - bytes_of_bodies(&r));
		assert_true(run.continued > bytes_of_bodies(&r));
		record_free(&r);
	}
}

static void test_backend_with_other_parts(void **state)
{
	struct run run = run_init(EITHER_SERVER);
	struct record r = record_new(run.old, several);

	run.name = "joined";
	run.backend.boundary = "another1";
	run.backend.join_parts = true;
	every_cut(&run, several);
	assert_true(run.aborted > 400);
	run.name = "another tag";
	run.backend = test_server_init();
	run.backend.boundary = "another2";
	run.backend.etag = "\"another\"";
	run.backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
	run.continued = run.aborted = 0;
	size_t body = r.steps[0].to + (r.steps[1].to - r.steps[1].from) - 50;
	one_cut(&run, &r, body);
	assert_int_equal(run.aborted, 1);
	assert_string_equal(run.last_reason, "validator-differs");
	/* The backend does not support ranges. */
	run.backend = test_server_init();
	run.backend.no_ranges = true;
	one_cut(&run, &r, body);
	assert_string_equal(run.last_reason, "status-differs");
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
	assert_true(run.aborted > 3 * 140); /* at least each cut in each body */
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
	/* The last byte is held back until the end is proved. */
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

	run.name = "type, and nothing tells the length";
	run.backend.type = "text/html";
	every_cut(&run, (const char *const[]){GET("/chunked"), NULL});
	assert_true(run.aborted > 140);
}

/* The backend has its own tags and types for the same files. Only dates agree. */
static void test_backend_of_other_make(void **state)
{
	static const char *const *const asked[] = {keep_alive, ranged, several};

	for (size_t i = 0; i < 3; i++) {
		struct run run = run_init(EITHER_SERVER);
		run.name = "make";
		if (asked[i] != several) /* parts tell their type in the body */
			run.old.type = "text/plain; charset=utf-8";
		struct record r = record_new(run.old, asked[i]);
		run.backend.etag = "\"another\"";
		run.only_reason = "head-contradicts";
		run.reopen = i % 2;
		every_cut(&run, asked[i]);
		/* Only heads differ. */
		assert_int_equal(run.refused, 0);
		assert_true(run.aborted < r.total - bytes_of_bodies(&r));
		assert_true(run.continued > bytes_of_bodies(&r));
		record_free(&r);
	}
}

/* Cuts in one long body: at the digest's marks, beside them, and between. */
static void cuts_of_body(struct run *run, const char *ask)
{
	const char *const requests[] = {ask, NULL};
	struct record r = record_new(run->old, requests), new = record_new(run->backend, requests);
	const struct step *answer = &r.steps[1];
	const uint8_t *p = r.stream[JEEBS_TO_CLIENT].p;
	const uint8_t *end = memmem(p, answer->to, "\r\n\r\n", 4);
	size_t body = r.steps[0].to + (size_t)(end + 4 - p);

	run->new_messages = BUF_INIT(1u << 20);
	understand(buf_view(&new.stream[JEEBS_TO_CLIENT]), &new, &run->new_messages);
	for (size_t at = 0; body + at < r.total; at += 32767) {
		for (size_t beside = 0; beside < 3; beside++) {
			if (at + beside > 0 && body + at + beside < r.total)
				one_cut(run, &r, body + at + beside);
		}
	}
	record_free(&r);
	record_free(&new);
	buf_deinit(&run->new_messages);
}

static struct run long_run(enum expect expect)
{
	struct run run = run_init(expect);

	run.old.length = run.backend.length = 300000;
	run.options.log_max = 1u << 20;
	run.reopen = true;
	return run;
}

static const char part[] = "GET /file HTTP/1.1\r\nHost: a\r\nRange: bytes=1000-280000\r\n\r\n";

static void test_long_body_of_other_make(void **state)
{
	struct run run = long_run(SAME_BYTES);

	run.name = "long, another tag";
	run.backend.etag = "\"another\"";
	run.backend.type = "application/octet-stream";
	cuts_of_body(&run, GET("/file"));
	cuts_of_body(&run, part);
	run.backend.modified = "";
	run.old.modified = "";
	cuts_of_body(&run, GET("/file"));
	assert_int_equal(run.refused + run.aborted, 0);
	run.backend = test_server_init();
	run.backend.length = 300000;
	run.backend.no_ranges = true;
	cuts_of_body(&run, part);
	assert_int_equal(run.refused + run.aborted, 0);
	/* A part with another date may belong to another file. */
	run = long_run(SAME_BYTES);
	run.backend.etag = "\"another\"";
	run.backend.modified = "Mon, 07 Nov 1994 08:49:37 GMT";
	run.only_reason = "validator-differs";
	cuts_of_body(&run, part);
	assert_true(run.aborted > 20 && run.continued == 0);
}

/* A tag made of size and date does not prove the bytes of an incomplete copy. */
static void test_same_tag_other_bytes(void **state)
{
	for (size_t i = 0; i < 4; i++) {
		struct run run = long_run(EITHER_SERVER);
		run.name = "the same tag, other bytes";
		run.only_reason = "content-differs";
		run.backend.content = i < 2 ? 2 : 1;
		run.backend.copied = i < 2 ? 0 : 1010;
		cuts_of_body(&run, i % 2 ? part : GET("/file"));
		assert_true(run.aborted > 20);
		assert_int_equal(run.refused, 0);
	}
	struct run run = run_init(EITHER_SERVER);
	run.name = "the same tag, every cut";
	run.backend.content = 2;
	every_cut(&run, keep_alive);
	assert_true(run.aborted > 3 * 140);
	every_cut(&run, ranged);
	assert_true(run.aborted > 200);
}

/* Bytes were lost far before the cut. The bytes after them are compared. */
static void test_same_tag_behind_a_gap(void **state)
{
	for (size_t after = 0; after < 200000; after += 39999) {
		for (unsigned content = 1; content <= 2; content++) {
			struct test_server old = test_server_init(), backend = test_server_init();
			old.length = backend.length = 300000;
			backend.content = content;
			struct record r =
				record_new(old, (const char *const[]){GET("/file"), NULL});
			struct harness_options options = {.log_max = 1u << 20};
			struct harness_backend side = {test_server_receive, &backend, false};
			struct bytes all = buf_view(&r.stream[JEEBS_TO_CLIENT]);
			struct jeebs_plan plan;
			struct harness h;

			assert_int_equal(harness_init(&h, &http_module, &options), 0);
			to_server(&h, GET("/file"));
			harness_data(&h, JEEBS_TO_CLIENT, bytes_head(all, 30000));
			harness_gap(&h, JEEBS_TO_CLIENT, 100);
			harness_data(&h, JEEBS_TO_CLIENT,
				     bytes_head(bytes_from(all, 30100), after));
			assert_int_equal(harness_reopen(&h), 0);
			harness_plan(&h, &plan);
			assert_string_equal(plan.reason, "range");
			harness_resume(&h, &side, BYTES_NONE, false);
			assert_null(h.violation);
			if (content == 1 || after == 0) {
				assert_int_equal(h.outcome, HARNESS_JOINED);
				assert_int_equal(h.client.n, all.n - 30100 - after);
			} else {
				assert_string_equal(h.abort_reason, "content-differs");
				assert_int_equal(h.client.n, 0);
			}
			harness_deinit(&h);
			test_server_deinit(&backend);
			record_free(&r);
		}
	}
}

/* The client must be able to notice a failure: what it has is a correct beginning. */
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
				size_t delivered = (size_t)span_end(&h.log[JEEBS_TO_CLIENT].span);
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
		cmocka_unit_test(test_backend_with_other_boundary),
		cmocka_unit_test(test_backend_with_other_parts),
		cmocka_unit_test(test_backend_with_other_content),
		cmocka_unit_test(test_backend_with_other_length),
		cmocka_unit_test(test_backend_with_other_type),
		cmocka_unit_test(test_backend_of_other_make),
		cmocka_unit_test(test_long_body_of_other_make),
		cmocka_unit_test(test_same_tag_other_bytes),
		cmocka_unit_test(test_same_tag_behind_a_gap),
		cmocka_unit_test(test_backend_that_fails),
		cmocka_unit_test(test_backend_that_is_no_http),
	};
	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
