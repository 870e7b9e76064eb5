/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "descriptors.h"

#include <errno.h>
#include <sys/resource.h>
#include <unistd.h>

uint64_t descriptors_kept(uint64_t limit)
{
	uint64_t part = limit / 4;

	if (part < DESCRIPTORS_KEPT_MIN)
		return DESCRIPTORS_KEPT_MIN;
	return part < DESCRIPTORS_KEPT_MAX ? part : DESCRIPTORS_KEPT_MAX;
}

int descriptors_for_connection(int fd)
{
	struct rlimit limit;

	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &limit) < 0 ||
	    (uint64_t)fd + descriptors_kept(limit.rlim_cur) < limit.rlim_cur)
		return fd;
	close(fd);
	errno = EMFILE;
	return -1;
}
