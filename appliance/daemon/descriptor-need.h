/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * descriptor-need: how many descriptors a configuration takes, and whether they are to be had.
 */
#ifndef APPLIANCE_DESCRIPTOR_NEED_H
#define APPLIANCE_DESCRIPTOR_NEED_H

#include <stdint.h>

#include "config/config.h"

/* To watch, to take every server over at once, and to continue one connection. */
uint64_t descriptor_need(const struct config *c);
/*
 * Raises the limit as far as it may be, and has the kernel's table grown to it: to be called
 * while there is one thread. -EMFILE, and logged: the need is above it.
 */
int descriptor_need_meet(const struct config *c);

#endif
