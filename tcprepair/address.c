/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "tcprepair.h"

#include <errno.h>
#include <linux/if_addr.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <poll.h>
#include <sys/ioctl.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "netlink.h"

/* An IPv6 address is in force within microseconds, unless the kernel's workers are stuck. */
#define IN_FORCE_NS (250 * NS_PER_MS)

int address_link(const char *interface, int *ret_ifindex, uint8_t ret_mac[6])
{
	_cleanup_close_ int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq index = {0}, hardware = {0};

	if (fd < 0)
		return -errno;
	if (strlen(interface) >= IFNAMSIZ)
		return -ENODEV;
	strcpy(index.ifr_name, interface);
	strcpy(hardware.ifr_name, interface);
	if (ioctl(fd, SIOCGIFINDEX, &index) < 0 || ioctl(fd, SIOCGIFHWADDR, &hardware) < 0)
		return -errno;
	if (hardware.ifr_hwaddr.sa_family != ARPHRD_ETHER &&
	    hardware.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return -EPFNOSUPPORT;
	*ret_ifindex = index.ifr_ifindex;
	memcpy(ret_mac, hardware.ifr_hwaddr.sa_data, 6);
	return 0;
}

/*
 * if_nametoindex() needs a descriptor. Without one its error does not mean that the interface is
 * missing.
 */
static int index_of(const char *interface, uint32_t *ret)
{
	*ret = if_nametoindex(interface);
	return *ret == 0 ? -errno : 0;
}

/* The message that adding and removing have in common. */
static struct nlmsghdr *message(char *out, uint16_t type, uint16_t flags, uint32_t index,
				const struct netaddr *addr)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof *ifa);
	size_t n = addr->family == NETADDR_V6 ? 16 : 4;

	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	ifa->ifa_family = addr->family == NETADDR_V6 ? AF_INET6 : AF_INET;
	ifa->ifa_prefixlen = (uint8_t)(n * 8);
	ifa->ifa_index = index;
	mnl_attr_put(nlh, IFA_LOCAL, n, addr->b);
	mnl_attr_put(nlh, IFA_ADDRESS, n, addr->b);
	return nlh;
}

static int add(uint32_t index, const struct netaddr *addr)
{
	_Alignas(struct nlmsghdr) char out[256];
	/* Deprecated from the start: such an address is never the source of the box's own
	 * connections. */
	struct ifa_cacheinfo life = {.ifa_valid = ADDRESS_LIFETIME_S, .ifa_prefered = 0};

	struct nlmsghdr *nlh = message(out, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, index, addr);
	mnl_attr_put(nlh, IFA_CACHEINFO, sizeof life, &life);
	if (addr->family == NETADDR_V6)
		mnl_attr_put_u32(nlh, IFA_FLAGS, IFA_F_NODAD | IFA_F_NOPREFIXROUTE);
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}

static int route_one(const struct nlmsghdr *nlh, void *data)
{
	const struct rtmsg *rtm = mnl_nlmsg_get_payload(nlh);
	bool *local = data;

	*local = nlh->nlmsg_type == RTM_NEWROUTE && rtm->rtm_type == RTN_LOCAL;
	return 0;
}

/* Whether the kernel takes packets for the IPv6 address @addr as its own. */
static int is_local(const struct netaddr *addr, bool *ret)
{
	_Alignas(struct nlmsghdr) char out[128];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof *rtm);

	nlh->nlmsg_type = RTM_GETROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	rtm->rtm_family = AF_INET6;
	rtm->rtm_dst_len = 128;
	mnl_attr_put(nlh, RTA_DST, 16, addr->b);
	*ret = false;
	int r = netlink_ask(NETLINK_ROUTE, nlh, route_one, ret);
	return r == -ENETUNREACH || r == -EHOSTUNREACH ? 0 : r;
}

/*
 * Adds an IPv6 address and waits until it is in force. The kernel acknowledges the address first,
 * and a worker inserts its route later. A packet that arrives in between is not taken as the box's
 * own. The answer to a window probe could be such a packet.
 */
