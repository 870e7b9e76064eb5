/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "thread.h"

#include <stdatomic.h>
#include <time.h>

#include "clock.h"
#include "log.h"

#define PATIENCE_NS (10 * NS_PER_S)
/* For what has stood still before it was told, or when that much was spent on others already. */
#define LAST_PATIENCE_NS NS_PER_S

static _Atomic uint32_t left;

int64_t thread_deadline(bool stands_still)
{
	bool spent = stands_still || threads_left() > 0;

	return clock_mono_ns() + (spent ? LAST_PATIENCE_NS : PATIENCE_NS);
}

static struct timespec timespec_of(int64_t ns)
{
	return (struct timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

#ifdef __SANITIZE_THREAD__
/*
 * The thread sanitizer does not know pthread_clockjoin_np(), and takes all that the thread did for
 * unordered with all that comes after its end. This one is bound to the other clock.
 */
static int join_until(pthread_t thread, int64_t deadline_ns)
{
	struct timespec ts = timespec_of(clock_real_ns() + deadline_ns - clock_mono_ns());

	return pthread_timedjoin_np(thread, NULL, &ts);
}
#else
static int join_until(pthread_t thread, int64_t deadline_ns)
{
	struct timespec ts = timespec_of(deadline_ns);

	return pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &ts);
}
#endif

bool thread_end(pthread_t thread, const char *what, int64_t deadline_ns)
{
	if (join_until(thread, deadline_ns) == 0)
		return true;
	atomic_fetch_add(&left, 1);
	log_event(LOG_ERROR, "thread-does-not-end", LOG_STR("thread", what));
	return false;
}

uint32_t threads_left(void)
{
	return atomic_load(&left);
}
