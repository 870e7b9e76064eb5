/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-file: may this shared object be loaded? Asked before the dynamic linker is: what it maps
 * and is not there kills the process, and what it maps runs with our rights.
 */
#ifndef SDK_MODULE_FILE_H
#define SDK_MODULE_FILE_H

#include <stddef.h>

/*
 * @path resolved into @ret_resolved (PATH_MAX), which is what is to be loaded. The file and its
 * folder are root's or this process's user's and writable for nobody else, and no folder above is
 * writable for everybody, unless what lies in it can be replaced by its owner only (sticky). It is
 * a whole ELF object for this machine. 0, -ENOENT, -EPERM, -ENOEXEC, or what we lack ourselves
 * (-ENOMEM, -EMFILE ...); on failure @error
 * (terminated) says what and where.
 */
int module_file_check(const char *path, char *ret_resolved, char *error, size_t error_size);

#endif
