/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "authority.h"
#include "secret.h"
#include "test/authority-rig.h"
#include "test/seal-rig.h"

static struct identity *identity_in(const char *folder, const char *role_name,
				    enum identity_role role)
{
	char certificate[256], key[256];
	struct identity *i = NULL;

	snprintf(certificate, sizeof certificate, "%s/%s/%s.crt", rig_dir, folder, role_name);
	snprintf(key, sizeof key, "%s/%s/%s.key", rig_dir, folder, role_name);
	int r = identity_open(certificate, key, role, &i, rig_error, sizeof rig_error);
	if (r < 0)
		fail_msg("%s", rig_error);
	return i;
}

static struct trust *trust_in_dir(void)
{
	struct trust *t = NULL;

	if (trust_open(rig_path("ca.crt"), rig_path("ca.crl"), &t, rig_error, sizeof rig_error) < 0)
		fail_msg("%s", rig_error);
	return t;
}

static int check_now(struct trust *t, const struct identity *i)
{
	struct subject s;

	return trust_check(t, identity_certificate(i), rig_ca.now_ns, &s);
}

static unsigned mode_of(const char *name)
{
	struct stat st;

	assert_int_equal(stat(rig_path(name), &st), 0);
	return st.st_mode & 07777;
}

static void test_who_is_who(void **state)
{
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
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

/* Seals one record by the folder of an origin, to all its recovery.crt says, and gives back epoch
 * and record. */
static void seal_by_folder(const char *folder, struct sealed *ret_epoch, struct sealed *ret_record)
{
	struct identity *origin = identity_in(folder, "origin", IDENTITY_ORIGIN);
	STACK_OF(X509) *to = NULL;
	struct sealer *s = NULL;
	uint8_t room[SESSION_KEYS_MAX_BYTES], id[EPOCH_ID_BYTES];
	struct session_index index;
	struct bytes keys = bytes_of(room, seal_rig_keys("10.9.0.1:443", 1, room));
	char path[256];

	snprintf(path, sizeof path, "%s/%s/recovery.crt", rig_dir, folder);
	assert_int_equal(
		identity_certificates(path, SEAL_RECIPIENTS_MAX, &to, rig_error, sizeof rig_error),
		0);
	assert_int_equal(sealer_new(origin, to, &s), 0);
	assert_int_equal(sealer_epoch(s, rig_ca.now_ns, id, ret_epoch), 0);
	assert_int_equal(sealer_batch(s, rig_ca.now_ns, &keys, 1, ret_record, &index), 0);
	sealer_free(s);
	sk_X509_pop_free(to, X509_free);
	identity_close(origin);
}

/* Whether @recovery opens what was sealed. */
static int opens(const struct identity *recovery, const struct sealed *epoch,
		 const struct sealed *record)
{
	struct trust *t = trust_in_dir();
	uint8_t room[SESSION_KEYS_MAX_BYTES], id[EPOCH_ID_BYTES];
	struct opener *o = NULL;
	struct opened opened;

	assert_int_equal(opener_new(t, &o), 0);
	assert_int_equal(opener_add_identity(o, recovery), 0);
	int r = opener_epoch(o, bytes_of(epoch->p, epoch->n), rig_ca.now_ns, id);
	if (r == SEAL_OK)
		r = opener_record(o, bytes_of(record->p, record->n), NULL, rig_ca.now_ns,
				  SEAL_AGE_ANY, room, &opened);
	opener_free(o);
	trust_close(t);
	return r;
}

static size_t recipients_of(const char *origin)
{
	STACK_OF(X509) *to = NULL;
	char path[256];

	snprintf(path, sizeof path, "%s/origins/%s/recovery.crt", rig_dir, origin);
	if (identity_certificates(path, SEAL_RECIPIENTS_MAX, &to, rig_error, sizeof rig_error) < 0)
		return 0;
	size_t n = (size_t)sk_X509_num(to);
	sk_X509_pop_free(to, X509_free);
	return n;
}

static void test_rotation_loses_nothing(void **state)
{
	struct sealed epoch, record, epoch2, record2;
	char serial[SERIAL_STRLEN], folder[128];

	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	struct identity *before = identity_in(".", "recovery", IDENTITY_RECOVERY);
	issue_serial(identity_certificate(before), serial);
	seal_by_folder("origins/web1", &epoch, &record);
	assert_int_equal(authority_rotate(&rig_ca, "recovery", rig_error, sizeof rig_error), 0);
	struct identity *after = identity_in(".", "recovery", IDENTITY_RECOVERY);
	assert_int_not_equal(X509_cmp(identity_certificate(before), identity_certificate(after)),
			     0);
	/* What was sealed before opens with what was kept. */
	char certificate[256], key[256];
	struct identity *kept = NULL;
	snprintf(folder, sizeof folder, "%s/recovery.d/%s", rig_dir, serial);
	snprintf(certificate, sizeof certificate, "%s.crt", folder);
	snprintf(key, sizeof key, "%s.key", folder);
	assert_int_equal(identity_open(certificate, key, IDENTITY_RECOVERY, &kept, rig_error,
				       sizeof rig_error),
			 0);
	assert_int_equal(opens(kept, &epoch, &record), SEAL_OK);
	assert_int_equal(opens(after, &epoch, &record), SEAL_NOT_FOR_US);
	/* From now on both open. */
	assert_int_equal(recipients_of("web1"), 2);
	seal_by_folder("origins/web1", &epoch2, &record2);
	assert_int_equal(opens(kept, &epoch2, &record2), SEAL_OK);
	assert_int_equal(opens(after, &epoch2, &record2), SEAL_OK);
	/* After one more the first is sealed to no longer. */
	assert_int_equal(authority_rotate(&rig_ca, "recovery", rig_error, sizeof rig_error), 0);
	assert_int_equal(recipients_of("web1"), 2);
	sealed_free(&epoch2);
	sealed_free(&record2);
	seal_by_folder("origins/web1", &epoch2, &record2);
	assert_int_equal(opens(kept, &epoch2, &record2), SEAL_NOT_FOR_US);
	assert_int_equal(opens(after, &epoch2, &record2), SEAL_OK);
	sealed_free(&epoch2);
	sealed_free(&record2);
	sealed_free(&epoch);
	sealed_free(&record);
	identity_close(before);
	identity_close(after);
	identity_close(kept);
}

static void test_rotated_origin_and_vault(void **state)
{
	struct sealed epoch, record;

	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	struct identity *old = identity_in("origins/web1", "origin", IDENTITY_ORIGIN);
	seal_by_folder("origins/web1", &epoch, &record);
	assert_int_equal(authority_rotate(&rig_ca, "web1", rig_error, sizeof rig_error), 0);
	assert_int_equal(authority_rotate(&rig_ca, "vault", rig_error, sizeof rig_error), 0);
	struct identity *web1 = identity_in("origins/web1", "origin", IDENTITY_ORIGIN);
	struct identity *vault = identity_in(".", "vault", IDENTITY_VAULT);
	struct identity *recovery = identity_in(".", "recovery", IDENTITY_RECOVERY);
	struct trust *t = trust_in_dir();
	assert_int_equal(check_now(t, old), TRUST_OK);
	assert_int_equal(check_now(t, web1), TRUST_OK);
	assert_int_equal(check_now(t, vault), TRUST_OK);
	assert_int_equal(X509_check_private_key(identity_certificate(old), identity_key(web1)), 0);
	assert_int_equal(identity_subject(web1)->addresses, 1);
	assert_memory_equal(&identity_subject(web1)->address[0], &identity_subject(old)->address[0],
			    sizeof(struct netaddr));
	assert_int_equal(opens(recovery, &epoch, &record), SEAL_OK);
	trust_close(t);
	identity_close(old);
	identity_close(web1);
	identity_close(vault);
	identity_close(recovery);
	sealed_free(&epoch);
	sealed_free(&record);
}

static void test_revoked(void **state)
{
	struct sealed epoch, record;

	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	assert_int_equal(rig_origin("web2", "10.9.0.2"), 0);
	struct trust *running = trust_in_dir();
	struct identity *web1 = identity_in("origins/web1", "origin", IDENTITY_ORIGIN);
	struct identity *web2 = identity_in("origins/web2", "origin", IDENTITY_ORIGIN);
	struct identity *recovery = identity_in(".", "recovery", IDENTITY_RECOVERY);
	seal_by_folder("origins/web1", &epoch, &record);
	assert_int_equal(authority_revoke(&rig_ca, "web1", rig_error, sizeof rig_error), 0);
	/* Who runs sees it when he reads the list again. */
	assert_int_equal(check_now(running, web1), TRUST_OK);
	assert_int_equal(trust_reload(running, rig_error, sizeof rig_error), 0);
	assert_int_equal(check_now(running, web1), TRUST_REVOKED);
	assert_int_equal(check_now(running, web2), TRUST_OK);
	assert_int_equal(opens(recovery, &epoch, &record), SEAL_REVOKED);
	/* It cannot be renewed, but there may be a new one of that name. */
	assert_int_equal(authority_rotate(&rig_ca, "web1", rig_error, sizeof rig_error), -ENOENT);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	/* One alone, by its serial number */
	char serial[SERIAL_STRLEN];
	issue_serial(identity_certificate(web2), serial);
	assert_int_equal(authority_rotate(&rig_ca, "web2", rig_error, sizeof rig_error), 0);
	assert_int_equal(authority_revoke(&rig_ca, serial, rig_error, sizeof rig_error), 0);
	struct identity *renewed = identity_in("origins/web2", "origin", IDENTITY_ORIGIN);
	assert_int_equal(trust_reload(running, rig_error, sizeof rig_error), 0);
	assert_int_equal(check_now(running, web2), TRUST_REVOKED);
	assert_int_equal(check_now(running, renewed), TRUST_OK);
	assert_int_equal(authority_revoke(&rig_ca, "web9", rig_error, sizeof rig_error), -ENOENT);
	identity_close(web1);
	identity_close(web2);
	identity_close(renewed);
	identity_close(recovery);
	trust_close(running);
	sealed_free(&epoch);
	sealed_free(&record);
}

static void copy_file(const char *from, const char *to)
{
	static char text[65536];
	FILE *in = fopen(rig_path(from), "r"), *out = fopen(rig_path(to), "w");

	assert_true(in && out);
	size_t n = fread(text, 1, sizeof text, in);
	assert_int_equal(fwrite(text, 1, n, out), n);
	fclose(in);
	fclose(out);
}

/* A list from before a revocation does not take it back; nor does one of another CA count. */
static void test_lists_do_not_go_back(void **state)
{
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	copy_file("ca.crl", "old.crl");
	assert_int_equal(authority_revoke(&rig_ca, "web1", rig_error, sizeof rig_error), 0);
	struct trust *t = trust_in_dir();
	struct identity *web1 = identity_in("origins/web1", "origin", IDENTITY_ORIGIN);
	copy_file("ca.crl", "new.crl");
	copy_file("old.crl", "ca.crl");
	assert_int_equal(trust_reload(t, rig_error, sizeof rig_error), -ESTALE);
	assert_int_equal(check_now(t, web1), TRUST_REVOKED);
	copy_file("ca.crt", "ca.crl");
	assert_int_equal(trust_reload(t, rig_error, sizeof rig_error), -EINVAL);
	assert_int_equal(check_now(t, web1), TRUST_REVOKED);
	struct issuer other = seal_rig_ca();
	struct trust *none = NULL;
	X509_CRL *crl = issue_crl(&other, 9, (struct validity){0, 9});
	assert_true(issue_crl_sign(crl, &other));
	struct secret text;
	assert_true(issue_write_crl(crl, &text));
	FILE *f = fopen(rig_path("ca.crl"), "w");
	assert_int_equal(fwrite(text.p, 1, text.n, f), text.n);
	fclose(f);
	assert_int_equal(trust_reload(t, rig_error, sizeof rig_error), -EINVAL);
	assert_int_equal(trust_open(rig_path("ca.crt"), rig_path("ca.crl"), &none, rig_error,
				    sizeof rig_error),
			 -EINVAL);
	secret_free(&text);
	X509_CRL_free(crl);
	seal_rig_issuer_free(&other);
	identity_close(web1);
	trust_close(t);
}

static void test_further_boxes(void **state)
{
	struct sealed epoch, record;

	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	assert_int_equal(authority_add_recovery(&rig_ca, "box2", rig_error, sizeof rig_error), 0);
	assert_int_equal(authority_add_recovery(&rig_ca, "box2", rig_error, sizeof rig_error),
			 -EEXIST);
	struct identity *first = identity_in("recoveries/box2", "recovery", IDENTITY_RECOVERY);
	assert_int_equal(recipients_of("web1"), 2);
	seal_by_folder("origins/web1", &epoch, &record);
	assert_int_equal(opens(first, &epoch, &record), SEAL_OK);
	assert_int_equal(authority_rotate(&rig_ca, "recovery:box2", rig_error, sizeof rig_error),
			 0);
	assert_int_equal(recipients_of("web1"), 3);
	struct identity *second = identity_in("recoveries/box2", "recovery", IDENTITY_RECOVERY);
	assert_int_equal(opens(second, &epoch, &record), SEAL_NOT_FOR_US);
	char kept[128], serial[SERIAL_STRLEN];
	issue_serial(identity_certificate(first), serial);
	snprintf(kept, sizeof kept, "recoveries/box2/recovery.d/%s.key", serial);
	assert_int_equal(mode_of(kept), 0600);
	assert_int_equal(authority_revoke(&rig_ca, "recovery:box2", rig_error, sizeof rig_error),
			 0);
	assert_int_equal(recipients_of("web1"), 1);
	copy_file("recoveries/box2/ca.crl", "theirs.crl");
	struct trust *t = NULL;
	assert_int_equal(trust_open(rig_path("ca.crt"), rig_path("theirs.crl"), &t, rig_error,
				    sizeof rig_error),
			 0);
	assert_int_equal(check_now(t, second), TRUST_REVOKED);
	/* There is a ceiling, and it is told before anybody is given too many. */
	for (int i = 0; i < SEAL_RECIPIENTS_MAX - 1; i++) {
		char name[8];
		snprintf(name, sizeof name, "more%d", i);
		assert_int_equal(authority_add_recovery(&rig_ca, name, rig_error, sizeof rig_error),
				 0);
	}
	assert_int_equal(recipients_of("web1"), SEAL_RECIPIENTS_MAX);
	assert_int_equal(authority_add_recovery(&rig_ca, "one-more", rig_error, sizeof rig_error),
			 -ENOSPC);
	assert_int_equal(authority_rotate(&rig_ca, "recovery", rig_error, sizeof rig_error),
			 -ENOSPC);
	assert_int_equal(recipients_of("web1"), SEAL_RECIPIENTS_MAX);
	trust_close(t);
	identity_close(first);
	identity_close(second);
	sealed_free(&epoch);
	sealed_free(&record);
}

static void test_nobody_to_seal_to(void **state)
{
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	assert_int_equal(authority_revoke(&rig_ca, "recovery", rig_error, sizeof rig_error), 0);
	assert_int_equal(recipients_of("web1"), 0);
	assert_int_equal(authority_rotate(&rig_ca, "recovery", rig_error, sizeof rig_error), 0);
	assert_int_equal(recipients_of("web1"), 1);
}

static void test_what_is_refused(void **state)
{
	static const char *const names[] = {
		"",
		".x",
		"a/b",
		"a b",
		"..",
		"n\303\244me",
		"0123456789012345678901234567890123456789012345678901234567890123"};
	struct netaddr a;

	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_int_equal(rig_origin(names[i], "10.9.0.1"), -EINVAL);
	assert_int_equal(authority_init(&rig_ca, rig_error, sizeof rig_error), -EEXIST);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), -EEXIST);
	assert_int_equal(authority_add_origin(&rig_ca, "web2", &a, 0, rig_error, sizeof rig_error),
			 -EINVAL);
	assert_int_equal(authority_rotate(&rig_ca, "web9", rig_error, sizeof rig_error), -ENOENT);
	/* The name is free again when the certificate is over. */
	rig_ca.now_ns += 1096 * RIG_DAY_NS;
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
}

