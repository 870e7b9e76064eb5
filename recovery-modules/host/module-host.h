/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-host: loads recovery modules and checks what they claim.
 *
 * Modules are found as DIR/<protocol>.so. Loaded with RTLD_NOW | RTLD_LOCAL and
 * never unloaded: flows hold their state. A file is refused, with a sentence that
 * says why, when others than root and the process's own user could have written it, or not all of
 * it is there (module-file.h), when the symbol is missing, when the ABI differs, when its
 * description is shorter than the first of this ABI or longer than ours, when
 * its name is not the protocol's, or a callback is missing.
 */
#ifndef SDK_MODULE_HOST_H
#define SDK_MODULE_HOST_H

#include "jeebs/recovery-oracle.h"

struct module_host;

struct module_host *module_host_new(const char *dir);
struct module_host *module_host_free(struct module_host *h); /* returns NULL; modules stay mapped */

/*
 * The module for @protocol, loading it on first use. Not thread-safe: all modules
 * are loaded while the configuration is read. 0, -ENOENT, -EPERM, -ENOEXEC, -ENOMEM;
 * on failure @error (terminated) says what and where.
 */
int module_host_get(struct module_host *h, const char *protocol, const struct jeebs_module **ret,
		    char *error, size_t error_size);

/*
 * For `protocol: auto`: the modules of the folder that can tell their protocol from its first bytes
 * (detect), in the order of their names. All modules of the folder are loaded for that. *ret is the
 * host's. As above, for the first that is refused.
 */
int module_host_detecting(struct module_host *h, const struct jeebs_module *const **ret,
			  uint32_t *ret_n, char *error, size_t error_size);

/* The ports that @m names, 0 behind the last; a module of an older header names none. */
const uint16_t *module_host_ports(const struct jeebs_module *m);

/* @each is called with the protocol of every module's file in the folder; none is loaded. */
void module_host_each(const struct module_host *h, void (*each)(void *ctx, const char *protocol),
		      void *ctx);

/*
 * The oracle for @protocol, DIR/<protocol>-oracle.so, held to the same rules. As above;
 * -ENOENT, without a sentence: there is none.
 */
int module_host_oracle(struct module_host *h, const char *protocol, const struct jeebs_oracle **ret,
		       char *error, size_t error_size);

#endif
