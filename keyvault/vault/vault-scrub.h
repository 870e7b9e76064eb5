/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-scrub: writes over the free pages of an LMDB environment, which keep the bytes of what was
 * deleted until they are used again.
 */
#ifndef KEYVAULT_VAULT_SCRUB_H
#define KEYVAULT_VAULT_SCRUB_H

#include <stddef.h>
#include <stdint.h>
#include <lmdb.h>

/* @max_pages at most. No transaction may be open. 0 or a negative errno. */
int vault_scrub(MDB_env *env, size_t max_pages);

#endif
