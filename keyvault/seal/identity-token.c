/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Debian 13 has a provider for PKCS#11, Debian 12 the engine of libengine-pkcs11-openssl alone:
 * engines are deprecated, and the only way there.
 */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "identity-token.h"

#include <errno.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <openssl/engine.h>
#include <openssl/err.h>
#include <openssl/provider.h>
#include <openssl/store.h>
#include <openssl/ui.h>

bool identity_token_is(const char *where)
{
	return strncmp(where, "pkcs11:", 7) == 0;
}

static EVP_PKEY *from_store(const char *uri)
{
	OSSL_STORE_CTX *store = OSSL_STORE_open(uri, UI_null(), NULL, NULL, NULL);
	EVP_PKEY *key = NULL;

	while (store && !key && !OSSL_STORE_eof(store)) {
		OSSL_STORE_INFO *info = OSSL_STORE_load(store);
		if (!info)
			break;
		if (OSSL_STORE_INFO_get_type(info) == OSSL_STORE_INFO_PKEY)
			key = OSSL_STORE_INFO_get1_PKEY(info);
		OSSL_STORE_INFO_free(info);
	}
	OSSL_STORE_close(store);
	return key;
}

static EVP_PKEY *from_provider(const char *uri)
{
	EVP_PKEY *key = from_store(uri);

	/* Where openssl.cnf does not name the provider. The default one stays beside it. */
	if (!key && !OSSL_PROVIDER_available(NULL, "pkcs11") &&
	    OSSL_PROVIDER_try_load(NULL, "pkcs11", 1))
		key = from_store(uri);
	return key;
}

/* It stays: keys in use are in its hands. */
static ENGINE *engine;
static pthread_once_t engine_once = PTHREAD_ONCE_INIT;

static void start_engine(void)
{
	ENGINE_load_dynamic();
	ENGINE *e = ENGINE_by_id("pkcs11");
	/* Else it writes URIs to stderr, PINs and all. */
	if (e)
		ENGINE_ctrl_cmd_string(e, "QUIET", NULL, 0);
	if (e && ENGINE_init(e))
		engine = e;
	else
		ENGINE_free(e);
}

static EVP_PKEY *from_engine(const char *uri)
{
	/* Who asks for a PIN gets none. */
	UI_METHOD *nobody = (UI_METHOD *)(uintptr_t)UI_null();

	pthread_once(&engine_once, start_engine);
	return engine ? ENGINE_load_private_key(engine, uri, nobody, NULL) : NULL;
}

int identity_token_key(const char *uri, EVP_PKEY **ret, char *error, size_t error_size)
{
	EVP_PKEY *key = from_engine(uri);

	if (!key)
		key = from_provider(uri);
	if (!key) {
		const char *why = ERR_reason_error_string(ERR_peek_last_error());
		/* Not the URI: a PIN may be in it. */
		snprintf(error, error_size, "pkcs11: no such key: %s",
			 why ? why : "neither a provider nor the engine pkcs11");
		ERR_clear_error();
		return -ENOENT;
	}
	ERR_clear_error();
	*ret = key;
	return 0;
}
