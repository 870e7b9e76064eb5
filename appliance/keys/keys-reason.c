/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "keys-reason.h"

const char *keys_reason_name(int reason)
{
	static const char *const name[KEYS_REASONS - KEYS_MISSING] = {
		"missing",      "vault-unreachable", "vault-refused", "deadline",
		"not-approved", "no-room",           "not-opened",    "closing",
	};

	if (reason < KEYS_MISSING)
		return seal_reason_name(reason);
	return reason < KEYS_REASONS ? name[reason - KEYS_MISSING] : "unknown";
}
