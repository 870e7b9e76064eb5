/* SPDX-License-Identifier: GPL-3.0-or-later */
/* signals: those that a loop takes as messages, among its other descriptors. */
#ifndef BASE_SIGNALS_H
#define BASE_SIGNALS_H

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <sys/signalfd.h>

/*
 * Blocks the @n signals of @taken, in the calling thread and those that it starts, and ignores
 * SIGPIPE. *ret: a descriptor that they are read from. Returns 0 or a negative errno.
 */
static inline int signals_open(const int *taken, size_t n, int *ret)
{
	sigset_t set;

	sigemptyset(&set);
	for (size_t i = 0; i < n; i++)
		sigaddset(&set, taken[i]);
	signal(SIGPIPE, SIG_IGN);
	if (sigprocmask(SIG_BLOCK, &set, NULL) < 0)
		return -errno;
	*ret = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

#endif
