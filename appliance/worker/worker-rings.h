/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * worker-rings: the rings of one worker, read as one, in the order of capture.
 *
 * Those of interfaces that are captured are read all the time. Others, of an interface a server is
 * taken over on and that is not captured, are shut until a takeover listens there.
 */
#ifndef APPLIANCE_WORKER_RINGS_H
#define APPLIANCE_WORKER_RINGS_H

#include "capture/ring.h"

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
 * The frames that are ready, of a limited number of blocks: after a stop many wait, and the blocks
 * of all rings are taken in the order they ended in. An interface that fails is logged, once each
 * time it goes down. True: the rings are empty; else *ret_until_ns (CLOCK_REALTIME) is how far was
 * read, and more is to be read before anything is concluded from silence.
 */
bool worker_rings_read(struct worker_rings *w, uint16_t worker, frame_fn fn, void *ctx,
		       int64_t *ret_until_ns);

/* Some ring is: see ring_is_busy(). */
bool worker_rings_busy(const struct worker_rings *w);

/* What the rings have dropped, in all. */
uint64_t worker_rings_stats(struct worker_rings *w);

#endif
