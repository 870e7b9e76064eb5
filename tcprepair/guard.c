/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The table, for one address family ("S" a protected endpoint, sets are per family):
 *
 *	chain in         prerouting -300, before connection tracking
 *		to S, and a complete restored socket has this flow: notrack, accept
 *		to S, SYN without ACK: goto closed
 *		flow in @pending: drop
 *		jump closed
 *	chain closed     to S: drop                 emptied by guard_open()
 *	chain out        output -300
 *		from S: notrack
 *		ICMP redirect: drop
 *	chain to-backup  prerouting -100, nat: SYN without ACK to S: DNAT by @backup
 *	chain as-us      postrouting 100, nat: connection once to S: masquerade
 *
 * Where a whole address is guarded (port 0), every rule about S has a second one about the
 * address, and its DNAT leaves the port as it is.
 *
 * "A restored socket has it" is asked of the kernel's own socket table ("socket
 * transparent", set by restore_socket() as its last step), so there is no list
 * to keep: a flow is let in at the moment its socket is complete, and leaves
 * with it. Untracked, it cannot meet NAT, a full or strict conntrack table, or another
 * table's "ct state invalid drop". A firewall of the box that lets in nothing but what
 * conntrack knows would drop them; for it there is GUARD_TRACKED: no notrack, and
 * guard_track() enters each flow in conntrack's table as established.
 *
 * NAT chains exist from the start, because everything to S is dropped before them: opening
 * is one cheap change.
 *
 * One-armed DNAT makes the kernel tell clients to go to the backup directly (ICMP
 * redirect). The rule against that goes with the table, a sysctl would stay behind.
 */
#include "tcprepair.h"

#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which then does not include linux/in.h */
#include <netinet/icmp6.h>
#include <netinet/ip_icmp.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter_ipv4.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>

#include <libnftnl/table.h>

#include "base/cleanup.h"
#include "conntrack.h"
#include "guard-name.h"
#include "netlink.h"
#include "ruleset.h"

#ifndef NFT_TABLE_F_OWNER
#define NFT_TABLE_F_OWNER 0x2 /* Linux 5.12 */
#endif

#define TCP_FLAGS_AT 13
#define TCP_SYN      0x02
#define TCP_ACK      0x10

/* How nft numbers the types of a concatenation and joins them. Used only by "nft list". */
#define TYPE_IP4            7
#define TYPE_IP6            8
#define TYPE_PORT           13
#define TYPE_ENDPOINT(addr) ((addr) << 6 | TYPE_PORT)
#define TYPE_FLOW(addr)     (TYPE_ENDPOINT(addr) << 12 | TYPE_ENDPOINT(addr))

struct family {
	uint8_t netaddr, nfproto;
	uint8_t saddr_at, daddr_at; /* offsets of the addresses in the IP header */
	uint8_t addr_n;
	uint8_t addr_type;
	uint8_t ct_daddr;
	uint8_t icmp, redirect;
	/* Names of the sets. The last two contain whole addresses. */
	const char *service, *backup, *pending, *address, *address_backup;
};

static const struct family families[] = {
	{NETADDR_V4, NFPROTO_IPV4, 12, 16, 4, TYPE_IP4, NFT_CT_DST_IP, IPPROTO_ICMP, ICMP_REDIRECT,
	 "service4", "backup4", "pending4", "address4", "address-backup4"},
	{NETADDR_V6, NFPROTO_IPV6, 8, 24, 16, TYPE_IP6, NFT_CT_DST_IP6, IPPROTO_ICMPV6, ND_REDIRECT,
	 "service6", "backup6", "pending6", "address6", "address-backup6"},
};

#define FAMILIES (sizeof families / sizeof *families)

struct guard {
	struct netlink netlink;
	enum guard_tracking tracking;
	bool used[FAMILIES], whole[FAMILIES];
	char table[NFT_NAME_MAXLEN];
};

/* Length of an address and a port, each padded to whole registers. */
static uint32_t endpoint_bytes(const struct family *f)
{
	return f->addr_n + 4u;
}

static void put_endpoint(uint8_t *out, const struct family *f, const struct endpoint *e)
{
	memcpy(out, e->addr.b, f->addr_n);
	out[f->addr_n] = (uint8_t)(e->port >> 8);
	out[f->addr_n + 1] = (uint8_t)e->port;
}

/* The elements of one family in a caller's array of mixed families. @index names them. */
struct selection {
	const struct family *family;
	const void *array;
	const uint32_t *index;
};

