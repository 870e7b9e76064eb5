/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "backup-rig.h"

#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define REQUIRE(what)                                          \
	do {                                                   \
		if (!(what)) {                                 \
			fprintf(stderr, "%s failed\n", #what); \
			abort();                               \
		}                                              \
	} while (0)

struct authority {
	EVP_PKEY *key;
	X509 *cert;
	char path[64];
};

static struct authority authorities[2];
static long serial;

static void extend(X509 *cert, X509 *issuer, int nid, const char *value)
{
	X509V3_CTX x;

	X509V3_set_ctx(&x, issuer, cert, NULL, NULL, 0);
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, &x, nid, value);
	REQUIRE(e && X509_add_ext(cert, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *certificate(EVP_PKEY *key, const char *name, const struct authority *by)
{
	X509 *c = X509_new();

	REQUIRE(c);
	X509_set_version(c, 2);
	ASN1_INTEGER_set(X509_get_serialNumber(c), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(c), -7200);
	X509_gmtime_adj(X509_getm_notAfter(c), 7200);
	X509_NAME_add_entry_by_txt(X509_get_subject_name(c), "CN", MBSTRING_ASC,
				   (const unsigned char *)name, -1, -1, 0);
	X509_set_issuer_name(c, X509_get_subject_name(by ? by->cert : c));
	X509_set_pubkey(c, key);
	return c;
}

static const char *authority(int i, const char *name)
{
	struct authority *a = &authorities[i];

	if (a->key)
		return a->path;
	a->key = EVP_EC_gen("P-256");
	REQUIRE(a->key);
	a->cert = certificate(a->key, name, NULL);
	extend(a->cert, a->cert, NID_basic_constraints, "critical,CA:TRUE");
	REQUIRE(X509_sign(a->cert, a->key, EVP_sha256()) > 0);
	strcpy(a->path, "/tmp/backup-rig-XXXXXX");
	FILE *f = fdopen(mkstemp(a->path), "w");
	REQUIRE(f && PEM_write_X509(f, a->cert) == 1 && fclose(f) == 0);
	return a->path;
}

const char *backup_rig_ca(void)
{
	return authority(0, "rig CA");
}

const char *backup_rig_other_ca(void)
{
	return authority(1, "another CA");
}

static int choose_alpn(SSL *ssl, const unsigned char **out, unsigned char *out_n,
		       const unsigned char *in, unsigned int n, void *arg)
{
	const char *mine = arg;
	unsigned char list[64];

	list[0] = (unsigned char)strlen(mine);
	memcpy(list + 1, mine, list[0]);
	int r = SSL_select_next_proto((unsigned char **)out, out_n, list, list[0] + 1u, in, n);
	return r == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static int refuse_certificate(int ok, X509_STORE_CTX *c)
{
	return 0;
}

SSL_CTX *backup_rig_server(const struct backup_rig_options *o)
{
	SSL_CTX *x = SSL_CTX_new(TLS_server_method());
	EVP_PKEY *key = EVP_EC_gen("P-256");

	backup_rig_ca();
	REQUIRE(x && key);
	X509 *cert = certificate(key, "backup", &authorities[0]);
	if (o->expired)
		X509_gmtime_adj(X509_getm_notAfter(cert), -3600);
	extend(cert, authorities[0].cert, NID_subject_alt_name,
	       o->name ? o->name : "DNS:web.example,IP:10.9.0.1");
	REQUIRE(X509_sign(cert, authorities[0].key, EVP_sha256()) > 0);
	REQUIRE(SSL_CTX_use_certificate(x, cert) == 1 && SSL_CTX_use_PrivateKey(x, key) == 1);
	X509_free(cert);
	EVP_PKEY_free(key);
	if (o->tls12)
		SSL_CTX_set_max_proto_version(x, TLS1_2_VERSION);
	if (o->no_tickets) {
		SSL_CTX_set_options(x, SSL_OP_NO_TICKET);
		SSL_CTX_set_num_tickets(x, 0);
		SSL_CTX_set_session_cache_mode(x, SSL_SESS_CACHE_OFF);
	}
	if (o->alpn)
		SSL_CTX_set_alpn_select_cb(x, choose_alpn, (void *)(uintptr_t)o->alpn);
	if (o->wants_certificate)
		SSL_CTX_set_verify(x, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
				   refuse_certificate);
	return x;
}

int backup_rig_deinit(void **state)
{
	for (int i = 0; i < 2; i++) {
		struct authority *a = &authorities[i];
		if (a->key)
			unlink(a->path);
		EVP_PKEY_free(a->key);
		X509_free(a->cert);
	}
	return 0;
}
