/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcprepair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/cleanup.h"
#include "neighbour.h"
#include "netlink.h"

/* Ceiling of frames for one link_receive(): under a flood the caller's loop must go on. */
#define RECEIVE_BURST 256

struct link {
	int fd;
	int ifindex;
	uint8_t mac[6];
};

/* Passes ARP and neighbour advertisements only. Other traffic must not fill the socket's queue. */
static int filter_attach(int fd)
{
	static struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_H | BPF_ABS, 12),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_ARP, 5, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ETH_P_IPV6, 0, 5),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 6),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_ICMPV6, 0, 3),
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, ETH_HLEN + 40),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, ND_NEIGHBOR_ADVERT, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, UINT16_MAX),
		BPF_STMT(BPF_RET | BPF_K, 0),
	};
	struct sock_fprog prog = {sizeof code / sizeof *code, code};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &prog, sizeof prog) < 0 ? -errno : 0;
}

int link_open(const char *interface, struct link **ret)
{
	struct sockaddr_ll sa = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	uint8_t mac[6];
	int on = 1;

	int r = address_link(interface, &sa.sll_ifindex, mac);
	if (r < 0)
		return r;
	/* With protocol 0 nothing is received until bind() names a protocol. By then the filter
	 * is attached. */
	_cleanup_close_ int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	r = filter_attach(fd);
	if (r < 0)
		return r;
	if (setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof on) < 0 ||
	    bind(fd, (struct sockaddr *)&sa, sizeof sa) < 0)
		return -errno;
	struct link *l = calloc(1, sizeof *l);
	if (!l)
		return -ENOMEM;
	l->fd = take_fd(&fd);
	l->ifindex = sa.sll_ifindex;
	memcpy(l->mac, mac, sizeof mac);
	*ret = l;
	return 0;
}

struct link *link_close(struct link *l)
{
	if (l) {
		close(l->fd);
		free(l);
	}
	return NULL;
}

int link_fd(const struct link *l)
{
	return l->fd;
}

const uint8_t *link_mac(const struct link *l)
{
	return l->mac;
}

int link_send(struct link *l, struct bytes frame)
{
	ssize_t n;

	do
		n = send(l->fd, frame.p, frame.n, MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n < 0 ? -errno : 0;
}

int link_announce(struct link *l, const struct netaddr *addr)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];

	if (addr->family == NETADDR_V6)
		return link_send(l, bytes_of(frame, neighbour_announce_nd(addr, l->mac, frame)));
	if (addr->family != NETADDR_V4)
		return -EAFNOSUPPORT;
	/* Some stacks learn from requests only, others from replies only. */
	int r = link_send(l, bytes_of(frame, neighbour_announce_arp(addr, l->mac, false, frame)));
	int r2 = link_send(l, bytes_of(frame, neighbour_announce_arp(addr, l->mac, true, frame)));
	return r < 0 ? r : r2;
}

int link_ask(struct link *l, const struct netaddr *addr, const struct netaddr *own)
{
	uint8_t frame[NEIGHBOUR_FRAME_MAX];

	if (addr->family == NETADDR_NONE || addr->family != own->family)
		return -EAFNOSUPPORT;
	return link_send(l, bytes_of(frame, neighbour_ask(addr, own, l->mac, frame)));
}

int link_receive(struct link *l, struct link_answer *ret)
{
	uint8_t frame[ETH_FRAME_LEN];

	for (int i = 0; i < RECEIVE_BURST; i++) {
		ssize_t n = recv(l->fd, frame, sizeof frame, MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (neighbour_parse(bytes_of(frame, (size_t)n), ret))
			return 1;
	}
	return 0;
}

struct entry {
	uint8_t *mac;
	bool found;
};

static int entry_attribute(const struct nlattr *a, void *data)
{
	struct entry *e = data;

	if (mnl_attr_get_type(a) == NDA_LLADDR && mnl_attr_get_payload_len(a) == 6) {
		memcpy(e->mac, mnl_attr_get_payload(a), 6);
		e->found = true;
	}
	return MNL_CB_OK;
}

static int entry_one(const struct nlmsghdr *nlh, void *data)
{
	return mnl_attr_parse(nlh, sizeof(struct ndmsg), entry_attribute, data) < 0 ? -EPROTO : 0;
}

/* Asked for, an entry has no state yet: with one the kernel refuses the question. */
static struct nlmsghdr *entry_message(char *out, uint16_t type, uint16_t flags, uint16_t state,
				      const struct link *l, const struct netaddr *addr)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct ndmsg *nd = mnl_nlmsg_put_extra_header(nlh, sizeof *nd);

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | flags;
	nd->ndm_family = addr->family == NETADDR_V6 ? AF_INET6 : AF_INET;
	nd->ndm_ifindex = l->ifindex;
	nd->ndm_state = state;
	mnl_attr_put(nlh, NDA_DST, addr->family == NETADDR_V6 ? 16 : 4, addr->b);
	return nlh;
}

int link_neighbour(const struct link *l, const struct netaddr *addr, uint8_t ret_mac[static 6])
{
	_Alignas(struct nlmsghdr) char out[128];
	struct entry e = {.mac = ret_mac};
	int r = netlink_ask(NETLINK_ROUTE, entry_message(out, RTM_GETNEIGH, 0, 0, l, addr),
			    entry_one, &e);

	return r < 0 || e.found ? r : -ENOENT;
}

int link_set_neighbour(const struct link *l, const struct netaddr *addr, const uint8_t mac[6])
{
	_Alignas(struct nlmsghdr) char out[128];
	struct nlmsghdr *nlh = entry_message(
		out, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE, NUD_STALE, l, addr);

	mnl_attr_put(nlh, NDA_LLADDR, 6, mac);
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}
