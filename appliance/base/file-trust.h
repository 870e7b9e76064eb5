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
 * @path, a regular file, resolved into @ret_resolved (PATH_MAX), which is what is to be used. The
 * file, its folder, and each folder above, of @path as well as of @ret_resolved, are owned
 * by the trusted and writable for nobody else. A sticky folder of root's (/tmp) is none for the
 * file, and may be one above: what lies in it is replaced by its owner only.
 * 0, -ENOENT, -EPERM, -ENOEXEC (no regular file), or what we lack ourselves (-ENOMEM,
 * -EMFILE ...); on failure @error (terminated) says what and where.
 */
int file_trust_check(const char *path, char *ret_resolved, char *error, size_t error_size);
/* Error number of a look at @path, told in @text. */
int file_trust_no_file(const char *path, int error, char *text, size_t text_size);

#endif
