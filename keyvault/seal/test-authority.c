/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "authority.h"
#include "test/seal-rig.h"

static char dir[64];
static char error[512];
static struct authority authority = {.dir = dir, .now_ns = RIG_NOW_NS};

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static int set_up(void **state)
{
	strcpy(dir, "/tmp/jeebs-authority-XXXXXX");
	error[0] = 0;
	authority.now_ns = RIG_NOW_NS;
	return mkdtemp(dir) && authority_init(&authority, error, sizeof error) == 0 ? 0 : -1;
}

static int tear_down(void **state)
{
	return nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static unsigned next;
	char *p = path[next++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", dir, name);
	return p;
}

static int add_origin(const char *name, const char *address)
{
	struct netaddr a;

	assert_int_equal(netaddr_parse(address, &a), 0);
	return authority_add_origin(&authority, name, &a, 1, error, sizeof error);
}

static struct identity *identity_in(const char *folder, const char *role_name,
				    enum identity_role role)
{
	char certificate[256], key[256];
	struct identity *i = NULL;

	snprintf(certificate, sizeof certificate, "%s/%s/%s.crt", dir, folder, role_name);
	snprintf(key, sizeof key, "%s/%s/%s.key", dir, folder, role_name);
	int r = identity_open(certificate, key, role, &i, error, sizeof error);
	if (r < 0)
		fail_msg("%s", error);
	return i;
}

static struct trust *trust_in_dir(void)
{
	struct trust *t = NULL;

	if (trust_open(in_dir("ca.crt"), in_dir("ca.crl"), &t, error, sizeof error) < 0)
		fail_msg("%s", error);
	return t;
}

static int check_now(struct trust *t, const struct identity *i)
{
	struct subject s;

	return trust_check(t, identity_certificate(i), authority.now_ns, &s);
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(in_dir(name), &st), 0);
	return st.st_mode & 07777;
}

static void test_who_is_who(void **state)
{
	assert_int_equal(add_origin("web1", "10.9.0.1"), 0);
	struct trust *t = trust_in_dir();
	struct identity *vault = identity_in(".", "vault", IDENTITY_VAULT);
	struct identity *recovery = identity_in(".", "recovery", IDENTITY_RECOVERY);
	struct identity *web1 = identity_in("origins/web1", "origin", IDENTITY_ORIGIN);
	struct netaddr a;

	assert_int_equal(check_now(t, vault), TRUST_OK);
	assert_int_equal(check_now(t, recovery), TRUST_OK);
	assert_int_equal(check_now(t, web1), TRUST_OK);
	assert_string_equal(identity_subject(web1)->name, "web1");
	assert_int_equal(netaddr_parse("10.9.0.1", &a), 0);
	assert_true(subject_has_address(identity_subject(web1), &a));
	assert_int_equal(netaddr_parse("10.9.0.2", &a), 0);
	assert_false(subject_has_address(identity_subject(web1), &a));
	assert_int_equal(mode_of("ca.key"), 0600);
	assert_int_equal(mode_of("origins/web1"), 0700);
	assert_int_equal(mode_of("origins/web1/origin.key"), 0600);
	assert_int_equal(mode_of("origins/web1/ca.crt"), 0644);
	identity_close(vault);
	identity_close(recovery);
	identity_close(web1);
	trust_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_is_who, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
