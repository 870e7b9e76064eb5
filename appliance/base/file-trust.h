/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * file-trust: who could have written what we are about to run? Code that is loaded, and programs
 * that are started, have our rights.
 *
 * Trusted are root, this process's user, and whoever owns the program that this process is: he
 * could have changed that as well (a build tree of which root runs the checks). The same goes
 * for the program's group, if it may write the program.
 */
#ifndef BASE_FILE_TRUST_H
#define BASE_FILE_TRUST_H

#include <stddef.h>

/*
 * Resolves @path, a regular file, into @ret_resolved (PATH_MAX bytes); the caller must use the
 * resolved path. The file, its folder and every folder above must be owned by a trusted user and
 * writable for nobody else. That is checked for @path and for @ret_resolved. A sticky folder of
 * root's (/tmp) may not hold the file, but may be further above: only its owner can replace an
 * entry of it.
 * Returns 0, -ENOENT, -EPERM, -ENOEXEC (not a regular file), or the errno of a resource that is
 * short (-ENOMEM, -EMFILE). On failure @error, terminated, says what is wrong and where.
 */
int file_trust_check(const char *path, char *ret_resolved, char *error, size_t error_size);
/* Returns the negative errno for a failed look at @path, and describes it in @text. */
int file_trust_no_file(const char *path, int error, char *text, size_t text_size);

#endif
