/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509_vfy.h>

#include "base/clock.h"
#include "identity-file.h"
#include "trust-own.h"

static int read_crl(const char *where, X509_CRL **ret, char *error, size_t error_size)
{
	_cleanup_secret_ struct secret text = {0};
	int r = identity_file_read(where, IDENTITY_FILE_PUBLIC, &text, error, error_size);

	if (r < 0)
		return r;
	BIO *b = BIO_new_mem_buf(text.p, (int)text.n);
	*ret = b ? PEM_read_bio_X509_CRL(b, NULL, NULL, NULL) : NULL;
	BIO_free(b);
	if (*ret)
		return 0;
	ERR_clear_error();
	snprintf(error, error_size, "%s: not a certificate revocation list", where);
	return -EINVAL;
}

static int not_of_the_ca(const char *crl, char *error, size_t error_size)
{
	snprintf(error, error_size, "%s: not signed by the CA", crl);
	return -EINVAL;
}

int trust_open(const char *ca, const char *crl, struct trust **ret, char *error, size_t error_size)
{
	STACK_OF(X509) *certificates = NULL;
	X509_CRL *list = NULL;
	struct trust *t = NULL;

	int r = identity_certificates(ca, 1, &certificates, error, error_size);
	if (r == 0 && crl)
		r = read_crl(crl, &list, error, error_size);
	if (r == 0) {
		r = trust_new(sk_X509_value(certificates, 0), list, &t);
		if (r == -EINVAL)
			r = not_of_the_ca(crl, error, error_size);
	}
	if (r == 0 && crl)
		r = trust_watch_crl(t, crl);
	sk_X509_pop_free(certificates, X509_free);
	X509_CRL_free(list);
	if (r < 0)
		trust_close(t);
	else
		*ret = t;
	return r;
}

int trust_reload(struct trust *t, char *error, size_t error_size)
{
	const char *path = trust_crl_path(t);
	X509_CRL *list = NULL;

	if (!path)
		return 0;
	int r = read_crl(path, &list, error, error_size);
	if (r < 0)
		return r;
	r = trust_replace_crl(t, list);
	X509_CRL_free(list);
	if (r == -EINVAL)
		return not_of_the_ca(path, error, error_size);
	if (r == -ESTALE)
		snprintf(error, error_size, "%s: older than the list known", path);
	return r;
}

int trust_verify_peer(X509_STORE_CTX *peer, void *trust)
{
	X509 *certificate = X509_STORE_CTX_get0_cert(peer);
	struct subject subject;
	int r = certificate ? trust_check(trust, certificate, clock_real_ns(), &subject)
			    : TRUST_STRANGER;

	switch (r) {
	case TRUST_OK:
		X509_STORE_CTX_set_error(peer, X509_V_OK);
		return 1;
	case TRUST_EXPIRED:
		X509_STORE_CTX_set_error(peer, X509_V_ERR_CERT_HAS_EXPIRED);
		return 0;
	case TRUST_REVOKED:
		X509_STORE_CTX_set_error(peer, X509_V_ERR_CERT_REVOKED);
		return 0;
	default:
		X509_STORE_CTX_set_error(peer,
					 r < 0 ? X509_V_ERR_OUT_OF_MEM : X509_V_ERR_CERT_UNTRUSTED);
		return 0;
	}
}
