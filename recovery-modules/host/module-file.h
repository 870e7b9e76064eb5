/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-file: may this shared object be loaded? Asked before the dynamic linker is: what it maps
 * and is not there kills the process, and what it maps runs with our rights.
 */
#ifndef SDK_MODULE_FILE_H
#define SDK_MODULE_FILE_H

#include <stddef.h>

/*
 * @path resolved into @ret_resolved (PATH_MAX), which is what is to be loaded. Nobody could have
 * written it whom we do not trust (file-trust.h), and it is a whole ELF object for this machine.
 * 0 or as from file_trust_check(); on failure @error (terminated) says what and where.
 */
int module_file_check(const char *path, char *ret_resolved, char *error, size_t error_size);

#endif
