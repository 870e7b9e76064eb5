/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conntrack: puts a flow into the kernel's connection tracking as an established connection
 * (ctnetlink).
 */
#ifndef TCPREPAIR_CONNTRACK_H
#define TCPREPAIR_CONNTRACK_H

#include "base/netaddr.h"

/*
 * Makes or updates the entry of a flow: the handshake, opened by @client, and traffic both ways
 * count as seen. Returns 0 or a negative errno; -ENOMEM: the table is full.
 */
int conntrack_establish(const struct endpoint *client, const struct endpoint *server);

#endif
