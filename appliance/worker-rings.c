/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-rings.h"

#include <errno.h>

#include "log.h"

#define BLOCKS_PER_TURN 16

int worker_rings_open(struct worker_rings *w, const struct ring_config *cfg, uint32_t count,
		      struct worker_failure *ret_why)
{
	*w = (struct worker_rings){.cfg = cfg};
	if (count > WORKER_RINGS_MAX) {
		*ret_why = (struct worker_failure){"too many interfaces", ""};
		return -EINVAL;
	}
	for (; w->count < count; w->count++) {
		ret_why->interface = cfg[w->count].interface;
		int r = ring_open(&cfg[w->count], &w->ring[w->count], &ret_why->step);
		if (r < 0)
			return r;
	}
	ret_why->interface = "";
	return 0;
}

void worker_rings_close(struct worker_rings *w)
{
	while (w->count > 0)
		ring_close(w->ring[--w->count]);
}

void worker_rings_read(struct worker_rings *w, uint16_t worker, frame_fn fn, void *ctx)
{
	for (uint32_t i = 0; i < w->count; i++) {
		int r = ring_read(w->ring[i], BLOCKS_PER_TURN, fn, ctx);
		/* -ENETDOWN is told once each time the interface goes down. */
		if (r < 0)
			log_event(LOG_ERROR, "capture-failed",
				  LOG_STR("interface", w->cfg[i].interface),
				  LOG_INT("worker", worker), LOG_ERR(r));
	}
}

uint64_t worker_rings_stats(struct worker_rings *w)
{
	uint64_t drops = 0;

	for (uint32_t i = 0; i < w->count; i++) {
		ring_stats(w->ring[i], &w->stats[i]);
		drops += w->stats[i].drops;
	}
	return drops;
}
