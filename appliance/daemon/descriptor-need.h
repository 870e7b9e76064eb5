/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * descriptor-need: how many descriptors a configuration takes, and whether they are to be had.
 */
#ifndef APPLIANCE_DESCRIPTOR_NEED_H
#define APPLIANCE_DESCRIPTOR_NEED_H

#include <stdint.h>

#include "config/config.h"

/*
 * Raises the limit as far as it can be raised, and makes the kernel's table that large. Must be
 * called while there is one thread. Returns -EMFILE, and logs it, when the need exceeds the limit.
 */
int descriptor_need_meet(const struct config *c);

#endif
