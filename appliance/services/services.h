/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * services: the protected services of a configuration, each with its recovery module.
 *
 * One for each address and port, in the order of the configuration; the live box and the
 * drill see the same. Where a module names a companion, it watches the rest of the ports of the
 * server's addresses: one more service for each, with port 0.
 */
#ifndef APPLIANCE_SERVICES_H
#define APPLIANCE_SERVICES_H

#include "config/config.h"
#include "recovery-modules/host/module-host.h"
#include "watch/watch.h"

struct services {
	struct watch_service *v;
	uint32_t n;
	const char **server_names; /* the configuration's names, by watch_service.server */
	uint32_t server_count;
};

/* Why a module was refused. */
struct services_error {
	const char *server, *protocol;
	char detail[256];
};

/*
 * Loads all services. They borrow from @c and @host and must not outlive them. Returns 0, -ENOMEM,
 * or an error of module_host_get(); then *ret_error says which module was refused, and why.
 * services_deinit() is due in any case.
 */
int services_load(struct services *s, const struct config *c, struct module_host *host,
		  struct services_error *ret_error);
/*
 * Loads into @w the modules for @protocol: for `auto`, all candidates. @protocol is borrowed.
 * Returns as module_host_get().
 */
int services_load_protocol(struct watch_service *w, const char *protocol, struct module_host *host,
			   char *error, size_t error_size);
/*
 * The options of @s that modules are told. `upgrade` is left out: only the caller knows whether
 * that module exists.
 */
struct jeebs_service services_options(const struct config_service *s);
/*
 * The protocol that @m of service @s hands over to: the operator's, or, where keys are kept, what
 * @m itself names. NULL: none.
 */
const char *services_upgrade(const struct config_service *s, const struct jeebs_module *m);
/* The companion that the service's module names; NULL: none. */
const char *services_companion(const struct watch_service *w);
void services_deinit(struct services *s);

#endif
