/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * What it costs to seal and to open the keys of sessions, records per second and core by the size
 * of a batch, beside the bare operations of libcrypto in the same run. Prints the best of five runs
 * in CPU time.
 */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/clock.h"
#include "base/demand.h"
#include "keyvault/seal/authority.h"
#include "keyvault/seal/seal.h"

#define RECORDS    2048
#define SIGNATURES 500
#define RUNS       5

/* Of a CA made for the run, in a directory. */
static struct {
	struct trust *trust;
	struct identity *origin, *recovery;
	struct sealer *sealer;
	struct opener *opener;
} rig;

static int64_t now_ns;
static uint8_t room[SEAL_BATCH_MAX][SESSION_KEYS_MAX_BYTES];
static struct bytes keys[SEAL_BATCH_MAX];
static struct sealed blobs[RECORDS];
static struct session_index indexes[RECORDS];

/* Not the wall: other programs of a busy machine do not count. */
static int64_t cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (int64_t)ts.tv_sec * NS_PER_S + ts.tv_nsec;
}

static double seal(size_t batch)
{
	int64_t start = cpu_ns();

	for (size_t i = 0; i < RECORDS; i += batch)
		demand(sealer_batch(rig.sealer, now_ns, keys, batch, &blobs[i], &indexes[i]) == 0);
	return (double)(cpu_ns() - start) / RECORDS;
}

static double open_all(void)
{
	static uint8_t out[SESSION_KEYS_MAX_BYTES];
	struct opened opened;
	int64_t start = cpu_ns();

	for (size_t i = 0; i < RECORDS; i++)
		demand(opener_record(rig.opener, bytes_of(blobs[i].p, blobs[i].n), &indexes[i],
				     now_ns, 0, out, &opened) == SEAL_OK);
	return (double)(cpu_ns() - start) / RECORDS;
}

static void least(double *io, double now)
{
	*io = *io == 0 || now < *io ? now : *io;
}

static void batches(void)
{
	static const size_t sizes[] = {1, 16, 256};

	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		double sealed = 0, opened = 0;
		size_t bytes = 0;

		for (int run = 0; run < RUNS; run++) {
			least(&sealed, seal(sizes[k]));
			least(&opened, open_all());
			bytes = blobs[0].n;
			for (size_t i = 0; i < RECORDS; i++)
				sealed_free(&blobs[i]);
		}
		printf("batch %3zu: %7.1f us sealed (%6.0f/s), %7.1f us opened (%6.0f/s), %zu "
		       "bytes of %zu\n",
		       sizes[k], sealed / 1e3, 1e9 / sealed, opened / 1e3, 1e9 / opened, bytes,
		       keys[0].n);
	}
}

/* An epoch: sealed once an hour, opened once. */
static void epochs(void)
{
	static struct sealed epoch[SIGNATURES];
	uint8_t id[EPOCH_ID_BYTES];
	int64_t start = cpu_ns();

	for (int i = 0; i < SIGNATURES; i++)
		demand(sealer_epoch(rig.sealer, now_ns, id, &epoch[i]) == 0);
	double sealed = (double)(cpu_ns() - start) / SIGNATURES;
	start = cpu_ns();
	for (int i = 0; i < SIGNATURES; i++)
		demand(opener_epoch(rig.opener, bytes_of(epoch[i].p, epoch[i].n), now_ns, id) ==
		       SEAL_OK);
	double opened = (double)(cpu_ns() - start) / SIGNATURES;
	printf("epoch:     %7.1f us sealed, %7.1f us opened, %zu bytes\n", sealed / 1e3,
	       opened / 1e3, epoch[0].n);
	for (int i = 0; i < SIGNATURES; i++)
		sealed_free(&epoch[i]);
}

/* AES-256-GCM of one record with a fresh key, as bare as libcrypto has it. */
static double bare_gcm(size_t n)
{
	static uint8_t in[8192], out[8192];
	uint8_t key[32], nonce[12], tag[16];
	EVP_CIPHER *gcm = EVP_CIPHER_fetch(NULL, "AES-256-GCM", NULL);
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
	int64_t start = cpu_ns();
	int len;

	for (int i = 0; i < RECORDS; i++) {
		demand(RAND_priv_bytes(key, 32) == 1 && RAND_bytes(nonce, 12) == 1);
		demand(EVP_EncryptInit_ex2(c, gcm, key, nonce, NULL) &&
		       EVP_EncryptUpdate(c, out, &len, in, (int)n) &&
		       EVP_EncryptFinal_ex(c, out, &len) &&
		       EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_AEAD_GET_TAG, 16, tag));
	}
	double ns = (double)(cpu_ns() - start) / RECORDS;
	EVP_CIPHER_CTX_free(c);
	EVP_CIPHER_free(gcm);
	return ns;
}

static void bare_ecdsa(EVP_PKEY *key, double *io_sign, double *io_verify)
{
	uint8_t hash[32] = {1}, signature[128];
	size_t n = sizeof signature;
	EVP_PKEY_CTX *s = EVP_PKEY_CTX_new(key, NULL), *v = EVP_PKEY_CTX_new(key, NULL);

	demand(s && v && EVP_PKEY_sign_init(s) == 1 && EVP_PKEY_verify_init(v) == 1);
	int64_t start = cpu_ns();
	for (int i = 0; i < SIGNATURES; i++) {
		n = sizeof signature;
		demand(EVP_PKEY_sign(s, signature, &n, hash, sizeof hash) == 1);
	}
	least(io_sign, (double)(cpu_ns() - start) / SIGNATURES);
	start = cpu_ns();
	for (int i = 0; i < SIGNATURES; i++)
		demand(EVP_PKEY_verify(v, signature, n, hash, sizeof hash) == 1);
	least(io_verify, (double)(cpu_ns() - start) / SIGNATURES);
	EVP_PKEY_CTX_free(s);
	EVP_PKEY_CTX_free(v);
}

