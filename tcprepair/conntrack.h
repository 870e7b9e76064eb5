/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * conntrack: a flow as an established connection in the kernel's connection tracking (ctnetlink).
 */
#ifndef TCPREPAIR_CONNTRACK_H
#define TCPREPAIR_CONNTRACK_H

#include "base/netaddr.h"

/*
 * As if the handshake, @client calling @server, and answers had been seen. What was there of the
 * flow is brought up to date. 0 or negative errno, -ENOMEM: the table is full.
 */
int conntrack_establish(const struct endpoint *client, const struct endpoint *server);

#endif