static struct ruleset_element service_element(const void *data, uint32_t i)
{
	const struct selection *s = data;
	const struct guard_service *svc = (const struct guard_service *)s->array + s->index[i];
	struct ruleset_element e = {{0}};

	put_endpoint(e.b, s->family, &svc->service);
	put_endpoint(e.b + endpoint_bytes(s->family), s->family, &svc->backup);
	return e;
}

static struct ruleset_element address_element(const void *data, uint32_t i)
{
	const struct selection *s = data;
	const struct guard_service *svc = (const struct guard_service *)s->array + s->index[i];
	struct ruleset_element e = {{0}};

	memcpy(e.b, svc->service.addr.b, s->family->addr_n);
	memcpy(e.b + s->family->addr_n, svc->backup.addr.b, s->family->addr_n);
	return e;
}

static struct ruleset_element flow_element(const void *data, uint32_t i)
{
	const struct selection *s = data;
	const struct guard_flow *flow = (const struct guard_flow *)s->array + s->index[i];
	struct ruleset_element e = {{0}};

	put_endpoint(e.b, s->family, &flow->client);
	put_endpoint(e.b + endpoint_bytes(s->family), s->family, &flow->server);
	return e;
}

/* Matches TCP packets of the family. */
static void match_tcp(struct ruleset *b, const struct family *f)
{
	rule_load_meta(b, NFT_META_NFPROTO, 0);
	rule_match_u8(b, 0, f->nfproto);
	rule_load_meta(b, NFT_META_L4PROTO, 0);
	rule_match_u8(b, 0, IPPROTO_TCP);
}

static void load_source(struct ruleset *b, const struct family *f, uint32_t reg)
{
	rule_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->saddr_at, f->addr_n, reg);
	rule_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 2, reg + f->addr_n / 4);
}

static void load_destination(struct ruleset *b, const struct family *f, uint32_t reg)
{
	rule_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->daddr_at, f->addr_n, reg);
	rule_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, reg + f->addr_n / 4);
}

/* Matches packets to a protected endpoint or, if @whole, to a protected address. */
static void match_protected(struct ruleset *b, const struct family *f, bool whole)
{
	if (whole)
		rule_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->daddr_at, f->addr_n, 0);
	else
		load_destination(b, f, 0);
	rule_match_set(b, whole ? f->address : f->service, 0);
}

/*
 * Admits packets of transparent sockets. "transparent" alone would also match sockets in TIME_WAIT,
 * but a new connection with the same port must reach the backup. So "wildcard" comes first: it does
 * not match those.
 */
static void rule_admit(struct ruleset *b, const struct guard *g, const struct family *f, bool whole)
{
	ruleset_rule(b, "in");
	match_tcp(b, f);
	match_protected(b, f, whole);
	rule_load_socket(b, NFT_SOCKET_WILDCARD, 0);
	rule_match_u8(b, 0, 0);
	rule_load_socket(b, NFT_SOCKET_TRANSPARENT, 0);
	rule_match_u8(b, 0, 1);
	if (g->tracking == GUARD_UNTRACKED)
		rule_notrack(b);
	rule_verdict(b, NF_ACCEPT, NULL);
	ruleset_rule_end(b);
}

static void match_syn(struct ruleset *b)
{
	rule_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, TCP_FLAGS_AT, 1, 0);
	rule_mask_u8(b, 0, TCP_SYN | TCP_ACK);
	rule_match_u8(b, 0, TCP_SYN);
}

/* Lets a client begin anew: its SYN may go to the backup, whatever flow it had before. */
static void rule_syn(struct ruleset *b, const struct family *f, bool whole)
{
	ruleset_rule(b, "in");
	match_tcp(b, f);
	match_syn(b);
	match_protected(b, f, whole);
	rule_verdict(b, NFT_GOTO, "closed");
	ruleset_rule_end(b);
}

static void rule_pending(struct ruleset *b, const struct family *f)
{
	ruleset_rule(b, "in");
	match_tcp(b, f);
	load_source(b, f, 0);
	load_destination(b, f, endpoint_bytes(f) / 4);
	rule_match_set(b, f->pending, 0);
	rule_verdict(b, NF_DROP, NULL);
	ruleset_rule_end(b);
}

static void rule_closed(struct ruleset *b, const struct family *f, bool whole)
{
	ruleset_rule(b, "closed");
	match_tcp(b, f);
	match_protected(b, f, whole);
	rule_verdict(b, NF_DROP, NULL);
	ruleset_rule_end(b);
}

