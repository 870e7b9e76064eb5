/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is refused, and by which name; frames, detection, checkpoints. */
#include "h2.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "recovery-modules/harness/harness.h"

static uint8_t out[1u << 16];

static struct bytes frame(enum h2_type type, uint8_t flags, uint32_t stream, struct bytes payload)
{
	static uint8_t room[1u << 15];
	struct writer w = WRITER_IN(room);

	h2_put_head(&w, (uint32_t)payload.n, type, flags, stream);
	writer_bytes(&w, payload);
	return writer_view(&w);
}

static const char get[] = "\x82\x86\x84\x41\x01"
			  "a";
static const char ok[] = "\x88\x0f\x0d\x03"
			 "100";

static void says(struct harness *h, uint32_t dir, enum h2_type type, uint8_t flags, uint32_t stream,
		 const char *payload, size_t n)
{
	harness_data(h, dir, frame(type, flags, stream, bytes_of(payload, n)));
}

static void begin(struct harness *h)
{
	assert_int_equal(harness_init(h, &h2_module, NULL), 0);
	harness_data(h, JEEBS_TO_SERVER, bytes_str(H2_PREFACE));
	says(h, JEEBS_TO_SERVER, H2_SETTINGS, 0, 0, "", 0);
	says(h, JEEBS_TO_CLIENT, H2_SETTINGS, 0, 0, "", 0);
}

static void asks(struct harness *h, uint32_t stream)
{
	says(h, JEEBS_TO_SERVER, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, stream, get,
	     sizeof get - 1);
}

static void plans(struct harness *h, uint32_t verdict, const char *reason)
{
	struct jeebs_plan plan;

	harness_plan(h, &plan);
	assert_null(h->violation);
	assert_string_equal(plan.reason, reason);
	assert_int_equal(plan.verdict, verdict);
	assert_true(plan.detail[0] != 0);
	harness_deinit(h);
}

static void test_older(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &h2_module, NULL), 0);
	harness_gap(&h, JEEBS_TO_SERVER, 0);
	plans(&h, JEEBS_REFUSE, "hpack-unknown");
}

static void test_gaps(void **state)
{
	struct harness h;

	begin(&h);
	harness_gap(&h, JEEBS_TO_SERVER, 20);
	plans(&h, JEEBS_REFUSE, "hpack-unknown");

	/* In data, a gap of the server costs the digest. */
	begin(&h);
	asks(&h, 1);
	says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS, 1, ok, sizeof ok - 1);
	harness_data(&h, JEEBS_TO_CLIENT, bytes_head(frame(H2_DATA, 0, 1, bytes_of(out, 100)), 20));
	harness_gap(&h, JEEBS_TO_CLIENT, 50);
	harness_data(&h, JEEBS_TO_CLIENT, bytes_of(out, 10));
	plans(&h, JEEBS_REFUSE, "response-gap");

	/* One beyond the frame costs everything. */
	begin(&h);
	asks(&h, 1);
	says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS, 1, ok, sizeof ok - 1);
	harness_data(&h, JEEBS_TO_CLIENT, bytes_head(frame(H2_DATA, 0, 1, bytes_of(out, 100)), 20));
	harness_gap(&h, JEEBS_TO_CLIENT, 100);
	plans(&h, JEEBS_REFUSE, "hpack-unknown");
}

/* The client's data is lost: the requests that are open cannot be asked again, later ones can. */
static void test_gap_of_an_upload(void **state)
{
	struct harness h;
	struct bytes upload;

	begin(&h);
	says(&h, JEEBS_TO_SERVER, H2_HEADERS, H2_END_HEADERS, 1, get, sizeof get - 1);
	upload = frame(H2_DATA, H2_END_STREAM, 1, bytes_of(out, 100));
	harness_data(&h, JEEBS_TO_SERVER, bytes_head(upload, 40));
	harness_gap(&h, JEEBS_TO_SERVER, 30);
	harness_data(&h, JEEBS_TO_SERVER,
		     bytes_from(frame(H2_DATA, H2_END_STREAM, 1, bytes_of(out, 100)), 70));
	asks(&h, 3);
	says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, ok, 1);
	plans(&h, JEEBS_CONTINUE, "replay");
}

