/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-rings: the rings of one worker, read as one, in the order of capture.
 *
 * Those of interfaces that are captured are read all the time. Others, of an interface a server is
 * taken over on and that is not captured, are shut until a takeover listens there.
 */
#ifndef APPLIANCE_WORKER_RINGS_H
#define APPLIANCE_WORKER_RINGS_H

#include "ring.h"

#define WORKER_RINGS_MAX 32

struct worker_rings {
	const struct ring_config *cfg;
	uint32_t count;
	struct ring *ring[WORKER_RINGS_MAX];
	struct ring_stats stats[WORKER_RINGS_MAX]; /* as of worker_rings_stats() */
};

/* What failed at the start: static text, and the interface concerned or "". */
struct worker_failure {
	const char *step, *interface;
};

/* 0 or negative errno, with *ret_why. @cfg must outlive it. To be closed in any case. */
int worker_rings_open(struct worker_rings *w, const struct ring_config *cfg, uint32_t count,
		      struct worker_failure *ret_why);
void worker_rings_close(struct worker_rings *w);

/*
 * The frames that are ready, of a limited number of blocks of each ring. An interface that
 * fails is logged, once each time it goes down.
 */
void worker_rings_read(struct worker_rings *w, uint16_t worker, frame_fn fn, void *ctx);

/* What the rings have dropped, in all. */
uint64_t worker_rings_stats(struct worker_rings *w);

#endif