static double bare_ecdh(EVP_PKEY *ours, EVP_PKEY *theirs)
{
	uint8_t secret[64];
	int64_t start = cpu_ns();

	for (int i = 0; i < SIGNATURES; i++) {
		EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(ours, NULL);
		size_t n = sizeof secret;
		demand(c && EVP_PKEY_derive_init(c) == 1 &&
		       EVP_PKEY_derive_set_peer(c, theirs) == 1 &&
		       EVP_PKEY_derive(c, secret, &n) == 1);
		EVP_PKEY_CTX_free(c);
	}
	return (double)(cpu_ns() - start) / SIGNATURES;
}

static void bare(void)
{
	double gcm = 0, sign = 0, verify = 0, ecdh = 0;

	for (int run = 0; run < RUNS; run++) {
		least(&gcm, bare_gcm(keys[0].n));
		bare_ecdsa(identity_key(rig.origin), &sign, &verify);
		least(&ecdh, bare_ecdh(identity_key(rig.origin), identity_key(rig.recovery)));
	}
	printf("bare:      %7.1f us AES-256-GCM with a fresh key, %.1f us ECDSA P-256 sign, %.1f "
	       "us verify, %.1f us ECDH\n",
	       gcm / 1e3, sign / 1e3, verify / 1e3, ecdh / 1e3);
}

static size_t make_keys(unsigned i, uint8_t *out)
{
	struct session_keys k = {.protocol = KEYS_TLS};
	struct writer w = writer_init(out, SESSION_KEYS_MAX_BYTES);
	uint8_t secret[48];

	demand(endpoint_parse("10.9.0.1:443", false, &k.server) == 0 &&
	       endpoint_parse("10.9.0.10:40000", false, &k.client) == 0);
	memset(secret, 0x5a, sizeof secret);
	memcpy(secret, &i, sizeof i);
	k.tls.version = 0x0304;
	k.tls.suite = 0x1302;
	memcpy(k.tls.client_random, secret, TLS_RANDOM_BYTES);
	for (int s = TLS_CLIENT_HANDSHAKE; s < TLS_SECRETS; s++)
		k.tls.secret[s] = bytes_of(secret, sizeof secret);
	session_keys_write(&w, &k);
	demand(writer_ok(&w));
	return writer_pos(&w);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	return remove(path);
}

static struct identity *identity(const char *dir, const char *name, enum identity_role role)
{
	char certificate[128], key[128], error[512];
	struct identity *i = NULL;

	snprintf(certificate, sizeof certificate, "%s/%s.crt", dir, name);
	snprintf(key, sizeof key, "%s/%s.key", dir, name);
	demand(identity_open(certificate, key, role, &i, error, sizeof error) == 0);
	return i;
}

static void set_up(void)
{
	char dir[] = "/tmp/bench-seal-XXXXXX", ca[64], error[512];
	struct authority a = {.dir = dir, .now_ns = now_ns};
	STACK_OF(X509) *to = sk_X509_new_null();
	uint8_t id[EPOCH_ID_BYTES];
	struct sealed epoch;
	struct netaddr server;

	demand(mkdtemp(dir) && netaddr_parse("10.9.0.1", &server) == 0);
	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	demand(authority_init(&a, error, sizeof error) == 0 &&
	       authority_add_origin(&a, "web1", &server, 1, error, sizeof error) == 0 &&
	       trust_open(ca, NULL, &rig.trust, error, sizeof error) == 0);
	rig.recovery = identity(dir, "recovery", IDENTITY_RECOVERY);
	rig.origin = identity(dir, "origins/web1/origin", IDENTITY_ORIGIN);
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	demand(to && sk_X509_push(to, identity_certificate(rig.recovery)) > 0 &&
	       sealer_new(rig.origin, to, &rig.sealer) == 0 &&
	       opener_new(rig.trust, &rig.opener) == 0 &&
	       opener_add_identity(rig.opener, rig.recovery) == 0);
	sk_X509_free(to);
	demand(sealer_epoch(rig.sealer, now_ns, id, &epoch) == 0 &&
	       opener_epoch(rig.opener, bytes_of(epoch.p, epoch.n), now_ns, id) == SEAL_OK);
	sealed_free(&epoch);
	for (unsigned i = 0; i < SEAL_BATCH_MAX; i++)
		keys[i] = bytes_of(room[i], make_keys(i, room[i]));
}

static void tear_down(void)
{
	opener_free(rig.opener);
	sealer_free(rig.sealer);
	identity_close(rig.origin);
	identity_close(rig.recovery);
	trust_close(rig.trust);
}

int main(void)
{
	demand(seal_secure_heap(1 << 20) == 0);
	now_ns = clock_real_ns();
	set_up();
	batches();
	epochs();
	bare();
	tear_down();
	return 0;
}
