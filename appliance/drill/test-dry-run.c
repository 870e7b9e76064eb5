/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Which connections a drill asks about, where it cuts, and how it ends. */
#include "test/dry-run-rig.h"

#include <errno.h>
#include <fcntl.h>

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

/* The box forgets who is silent for so long (WATCH_IDLE_TIMEOUT_NS), and so does the drill. */
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
	/* One that speaks again after all is a new one to both. */
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

/* Ordered by client: the same file gives the same report. */
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

/* More rows than one step of the table. */
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
	record(b.p, b.n, 40); /* cut by the capture before the TCP header */
	buf_append(&b, zeros, 20);
	record(b.p, b.n, b.n); /* a TCP header with a length of 0 */
	b.p[9] = 17;
	record(b.p, b.n, b.n); /* UDP */
	buf_deinit(&b);
	/* Fragments are attributed after 10 ms. */
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

/* ---- who is protected ---- */

static void three_servers(void)
{
	talk_open("10.1.0.7:40000", "10.9.0.2:80");
	talk_open("10.1.0.7:40001", "10.9.0.1:80");
	talk_open("10.1.0.7:40002", "10.9.0.1:25");
	talk_open("[fd01::7]:40003", "[fd09::1]:8080");
}

static const char *the_server(void)
{
	assert_int_equal(json_array_size(get("servers")), 1);
	return json_string_value(json_array_get(get("servers"), 0));
}

static void test_server_auto(void **state)
{
	three_servers();
	options.server = (struct endpoint){0};
	options.server_auto = true;
	assert_int_equal(run(), 1);
	assert_string_equal(the_server(), "10.9.0.1"); /* answered two SYNs */
	assert_int_equal(number("totals.live"), 2);    /* all its ports */
	assert_int_equal(number("totals.refuse_by_reason.no-module"), 1);
	assert_string_equal(word(connection(1), "server"), "10.9.0.1:25");
	assert_string_equal(word(connection(1), "module"), "-");
}

static void test_server_auto_finds_nobody(void **state)
{
	struct talk a = talk("10.1.0.7:40000", "10.9.0.1:80");

	from_client(&a, TCP_SYN, "");
	from_server(&a, TCP_ACK | TCP_RST, "");
	options.server_auto = true;
	assert_int_equal(run(), 78);
	assert_string_equal(ran.out, "");
	assert_non_null(strstr(ran.err, "nobody answers a SYN"));
	assert_non_null(strstr(ran.err, path));
}

static void many(const char *server, int first, int n)
{
	char client[32];

	for (int i = first; i < first + n; i++) {
		snprintf(client, sizeof client, "10.1.0.7:%d", 40000 + i);
		talk_open(client, server);
	}
}

/* Not the one that does at the beginning of the file, nor before the cut. */
static void test_server_auto_counts_all(void **state)
{
	static const enum dry_run_cut cuts[] = {DRY_RUN_CUT_END, DRY_RUN_CUT_BUSIEST,
						DRY_RUN_CUT_PACKET, DRY_RUN_CUT_EVERY};

	many("10.9.0.3:80", 0, 100);
	many("10.9.0.1:80", 100, 120);
	options.server = (struct endpoint){0};
	options.server_auto = true;
	options.cut_packet = 311;
	for (size_t i = 0; i < sizeof cuts / sizeof cuts[0]; i++) {
		options.cut = cuts[i];
		assert_int_equal(run(), 0);
		assert_string_equal(the_server(), "10.9.0.1");
		if (cuts[i] != DRY_RUN_CUT_EVERY)
			assert_int_equal(number("totals.live"),
					 cuts[i] == DRY_RUN_CUT_PACKET ? 4 : 120);
	}
}

/* A refusal of a SYN is no answer to it. */
static void test_server_auto_counts_answers_only(void **state)
{
	for (int i = 0; i < 5; i++) {
		struct talk no = talk("10.1.0.7:40000", "10.9.0.3:80");
		from_client(&no, TCP_SYN, "");
		from_server(&no, TCP_ACK | TCP_RST, "");
	}
	talk_open("10.1.0.7:40001", "10.9.0.1:80");
	options.server_auto = true;
	assert_int_equal(run(), 0);
	assert_string_equal(the_server(), "10.9.0.1");
}

