/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "keyvault/seal/authority.h"
#include "keyvault/seal/trust.h"
#include "origin-files.h"

#define DAY_NS (INT64_C(86400) * NS_PER_S)

static char dir[64], origin[96], error[512];
static struct authority authority;

static int setup(void **state)
{
	struct netaddr address;

	strcpy(dir, "/tmp/origin-files-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(origin, sizeof origin, "%s/origins/web1", dir);
	authority = (struct authority){.dir = dir, .now_ns = clock_real_ns()};
	assert_int_equal(authority_init(&authority, error, sizeof error), 0);
	assert_int_equal(netaddr_parse("10.9.0.1", &address), 0);
	assert_int_equal(authority_add_origin(&authority, "web1", &address, 1, error, sizeof error),
			 0);
	return 0;
}

static int teardown(void **state)
{
	char command[128];

	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static int open_at(int64_t real_ns, struct origin_files *f)
{
	return origin_files_open(origin, real_ns, f, error, sizeof error);
}

static void replace(const char *to, const char *from)
{
	char command[512];

	snprintf(command, sizeof command, "cp %s/%s %s/%s", dir, from, origin, to);
	assert_int_equal(system(command), 0);
}

static void drop(const char *name)
{
	char path[160];

	snprintf(path, sizeof path, "%s/%s", origin, name);
	assert_int_equal(unlink(path), 0);
}

static int vault_is(const struct origin_files *f)
{
	char path[160];
	STACK_OF(X509) *vault = NULL;
	struct subject who;

	snprintf(path, sizeof path, "%s/vault.crt", dir);
	assert_int_equal(identity_certificates(path, 1, &vault, error, sizeof error), 0);
	int r = trust_check(f->trust, sk_X509_value(vault, 0), authority.now_ns, &who);
	sk_X509_pop_free(vault, X509_free);
	return r;
}

static void test_all_that_it_needs(void **state)
{
	struct origin_files f;

	assert_int_equal(open_at(authority.now_ns, &f), 0);
	assert_non_null(f.sealer);
	assert_non_null(f.context);
	assert_int_equal(sk_X509_num(f.recovery), 1);
	assert_int_equal(vault_is(&f), TRUST_OK);
	origin_files_close(&f);
}

/* A vault that somebody has is no vault any more. */
static void test_revoked(void **state)
{
	struct origin_files f;

	assert_int_equal(authority_revoke(&authority, "vault", error, sizeof error), 0);
	assert_int_equal(open_at(authority.now_ns, &f), 0);
	assert_int_equal(vault_is(&f), TRUST_REVOKED);
	origin_files_close(&f);
	/* From before there were lists. */
	drop("ca.crl");
	assert_int_equal(open_at(authority.now_ns, &f), 0);
	assert_int_equal(vault_is(&f), TRUST_OK);
	origin_files_close(&f);
	/* One that cannot be read is none that may be left out. */
	replace("ca.crl", "ca.crt");
	assert_int_equal(open_at(authority.now_ns, &f), -EINVAL);
}

static void test_to_whom_is_sealed(void **state)
{
	struct origin_files f;

	replace("recovery.crt", "vault.crt");
	assert_int_equal(open_at(authority.now_ns, &f), -EINVAL);
	assert_non_null(strstr(error, "certificate 1: not of a recovery identity"));
	drop("recovery.crt");
	assert_int_equal(open_at(authority.now_ns, &f), -ENOENT);
	assert_non_null(strstr(error, "recovery.crt"));
}

/* One of two has expired: it is left out. If it is the only one, nobody could open. */
static void test_expired(void **state)
{
	struct origin_files f;
	int64_t later_ns = authority.now_ns + 20 * DAY_NS;

	authority.leaf_days = 10;
	assert_int_equal(authority_add_recovery(&authority, "box2", error, sizeof error), 0);
	assert_int_equal(open_at(authority.now_ns, &f), 0);
	assert_int_equal(sk_X509_num(f.recovery), 2);
	origin_files_close(&f);
	assert_int_equal(open_at(later_ns, &f), 0);
	assert_int_equal(sk_X509_num(f.recovery), 1);
	origin_files_close(&f);
	replace("recovery.crt", "recoveries/box2/recovery.crt");
	assert_int_equal(open_at(later_ns, &f), -EINVAL);
}

static void test_whose_key_it_is(void **state)
{
	struct origin_files f;
	char path[160];

	snprintf(path, sizeof path, "%s/origin.key", origin);
	assert_int_equal(chmod(path, 0644), 0);
	assert_int_equal(open_at(authority.now_ns, &f), -EPERM);
	assert_int_equal(chmod(path, 0600), 0);
	replace("origin.crt", "recovery.crt");
	assert_true(open_at(authority.now_ns, &f) < 0);
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_all_that_it_needs), TEST(test_revoked),
		TEST(test_to_whom_is_sealed), TEST(test_expired),
		TEST(test_whose_key_it_is),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
