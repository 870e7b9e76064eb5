/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "seal.h"

#include <errno.h>

#include <openssl/crypto.h>

#include "sealed-form.h"

static const char *const names[SEAL_REASONS] = {
	[SEAL_OK] = "ok",
	[SEAL_TRUNCATED] = "truncated",
	[SEAL_MALFORMED] = "malformed",
	[SEAL_NOT_FOR_US] = "not-for-us",
	[SEAL_UNKNOWN_EPOCH] = "unknown-epoch",
	[SEAL_FORGED] = "forged",
	[SEAL_STRANGER] = "stranger",
	[SEAL_NOT_AN_ORIGIN] = "not-an-origin",
	[SEAL_REVOKED] = "revoked",
	[SEAL_EXPIRED] = "expired",
	[SEAL_STALE] = "stale",
	[SEAL_FUTURE] = "future",
	[SEAL_FOREIGN_ORIGIN] = "foreign-origin",
	[SEAL_FOREIGN_ADDRESS] = "foreign-address",
	[SEAL_REPLAYED] = "replayed",
	[SEAL_OTHER_SESSION] = "other-session",
	[SEAL_EPOCH_DUE] = "epoch-due",
};

const char *seal_reason_name(int reason)
{
	return reason >= 0 && reason < SEAL_REASONS ? names[reason] : "error";
}

int seal_secure_heap(size_t bytes)
{
	if (CRYPTO_secure_malloc_initialized())
		return 0;
	/* 2: it is there, but not locked or not guarded */
	return CRYPTO_secure_malloc_init(bytes, 32) == 1 ? 0 : -ENOMEM;
}

void sealed_free(struct sealed *s)
{
	OPENSSL_free(s->p);
	*s = (struct sealed){0};
}

int seal_epoch_of(struct bytes record, uint8_t ret_id[EPOCH_ID_BYTES])
{
	return sealed_form_record(record, ret_id);
}