/* Matches packets from a protected endpoint or, if @whole, from a protected address. */
static void rule_untrack(struct ruleset *b, const struct family *f, bool whole)
{
	ruleset_rule(b, "out");
	match_tcp(b, f);
	if (whole)
		rule_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->saddr_at, f->addr_n, 0);
	else
		load_source(b, f, 0);
	rule_match_set(b, whole ? f->address : f->service, 0);
	rule_notrack(b);
	ruleset_rule_end(b);
}

static void rule_no_redirect(struct ruleset *b, const struct family *f)
{
	ruleset_rule(b, "out");
	rule_load_meta(b, NFT_META_L4PROTO, 0);
	rule_match_u8(b, 0, f->icmp);
	rule_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 0, 1, 0);
	rule_match_u8(b, 0, f->redirect);
	rule_verdict(b, NF_DROP, NULL);
	ruleset_rule_end(b);
}

static void rules_redirect(struct ruleset *b, const struct family *f)
{
	ruleset_rule(b, "to-backup");
	match_tcp(b, f);
	match_syn(b);
	load_destination(b, f, 0);
	rule_match_map(b, f->backup, 0);
	rule_dnat(b, f->nfproto, 0, f->addr_n / 4u);
	ruleset_rule_end(b);

	/* The address is masqueraded so that the backup answers through this box. */
	ruleset_rule(b, "as-us");
	match_tcp(b, f);
	rule_load_ct(b, f->ct_daddr, 0);
	rule_load_ct(b, NFT_CT_PROTO_DST, f->addr_n / 4u);
	rule_match_set(b, f->service, 0);
	rule_masquerade(b);
	ruleset_rule_end(b);
}

/* Adds the rules for the other ports of wholly protected addresses. */
static void rules_whole(struct ruleset *b, const struct family *f)
{
	ruleset_rule(b, "to-backup");
	match_tcp(b, f);
	match_syn(b);
	rule_load_payload(b, NFT_PAYLOAD_TRANSPORT_HEADER, 2, 2, 0);
	rule_from_u16(b, 0, GUARD_PORT_MIN);
	rule_load_payload(b, NFT_PAYLOAD_NETWORK_HEADER, f->daddr_at, f->addr_n, 0);
	rule_match_map(b, f->address_backup, 0);
	rule_dnat_address(b, f->nfproto, 0);
	ruleset_rule_end(b);

	ruleset_rule(b, "as-us");
	match_tcp(b, f);
	rule_load_ct(b, f->ct_daddr, 0);
	rule_match_set(b, f->address, 0);
	rule_masquerade(b);
	ruleset_rule_end(b);
}

static void build_sets(struct ruleset *b, const struct family *f)
{
	uint32_t n = endpoint_bytes(f), type = TYPE_ENDPOINT(f->addr_type);

	ruleset_add_set(b, f->service, type, n, 0, 0);
	ruleset_add_set(b, f->backup, type, n, type, n);
	ruleset_add_set(b, f->pending, (uint32_t)TYPE_FLOW(f->addr_type), 2 * n, 0, 0);
	ruleset_add_set(b, f->address, f->addr_type, f->addr_n, 0, 0);
	ruleset_add_set(b, f->address_backup, f->addr_type, f->addr_n, f->addr_type, f->addr_n);
}

static void build_chains(struct ruleset *b)
{
	ruleset_add_chain(b, "closed", NULL, 0, 0);
	ruleset_add_chain(b, "in", "filter", NF_INET_PRE_ROUTING, NF_IP_PRI_RAW);
	ruleset_add_chain(b, "out", "filter", NF_INET_LOCAL_OUT, NF_IP_PRI_RAW);
	ruleset_add_chain(b, "to-backup", "nat", NF_INET_PRE_ROUTING, NF_IP_PRI_NAT_DST);
	ruleset_add_chain(b, "as-us", "nat", NF_INET_POST_ROUTING, NF_IP_PRI_NAT_SRC);
}

/*
 * Rules of a chain apply in the order of their addition. A packet meets only rules of its own
 * family.
 */
static void build_rules(struct ruleset *b, const struct guard *g)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		const struct family *f = &families[i];
		if (!g->used[i])
			continue;
		for (int whole = 0; whole <= g->whole[i]; whole++) {
			rule_admit(b, g, f, whole);
			rule_syn(b, f, whole);
			rule_closed(b, f, whole);
			if (g->tracking == GUARD_UNTRACKED)
				rule_untrack(b, f, whole);
		}
		rule_pending(b, f);
		rule_no_redirect(b, f);
		rules_redirect(b, f);
		if (g->whole[i])
			rules_whole(b, f);
	}
	ruleset_rule(b, "in");
	rule_verdict(b, NFT_JUMP, "closed");
	ruleset_rule_end(b);
}

