/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-retry: a takeover that is called off is tried again, later each time: what it lacks
 * (memory, a fence that works) seldom comes back within a second. Told by the failover thread, read
 * by any.
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
	_Atomic uint32_t times;       /* in a row */
	_Atomic(const char *) reason; /* of the last, static; NULL: none */
};

/*
 * Called off for @reason (static). How long to wait before it is asked for again: from
 * RETRY_FIRST_NS on twice as long each time, up to RETRY_LAST_NS.
 */
int64_t failover_retry_failed(struct failover_retry *r, const char *reason);
/* It has succeeded, or the server lives. */
void failover_retry_clear(struct failover_retry *r);

#endif