static void test_one_at_a_time(void **state)
{
	int fd = open(rig_dir, O_RDONLY | O_DIRECTORY);

	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), -EBUSY);
	close(fd);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
}

static void test_directories_of_others(void **state)
{
	assert_int_equal(chmod(rig_dir, 0750), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), -EPERM);
	assert_int_equal(chmod(rig_dir, 0700), 0);
	assert_int_equal(chmod(rig_path("ca.key"), 0640), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), -EPERM);
	assert_non_null(strstr(rig_error, "ca.key"));
	assert_int_equal(chmod(rig_path("ca.key"), 0600), 0);
	assert_int_equal(chmod(rig_path("index"), 0666), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), -EPERM);
}

/* What a process left that was killed while it wrote */
static void test_remains_of_an_attempt(void **state)
{
	FILE *f = fopen(rig_path("index.new"), "w");

	fputs("half a li", f);
	fclose(f);
	assert_int_equal(remove(rig_path("ca.crt")), 0); /* init writes it last */
	assert_int_equal(authority_init(&rig_ca, rig_error, sizeof rig_error), 0);
	assert_int_equal(rig_origin("web1", "10.9.0.1"), 0);
	assert_int_equal(access(rig_path("index.new"), F_OK), -1);
	f = fopen(rig_path("index"), "a");
	fputs("half a li", f);
	fclose(f);
	assert_int_equal(rig_origin("web2", "10.9.0.1"), -EINVAL);
	assert_non_null(strstr(rig_error, "index"));
}

