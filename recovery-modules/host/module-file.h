/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-file: checks that a shared object may be loaded, before the dynamic linker maps it. If
 * parts of the file are missing, the mapping kills the process. What is mapped runs with our
 * rights.
 */
#ifndef SDK_MODULE_FILE_H
#define SDK_MODULE_FILE_H

#include <stddef.h>

/*
 * Resolves @path into @ret_resolved (PATH_MAX bytes), which is what the caller must load. Checks
 * that no untrusted user could have written the file (file-trust.h), and that it is a complete ELF
 * object for this machine. Returns 0, or an error as file_trust_check(). On failure @error,
 * terminated, says what is wrong and where.
 */
int module_file_check(const char *path, char *ret_resolved, char *error, size_t error_size);

#endif
