/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The crypto service of modules, of SSH: keys that were told, keys that are made with the client
 * and with the backup, host keys, and certificates that sshd would believe. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "base/buf.h"
#include "jeebs/recovery-module.h"
#include "session-crypto.h"
#include "ssh-cipher.h"
#include "ssh-exchange.h"

#define CIPHER  "aes128-gcm@openssh.com"
#define SECRETS 3

static const struct jeebs_crypto_ops *const ops = &session_crypto_ops;

/* Two sessions between the same ends; the first has two exchanges. */
static struct told {
	uint8_t k[SECRETS][36], h[SECRETS][32];
} told;

static bool find_ssh(void *ctx, uint32_t candidate, uint32_t exchange, struct ssh_keys *ret)
{
	uint32_t i = candidate * 2 + exchange, first = candidate * 2;

	(void)ctx;
	if (candidate > 1 || exchange > (candidate == 0))
		return false;
	*ret = (struct ssh_keys){SSH_SHA256, bytes_of(told.k[i], sizeof told.k[i]),
				 bytes_of(told.h[i], sizeof told.h[i]),
				 bytes_of(told.h[first], sizeof told.h[first])};
	return true;
}

static struct ssh_identity identity;

static struct jeebs_keys *make(void *room)
{
	const struct session_secrets secrets = {
		.find_ssh = find_ssh, .ssh = &identity, .purpose = "the-failover"};

	for (uint32_t i = 0; i < SECRETS; i++) {
		memset(told.k[i], (int)(i + 1), sizeof told.k[i]);
		memset(told.h[i], (int)(i + 101), sizeof told.h[i]);
		memcpy(told.k[i], (uint8_t[]){0, 0, 0, 32}, 4);
	}
	return session_crypto_init(room, &secrets);
}

static int derive(struct jeebs_keys *k, uint32_t side, uint32_t candidate, uint32_t exchange,
		  uint32_t dir, uint32_t *ret)
{
	const struct jeebs_ssh_spec spec = {.side = side,
					    .exchange = exchange,
					    .dir = dir,
					    .candidate = candidate,
					    .cipher = CIPHER,
					    .mac = ""};

	return ops->ssh_derive(k, &spec, ret);
}

/* A packet of 16 bytes behind its length. */
static const uint8_t packet[20] = {0, 0, 0, 16, 10, 2, 0, 0, 0, 1, 'x'};

static void told_keys_open_what_they_seal(void **state)
{
	uint8_t room[SESSION_CRYPTO_BYTES], wire[36], clear[20];
	struct jeebs_keys *k = make(room);
	struct ssh_cipher *peer;
	struct ssh_keys keys;
	uint32_t key, again, other;

	(void)state;
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, 1, JEEBS_TO_CLIENT, &key), JEEBS_CRYPTO_OK);
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, 1, JEEBS_TO_CLIENT, &again),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(key, again);
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, 1, JEEBS_TO_SERVER, &other),
			 JEEBS_CRYPTO_OK);
	assert_int_not_equal(key, other);
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, 2, JEEBS_TO_CLIENT, &other),
			 JEEBS_CRYPTO_NO_KEY);
	assert_int_equal(derive(k, JEEBS_SSH_BACK, 0, 0, JEEBS_TO_CLIENT, &other),
			 JEEBS_CRYPTO_NO_KEY);

	const struct jeebs_bytes in = {packet, sizeof packet}, none = {NULL, 0};

	assert_int_equal(ops->seal(k, key, 7, none, in, wire), JEEBS_CRYPTO_OK);
	assert_int_equal(ops->seal(k, key, 7, none, in, wire), JEEBS_CRYPTO_USED);
	assert_true(find_ssh(NULL, 0, 1, &keys));
	assert_int_equal(ssh_cipher_new(&keys, false, CIPHER, "", &peer), SSH_CIPHER_OK);
	assert_int_equal(ssh_cipher_open(peer, 7, BYTES_NONE, bytes_of(wire, sizeof wire), clear),
			 SSH_CIPHER_OK);
	assert_memory_equal(clear, packet, sizeof packet);
	ssh_cipher_free(peer);

	const struct jeebs_bytes sealed = {wire, sizeof wire};

	assert_int_equal(ops->open(k, key, 7, none, sealed, clear), JEEBS_CRYPTO_OK);
	assert_int_equal(ops->peek(k, key, 7, 4, (struct jeebs_bytes){wire + 4, 3}, clear),
			 JEEBS_CRYPTO_OK);
	assert_memory_equal(clear, packet + 4, 3);
	wire[9] ^= 1;
	assert_int_equal(ops->open(k, key, 7, none, sealed, clear), JEEBS_CRYPTO_FORGED);
	/* Another session's key does not open it. */
	wire[9] ^= 1;
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 1, 0, JEEBS_TO_CLIENT, &other),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(ops->open(k, other, 7, none, sealed, clear), JEEBS_CRYPTO_FORGED);
	session_crypto_deinit(k);
}

