/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * netlink: one socket to the kernel, and a call that collects all answers.
 *
 * Requests of the families used here (route, netfilter) are handled within
 * sendmsg(): when it returns, every answer waits in the receive queue, so a call
 * never blocks.
 */
#ifndef TCPREPAIR_NETLINK_H
#define TCPREPAIR_NETLINK_H

#include <libmnl/libmnl.h>

#include "base/bytes.h"

struct netlink {
	int fd;
	uint32_t seq; /* of the last message */
};

/* Gets each answer that is neither error nor end of a dump. 0, or a negative errno to report. */
typedef int (*netlink_fn)(const struct nlmsghdr *nlh, void *data);

/* @protocol: NETLINK_ROUTE or NETLINK_NETFILTER. 0 or negative errno. */
int netlink_open(int protocol, struct netlink *ret);
/* A zeroed struct with fd -1 is fine. */
void netlink_close(struct netlink *n);

/*
 * Sends @messages in one go. The first error the kernel reports is returned; at
 * least one message must ask for an acknowledgement or a dump (-EPROTO when nothing
 * came back: what happened would be unknown).
 */
int netlink_call(struct netlink *n, struct bytes messages, netlink_fn fn, void *data);
/* The same, of one message, with a socket of its own. */
int netlink_ask(int protocol, const struct nlmsghdr *message, netlink_fn fn, void *data);

#endif
