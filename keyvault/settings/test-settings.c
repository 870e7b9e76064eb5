/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "config-text/config-report.h"
#include "settings.h"

enum {
	OPT_DIR = 256,
	OPT_VAULT,
};

static const struct option options[] = {
	{"dir", required_argument, NULL, OPT_DIR},
	{"vault", required_argument, NULL, OPT_VAULT},
	{"debug", no_argument, NULL, 'd'},
	{0},
};

/* What was handed over, and what was said of it. */
static char taken[512], said[4096];

static const char *take(void *ctx, int option, const char *value)
{
	snprintf(taken + strlen(taken), sizeof taken - strlen(taken), "%s=%s;",
		 option == OPT_DIR ? "dir" : "vault", value);
	return strcmp(value, "bad") == 0 ? "no good" : NULL;
}

static int read_text(const char *text)
{
	char path[] = "/tmp/test-settings-XXXXXX";
	struct settings *s = NULL;
	int fd = mkstemp(path);
	FILE *errors = fmemopen(said, sizeof said, "w");

	assert_true(fd >= 0 && errors);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	close(fd);
	taken[0] = said[0] = 0;
	int r = settings_read(path, options, take, NULL, errors, &s);
	fclose(errors);
	unlink(path);
	settings_free(s);
	return r;
}

/* @said has "FILE:@place: @what". */
static void assert_said(const char *place, const char *what)
{
	char line[256];

	snprintf(line, sizeof line, ":%s: %s\n", place, what);
	if (!strstr(said, line))
		fail_msg("'%s' is not in:\n%s", line, said);
}

static void test_values_in_order(void **state)
{
	assert_int_equal(read_text("# of web1\nvault: [\"a:1\", b:2]\ndir: /x\n"), 0);
	assert_string_equal(taken, "vault=a:1;vault=b:2;dir=/x;");
	assert_string_equal(said, "");
}

static void test_all_errors_with_their_places(void **state)
{
	assert_int_equal(read_text("dir: bad\n"
				   "  \n"
				   "vaults: x\n"
				   "vault:\n"
				   "  - good\n"
				   "  - {a: b}\n"
				   "  -\n"
				   "debug: yes\n"
				   "dir: again\n"
				   "[a]: b\n"),
			 CONFIG_INVALID);
	assert_string_equal(taken, "dir=bad;vault=good;");
	assert_said("1:6", "'bad': no good");
	assert_said("3:1", "unknown key 'vaults'");
	assert_said("6:5", "'vault' needs a value");
	assert_said("7:4", "'vault' needs a value");
	assert_said("8:1", "unknown key 'debug'");
	assert_said("9:1", "'dir' is there twice");
	assert_said("10:1", "a name is expected");
	assert_non_null(strstr(said, "\n  dir: bad\n       ^\n"));
}

static void test_what_is_no_mapping(void **state)
{
	assert_int_equal(read_text(""), CONFIG_INVALID);
	assert_said("1:1", "the file is empty");
	assert_int_equal(read_text("- dir\n"), CONFIG_INVALID);
	assert_said("1:1", "'name: value' is expected");
	assert_int_equal(read_text("dir: *x\n"), CONFIG_INVALID);
	assert_said("1:6", "aliases (*) are not allowed here");
	assert_int_equal(read_text("dir: [x\n"), CONFIG_INVALID);
	char *long_text = malloc((65 << 10) + 1);
	assert_non_null(long_text);
	memset(long_text, '#', 65 << 10);
	long_text[65 << 10] = 0;
	assert_int_equal(read_text(long_text), CONFIG_INVALID);
	assert_said("1:1", "the file is too long");
	free(long_text);
}

static void test_no_file(void **state)
{
	struct settings *s;

	assert_int_equal(settings_read("/nowhere/x", options, take, NULL, stderr, &s), -ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_values_in_order),
		cmocka_unit_test(test_all_errors_with_their_places),
		cmocka_unit_test(test_what_is_no_mapping),
		cmocka_unit_test(test_no_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
