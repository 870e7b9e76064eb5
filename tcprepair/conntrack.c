/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "conntrack.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>

#include "base/cleanup.h"
#include "netlink.h"

/* The kernel's default for an established connection, in seconds
 * (nf_conntrack_tcp_timeout_established). */
#define ESTABLISHED_S 432000

static void put_tuple(struct nlmsghdr *nlh, uint16_t attribute, const struct endpoint *src,
		      const struct endpoint *dst)
{
	bool v6 = src->addr.family == NETADDR_V6;
	size_t n = v6 ? 16 : 4;

	struct nlattr *tuple = mnl_attr_nest_start(nlh, attribute);
	struct nlattr *ip = mnl_attr_nest_start(nlh, CTA_TUPLE_IP);
	mnl_attr_put(nlh, v6 ? CTA_IP_V6_SRC : CTA_IP_V4_SRC, n, src->addr.b);
	mnl_attr_put(nlh, v6 ? CTA_IP_V6_DST : CTA_IP_V4_DST, n, dst->addr.b);
	mnl_attr_nest_end(nlh, ip);
	struct nlattr *proto = mnl_attr_nest_start(nlh, CTA_TUPLE_PROTO);
	mnl_attr_put_u8(nlh, CTA_PROTO_NUM, IPPROTO_TCP);
	mnl_attr_put_u16(nlh, CTA_PROTO_SRC_PORT, htons(src->port));
	mnl_attr_put_u16(nlh, CTA_PROTO_DST_PORT, htons(dst->port));
	mnl_attr_nest_end(nlh, proto);
	mnl_attr_nest_end(nlh, tuple);
}

/* Conntrack has not seen the windows of this flow, so it must not judge packets by them. */
static void put_state(struct nlmsghdr *nlh)
{
	const struct nf_ct_tcp_flags liberal = {IP_CT_TCP_FLAG_BE_LIBERAL,
						IP_CT_TCP_FLAG_BE_LIBERAL};

	struct nlattr *info = mnl_attr_nest_start(nlh, CTA_PROTOINFO);
	struct nlattr *tcp = mnl_attr_nest_start(nlh, CTA_PROTOINFO_TCP);
	mnl_attr_put_u8(nlh, CTA_PROTOINFO_TCP_STATE, TCP_CONNTRACK_ESTABLISHED);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_ORIGINAL, sizeof liberal, &liberal);
	mnl_attr_put(nlh, CTA_PROTOINFO_TCP_FLAGS_REPLY, sizeof liberal, &liberal);
	mnl_attr_nest_end(nlh, tcp);
	mnl_attr_nest_end(nlh, info);
}

int conntrack_establish(const struct endpoint *client, const struct endpoint *server)
{
	_Alignas(struct nlmsghdr) char out[512];
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(out);
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof *g);

	if (client->addr.family == NETADDR_NONE || client->addr.family != server->addr.family)
		return -EAFNOSUPPORT;
	nlh->nlmsg_type = NFNL_SUBSYS_CTNETLINK << 8 | IPCTNL_MSG_CT_NEW;
	nlh->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK | NLM_F_CREATE;
	g->nfgen_family = client->addr.family == NETADDR_V6 ? AF_INET6 : AF_INET;
	put_tuple(nlh, CTA_TUPLE_ORIG, client, server);
	put_tuple(nlh, CTA_TUPLE_REPLY, server, client);
	mnl_attr_put_u32(nlh, CTA_STATUS, htonl(IPS_CONFIRMED | IPS_SEEN_REPLY | IPS_ASSURED));
	mnl_attr_put_u32(nlh, CTA_TIMEOUT, htonl(ESTABLISHED_S));
	put_state(nlh);
	return netlink_ask(NETLINK_NETFILTER, nlh, NULL, NULL);
}
