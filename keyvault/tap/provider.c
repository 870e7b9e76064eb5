/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * provider: the tap as a provider of OpenSSL 3, for programs whose environment is scrubbed: it is
 * loaded by openssl.cnf, whose section names the collector's socket.
 *
 * TLS needs nothing but to be there before a context is: OpenSSL tells of each new one
 * (tls_tap_provider()). For SSH it offers the digests of key exchanges, made of OpenSSL's own,
 * where standard input is a TCP connection; elsewhere it offers nothing.
 */
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdlib.h>

#include <openssl/core.h>
#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>

#include "ssh-tap.h"
#include "tap.h"
#include "tls-tap.h"

#define PROPERTY "provider=jeebs-keytap"

/* Of libcrypto, by name: this library is linked against none. Result, name, arguments. */
#define FUNCTIONS(F)                                                            \
	F(OSSL_LIB_CTX *, OSSL_LIB_CTX_new, (void))                             \
	F(void, OSSL_LIB_CTX_free, (OSSL_LIB_CTX *))                            \
	F(EVP_MD *, EVP_MD_fetch, (OSSL_LIB_CTX *, const char *, const char *)) \
	F(int, EVP_MD_get_size, (const EVP_MD *))                               \
	F(int, EVP_MD_get_block_size, (const EVP_MD *))                         \
	F(EVP_MD_CTX *, EVP_MD_CTX_new, (void))                                 \
	F(void, EVP_MD_CTX_free, (EVP_MD_CTX *))                                \
	F(int, EVP_MD_CTX_copy_ex, (EVP_MD_CTX *, const EVP_MD_CTX *))          \
	F(int, EVP_DigestInit_ex, (EVP_MD_CTX *, const EVP_MD *, ENGINE *))     \
	F(int, EVP_DigestUpdate, (EVP_MD_CTX *, const void *, size_t))          \
	F(int, EVP_DigestFinal_ex, (EVP_MD_CTX *, unsigned char *, unsigned *)) \
	F(OSSL_PARAM *, OSSL_PARAM_locate, (OSSL_PARAM *, const char *))        \
	F(int, OSSL_PARAM_set_size_t, (OSSL_PARAM *, size_t))                   \
	F(int, OSSL_PARAM_set_int, (OSSL_PARAM *, int))

static struct {
#define MEMBER(result, name, arguments) result(*name) arguments;
	FUNCTIONS(MEMBER)
#undef MEMBER
} crypto;

