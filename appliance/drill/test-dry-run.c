/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which connections a drill plans for, where it cuts, and how it ends. */
#include "test/dry-run-rig.h"

#include <errno.h>

/* ---- the answers ---- */

static void test_all_would_continue(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	assert_int_equal(run(), 0);
	assert_string_equal(ran.err, "");
	assert_int_equal(number("totals.live"), 1);
	assert_int_equal(number("totals.continue"), 1);
	assert_int_equal(number("totals.refuse"), 0);
	assert_int_equal(number("totals.continue_by_reason.idle"), 1);
	json_t *c = connection(0);
	assert_string_equal(word(c, "client"), "10.1.0.7:40000");
	assert_string_equal(word(c, "server"), "10.9.0.1:80");
	assert_string_equal(word(c, "state"), "established");
	assert_string_equal(word(c, "verdict"), "continue");
	assert_string_equal(word(c, "module"), "http");
	assert_string_equal(word(c, "reason"), "idle");
	assert_int_equal(count(c, "bytes_to_server"), strlen(GET));
	assert_int_equal(count(c, "bytes_to_client"), strlen(OK));
	assert_int_equal(count(c, "in_flight"), strlen(OK));
	assert_int_equal(count(c, "retained"), strlen(OK));
	assert_float_equal(json_real_value(json_object_get(c, "age_s")), 0.004, 1e-9);
	assert_float_equal(json_real_value(json_object_get(c, "stall_bound_ms")), 400, 1e-9);
}

static void test_some_would_be_refused(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct talk b = talk_open("10.1.0.8:40000", "10.9.0.1:80");
	struct talk gone = talk_open("10.1.0.9:40000", "10.9.0.1:80");

	ask(&a, POST);
	answer(&a, "HTTP/1.1 2");
	ask(&b, GET);
	reset(&gone);
	assert_int_equal(run(), 1);
	assert_int_equal(number("totals.live"), 2);
	assert_int_equal(number("totals.closed"), 1);
	assert_int_equal(number("totals.continue_by_reason.replay"), 1);
	assert_int_equal(number("totals.refuse_by_reason.request-not-idempotent"), 1);
	assert_string_equal(word(connection(0), "verdict"), "refuse");
	assert_true(json_is_null(json_object_get(connection(0), "stall_bound_ms")));
	assert_true(strlen(word(connection(0), "detail")) > 0);
}

#define LONG "0123456789012345678901234567890123456789012345678901234567890123456789"

/* A request that waits for its answer is needed longer than the file's part it came with. */
static void test_request_outlives_its_frame(void **state)
{
	static uint8_t other[60000];
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	memset(other, 0xee, sizeof other);
	ask(&a, "POST /a HTTP/1.1\r\nHost: h\r\nX-Long: " LONG "\r\nContent-Length: 3\r\n\r\nabc");
	answer(&a, "HTTP/1.1 2");
	for (int i = 0; i < 60; i++)
		record(other, sizeof other, sizeof other);
	assert_int_equal(run(), 1);
	assert_int_equal(number("totals.refuse_by_reason.request-not-idempotent"), 1);
}

/* The box forgets a connection that is silent for WATCH_IDLE_TIMEOUT_NS, and so does the drill. */
static void test_silent_for_hours(void **state)
{
	struct talk silent = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct talk busy = talk_open("10.1.0.8:40000", "10.9.0.1:80");

	ask(&silent, GET);
	answer(&silent, OK);
	pauses_s += 3600;
	ask(&busy, GET);
	answer(&busy, OK);
	pauses_s += 3000;
	ask(&busy, GET);
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), 2);
	pauses_s += 3000;
	answer(&busy, OK);
	ask(&busy, GET);
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), 1);
	assert_string_equal(word(connection(0), "client"), "10.1.0.8:40000");
	/* When it speaks again, it is a new connection to both. */
	ask(&silent, GET);
	answer(&silent, OK);
	ask(&silent, GET);
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	run();
	assert_true(number("cuts") > 0);
	assert_int_equal(number("wrong"), 0);
}

