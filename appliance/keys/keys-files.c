/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-files.h"

#include <errno.h>
#include <stdio.h>

#include "base/clock.h"
#include "base/log.h"

static int fail(char *error, size_t error_size, const char *where, const char *why, int r)
{
	snprintf(error, error_size, "%s: %s", where, why);
	return r;
}

static int open_identity(struct keys_files *f, const struct keys_identity *i, char *error,
			 size_t error_size)
{
	struct identity **at = &f->identity[f->identities];
	int r = identity_open(i->certificate, i->key, IDENTITY_RECOVERY, at, error, error_size);

	if (r < 0)
		return r;
	f->identities++;
	return opener_add_identity(f->opener, *at);
}

/* Of the one in use: those before may have expired. */
static int check_identity(struct keys_files *f, const struct keys_identity *i, char *error,
			  size_t error_size)
{
	struct subject who;
	int r = trust_check(f->trust, identity_certificate(f->identity[0]), clock_real_ns(), &who);

	if (r > 0)
		return fail(error, error_size, i->certificate, trust_outcome_name(r), -EINVAL);
	return r;
}

static int open_all(const struct keys_places *p, struct keys_files *f, char *error,
		    size_t error_size)
{
	int r = trust_open(p->ca, p->crl, &f->trust, error, error_size);

	if (r == 0)
		r = opener_new(f->trust, &f->opener);
	for (uint32_t i = 0; r == 0 && i < p->identities; i++)
		r = open_identity(f, &p->identity[i], error, error_size);
	if (r == 0)
		r = check_identity(f, &p->identity[0], error, error_size);
	if (r == 0)
		r = vault_tls_context(f->identity[0], f->trust, &f->context);
	return r;
}

int keys_files_open(const struct keys_places *p, struct keys_files *ret, char *error,
		    size_t error_size)
{
	struct keys_files f = {0};

	error[0] = 0;
	if (p->identities < 1 || p->identities > SEAL_IDENTITIES_MAX)
		return -EINVAL;
	int r = open_all(p, &f, error, error_size);
	if (r == 0) {
		*ret = f;
		return 0;
	}
	if (!error[0])
		fail(error, error_size, p->identity[0].certificate, log_strerror(r), 0);
	keys_files_close(&f);
	return r;
}

void keys_files_close(struct keys_files *f)
{
	SSL_CTX_free(f->context);
	opener_free(f->opener);
	for (uint32_t i = 0; i < f->identities; i++)
		identity_close(f->identity[i]);
	trust_close(f->trust);
	*f = (struct keys_files){0};
}
