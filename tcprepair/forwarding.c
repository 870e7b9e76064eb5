/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcprepair.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>

#include "sysctl.h"

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
	char path[sizeof SYSCTL_NET + IFNAMSIZ + 64];

	if (strlen(interface) >= IFNAMSIZ || strchr(interface, '/'))
		return -ENODEV;
	if (family == NETADDR_V4) {
		snprintf(path, sizeof path, SYSCTL_NET "ipv4/conf/%s/forwarding", interface);
		return change(path, on, ret_changed);
	}
	if (family != NETADDR_V6)
		return -EAFNOSUPPORT;
	/* force_forwarding is there since Linux 6.17. Before, IPv6 forwards on all interfaces or
	 * on none. */
	snprintf(path, sizeof path, SYSCTL_NET "ipv6/conf/%s/force_forwarding", interface);
	int r = change(path, on, ret_changed);
	return r == -ENOENT ? change(SYSCTL_NET "ipv6/conf/all/forwarding", on, ret_changed) : r;
}
