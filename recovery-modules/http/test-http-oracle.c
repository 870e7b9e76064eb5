/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The oracle is shown conversations and asked for parts of them. Each question is put
 * whole and in pieces of one, two and seven bytes: the answer must be the same.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http-oracle.h"

#define GET(path)   "GET " path " HTTP/1.1\r\nHost: a\r\n\r\n"
#define PART(range) "GET /f HTTP/1.1\r\nHost: a\r\nRange: " range "\r\n\r\n"
#define FILE_HEAD                                                                        \
	"HTTP/1.1 200 OK\r\nServer: s\r\nContent-Length: 10\r\nAccept-Ranges: bytes\r\n" \
	"ETag: \"e\"\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n"
#define FILE_200 FILE_HEAD "0123456789"
#define FILE_206(range, n, body)                                                        \
	"HTTP/1.1 206 Partial Content\r\nServer: s\r\nContent-Length: " n               \
	"\r\nContent-Range: bytes " range "\r\nAccept-Ranges: bytes\r\nETag: \"e\"\r\n" \
	"Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n" body

/* One captured item. */
struct seen {
	char what; /* 'S' 'C' bytes to server, to client; 's' 'c' a gap as long as the text; 'E' 'F'
		    * FIN of the client, of the server; 0 ends */
	const char *text;
};

static int take(void *ctx, struct jeebs_bytes b)
{
	return buf_append(ctx, b.p, b.n);
}

static uint64_t unasked; /* by the oracle that was taught last */

static void *learn(const struct seen *seen)
{
	uint64_t end[2] = {0, 0};
	void *o = http_oracle.open(NULL);

	assert_non_null(o);
	for (; seen->what; seen++) {
		uint32_t dir = seen->what == 'C' || seen->what == 'c' || seen->what == 'F';
		size_t n = seen->text ? strlen(seen->text) : 0;
		struct jeebs_bytes b = {(const uint8_t *)seen->text, n};
		if (seen->what == 'S' || seen->what == 'C')
			assert_int_equal(http_oracle.data(o, dir, end[dir], b), 0);
		else if (seen->what == 's' || seen->what == 'c')
			assert_int_equal(http_oracle.gap(o, dir, end[dir], end[dir] + n), 0);
		else
			assert_int_equal(http_oracle.fin(o, dir, end[dir]), 0);
		end[dir] += n;
	}
	assert_int_equal(http_oracle.learned(o, &unasked), 0);
	return o;
}

static uint32_t ask(void *o, uint64_t cut, const char *text, bool eof, size_t chunk,
		    struct buf *out)
{
	const struct jeebs_cut at = {.to_client_end = cut};
	void *c = http_oracle.connect(o, &at);
	size_t n = strlen(text);
	uint32_t state = 99;

	assert_non_null(c);
	for (size_t i = 0; i < n; i += chunk) {
		size_t k = n - i < chunk ? n - i : chunk;
		/* The copy has the exact size, so that ASan sees the edge. */
		uint8_t *copy = malloc(k);
		memcpy(copy, text + i, k);
		assert_int_equal(
			http_oracle.receive(c, (struct jeebs_bytes){copy, k}, 0, take, out, &state),
			0);
		free(copy);
	}
	if (eof)
		assert_int_equal(
			http_oracle.receive(c, (struct jeebs_bytes){NULL, 0}, 1, take, out, &state),
			0);
	http_oracle.disconnect(c);
	return state;
}

/* After @cut bytes of the server, @question gets exactly @answer. Then the oracle is in @state. */
static void check(const struct seen *seen, uint64_t cut, const char *question, const char *answer,
		  uint32_t state)
{
	static const size_t chunks[] = {1000000, 1, 2, 7};
	void *o = learn(seen);

	for (size_t i = 0; i < sizeof chunks / sizeof chunks[0]; i++) {
		struct buf out = BUF_INIT(1u << 20);
		uint32_t got = ask(o, cut, question, false, chunks[i], &out);
		buf_append(&out, "", 1);
		assert_string_equal((const char *)out.p, answer);
		assert_int_equal(got, state);
		buf_deinit(&out);
	}
	http_oracle.close(o);
}

