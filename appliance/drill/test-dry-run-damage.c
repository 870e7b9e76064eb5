/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Dry runs on files that are damaged, or no captures. */
#include "test/dry-run-rig.h"

#include <errno.h>
#include <fcntl.h>

/* The message names the packet and the place. The report covers what came before. */
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
	capture.n = offset[5]; /* the end of a packet: no damage */
	assert_int_equal(run(), 0);
	capture.n = whole;
	assert_int_equal(run(), 0);
}

static void test_corrupt(void **state)
{
	struct talk a = talk_open("10.1.0.7:40000", "10.9.0.1:80");

	ask(&a, GET);
	answer(&a, OK);
	memset(capture.p + offset[4] + 8, 0xff, 4); /* the packet's captured length */
	run();
	assert_damaged(4, "captured bytes");
	assert_int_equal(number("totals.live"), 1);
	options.server_auto = true; /* the server is found before the damage */
	run();
	assert_damaged(4, "captured bytes");
}

/*
 * The default cut and the server are found by reading the whole file. The report says that this was
 * not possible, though the cut lies before the damage.
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
			assert_string_equal(ran.out, ""); /* there is nothing to report */
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_truncated),
		CASE(test_corrupt),
		CASE(test_damage_behind_a_cut_that_was_looked_for),
		CASE(test_damage_behind_the_cut),
		CASE(test_damaged_before_anybody_answered),
		CASE(test_not_a_capture),
		CASE(test_cannot_be_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
