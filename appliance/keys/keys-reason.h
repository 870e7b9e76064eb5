/* SPDX-License-Identifier: GPL-3.0-or-later */
/* keys-reason: why there are no keys: for logs, metrics and the account of a takeover. */
#ifndef APPLIANCE_KEYS_REASON_H
#define APPLIANCE_KEYS_REASON_H

#include "keyvault/seal/seal.h"

/* 0: there are. Up to SEAL_REASONS: enum seal_reason, what was sealed was refused. */
enum keys_reason {
	KEYS_MISSING = SEAL_REASONS, /* no vault has a record of the session */
	KEYS_UNREACHABLE,            /* one that has it, or may have it, is not connected */
	KEYS_VAULT_REFUSED,          /* a vault would not give it */
	KEYS_DEADLINE,
	KEYS_NOT_APPROVED, /* the operator has refused it, or not spoken in time */
	KEYS_NO_ROOM,      /* the arena's ceiling, or the kernel gives no memory for secrets */
	KEYS_NOT_OPENED,   /* no memory, or the token with our key does not answer */
	KEYS_CLOSING,
	KEYS_REASONS,
};

/* "missing", "forged", ... */
const char *keys_reason_name(int reason);

#endif
