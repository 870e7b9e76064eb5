/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcprepair.h"

#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <stdio.h>

#include "cleanup.h"

#define SYSCTL "/proc/sys/net/"

static int sysctl_read(const char *path, bool *ret)
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

static int sysctl_write(const char *path, bool on)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, on ? "1\n" : "0\n", 2) < 0 ? -errno : 0;
}

static int change(const char *path, bool on, bool *ret_changed)
{
	bool was = false;
	int r = sysctl_read(path, &was);

	if (r == 0 && was != on)
		r = sysctl_write(path, on);
	if (r == 0)
		*ret_changed = was != on;
	return r;
}

int guard_forwarding(const char *interface, uint8_t family, bool on, bool *ret_changed)
{
	char path[sizeof SYSCTL + IFNAMSIZ + 64];

	if (strlen(interface) >= IFNAMSIZ || strchr(interface, '/'))
		return -ENODEV;
	if (family == NETADDR_V4) {
		snprintf(path, sizeof path, SYSCTL "ipv4/conf/%s/forwarding", interface);
		return change(path, on, ret_changed);
	}
	if (family != NETADDR_V6)
		return -EAFNOSUPPORT;
	/* Linux 6.17; before, IPv6 forwards on all interfaces or on none. */
	snprintf(path, sizeof path, SYSCTL "ipv6/conf/%s/force_forwarding", interface);
	int r = change(path, on, ret_changed);
	return r == -ENOENT ? change(SYSCTL "ipv6/conf/all/forwarding", on, ret_changed) : r;
}
