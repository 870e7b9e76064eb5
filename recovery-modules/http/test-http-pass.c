/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which bytes http lets pass unread, and what it knows behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "http.h"

#define LONG 20000u

static struct http http;
static uint64_t end[2];             /* of what was said */
static uint64_t pass_from, pass_to; /* what may pass; 0: nothing */
static uint32_t pass_dir;
static uint64_t kept[2];

static void keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	kept[dir] = off;
}

static struct jeebs_bytes no_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	fail_msg("the log is read");
	return (struct jeebs_bytes){0};
}

static void pass(struct jeebs_flow *f, uint32_t dir, uint64_t from, uint64_t to)
{
	pass_dir = dir;
	pass_from = from;
	pass_to = to;
}

static const struct jeebs_live_ops ops = {
	.size = sizeof ops, .keep_from = keep_from, .log = no_log, .pass = pass};

static int open_with(const struct jeebs_live_ops *o)
{
	static const struct jeebs_service service = {.replay = JEEBS_REPLAY_IDEMPOTENT};

	memset(&http, 0, sizeof http);
	end[0] = end[1] = kept[0] = kept[1] = pass_from = pass_to = 0;
	return http_module.open(&http, NULL, o, &service);
}

static int set_up(void **state)
{
	return open_with(&ops);
}

static int say_bytes(uint32_t dir, const char *p, size_t n)
{
	int r = http_module.data(&http, dir, end[dir], (struct jeebs_bytes){(const uint8_t *)p, n},
				 1);

	end[dir] += n;
	return r;
}

static void say(uint32_t dir, const char *text)
{
	pass_from = pass_to = 0;
	assert_int_equal(say_bytes(dir, text, strlen(text)), JEEBS_OK);
}

static void say_body(uint32_t dir, size_t n)
{
	static char body[LONG];

	memset(body, 'b', sizeof body);
	pass_from = pass_to = 0;
	assert_int_equal(say_bytes(dir, body, n), JEEBS_OK);
}

static void ask(void)
{
	say(JEEBS_TO_SERVER, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
}

static void assert_passes(uint32_t dir, size_t n)
{
	assert_int_equal(pass_dir, dir);
	assert_int_equal(pass_from, end[dir]);
	assert_int_equal(pass_to, end[dir] + n);
}

/* What was let pass has come. */
static int come(uint32_t dir)
{
	end[dir] = pass_to;
	return say_bytes(dir, NULL, 0);
}

static void assert_reason(const char *reason)
{
	struct jeebs_plan plan = {0};
	struct jeebs_cut cut = {.to_server_end = end[0],
				.to_client_end = end[1],
				.to_client_acked = end[1],
				.log = no_log};

	http_module.plan(&http, &cut, &plan);
	assert_string_equal(plan.reason, reason);
}

static void test_a_download(void **state)
{
	ask();
	say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 20003\r\n\r\nabc");
	assert_passes(JEEBS_TO_CLIENT, LONG);
	assert_int_equal(come(JEEBS_TO_CLIENT), JEEBS_OK);
	assert_reason("idle");
	assert_int_equal(kept[0], end[0]);
	assert_int_equal(kept[1], end[1]);
	ask(); /* and on */
	say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc");
	assert_reason("idle");
}

static void test_a_download_read_after_all(void **state)
{
	ask();
	say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
	assert_passes(JEEBS_TO_CLIENT, LONG);
	say_body(JEEBS_TO_CLIENT, 1000);
	assert_passes(JEEBS_TO_CLIENT, LONG - 1000);
	assert_int_equal(http.delivered.to, 1000);
	say_body(JEEBS_TO_CLIENT, LONG - 1000);
	assert_reason("idle");
}

static void test_the_last_answer(void **state)
{
	ask();
	say(JEEBS_TO_CLIENT,
	    "HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 20000\r\n\r\n");
	assert_passes(JEEBS_TO_CLIENT, LONG);
	assert_int_equal(come(JEEBS_TO_CLIENT), JEEBS_OK);
	assert_reason("finished");
}

static void test_an_upload(void **state)
{
	say(JEEBS_TO_SERVER, "PUT / HTTP/1.1\r\nHost: h\r\nContent-Length: 20000\r\n\r\n");
	assert_passes(JEEBS_TO_SERVER, LONG);
	assert_int_equal(come(JEEBS_TO_SERVER), JEEBS_OK);
	assert_int_equal(http.side[JEEBS_TO_SERVER].phase, HTTP_BETWEEN);
	assert_int_equal(kept[0], 0);
	say(JEEBS_TO_CLIENT, "HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n");
	assert_reason("idle");
	assert_int_equal(kept[0], end[0]);
}

/* Whose end is not told by a length, or is near. */
static void test_other_bodies(void **state)
{
	static const char *const answers[] = {
		"HTTP/1.1 200 OK\r\nContent-Length: 16383\r\n\r\n",
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10000\r\nabc",
		"HTTP/1.1 200 OK\r\n\r\nabc",
		"HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n",
	};

	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		open_with(&ops);
		ask();
		say(JEEBS_TO_CLIENT, answers[i]);
		assert_int_equal(pass_to, 0);
	}
}

/* Nobody knows yet whether this is a body. */
static void test_not_in_sync(void **state)
{
	assert_int_equal(http_module.gap(&http, JEEBS_TO_SERVER, 0, 0), JEEBS_OK);
	assert_int_equal(http_module.gap(&http, JEEBS_TO_CLIENT, 0, 0), JEEBS_OK);
	ask();
	say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
	assert_int_equal(pass_to, 0);
}

static void test_nothing_can_pass(void **state)
{
	static const struct jeebs_live_ops none = {
		.size = sizeof none, .keep_from = keep_from, .log = no_log};
	static const struct jeebs_live_ops older = {.size = offsetof(struct jeebs_live_ops, pass),
						    .keep_from = keep_from,
						    .log = no_log,
						    .pass = pass};

	for (int i = 0; i < 2; i++) {
		open_with(i ? &none : &older);
		ask();
		say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
		assert_int_equal(pass_to, 0);
		say_body(JEEBS_TO_CLIENT, LONG);
		assert_reason("idle");
	}
}

/* Bytes that it did not let pass. */
static void test_other_bytes_have_passed(void **state)
{
	ask();
	end[1] = 100;
	assert_int_equal(say_bytes(JEEBS_TO_CLIENT, NULL, 0), JEEBS_GIVE_UP);
	open_with(&ops);
	ask();
	say(JEEBS_TO_CLIENT, "HTTP/1.1 200 OK\r\nContent-Length: 20000\r\n\r\n");
	pass_to--;
	assert_int_equal(come(JEEBS_TO_CLIENT), JEEBS_GIVE_UP);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_a_download, set_up),
		cmocka_unit_test_setup(test_a_download_read_after_all, set_up),
		cmocka_unit_test_setup(test_the_last_answer, set_up),
		cmocka_unit_test_setup(test_an_upload, set_up),
		cmocka_unit_test_setup(test_other_bodies, set_up),
		cmocka_unit_test_setup(test_not_in_sync, set_up),
		cmocka_unit_test_setup(test_nothing_can_pass, set_up),
		cmocka_unit_test_setup(test_other_bytes_have_passed, set_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
