/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover-retry.h"

#include <stddef.h>

int64_t failover_retry_failed(struct failover_retry *r, const char *reason)
{
	uint32_t before = atomic_fetch_add(&r->times, 1);
	int64_t pause = RETRY_FIRST_NS;

	atomic_store(&r->reason, reason);
	while (before-- > 0 && pause < RETRY_LAST_NS)
		pause *= 2;
	return pause < RETRY_LAST_NS ? pause : RETRY_LAST_NS;
}

void failover_retry_clear(struct failover_retry *r)
{
	atomic_store(&r->times, 0);
	atomic_store(&r->reason, NULL);
}
