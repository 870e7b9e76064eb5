/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-check: what one key alone cannot show to be wrong.
 */
#ifndef APPLIANCE_CONFIG_CHECK_H
#define APPLIANCE_CONFIG_CHECK_H

#include "config-yaml.h"
#include "config.h"

/*
 * Reports every contradiction between values at the place of the later one.
 * @root is the tree @c was filled from. Values that did not parse are zero in @c;
 * they have been reported and are left out here.
 */
void config_check(const struct config *c, const struct config_node *root,
		  struct config_report *report);
/* Of this host: reports at its place every protocol and upgrade that @check refuses, and every
 * fence program that cannot be run, or that others than root could have written. */
void config_check_modules(const struct config *c, const struct config_node *root,
			  struct config_report *report, config_module_fn check, void *ctx);

#endif
