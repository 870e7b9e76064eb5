/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-clock.h"

#include <stdlib.h>

#include "base/clock.h"

#define LOOKS_MAX 4
#define LOOK_NS   (20 * NS_PER_US)
/*
 * If CLOCK_REALTIME moves by more than this against CLOCK_MONOTONIC between two turns, it was set.
 */
#define SET_NS (100 * NS_PER_MS)
/* For DOUBT_NS after that no packet is believed to be older than AGE_MAX_NS. */
#define DOUBT_NS   (10 * NS_PER_S)
#define AGE_MAX_NS NS_PER_S

/*
 * Reads both clocks at one moment. An interruption between the two reads would make packets seem
 * too old, so the reads are repeated until they are close together.
 */
void worker_clock_read(struct worker_clock *c)
{
	int64_t real, before, was = c->mono_minus_real;
	bool first = c->turn_ns == 0;

	for (int i = 0; i < LOOKS_MAX; i++) {
		before = clock_mono_ns();
		real = clock_real_ns();
		c->turn_ns = clock_mono_ns();
		if (c->turn_ns - before < LOOK_NS)
			break;
	}
	c->mono_minus_real = c->turn_ns - real;
	if (!first && llabs(c->mono_minus_real - was) > SET_NS)
		c->set_ns = c->turn_ns;
}

void worker_clock_begin(struct worker_clock *c)
{
	c->begun_real_ns = clock_real_ns();
	c->begun_ns = clock_mono_ns();
}

bool worker_clock_too_early(const struct worker_clock *c, int64_t real_ns)
{
	return real_ns < c->begun_real_ns;
}

/*
 * The block that the kernel was filling at the beginning has also been read, at the latest a second
 * later.
 */
void worker_clock_caught_up(struct worker_clock *c)
{
	if (c->turn_ns - c->begun_ns > NS_PER_S)
		c->begun_real_ns = 0;
}

int64_t worker_clock_mono(const struct worker_clock *c, int64_t real_ns)
{
	int64_t mono = real_ns + c->mono_minus_real;

	bool in_doubt = c->set_ns && c->turn_ns - c->set_ns < DOUBT_NS;

	if (in_doubt && mono < c->turn_ns - AGE_MAX_NS)
		return c->turn_ns;
	if (mono <= c->turn_ns)
		return mono;
	int64_t now = clock_mono_ns();
	return mono < now ? mono : now;
}