static void test_server_with_port(void **state)
{
	three_servers();
	endpoint_parse("10.9.0.1:80", false, &options.server);
	assert_int_equal(run(), 0);
	assert_string_equal(the_server(), "10.9.0.1:80");
	assert_int_equal(number("totals.live"), 1);
}

static void test_server_ipv6(void **state)
{
	three_servers();
	endpoint_parse("fd09::1", true, &options.server);
	assert_int_equal(run(), 0);
	assert_string_equal(the_server(), "fd09::1");
	assert_string_equal(word(connection(0), "client"), "[fd01::7]:40003");
	assert_string_equal(word(connection(0), "module"), "http"); /* well-known port */
}

static void test_protocol_is_for_all_ports(void **state)
{
	three_servers();
	options.protocol = "http";
	assert_int_equal(run(), 0);
	assert_int_equal(number("totals.live"), 2);
	assert_string_equal(word(connection(1), "module"), "http");
}

static void assert_no_module(const char *sentence)
{
	assert_int_equal(run(), 78);
	assert_string_equal(ran.out, "");
	assert_non_null(strstr(ran.err, sentence));
}

static void test_no_such_module(void **state)
{
	three_servers();
	options.protocol = "gopher";
	assert_no_module("module gopher: ");
	options.protocol = "../http";
	assert_no_module("module ../http: ");
	options.protocol = NULL;
	options.modules_dir = "/nonexistent/modules";
	assert_no_module("/nonexistent/modules");
}

/* A protocol with connections on other ports has to say which its own is, or to be told. */
static void test_port_of_a_module(void **state)
{
	three_servers();
	options.protocol = "ftp";
	run();
	assert_string_equal(the_server(), "10.9.0.1:21");
	options.server.port = 80;
	run();
	assert_string_equal(the_server(), "10.9.0.1:80");
}

static void test_module_without_a_port(void **state)
{
	char leader[64], another[64];

	three_servers();
	snprintf(leader, sizeof leader, "%s/leader.so", folder);
	snprintf(another, sizeof another, "%s/another.so", folder);
	assert_int_equal(symlink(MODULES_DIR "/host/test-leader.so", leader), 0);
	assert_int_equal(symlink(MODULES_DIR "/host/test-another.so", another), 0);
	options.modules_dir = folder;
	options.protocol = "leader";
	assert_no_module("module leader: it names no port of its own: say --server ADDR:PORT");
	options.server.port = 80;
	assert_int_equal(run(), 1);
	assert_string_equal(the_server(), "10.9.0.1:80");
	assert_int_equal(unlink(leader), 0);
	assert_int_equal(unlink(another), 0);
}

static struct config *configured(const char *text)
{
	struct config *c;

	assert_int_equal(config_parse(bytes_str(text), "drill.yaml", stderr, &c), CONFIG_OK);
	return c;
}

static void test_config(void **state)
{
	struct config *c = configured(
		"capture: {interfaces: [eth0]}\n"
		"servers:\n"
		"- name: web-1\n"
		"  addresses: [10.9.0.1, \"fd09::1\"]\n"
		"  backups: [{address: 10.9.0.9}, {address: \"fd09::9\"}]\n"
		"  services: [{port: 80, protocol: http}, {port: 8080, protocol: http}]\n"
		"  health: {interval: 200ms, timeout: 300ms, fall: 5}\n"
		"- name: web-2\n"
		"  addresses: [10.9.0.2]\n"
		"  backups: [{address: 10.9.0.9}]\n"
		"  services: [{port: 443, protocol: http}]\n");

	three_servers();
	options.config = c;
	options.server = (struct endpoint){0};
	assert_int_equal(run(), 0);
	assert_int_equal(json_array_size(get("servers")), 2);
	assert_string_equal(json_string_value(json_array_get(get("servers"), 0)), "web-1");
	assert_string_equal(json_string_value(json_array_get(get("servers"), 1)), "web-2");
	assert_int_equal(number("totals.live"), 2); /* port 25 and 10.9.0.2:80 are not protected */
	assert_string_equal(word(connection(0), "server"), "10.9.0.1:80");
	assert_string_equal(word(connection(1), "server"), "[fd09::1]:8080");
	assert_float_equal(json_real_value(get("detection_bound_ms")), 1300, 1e-9);
	config_free(c);
}

