/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "origin-files.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "base/log.h"
#include "keyvault/vault/vault-tls.h"

/* Nobody is sealed to whom the CA does not know as a recovery identity; one that has expired is
 * left out, as long as there is another. */
static int check_recovery(struct origin_files *f, const char *path, int64_t real_ns, char *error,
			  size_t error_size)
{
	struct subject who;

	for (int i = sk_X509_num(f->recovery) - 1; i >= 0; i--) {
		int r = trust_check(f->trust, sk_X509_value(f->recovery, i), real_ns, &who);
		if (r == TRUST_OK && who.role == IDENTITY_RECOVERY)
			continue;
		if (r == TRUST_EXPIRED && sk_X509_num(f->recovery) > 1) {
			log_event(LOG_WARNING, "recovery-expired", LOG_STR("file", path));
			X509_free(sk_X509_delete(f->recovery, i));
			continue;
		}
		snprintf(error, error_size, "%s: certificate %d: %s", path, i + 1,
			 r == TRUST_OK ? "not of a recovery identity"
			 : r > 0       ? trust_outcome_name(r)
				       : log_strerror(r));
		return r < 0 ? r : -EINVAL;
	}
	return 0;
}

static int open_all(const char *dir, int64_t real_ns, struct origin_files *f, char *error,
		    size_t error_size)
{
	char ca[PATH_MAX], crl[PATH_MAX], crt[PATH_MAX], key[PATH_MAX], recovery[PATH_MAX];

	snprintf(ca, sizeof ca, "%s/ca.crt", dir);
	snprintf(crt, sizeof crt, "%s/origin.crt", dir);
	snprintf(key, sizeof key, "%s/origin.key", dir);
	snprintf(recovery, sizeof recovery, "%s/recovery.crt", dir);
	snprintf(crl, sizeof crl, "%s/ca.crl", dir);
	/* One who has no list yet trusts whom the CA has certified. */
	bool listed = access(crl, F_OK) == 0;
	int r = trust_open(ca, listed ? crl : NULL, &f->trust, error, error_size);
	if (r == 0)
		r = identity_open(crt, key, IDENTITY_ORIGIN, &f->origin, error, error_size);
	if (r == 0)
		r = identity_certificates(recovery, SEAL_RECIPIENTS_MAX, &f->recovery, error,
					  error_size);
	if (r == 0)
		r = check_recovery(f, recovery, real_ns, error, error_size);
	if (r == 0)
		r = sealer_new(f->origin, f->recovery, &f->sealer);
	if (r == 0)
		r = vault_tls_context(f->origin, f->trust, &f->context);
	return r;
}

int origin_files_open(const char *dir, int64_t real_ns, struct origin_files *ret, char *error,
		      size_t error_size)
{
	struct origin_files f = {0};

	error[0] = 0;
	int r = open_all(dir, real_ns, &f, error, error_size);
	if (r == 0) {
		*ret = f;
		return 0;
	}
	if (!error[0])
		snprintf(error, error_size, "%s: %s", dir, log_strerror(r));
	origin_files_close(&f);
	return r;
}

void origin_files_close(struct origin_files *f)
{
	SSL_CTX_free(f->context);
	sealer_free(f->sealer);
	sk_X509_pop_free(f->recovery, X509_free);
	identity_close(f->origin);
	trust_close(f->trust);
	*f = (struct origin_files){0};
}
