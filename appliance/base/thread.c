/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "thread.h"

#include <stdatomic.h>
#include <time.h>

#include "clock.h"
#include "log.h"

/*
 * How long the first thread that does not end is waited for; and each one after it, which has had
 * that time too.
 */
#define PATIENCE_NS       (10 * NS_PER_S)
#define PATIENCE_AFTER_NS NS_PER_S

static _Atomic uint32_t left;

bool thread_end(pthread_t thread, const char *what)
{
	int64_t until = clock_mono_ns() + (threads_left() > 0 ? PATIENCE_AFTER_NS : PATIENCE_NS);
	struct timespec ts = {.tv_sec = until / NS_PER_S, .tv_nsec = until % NS_PER_S};

	if (pthread_clockjoin_np(thread, NULL, CLOCK_MONOTONIC, &ts) == 0)
		return true;
	atomic_fetch_add(&left, 1);
	log_event(LOG_ERROR, "thread-does-not-end", LOG_STR("thread", what));
	return false;
}

uint32_t threads_left(void)
{
	return atomic_load(&left);
}