static bool find_crypto(void)
{
	bool all = true;

#define FIND(result, name, arguments)                       \
	*(void **)&crypto.name = libcrypto_function(#name); \
	all = all && crypto.name;
	FUNCTIONS(FIND)
#undef FIND
	return all;
}

/* The digests behind ours, in a library context of their own: there nobody finds ours. */
static OSSL_LIB_CTX *behind;
static EVP_MD *digests[SSH_SHA512 + 1];

/* One digest that is being made. */
struct hashing {
	EVP_MD_CTX *real;
	enum ssh_hash hash;
	struct ssh_derivation derivation;
};

static void hashing_free(void *p)
{
	struct hashing *x = p;

	if (!x)
		return;
	crypto.EVP_MD_CTX_free(x->real);
	ssh_derivation_forget(&x->derivation);
	free(x);
}

static struct hashing *hashing_new(enum ssh_hash hash)
{
	struct hashing *x = calloc(1, sizeof *x);

	if (!x)
		return NULL;
	x->hash = hash;
	x->real = crypto.EVP_MD_CTX_new();
	if (!x->real) {
		free(x);
		return NULL;
	}
	return x;
}

/* A copy is no derivation: sshd makes none of these. */
static void *hashing_dup(void *p)
{
	const struct hashing *x = p;
	struct hashing *copy = hashing_new(x->hash);

	if (copy && crypto.EVP_MD_CTX_copy_ex(copy->real, x->real) != 1) {
		hashing_free(copy);
		return NULL;
	}
	return copy;
}

static int hashing_init(void *p, const OSSL_PARAM params[])
{
	struct hashing *x = p;

	ssh_derivation_begin(&x->derivation, x, x->hash);
	return crypto.EVP_DigestInit_ex(x->real, digests[x->hash], NULL);
}

static int hashing_update(void *p, const unsigned char *in, size_t n)
{
	struct hashing *x = p;

	ssh_derivation_part(&x->derivation, x, bytes_of(in, n));
	return crypto.EVP_DigestUpdate(x->real, in, n);
}

static int hashing_final(void *p, unsigned char *out, size_t *ret_bytes, size_t room)
{
	struct hashing *x = p;
	unsigned n = 0;

	ssh_tap_end(&x->derivation, x);
	if (room < ssh_hash_bytes(x->hash) || crypto.EVP_DigestFinal_ex(x->real, out, &n) != 1)
		return 0;
	*ret_bytes = n;
	return 1;
}

static int set_size(OSSL_PARAM params[], const char *key, int value)
{
	OSSL_PARAM *p = crypto.OSSL_PARAM_locate(params, key);

	return !p || (value > 0 && crypto.OSSL_PARAM_set_size_t(p, (size_t)value));
}

static int set_flag(OSSL_PARAM params[], const char *key, int value)
{
	OSSL_PARAM *p = crypto.OSSL_PARAM_locate(params, key);

	return !p || crypto.OSSL_PARAM_set_int(p, value);
}

static int tell(enum ssh_hash hash, OSSL_PARAM params[])
{
	return set_size(params, OSSL_DIGEST_PARAM_SIZE, crypto.EVP_MD_get_size(digests[hash])) &&
	       set_size(params, OSSL_DIGEST_PARAM_BLOCK_SIZE,
			crypto.EVP_MD_get_block_size(digests[hash])) &&
	       set_flag(params, OSSL_DIGEST_PARAM_XOF, 0) &&
	       set_flag(params, OSSL_DIGEST_PARAM_ALGID_ABSENT, 1);
}

static const OSSL_PARAM *can_tell(void *context)
{
	static const OSSL_PARAM all[] = {
		OSSL_PARAM_size_t(OSSL_DIGEST_PARAM_SIZE, NULL),
		OSSL_PARAM_size_t(OSSL_DIGEST_PARAM_BLOCK_SIZE, NULL),
		OSSL_PARAM_int(OSSL_DIGEST_PARAM_XOF, NULL),
		OSSL_PARAM_int(OSSL_DIGEST_PARAM_ALGID_ABSENT, NULL),
		OSSL_PARAM_END,
	};

	return all;
}

#define OFFER(hash)                                                           \
	static void *new_##hash(void *context)                                \
	{                                                                     \
		return hashing_new(SSH_##hash);                               \
	}                                                                     \
	static int tell_##hash(OSSL_PARAM params[])                           \
	{                                                                     \
		return tell(SSH_##hash, params);                              \
	}                                                                     \
	static const OSSL_DISPATCH functions_##hash[] = {                     \
		{OSSL_FUNC_DIGEST_NEWCTX, (void (*)(void))new_##hash},        \
		{OSSL_FUNC_DIGEST_FREECTX, (void (*)(void))hashing_free},     \
		{OSSL_FUNC_DIGEST_DUPCTX, (void (*)(void))hashing_dup},       \
		{OSSL_FUNC_DIGEST_INIT, (void (*)(void))hashing_init},        \
		{OSSL_FUNC_DIGEST_UPDATE, (void (*)(void))hashing_update},    \
		{OSSL_FUNC_DIGEST_FINAL, (void (*)(void))hashing_final},      \
		{OSSL_FUNC_DIGEST_GET_PARAMS, (void (*)(void))tell_##hash},   \
		{OSSL_FUNC_DIGEST_GETTABLE_PARAMS, (void (*)(void))can_tell}, \
		{0, NULL},                                                    \
	};
OFFER(SHA1)
OFFER(SHA256)
OFFER(SHA384)
OFFER(SHA512)

/* By all the names that OpenSSL has for them: who asks by another one must find the same. */
static const OSSL_ALGORITHM offered[] = {
	{"SHA1:SHA-1:SSL3-SHA1:1.3.14.3.2.26", PROPERTY, functions_SHA1, NULL},
	{"SHA2-256:SHA-256:SHA256:2.16.840.1.101.3.4.2.1", PROPERTY, functions_SHA256, NULL},
	{"SHA2-384:SHA-384:SHA384:2.16.840.1.101.3.4.2.2", PROPERTY, functions_SHA384, NULL},
	{"SHA2-512:SHA-512:SHA512:2.16.840.1.101.3.4.2.3", PROPERTY, functions_SHA512, NULL},
	{NULL, NULL, NULL, NULL},
};

static bool find_digests(void)
{
	static const char *const names[] = {
		[SSH_SHA1] = "SHA1",
		[SSH_SHA256] = "SHA2-256",
		[SSH_SHA384] = "SHA2-384",
		[SSH_SHA512] = "SHA2-512",
	};

	behind = find_crypto() ? crypto.OSSL_LIB_CTX_new() : NULL;
	for (int i = SSH_SHA1; behind && i <= SSH_SHA512; i++) {
		digests[i] = crypto.EVP_MD_fetch(behind, names[i], NULL);
		if (!digests[i])
			return false;
	}
	return behind != NULL;
}

/* ---- what OpenSSL asks ----------------------------------------------------------------------- */

static bool offers;

static const OSSL_ALGORITHM *query(void *context, int operation, int *ret_not_cached)
{
	*ret_not_cached = 0;
	return offers && operation == OSSL_OP_DIGEST ? offered : NULL;
}

/* What is looked up stays: others may hold digests of ours to the very end. */
static void teardown(void *context) {}

static const OSSL_DISPATCH functions[] = {
	{OSSL_FUNC_PROVIDER_QUERY_OPERATION, (void (*)(void))query},
	{OSSL_FUNC_PROVIDER_TEARDOWN, (void (*)(void))teardown},
	{0, NULL},
};

/* A word of our section of openssl.cnf; NULL: it is not there. */
static const char *configured(const OSSL_CORE_HANDLE *core, OSSL_FUNC_core_get_params_fn *get,
			      const char *key)
{
	char *value = NULL;
	OSSL_PARAM asked[] = {
		{key, OSSL_PARAM_UTF8_PTR, &value, 0, 0},
		OSSL_PARAM_END,
	};

	return get && get(core, asked) ? value : NULL;
}

/* Then the preloaded functions see the digests. */
static bool is_preloaded(void)
{
	Dl_info found, own;
	void *update = dlsym(RTLD_DEFAULT, "EVP_DigestUpdate");

	return update && dladdr(update, &found) && dladdr((void *)functions, &own) &&
	       found.dli_fbase == own.dli_fbase;
}

__attribute__((visibility("default"))) OSSL_provider_init_fn OSSL_provider_init;

int OSSL_provider_init(const OSSL_CORE_HANDLE *core, const OSSL_DISPATCH *in,
		       const OSSL_DISPATCH **out, void **ret_context)
{
	static atomic_flag begun = ATOMIC_FLAG_INIT;
	OSSL_FUNC_core_get_params_fn *get = NULL;

	for (; in->function_id != 0; in++)
		if (in->function_id == OSSL_FUNC_CORE_GET_PARAMS)
			get = OSSL_FUNC_core_get_params(in);
	*ret_context = (void *)(uintptr_t)core;
	*out = functions;
	/* Once: another library context of the program may load it as well. */
	if (is_preloaded() || atomic_flag_test_and_set(&begun))
		return 1;
	const char *closed = configured(core, get, "closed");
	tap_begin(configured(core, get, "socket"), closed && *closed == '1', true);
	if (!tap_is_on())
		return 1;
	tls_tap_provider();
	offers = ssh_tap_is_on() && find_digests();
	return 1;
}