static int family_index(uint8_t netaddr_family)
{
	for (size_t i = 0; i < FAMILIES; i++)
		if (families[i].netaddr == netaddr_family)
			return (int)i;
	return -EAFNOSUPPORT;
}

static void add_services(struct ruleset *b, const struct family *f, const struct guard_service *svc,
			 const uint32_t *index, uint32_t count)
{
	struct selection s = {f, svc, index};
	uint32_t n = endpoint_bytes(f);

	ruleset_elements(b, true, f->service, n, 0, service_element, &s, count);
	ruleset_elements(b, true, f->backup, n, n, service_element, &s, count);
}

static void add_addresses(struct ruleset *b, const struct family *f,
			  const struct guard_service *svc, const uint32_t *index, uint32_t count)
{
	struct selection s = {f, svc, index};

	ruleset_elements(b, true, f->address, f->addr_n, 0, address_element, &s, count);
	ruleset_elements(b, true, f->address_backup, f->addr_n, f->addr_n, address_element, &s,
			 count);
}

/*
 * Writes the indices of one family's services to @index: those with a single port, or those of a
 * whole address. Returns how many.
 */
static uint32_t select_services(const struct guard_service *svc, uint32_t count, uint8_t family,
				bool whole, uint32_t *index)
{
	uint32_t n = 0;

	for (uint32_t k = 0; k < count; k++)
		if (svc[k].service.addr.family == family && (svc[k].service.port == 0) == whole)
			index[n++] = k;
	return n;
}

static void build_services(struct ruleset *b, const bool used[FAMILIES],
			   const struct guard_service *svc, uint32_t *index, uint32_t count)
{
	for (size_t i = 0; i < FAMILIES; i++) {
		const struct family *f = &families[i];
		if (!used[i])
			continue;
		build_sets(b, f);
		add_services(b, f, svc, index,
			     select_services(svc, count, f->netaddr, false, index));
		add_addresses(b, f, svc, index,
			      select_services(svc, count, f->netaddr, true, index));
	}
}

static int check_services(struct guard *g, const struct guard_service *svc, uint32_t count)
{
	if (count == 0 || count > GUARD_SERVICES_MAX)
		return -E2BIG;
	for (uint32_t k = 0; k < count; k++) {
		int i = family_index(svc[k].service.addr.family);
		if (i < 0)
			return i;
		if (svc[k].backup.addr.family != svc[k].service.addr.family)
			return -EAFNOSUPPORT;
		g->used[i] = true;
		g->whole[i] = g->whole[i] || svc[k].service.port == 0;
	}
	return 0;
}

static int table_create(struct guard *g, const struct guard_service *svc, uint32_t count,
			uint32_t flags)
{
	uint32_t index[GUARD_SERVICES_MAX];
	struct ruleset b;

	ruleset_init(&b, g->table);
	ruleset_add_table(&b, flags);
	build_services(&b, g->used, svc, index, count);
	build_chains(&b);
	build_rules(&b, g);
	return ruleset_commit(&b, &g->netlink);
}

int guard_up(const char *name, enum guard_tracking tracking, const struct guard_service *svc,
	     uint32_t count, struct guard **ret)
{
	struct guard *g = calloc(1, sizeof *g);

	if (!g)
		return -ENOMEM;
	g->netlink.fd = -1;
	g->tracking = tracking;
	int r = check_services(g, svc, count);
	if (r == 0 && snprintf(g->table, sizeof g->table, GUARD_TABLE_PREFIX "%s", name) >=
			      (int)sizeof g->table)
		r = -ENAMETOOLONG;
	if (r == 0)
		r = netlink_open(NETLINK_NETFILTER, &g->netlink);
	if (r == 0) {
		r = table_create(g, svc, count, NFT_TABLE_F_OWNER);
		/* Before 5.12 the kernel refuses unknown flags with -EINVAL. A table without the
		 * owner flag is removed at the next start. */
		if (r == -EOPNOTSUPP || r == -EINVAL)
			r = table_create(g, svc, count, 0);
	}
	if (r < 0) {
		netlink_close(&g->netlink);
		free(g);
		return r;
	}
	*ret = g;
	return 0;
}