static void test_config_with_missing_module(void **state)
{
	struct config *c = configured("capture: {interfaces: [eth0]}\n"
				      "servers:\n"
				      "- name: web-1\n"
				      "  addresses: [10.9.0.1]\n"
				      "  backups: [{address: 10.9.0.9}]\n"
				      "  services: [{port: 70, protocol: gopher}]\n");

	three_servers();
	options.config = c;
	assert_no_module("module gopher: ");
	config_free(c);
}

/* ---- where it is cut ---- */

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

static long long cut_at(const char *text)
{
	assert_int_equal(dry_run_parse_cut(text, &options), 0);
	assert_true(run() == 0 || ran.code == 1);
	assert_true(json_is_true(get("capture.complete")));
	assert_int_equal(number("capture.packets"), number("cut.packet"));
	return number("cut.packet");
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
	assert_int_equal(cut_at("packet:7"), 6); /* there are no more */
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

/* The time a report tells cuts at the same place again, wherever that is. */
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
	reset(&b); /* two were live from packet 5, its answer, to packet 10 */
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

/* ---- damage ---- */

/* A message naming packet and place, and a report of what came before. */
static void assert_damaged(uint32_t at, const char *detail)
{
	char message[160];

	assert_int_equal(ran.code, 65);
	snprintf(message, sizeof message, "jeebs-appliance: %s: packet %u, offset %zu: ", path, at,
		 offset[at]);
	assert_memory_equal(ran.err, message, strlen(message));
	assert_non_null(strstr(ran.err, detail));
	assert_true(json_is_false(get("capture.complete")));
	assert_int_equal(number("capture.packets"), at - 1);
	assert_int_equal(number("cut.packet"), at - 1);
	assert_int_equal(number("capture.error.packet"), at);
	assert_int_equal(number("capture.error.offset"), offset[at]);
	assert_non_null(strstr(json_string_value(get("capture.error.detail")), detail));
}

static void test_truncated(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	size_t whole = capture.n;
	for (size_t n = offset[5] + 1; n < whole; n++) {
		capture.n = n;
		run();
		assert_damaged(5, "the file ends inside");
		assert_string_equal(word(connection(0), "reason"), "replay");
	}
	capture.n = offset[5]; /* between packets: nothing wrong */
	assert_int_equal(run(), 0);
	capture.n = whole;
	assert_int_equal(run(), 0);
}

static void test_corrupt(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	memset(capture.p + offset[4] + 8, 0xff, 4); /* its captured length */
	run();
	assert_damaged(4, "captured bytes");
	assert_int_equal(number("totals.live"), 1);
	options.server_auto = true; /* found before the damage */
	run();
	assert_damaged(4, "captured bytes");
}

/*
 * The default cut is found by reading all of the file, and so is who is the server:
 * it is told that this was not possible, though the cut lies before the damage.
 */
static void test_damage_behind_a_cut_that_was_looked_for(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	while (packets < 9)
		acknowledge(&a);
	capture.n = offset[9] + 5;
	for (int kind = 1; kind < 4; kind++) {
		options.server_auto = kind & 1;
		options.cut = kind & 2 ? DRY_RUN_CUT_BUSIEST : DRY_RUN_CUT_PACKET;
		options.cut_packet = 5;
		assert_int_equal(run(), 65);
		assert_non_null(strstr(ran.err, ": packet 9, offset "));
		assert_int_equal(number("cut.packet"), 5);
		assert_int_equal(number("totals.live"), 1);
		assert_true(json_is_false(get("capture.complete")));
		assert_int_equal(number("capture.error.packet"), 9);
		assert_int_equal(number("capture.error.offset"), offset[9]);
	}
}

static void test_damage_behind_the_cut(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	memset(capture.p + offset[4] + 8, 0xff, 4);
	assert_int_equal(cut_at("packet:3"), 3);
	assert_int_equal(ran.code, 0);
	assert_string_equal(ran.err, "");
}

static void test_damaged_before_anybody_answered(void **state)
{
	talk_open("10.1.0.7:40000", "10.9.0.1:80");
	capture.n = offset[2] + 20;
	options.server_auto = true;
	assert_int_equal(run(), 65);
	assert_non_null(strstr(ran.err, "packet 2, offset"));
}

static void test_not_a_capture(void **state)
{
	static const char *const files[] = {"", "x", "#!/bin/sh\nexit 0\n# and so on\n"};

	for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
		for (int kind = 0; kind < 4; kind++) {
			options.server_auto = kind & 1;
			options.cut = kind & 2 ? DRY_RUN_CUT_BUSIEST : DRY_RUN_CUT_END;
			write_file(path, files[i], strlen(files[i]));
			assert_int_equal(run_file(), 65);
			assert_string_equal(ran.out, ""); /* nothing to report on */
			assert_non_null(strstr(ran.err, path));
			assert_non_null(strstr(ran.err, "packet 1, offset 0: "));
		}
	}
}