static void test_nobody_is_live(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	reset(&a);
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), 0);
	assert_int_equal(json_array_size(get("connections")), 0);
}

static void test_handshake_cut(void **state)
{
	struct talk a = talk("10.1.0.7:40000", "10.9.0.1:80");

	from_client(&a, TCP_SYN, "");
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), 0);
	from_server(&a, TCP_SYN | TCP_ACK, "");
	assert_int_equal(run(), 0);
	assert_string_equal(word(connection(0), "state"), "syn-received");
}

/* Rows are ordered by client, so that the same file gives the same report. */
static void test_order_of_rows(void **state)
{
	static const char *const clients[] = {"10.1.0.9:50", "10.1.0.10:9", "10.1.0.9:6",
					      "9.9.9.9:60000"};
	static const char *const sorted[] = {"9.9.9.9:60000", "10.1.0.9:6", "10.1.0.9:50",
					     "10.1.0.10:9"};
	char *first;

	for (int i = 0; i < 4; i++)
		talk_open(clients[i], "10.9.0.1:80");
	assert_int_equal(run(), 0);
	for (size_t i = 0; i < 4; i++)
		assert_string_equal(word(connection(i), "client"), sorted[i]);
	first = strdup(ran.out);
	assert_int_equal(run(), 0);
	assert_string_equal(ran.out, first);
	free(first);
}

/* The table grows: there are more rows than in its first step. */
static void test_many_rows(void **state)
{
	enum {
		ROWS = 1300
	};

	for (int i = 0; i < ROWS; i++) {
		char client[32];
		snprintf(client, sizeof client, "10.1.0.7:%d", 10000 + i);
		talk_open(client, "10.9.0.1:80");
	}
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), ROWS);
	assert_int_equal(json_array_size(get("connections")), ROWS);
}

static void test_what_was_read_is_counted(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct buf b = BUF_INIT(4096);
	static const uint8_t zeros[64];

	ip_header(&b, &a.client, &a.server, 8, 0x2000); /* more fragments */
	buf_append(&b, zeros, 8);
	record(b.p, b.n, b.n);
	buf_reset(&b);
	ip_header(&b, &a.client, &a.server, 20, 0);
	record(b.p, b.n, 40); /* truncated by the capture before the TCP header */
	buf_append(&b, zeros, 20);
	record(b.p, b.n, b.n); /* a TCP header with a length of 0 */
	b.p[9] = 17;
	record(b.p, b.n, b.n); /* UDP */
	buf_deinit(&b);
	/* Connections are marked for their fragments after 10 ms. */
	for (int i = 0; i < 12; i++)
		acknowledge(&a);
	assert_int_equal(run(), 1);
	assert_int_equal(number("capture.packets"), 3 + 4 + 12);
	assert_int_equal(number("capture.tcp_packets"), 3 + 12);
	assert_int_equal(number("capture.fragments"), 1);
	assert_int_equal(number("capture.truncated_headers"), 1);
	assert_int_equal(number("capture.malformed"), 1);
	assert_string_equal(word(connection(0), "reason"), "ip-fragments");
}

/* ---- where the cut is ---- */

