/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * raw-calls: the system calls that the sandbox of sshd leaves, made directly: neither this
 * library's own functions of these names nor another one's are in the way, and no thread is
 * cancelled in them. They return -1 with errno.
 */
#ifndef KEYVAULT_RAW_CALLS_H
#define KEYVAULT_RAW_CALLS_H

#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

static inline long raw_read(int fd, void *p, size_t n)
{
	return syscall(SYS_read, fd, p, n);
}

static inline long raw_write(int fd, const void *p, size_t n)
{
	return syscall(SYS_write, fd, p, n);
}

static inline long raw_close(int fd)
{
	return syscall(SYS_close, fd);
}

static inline long raw_poll(struct pollfd *p, unsigned n, uint64_t ns)
{
#ifdef SYS_poll
	return syscall(SYS_poll, p, n, (int)((ns + 999999) / 1000000));
#else
	struct timespec t = {(time_t)(ns / 1000000000), (long)(ns % 1000000000)};
	return syscall(SYS_ppoll, p, n, &t, NULL, 0);
#endif
}

#endif
