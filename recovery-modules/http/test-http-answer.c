/* SPDX-License-Identifier: GPL-3.0-or-later */
/* A cut response and one answer of a backend, right or wrong in one detail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "test/record.h"

/* A backend that sends one text, whatever the request. */
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
	const char *answer; /* what the backend sends, ... */
	bool close;         /* ... and whether it closes then */
	bool client_fin;
	const char *client;           /* what the client gets */
	enum harness_outcome outcome; /* the outcome, ... */
	const char *reason;           /* ... and its reason */
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
#define RANGE  "Content-Range: bytes 0-9/10\r\n"
#define FIVE   "Content-Length: 5\r\n"
#define CHUNKS "Transfer-Encoding: chunked\r\n"

#define TEN "Content-Length: 10\r\n"
#define DATE(month)                               \
	"Date: Sat, 21 Nov 2026 03:36:41 GMT\r\n" \
	"Last-Modified: Sun, 06 " month " 1994 08:49:37 GMT\r\n"
#define DATED DATE("Nov")

/*
 * The bytes that the client has are requested again, up to 64 KiB: they are compared, whatever
 * their validator is.
 */
static void test_ranges_that_were_not_asked_for(void **state)
{
	static const struct spoken cases[] = {
		{GET("/"), HALF, PART TAG RANGE TEN "\r\n0123456789", .client = "56789",
		 .outcome = HARNESS_JOINED},
		{GET("/"), HALF, PART TAG RANGE CHUNKS "\r\na\r\n0123456789\r\n0\r\n\r\n",
		 .client = "56789", .outcome = HARNESS_JOINED},
		/* The same tag with other bytes. */
		{GET("/"), HALF, PART TAG RANGE TEN "\r\n0123x56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		/* Five bytes under another tag are no proof. With the same date they are. */
		{GET("/"), HALF, PART "ETag: \"b\"\r\n" RANGE TEN "\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART "ETag: W/\"a\"\r\n" RANGE TEN "\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART RANGE TEN "\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), OK_10 TAG DATED "\r\n01234",
		 PART "ETag: \"b\"\r\n" DATED RANGE TEN "\r\n0123456789", .client = "56789",
		 .outcome = HARNESS_JOINED},
		{GET("/"), OK_10 TAG DATED "\r\n01234",
		 PART "ETag: \"b\"\r\n" DATED RANGE TEN "\r\n0123x56789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), OK_10 TAG DATED "\r\n01234",
		 PART "ETag: \"b\"\r\n" DATE("Jul") RANGE TEN "\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{GET("/"), HALF, PART TAG TEN "\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 5-9/10\r\n" FIVE "\r\n56789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 1-9/10\r\n" FIVE "\r\n123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 0-8/10\r\n" FIVE "\r\n012345678",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG "Content-Range: bytes 0-9/11\r\n" TEN "\r\n0123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{GET("/"), HALF, PART TAG RANGE "Content-Length: 11\r\n\r\n01234567890",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), HALF, "HTTP/1.1 304 Not Modified\r\n" TAG "\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "status-differs"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/* With only a date as validator: a file and its compressed form have the same date. */
static void test_encodings_of_one_date(void **state)
{
#define GZIP "Content-Encoding: gzip\r\n"
	static const struct spoken cases[] = {
		{GET("/"), OK_10 DATED GZIP "\r\n01234", PART DATED GZIP RANGE TEN "\r\n0123456789",
		 .client = "56789", .outcome = HARNESS_JOINED},
		{GET("/"), OK_10 DATED GZIP "\r\n01234", PART DATED RANGE TEN "\r\n0123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "entity-differs"},
		{GET("/"), OK_10 DATED "\r\n01234", PART DATED GZIP RANGE TEN "\r\n0123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "entity-differs"},
		/* The type may be missing from the response: RFC 9110 section 15.3.7. */
		{GET("/"), OK_10 DATED "Content-Type: a/b\r\n\r\n01234",
		 PART DATED RANGE TEN "\r\n0123456789", .client = "56789",
		 .outcome = HARNESS_JOINED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/*
 * Each server software has its own media types. The same length and the same bytes are the same
 * content.
 */
static void test_types_of_other_makes(void **state)
{
#define TYPE(t)  "Content-Type: " t "\r\n"
#define WHOLE(t) "HTTP/1.1 200 OK\r\n" TYPE(t)
#define JOINS    .client = "56789", .outcome = HARNESS_JOINED
#define DIFFERS  .client = "", .outcome = HARNESS_ABORTED, .reason = "entity-differs"
	static const struct spoken cases[] = {
		{GET("/"), OK_10 TYPE("text/plain") "\r\n01234",
		 WHOLE("text/html") TEN "\r\n0123456789", JOINS},
		{GET("/"), OK_10 TYPE("text/plain") "\r\n01234",
		 WHOLE("text/html") TEN "\r\n0123x56789", .client = "", .outcome = HARNESS_ABORTED,
		 .reason = "content-differs"},
		/* Another length shows only at the end. */
		{GET("/"), OK_10 TYPE("text/plain") "\r\n01234",
		 WHOLE("text/html") CHUNKS "\r\na\r\n0123456789\r\n0\r\n\r\n", DIFFERS},
		{GET("/"), OK_10 TYPE("text/plain; charset=utf-8") "\r\n01234",
		 WHOLE("Text/Plain") CHUNKS "\r\na\r\n0123456789\r\n0\r\n\r\n", JOINS},
		{GET("/"), OK_10 TYPE("text/plain;charset=\"UTF-8\"") "\r\n01234",
		 WHOLE("text/plain; Charset=utf-8") CHUNKS "\r\na\r\n0123456789\r\n0\r\n\r\n",
		 JOINS},
		/* Text in another character set may begin with the same bytes. */
		{GET("/"), OK_10 TYPE("text/plain; charset=utf-8") "\r\n01234",
		 WHOLE("text/plain; charset=latin1") TEN "\r\n0123456789", DIFFERS},
		/* A boundary is a part of the body. */
		{GET("/"), OK_10 TYPE("multipart/mixed; boundary=a") "\r\n",
		 WHOLE("multipart/mixed; boundary=b") TEN "\r\n0123456789", DIFFERS},
		{GET("/"), OK_10 GZIP TYPE("text/plain") "\r\n01234",
		 WHOLE("text/plain") TEN "\r\n0123456789", DIFFERS},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/* The client has three bytes of the first of two parts. The backend uses another boundary. */
static void test_several_ranges(void **state)
{
#define ASK_PARTS "GET / HTTP/1.1\r\nRange: bytes=0-4,9-9\r\n\r\n"
#define PARTS(boundary, n)                                                                         \
	PART TAG "Content-Type: multipart/byteranges; boundary=" boundary "\r\nContent-Length: " n \
		 "\r\n\r\n"
#define PART_A    "\r\nContent-type: a/b\r\nContent-range: bytes 0-4/10\r\n\r\n"
#define PART_B    "\r\nContent-type: a/b\r\nContent-range: bytes 9-9/10\r\n\r\n"
#define HAS_PARTS PARTS("A", "129") "\r\n--A" PART_A "012"
	static const struct spoken cases[] = {
		{ASK_PARTS, HAS_PARTS,
		 PARTS("other", "141") "\r\n--other" PART_A "01234\r\n--other" PART_B
				       "9\r\n--other--\r\n",
		 .client = "34\r\n--A" PART_B "9\r\n--A--\r\n", .outcome = HARNESS_JOINED},
		/* The fields come in another order, with further ones, and no empty line before
		 * the first part. */
		{ASK_PARTS, HAS_PARTS,
		 PARTS("o", "139") "--o\r\nX: y\r\nContent-Range: bytes "
				   "0-4/10\r\ncontent-type:a/b\r\n\r\n"
				   "01234\r\n--o" PART_B "9\r\n--o--\r\nignored",
		 .close = true, .client = "34\r\n--A" PART_B "9\r\n--A--\r\n",
		 .outcome = HARNESS_FINISHED},
		{ASK_PARTS, HAS_PARTS,
		 PARTS("o", "129") "\r\n--o" PART_A "01x34\r\n--o" PART_B "9\r\n--o--\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		/* Another type in a part: the client has a different one. */
		{ASK_PARTS, HAS_PARTS,
		 PARTS("o", "129") "\r\n--o\r\nContent-Type: a/c\r\nContent-Range: bytes "
				   "0-4/10\r\n\r\n01234",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		/* The last part is missing: the last byte of the whole is not sent. */
		{ASK_PARTS, HAS_PARTS, PARTS("o", "71") "\r\n--o" PART_A "01234\r\n--o--\r\n",
		 .client = "34\r\n--A--\r\n", .outcome = HARNESS_ABORTED,
		 .reason = "length-differs"},
		{ASK_PARTS, HAS_PARTS, PARTS("o", "129") "nonsense\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{ASK_PARTS, HAS_PARTS, PARTS("o", "129") "--o\r\nContent-Type: a/b\r\n\r\n01234",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{ASK_PARTS, HAS_PARTS,
		 PARTS("o", "129") "--o\r\nContent-Range: bytes 4-0/10\r\n\r\n01234", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "range-differs"},
		{ASK_PARTS, HAS_PARTS, PARTS("o", "129") "\r\n--o" PART_A "01234 --o",
		 .client = "34", .outcome = HARNESS_JOINED},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/* The client requested bytes 2 to 6 and has two of them. The backend does not support ranges. */
static void test_all_for_a_part(void **state)
{
#define ASK_PART        "GET / HTTP/1.1\r\nHost: a\r\nRange: bytes=2-6\r\n\r\n"
#define HAS_PART(total) PART TAG FIVE "Content-Range: bytes 2-6/" total "\r\n\r\n23"
#define ALL             "HTTP/1.1 200 OK\r\n" TAG
#define PART_DATED(d)   PART TAG d FIVE "Content-Range: bytes 2-6/10\r\n\r\n"
#define OTHER(d)        "HTTP/1.1 200 OK\r\nETag: \"b\"\r\n" d TEN "\r\n"
	static const struct spoken cases[] = {
		{ASK_PART, HAS_PART("10"), ALL "Content-Length: 10\r\n\r\n0123456789",
		 .client = "456", .outcome = HARNESS_JOINED},
		/* Further responses on the connection follow the client's part. */
		{ASK_PART GET("/"), HAS_PART("10"),
		 ALL "Content-Length: 10\r\n\r\n0123456789" OK_10 "\r\nabcdefghij",
		 .client = "456" OK_10 "\r\nabcdefghij", .outcome = HARNESS_JOINED},
		{ASK_PART, HAS_PART("*"), ALL "Content-Length: 10\r\n\r\n0123456789",
		 .client = "456", .outcome = HARNESS_JOINED},
		/* The part ends with the content. */
		{ASK_PART, HAS_PART("7"), ALL "Content-Length: 7\r\n\r\n0123456" OK_10 "\r\n",
		 .client = "456" OK_10 "\r\n", .outcome = HARNESS_JOINED},
		/* In other framings the length shows only at the end: one byte is held back for
		 * it. */
		{ASK_PART, HAS_PART("10"), ALL CHUNKS "\r\n7\r\n0123456\r\n3\r\n789\r\n0\r\n\r\n",
		 .client = "456", .outcome = HARNESS_JOINED},
		{ASK_PART, HAS_PART("10"), ALL CHUNKS "\r\n7\r\n0123456\r\n2\r\n78\r\n0\r\n\r\n",
		 .client = "45", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{ASK_PART, HAS_PART("10"), ALL "\r\n0123456789", .close = true, .client = "456",
		 .outcome = HARNESS_FINISHED},
		{ASK_PART, HAS_PART("10"), ALL "\r\n01234567", .close = true, .client = "45",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{ASK_PART, HAS_PART("10"), ALL "\r\n01", .close = true, .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		/* Another length, another validator, other bytes. */
		{ASK_PART, HAS_PART("10"), ALL "Content-Length: 11\r\n\r\n0123456789x",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{ASK_PART, HAS_PART("*"), ALL "Content-Length: 6\r\n\r\n012345", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{ASK_PART, HAS_PART("10"),
		 "HTTP/1.1 200 OK\r\nETag: \"b\"\r\nContent-Length: 10\r\n\r\n0123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{ASK_PART, HAS_PART("10"),
		 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		{ASK_PART, HAS_PART("10"), ALL "Content-Length: 10\r\n\r\n0124456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{ASK_PART, HAS_PART("10"), ALL GZIP "Content-Length: 10\r\n\r\n0123456789",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "entity-differs"},
		{ASK_PART, HAS_PART("10"), ALL TYPE("a/b") "Content-Length: 10\r\n\r\n0123456789",
		 .client = "456", .outcome = HARNESS_JOINED},
		/* The backend is other software with its own tags. Their dates are the same, or
		 * differ. */
		{ASK_PART, PART_DATED(DATED) "23", OTHER(DATED) "0123456789", .client = "456",
		 .outcome = HARNESS_JOINED},
		{ASK_PART, PART_DATED(DATED) "23", OTHER(DATED) "0124456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{ASK_PART, PART_DATED(DATED) "23", OTHER(DATE("Jul")) "0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
		/* The client has nothing of the part: its own If-Range names the old tag. */
		{ASK_PART, PART_DATED(DATED), OTHER(DATED) "0123456789", .client = "23456",
		 .outcome = HARNESS_JOINED},
		{ASK_PART, PART_DATED(""), OTHER("") "0123456789", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "validator-differs"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
		check_spoken(&cases[i]);
}

/* The capture lost some of the delivered bytes: only the same strong tag makes up for them. */
static void test_whole_behind_a_gap(void **state)
{
	static const struct {
		const char *answer, *client, *reason;
	} cases[] = {
		{ALL "Content-Length: 10\r\n\r\n0123456789", "6789", NULL},
		{ALL CHUNKS "\r\na\r\n0123456789\r\n0\r\n\r\n", "6789", NULL},
		{"HTTP/1.1 200 OK\r\nETag: \"b\"\r\nContent-Length: 10\r\n\r\n0123456789", "",
		 "content-unproven"},
		{"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789", "", "content-unproven"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct speaker speaker = {cases[i].answer, false, false};
		struct harness_backend side = {speak, &speaker, false};
		struct jeebs_plan plan;
		struct harness h;

		assert_int_equal(harness_init(&h, &http_module, NULL), 0);
		to_server(&h, GET("/"));
		to_client(&h, HALF);
		harness_gap(&h, JEEBS_TO_CLIENT, 1);
		harness_plan(&h, &plan);
		assert_string_equal(plan.reason, "range");
		harness_resume(&h, &side, BYTES_NONE, false);
		assert_true(bytes_eq(buf_view(&h.client), bytes_str(cases[i].client)));
		if (cases[i].reason)
			assert_string_equal(h.abort_reason, cases[i].reason);
		else
			assert_int_equal(h.outcome, HARNESS_JOINED);
		assert_null(h.violation);
		harness_deinit(&h);
	}
}

/* Chunk extensions and trailer fields are cut at any byte. Only the same text completes them. */
static void test_free_text_in_chunks(void **state)
{
#define CHUNKED "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n"
	static const char whole[] =
		CHUNKED "3;a=b;c=\"d\"\r\nabc\r\n2 ; e\r\nde\r\n0;f\r\nG: h\r\nI: j\r\n\r\n";
	static const struct spoken others[] = {
		/* Another extension, or none. Extensions before the cut do not matter. */
		{GET("/"), CHUNKED "3;a=", CHUNKED "3;b=c\r\nabc\r\n0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "3;a=", CHUNKED "3;a\r\nabc\r\n0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "3;a=", CHUNKED "4;a=b\r\nabcd\r\n0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "0;a=", CHUNKED "0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "3;a=b\r\nab", CHUNKED "3;c\r\nabc\r\n0\r\n\r\n",
		 .client = "c\r\n0\r\n\r\n", .outcome = HARNESS_JOINED},
		/* Other fields: nobody knows whether more of them follow. */
		{GET("/"), CHUNKED "0\r\nA: b\r\n", CHUNKED "0\r\nA: c\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "0\r\nA: b\r\n", CHUNKED "0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), CHUNKED "0\r\nA: b", CHUNKED "0\r\nA: a\r\nA: b\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		/* Only the LF of the last line end is missing. */
		{GET("/"), CHUNKED "0\r\nA: b\r\n\r", CHUNKED "0\r\nA: c\r\n\r\n", .client = "\n",
		 .outcome = HARNESS_JOINED},
	};
	char delivered[sizeof whole];

	for (size_t n = strlen(CHUNKED); n + 1 < sizeof whole; n++) {
		memcpy(delivered, whole, n);
		delivered[n] = 0;
		const struct spoken c = {GET("/"), delivered, whole, .client = whole + n,
					 .outcome = HARNESS_JOINED};
		check_spoken(&c);
	}
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		check_spoken(&others[i]);
}

static void test_no_complete_body_of_another_length(void **state)
{
	static const struct spoken cases[] = {
		/* The body is too long: whatever the chunks are, the last byte is held back. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\na\r\n0123456789\r\n1\r\nx\r\n0\r\n\r\n",
		 .client = "5678", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		/* The body is too short, by its chunks and by its end. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n9\r\n012345678\r\n0\r\n\r\n", .client = "5678",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 200 OK\r\n\r\n012345678", .close = true,
		 .client = "5678", .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		{GET("/"), OK_10 "\r\n01234", "HTTP/1.1 200 OK\r\n\r\n0123456789", .close = true,
		 .client = "56789", .outcome = HARNESS_FINISHED},
		/* The body is shorter than what was delivered. */
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\n" CHUNKS "\r\n3\r\n012\r\n0\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "content-differs"},
		{GET("/"), OK_10 "\r\n01234",
		 "HTTP/1.1 200 OK\r\nContent-Length: 11\r\n\r\n0123456789x", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "length-differs"},
		/* The backend ends before its head does. */
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
		/* The old server would have closed. The backend keeps its side open and sends
		 * more. */
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
		/* The backend's date is not of the one form that can complete it. */
		{GET("/"), "HTTP/1.1 200 OK\r\nDate: Sat, 21 N",
		 "HTTP/1.1 200 OK\r\nDate: 0\r\n\r\n", .client = "", .outcome = HARNESS_ABORTED,
		 .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nDate: Sat, 21 N",
		 "HTTP/1.1 200 OK\r\nAge: 0\r\n" DAY "\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		/* Fields that the client has are not sent again, wherever the backend has them. */
		{GET("/"), "HTTP/1.1 200 OK\r\nServer: a\r\n" DAY "Allow: x\r\n",
		 "HTTP/1.1 200 OK\r\n" OTHER_DAY "allow: x\r\nVary: y\r\nServer: b\r\n\r\n",
		 .client = "Vary: y\r\n\r\n", .outcome = HARNESS_JOINED},
		/* Only the LF of a field line is missing. */
		{GET("/"), "HTTP/1.1 200 OK\r\nServer: a\r",
		 "HTTP/1.1 200 OK\r\nServer: bcd\r\nA: b\r\n\r\n", .client = "\nA: b\r\n\r\n",
		 .outcome = HARNESS_JOINED},
		{GET("/"), "HTTP/1.1 200 OK\r\nA: b\r\n\r", "HTTP/1.1 200 OK\r\nA: b\r\n\r\n",
		 .client = "\n", .outcome = HARNESS_JOINED},
		/* A field line of the old server is missing, differs, or is shorter than
		 * delivered. */
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: x\r\n", "HTTP/1.1 200 OK\r\nVary: y\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: x\r\n", "HTTP/1.1 200 OK\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 200 OK\r\nAllow: abc", "HTTP/1.1 200 OK\r\nAllow: ab\r\n\r\n",
		 .client = "", .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		{GET("/"), "HTTP/1.1 20", "HTTP/1.1 404 No\r\n\r\n", .client = "",
		 .outcome = HARNESS_ABORTED, .reason = "head-contradicts"},
		/* The client has an informational response, or the backend adds one. */
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

/* More volatile fields than can be remembered: the last ones are compared as all others are. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ranges_that_were_not_asked_for),
		cmocka_unit_test(test_encodings_of_one_date),
		cmocka_unit_test(test_types_of_other_makes),
		cmocka_unit_test(test_several_ranges),
		cmocka_unit_test(test_all_for_a_part),
		cmocka_unit_test(test_free_text_in_chunks),
		cmocka_unit_test(test_whole_behind_a_gap),
		cmocka_unit_test(test_no_complete_body_of_another_length),
		cmocka_unit_test(test_the_end_of_the_connection_is_kept),
		cmocka_unit_test(test_heads_are_completed_or_contradicted),
		cmocka_unit_test(test_names_ceiling),
	};
	return cmocka_run_group_tests_name("http-answer", tests, NULL, NULL);
}
