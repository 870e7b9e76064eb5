/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bell: how other threads wake a thread that waits for descriptors. A bell is a descriptor that
 * becomes readable when somebody rings. It stays readable until it is silenced, however often it
 * was rung.
 */
#ifndef BASE_BELL_H
#define BASE_BELL_H

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* Returns the descriptor, or a negative errno. */
static inline int bell_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* May be called from any thread. Does nothing when @bell is negative. */
static inline void bell_ring(int bell)
{
	/* The write fails only when the counter is full, and then the bell is ringing anyway. */
	if (bell >= 0)
		(void)!eventfd_write(bell, 1);
}

/*
 * Called by the waiting thread before it looks for what it was rung for. Otherwise a ring in
 * between would be lost.
 */
static inline void bell_silence(int bell)
{
	eventfd_t count;

	if (bell >= 0)
		(void)!eventfd_read(bell, &count);
}

#endif
