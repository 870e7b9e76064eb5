/* SPDX-License-Identifier: GPL-3.0-or-later */
/* test-children: what a program that was killed leaves. */
#ifndef APPLIANCE_TEST_CHILDREN_H
#define APPLIANCE_TEST_CHILDREN_H

#include <errno.h>
#include <sched.h>
#include <stdbool.h>
#include <sys/wait.h>

#include "base/clock.h"

/* Whether every child was waited for, so that none is left. Waits for none itself. */
static inline bool children_are_gone(void)
{
	const int64_t until = clock_mono_ns() + 60 * NS_PER_S;
	siginfo_t info;

	while (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) == 0) {
		if (clock_mono_ns() > until)
			return false;
		sched_yield();
	}
	return errno == ECHILD;
}

#endif
