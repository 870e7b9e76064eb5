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
	uint32_t seq; /* of the last message sent */
};

/*
 * Called for each answer that is neither an error nor the end of a dump. Returns 0, or a negative
 * errno that netlink_call() returns.
 */
typedef int (*netlink_fn)(const struct nlmsghdr *nlh, void *data);

/* @protocol is NETLINK_ROUTE or NETLINK_NETFILTER. Returns 0 or a negative errno. */
int netlink_open(int protocol, struct netlink *ret);
/* Closes the socket. A zeroed struct with fd -1 is fine. */
void netlink_close(struct netlink *n);

/*
 * Sends @messages at once and collects the answers. Returns the first error of the kernel. At least
 * one message must ask for an acknowledgement or a dump. When nothing comes back, what happened is
 * unknown and the result is -EPROTO.
 */
int netlink_call(struct netlink *n, struct bytes messages, netlink_fn fn, void *data);
/* As netlink_call(), with one message and a socket of its own. */
int netlink_ask(int protocol, const struct nlmsghdr *message, netlink_fn fn, void *data);

#endif
