/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "stage.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_addr.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>

#include "base/cleanup.h"
#include "netlink.h"

#define MESSAGE_MAX 512

static struct nlmsghdr *link_message(char *out, uint16_t flags, const char *name)
{
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct ifinfomsg *ifi = mnl_nlmsg_put_extra_header(nlh, sizeof *ifi);

	nlh->nlmsg_type = RTM_NEWLINK;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | flags;
	mnl_attr_put_strz(nlh, IFLA_IFNAME, name);
	return nlh;
}

/* Sets the interface up. With @quiet it uses neither ARP nor neighbour discovery. */
static int link_up(const char *name, bool quiet)
{
	_Alignas(struct nlmsghdr) char out[MESSAGE_MAX];
	struct nlmsghdr *nlh = link_message(out, 0, name);
	struct ifinfomsg *ifi = mnl_nlmsg_get_payload(nlh);

	ifi->ifi_flags = IFF_UP | (quiet ? IFF_NOARP : 0u);
	ifi->ifi_change = ifi->ifi_flags;
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}

/* The address of both ends. Without ARP the kernel writes its own address as the destination. */
static const uint8_t mac[6] = {0x02, 'j', 'e', 'e', 'b', 's'};

/*
 * Makes a cable from @interface here to @there in the namespace @outside. NULL: the kernel chooses
 * the name.
 */
static int cable(const char *interface, int outside, const char *there)
{
	_Alignas(struct nlmsghdr) char out[MESSAGE_MAX];
	struct nlmsghdr *nlh = link_message(out, NLM_F_CREATE | NLM_F_EXCL, interface);

	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof mac, mac);
	struct nlattr *info = mnl_attr_nest_start(nlh, IFLA_LINKINFO);
	mnl_attr_put_strz(nlh, IFLA_INFO_KIND, "veth");
	struct nlattr *data = mnl_attr_nest_start(nlh, IFLA_INFO_DATA);
	struct nlattr *peer = mnl_attr_nest_start(nlh, VETH_INFO_PEER);
	mnl_nlmsg_put_extra_header(nlh, sizeof(struct ifinfomsg));
	if (there)
		mnl_attr_put_strz(nlh, IFLA_IFNAME, there);
	mnl_attr_put(nlh, IFLA_ADDRESS, sizeof mac, mac);
	mnl_attr_put_u32(nlh, IFLA_NET_NS_FD, (uint32_t)outside);
	mnl_attr_nest_end(nlh, peer);
	mnl_attr_nest_end(nlh, data);
	mnl_attr_nest_end(nlh, info);
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}

static int default_route(const char *interface, uint8_t family)
{
	_Alignas(struct nlmsghdr) char out[MESSAGE_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct rtmsg *rtm = mnl_nlmsg_put_extra_header(nlh, sizeof *rtm);

	nlh->nlmsg_type = RTM_NEWROUTE;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	*rtm = (struct rtmsg){.rtm_family = family,
			      .rtm_table = RT_TABLE_MAIN,
			      .rtm_protocol = RTPROT_STATIC,
			      .rtm_scope = family == AF_INET ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE,
			      .rtm_type = RTN_UNICAST};
	mnl_attr_put_u32(nlh, RTA_OIF, if_nametoindex(interface));
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}

/* On a host without IPv6 its route is left out. */
static int side_up(const char *interface)
{
	int r = link_up("lo", false);

	if (r == 0)
		r = link_up(interface, true);
	if (r == 0)
		r = default_route(interface, AF_INET);
	if (r == 0)
		(void)default_route(interface, AF_INET6);
	return r;
}

static int side_open(int *ret)
{
	if (unshare(CLONE_NEWNET) < 0)
		return -errno;
	*ret = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	return *ret < 0 ? -errno : 0;
}

int stage_open(struct stage *s)
{
	int r = side_open(&s->ns[STAGE_OUTSIDE_SIDE]);

	return r < 0 ? r : side_open(&s->ns[STAGE_BOX_SIDE]);
}

void stage_close(struct stage *s)
{
	for (int i = 0; i < STAGE_SIDES; i++)
		if (s->ns[i] >= 0)
			close(s->ns[i]);
}

int stage_enter(const struct stage *s, enum stage_side side)
{
	return setns(s->ns[side], CLONE_NEWNET) < 0 ? -errno : 0;
}

int stage_connect(const struct stage *s, const char *interface)
{
	int r = stage_enter(s, STAGE_BOX_SIDE);

	if (r == 0)
		r = cable(interface, s->ns[STAGE_OUTSIDE_SIDE], STAGE_OUTSIDE);
	if (r == 0)
		r = side_up(interface);
	if (r == 0)
		r = stage_enter(s, STAGE_OUTSIDE_SIDE);
	if (r == 0)
		r = side_up(STAGE_OUTSIDE);
	int back = stage_enter(s, STAGE_BOX_SIDE);
	return r < 0 ? r : back;
}

/* A cable without another end in use. The kernel need not have dummy interfaces. */
int stage_placeholder(const struct stage *s, const char *name)
{
	int r = cable(name, s->ns[STAGE_OUTSIDE_SIDE], NULL);

	return r == -EEXIST ? 0 : r;
}

int stage_address(const char *interface, const struct netaddr *addr)
{
	_Alignas(struct nlmsghdr) char out[MESSAGE_MAX];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct ifaddrmsg *ifa = mnl_nlmsg_put_extra_header(nlh, sizeof *ifa);
	bool v6 = addr->family == NETADDR_V6;
	size_t n = v6 ? 16 : 4;

	nlh->nlmsg_type = RTM_NEWADDR;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE | NLM_F_REPLACE;
	ifa->ifa_family = v6 ? AF_INET6 : AF_INET;
	ifa->ifa_prefixlen = (uint8_t)(n * 8);
	ifa->ifa_index = if_nametoindex(interface);
	ifa->ifa_flags = v6 ? IFA_F_NODAD : 0;
	mnl_attr_put(nlh, IFA_LOCAL, n, addr->b);
	mnl_attr_put(nlh, IFA_ADDRESS, n, addr->b);
	return netlink_ask(NETLINK_ROUTE, nlh, NULL, NULL);
}