/* However often keys are renewed, those in use and those before are there. */
static void old_keys_make_room(void **state)
{
	uint8_t room[SESSION_CRYPTO_BYTES], wire[36];
	struct jeebs_keys *k = make(room);
	const struct jeebs_bytes in = {packet, sizeof packet}, none = {NULL, 0};
	uint32_t key[2][40];

	(void)state;
	assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, 0, 0, &key[0][0]), JEEBS_CRYPTO_OK);
	for (uint32_t i = 1; i < 40; i++) {
		const struct jeebs_ssh_exchange begin = {.side = JEEBS_SSH_FRONT,
							 .exchange = i,
							 .method = "curve25519-sha256",
							 .peer = {(const uint8_t[32]){9}, 32}};
		uint8_t own[64], h[SSH_HASH_MAX_BYTES];
		size_t n;

		assert_int_equal(ops->ssh_exchange(k, &begin, own, sizeof own, &n),
				 JEEBS_CRYPTO_OK);
		assert_int_equal(n, 32);
		assert_int_equal(ops->ssh_exchange_hash(k, JEEBS_SSH_FRONT, i, in, h, sizeof h, &n),
				 JEEBS_CRYPTO_OK);
		for (uint32_t dir = 0; dir < 2; dir++) {
			assert_int_equal(derive(k, JEEBS_SSH_FRONT, 0, i, dir, &key[dir][i]),
					 JEEBS_CRYPTO_OK);
			assert_int_equal(ops->seal(k, key[dir][i], 0, none, in, wire),
					 JEEBS_CRYPTO_OK);
			if (i < 2)
				continue;
			assert_int_equal(ops->seal(k, key[dir][i - 1], 1, none, in, wire),
					 JEEBS_CRYPTO_OK);
			assert_int_equal(ops->seal(k, key[dir][i - 1], 0, none, in, wire),
					 JEEBS_CRYPTO_USED);
		}
	}
	assert_int_equal(ops->seal(k, key[0][3], 1, none, in, wire), JEEBS_CRYPTO_NO_KEY);
	session_crypto_deinit(k);
}

