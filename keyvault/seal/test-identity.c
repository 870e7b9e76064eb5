/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <openssl/pem.h>

#include "authority.h"
#include "identity-token.h"
#include "secret.h"
#include "test/authority-rig.h"
#include "test/seal-rig.h"

static int set_up(void **state)
{
	return rig_set_up(state) == 0 && rig_origin("web1", "10.9.0.1") == 0 ? 0 : -1;
}

static int open_recovery(const char *certificate, const char *key)
{
	struct identity *i = NULL;
	int r = identity_open(certificate, key, IDENTITY_RECOVERY, &i, rig_error, sizeof rig_error);

	identity_close(i);
	return r;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
	FILE *f = fopen(rig_path(name), "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(rig_path(name), mode), 0);
}

static void test_files(void **state)
{
	const char *certificate = rig_path("recovery.crt"), *key = rig_path("recovery.key");

	assert_int_equal(open_recovery(certificate, key), 0);
	assert_int_equal(open_recovery(certificate, rig_path("none.key")), -ENOENT);
	assert_int_equal(open_recovery(rig_path("vault.crt"), rig_path("vault.key")), -EINVAL);
	assert_non_null(strstr(rig_error, "role recovery"));
	assert_int_equal(open_recovery(certificate, rig_path("vault.key")), -EINVAL);
	assert_non_null(strstr(rig_error, "not the key to the certificate"));
	assert_int_equal(open_recovery(key, key), -EINVAL);
	assert_int_equal(open_recovery(certificate, certificate), -EPERM); /* all may read it */
	assert_int_equal(chmod(key, 0640), 0);
	assert_int_equal(open_recovery(certificate, key), -EPERM);
	assert_non_null(strstr(rig_error, "mode 640"));
	assert_int_equal(chmod(key, 0602), 0);
	assert_int_equal(open_recovery(certificate, key), -EPERM);
	assert_int_equal(chmod(key, 0600), 0);
	assert_int_equal(chmod(certificate, 0666), 0);
	assert_int_equal(open_recovery(certificate, key), -EPERM);
	assert_int_equal(chmod(certificate, 0644), 0);
	assert_int_equal(chmod(rig_dir, 0777), 0);
	assert_int_equal(open_recovery(certificate, key), -EPERM);
	assert_int_equal(chmod(rig_dir, 0700), 0);
	assert_int_equal(open_recovery(certificate, key), 0);
}

static void test_what_is_no_key(void **state)
{
	const char *certificate = rig_path("recovery.crt");
	char *large = calloc(1, (1 << 20) + 2);

	write_file("k", "", 0600);
	assert_int_equal(open_recovery(certificate, rig_path("k")), -EINVAL);
	write_file("k", "-----BEGIN PRIVATE KEY-----\nMIGH\n-----END PRIVATE KEY-----\n", 0600);
	assert_int_equal(open_recovery(certificate, rig_path("k")), -EINVAL);
	memset(large, 'x', (1 << 20) + 1);
	write_file("k", large, 0600);
	assert_int_equal(open_recovery(certificate, rig_path("k")), -EFBIG);
	assert_int_equal(remove(rig_path("k")), 0);
	assert_int_equal(mkdir(rig_path("k"), 0700), 0);
	assert_int_equal(open_recovery(certificate, rig_path("k")), -EINVAL);
	free(large);
}

/* A key behind a passphrase: nobody is asked for it. */
static void test_passphrase(void **state)
{
	EVP_PKEY *key = issue_key();
	FILE *f = fopen(rig_path("k"), "w");

	assert_int_equal(
		PEM_write_PKCS8PrivateKey(f, key, EVP_aes_256_cbc(), "secret", 6, NULL, NULL), 1);
	fclose(f);
	assert_int_equal(chmod(rig_path("k"), 0600), 0);
	assert_int_equal(open_recovery(rig_path("recovery.crt"), rig_path("k")), -EINVAL);
	assert_non_null(strstr(rig_error, "without a passphrase"));
	EVP_PKEY_free(key);
}

static void test_lists_of_certificates(void **state)
{
	STACK_OF(X509) *all = NULL;
	static char text[65536];
	FILE *f = fopen(rig_path("recovery.crt"), "r");
	size_t n = fread(text, 1, sizeof text - 1, f);

	fclose(f);
	char *end = text + n;
	memcpy(end, text, n);
	write_file("both.crt", text, 0644);
	assert_int_equal(
		identity_certificates(rig_path("both.crt"), 2, &all, rig_error, sizeof rig_error),
		0);
	assert_int_equal(sk_X509_num(all), 2);
	sk_X509_pop_free(all, X509_free);
	assert_int_equal(
		identity_certificates(rig_path("both.crt"), 1, &all, rig_error, sizeof rig_error),
		-EINVAL);
	strcpy(end + n / 2, "\n"); /* the second one cut off */
	write_file("both.crt", text, 0644);
	assert_int_equal(
		identity_certificates(rig_path("both.crt"), 2, &all, rig_error, sizeof rig_error),
		-EINVAL);
	write_file("both.crt", "", 0644);
	assert_int_equal(
		identity_certificates(rig_path("both.crt"), 2, &all, rig_error, sizeof rig_error),
		-EINVAL);
}

static void test_credentials(void **state)
{
	unsetenv("CREDENTIALS_DIRECTORY");
	assert_int_equal(open_recovery("credential:recovery.crt", "credential:recovery.key"),
			 -ENOENT);
	setenv("CREDENTIALS_DIRECTORY", rig_dir, 1);
	assert_int_equal(open_recovery("credential:recovery.crt", "credential:recovery.key"), 0);
	assert_int_equal(open_recovery("credential:recovery.crt", "credential:../recovery.key"),
			 -EINVAL);
	assert_int_equal(open_recovery("credential:origins/x", "credential:recovery.key"), -EINVAL);
	assert_int_equal(open_recovery("credential:", "credential:recovery.key"), -EINVAL);
	/* As systemd shows an ACL */
	assert_int_equal(chmod(rig_path("recovery.key"), 0440), 0);
	assert_int_equal(open_recovery("credential:recovery.crt", "credential:recovery.key"), 0);
	assert_int_equal(chmod(rig_path("recovery.key"), 0444), 0);
	assert_int_equal(open_recovery("credential:recovery.crt", "credential:recovery.key"),
			 -EPERM);
	unsetenv("CREDENTIALS_DIRECTORY");
}

/* As tokens are configured for this test alone. */
static void set_up_tokens(void)
{
	char text[256];

	snprintf(text, sizeof text,
		 "directories.tokendir = %s/tokens\nobjectstore.backend = file\n", rig_dir);
	write_file("softhsm2.conf", text, 0600);
	assert_int_equal(mkdir(rig_path("tokens"), 0700), 0);
	setenv("SOFTHSM2_CONF", rig_path("softhsm2.conf"), 1);
}

static void run(const char *const *argv)
{
	extern char **environ;
	posix_spawn_file_actions_t quiet;
	int status = -1;
	pid_t pid;

	posix_spawn_file_actions_init(&quiet);
	posix_spawn_file_actions_addopen(&quiet, 1, "/dev/null", 1, 0);
	if (posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)(uintptr_t)argv, environ) != 0)
		fail_msg("%s: cannot be started", argv[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	posix_spawn_file_actions_destroy(&quiet);
	if (status != 0)
		fail_msg("%s %s: failed", argv[0], argv[1]);
}

/* By p11-kit, as the engine and the provider of Debian find their tokens. */
static void write_object(const char *token, const char *label, const char *type, const char *file,
			 const char *usage)
{
	run((const char *const[]){"pkcs11-tool", "--module", "p11-kit-proxy.so", "--token-label",
				  token, "--login", "--pin", "5678", "--write-object", file,
				  "--type", type, usage, "--usage-sign", "--label", label, "--id",
				  "01", NULL});
}

/* A token with the key of @certificate and @key, to sign with, and by @usage to agree with. */
static void make_token(const char *certificate, const char *key, const char *label,
		       const char *token, const char *usage)
{
	STACK_OF(X509) *all = NULL;
	const char *public = rig_path("public.der");
	FILE *f = fopen(public, "w");

	assert_int_equal(identity_certificates(certificate, 1, &all, rig_error, sizeof rig_error),
			 0);
	assert_int_equal(i2d_PUBKEY_fp(f, X509_get0_pubkey(sk_X509_value(all, 0))), 1);
	fclose(f);
	sk_X509_pop_free(all, X509_free);
	run((const char *const[]){"softhsm2-util", "--init-token", "--free", "--label", token,
				  "--so-pin", "12345678", "--pin", "5678", NULL});
	write_object(token, label, "privkey", key, usage);
	write_object(token, label, "pubkey", public, usage);
}

/*
 * A key that the token does not let be agreed with is told when it is opened. One that is so later,
 * since the token is gone, is our own fault, not a forged epoch.
 */
static void check_token_that_does_not_derive(struct trust *t, struct sealer *s, X509 *certificate)
{
	static const char uri[] = "pkcs11:token=third-token;object=box;type=private?pin-value=5678";
	struct identity *recovery = NULL;
	struct opener *o = NULL;
	EVP_PKEY *key = NULL;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(open_recovery(rig_path("recovery.crt"), uri), -EINVAL);
	assert_non_null(strstr(rig_error, "agreed with"));
	assert_int_equal(identity_token_key(uri, &key, rig_error, sizeof rig_error), 0);
	assert_int_equal(identity_new(certificate, key, &recovery), 0);
	assert_int_equal(opener_new(t, &o), 0);
	assert_int_equal(opener_add_identity(o, recovery), 0);
	assert_int_equal(sealer_epoch(s, RIG_NOW_NS, id, &epoch), 0);
	assert_int_equal(opener_epoch(o, bytes_of(epoch.p, epoch.n), RIG_NOW_NS, id), -EIO);
	sealed_free(&epoch);
	opener_free(o);
	identity_close(recovery);
	EVP_PKEY_free(key);
}

/*
 * Keys that are in a token open and sign as those of files do. The key is not in the directory any
 * more, so it can only be the token's.
 */
static void test_tokens(void **state)
{
	struct identity *recovery = NULL, *origin = NULL;
	struct opener *o = NULL;
	struct trust *t = NULL;
	struct session_index index;
	struct opened opened;
	uint8_t room[SESSION_KEYS_MAX_BYTES];

	set_up_tokens();
	make_token(rig_path("recovery.crt"), rig_path("recovery.key"), "box", "third-token",
		   "--usage-sign");
	make_token(rig_path("recovery.crt"), rig_path("recovery.key"), "box", "recovery-token",
		   "--usage-derive");
	make_token(rig_path("origins/web1/origin.crt"), rig_path("origins/web1/origin.key"), "web1",
		   "origin-token", "--usage-derive");
	assert_int_equal(remove(rig_path("recovery.key")), 0);
	assert_int_equal(remove(rig_path("origins/web1/origin.key")), 0);

	assert_int_equal(open_recovery(rig_path("recovery.crt"),
				       "pkcs11:token=recovery-token;object=none?pin-value=5678"),
			 -ENOENT);
	assert_null(strstr(rig_error, "5678"));
	assert_int_equal(
		open_recovery(rig_path("recovery.crt"),
			      "pkcs11:token=origin-token;object=web1;type=private?pin-value=5678"),
		-EINVAL);
	if (identity_open(rig_path("recovery.crt"),
			  "pkcs11:token=recovery-token;object=box;type=private?pin-value=5678",
			  IDENTITY_RECOVERY, &recovery, rig_error, sizeof rig_error) < 0 ||
	    identity_open(rig_path("origins/web1/origin.crt"),
			  "pkcs11:token=origin-token;object=web1;type=private?pin-value=5678",
			  IDENTITY_ORIGIN, &origin, rig_error, sizeof rig_error) < 0)
		fail_msg("%s", rig_error);
	assert_int_equal(
		trust_open(rig_path("ca.crt"), rig_path("ca.crl"), &t, rig_error, sizeof rig_error),
		0);
	assert_int_equal(opener_new(t, &o), 0);
	assert_int_equal(opener_add_identity(o, recovery), 0);
	struct sealer *s = seal_rig_sealer(origin, recovery);
	seal_rig_epoch(s, o);
	struct sealed blob = seal_rig_record(s, "10.9.0.1:443", 1, &index);
	assert_int_equal(
		opener_record(o, bytes_of(blob.p, blob.n), &index, RIG_NOW_NS, 0, room, &opened),
		SEAL_OK);
	check_token_that_does_not_derive(t, s, identity_certificate(recovery));
	sealed_free(&blob);
	sealer_free(s);
	opener_free(o);
	trust_close(t);
	identity_close(recovery);
	identity_close(origin);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_files, set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_key, set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_passphrase, set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_lists_of_certificates, set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_credentials, set_up, rig_tear_down),
		cmocka_unit_test_setup_teardown(test_tokens, set_up, rig_tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
