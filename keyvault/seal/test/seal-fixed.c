/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal-fixed.h"

#include "base/demand.h"
#include "fixed-identities.h"

static X509 *certificate(const char *pem)
{
	X509 *c = issue_read_certificate(bytes_str(pem));

	demand(c);
	return c;
}

static struct identity *identity(const char *certificate_pem, const char *key_pem)
{
	struct identity *i = NULL;
	X509 *c = certificate(certificate_pem);
	EVP_PKEY *key = issue_read_key(bytes_str(key_pem));

	demand(key && identity_new(c, key, &i) == 0);
	X509_free(c);
	EVP_PKEY_free(key);
	return i;
}

void seal_fixed_init(struct seal_fixed *x)
{
	X509 *ca = certificate(fixed_ca_certificate);
	uint8_t id[EPOCH_ID_BYTES];

	demand(trust_new(ca, NULL, &x->trust) == 0);
	X509_free(ca);
	x->origin = identity(fixed_origin_certificate, fixed_origin_key);
	x->recovery = identity(fixed_recovery_certificate, fixed_recovery_key);
	x->forger = forger_of(x->origin, RIG_NOW_NS);
	demand(opener_new(x->trust, &x->opener) == 0 &&
	       opener_add_identity(x->opener, x->recovery) == 0);
	struct secret epoch = forger_sign_epoch(&x->forger, x->origin);
	struct sealed blob = forger_seal_to(x->recovery, secret_view(&epoch));
	demand(opener_epoch(x->opener, bytes_of(blob.p, blob.n), RIG_NOW_NS, id) == SEAL_OK);
	secret_free(&epoch);
	sealed_free(&blob);
}
