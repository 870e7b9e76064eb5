/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * libssl: the functions of OpenSSL 3 that the tap calls, looked up in what the process has loaded:
 * the tap is linked against none of it. A libssl that a module of a server brought (apache2,
 * lighttpd) is in no global scope and is found by its name; once found it stays loaded, so that
 * what was looked up stays true.
 */
#ifndef KEYVAULT_LIBSSL_H
#define KEYVAULT_LIBSSL_H

#include <stddef.h>
#include <stdint.h>

/* OpenSSL's own, which are not declared here by its headers. */
typedef struct ssl_st SSL;
typedef struct ssl_ctx_st SSL_CTX;
typedef struct ssl_method_st SSL_METHOD;
typedef struct ssl_cipher_st SSL_CIPHER;
typedef struct ossl_lib_ctx_st OSSL_LIB_CTX;
typedef struct crypto_ex_data_st CRYPTO_EX_DATA;

/* <openssl/crypto.h> */
#define LIBSSL_CLASS_SSL     0
#define LIBSSL_CLASS_SSL_CTX 1

typedef void libssl_keylog(const SSL *, const char *);
typedef void libssl_ex_new(void *parent, void *p, CRYPTO_EX_DATA *, int index, long, void *);
typedef void libssl_ex_free(void *parent, void *p, CRYPTO_EX_DATA *, int index, long, void *);
typedef int libssl_ex_dup(CRYPTO_EX_DATA *, const CRYPTO_EX_DATA *, void **, int, long, void *);

/* Result, name, arguments. */
#define LIBSSL_FUNCTIONS(F)                                                              \
	F(SSL_CTX *, SSL_CTX_new, (const SSL_METHOD *))                                  \
	F(SSL_CTX *, SSL_CTX_new_ex, (OSSL_LIB_CTX *, const char *, const SSL_METHOD *)) \
	F(const SSL_METHOD *, SSL_CTX_get_ssl_method, (const SSL_CTX *))                 \
	F(const SSL_METHOD *, TLS_client_method, (void))                                 \
	F(void, SSL_CTX_set_keylog_callback, (SSL_CTX *, libssl_keylog *))               \
	F(libssl_keylog *, SSL_CTX_get_keylog_callback, (const SSL_CTX *))               \
	F(int, SSL_CTX_set_ex_data, (SSL_CTX *, int, void *))                            \
	F(void *, SSL_CTX_get_ex_data, (const SSL_CTX *, int))                           \
	F(int, SSL_set_ex_data, (SSL *, int, void *))                                    \
	F(void *, SSL_get_ex_data, (const SSL *, int))                                   \
	F(SSL_CTX *, SSL_get_SSL_CTX, (const SSL *))                                     \
	F(int, SSL_is_server, (const SSL *))                                             \
	F(int, SSL_get_rfd, (const SSL *))                                               \
	F(int, SSL_version, (const SSL *))                                               \
	F(int, SSL_session_reused, (const SSL *))                                        \
	F(const SSL_CIPHER *, SSL_get_current_cipher, (const SSL *))                     \
	F(const SSL_CIPHER *, SSL_get_pending_cipher, (const SSL *))                     \
	F(uint16_t, SSL_CIPHER_get_protocol_id, (const SSL_CIPHER *))

struct libssl {
#define LIBSSL_MEMBER(result, name, arguments) result(*name) arguments;
	LIBSSL_FUNCTIONS(LIBSSL_MEMBER)
#undef LIBSSL_MEMBER
};

/* NULL: there is no OpenSSL 3 in this process, or not yet. Any thread. */
const struct libssl *libssl(void);
/* A function of libcrypto, or NULL. */
void *libcrypto_function(const char *name);

#endif
