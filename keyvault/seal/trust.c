/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "trust.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "base/clock.h"
#include "trust-own.h"

struct trust {
	X509 *ca;
	X509_STORE *store; /* of the CA alone */
	char *crl_path;    /* NULL: none */
	pthread_rwlock_t lock;
	X509_CRL *crl;
};

static const char *const names[] = {"ok", "stranger", "expired", "revoked", "no-role"};

const char *trust_outcome_name(int outcome)
{
	return outcome >= 0 && outcome <= TRUST_NO_ROLE ? names[outcome] : "error";
}

int trust_new(X509 *ca, X509_CRL *crl, struct trust **ret)
{
	if (crl && X509_CRL_verify(crl, X509_get0_pubkey(ca)) != 1) {
		ERR_clear_error();
		return -EINVAL;
	}
	struct trust *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	pthread_rwlock_init(&t->lock, NULL);
	t->store = X509_STORE_new();
	bool done = t->store && X509_STORE_add_cert(t->store, ca) && X509_up_ref(ca);
	if (done)
		t->ca = ca;
	if (done && crl && X509_CRL_up_ref(crl))
		t->crl = crl;
	if (!done || (crl && !t->crl)) {
		trust_close(t);
		return -ENOMEM;
	}
	*ret = t;
	return 0;
}

int trust_watch_crl(struct trust *t, const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	free(t->crl_path);
	t->crl_path = copy;
	return 0;
}

const char *trust_crl_path(const struct trust *t)
{
	return t->crl_path;
}

void trust_close(struct trust *t)
{
	if (!t)
		return;
	X509_free(t->ca);
	X509_STORE_free(t->store);
	X509_CRL_free(t->crl);
	pthread_rwlock_destroy(&t->lock);
	free(t->crl_path);
	free(t);
}

/* Of RFC 5280 section 5.2.3; -1: none. */
static int64_t crl_number(const X509_CRL *crl)
{
	ASN1_INTEGER *number = X509_CRL_get_ext_d2i(crl, NID_crl_number, NULL, NULL);
	int64_t n;

	if (!number || !ASN1_INTEGER_get_int64(&n, number))
		n = -1;
	ASN1_INTEGER_free(number);
	return n;
}

int trust_replace_crl(struct trust *t, X509_CRL *crl)
{
	if (X509_CRL_verify(crl, X509_get0_pubkey(t->ca)) != 1) {
		ERR_clear_error();
		return -EINVAL;
	}
	pthread_rwlock_wrlock(&t->lock);
	bool older = t->crl && crl_number(crl) < crl_number(t->crl);
	X509_CRL *out = older ? NULL : t->crl;
	if (!older && X509_CRL_up_ref(crl))
		t->crl = crl;
	pthread_rwlock_unlock(&t->lock);
	X509_CRL_free(out);
	return older ? -ESTALE : 0;
}

bool trust_is_revoked(struct trust *t, X509 *certificate)
{
	X509_REVOKED *entry;

	pthread_rwlock_rdlock(&t->lock);
	bool revoked = t->crl && X509_CRL_get0_by_cert(t->crl, &entry, certificate) != 0;
	pthread_rwlock_unlock(&t->lock);
	return revoked;
}

static int outcome_of(int error)
{
	switch (error) {
	case X509_V_ERR_CERT_NOT_YET_VALID:
	case X509_V_ERR_CERT_HAS_EXPIRED:
		return TRUST_EXPIRED;
	case X509_V_ERR_OUT_OF_MEM:
		return -ENOMEM;
	default:
		return TRUST_STRANGER;
	}
}

/* The chain of one link, at @when. */
static int check_chain(struct trust *t, X509 *certificate, time_t when)
{
	X509_STORE_CTX *x = X509_STORE_CTX_new();
	int r = -ENOMEM;

	if (x && X509_STORE_CTX_init(x, t->store, certificate, NULL)) {
		X509_VERIFY_PARAM *p = X509_STORE_CTX_get0_param(x);
		X509_VERIFY_PARAM_set_time(p, when);
		X509_VERIFY_PARAM_set_depth(p, 0);
		X509_STORE_CTX_set_flags(x, X509_V_FLAG_X509_STRICT);
		r = X509_verify_cert(x) == 1 ? TRUST_OK : outcome_of(X509_STORE_CTX_get_error(x));
	}
	X509_STORE_CTX_free(x);
	ERR_clear_error();
	return r;
}

int trust_check(struct trust *t, X509 *certificate, int64_t when_ns, struct subject *ret)
{
	int r = check_chain(t, certificate, (time_t)(when_ns / NS_PER_S));

	if (r == TRUST_OK && trust_is_revoked(t, certificate))
		r = TRUST_REVOKED;
	if (r == TRUST_OK && !subject_of(certificate, ret))
		r = TRUST_NO_ROLE;
	return r;
}
