/* SPDX-License-Identifier: GPL-3.0-or-later */
/* adopt: see README.md. */
#ifndef ADOPT_MODULE_H
#define ADOPT_MODULE_H

#include "jeebs/recovery-module.h"

extern const struct jeebs_module adopt_module;

#endif