static void test_not_h2(void **state)
{
	struct harness h;

	assert_int_equal(harness_init(&h, &h2_module, NULL), 0);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str("GET / HTTP/1.1\r\n"));
	plans(&h, JEEBS_REFUSE, "not-h2");

	assert_int_equal(harness_init(&h, &h2_module, NULL), 0);
	harness_data(&h, JEEBS_TO_CLIENT, bytes_str("220 mail.test ESMTP\r\n"));
	plans(&h, JEEBS_REFUSE, "not-h2");

	begin(&h);
	says(&h, JEEBS_TO_SERVER, H2_HEADERS, H2_END_HEADERS, 1, "\x80", 1);
	plans(&h, JEEBS_REFUSE, "not-h2");
}

static void test_bounds(void **state)
{
	struct harness h;

	begin(&h);
	says(&h, JEEBS_TO_SERVER, H2_HEADERS, H2_END_HEADERS, 1, "\x3f\xe2\x1f\x82", 4);
	plans(&h, JEEBS_REFUSE, "hpack-table-too-large");

	begin(&h);
	for (int i = 0; i < 2; i++)
		says(&h, JEEBS_TO_SERVER, i ? H2_CONTINUATION : H2_HEADERS, 0, 1, (const char *)out,
		     8000);
	plans(&h, JEEBS_REFUSE, "head-too-long");

	begin(&h);
	for (uint32_t i = 0; i <= H2_STREAMS_MAX; i++)
		asks(&h, 2 * i + 1);
	plans(&h, JEEBS_REFUSE, "too-many-streams");

	/* The body of each stream that may be open is kept. */
	begin(&h);
	for (uint32_t i = 0; i < H2_STREAMS_MAX; i++) {
		asks(&h, 2 * i + 1);
		says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS, 2 * i + 1, ok, sizeof ok - 1);
	}
	plans(&h, JEEBS_CONTINUE, "digest");

	begin(&h);
	for (uint32_t i = 0; i < 9; i++)
		says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS, 1, (const char *)out, 8000);
	plans(&h, JEEBS_REFUSE, "response-unasked");
}

static void test_late_request(void **state)
{
	struct harness h;

	begin(&h);
	says(&h, JEEBS_TO_CLIENT, H2_HEADERS, H2_END_HEADERS | H2_END_STREAM, 1, ok, 1);
	asks(&h, 1);
	plans(&h, JEEBS_CONTINUE, "idle");
}

static void test_cut_frames(void **state)
{
	static const struct {
		enum h2_type type;
		size_t n;
		const char *reason; /* NULL: it goes on */
	} cuts[] = {
		{H2_HEADERS, 3, NULL},
		{H2_HEADERS, 4, "frame-cut"},
		{H2_HEADERS, 9, "head-contradicts"},
		{H2_HEADERS, 12, "head-contradicts"},
		{H2_PING, 2, NULL},
		{H2_PING, 9, "frame-cut"},
		{H2_SETTINGS, 5, NULL},
		{H2_SETTINGS, 15, NULL},
		{H2_SETTINGS, 16, "frame-cut"},
	};

	for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
		struct harness h;
		size_t n = cuts[i].type == H2_PING ? 8 : 12;
		begin(&h);
		asks(&h, 1);
		struct bytes b =
			frame(cuts[i].type, 0, cuts[i].type == H2_HEADERS, bytes_of(out, n));
		harness_data(&h, JEEBS_TO_CLIENT, bytes_head(b, cuts[i].n));
		plans(&h, cuts[i].reason ? JEEBS_REFUSE : JEEBS_CONTINUE,
		      cuts[i].reason ? cuts[i].reason : "replay");
	}
}

