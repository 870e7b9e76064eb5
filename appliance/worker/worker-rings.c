/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-rings.h"

#include <errno.h>

#include "base/log.h"

/* After one second of stopped thread 512 blocks wait. Other work must go on between them. */
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

/* The ring whose next block was closed first; -1: no block is ready. */
static int next_ring(const struct worker_rings *w, int64_t *ret_ns)
{
	int64_t ns;
	int next = -1;

	for (uint32_t i = 0; i < w->count; i++) {
		if (ring_peek(w->ring[i], &ns) && (next < 0 || ns < *ret_ns)) {
			next = (int)i;
			*ret_ns = ns;
		}
	}
	return next;
}

static void read_block(struct worker_rings *w, uint32_t i, uint16_t worker, frame_fn fn, void *ctx)
{
	int r = ring_read(w->ring[i], 1, fn, ctx);

	/* -ENETDOWN comes once each time the interface goes down, so this does not flood the
	 * log. */
	if (r < 0)
		log_event(LOG_ERROR, "capture-failed", LOG_STR("interface", w->cfg[i].interface),
			  LOG_INT("worker", worker), LOG_ERR(r));
}

bool worker_rings_read(struct worker_rings *w, uint16_t worker, frame_fn fn, void *ctx,
		       int64_t *ret_until_ns)
{
	uint32_t most = BLOCKS_PER_TURN * w->count;
	int64_t until = 0, ignored;

	for (uint32_t done = 0; done < most; done++) {
		int next = next_ring(w, &until);
		if (next < 0)
			break;
		read_block(w, (uint32_t)next, worker, fn, ctx);
	}
	if (next_ring(w, &ignored) >= 0) {
		*ret_until_ns = until;
		return false;
	}
	/* Reading an empty ring reports the ring's error, if there is one. */
	for (uint32_t i = 0; i < w->count; i++)
		read_block(w, i, worker, fn, ctx);
	return true;
}

bool worker_rings_busy(const struct worker_rings *w)
{
	bool busy = false;

	for (uint32_t i = 0; i < w->count; i++)
		busy |= ring_is_busy(w->ring[i]);
	return busy;
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
