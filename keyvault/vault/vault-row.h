/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * vault-row: what the vault's store says of a record and of an epoch, as bytes. Big-endian.
 *
 *	row    version (1), ended, stored (ns), size of the sealed bytes (4), origin, session-index
 *	epoch  version (1), stored (ns), number of its records, origin, and the sealed bytes
 */
#ifndef KEYVAULT_VAULT_ROW_H
#define KEYVAULT_VAULT_ROW_H

#include "base/writer.h"
#include "vault-wire.h"

#define VAULT_ROW_MAX_BYTES       (1 + 1 + 8 + 4 + 1 + VAULT_NAME_MAX + SESSION_INDEX_MAX_BYTES)
#define VAULT_EPOCH_ROW_MAX_BYTES (1 + 8 + 8 + 1 + VAULT_NAME_MAX + VAULT_BLOB_MAX_BYTES)

struct vault_row {
	uint64_t number;
	char origin[VAULT_NAME_MAX + 1];
	bool ended;
	int64_t stored_ns; /* CLOCK_REALTIME of the vault */
	uint32_t blob_bytes;
	struct session_index index;
};

struct vault_epoch {
	char origin[VAULT_NAME_MAX + 1];
	int64_t stored_ns;
	uint64_t records; /* that are there */
	struct bytes blob;
};

/* The number is the key, not part of it. */
void vault_row_write(struct writer *w, const struct vault_row *row);
bool vault_row_read(struct bytes b, uint64_t number, struct vault_row *ret);
void vault_epoch_write(struct writer *w, const struct vault_epoch *e);
/* The blob is a view into @b. */
bool vault_epoch_read(struct bytes b, struct vault_epoch *ret);

#endif
