/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-rings: the rings of one worker, read like one ring in the order of capture.
 *
 * The rings of captured interfaces are read all the time. An interface may be used for takeovers
 * only and not be captured: its ring is shut until a takeover listens on it.
 */
#ifndef APPLIANCE_WORKER_RINGS_H
#define APPLIANCE_WORKER_RINGS_H

#include "capture/ring.h"

#define WORKER_RINGS_MAX 32

struct worker_rings {
	const struct ring_config *cfg;
	uint32_t count;
	struct ring *ring[WORKER_RINGS_MAX];
	struct ring_stats stats[WORKER_RINGS_MAX]; /* as of the last worker_rings_stats() */
};

/* The step that failed at start (static text), and its interface or "". */
struct worker_failure {
	const char *step, *interface;
};

/*
 * Opens the rings. @cfg must outlive them. Returns 0, or a negative errno with *ret_why.
 * worker_rings_close() is due in any case.
 */
int worker_rings_open(struct worker_rings *w, const struct ring_config *cfg, uint32_t count,
		      struct worker_failure *ret_why);
void worker_rings_close(struct worker_rings *w);

/*
 * Calls @fn with the frames of a limited number of ready blocks, in the order in which the blocks
 * were closed. A failing interface is logged once each time it goes down. Returns true when the
 * rings are empty. Otherwise *ret_until_ns (CLOCK_REALTIME) tells how far they were read; until the
 * rest is read, nothing may be concluded from silence.
 */
bool worker_rings_read(struct worker_rings *w, uint16_t worker, frame_fn fn, void *ctx,
		       int64_t *ret_until_ns);

/* Whether any ring is busy, see ring_is_busy(). */
bool worker_rings_busy(const struct worker_rings *w);

/* Updates the statistics. Returns the total of frames that the rings have dropped. */
uint64_t worker_rings_stats(struct worker_rings *w);

#endif