/* Adds the changes for @flows, one family after the other. */
static int change_pending(struct guard *g, struct ruleset *b, bool add,
			  const struct guard_flow *flows, uint32_t count)
{
	_cleanup_free_ uint32_t *index = calloc(count ? count : 1, sizeof *index);

	if (!index)
		return -ENOMEM;
	for (uint32_t k = 0; k < count; k++) {
		int i = family_index(flows[k].server.addr.family);
		if (i < 0 || !g->used[i] ||
		    flows[k].client.addr.family != flows[k].server.addr.family)
			return -EAFNOSUPPORT;
	}
	for (size_t i = 0; i < FAMILIES; i++) {
		struct selection s = {&families[i], flows, index};
		uint32_t n = 0;
		for (uint32_t k = 0; k < count; k++)
			if (flows[k].server.addr.family == families[i].netaddr)
				index[n++] = k;
		ruleset_elements(b, add, families[i].pending, 2 * endpoint_bytes(&families[i]), 0,
				 flow_element, &s, n);
	}
	return 0;
}

int guard_track(const struct guard *g, const struct guard_flow *flow)
{
	return g->tracking == GUARD_TRACKED ? conntrack_establish(&flow->client, &flow->server) : 0;
}

int guard_open(struct guard *g, const struct guard_flow *pending, uint32_t count)
{
	struct ruleset b;

	if (count > GUARD_FLOWS_MAX)
		return -E2BIG;
	ruleset_init(&b, g->table);
	int r = change_pending(g, &b, true, pending, count);
	if (r < 0)
		b.error = r;
	ruleset_flush_chain(&b, "closed");
	return ruleset_commit(&b, &g->netlink);
}

int guard_release(struct guard *g, const struct guard_flow *flows, uint32_t count)
{
	struct ruleset b;

	if (count == 0)
		return 0;
	if (count > GUARD_FLOWS_MAX)
		return -E2BIG;
	ruleset_init(&b, g->table);
	int r = change_pending(g, &b, false, flows, count);
	if (r < 0)
		b.error = r;
	return ruleset_commit(&b, &g->netlink);
}

struct guard *guard_down(struct guard *g)
{
	struct ruleset b;

	if (!g)
		return NULL;
	/* A table with the owner flag vanishes with the socket. One without must be deleted. */
	ruleset_init(&b, g->table);
	ruleset_delete_table(&b);
	(void)ruleset_commit(&b, &g->netlink);
	netlink_close(&g->netlink);
	free(g);
	return NULL;
}

struct stale {
	char name[NFT_NAME_MAXLEN];
	bool found;
};

/* Finds one stale table at a time, because each deletion changes the list. */
static int stale_one(const struct nlmsghdr *nlh, void *data)
{
	struct stale *stale = data;
	struct nftnl_table *t = nftnl_table_alloc();

	if (!t)
		return -ENOMEM;
	if (nftnl_table_nlmsg_parse(nlh, t) == 0) {
		const char *name = nftnl_table_get_str(t, NFTNL_TABLE_NAME);
		bool owned = nftnl_table_get_u32(t, NFTNL_TABLE_FLAGS) & NFT_TABLE_F_OWNER;
		if (!owned && name &&
		    strncmp(name, GUARD_TABLE_PREFIX, strlen(GUARD_TABLE_PREFIX)) == 0 &&
		    strlen(name) < sizeof stale->name) {
			strcpy(stale->name, name);
			stale->found = true;
		}
	}
	nftnl_table_free(t);
	return 0;
}

static int stale_find(struct netlink *n, struct stale *ret)
{
	_Alignas(struct nlmsghdr) char out[64];
	const struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(out, NFT_MSG_GETTABLE, NFPROTO_INET, NLM_F_DUMP, 0);

	*ret = (struct stale){0};
	return netlink_call(n, bytes_of(out, nlh->nlmsg_len), stale_one, ret);
}

int guard_cleanup_stale(void)
{
	struct netlink n;
	struct stale stale;
	int count = 0;
	int r = netlink_open(NETLINK_NETFILTER, &n);

	if (r < 0)
		return r;
	while ((r = stale_find(&n, &stale)) == 0 && stale.found) {
		struct ruleset b;
		ruleset_init(&b, stale.name);
		ruleset_delete_table(&b);
		r = ruleset_commit(&b, &n);
		if (r < 0)
			break;
		count++;
	}
	netlink_close(&n);
	return r < 0 ? r : count;
}
