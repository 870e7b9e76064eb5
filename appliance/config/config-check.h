/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config-check: what one key alone cannot show to be wrong.
 */
#ifndef APPLIANCE_CONFIG_CHECK_H
#define APPLIANCE_CONFIG_CHECK_H

#include "config-text/config-yaml.h"
#include "config.h"

/*
 * Reports every contradiction between values, at the place of the later value. @root is the tree
 * that @c was filled from. A value that did not parse has been reported and is zero in @c; it is
 * not checked.
 */
void config_check(const struct config *c, const struct config_node *root,
		  struct config_report *report);
/* Checks what depends on this host. Reports every protocol and upgrade, and a keyvault, that
 * @checks refuse. Reports every fence program that cannot be run, or that users other than root
 * could have written. */
void config_check_host(const struct config *c, const struct config_node *root,
		       struct config_report *report, const struct config_checks *checks);

#endif
