/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dry runs: which server is protected, by the command line or by a configuration. */
#include "test/dry-run-rig.h"

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
	assert_string_equal(the_server(), "10.9.0.1"); /* it has answered two SYNs */
	assert_int_equal(number("totals.live"), 2);    /* on all its ports */
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

/* The whole file decides, and not its beginning, or what is before the cut. */
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

/* A RST does not answer a SYN. */
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
	assert_string_equal(word(connection(0), "module"), "http"); /* by its well-known port */
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

/* A protocol with connections on other ports names its own port, or is given one. */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
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
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
