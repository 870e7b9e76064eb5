/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Where messages begin in a connection that was there before the box: what proves it, what must
 * not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "test/record.h"

#define PAUSE HTTP_SYNC_QUIET_NS

/* One end sends something, so long after the item before. */
struct say {
	char who; /* 'c' or 's'; 0 ends a conversation */
	int64_t after_ns;
	const char *text;
};

#define ANSWER  OK_10 "\r\n0123456789"
#define POST(n) "POST /p HTTP/1.1\r\nContent-Length: " n "\r\n\r\n"

static uint32_t dir_of(const struct say *w)
{
	return w->who == 'c' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT;
}

static void begin(struct harness *h, size_t chunk, bool older)
{
	struct harness_options options = {.live = {.max = chunk}};

	assert_int_equal(harness_init(h, &http_module, &options), 0);
	h->now_ns = 1000 * PAUSE;
	if (older) {
		harness_gap(h, JEEBS_TO_SERVER, 0);
		harness_gap(h, JEEBS_TO_CLIENT, 0);
	}
}

static void say(struct harness *h, const struct say *w, size_t from)
{
	h->now_ns += w->after_ns;
	harness_data(h, dir_of(w), bytes_from(bytes_str(w->text), from));
}

/* The module starts, hears something first, and then this conversation. */
static void decided(const struct say *talk, uint32_t verdict, const char *reason)
{
	for (size_t chunk = 0; chunk < 4; chunk++) {
		struct harness h;

		begin(&h, chunk, true);
		to_server(&h, "the end of something");
		for (const struct say *w = talk; w->who; w++)
			say(&h, w, 0);
		assert_plan(&h, verdict, reason);
		harness_deinit(&h);
	}
}

#define UNKNOWN(...) \
	decided((const struct say[]){__VA_ARGS__, {0}}, JEEBS_REFUSE, "framing-unknown")
#define REFUSED(why, ...) decided((const struct say[]){__VA_ARGS__, {0}}, JEEBS_REFUSE, why)
#define KNOWN(how, ...)   decided((const struct say[]){__VA_ARGS__, {0}}, JEEBS_CONTINUE, how)

#define ASK                           \
	{                             \
		'c', PAUSE, GET("/a") \
	}
#define ANSWERED               \
	{                      \
		's', 1, ANSWER \
	}
#define ONE ASK, ANSWERED
#define TWO ONE, ONE

/* ---- what proves the position ---- */

static void test_two_exchanges_after_pauses(void **state)
{
	UNKNOWN(ASK);
	UNKNOWN(ONE);
	UNKNOWN(ONE, ASK);
	UNKNOWN(ONE, ASK, {'s', 1, OK_10 "\r\n012345678"});
	KNOWN("idle", TWO);
	KNOWN("replay", TWO, {'c', 1, GET("/b")});
	KNOWN("digest", TWO, {'c', 1, GET("/b")}, {'s', 1, OK_10 "\r\n01234"});
	KNOWN("idle", TWO, {'c', 1, GET("/b")}, {'s', 1, ANSWER});
	/* From then on the connection is like any other. */
	REFUSED("not-http", TWO, {'c', 1, "\x16\x03\x01 nothing\r\n\r\n"});
	REFUSED("request-not-idempotent", TWO, {'c', 1, POST("1") "x"}, {'s', 1, "H"});
	REFUSED("upgraded", TWO, ASK, {'s', 1, "HTTP/1.1 101 Go\r\n\r\n"});
}

static void test_chunked_and_empty_answers(void **state)
{
	KNOWN("idle", ASK,
	      {'s', 1,
	       "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n"},
	      ASK, {'s', 1, "HTTP/1.1 304 Not Modified\r\n\r\n"});
	KNOWN("idle", {'c', PAUSE, "HEAD / HTTP/1.1\r\n\r\n"}, {'s', 1, OK_10 "\r\n"}, ONE);
}

/* Between the proofs there may be exchanges that prove nothing. */
static void test_other_exchanges_between(void **state)
{
	KNOWN("idle", ONE, {'c', 1, GET("/quick")}, ANSWERED, ONE);
	UNKNOWN(ONE, {'c', 1, GET("/quick")}, ANSWERED, {'c', 1, GET("/quick")}, ANSWERED);
	KNOWN("idle", ONE, {'c', PAUSE, POST("3") "abc"}, ANSWERED, ONE);
	UNKNOWN(ONE, {'c', PAUSE, POST("3") "abc"}, ANSWERED);
	UNKNOWN(ONE, {'c', PAUSE, GET("/") GET("/")}, {'s', 1, ANSWER ANSWER});
	UNKNOWN(ONE, ASK, {'s', 1, "HTTP/1.1 100 Continue\r\n\r\n" ANSWER});
	KNOWN("idle", ONE, ASK, {'s', 1, "HTTP/1.1 100 Continue\r\n\r\n" ANSWER}, ONE);
}

