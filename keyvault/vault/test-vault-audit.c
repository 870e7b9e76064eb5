/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "vault-audit.h"

#define NOW_NS (INT64_C(1796000000) * 1000000000)

static char dir[64], path[128];
static char content[1 << 16];
static size_t content_n;

static int setup(void **state)
{
	strcpy(dir, "/tmp/vault-audit-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof path, "%s/audit.log", dir);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static void read_log(void)
{
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	content_n = fread(content, 1, sizeof content - 1, f);
	content[content_n] = 0;
	fclose(f);
}

static void write_log(const char *p, size_t n)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static int verify(uint64_t *line)
{
	*line = 0;
	return vault_audit_verify(dir, line);
}

/* Three lines. */
static void make(void)
{
	static const uint64_t numbers[] = {1, 2, 3, 9, 11, 12};
	struct vault_audit *a;

	assert_int_equal(vault_audit_open(dir, &a), 0);
	struct audit_line l = {"recovery", "fetch", "failover", "web1 7", numbers, 6};
	assert_int_equal(vault_audit_write(a, NOW_NS + 5, &l), 0);
	vault_audit_close(a);
	assert_int_equal(vault_audit_open(dir, &a), 0);
	assert_int_equal(vault_audit_write(a, NOW_NS, &(struct audit_line){"root", "revoke"}), 0);
	l = (struct audit_line){"recovery", "fetch", "drill", "not \xff UTF-8", NULL, 0};
	assert_int_equal(vault_audit_write(a, NOW_NS, &l), 0);
	vault_audit_close(a);
}

static void test_lines(void **state)
{
	uint64_t line;

	assert_int_equal(verify(&line), AUDIT_WHOLE); /* none yet */
	make();
	assert_int_equal(verify(&line), AUDIT_WHOLE);
	assert_int_equal(line, 3);
	read_log();
	assert_non_null(strstr(content, "\"time\":\"2026-11-30T"));
	assert_non_null(strstr(content, ".000000005Z\""));
	assert_non_null(strstr(content, "\"numbers\":\"1-3,9,11-12\""));
	assert_non_null(strstr(content, "\"text\":\"web1 7\""));
	assert_null(strstr(content, "UTF-8"));
}

/* Any byte changed in any line. */
static void test_a_changed_byte(void **state)
{
	static char changed[1 << 16];
	uint64_t line;

	make();
	read_log();
	for (size_t i = 0; i < content_n; i++) {
		memcpy(changed, content, content_n);
		changed[i] ^= 1;
		write_log(changed, content_n);
		assert_int_not_equal(verify(&line), AUDIT_WHOLE);
	}
	write_log(content, content_n);
	assert_int_equal(verify(&line), AUDIT_WHOLE);
}

static void test_lines_taken_out(void **state)
{
	struct vault_audit *a;
	uint64_t line;

	make();
	read_log();
	const char *second = strchr(content, '\n') + 1, *third = strchr(second, '\n') + 1;
	write_log(second, content_n - (size_t)(second - content));
	assert_int_equal(verify(&line), AUDIT_BROKEN);
	assert_int_equal(line, 1);
	write_log(content, (size_t)(third - content));
	assert_int_equal(verify(&line), AUDIT_SHORT);
	assert_int_equal(vault_audit_open(dir, &a), -EBADMSG);
	unlink(path);
	assert_int_equal(verify(&line), AUDIT_SHORT);
}

/* The power went while a line was being written, or before its head was. */
static void test_a_line_cut_short(void **state)
{
	struct vault_audit *a;
	uint64_t line;

	make();
	read_log();
	content[content_n] = '{';
	write_log(content, content_n + 1);
	assert_int_equal(verify(&line), AUDIT_WHOLE);
	assert_int_equal(vault_audit_open(dir, &a), 0);
	assert_int_equal(vault_audit_write(a, NOW_NS, &(struct audit_line){"root", "verify"}), 0);
	vault_audit_close(a);
	assert_int_equal(verify(&line), AUDIT_WHOLE);
	assert_int_equal(line, 4);
	snprintf(path, sizeof path, "%s/audit.head", dir);
	unlink(path);
	assert_int_equal(verify(&line), AUDIT_WHOLE);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_lines),
		TEST(test_a_changed_byte),
		TEST(test_lines_taken_out),
		TEST(test_a_line_cut_short),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
