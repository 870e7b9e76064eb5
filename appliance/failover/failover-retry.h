/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-retry: when a takeover that was called off is tried again. Each time it is later: what
 * it lacked (memory, a fence that works) seldom comes back within a second. The failover thread
 * writes, anybody reads.
 */
#ifndef APPLIANCE_FAILOVER_RETRY_H
#define APPLIANCE_FAILOVER_RETRY_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/clock.h"

#define RETRY_FIRST_NS NS_PER_S
#define RETRY_LAST_NS  (60 * NS_PER_S)

/* All zero: nothing has failed. */
struct failover_retry {
	_Atomic uint32_t times;       /* failures in a row */
	_Atomic(const char *) reason; /* of the last failure, static text; NULL: none */
};

/*
 * A takeover was called off for @reason (static text). Returns the pause before the next one:
 * RETRY_FIRST_NS, then twice as long each time, up to RETRY_LAST_NS.
 */
int64_t failover_retry_failed(struct failover_retry *r, const char *reason);
/* A takeover has succeeded, or the server lives. */
void failover_retry_clear(struct failover_retry *r);

#endif
