/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "arena-sys.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

int arena_sys_secret(size_t bytes)
{
	int fd = (int)syscall(SYS_memfd_secret, O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ftruncate(fd, (off_t)bytes) < 0) {
		int r = -errno;

		close(fd);
		return r;
	}
	return fd;
}

int arena_sys_reserve(size_t bytes, uint8_t **ret)
{
	void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (p == MAP_FAILED)
		return -errno;
	*ret = p;
	return 0;
}

int arena_sys_map(uint8_t *at, size_t bytes, int fd)
{
	int flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);

	return mmap(at, bytes, PROT_READ | PROT_WRITE, flags, fd, 0) == MAP_FAILED ? -errno : 0;
}

int arena_sys_lock(uint8_t *at, size_t bytes)
{
	return mlock(at, bytes) < 0 ? -errno : 0;
}

int arena_sys_advise(uint8_t *at, size_t bytes, int advice)
{
	return madvise(at, bytes, advice) < 0 ? -errno : 0;
}

void arena_sys_unmap(uint8_t *at, size_t bytes)
{
	munmap(at, bytes);
}

void arena_sys_close(int fd)
{
	close(fd);
}
