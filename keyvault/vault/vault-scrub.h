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

/* In this order, each a transaction of its own: what one makes and drops is never written. */
enum vault_scrub_step {
	VAULT_SCRUB_BEGIN, /* one before may have been cut short */
	VAULT_SCRUB_FILL,
	VAULT_SCRUB_DROP,
	VAULT_SCRUB_STEPS,
};

/* A step of it in @txn; @max_pages at most. 0 or a negative errno. */
int vault_scrub(MDB_txn *txn, enum vault_scrub_step step, size_t max_pages);

#endif
