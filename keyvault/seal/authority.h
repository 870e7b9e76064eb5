/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * authority: the small CA of a key vault, in a directory.
 *
 *	ca.crt ca.key ca.crl        the CA, and whom it has revoked
 *	vault.crt vault.key         of the vault
 *	recovery.crt recovery.key   of the box: what is sealed, is sealed to it
 *	recovery.d/SERIAL.{crt,key} from before a rotation: what was sealed to it still opens
 *	recoveries/NAME/            of a further box: recovery.crt, recovery.key, ca.crt, ca.crl
 *	origins/NAME/               what goes to that server: origin.crt, origin.key, ca.crt, and
 *	                            ca.crl; recovery.crt has all certificates to seal to
 *	issued/SERIAL.crt           every certificate
 *	index                       a line of each: serial, role URI, not after, when it was
 *	                            revoked, or '-'
 *
 * Directories have mode 0700, keys 0600, the rest 0644. A file is written beside its place, synced
 * and renamed. One process at a time may change a directory: it holds a lock on it, others get
 * -EBUSY. All keys are EC P-256.
 *
 * Each function returns 0, or a negative errno and says in @error (terminated) what is wrong and
 * where: -EEXIST, -ENOENT, -EINVAL (a name, an address), -EPERM (owner or mode), -EBUSY, -EIO
 * (OpenSSL), or what the file system said.
 */
#ifndef KEYVAULT_AUTHORITY_H
#define KEYVAULT_AUTHORITY_H

#include <stddef.h>
#include <stdint.h>

#include "base/netaddr.h"

#define AUTHORITY_CA_DAYS   7300
#define AUTHORITY_LEAF_DAYS 1095

struct authority {
	const char *dir;
	int64_t now_ns;     /* CLOCK_REALTIME */
	unsigned leaf_days; /* 0: AUTHORITY_LEAF_DAYS */
};

/* CA, vault and recovery identity. -EEXIST: there is one. */
int authority_init(const struct authority *a, char *error, size_t error_size);
/* -EEXIST: an origin of this name has a certificate that is valid. */
int authority_add_origin(const struct authority *a, const char *name, const struct netaddr *address,
			 size_t n, char *error, size_t error_size);
/* A further recovery identity, to which all origins seal from their next epoch on, once they have
 * their new recovery.crt. */
int authority_add_recovery(const struct authority *a, const char *name, char *error,
			   size_t error_size);
/*
 * Revokes every certificate of @who: "vault", "recovery" (those before rotations too),
 * "recovery:NAME", or an origin's name; or one by its serial number, as `index` has it. Writes
 * each ca.crl, and each origin's recovery.crt.
 */
int authority_revoke(const struct authority *a, const char *who, char *error, size_t error_size);
/*
 * A new key and certificate for @who, as above, with the same name and addresses; the old
 * certificate stays valid until it expires. The recovery identity of before goes to recovery.d, and
 * origins seal to both as long as both are valid.
 */
int authority_rotate(const struct authority *a, const char *who, char *error, size_t error_size);

#endif
