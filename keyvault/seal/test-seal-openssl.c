/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What is sealed is plain CMS: the openssl program opens it, and says whose signature is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <openssl/pem.h>

#include "seal-content.h"
#include "test/seal-rig.h"

#define AT "1796000000" /* RIG_NOW_NS */

static char dir[64];

static FILE *create(const char *name)
{
	char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	return f;
}

static void write_blob(const char *name, const struct sealed *s)
{
	FILE *f = create(name);

	assert_int_equal(fwrite(s->p, 1, s->n, f), s->n);
	assert_int_equal(fclose(f), 0);
}

static void write_certificate(const char *name, X509 *c)
{
	FILE *f = create(name);

	assert_int_equal(PEM_write_X509(f, c), 1);
	assert_int_equal(fclose(f), 0);
}

static void write_key(const char *name, EVP_PKEY *key)
{
	FILE *f = create(name);

	assert_int_equal(PEM_write_PrivateKey(f, key, NULL, NULL, 0, NULL, NULL), 1);
	assert_int_equal(fclose(f), 0);
}

/* In the directory; its exit status. */
static int shell(const char *command)
{
	char all[1024];

	assert_true(snprintf(all, sizeof all, "cd %s && (%s) >out 2>&1", dir, command) <
		    (int)sizeof all);
	return system(all);
}

static int set_up(void **state)
{
	struct seal_rig *g = calloc(1, sizeof *g);

	strcpy(dir, "/tmp/test-seal-openssl-XXXXXX");
	assert_non_null(mkdtemp(dir));
	seal_rig_init(g);
	write_certificate("ca.crt", g->ca.certificate);
	write_certificate("recovery.crt", identity_certificate(g->recovery));
	write_key("recovery.key", identity_key(g->recovery));
	write_certificate("other.crt", identity_certificate(g->recovery2));
	write_key("other.key", identity_key(g->recovery2));
	*state = g;
	return 0;
}

static int tear_down(void **state)
{
	char command[128];

	seal_rig_deinit(*state);
	free(*state);
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

#define DECRYPT                                                                     \
	"openssl cms -decrypt -inform DER -inkey recovery.key -recip recovery.crt " \
	"-binary -in epoch -out signed"
#define VERIFY                                                                        \
	"openssl cms -verify -inform DER -purpose any -attime " AT " -CAfile ca.crt " \
	"-binary -in signed -out content -signer by.pem"
#define WHO "openssl x509 -in by.pem -ext subjectAltName -noout | grep -q jeebs:origin:web1"

static void an_epoch_is_plain_cms(void **state)
{
	struct seal_rig *g = *state;
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;

	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	write_blob("epoch", &epoch);
	sealed_free(&epoch);
	assert_int_equal(shell(DECRYPT), 0);
	assert_int_equal(shell(VERIFY), 0);
	assert_int_equal(shell(WHO), 0);
	assert_int_equal(shell("grep -q web1 content"), 0);
	/* Nothing of it is to be seen outside. */
	assert_int_not_equal(shell("grep -q web1 epoch"), 0);
	/* Nobody else opens it. */
	assert_int_not_equal(shell("openssl cms -decrypt -inform DER -inkey other.key -recip "
				   "other.crt -binary -in epoch -out nothing"),
			     0);
}

static void read_content(uint8_t kek[static SEAL_KEK_BYTES])
{
	char path[128];
	uint8_t content[1024];
	struct epoch_content e;

	snprintf(path, sizeof path, "%s/content", dir);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	size_t n = fread(content, 1, sizeof content, f);
	fclose(f);
	assert_true(epoch_content_read(bytes_of(content, n), &e));
	memcpy(kek, e.kek, SEAL_KEK_BYTES);
}

static void put_hex(char *to, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		sprintf(to + 2 * i, "%02x", p[i]);
}

/* With what is in its epoch; and it has the session's keys. */
static void a_record_is_plain_cms(void **state)
{
	struct seal_rig *g = *state;
	uint8_t id[EPOCH_ID_BYTES], kek[SEAL_KEK_BYTES], room[SESSION_KEYS_MAX_BYTES];
	char kek_hex[2 * SEAL_KEK_BYTES + 1], id_hex[2 * EPOCH_ID_BYTES + 1], command[512];
	struct session_index index;
	struct sealed epoch;

	assert_int_equal(sealer_epoch(g->sealer, RIG_NOW_NS, id, &epoch), 0);
	write_blob("epoch", &epoch);
	sealed_free(&epoch);
	struct sealed record = seal_rig_record(g->sealer, "10.9.0.1:443", 3, &index);
	write_blob("record", &record);
	sealed_free(&record);
	assert_int_equal(shell(DECRYPT), 0);
	assert_int_equal(shell(VERIFY), 0);
	read_content(kek);
	put_hex(kek_hex, kek, sizeof kek);
	put_hex(id_hex, id, sizeof id);
	snprintf(command, sizeof command,
		 "openssl cms -decrypt -inform DER -secretkey %s -secretkeyid %s -binary "
		 "-in record -out plain",
		 kek_hex, id_hex);
	assert_int_equal(shell(command), 0);
	FILE *f = create("keys");
	size_t n = seal_rig_keys("10.9.0.1:443", 3, room);
	assert_int_equal(fwrite(room, 1, n, f), n);
	fclose(f);
	assert_int_equal(shell("python3 -c \"k = open('keys', 'rb').read(); import sys; "
			       "sys.exit(k not in open('plain', 'rb').read() or k in "
			       "open('record', 'rb').read())\""),
			 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(an_epoch_is_plain_cms, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_record_is_plain_cms, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