static void test_cannot_be_read(void **state)
{
	options.path = "/nonexistent/capture.pcap";
	assert_int_equal(run_file(), 66);
	assert_string_equal(ran.out, "");
	assert_string_equal(ran.err, "jeebs-appliance: /nonexistent/capture.pcap: No such file or "
				     "directory\n");
	options.path = folder;
	assert_int_equal(run_file(), 66);
	assert_non_null(strstr(ran.err, "Is a directory"));
}

/* ---- standard input ---- */

/* As `cat capture | jeebs-appliance --dry-run -`. */
static int run_pipe(void)
{
	int ends[2], saved = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_true(capture.n <= 4096); /* what a pipe always holds */
	assert_int_equal(write(ends[1], capture.p, capture.n), capture.n);
	close(ends[1]);
	dup2(ends[0], STDIN_FILENO);
	close(ends[0]);
	options.path = "-";
	run_file();
	if (saved >= 0)
		dup2(saved, STDIN_FILENO);
	close(saved);
	return ran.code;
}

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

/* The server had asked all of it before it heard anything, though the client has not said so. */
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

/* It had asked one byte of it. */
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
	options.server_auto = true; /* each of the two needs a pass of its own */
	assert_int_equal(run_pipe(), 66);
	assert_non_null(strstr(ran.err, "cannot be read twice"));
	options.server_auto = false;
	options.cut = DRY_RUN_CUT_BUSIEST;
	assert_int_equal(run_pipe(), 66);
	assert_non_null(strstr(ran.err, "cannot be read twice"));
	write_file(path, "", 0); /* for tear_down() */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_all_would_continue),
		CASE(test_some_would_be_refused),
		CASE(test_silent_for_hours),
		CASE(test_nobody_is_live),
		CASE(test_handshake_cut),
		CASE(test_order_of_rows),
		CASE(test_many_rows),
		CASE(test_what_was_read_is_counted),
		CASE(test_server_auto),
		CASE(test_server_auto_counts_all),
		CASE(test_server_auto_finds_nobody),
		CASE(test_server_auto_counts_answers_only),
		CASE(test_server_with_port),
		CASE(test_server_ipv6),
		CASE(test_protocol_is_for_all_ports),
		CASE(test_no_such_module),
		CASE(test_port_of_a_module),
		CASE(test_module_without_a_port),
		CASE(test_config),
		CASE(test_config_with_missing_module),
		CASE(test_parse_cut),
		CASE(test_cut_by_packet),
		CASE(test_cut_by_time),
		CASE(test_told_time_cuts_there_again),
		CASE(test_cut_at_the_end),
		CASE(test_cut_where_it_is_busiest),
		CASE(test_busiest_of_nobody),
		CASE(test_truncated),
		CASE(test_corrupt),
		CASE(test_damage_behind_a_cut_that_was_looked_for),
		CASE(test_damage_behind_the_cut),
		CASE(test_damaged_before_anybody_answered),
		CASE(test_not_a_capture),
		CASE(test_cannot_be_read),
		CASE(test_acknowledged_in_part),
		CASE(test_half_an_option),
		CASE(test_standard_input),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
