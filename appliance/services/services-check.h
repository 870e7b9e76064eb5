/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * services-check: whether the protocols of a configuration have their modules, asked while its text
 * is read, so that what is wrong is told with its place.
 */
#ifndef APPLIANCE_SERVICES_CHECK_H
#define APPLIANCE_SERVICES_CHECK_H

#include "config/config.h"

/* A config_module_fn. @ctx points to a struct module_host *, which is NULL at first. The first
 * call makes the host, and the caller frees it. */
int services_check(void *ctx, const struct config *c, const char *protocol,
		   char why[static CONFIG_MODULE_WHY_STRLEN]);

#endif
