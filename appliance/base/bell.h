/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * bell: how other threads wake one that waits for descriptors: a descriptor that is readable from
 * when somebody rings until it is silenced, however often it was rung.
 */
#ifndef BASE_BELL_H
#define BASE_BELL_H

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

/* A descriptor, or negative errno. */
static inline int bell_open(void)
{
	int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);

	return fd < 0 ? -errno : fd;
}

/* From any thread; nothing happens if @bell is negative. */
static inline void bell_ring(int bell)
{
	/* Fails only when the counter is full: then it is ringing anyway. */
	if (bell >= 0)
		(void)!eventfd_write(bell, 1);
}

/* By the thread that waits, before it looks for what it was rung for. */
static inline void bell_silence(int bell)
{
	eventfd_t count;

	if (bell >= 0)
		(void)!eventfd_read(bell, &count);
}

#endif