static void test_it_begins_again(void **state)
{
	KNOWN("idle", {'c', PAUSE, "noise\r\n\r\n"}, ANSWERED, TWO);
	KNOWN("idle", {'c', PAUSE, "noise\r\n\r\n"}, ONE, {'s', PAUSE, "more noise"}, TWO);
	UNKNOWN(ONE, {'s', PAUSE, "more noise"}, ONE);
	KNOWN("idle", {'c', PAUSE, "GET /x HT"}, ONE, TWO);
	/* The module may have started behind a request that will never be answered, or not. */
	UNKNOWN(ASK, TWO, TWO);
}

static void test_a_gap(void **state)
{
	struct harness h;

	begin(&h, 0, true);
	to_server(&h, "the end of something");
	const struct say talk[] = {ONE, {'c', PAUSE, GET("/a")}};
	for (size_t i = 0; i < 3; i++)
		say(&h, &talk[i], 0);
	harness_gap(&h, JEEBS_TO_CLIENT, 7);
	to_client(&h, ANSWER);
	assert_plan(&h, JEEBS_REFUSE, "framing-unknown");
	assert_false(h.gave_up);
	harness_deinit(&h);
}

/* ---- what must prove nothing ---- */

/* The first pause came before the module started. */
static void test_no_pause(void **state)
{
	struct harness h;

	begin(&h, 0, true);
	for (int i = 0; i < 2; i++) {
		to_server(&h, GET("/"));
		h.now_ns += PAUSE - 1;
		to_client(&h, ANSWER);
		h.now_ns += PAUSE - 1;
	}
	assert_plan(&h, JEEBS_REFUSE, "framing-unknown");
	harness_deinit(&h);
}

/* One request is always outstanding: each answer seems to belong to the next request. */
static void test_pipelining(void **state)
{
	/* The server owes one answer from before the start. */
	UNKNOWN(ONE, ONE, {'s', 1, ANSWER});
	UNKNOWN(ONE, {'s', 1, ANSWER}, ONE);
	UNKNOWN(ONE, ASK, {'s', 1, ANSWER ANSWER});
	/* Package managers do this: each answer is followed by the next request. */
	UNKNOWN(ASK, {'s', 1, ANSWER}, {'c', 1, GET("/b")}, {'s', 1, ANSWER}, {'c', 1, GET("/c")},
		{'s', 1, ANSWER}, {'c', 1, GET("/d")}, {'s', 1, ANSWER}, {'c', 1, GET("/e")});
}

static void test_server_speaks_unasked(void **state)
{
	UNKNOWN({'c', PAUSE, "GET / HTTP/1.1\r\n"}, {'s', 1, ANSWER}, {'c', 1, "\r\n"}, ONE);
	UNKNOWN(TWO, {'s', PAUSE, "HTTP/1.1 408 Late\r\nContent-Length: 0\r\n\r\n"});
	UNKNOWN(TWO, {'s', PAUSE, "x"}, ONE);
}

static void test_answers_before_the_end(void **state)
{
	/* The server answers before the body that the request announces: nothing is proved. */
	UNKNOWN({'c', PAUSE, POST("30")}, {'s', 1, ANSWER}, {'c', PAUSE, POST("30")},
		{'s', 1, ANSWER}, {'c', PAUSE, POST("30")}, {'s', 1, ANSWER});
}

static void test_no_longer_http(void **state)
{
	REFUSED("upgraded", ASK, {'s', 1, "HTTP/1.1 101 Go\r\n\r\n"}, TWO);
	REFUSED("upgraded", {'c', PAUSE, "CONNECT a:1 HTTP/1.1\r\n\r\n"},
		{'s', 1, "HTTP/1.1 200 OK\r\n\r\n"}, TWO);
	UNKNOWN(ASK, {'s', 1, "HTTP/1.1 200 OK\r\n\r\nto the end"}, ONE);
	UNKNOWN(ONE, ASK,
		{'s', 1, "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"});
}

/* An upload whose bytes look like requests. The server answers the uploads, not those. */
static void test_requests_in_bodies(void **state)
{
	UNKNOWN({'c', PAUSE, GET("/a")}, {'c', PAUSE, GET("/b")}, {'c', PAUSE, GET("/c")});
	/* Three requests in a body get one answer: each further answer belongs to another
	 * request than it seems. */
	UNKNOWN({'c', PAUSE, GET("/a") GET("/b") GET("/c")}, ANSWERED, ONE, ONE, ONE);
	/* Each begins in the body of the real request, and swallows the head of the next one. */
#define SWALLOW {'c', PAUSE, "PUT /f HTTP/1.1\r\nContent-Length: 40\r\n\r\n" POST("39")}
	UNKNOWN(SWALLOW, ANSWERED, SWALLOW, ANSWERED, SWALLOW, ANSWERED, SWALLOW, ANSWERED);
	/* Each completes a head that was cut, and cuts the next one. */
#define COMPLETE {'c', PAUSE, GET("/f") "GET /r HTTP/1.1\r\nX: "}
	UNKNOWN(COMPLETE, ANSWERED, COMPLETE, ANSWERED, COMPLETE, ANSWERED, COMPLETE, ANSWERED);
}