/* As the backup's client: the server is ours of this room, with its own hands. */
static void keys_with_the_backup(void **state)
{
	uint8_t room[SESSION_CRYPTO_BYTES], own[64], theirs[64], h[SSH_HASH_MAX_BYTES], wire[36];
	static struct ssh_exchange_secret secret;
	struct jeebs_keys *k = make(room);
	struct jeebs_ssh_exchange x = {.side = JEEBS_SSH_BACK, .method = "curve25519-sha256"};
	const struct jeebs_bytes head = {packet, sizeof packet}, none = {NULL, 0};
	size_t own_n, theirs_n, n;
	uint32_t key;

	(void)state;
	/* Nothing is hashed before both values are there. */
	assert_int_equal(ops->ssh_exchange(k, &x, own, sizeof own, &own_n), JEEBS_CRYPTO_OK);
	assert_int_equal(ops->ssh_exchange_hash(k, JEEBS_SSH_BACK, 0, head, h, sizeof h, &n),
			 JEEBS_CRYPTO_FAILED);
	assert_int_equal(ssh_exchange_make(x.method, BYTES_NONE, BYTES_NONE, bytes_of(own, own_n),
					   &secret, theirs, sizeof theirs, &theirs_n),
			 SSH_EXCHANGE_OK);
	x.peer = (struct jeebs_bytes){theirs, theirs_n};
	assert_int_equal(ops->ssh_exchange(k, &x, NULL, 0, &n), JEEBS_CRYPTO_OK);
	assert_int_equal(ops->ssh_exchange_hash(k, JEEBS_SSH_BACK, 0, head, h, sizeof h, &n),
			 JEEBS_CRYPTO_OK);
	assert_int_equal(n, 32);
	assert_int_equal(derive(k, JEEBS_SSH_BACK, 0, 0, JEEBS_TO_SERVER, &key), JEEBS_CRYPTO_OK);
	assert_int_equal(ops->seal(k, key, 0, none, head, wire), JEEBS_CRYPTO_OK);

	const struct ssh_keys keys = {secret.hash, bytes_of(secret.k, secret.k_n), bytes_of(h, n),
				      bytes_of(h, n)};
	struct ssh_cipher *peer;

	assert_int_equal(ssh_cipher_new(&keys, true, CIPHER, "", &peer), SSH_CIPHER_OK);
	assert_int_equal(ssh_cipher_open(peer, 0, BYTES_NONE, bytes_of(wire, sizeof wire), own),
			 SSH_CIPHER_OK);
	ssh_cipher_free(peer);
	/* The value of nobody: all zero. */
	x.peer = (struct jeebs_bytes){NULL, 0};
	assert_int_equal(ops->ssh_exchange(k, &x, own, sizeof own, &own_n), JEEBS_CRYPTO_OK);
	x.peer = (struct jeebs_bytes){(const uint8_t[32]){0}, 32};
	assert_int_equal(ops->ssh_exchange(k, &x, NULL, 0, &n), JEEBS_CRYPTO_FORGED);
	session_crypto_deinit(k);
}

static struct ssh_host_key *load(const char *name)
{
	struct ssh_host_key *k = NULL;
	struct buf file = BUF_INIT(65536);
	char path[512];

	snprintf(path, sizeof path, "%s/%s", TEST_HOST_KEYS, name);
	FILE *f = fopen(path, "r");

	assert_non_null(f);
	for (int c; (c = fgetc(f)) != EOF;)
		buf_append(&file, &(uint8_t){(uint8_t)c}, 1);
	fclose(f);
	assert_int_equal(ssh_host_key_read(buf_view(&file), &k), SSH_HOST_KEY_OK);
	buf_deinit(&file);
	return k;
}

static void a_host_key_proves_and_no_other(void **state)
{
	static const struct {
		const char *file, *algorithm;
	} all[] = {
		{"ed25519", "ssh-ed25519"},           {"ecdsa-256", "ecdsa-sha2-nistp256"},
		{"ecdsa-384", "ecdsa-sha2-nistp384"}, {"ecdsa-521", "ecdsa-sha2-nistp521"},
		{"rsa-2048", "rsa-sha2-256"},
	};
	uint8_t room[SESSION_CRYPTO_BYTES], k_s[2200], s[2200];
	const struct jeebs_bytes data = {packet, sizeof packet}, less = {packet, 19};

	(void)state;
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		struct jeebs_keys *k = make(room);
		size_t k_n, s_n;

		identity = (struct ssh_identity){1, {load(all[i].file)}, NULL};
		assert_int_equal(ops->ssh_host_key(k, all[i].algorithm, k_s, sizeof k_s, &k_n),
				 JEEBS_CRYPTO_OK);
		assert_int_equal(ops->ssh_sign(k, all[i].algorithm, data, s, sizeof s, &s_n),
				 JEEBS_CRYPTO_OK);
		struct jeebs_bytes key = {k_s, k_n}, signature = {s, s_n};

		assert_int_equal(ops->ssh_prove(k, key, data, signature), JEEBS_CRYPTO_OK);
		assert_int_equal(ops->ssh_prove(k, key, less, signature), JEEBS_CRYPTO_FORGED);
		s[s_n - 1] ^= 1;
		assert_int_equal(ops->ssh_prove(k, key, data, signature), JEEBS_CRYPTO_FORGED);
		for (size_t n = 0; n < s_n; n++)
			assert_int_equal(ops->ssh_prove(k, key, data, (struct jeebs_bytes){s, n}),
					 JEEBS_CRYPTO_FORGED);
		k_s[k_n - 1] ^= 1;
		assert_int_equal(ops->ssh_prove(k, key, data, signature), JEEBS_CRYPTO_NO_KEY);
		assert_int_equal(ops->ssh_host_key(k, "ssh-dss", k_s, sizeof k_s, &k_n),
				 JEEBS_CRYPTO_NO_KEY);
		ssh_host_key_free(identity.host_key[0]);
		identity = (struct ssh_identity){0};
		session_crypto_deinit(k);
	}
}

