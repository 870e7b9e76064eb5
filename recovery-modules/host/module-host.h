/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * module-host: loads recovery modules and checks what they declare.
 *
 * Modules are found as DIR/<protocol>.so. They are loaded with RTLD_NOW | RTLD_LOCAL and never
 * unloaded, because flows hold their state. A file is refused, with a sentence that says why, when
 *	- users other than root and the process's own could have written it, or it is not
 *	  complete (module-file.h),
 *	- the symbol is missing, or a callback is,
 *	- the ABI differs, or the description is shorter than the first of this ABI or longer
 *	  than ours,
 *	- its name is not that of the protocol.
 */
#ifndef SDK_MODULE_HOST_H
#define SDK_MODULE_HOST_H

#include "jeebs/recovery-oracle.h"

struct module_host;

struct module_host *module_host_new(const char *dir);
struct module_host *module_host_free(struct module_host *h); /* returns NULL; modules stay mapped */

/*
 * Returns the module for @protocol, loading it on first use; of LAYER:INNER, and of names that
 * stand for such a pair (https, smtps, telnets, imaps, pop3s, ftps), the composed one. Not
 * thread-safe: all modules are loaded while the configuration is read. Returns 0, -ENOENT, -EPERM,
 * -ENOEXEC or -ENOMEM. On failure @error, terminated, says what is wrong and where.
 */
int module_host_get(struct module_host *h, const char *protocol, const struct jeebs_module **ret,
		    char *error, size_t error_size);

/*
 * For `protocol: auto`: loads all modules of the folder and returns those that can recognise their
 * protocol by its first bytes (detect), in the order of their names. *ret belongs to the host.
 * Returns as module_host_get(), for the first module that is refused.
 */
int module_host_detecting(struct module_host *h, const struct jeebs_module *const **ret,
			  uint32_t *ret_n, char *error, size_t error_size);

/*
 * Sets inner and inner_h2 in @io: of a protocol that is another one inside a layer (https: http or
 * h2 in tls) the modules inside, otherwise NULL. Such a module belongs to the host.
 */
void module_host_inner(const struct module_host *h, const struct jeebs_module *m,
		       struct jeebs_service *io);

/*
 * The ports that @m names, with 0 after the last.
 */
const uint16_t *module_host_ports(const struct jeebs_module *m);

/* Calls @each with the protocol of every module file in the folder. Loads none. */
void module_host_each(const struct module_host *h, void (*each)(void *ctx, const char *protocol),
		      void *ctx);

/*
 * Returns the oracle for @protocol, DIR/<protocol>-oracle.so, by the same rules. Returns as
 * module_host_get(); -ENOENT, with empty @error, when there is none.
 */
int module_host_oracle(struct module_host *h, const char *protocol, const struct jeebs_oracle **ret,
		       char *error, size_t error_size);

#endif
