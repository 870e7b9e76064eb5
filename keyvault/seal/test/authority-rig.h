/* SPDX-License-Identifier: GPL-3.0-or-later */
/* authority-rig: a CA in a folder of memory, as an operator has one on disk. For tests. */
#ifndef AUTHORITY_RIG_H
#define AUTHORITY_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "keyvault/seal/authority.h"

extern char rig_dir[64];
extern char rig_error[512];     /* of the last call */
extern struct authority rig_ca; /* its time is RIG_NOW_NS */

/* Makes the folder and the CA, and removes both. For cmocka. */
int rig_set_up(void **state);
int rig_tear_down(void **state);
/* The path of a file in the folder. The last sixteen are valid. */
const char *rig_path(const char *name);
/* An origin with one address. Returns as authority_add_origin(). */
int rig_origin(const char *name, const char *address);

#endif