static void test_policy(void **state)
{
	const struct jeebs_service none = {.protocol = "h2", .replay = JEEBS_REPLAY_NONE};
	const struct harness_options o = {.service = &none};
	struct harness h;

	assert_int_equal(harness_init(&h, &h2_module, &o), 0);
	harness_data(&h, JEEBS_TO_SERVER, bytes_str(H2_PREFACE));
	says(&h, JEEBS_TO_SERVER, H2_SETTINGS, 0, 0, "", 0);
	asks(&h, 1);
	plans(&h, JEEBS_CONTINUE, "answered-502");
}

/* It takes no more than it must, and answers nothing. */
static void only_settings(void *ctx, struct bytes b, bool eof, struct buf *answer, bool *close,
			  bool *fail)
{
	bool *greeted = ctx;

	if (!*greeted)
		assert_int_equal(buf_bytes(answer, frame(H2_SETTINGS, 0, 0, BYTES_NONE)), 0);
	*greeted = true;
}

/* What the client sends beyond the backup's window is kept, up to a ceiling. */
static void upload_waits(size_t frames, enum harness_outcome outcome)
{
	static const char put[] = "\x02\x03PUT\x86\x84\x41\x01"
				  "a";
	struct buf upload = BUF_INIT(1u << 20);
	bool greeted = false;
	struct harness_backend backend = {.receive = only_settings, .ctx = &greeted};
	struct jeebs_plan plan;
	struct harness h;

	begin(&h);
	says(&h, JEEBS_TO_SERVER, H2_HEADERS, H2_END_HEADERS, 1, put, sizeof put - 1);
	for (size_t i = 0; i < frames; i++)
		assert_int_equal(buf_bytes(&upload, frame(H2_DATA, 0, 1, bytes_of(out, 16000))), 0);
	harness_plan(&h, &plan);
	assert_string_equal(plan.reason, "replay");
	harness_resume(&h, &backend, buf_view(&upload), false);
	assert_null(h.violation);
	assert_int_equal(h.outcome, outcome);
	if (outcome == HARNESS_ABORTED)
		assert_string_equal(h.abort_reason, "too-much-waits");
	buf_deinit(&upload);
	harness_deinit(&h);
}

static void test_upload_waits(void **state)
{
	upload_waits((H2_WINDOW + H2_KEPT_MAX) / 16009, HARNESS_JOINED);
	upload_waits((H2_WINDOW + H2_KEPT_MAX) / 16009 + 2, HARNESS_ABORTED);
}

static void test_detect(void **state)
{
	static const struct {
		const char *up, *down;
		uint32_t want;
	} cases[] = {
		{"", "", JEEBS_DETECT_MAYBE},
		{"PRI * HT", "", JEEBS_DETECT_MAYBE},
		{H2_PREFACE, "", JEEBS_DETECT_YES},
		{H2_PREFACE "more", "", JEEBS_DETECT_YES},
		{"PRI * HTTP/1.1\r\n", "", JEEBS_DETECT_NO},
		{"GET", "", JEEBS_DETECT_NO},
		{"", "220 mail", JEEBS_DETECT_NO},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct bytes up = bytes_str(cases[i].up), down = bytes_str(cases[i].down);
		assert_int_equal(h2_module.detect((struct jeebs_bytes){up.p, up.n},
						  (struct jeebs_bytes){down.p, down.n}),
				 cases[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_older),
		cmocka_unit_test(test_gaps),
		cmocka_unit_test(test_gap_of_an_upload),
		cmocka_unit_test(test_not_h2),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_late_request),
		cmocka_unit_test(test_cut_frames),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_upload_waits),
		cmocka_unit_test(test_detect),
	};
	return cmocka_run_group_tests_name("h2-plan", tests, NULL, NULL);
}
