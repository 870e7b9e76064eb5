/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-clock: when a packet came, CLOCK_MONOTONIC: flows must not age by an hour because the
 * clock was set.
 */
#ifndef APPLIANCE_WORKER_CLOCK_H
#define APPLIANCE_WORKER_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* All zero: no turn yet, and nothing is too early. */
struct worker_clock {
	int64_t turn_ns;                 /* when this turn of the worker's loop began */
	int64_t mono_minus_real;         /* of this turn: the clock may be set at any time */
	int64_t set_ns;                  /* when it was seen to have been set; 0: never */
	int64_t begun_ns, begun_real_ns; /* the latter 0: long ago */
};

/* Another turn begins. */
void worker_clock_read(struct worker_clock *c);
/* From now on packets count. */
void worker_clock_begin(struct worker_clock *c);
/* @real_ns: the capture's stamp, CLOCK_REALTIME. Was that before worker_clock_begin()? */
bool worker_clock_too_early(const struct worker_clock *c, int64_t real_ns);
/* The rings are empty: nothing is left in them of what came before worker_clock_begin(). */
void worker_clock_caught_up(struct worker_clock *c);
/*
 * One that was stamped before the clock was set seems to come from the future, or from long ago;
 * it came just now. Long ago is true of what waited in the rings while the thread was stopped.
 */
int64_t worker_clock_mono(const struct worker_clock *c, int64_t real_ns);

#endif
