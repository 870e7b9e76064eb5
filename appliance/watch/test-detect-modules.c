/* SPDX-License-Identifier: GPL-3.0-or-later */
/* How conversations begin, byte by byte, and which of the modules that are built says it is its
 * own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "detect.h"
#include "recovery-modules/host/module-host.h"

#define TURNS_MAX 6

static struct module_host *host;
static const struct jeebs_module *const *candidates;
static uint32_t count;

/* What is said. The client's turns begin with '>', the server's with '<'. */
static const struct opening {
	const char *module; /* NULL: no module */
	const char *turn[TURNS_MAX];
} openings[] = {
	{"http", {">GET / HTTP/1.1\r\nHost: a\r\n\r\n", "<HTTP/1.1 200 OK\r\n\r\n"}},
	{"http", {">\r\nPOST /x HTTP/1.0\r\n\r\n", "<HTTP/1.0 404 Not Found\r\n\r\n"}},
	{"http", {">M-SEARCH * HTTP/1.1\r\n\r\n"}},
	{"ftp", {"<220 (vsFTPd 3.0.3)\r\n", ">USER anonymous\r\n", "<331 Password\r\n"}},
	{"ftp", {"<220-Welcome\r\n220 ready\r\n", ">FEAT\r\n", "<211-Features:\r\n"}},
	{"ftp", {"<220 ", "<ProFTPD\r\n", ">AUTH TLS\r\n"}},
	{"smtp", {"<220 mail.example ESMTP Postfix\r\n", ">EHLO client.example\r\n"}},
	{"smtp", {"<220 mail.example ESMTP Exim 4.96\r\n", ">helo client.example\r\n"}},
	{"telnet", {"<\xff\xfd\x18\xff\xfd\x20", ">\xff\xfb\x18"}},
	{"telnet", {">\xff\xfb\x1f", "<\xff\xfd\x1f"}},
	{"tls:auto", {">\x16\x03\x01\x02\x30\x01", "<\x16\x03\x03\x01"}},
	{NULL, {">\x16\x03\x01\x02\x30\x02", "<\x16\x03\x03\x01"}},
	/* redis, memcached, SSH, a greeting of POP3, a line of text. */
	{NULL, {">*1\r\n$4\r\nPING\r\n", "<+PONG\r\n"}},
	{NULL, {">GET k\r\n", "<$5\r\nhello\r\n"}},
	{NULL, {">get k\r\n", "<END\r\n"}},
	{NULL, {"<SSH-2.0-OpenSSH_9.2p1\r\n", ">SSH-2.0-OpenSSH_9.2p1\r\n"}},
	{NULL, {"<+OK POP3\r\n", ">USER a\r\n"}},
	{NULL, {">hello there\r\n", "<hello there\r\n"}},
	/* HTTP/2 with prior knowledge is no HTTP/1. */
	{"h2", {">PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"}},
	{NULL, {">PRI * HTTP/2.1\r\n\r\n"}},
};

static bool have(const char *module)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(candidates[i]->name, module) == 0)
			return true;
	return false;
}

static void check(const struct opening *o)
{
	const struct jeebs_module *chosen = NULL;
	uint8_t room[2][512];
	size_t n[2] = {0, 0};
	enum detect_outcome outcome = DETECT_WAIT;

	for (size_t i = 0; i < TURNS_MAX && o->turn[i]; i++) {
		uint32_t dir = o->turn[i][0] == '>' ? JEEBS_TO_SERVER : JEEBS_TO_CLIENT;
		for (const char *p = o->turn[i] + 1; *p; p++) {
			room[dir][n[dir]++] = (uint8_t)*p;
			const struct bytes said[2] = {bytes_of(room[0], n[0]),
						      bytes_of(room[1], n[1])};
			const struct jeebs_module *now = NULL;
			enum detect_outcome was = outcome;
			outcome = detect_choose(candidates, count, said, &now);
			/* The result must be the same for any chunks. */
			if (was != DETECT_WAIT)
				assert_int_equal(outcome, was);
			if (chosen)
				assert_ptr_equal(now, chosen);
			chosen = now;
			if (chosen)
				assert_string_equal(chosen->name, o->module ? o->module : "-");
		}
	}
	bool known = o->module && have(o->module);
	if (known != (outcome == DETECT_CHOSEN))
		fail_msg("\"%s\": %s", o->turn[0], known ? "not known" : "known");
	if (!o->module)
		assert_int_equal(outcome, DETECT_NOBODY);
}

static void test_openings(void **state)
{
	for (size_t i = 0; i < sizeof openings / sizeof openings[0]; i++)
		check(&openings[i]);
}

/* Without any bytes no module is chosen. */
static void test_nothing(void **state)
{
	const struct bytes none[2] = {BYTES_NONE, BYTES_NONE};
	const struct jeebs_module *m = NULL;

	assert_int_equal(detect_choose(candidates, count, none, &m), DETECT_WAIT);
	for (uint32_t i = 0; i + 1 < count; i++)
		assert_true(strcmp(candidates[i]->name, candidates[i + 1]->name) < 0);
	/* Protocols that bytes cannot show are not candidates. */
	assert_true(have("http"));
	assert_false(have("replay"));
	assert_false(have("adopt"));
}

static int setup(void **state)
{
	char error[256];

	host = module_host_new(MODULES_DIR);
	assert_non_null(host);
	int r = module_host_detecting(host, &candidates, &count, error, sizeof error);
	if (r < 0)
		fail_msg("%s", error);
	return 0;
}

static int teardown(void **state)
{
	host = module_host_free(host);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_openings),
		cmocka_unit_test(test_nothing),
	};
	return cmocka_run_group_tests_name("detect-modules", tests, setup, teardown);
}
