/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * origin-files: what `jeebs-keyvault add-origin` has made for this server, loaded: who we are, to
 * whom to seal, whom to trust.
 */
#ifndef KEYVAULT_ORIGIN_FILES_H
#define KEYVAULT_ORIGIN_FILES_H

#include <openssl/ssl.h>

#include "keyvault/seal/seal.h"

struct origin_files {
	struct trust *trust;
	struct identity *origin;
	STACK_OF(X509) * recovery;
	struct sealer *sealer;
	SSL_CTX *context;
};

/* @dir: origins/NAME of the vault's directory. As identity_open(). */
int origin_files_open(const char *dir, int64_t real_ns, struct origin_files *ret, char *error,
		      size_t error_size);
void origin_files_close(struct origin_files *f);

#endif
