/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "netlink.h"

#include <errno.h>
#include <linux/netlink.h>
#include <sys/socket.h>

#include "base/cleanup.h"

#define ANSWER_MAX 32768 /* the kernel's parts of a dump are never larger */

int netlink_open(int protocol, struct netlink *ret)
{
	_cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol);
	struct sockaddr_nl sa = {.nl_family = AF_NETLINK};
	int on = 1;

	if (fd < 0 || bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	/* Without this option each of 10,000 errors would contain a copy of its request. */
	if (setsockopt(fd, SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof on) < 0)
		return -errno;
	*ret = (struct netlink){.fd = take_fd(&fd)};
	return 0;
}

void netlink_close(struct netlink *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

static int handle(const struct nlmsghdr *nlh, netlink_fn fn, void *data)
{
	if (nlh->nlmsg_type == NLMSG_ERROR) {
		const struct nlmsgerr *e = mnl_nlmsg_get_payload(nlh);
		return mnl_nlmsg_get_payload_len(nlh) < sizeof e->error ? -EPROTO : e->error;
	}
	if (nlh->nlmsg_type == NLMSG_DONE) {
		const int *error = mnl_nlmsg_get_payload(nlh);
		return mnl_nlmsg_get_payload_len(nlh) < sizeof *error ? 0 : *error;
	}
	return fn && nlh->nlmsg_type >= NLMSG_MIN_TYPE ? fn(nlh, data) : 0;
}

static int collect(struct netlink *n, netlink_fn fn, void *data)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	int count = 0, result = 0;

	for (;;) {
		ssize_t got = recv(n->fd, answer, sizeof answer, MSG_DONTWAIT);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == EAGAIN)
			break;
		if (got < 0)
			return -errno;
		int left = (int)got;
		for (const struct nlmsghdr *nlh = (void *)answer; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left)) {
			int r = handle(nlh, fn, data);
			count++;
			if (r < 0 && result == 0)
				result = r;
		}
	}
	return count == 0 ? -EPROTO : result;
}

int netlink_call(struct netlink *n, struct bytes messages, netlink_fn fn, void *data)
{
	int room = messages.n < 65536 ? 65536 : (int)messages.n + 4096;
	struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

	if (messages.n > INT32_MAX / 2)
		return -EMSGSIZE;
	if (setsockopt(n->fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof room) < 0)
		return -errno;
	while (sendto(n->fd, messages.p, messages.n, 0, (struct sockaddr *)&kernel, sizeof kernel) <
	       0)
		if (errno != EINTR)
			return -errno;
	return collect(n, fn, data);
}

int netlink_ask(int protocol, const struct nlmsghdr *message, netlink_fn fn, void *data)
{
	_cleanup_(netlink_close) struct netlink n = {.fd = -1};
	int r = netlink_open(protocol, &n);

	return r < 0 ? r : netlink_call(&n, bytes_of(message, message->nlmsg_len), fn, data);
}