static void test_when_certificates_are_valid(void **state)
{
	struct trust *t = trust_in_dir();
	struct identity *vault = identity_in(".", "vault", IDENTITY_VAULT);
	struct subject s;

	assert_int_equal(
		trust_check(t, identity_certificate(vault), RIG_NOW_NS + 1094 * RIG_DAY_NS, &s),
		TRUST_OK);
	assert_int_equal(
		trust_check(t, identity_certificate(vault), RIG_NOW_NS + 1096 * RIG_DAY_NS, &s),
		TRUST_EXPIRED);
	assert_int_equal(trust_check(t, identity_certificate(vault), RIG_NOW_NS - RIG_DAY_NS, &s),
			 TRUST_EXPIRED);
	/* A certificate never outlives its CA. */
	rig_ca.leaf_days = 100000;
	assert_int_equal(authority_rotate(&rig_ca, "vault", rig_error, sizeof rig_error), 0);
	rig_ca.leaf_days = 0;
	struct identity *long_one = identity_in(".", "vault", IDENTITY_VAULT);
	assert_int_equal(trust_check(t, identity_certificate(long_one),
				     RIG_NOW_NS + (AUTHORITY_CA_DAYS - 1) * RIG_DAY_NS, &s),
			 TRUST_OK);
	assert_int_equal(trust_check(t, identity_certificate(long_one),
				     RIG_NOW_NS + AUTHORITY_CA_DAYS * RIG_DAY_NS, &s),
			 TRUST_EXPIRED);
	/* The CA is nobody itself. */
	STACK_OF(X509) *ca = NULL;
	assert_int_equal(
		identity_certificates(rig_path("ca.crt"), 1, &ca, rig_error, sizeof rig_error), 0);
	assert_int_equal(trust_check(t, sk_X509_value(ca, 0), RIG_NOW_NS, &s), TRUST_NO_ROLE);
	sk_X509_pop_free(ca, X509_free);
	identity_close(vault);
	identity_close(long_one);
	trust_close(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_who_is_who, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_rotation_loses_nothing, rig_set_up,
						rig_tear_down),
		cmocka_unit_test_setup_teardown(test_rotated_origin_and_vault, rig_set_up,
						rig_tear_down),
		cmocka_unit_test_setup_teardown(test_revoked, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_lists_do_not_go_back, rig_set_up,
						rig_tear_down),
		cmocka_unit_test_setup_teardown(test_further_boxes, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_nobody_to_seal_to, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_refused, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_one_at_a_time, rig_set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_directories_of_others, rig_set_up,
						rig_tear_down),
		cmocka_unit_test_setup_teardown(test_remains_of_an_attempt, rig_set_up,
						rig_tear_down),
		cmocka_unit_test_setup_teardown(test_when_certificates_are_valid, rig_set_up,
						rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
