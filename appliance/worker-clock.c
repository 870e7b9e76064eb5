/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-clock.h"

#include "clock.h"

#define PACKET_AGE_MAX_NS NS_PER_S
#define LOOKS_MAX         4
#define LOOK_NS           (20 * NS_PER_US)

/*
 * Both clocks at one moment. Who is interrupted between the two would take packets for
 * older than they are, so it looks again.
 */
void worker_clock_read(struct worker_clock *c)
{
	int64_t real, before;

	for (int i = 0; i < LOOKS_MAX; i++) {
		before = clock_mono_ns();
		real = clock_real_ns();
		c->turn_ns = clock_mono_ns();
		if (c->turn_ns - before < LOOK_NS)
			break;
	}
	c->mono_minus_real = c->turn_ns - real;
}

void worker_clock_begin(struct worker_clock *c)
{
	c->begun_real_ns = clock_real_ns();
	c->begun_ns = clock_mono_ns();
}

/* After a second nothing can be left in the ring, whatever happened to the clock. */
bool worker_clock_too_early(struct worker_clock *c, int64_t real_ns)
{
	if (c->begun_real_ns && c->turn_ns - c->begun_ns > NS_PER_S)
		c->begun_real_ns = 0;
	return real_ns < c->begun_real_ns;
}

int64_t worker_clock_mono(const struct worker_clock *c, int64_t real_ns)
{
	int64_t mono = real_ns + c->mono_minus_real;

	if (mono < c->turn_ns - PACKET_AGE_MAX_NS)
		return c->turn_ns;
	if (mono <= c->turn_ns)
		return mono;
	int64_t now = clock_mono_ns();
	return mono < now ? mono : now;
}