static void test_the_same_again(void **state)
{
	const struct seen seen[] = {{'S', GET("/a")},
				    {'C', "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"},
				    {'S', GET("/b")},
				    {'C', "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nno!"},
				    {'S', GET("/a")},
				    {'C', "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho"},
				    {0}};
#define A1 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
#define B  "HTTP/1.1 404 No\r\nContent-Length: 3\r\n\r\nno!"
#define A2 "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nho"
	check(seen, 0, GET("/a"), A1, JEEBS_ORACLE_OPEN);
	check(seen, 0, GET("/a") GET("/b") GET("/a"), A1 B A2, JEEBS_ORACLE_OPEN);
	/* One byte of the first answer is missing: the question belongs to the first answer. */
	check(seen, sizeof A1 - 2, GET("/a"), A1, JEEBS_ORACLE_OPEN);
	check(seen, sizeof A1 - 1, GET("/a"), A2, JEEBS_ORACLE_OPEN);
	check(seen, sizeof A1 - 1, GET("/b") GET("/a"), B A2, JEEBS_ORACLE_OPEN);
	/* The request comes more often than captured. */
	check(seen, 0, GET("/b") GET("/b"), B B, JEEBS_ORACLE_OPEN);
	check(seen, 0, GET("/c"), "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, GET("/b") GET("/c") GET("/a"), B, JEEBS_ORACLE_UNKNOWN);
	/* Another Host may get another answer. */
	check(seen, 0, "GET /a HTTP/1.1\r\nHost: b\r\n\r\n", "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, "\r\n\n" GET("/a"), A1, JEEBS_ORACLE_OPEN);
	check(seen, 0, "GET /a HTTP/1.1\r\nHost: a\r\n", "", JEEBS_ORACLE_OPEN);
	check(seen, 0, "nonsense\r\n\r\n", "", JEEBS_ORACLE_UNKNOWN);
}

#define COUNTED "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc"
#define NEXT    "HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n!"

static void test_each_framing(void **state)
{
	static const struct {
		const char *ask, *answer;
		bool ends; /* ends with the connection */
	} cases[] = {
		{GET("/"), COUNTED},
		{GET("/"), "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"},
		{GET("/"),
		 "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
		{GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n"
			   "A;x=\"y\"\r\n0\r\n\r\n0\r\n\r\n\r\n00\r\nX: y\r\nZ: \r\n\r\n"},
		{GET("/"), "HTTP/1.1 204 No\r\n\r\n"},
		{GET("/"), "HTTP/1.1 304 No\r\nContent-Length: 7\r\n\r\n"},
		{"HEAD / HTTP/1.1\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"},
		{GET("/"), "HTTP/1.1 103 E\r\nA: b\r\n\r\nHTTP/1.1 102 P\r\n\r\n" COUNTED},
		{"POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nhi", COUNTED},
		{"PUT / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n",
		 COUNTED},
		{GET("/"),
		 "HTTP/1.0 200 OK\r\nConnection: keep-alive\r\nContent-Length: 1\r\n\r\nx"},
		{GET("/"), "HTTP/1.1 200 OK\nContent-Length: 1\n\nx"},
		{GET("/"), "HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges; boundary=B\r\n"
			   "Content-Length: 12\r\n\r\n--B\r\n\r\nx--B-"},
		{GET("/"), "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx", true},
		{GET("/"), "HTTP/1.1 200 OK\r\nConnection: a, Close\r\nContent-Length: 1\r\n\r\nx",
		 true},
		{GET("/"), "HTTP/1.1 200 OK\r\n\r\nuntil the end", true},
		{GET("/"), "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\nuntil the end", true},
		{"GET / HTTP/1.1\r\nConnection: close\r\n\r\n", COUNTED, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		const struct seen last[] = {
			{'S', cases[i].ask}, {'C', cases[i].answer}, {'F'}, {0}};
		const struct seen more[] = {{'S', cases[i].ask},
					    {'C', cases[i].answer},
					    {'S', GET("/next")},
					    {'C', NEXT},
					    {0}};
		char question[512], answer[512];
		check(last, 0, cases[i].ask, cases[i].answer,
		      cases[i].ends ? JEEBS_ORACLE_CLOSE : JEEBS_ORACLE_OPEN);
		snprintf(question, sizeof question, "%s%s", cases[i].ask, GET("/next"));
		snprintf(answer, sizeof answer, "%s%s", cases[i].answer, NEXT);
		if (cases[i].ends) /* nothing is answered behind the end */
			check(last, 0, question, cases[i].answer, JEEBS_ORACLE_CLOSE);
		else
			check(more, 0, question, answer, JEEBS_ORACLE_OPEN);
	}
}

static void test_range_is_cut_from_what_was_captured(void **state)
{
	const struct seen seen[] = {{'S', GET("/f")}, {'C', FILE_200}, {0}};
	static const struct {
		const char *fields, *answer;
	} cases[] = {
		{"Range: bytes=4-9\r\n", FILE_206("4-9/10", "6", "456789")},
		{"Range: bytes=4-\r\n", FILE_206("4-9/10", "6", "456789")},
		{"Range: bytes=9-99\r\n", FILE_206("9-9/10", "1", "9")},
		{"Range: bytes=-3\r\n", FILE_206("7-9/10", "3", "789")},
		{"range:BYTES=0-0\r\n", FILE_206("0-0/10", "1", "0")},
		{"Range: bytes=4-9\r\nIf-Range: \"e\"\r\n", FILE_206("4-9/10", "6", "456789")},
		{"Range: bytes=4-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:37 GMT\r\n",
		 FILE_206("4-9/10", "6", "456789")},
		/* With another validator, or a weak one, the whole content is the answer. */
		{"Range: bytes=4-9\r\nIf-Range: \"f\"\r\n", FILE_200},
		{"Range: bytes=4-9\r\nIf-Range: W/\"e\"\r\n", FILE_200},
		{"Range: bytes=4-9\r\nIf-Range: Sun, 06 Nov 1994 08:49:38 GMT\r\n", FILE_200},
		/* No valid range. */
		{"Range: lines=4-9\r\n", FILE_200},
		{"Range: bytes=9-4\r\n", FILE_200},
		{"Range: bytes=x\r\n", FILE_200},
		{"If-Range: \"f\"\r\n", FILE_200},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char question[256];
		snprintf(question, sizeof question, "GET /f HTTP/1.1\r\nHost: a\r\n%s\r\n",
			 cases[i].fields);
		check(seen, 0, question, cases[i].answer, JEEBS_ORACLE_OPEN);
		/* The order of the fields does not matter. */
		snprintf(question, sizeof question, "GET /f HTTP/1.1\r\n%sHost: a\r\n\r\n",
			 cases[i].fields);
		check(seen, 60, question, cases[i].answer, JEEBS_ORACLE_OPEN);
	}
	check(seen, 0, PART("bytes=10-"),
	      "HTTP/1.1 416 Range Not Satisfiable\r\nServer: s\r\nContent-Length: 0\r\n"
	      "Content-Range: bytes */10\r\nAccept-Ranges: bytes\r\nETag: \"e\"\r\n"
	      "Last-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n\r\n",
	      JEEBS_ORACLE_OPEN);
	/* The server chooses the boundary of several parts, so it is unknown. */
	check(seen, 0, PART("bytes=1-2,4-5"), "", JEEBS_ORACLE_UNKNOWN);
}

#define SEVERAL(boundary, n)                                                       \
	"HTTP/1.1 206 P\r\nContent-Type: multipart/byteranges; boundary=" boundary \
	"\r\nContent-Length: " n "\r\n\r\n\r\n--" boundary "\r\n0--12\r\n--" boundary "--\r\n"

/* From the first byte of the body on, since the box already has the head. */
static void test_several_ranges(void **state)
{
	const char *ask = PART("bytes=0-0,5-5"), *numbered = SEVERAL("1209", "27"),
		   *other = SEVERAL("1200", "27"), *constant = SEVERAL("fkj49sn38dcn3", "45");
	const struct seen nginx[] = {{'S', ask}, {'C', numbered}, {0, NULL}};
	const struct seen lighttpd[] = {{'S', ask}, {'C', constant}, {0, NULL}};
	const size_t n = strlen(numbered);

	check(nginx, 0, ask, numbered, JEEBS_ORACLE_OPEN);
	check(nginx, n - 28, ask, numbered, JEEBS_ORACLE_OPEN);
	check(nginx, n - 27, ask, other, JEEBS_ORACLE_OPEN);
	check(nginx, n - 1, ask, other, JEEBS_ORACLE_OPEN);
	check(lighttpd, strlen(constant) - 20, ask, constant, JEEBS_ORACLE_OPEN);
}

static void test_range_where_it_means_nothing(void **state)
{
	static const struct {
		const char *method, *answer;
	} cases[] = {
		{"HEAD", FILE_HEAD},
		{"GET", "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n0123456789"},
		{"GET",
		 "HTTP/1.1 200 OK\r\nContent-Length: 10\r\nAccept-Ranges: none\r\n\r\n0123456789"},
		{"GET",
		 "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nTransfer-Encoding: chunked\r\n\r\n"
		 "2\r\nab\r\n0\r\n\r\n"},
		{"GET", "HTTP/1.1 404 No\r\nAccept-Ranges: bytes\r\nContent-Length: 2\r\n\r\nno"},
		{"GET", "HTTP/1.1 304 No\r\n\r\n"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		char plain[64], ranged[128];
		snprintf(plain, sizeof plain, "%s /f HTTP/1.1\r\nHost: a\r\n\r\n", cases[i].method);
		snprintf(ranged, sizeof ranged,
			 "%s /f HTTP/1.1\r\nHost: a\r\nRange: bytes=1-\r\n\r\n", cases[i].method);
		const struct seen seen[] = {{'S', plain}, {'C', cases[i].answer}, {0}};
		check(seen, 0, ranged, cases[i].answer, JEEBS_ORACLE_OPEN);
	}
}

#define CLIENT_206 FILE_206("3-7/10", "5", "34567")

static void test_range_of_the_client(void **state)
{
	const struct seen seen[] = {{'S', PART("bytes=3-7")}, {'C', CLIENT_206}, {0}};
	const struct seen nameless[] = {
		{'S', PART("bytes=3-7")},
		{'C',
		 "HTTP/1.1 206 P\r\nContent-Range: bytes 3-7/*\r\nContent-Length: 5\r\n\r\n34567"},
		{0}};
	const struct seen beyond[] = {{'S', PART("bytes=30-")},
				      {'C', "HTTP/1.1 416 No\r\nContent-Length: 0\r\n\r\n"},
				      {0}};
	const struct seen ignored[] = {{'S', PART("bytes=3-7")}, {'C', FILE_200}, {0}};

	check(seen, 0, PART("bytes=3-7"), CLIENT_206, JEEBS_ORACLE_OPEN);
	check(seen, 0, PART("bytes=5-7"), FILE_206("5-7/10", "3", "567"), JEEBS_ORACLE_OPEN);
	check(seen, 0, "GET /f HTTP/1.1\r\nHost: a\r\nRange: bytes=5-7\r\nIf-Range: \"e\"\r\n\r\n",
	      FILE_206("5-7/10", "3", "567"), JEEBS_ORACLE_OPEN);
	/* Outside the part, or the whole: never captured. */
	check(seen, 0, PART("bytes=5-8"), "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, PART("bytes=5-"), "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, PART("bytes=2-5"), "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, GET("/f"), "", JEEBS_ORACLE_UNKNOWN);
	check(seen, 0, "GET /f HTTP/1.1\r\nHost: a\r\nRange: bytes=5-7\r\nIf-Range: \"f\"\r\n\r\n",
	      "", JEEBS_ORACLE_UNKNOWN);
	check(nameless, 0, PART("bytes=5-6"),
	      "HTTP/1.1 206 Partial Content\r\nContent-Length: 2\r\nContent-Range: bytes "
	      "5-6/*\r\n\r\n56",
	      JEEBS_ORACLE_OPEN);
	check(nameless, 0, PART("bytes=-2"), "", JEEBS_ORACLE_UNKNOWN);
	check(beyond, 0, PART("bytes=30-"), beyond[1].text, JEEBS_ORACLE_OPEN);
	check(beyond, 0, PART("bytes=20-"), "", JEEBS_ORACLE_UNKNOWN);
	check(ignored, 0, PART("bytes=5-7"), FILE_206("5-7/10", "3", "567"), JEEBS_ORACLE_OPEN);
}

static void test_what_the_capture_lost(void **state)
{
	/* A loss in a body: the bytes before it are known, and so is what follows the exchange. */
	const struct seen body[] = {{'S', GET("/f")},
				    {'C', FILE_HEAD "012"},
				    {'c', "345"},
				    {'C', "6789"},
				    {'S', GET("/next")},
				    {'C', NEXT},
				    {0}};
	check(body, 0, GET("/f"), FILE_HEAD "012", JEEBS_ORACLE_UNKNOWN);
	check(body, 0, GET("/next"), NEXT, JEEBS_ORACLE_OPEN);
	check(body, 0, PART("bytes=6-"), FILE_206("6-9/10", "4", "6789"), JEEBS_ORACLE_OPEN);
	check(body, 0, PART("bytes=2-"), FILE_206("2-9/10", "8", "2"), JEEBS_ORACLE_UNKNOWN);
	/* A loss in a head, among chunks, or at the very beginning. */
	const struct seen head[] = {{'S', GET("/")},
				    {'C', "HTTP/1.1 200 OK\r\nA: "},
				    {'c', "xx"},
				    {'C', "\r\n\r\n"},
				    {0}};
	check(head, 0, GET("/"), "HTTP/1.1 200 OK\r\nA: ", JEEBS_ORACLE_UNKNOWN);
	const struct seen chunk[] = {
		{'S', GET("/")},
		{'C', "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\na"},
		{'c', "b"},
		{'C', "cde\r\n0\r\n\r\n"},
		{'S', GET("/next")},
		{'C', NEXT},
		{0}};
	check(chunk, 0, GET("/"), chunk[1].text, JEEBS_ORACLE_UNKNOWN);
	const struct seen ask[] = {{'S', GET("/")}, {'C', NEXT},
				   {'s', "GET "},   {'S', "/ HTTP/1.1\r\n\r\n"},
				   {'C', NEXT},     {0}};
	check(ask, 0, GET("/"), NEXT, JEEBS_ORACLE_OPEN);
	check(ask, 0, "GET /x HTTP/1.1\r\n\r\n", "", JEEBS_ORACLE_UNKNOWN);
	/* A client that waits for 100 Continue gets it. */
	const struct seen expect[] = {{'S', "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\n"},
				      {'C', "HTTP/1.1 100 Continue\r\n\r\n"},
				      {'S', "abc"},
				      {0}};
	check(expect, 0, expect[0].text, expect[1].text, JEEBS_ORACLE_OPEN);
	check(expect, 0, "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", expect[1].text,
	      JEEBS_ORACLE_UNKNOWN);
	/* A loss in the body of a request: its content is unknown. */
	const struct seen upload[] = {{'S', "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\na"},
				      {'s', "b"},
				      {'S', "c" GET("/next")},
				      {'C', NEXT NEXT},
				      {0}};
	check(upload, 0, "PUT / HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "",
	      JEEBS_ORACLE_UNKNOWN);
	check(upload, sizeof NEXT - 1, GET("/next"), NEXT, JEEBS_ORACLE_OPEN);
}

static void test_where_the_capture_ends(void **state)
{
	const struct seen body[] = {{'S', GET("/f")}, {'C', FILE_HEAD "012"}, {0}};
	const struct seen truncated[] = {{'S', GET("/f")}, {'C', FILE_HEAD "012"}, {'F'}, {0}};
	const struct seen head[] = {
		{'S', GET("/")}, {'C', "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 2"}, {0}};
	const struct seen until[] = {{'S', GET("/")}, {'C', "HTTP/1.1 200 OK\r\n\r\nabc"}, {0}};
	const struct seen silent[] = {{'S', GET("/")}, {0}};

	check(body, 0, GET("/f"), FILE_HEAD "012", JEEBS_ORACLE_UNKNOWN);
	check(truncated, 0, GET("/f"), FILE_HEAD "012", JEEBS_ORACLE_UNKNOWN);
	check(body, 0, PART("bytes=1-1"), FILE_206("1-1/10", "1", "1"), JEEBS_ORACLE_OPEN);
	check(head, 0, GET("/"), head[1].text, JEEBS_ORACLE_UNKNOWN);
	check(until, 0, GET("/"), until[1].text, JEEBS_ORACLE_UNKNOWN);
	check(silent, 0, GET("/"), "", JEEBS_ORACLE_UNKNOWN);
}

static void test_bodies_of_requests(void **state)
{
#define POST(n) "POST / HTTP/1.1\r\nContent-Length: " n "\r\n\r\n"
#define GO      "HTTP/1.1 100 Go on\r\n\r\n"
#define TOO_BIG "HTTP/1.1 413 Big\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
	const struct seen expects[] = {{'S', POST("3")}, {'C', GO}, {'S', "abc"}, {'C', NEXT}, {0}};
	const struct seen early[] = {{'S', POST("6") "abc"}, {'C', TOO_BIG}, {'F'}, {0}};
	const struct seen late[] = {
		{'S', POST("6") "abc"}, {'C', NEXT}, {'S', "def" GET("/")}, {'C', COUNTED}, {0}};
	/* The mirror changed the order. */
	const struct seen soon[] = {{'C', NEXT}, {'S', POST("1") "a"}, {0}};

	check(expects, 0, POST("3"), GO, JEEBS_ORACLE_OPEN);
	check(expects, 0, POST("3") "ab", GO, JEEBS_ORACLE_OPEN);
	check(expects, 0, POST("3") "abc", GO NEXT, JEEBS_ORACLE_OPEN);
	check(expects, 0, POST("3") "abd", GO, JEEBS_ORACLE_UNKNOWN);
	check(early, 0, POST("6") "ab", "", JEEBS_ORACLE_OPEN);
	check(early, 0, POST("6") "abc", TOO_BIG, JEEBS_ORACLE_CLOSE);
	check(early, 0, POST("6") "abcdef" GET("/"), TOO_BIG, JEEBS_ORACLE_CLOSE);
	check(late, 0, POST("6") "abcdef", NEXT, JEEBS_ORACLE_OPEN);
	check(late, 0, POST("6") "abcdef" GET("/"), NEXT COUNTED, JEEBS_ORACLE_OPEN);
	check(soon, 0, POST("1"), NEXT, JEEBS_ORACLE_OPEN);
}

static void test_no_http_any_more(void **state)
{
#define SWITCH "HTTP/1.1 101 Go\r\nUpgrade: x\r\n\r\n"
	const struct seen upgrade[] = {{'S', GET("/")}, {'C', SWITCH "server first"}, {0}};
	const struct seen tunnel[] = {{'S', "CONNECT a:1 HTTP/1.1\r\n\r\n"},
				      {'C', "HTTP/1.1 200 OK\r\n\r\n"},
				      {'S', "x"},
				      {'C', "y"},
				      {0}};
	const struct seen lost[] = {
		{'S', GET("/")}, {'C', SWITCH "a"}, {'c', "b"}, {'C', "c"}, {0}};
	const struct seen ended[] = {{'S', GET("/")}, {'C', SWITCH}, {'S', "x"},
				     {'C', "y"},      {'F'},         {0}};
	const struct seen body[] = {{'S', "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nab"},
				    {'C', SWITCH},
				    {'S', "x"},
				    {'C', "y"},
				    {0}};

	/* The same request again gets the same answer. */
	check(upgrade, 0, GET("/"), SWITCH "server first", JEEBS_ORACLE_OPEN);
	check(tunnel, 0, tunnel[0].text, tunnel[1].text, JEEBS_ORACLE_OPEN);
	check(tunnel, 0, "CONNECT a:1 HTTP/1.1\r\n\r\nx", "HTTP/1.1 200 OK\r\n\r\ny",
	      JEEBS_ORACLE_OPEN);
	check(tunnel, 0, "CONNECT a:1 HTTP/1.1\r\n\r\nz", "HTTP/1.1 200 OK\r\n\r\n",
	      JEEBS_ORACLE_UNKNOWN);
	check(tunnel, 0, "CONNECT a:1 HTTP/1.1\r\n\r\nxx", "HTTP/1.1 200 OK\r\n\r\ny",
	      JEEBS_ORACLE_UNKNOWN);
	check(lost, 0, GET("/"), SWITCH "a", JEEBS_ORACLE_UNKNOWN);
	check(ended, 0, GET("/"), SWITCH, JEEBS_ORACLE_OPEN);
	check(ended, 0, GET("/") "x", SWITCH "y", JEEBS_ORACLE_CLOSE);
	check(body, 0, "POST / HTTP/1.1\r\nContent-Length: 2\r\n\r\nabx", SWITCH "y",
	      JEEBS_ORACLE_OPEN);
}

/* The same question gets the same bytes, even if they are no HTTP. */
static void test_what_is_no_response(void **state)
{
#define MAIL "220 mail.example ESMTP\r\n\r\n"
	const struct seen garbage[] = {{'S', GET("/")}, {'C', MAIL}, {0}};
	const struct seen second[] = {
		{'S', GET("/a")}, {'C', NEXT}, {'S', GET("/b")}, {'C', MAIL}, {0}};
	const struct seen first[] = {
		{'S', GET("/a")}, {'C', MAIL}, {'S', GET("/b")}, {'C', NEXT}, {0}};
	const struct seen greeting[] = {{'C', MAIL}, {'S', GET("/")}, {0}};

	check(garbage, 0, GET("/"), MAIL, JEEBS_ORACLE_UNKNOWN);
	check(garbage, 0, GET("/x"), "", JEEBS_ORACLE_UNKNOWN);
	check(second, 0, GET("/a") GET("/b"), NEXT MAIL, JEEBS_ORACLE_UNKNOWN);
	/* Where such an answer ends is unknown, and so is whether it is one. */
	check(first, 0, GET("/a"), "", JEEBS_ORACLE_UNKNOWN);
	check(greeting, 0, GET("/"), "", JEEBS_ORACLE_UNKNOWN);
}

/* Deviations that a server or a proxy accepts: RFC 9112 sections 3 and 5.1. */
static void test_blanks(void **state)
{
#define SPACED "HTTP/1.1 200 OK\r\nContent-Length : 2\r\nEmpty :\r\n\r\nhi"
	const struct seen seen[] = {{'S', "GET   /a  HTTP/1.1\r\nHost: a\r\n\r\n"},
				    {'C', SPACED},
				    {'S', GET("/b")},
				    {'C', NEXT},
				    {0}};
	/* In a request this is an attack. */
	const struct seen asked[] = {
		{'S', "GET /a HTTP/1.1\r\nHost : a\r\n\r\n"}, {'C', NEXT}, {0}};

	check(seen, 0, seen[0].text, SPACED, JEEBS_ORACLE_OPEN);
	check(seen, 0, GET("/b"), NEXT, JEEBS_ORACLE_OPEN);
	check(asked, 0, asked[0].text, NEXT, JEEBS_ORACLE_UNKNOWN);
}

#define BAD "HTTP/1.1 400 Bad\r\nConnection: close\r\n\r\n"

static void test_answers_to_what_is_no_request(void **state)
{
	const struct seen timeout[] = {
		{'S', GET("/") "GET /n"}, {'C', NEXT}, {'C', BAD}, {'F'}, {0}};
	const struct seen malformed[] = {{'S', "nonsense\r\n\r\nmore"}, {'C', BAD}, {'F'}, {0}};

	check(timeout, 0, GET("/") "GET /n", NEXT BAD, JEEBS_ORACLE_CLOSE);
	check(timeout, 0, GET("/") "GET /", NEXT, JEEBS_ORACLE_OPEN);
	check(timeout, 0, GET("/") "GET /m", NEXT, JEEBS_ORACLE_OPEN);
	check(timeout, 0, GET("/") GET("/"), NEXT NEXT, JEEBS_ORACLE_OPEN);
	check(malformed, 0, "nonsense\r\n\r\nmore", BAD, JEEBS_ORACLE_CLOSE);
	check(malformed, 0, "nonsense\r\n\r\nmo", "", JEEBS_ORACLE_OPEN);
	check(malformed, 0, "nonsense\r\n\r\nmo!", "", JEEBS_ORACLE_UNKNOWN);
}

/* Some servers count their bytes wrongly. Bytes that answer no request belong to the response
 * before. */
static void test_bytes_that_answer_nothing(void **state)
{
#define SHORT "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: 3\r\n\r\nabc"
	const struct seen between[] = {
		{'S', GET("/a")}, {'C', SHORT "def"}, {'S', GET("/b")}, {'C', NEXT}, {0}};
	const struct seen last[] = {{'S', GET("/a")}, {'C', SHORT "def"}, {0}};
	const struct seen ended[] = {{'S', GET("/a")}, {'C', SHORT "def"}, {'F'}, {0}};
	const struct seen timeout[] = {{'S', GET("/a")}, {'C', NEXT}, {'C', BAD}, {'F'}, {0}};
	/* The second request had come: nobody knows which one these bytes answer. */
	const struct seen late[] = {{'S', GET("/a") GET("/b")}, {'C', SHORT "def" NEXT}, {0}};
	/* The server announces that it closes, and does not. */
	const struct seen goes_on[] = {{'S', GET("/a")},
				       {'C', "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"},
				       {'S', GET("/b")},
				       {'C', NEXT},
				       {0}};

	check(between, 0, GET("/a") GET("/b"), SHORT "def" NEXT, JEEBS_ORACLE_OPEN);
	check(between, sizeof SHORT - 1, GET("/b"), NEXT, JEEBS_ORACLE_OPEN);
	check(last, 0, GET("/a"), SHORT "def", JEEBS_ORACLE_OPEN);
	check(ended, 0, GET("/a"), SHORT "def", JEEBS_ORACLE_CLOSE);
	check(timeout, 0, GET("/a"), NEXT BAD, JEEBS_ORACLE_CLOSE);
	check(late, 0, GET("/a") GET("/b"), SHORT, JEEBS_ORACLE_UNKNOWN);
	check(goes_on, 0, GET("/a") GET("/b"), "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx" NEXT,
	      JEEBS_ORACLE_OPEN);
	/* After a part of the content something else may follow. */
	check(last, 0, "GET /a HTTP/1.1\r\nHost: a\r\nRange: bytes=1-1\r\n\r\n",
	      "HTTP/1.1 206 Partial Content\r\nAccept-Ranges: bytes\r\nContent-Length: 1\r\n"
	      "Content-Range: bytes 1-1/3\r\n\r\nb",
	      JEEBS_ORACLE_UNKNOWN);
}

/* From this offset on no module can be expected to produce what the server sent. */
static void test_what_nobody_asked_for(void **state)
{
#define ONE_ZERO "HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nx"
	static const struct {
		struct seen seen[6];
		uint64_t from;
	} cases[] = {
		{{{'S', GET("/a")}, {'C', NEXT}, {'S', GET("/b")}, {'C', NEXT}},
		 2 * (sizeof NEXT - 1)},
		{{{'S', GET("/a")}, {'C', NEXT "junk"}}, sizeof NEXT - 1},
		{{{'S', GET("/a")}, {'C', NEXT "junk"}, {'S', GET("/b")}, {'C', NEXT}},
		 sizeof NEXT - 1},
		{{{'S', GET("/a")}, {'C', NEXT NEXT}, {'S', GET("/b")}, {'C', NEXT}},
		 sizeof NEXT - 1},
		{{{'S', GET("/a")}, {'C', ONE_ZERO}, {'S', GET("/b")}, {'C', NEXT}},
		 sizeof ONE_ZERO - 1},
		{{{'C', "220 hello\r\n"}, {'S', GET("/a")}, {'C', NEXT}}, 0},
		{{{'S', GET("/a") GET("/b")}, {'C', NEXT "junk"}}, UINT64_MAX},
		{{{'S', GET("/a")}, {'C', "no response\r\n\r\n"}}, 0},
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		http_oracle.close(learn(cases[i].seen));
		assert_int_equal(unasked, cases[i].from);
	}
}

static void test_the_end_of_the_box(void **state)
{
	const struct seen seen[] = {{'S', GET("/a")}, {'C', COUNTED}, {0}};
	void *o = learn(seen);
	static const char *const asks[] = {"", GET("/a"), "GET /", NULL};

	for (size_t i = 0; asks[i]; i++) {
		struct buf out = BUF_INIT(1u << 20);
		assert_int_equal(ask(o, 0, asks[i], true, 1000, &out), JEEBS_ORACLE_CLOSE);
		assert_int_equal(out.n, i == 1 ? strlen(COUNTED) : 0);
		buf_deinit(&out);
	}
	http_oracle.close(o);
}

static int refuse(void *ctx, struct jeebs_bytes b)
{
	(void)ctx;
	(void)b;
	return -7;
}

static void test_errors_are_passed_on(void **state)
{
	const struct seen seen[] = {{'S', GET("/f")}, {'C', FILE_200}, {0}};
	static const char *const asks[] = {GET("/f"), PART("bytes=1-"), PART("bytes=99-"), NULL};
	const struct jeebs_cut cut = {0};
	void *o = learn(seen);
	uint32_t ret = 99;

	for (size_t i = 0; asks[i]; i++) {
		void *c = http_oracle.connect(o, &cut);
		struct jeebs_bytes b = {(const uint8_t *)asks[i], strlen(asks[i])};
		assert_int_equal(http_oracle.receive(c, b, 0, refuse, NULL, &ret), -7);
		http_oracle.disconnect(c);
	}
	assert_int_equal(ret, 99);
	assert_int_not_equal(http_oracle.data(o, 0, 0, (struct jeebs_bytes){NULL, 0}), 0);
	assert_int_not_equal(http_oracle.data(o, 2, 0, (struct jeebs_bytes){NULL, 0}), 0);
	http_oracle.disconnect(NULL);
	http_oracle.close(o);
	http_oracle.close(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_same_again),
		cmocka_unit_test(test_each_framing),
		cmocka_unit_test(test_range_is_cut_from_what_was_captured),
		cmocka_unit_test(test_several_ranges),
		cmocka_unit_test(test_range_where_it_means_nothing),
		cmocka_unit_test(test_range_of_the_client),
		cmocka_unit_test(test_what_the_capture_lost),
		cmocka_unit_test(test_where_the_capture_ends),
		cmocka_unit_test(test_bodies_of_requests),
		cmocka_unit_test(test_no_http_any_more),
		cmocka_unit_test(test_what_is_no_response),
		cmocka_unit_test(test_blanks),
		cmocka_unit_test(test_answers_to_what_is_no_request),
		cmocka_unit_test(test_bytes_that_answer_nothing),
		cmocka_unit_test(test_what_nobody_asked_for),
		cmocka_unit_test(test_the_end_of_the_box),
		cmocka_unit_test(test_errors_are_passed_on),
	};
	return cmocka_run_group_tests_name("http-oracle", tests, NULL, NULL);
}