static int add_and_wait(uint32_t index, const struct netaddr *addr)
{
	_cleanup_(netlink_close) struct netlink routes = {.fd = -1};
	int64_t end = clock_mono_ns() + IN_FORCE_NS;
	int group = RTNLGRP_IPV6_ROUTE;
	bool local;

	int r = netlink_open(NETLINK_ROUTE, &routes);
	if (r < 0)
		return r;
	if (setsockopt(routes.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) < 0)
		return -errno;
	r = add(index, addr);
	while (r == 0 && (r = is_local(addr, &local)) == 0 && !local) {
		struct pollfd p = {.fd = routes.fd, .events = POLLIN};
		int64_t left = end - clock_mono_ns();
		if (left <= 0 || poll(&p, 1, (int)(left / NS_PER_MS) + 1) == 0)
			return -ETIMEDOUT;
		while (recv(routes.fd, &(char){0}, 1, MSG_DONTWAIT | MSG_TRUNC) > 0)
			;
	}
	return r;
}

int address_add(const char *interface, const struct netaddr *addr)
{
	uint32_t index;

	if (addr->family == NETADDR_NONE)
		return -EAFNOSUPPORT;
	int r = index_of(interface, &index);
	if (r < 0)
		return r;
	return addr->family == NETADDR_V6 ? add_and_wait(index, addr) : add(index, addr);
}

int address_del(const char *interface, const struct netaddr *addr)
{
	_Alignas(struct nlmsghdr) char out[256];
	uint32_t index;

	if (addr->family == NETADDR_NONE)
		return -EAFNOSUPPORT;
	int r = index_of(interface, &index);
	if (r < 0)
		return r;
	const struct nlmsghdr *nlh = message(out, RTM_DELADDR, 0, index, addr);
	r = netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
	return r == -EADDRNOTAVAIL ? 0 : r;
}

/* State of a walk over all addresses. */
struct walk {
	uint32_t ifindex; /* 0: all interfaces */
	struct netaddr *out;
	uint32_t max, count;
	const struct netaddr *wanted;
	bool found;
};

/* Takes IFA_LOCAL, the host's own address. On point-to-point links IFA_ADDRESS is the peer's. */
static int pick_local(const struct nlattr *attr, void *data)
{
	const struct nlattr **local = data;
	uint16_t type = mnl_attr_get_type(attr);

	if (type == IFA_LOCAL || (type == IFA_ADDRESS && !*local))
		*local = attr;
	return MNL_CB_OK;
}

static int walk_one(const struct nlmsghdr *nlh, void *data)
{
	struct walk *w = data;
	const struct ifaddrmsg *ifa = mnl_nlmsg_get_payload(nlh);
	const struct nlattr *local = NULL;

	if (nlh->nlmsg_type != RTM_NEWADDR || (w->ifindex && ifa->ifa_index != w->ifindex))
		return 0;
	mnl_attr_parse(nlh, sizeof *ifa, pick_local, &local);
	size_t n = ifa->ifa_family == AF_INET6 ? 16 : 4;
	if (!local || mnl_attr_get_payload_len(local) != n)
		return 0;
	struct netaddr a = {.family = n == 16 ? NETADDR_V6 : NETADDR_V4};
	memcpy(a.b, mnl_attr_get_payload(local), n);
	if (w->wanted && netaddr_eq(&a, w->wanted))
		w->found = true;
	if (w->count < w->max)
		w->out[w->count] = a;
	w->count++;
	return 0;
}

static int walk(struct walk *w)
{
	_Alignas(struct nlmsghdr) char out[64];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);

	nlh->nlmsg_type = RTM_GETADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifaddrmsg));
	return netlink_ask(NETLINK_ROUTE, nlh, walk_one, w);
}

int address_present(const struct netaddr *addr)
{
	struct walk w = {.wanted = addr};
	int r = walk(&w);

	return r < 0 ? r : w.found;
}

int address_list(const char *interface, struct netaddr *out, uint32_t max)
{
	struct walk w = {.out = out, .max = max};
	int r = index_of(interface, &w.ifindex);

	if (r == 0)
		r = walk(&w);
	return r < 0 ? r : (int)w.count;
}