static struct bytes string(struct reader *r)
{
	uint32_t n = reader_u32be(r);

	return reader_bytes(r, n);
}

static void a_certificate_is_of_one_user_for_a_minute(void **state)
{
	uint8_t room[SESSION_CRYPTO_BYTES], blob[4096], s[256];
	struct jeebs_keys *k = make(room);
	const struct jeebs_bytes user = {(const uint8_t *)"alice", 5};
	size_t n, s_n;

	(void)state;
	assert_int_equal(ops->ssh_certificate(k, user, blob, sizeof blob, &n), JEEBS_CRYPTO_NO_KEY);
	assert_int_equal(ops->ssh_certificate_sign(k, user, s, sizeof s, &s_n),
			 JEEBS_CRYPTO_NO_KEY);
	identity.user_ca = load("ecdsa-384");
	assert_int_equal(ops->ssh_certificate(k, user, blob, sizeof blob, &n), JEEBS_CRYPTO_OK);
	struct reader r = reader_init(bytes_of(blob, n));

	assert_true(bytes_eq(string(&r), bytes_str("ssh-ed25519-cert-v01@openssh.com")));
	(void)string(&r); /* nonce */
	assert_int_equal(string(&r).n, 32);
	(void)reader_u64be(&r);
	assert_int_equal(reader_u32be(&r), 1);
	assert_true(bytes_eq(string(&r), bytes_str("the-failover")));
	struct reader list = reader_init(string(&r));

	assert_true(bytes_eq(string(&list), bytes_str("alice")));
	assert_int_equal(reader_left(&list), 0);
	uint64_t after = reader_u64be(&r), before = reader_u64be(&r), now = (uint64_t)time(NULL);

	assert_true(after <= now && now < before && before <= now + 60);
	assert_int_equal(string(&r).n, 0);
	assert_true(memmem(blob, n, "permit-pty", 10));
	(void)string(&r);
	assert_int_equal(string(&r).n, 0);
	assert_true(bytes_eq(string(&r), ssh_host_key_public(identity.user_ca)));
	struct bytes signed_part = bytes_of(blob, reader_pos(&r));

	assert_true(ssh_host_key_proves(identity.user_ca, signed_part, string(&r)));
	assert_true(reader_ok(&r) && reader_left(&r) == 0);
	assert_int_equal(ops->ssh_certificate_sign(k, user, s, sizeof s, &s_n), JEEBS_CRYPTO_OK);
	assert_int_equal(
		ops->ssh_certificate(k, (struct jeebs_bytes){NULL, 0}, blob, sizeof blob, &n),
		JEEBS_CRYPTO_FAILED);
	ssh_host_key_free(identity.user_ca);
	identity = (struct ssh_identity){0};
	session_crypto_deinit(k);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(told_keys_open_what_they_seal),
		cmocka_unit_test(old_keys_make_room),
		cmocka_unit_test(keys_with_the_backup),
		cmocka_unit_test(a_host_key_proves_and_no_other),
		cmocka_unit_test(a_certificate_is_of_one_user_for_a_minute),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