static void test_parse_cut(void **state)
{
	static const char *const wrong[] = {
		"",          "packet:",    "packet:0",
		"packet:-1", "packet: -1", "packet:+1",
		"packet:1x", "packet:1 ",  "packet:99999999999999999999",
		"end ",      "END",        "s",
		"-1",        "-0",         "+1",
		" 1",        "1 s",        "1.5.2",
		".",         "1e3",        "0x10",
		"inf",       "nan",        "1ms",
		"1ss",       "1000000000",
	};
	struct dry_run_options o = {.cut = DRY_RUN_CUT_BUSIEST};

	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
		if (dry_run_parse_cut(wrong[i], &o) != -EINVAL)
			fail_msg("'%s' is taken", wrong[i]);
	assert_int_equal(o.cut, DRY_RUN_CUT_BUSIEST);
	assert_int_equal(o.cut_ns, 0);
	assert_int_equal(o.cut_packet, 0);

	static const struct {
		const char *text;
		int64_t ns;
	} times[] = {{"0", 0},           {"12.5", 12500000000}, {"12.5s", 12500000000},
		     {".5", 500000000},  {"1.", 1000000000},    {"1.001", 1001000000},
		     {"0.000000001", 1}, {"4.035", 4035000000}, {"999999999", 999999999000000000}};
	for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
		assert_int_equal(dry_run_parse_cut(times[i].text, &o), 0);
		assert_int_equal(o.cut, DRY_RUN_CUT_TIME);
		assert_int_equal(o.cut_ns, times[i].ns);
	}
	assert_int_equal(dry_run_parse_cut("packet:18446744073709551615", &o), 0);
	assert_int_equal(o.cut, DRY_RUN_CUT_PACKET);
	assert_int_equal(o.cut_packet, UINT64_MAX);
	assert_int_equal(dry_run_parse_cut("end", &o), 0);
	assert_int_equal(o.cut, DRY_RUN_CUT_END);
}

static void test_cut_by_packet(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, POST);
	answer(&a, "HTTP/1.1 2");
	answer(&a, &OK[strlen("HTTP/1.1 2")]);
	assert_int_equal(cut_at("packet:1"), 1);
	assert_int_equal(number("totals.live"), 0);
	assert_int_equal(cut_at("packet:4"), 4);
	assert_int_equal(ran.code, 0);
	assert_int_equal(number("totals.continue_by_reason.answered-502"), 1);
	assert_int_equal(cut_at("packet:5"), 5);
	assert_int_equal(ran.code, 1);
	assert_float_equal(json_real_value(get("cut.time_s")), 0.004, 1e-9);
	assert_int_equal(cut_at("packet:6"), 6);
	assert_int_equal(ran.code, 0);
	assert_int_equal(cut_at("packet:7"), 6); /* the file has no more packets */
}

static void test_cut_by_time(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	assert_int_equal(cut_at("0"), 1);
	assert_int_equal(cut_at("0.0029"), 3);
	assert_int_equal(cut_at("0.003"), 4);
	assert_int_equal(cut_at("0.003s"), 4);
	assert_int_equal(cut_at("100"), 5);
}

/* The time in a report leads to the same cut again, wherever it is. */
static void test_told_time_cuts_there_again(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	while (packets < 1200)
		acknowledge(&a);
	for (uint64_t i = 1; i <= 1200; i += 7) {
		char text[32];
		options.cut = DRY_RUN_CUT_PACKET;
		options.cut_packet = i;
		run();
		snprintf(text, sizeof text, "%.6f", json_real_value(get("cut.time_s")));
		assert_int_equal(cut_at(text), i);
	}
}

static void test_cut_at_the_end(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	assert_int_equal(cut_at("end"), 3);
	reset(&a);
	assert_int_equal(cut_at("end"), 4);
	assert_int_equal(number("totals.live"), 0);
}

static void test_cut_where_it_is_busiest(void **state)
{
	options.cut = DRY_RUN_CUT_BUSIEST;
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");
	struct talk b = talk_open("10.1.0.8:40000", "10.9.0.1:80");
	for (int i = 0; i < 4; i++)
		acknowledge(&a);
	reset(&b); /* two were live from packet 5, the answer to the SYN, to packet 10 */
	assert_int_equal(packets, 11);
	assert_int_equal(run(), 0);
	assert_int_equal(number("cut.packet"), 8);
	assert_int_equal(number("totals.live"), 2);

	struct talk d = talk_open("10.1.0.9:40000", "10.9.0.1:80");
	reset(&d); /* two again, from 13 to 14: shorter */
	run();
	assert_int_equal(number("cut.packet"), 8);

	talk_open("10.1.0.10:40000", "10.9.0.1:80");
	for (int i = 0; i < 7; i++)
		acknowledge(&a);
	run(); /* from 17 to the last, 25: longer */
	assert_int_equal(packets, 25);
	assert_int_equal(number("cut.packet"), 21);

	struct talk e = talk_open("10.1.0.11:40000", "10.9.0.1:80");
	reset(&e);
	run(); /* three, from 27 to 28: more counts before longer */
	assert_int_equal(number("cut.packet"), 28);
	assert_int_equal(number("totals.live"), 3);
}

