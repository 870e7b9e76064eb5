/* SPDX-License-Identifier: GPL-3.0-or-later */
/* outer/inner/program, and who else could have written it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "file-trust.h"

#define STRANGER 12345

static char outer[] = "/tmp/test-file-trust-XXXXXX";
static char inner[64], program[80], link_folder[64], link_path[80];

static int set_up(void **state)
{
	(void)state;
	strcpy(outer + sizeof outer - 7, "XXXXXX");
	if (!mkdtemp(outer))
		return -1;
	snprintf(inner, sizeof inner, "%s/inner", outer);
	snprintf(program, sizeof program, "%s/program", inner);
	snprintf(link_folder, sizeof link_folder, "%s/links", outer);
	snprintf(link_path, sizeof link_path, "%s/program", link_folder);
	int fd = mkdir(inner, 0755) < 0 || mkdir(link_folder, 0755) < 0
			 ? -1
			 : open(program, O_CREAT | O_WRONLY, 0755);
	return fd < 0 || close(fd) < 0 || symlink(program, link_path) < 0 ? -1 : 0;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(link_path);
	unlink(program);
	return rmdir(link_folder) < 0 || rmdir(inner) < 0 || rmdir(outer) < 0 ? -1 : 0;
}

static void expect(const char *path, int want, const char *says)
{
	char resolved[PATH_MAX], error[PATH_MAX + 128] = "";
	int r = file_trust_check(path, resolved, error, sizeof error);

	if (r != want)
		fail_msg("%d: %s", r, error);
	if (want == 0)
		assert_string_equal(resolved, program);
	else if (!strstr(error, says))
		fail_msg("\"%s\" is not in: %s", says, error);
}

static void test_modes(void **state)
{
	static const struct {
		const char *path;
		mode_t mode, usual;
		int want;
	} cases[] = {
		{program, 0666, 0755, -EPERM},         {inner, 0777, 0755, -EPERM},
		{inner, S_ISVTX | 0777, 0755, -EPERM}, {outer, 0777, 0700, -EPERM},
		{outer, 0703, 0700, -EPERM},           {outer, 0755, 0700, 0},
	};

	(void)state;
	expect(program, 0, "");
	expect(link_path, 0, "");
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		assert_int_equal(chmod(cases[i].path, cases[i].mode), 0);
		expect(program, cases[i].want, cases[i].path);
		assert_int_equal(chmod(cases[i].path, cases[i].usual), 0);
	}
	/* The folder of the link counts too. */
	assert_int_equal(chmod(link_folder, 0777), 0);
	expect(program, 0, "");
	expect(link_path, -EPERM, link_folder);
}

static void test_owners(void **state)
{
	const char *const paths[] = {program, inner, outer};

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away: NOT CHECKED\n");
		skip();
	}
	for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
		struct stat st;
		assert_int_equal(stat(paths[i], &st), 0);
		assert_int_equal(chown(paths[i], STRANGER, 0), 0);
		expect(program, -EPERM, paths[i]);
		assert_int_equal(chown(paths[i], 0, STRANGER), 0);
		expect(program, 0, ""); /* the group may not write */
		assert_int_equal(chmod(paths[i], 0775), 0);
		expect(program, -EPERM, paths[i]);
		assert_int_equal(chown(paths[i], 0, 0), 0);
		expect(program, 0, ""); /* root's group */
		assert_int_equal(chmod(paths[i], st.st_mode & 07777), 0);
	}
	/* A sticky folder like /tmp: only the owner of an entry can replace it. A stranger's
	 * entry is still the stranger's. */
	assert_int_equal(chmod(outer, S_ISVTX | 0777), 0);
	expect(program, 0, "");
	assert_int_equal(chown(outer, STRANGER, 0), 0);
	expect(program, -EPERM, outer);
	assert_int_equal(chown(outer, 0, 0), 0);
}

/* Whoever owns the running program also owns what is beside it: a user's build tree, in which
 * root runs the tests. */
static void test_owner_of_this_program(void **state)
{
	struct stat st;

	(void)state;
	if (geteuid() != 0) {
		print_message("only root can give a file away: NOT CHECKED\n");
		skip();
	}
	assert_int_equal(stat("/proc/self/exe", &st), 0);
	assert_int_equal(chown("/proc/self/exe", STRANGER, st.st_gid), 0);
	assert_int_equal(chown(inner, STRANGER, 0), 0);
	expect(program, 0, "");
	assert_int_equal(chown("/proc/self/exe", st.st_uid, st.st_gid), 0);
	expect(program, -EPERM, inner);
	assert_int_equal(chown(inner, 0, 0), 0);
}

static void test_no_file(void **state)
{
	(void)state;
	expect("/nowhere/program", -ENOENT, "/nowhere/program: No such file");
	expect(inner, -ENOEXEC, "not a regular file");
}

int main(void)
{
#define TEST(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(test_modes),
		TEST(test_owners),
		TEST(test_owner_of_this_program),
		TEST(test_no_file),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
