/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * keys-files: who we are to the vaults, whom we believe, and what opens what was sealed to us.
 */
#ifndef APPLIANCE_KEYS_FILES_H
#define APPLIANCE_KEYS_FILES_H

#include "keyvault/seal/seal.h"
#include "keyvault/vault/vault-tls.h"

/* A recovery identity; as identity_open(). */
struct keys_identity {
	const char *certificate, *key;
};

/* Where they are. */
struct keys_places {
	const char *ca;
	const char *crl; /* NULL: nobody is revoked */
	/* Of the recovery identity: the one in use, and those from before rotations. */
	const struct keys_identity *identity;
	uint32_t identities; /* 1 to SEAL_IDENTITIES_MAX */
};

struct keys_files {
	struct trust *trust;
	struct identity *identity[SEAL_IDENTITIES_MAX];
	uint32_t identities;
	struct opener *opener;
	SSL_CTX *context;
};

/* 0, or a negative errno and what is wrong in @error. */
int keys_files_open(const struct keys_places *p, struct keys_files *ret, char *error,
		    size_t error_size);
void keys_files_close(struct keys_files *f);

#endif
