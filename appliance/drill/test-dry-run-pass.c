/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Of a file, bodies pass unread until a cut asks for them; of a pipe all is read at once. Both
 * reports must be the same, wherever the cut is.
 */
#include "test/dry-run-rig.h"

#define PART 1400
#define BODY 40000

/* The report, whatever the file is called. */
static char *report(void)
{
	json_object_del(get("capture"), "file");
	return json_dumps(ran.json, JSON_SORT_KEYS);
}

static void assert_same_at_each_cut(void)
{
	for (uint32_t n = 1; n <= packets; n++) {
		options.cut = DRY_RUN_CUT_PACKET;
		options.cut_packet = n;
		run();
		assert_string_equal(ran.err, "");
		char *file = report();
		run_pipe();
		char *pipe = report();
		if (strcmp(file, pipe) != 0)
			fail_msg("packet %u: %s\n%s", n, file, pipe);
		free(file);
		free(pipe);
	}
}

/* Bytes of a body, from @from on, as many as there are up to @to: the segments of one flight. */
static void body(struct talk *t, bool from_the_server, size_t from, size_t to)
{
	char text[PART + 1];

	while (from < to) {
		size_t n = to - from < PART ? to - from : PART;
		for (size_t i = 0; i < n; i++)
			text[i] = (char)('a' + (from + i) * 7 % 26);
		text[n] = 0;
		if (from_the_server)
			from_server(t, TCP_ACK, text);
		else
			from_client(t, TCP_ACK, text);
		from += n;
	}
}

#define PUT      "PUT /a HTTP/1.1\r\nHost: h\r\nContent-Length: 40000\r\n\r\n"
#define OK_40000 "HTTP/1.1 200 OK\r\nETag: \"1\"\r\nContent-Length: 40000\r\n\r\n"

static void test_a_download(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	for (int i = 0; i < 2; i++) {
		ask(&a, GET);
		answer(&a, OK_40000);
		body(&a, true, 0, 20000);
		acknowledge(&a);
		body(&a, true, 20000, BODY);
		acknowledge(&a);
	}
	ask(&a, GET);
	answer(&a, OK);
	assert_same_at_each_cut();
}

static void test_an_upload(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	for (int i = 0; i < 2; i++) {
		ask(&a, PUT);
		body(&a, false, 0, BODY);
		from_server(&a, TCP_ACK, "");
		answer(&a, OK);
	}
	assert_same_at_each_cut();
}

static void test_answered_before_its_end(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, PUT);
	body(&a, false, 0, 30000);
	answer(&a, "HTTP/1.1 413 Too Large\r\nContent-Length: 0\r\n\r\n");
	body(&a, false, 30000, BODY);
	ask(&a, GET);
	assert_same_at_each_cut();
}

/* The client asks for more than one thing, and the second answer begins in a segment of the first.
 */
static void test_pipelined(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET GET);
	answer(&a, OK_40000);
	body(&a, true, 0, BODY - 10);
	answer(&a, "0123456789" OK_40000);
	body(&a, true, 0, BODY);
	answer(&a, "unasked");
	assert_same_at_each_cut();
}

static void test_sent_twice(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK_40000);
	body(&a, true, 0, 21000);
	a.server_seq -= PART;
	body(&a, true, 21000 - PART, 21000);
	body(&a, true, 21000, 28000);
	a.server_seq -= PART;
	answer(&a, "something else");
	a.server_seq += PART - 14;
	body(&a, true, 28000, BODY);
	assert_same_at_each_cut();
}

static void test_out_of_order(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK_40000);
	body(&a, true, 0, 28000);
	a.server_seq += PART;
	body(&a, true, 28000 + PART, 28000 + 2 * PART);
	a.server_seq -= 2 * PART;
	body(&a, true, 28000, 28000 + PART);
	a.server_seq += PART;
	body(&a, true, 28000 + 2 * PART, BODY);
	assert_same_at_each_cut();
}

static void test_ends_early(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK_40000);
	body(&a, true, 0, 35000);
	from_server(&a, TCP_ACK | TCP_FIN, "");
	acknowledge(&a);
	assert_same_at_each_cut();
}

/* At the cut, most of the body is not in memory any more. */
static void test_far_back(void **state)
{
	static uint8_t other[60000];
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, PUT);
	body(&a, false, 0, BODY / 2);
	for (int i = 0; i < 40; i++)
		record(other, sizeof other, sizeof other);
	body(&a, false, BODY / 2, BODY);
	assert_int_equal(run(), 0);
	assert_int_equal(count(connection(0), "retained"), strlen(PUT) + BODY);
	assert_string_equal(word(connection(0), "reason"), "replay");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_download), CASE(test_an_upload),  CASE(test_answered_before_its_end),
		CASE(test_pipelined),  CASE(test_sent_twice), CASE(test_out_of_order),
		CASE(test_ends_early), CASE(test_far_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
