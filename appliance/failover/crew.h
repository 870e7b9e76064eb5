/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * crew: threads that share the failover thread's work on many connections.
 *
 * The caller works too and waits for the others, so that what comes before crew_run()
 * happened before each piece, and each piece before what comes after it: pieces need no lock
 * for what only the caller changes, and the order of a takeover stays what it says.
 */
#ifndef APPLIANCE_CREW_H
#define APPLIANCE_CREW_H

#include <stdint.h>

/* Fewer pieces than these are not worth a wake-up: the caller does them alone. */
#define CREW_ALONE 16
#define CREW_MAX   64

struct crew;

/* How many threads, the caller's included, there are cores for (at most @limit). */
uint32_t crew_size(uint32_t limit);
/* @threads includes the caller's: 1..CREW_MAX. 0, -EINVAL, or negative errno. */
int crew_new(uint32_t threads, struct crew **ret);
struct crew *crew_free(struct crew *c); /* NULL is fine; returns NULL */

/*
 * Calls @fn once for each @i below @count, from several threads, in about that order. Returns
 * when every call has. One caller at a time.
 */
void crew_run(struct crew *c, void (*fn)(void *ctx, uint32_t i), void *ctx, uint32_t count);

#endif