/* Conversations of honest ends, with misleading bodies. The module starts at each byte. */
static const struct say honest[] = {
	{'c', 0, GET("/list")},
	{'s', 1, "HTTP/1.1 200 OK\r\nContent-Length: 126\r\n\r\n" ANSWER GET("/x") ANSWER},
	{'c', PAUSE, "POST /up HTTP/1.1\r\nExpect: 100-continue\r\nContent-Length: 56\r\n\r\n"},
	{'s', 1, "HTTP/1.1 100 Continue\r\n\r\n"},
	{'c', PAUSE, GET("/x")},
	{'c', PAUSE, GET("/y")},
	{'s', PAUSE, ANSWER},
	{'c', PAUSE, GET("/1") GET("/2") GET("/3")},
	{'s', PAUSE, ANSWER},
	{'s', PAUSE, ANSWER},
	{'s', PAUSE, ANSWER},
	{'c', PAUSE, GET("/1") GET("/2") GET("/3")},
	{'s', 1, ANSWER},
	{'c', 1, GET("/4")},
	{'s', 1, ANSWER},
	{'c', 1, GET("/5")},
	{'s', 1, ANSWER},
	{'c', 1, GET("/6")},
	{'s', 1, ANSWER ANSWER ANSWER},
	{'c', PAUSE, POST("28")},
	{'c', PAUSE, GET("/x")},
	{'s', 1, ANSWER},
	{'c', PAUSE, GET("/7")},
	{'s', 1, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n39\r\n"},
	{'s', PAUSE, ANSWER "0\r\n\r\n\r\n0"},
	{'s', 1, "\r\n0\r\n\r\n"},
	{'c', PAUSE, GET("/8")},
	{'s', 1, ANSWER},
	{'c', PAUSE, GET("/9")},
	{'s', PAUSE, "HTTP/1.1 200 OK\r\nETag: \"a\"\r\nContent-Length: 59\r\n\r\n"},
	{'s', PAUSE, ANSWER "0123456789"},
	{0},
};

/* Whenever the module decides to continue, it does what one does that has seen everything. */
static void assert_same(struct harness *late, struct harness *all, size_t at)
{
	struct jeebs_plan a, b;

	harness_plan(late, &a);
	if (a.verdict != JEEBS_CONTINUE)
		return;
	harness_plan(all, &b);
	if (b.verdict != JEEBS_CONTINUE || strcmp(a.detail, b.detail) != 0)
		fail_msg("from byte %zu: %s (%s), truth is %s (%s)", at, a.reason, a.detail,
			 b.reason, b.detail);
}

static void see_from(size_t at, size_t chunk, unsigned *io_known)
{
	struct harness late, all;
	size_t passed = 0;
	struct jeebs_plan p;

	begin(&all, chunk, false);
	begin(&late, chunk, true);
	for (const struct say *w = honest; w->who; w++) {
		size_t n = strlen(w->text);

		say(&all, w, 0);
		if (passed + n > at) {
			say(&late, w, at > passed ? at - passed : 0);
			assert_same(&late, &all, at);
		} else {
			late.now_ns = all.now_ns;
		}
		passed += n;
	}
	harness_plan(&late, &p);
	*io_known += p.verdict == JEEBS_CONTINUE;
	assert_null(late.violation);
	harness_deinit(&late);
	harness_deinit(&all);
}

static void test_seen_from_each_byte_on(void **state)
{
	size_t total = 0;
	unsigned known = 0;

	for (const struct say *w = honest; w->who; w++)
		total += strlen(w->text);
	for (size_t at = 0; at < total; at++) {
		see_from(at, 0, &known);
		see_from(at, 1, &known);
	}
	assert_true(known > total); /* more than half of the starting points were proved */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_two_exchanges_after_pauses),
		cmocka_unit_test(test_chunked_and_empty_answers),
		cmocka_unit_test(test_other_exchanges_between),
		cmocka_unit_test(test_it_begins_again),
		cmocka_unit_test(test_a_gap),
		cmocka_unit_test(test_no_pause),
		cmocka_unit_test(test_pipelining),
		cmocka_unit_test(test_server_speaks_unasked),
		cmocka_unit_test(test_answers_before_the_end),
		cmocka_unit_test(test_no_longer_http),
		cmocka_unit_test(test_requests_in_bodies),
		cmocka_unit_test(test_seen_from_each_byte_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
