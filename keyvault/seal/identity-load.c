/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <errno.h>
#include <stdio.h>

#include <openssl/err.h>
#include <openssl/pem.h>

#include "identity-file.h"
#include "identity-token.h"
#include "identity.h"

static int not_a(const char *where, const char *what, char *error, size_t error_size)
{
	ERR_clear_error();
	snprintf(error, error_size, "%s: not %s", where, what);
	return -EINVAL;
}

/* All certificates of @b. NULL: something else is in it, or none, or more than @max. */
static STACK_OF(X509) * read_certificates(BIO *b, size_t max)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	X509 *one;

	while (all && (one = PEM_read_bio_X509(b, NULL, NULL, NULL))) {
		if ((size_t)sk_X509_num(all) < max && sk_X509_push(all, one) > 0)
			continue;
		X509_free(one);
		break;
	}
	bool at_end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	ERR_clear_error();
	if (all && at_end && sk_X509_num(all) > 0)
		return all;
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

int identity_certificates(const char *where, size_t max, STACK_OF(X509) * *ret, char *error,
			  size_t error_size)
{
	_cleanup_secret_ struct secret text = {0};
	int r = identity_file_read(where, IDENTITY_FILE_PUBLIC, &text, error, error_size);

	if (r < 0)
		return r;
	BIO *b = BIO_new_mem_buf(text.p, (int)text.n);
	STACK_OF(X509) *all = b ? read_certificates(b, max) : NULL;
	BIO_free(b);
	if (!all)
		return not_a(where, max == 1 ? "a certificate" : "a list of certificates", error,
			     error_size);
	*ret = all;
	return 0;
}

/* Without a terminal there is nobody to ask for a passphrase. */
static int no_passphrase(char *room, int size, int writing, void *user)
{
	return -1;
}

static int key_from_file(const char *where, EVP_PKEY **ret, char *error, size_t error_size)
{
	_cleanup_secret_ struct secret text = {0};
	int r = identity_file_read(where, IDENTITY_FILE_SECRET, &text, error, error_size);

	if (r < 0)
		return r;
	BIO *b = BIO_new_mem_buf(text.p, (int)text.n);
	*ret = b ? PEM_read_bio_PrivateKey(b, NULL, no_passphrase, NULL) : NULL;
	BIO_free(b);
	return *ret ? 0 : not_a(where, "a private key without a passphrase", error, error_size);
}

static int put_together(X509 *certificate, EVP_PKEY *key, enum identity_role role,
			const char *names[2], struct identity **ret, char *error, size_t error_size)
{
	struct subject s;

	if (!subject_of(certificate, &s) || s.role != role) {
		snprintf(error, error_size, "%s: not a certificate with the role %s", names[0],
			 identity_role_name(role));
		return -EINVAL;
	}
	if (X509_check_private_key(certificate, key) != 1) {
		ERR_clear_error();
		snprintf(error, error_size, "%s: not the key to the certificate %s", names[1],
			 names[0]);
		return -EINVAL;
	}
	/* To be told when it is opened, and not when it is needed. */
	if (role == IDENTITY_RECOVERY && !identity_agrees(certificate, key)) {
		snprintf(error, error_size, "%s: the key cannot be agreed with by ECDH", names[0]);
		return -EINVAL;
	}
	return identity_new(certificate, key, ret);
}

int identity_open(const char *certificate, const char *key, enum identity_role role,
		  struct identity **ret, char *error, size_t error_size)
{
	STACK_OF(X509) *certificates = NULL;
	EVP_PKEY *private_key = NULL;
	X509 *own = NULL;

	int r = identity_certificates(certificate, 1, &certificates, error, error_size);
	if (r == 0)
		own = sk_X509_value(certificates, 0);
	if (r == 0 && identity_token_is(key))
		r = identity_token_key(key, &private_key, error, error_size);
	else if (r == 0)
		r = key_from_file(key, &private_key, error, error_size);
	if (r == 0)
		r = put_together(own, private_key, role, (const char *[]){certificate, key}, ret,
				 error, error_size);
	sk_X509_pop_free(certificates, X509_free);
	EVP_PKEY_free(private_key);
	return r;
}