static void test_busiest_of_nobody(void **state)
{
	struct talk a = talk("10.1.0.7:40000", "10.9.0.1:80");

	options.cut = DRY_RUN_CUT_BUSIEST;
	from_client(&a, TCP_SYN, "");
	from_client(&a, TCP_SYN, "");
	assert_int_equal(run(), 0);
	assert_int_equal(number("cut.packet"), 2);
	begin_capture();
	assert_int_equal(run(), 0); /* no packet at all */
	assert_int_equal(number("cut.packet"), 0);
	assert_true(json_is_true(get("capture.complete")));
}

/* ---- standard input ---- */

/* DO TERMINAL-TYPE, WILL ECHO, WILL SUPPRESS-GO-AHEAD, and the client's answer. */
#define ASKED  "\xff\xfd\x18\xff\xfb\x01\xff\xfb\x03"
#define AGREED "\xff\xfb\x18\xff\xfd\x01\xff\xfd\x03"

static void all_exact(struct talk *t, long long exact)
{
	answer(t, "login: ");
	ask(t, "a");
	answer(t, "a");
	options.protocol = "telnet";
	options.cut = DRY_RUN_CUT_EVERY;
	options.cut_packet = 1;
	run();
	assert_int_equal(number("wrong"), 0);
	assert_int_equal(number("exact"), exact);
}

/* The server had sent all its questions before it heard anything. The client has not acknowledged
 * them. */
static void test_acknowledged_in_part(void **state)
{
	struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:23");
	const uint32_t lacks = sizeof ASKED - 2;

	answer(&t, ASKED);
	t.server_seq -= lacks;
	ask(&t, AGREED);
	t.server_seq += lacks;
	all_exact(&t, 7);
}

/* The server had sent one byte of them. */
static void test_half_an_option(void **state)
{
	struct talk t = talk_open("10.1.0.7:40000", "10.9.0.1:23");

	answer(&t, "\xff");
	ask(&t, AGREED);
	answer(&t, &ASKED[1]);
	all_exact(&t, 8);
}

static void test_standard_input(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	assert_int_equal(run_pipe(), 0);
	assert_string_equal(json_string_value(get("capture.file")), "-");
	assert_int_equal(number("totals.live"), 1);
	options.server_auto = true; /* the server and the cut need a pass each */
	assert_int_equal(run_pipe(), 66);
	assert_non_null(strstr(ran.err, "cannot be read twice"));
	options.server_auto = false;
	options.cut = DRY_RUN_CUT_BUSIEST;
	assert_int_equal(run_pipe(), 66);
	assert_non_null(strstr(ran.err, "cannot be read twice"));
	write_file(path, "", 0); /* tear_down() removes it */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_all_would_continue),
		CASE(test_some_would_be_refused),
		CASE(test_request_outlives_its_frame),
		CASE(test_silent_for_hours),
		CASE(test_nobody_is_live),
		CASE(test_handshake_cut),
		CASE(test_order_of_rows),
		CASE(test_many_rows),
		CASE(test_what_was_read_is_counted),
		CASE(test_parse_cut),
		CASE(test_cut_by_packet),
		CASE(test_cut_by_time),
		CASE(test_told_time_cuts_there_again),
		CASE(test_cut_at_the_end),
		CASE(test_cut_where_it_is_busiest),
		CASE(test_busiest_of_nobody),
		CASE(test_acknowledged_in_part),
		CASE(test_half_an_option),
		CASE(test_standard_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
