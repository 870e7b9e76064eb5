/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "sysctl.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tcprepair.h"

int sysctl_read(const char *path, bool *ret)
{
	char c;
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, &c, 1);
	if (n != 1)
		return n < 0 ? -errno : -EIO;
	*ret = c != '0';
	return 0;
}

int sysctl_write(const char *path, bool on)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, on ? "1\n" : "0\n", 2) < 0 ? -errno : 0;
}

int restore_probes_mtu(bool *ret)
{
	return sysctl_read(SYSCTL_NET "ipv4/tcp_mtu_probing", ret);
}
