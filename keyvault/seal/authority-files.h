/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority-files: the directory of an authority: whose it is, who changes it, and how. */
#ifndef SEAL_AUTHORITY_FILES_H
#define SEAL_AUTHORITY_FILES_H

#include "secret.h"

#define AUTHORITY_PATH_MAX 256

enum {
	AUTHORITY_PUBLIC = 0644,
	AUTHORITY_SECRET = 0600,
};

struct authority_files {
	int fd;
	const char *dir;
	char *error; /* says what was wrong, and with which file */
	size_t error_size;
};

/* Opens the directory, which is made if @create, and locks it. -EBUSY: somebody else has; -EPERM:
 * others may write it. */
int authority_files_open(struct authority_files *f, const char *dir, bool create);
void authority_files_close(struct authority_files *f);

/* Names are relative to the directory. A directory that is there is left as it is. */
int authority_files_mkdir(struct authority_files *f, const char *name);
/* Beside, synced, renamed: whatever happens, the file is the old one or the new one. */
int authority_files_write(struct authority_files *f, const char *name, unsigned mode,
			  struct bytes content);
int authority_files_read(struct authority_files *f, const char *name, struct secret *ret);
bool authority_files_has(struct authority_files *f, const char *name);
int authority_files_remove(struct authority_files *f, const char *name);
/* Says in @error that @name is wrong; returns @r. */
int authority_files_failed(struct authority_files *f, int r, const char *name, const char *what);

#endif
