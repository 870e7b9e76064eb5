/* SPDX-License-Identifier: GPL-3.0-or-later */
/* identity-file: a small file with a certificate, a list or a key, if it is one to be trusted. */
#ifndef SEAL_IDENTITY_FILE_H
#define SEAL_IDENTITY_FILE_H

#include "secret.h"

#define IDENTITY_FILE_MAX_BYTES (1u << 20) /* a revocation list of ten thousands */

enum identity_file {
	IDENTITY_FILE_PUBLIC, /* nobody else may write it */
	IDENTITY_FILE_SECRET, /* nor read it */
};

/* @where: a path or credential:NAME. Returns 0, -ENOENT, -EPERM, -EINVAL, -EFBIG, or a negative
 * errno; @error says what is wrong. */
int identity_file_read(const char *where, enum identity_file kind, struct secret *ret, char *error,
		       size_t error_size);

#endif
