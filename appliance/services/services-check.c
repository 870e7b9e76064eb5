/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "services-check.h"

#include <errno.h>
#include <limits.h>
#include <string.h>

#include "config/config-schema.h"
#include "watch/detect.h"
#include "services.h"

struct nearest {
	const char *typed;
	unsigned distance;
	char name[33];
	bool there; /* the typed name exists, so it is not misspelt */
};

static void consider(void *ctx, const char *protocol)
{
	struct nearest *n = ctx;
	unsigned distance = config_name_distance(n->typed, protocol);

	n->there |= strcmp(n->typed, protocol) == 0;
	if (distance >= n->distance)
		return;
	n->distance = distance;
	snprintf(n->name, sizeof n->name, "%s", protocol);
}

static void refuse(const struct module_host *host, const struct config *c, const char *protocol,
		   const char *detail, char why[static CONFIG_MODULE_WHY_STRLEN])
{
	struct nearest n = {.typed = protocol, .distance = UINT_MAX};

	n.there = strcmp(protocol, DETECT_PROTOCOL) == 0;
	consider(&n, DETECT_PROTOCOL);
	module_host_each(host, consider, &n);
	if (n.there)
		snprintf(why, CONFIG_MODULE_WHY_STRLEN, "protocol %s: %s", protocol, detail);
	else if (n.name[0])
		snprintf(why, CONFIG_MODULE_WHY_STRLEN,
			 "no recovery module for '%s' in %.120s; did you mean '%s'?", protocol,
			 c->modules_dir, n.name);
	else
		snprintf(why, CONFIG_MODULE_WHY_STRLEN, "no recovery module for '%s': %s", protocol,
			 detail);
}

int services_check(void *ctx, const struct config *c, const char *protocol,
		   char why[static CONFIG_MODULE_WHY_STRLEN])
{
	struct module_host **host = ctx;
	struct watch_service w = {0};
	const struct jeebs_module *companion;
	char detail[CONFIG_MODULE_WHY_STRLEN] = "";

	if (!*host)
		*host = module_host_new(c->modules_dir);
	if (!*host) {
		snprintf(why, CONFIG_MODULE_WHY_STRLEN, "no memory for the recovery modules");
		return -ENOMEM;
	}
	int r = services_load_protocol(&w, protocol, *host, detail, sizeof detail);
	if (r < 0) {
		refuse(*host, c, protocol, detail, why);
		return r;
	}
	const char *name = services_companion(&w);
	r = name ? module_host_get(*host, name, &companion, detail, sizeof detail) : 0;
	if (r < 0)
		snprintf(why, CONFIG_MODULE_WHY_STRLEN, "its companion %s: %.200s", name, detail);
	return r;
}
