/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Each script of tcp-cases/ is a test; and the language itself. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "tcp-script.h"

#define CASES_MAX 256

/* ---- the language ---------------------------------------------------------------------------- */

static void expect_error(const char *text, const char *says)
{
	struct tcp_script s;
	char error[256] = "";
	int r = tcp_script_parse("t", text, &s, error, sizeof error);

	if (r == 0)
		r = tcp_script_run("t", &s, error, sizeof error);
	tcp_script_deinit(&s);
	assert_int_equal(r, 1);
	if (!strstr(error, says))
		fail_msg("'%s' is not in '%s'", says, error);
}

static void test_errors_have_their_place(void **state)
{
	expect_error("\n+0 < X 0:0(0)\n", "t:2: no such flag: \"X 0:0(0)\"");
	expect_error("+0 < S 0:10(9)", "t:1: the length is not the difference");
	expect_error("+0 < . 1:1(0)", "t:1: a number to acknowledge goes with the flag '.'");
	expect_error("+0 < S 0:0(0) ack 5", "t:1: a number to acknowledge");
	expect_error("now < S 0:0(0)", "t:1: expected a time");
	expect_error("+0 = S 0:0(0)", "t:1: expected '<'");
	expect_error("+0 < S 0:0(0) <mss 1460,fast>", "t:1: no such option: \"fast>\"");
	expect_error("+0 < S 0:0(0) win 70000", "t:1: expected a number in range");
	expect_error("+0 < S 0:0(0) [red]", "t:1: no such attribute: \"red]\"");
	expect_error("+0 < S 0:0(0) now", "t:1: more than a statement: \"now\"");
	expect_error("%{ state }%", "t:1: expected NAME == VALUE");
	expect_error("%{ state == \"x }%", "t:1: a text without an end");
	expect_error("isn router 5", "t:1: expected 'client'");
	expect_error("+0 < S 0:0(0) <raw 0102030405060708091011121314151617181920"
		     "2122232425262728293031323334353637383940ff>",
		     "t:1: more options than a header holds");
}

static void test_failures_say_what_is(void **state)
{
	expect_error("%{ state == \"established\" }%",
		     "t:1: state == \"established\" does not hold: it is \"none\"");
	expect_error("+0 < S 0:0(0)\n%{ flows == 1, flows == 2 }%",
		     "t:2: flows == 2 does not hold: it is 1");
	expect_error("%{ beauty == 1 }%", "t:1: no such number: beauty");
	expect_error("%{ beauty == \"1\" }%", "it is \"no such text\"");
	expect_error("%{ flows != 0 }%", "flows != 0 does not hold");
	expect_error("%{ flows > 0 }%", "flows > 0 does not hold");
	expect_error("%{ flows < 0 }%", "flows < 0 does not hold");
	expect_error("%{ flows >= 1 }%", "flows >= 1 does not hold");
	expect_error("%{ flows <= -1 }%", "flows <= -1 does not hold");
}

/* ---- the cases --------------------------------------------------------------------- */

static char *read_file(const char *path)
{
	FILE *f = fopen(path, "rb");
	char *text = calloc(1, 65536);

	assert_non_null(f);
	assert_non_null(text);
	size_t n = fread(text, 1, 65535, f);
	assert_true(n > 0 && n < 65535);
	fclose(f);
	return text;
}

static void test_case(void **state)
{
	const char *name = *state;
	char path[512], error[512] = "";
	struct tcp_script s;

	snprintf(path, sizeof path, "%s/%s", TCP_CASES, name);
	char *text = read_file(path);
	int r = tcp_script_parse(name, text, &s, error, sizeof error);
	if (r == 0)
		r = tcp_script_run(name, &s, error, sizeof error);
	tcp_script_deinit(&s);
	free(text);
	if (r)
		fail_msg("%s", error);
}

static int is_script(const struct dirent *e)
{
	size_t n = strlen(e->d_name);

	return n > 4 && strcmp(e->d_name + n - 4, ".pkt") == 0;
}

int main(void)
{
	static struct CMUnitTest tests[CASES_MAX] = {
		cmocka_unit_test(test_errors_have_their_place),
		cmocka_unit_test(test_failures_say_what_is),
	};
	struct dirent **list;
	size_t count = 2;
	int n = scandir(TCP_CASES, &list, is_script, alphasort);

	if (n < 1 || (size_t)n + count > CASES_MAX) {
		fprintf(stderr, "%s: %d scripts\n", TCP_CASES, n);
		return 1;
	}
	for (int i = 0; i < n; i++)
		tests[count++] = (struct CMUnitTest){.name = list[i]->d_name,
						     .test_func = test_case,
						     .initial_state = list[i]->d_name};
	int failed = _cmocka_run_group_tests("tcp-cases", tests, count, NULL, NULL);
	for (int i = 0; i < n; i++)
		free(list[i]);
	free(list);
	return failed;
}
