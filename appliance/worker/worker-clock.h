/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-clock: converts a packet's timestamp to CLOCK_MONOTONIC. Capture stamps are
 * CLOCK_REALTIME. Flows must not age by an hour because that clock was set.
 */
#ifndef APPLIANCE_WORKER_CLOCK_H
#define APPLIANCE_WORKER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: no turn has begun, and no packet is too early. */
struct worker_clock {
	int64_t turn_ns; /* when the current turn of the worker's loop began */
	/* Difference of the clocks in this turn; it jumps when the clock is set. */
	int64_t mono_minus_real;
	int64_t set_ns; /* when a set clock was noticed; 0: never */
	/* Time of worker_clock_begin(); real 0: all packets count. */
	int64_t begun_ns, begun_real_ns;
};

/* Begins a turn: reads the clocks. */
void worker_clock_read(struct worker_clock *c);
/* From now on packets count. */
void worker_clock_begin(struct worker_clock *c);
/* Whether a packet stamped @real_ns (CLOCK_REALTIME) was captured before worker_clock_begin(). */
bool worker_clock_too_early(const struct worker_clock *c, int64_t real_ns);
/* Called when the rings are empty: no packet from before worker_clock_begin() is left in them. */
void worker_clock_caught_up(struct worker_clock *c);
/*
 * Converts @real_ns to CLOCK_MONOTONIC. A packet stamped before the clock was set seems to come
 * from the future or from long ago; it is taken to have come just now. A packet that waited in the
 * ring while the thread was stopped really is old.
 */
int64_t worker_clock_mono(const struct worker_clock *c, int64_t real_ns);

#endif
