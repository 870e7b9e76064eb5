/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ruleset.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which then does not include linux/in.h */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>

#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>

/* Longer than any message here: the list of elements is one attribute, whose length has 16 bits. */
#define MESSAGE_MAX          65536
#define ELEMENTS_PER_MESSAGE 500

static struct nlmsghdr *message(struct ruleset *b, uint16_t type, uint16_t flags)
{
	if (b->error == 0)
		b->error = buf_reserve(&b->buf, MESSAGE_MAX);
	if (b->error < 0)
		return NULL;
	b->last = b->buf.n;
	return nftnl_nlmsg_build_hdr((char *)b->buf.p + b->buf.n, type, NFPROTO_INET,
				     NLM_F_REQUEST | flags, b->seq++);
}

static void message_end(struct ruleset *b, const struct nlmsghdr *nlh)
{
	b->buf.n += NLMSG_ALIGN(nlh->nlmsg_len);
}

static void batch_mark(struct ruleset *b, uint16_t type)
{
	if (b->error == 0)
		b->error = buf_reserve(&b->buf, MESSAGE_MAX);
	if (b->error < 0)
		return;
	struct nlmsghdr *nlh = mnl_nlmsg_put_header(b->buf.p + b->buf.n);
	nlh->nlmsg_type = type;
	nlh->nlmsg_flags = NLM_F_REQUEST;
	nlh->nlmsg_seq = b->seq++;
	struct nfgenmsg *g = mnl_nlmsg_put_extra_header(nlh, sizeof *g);
	g->nfgen_family = AF_UNSPEC;
	g->res_id = htons(NFNL_SUBSYS_NFTABLES);
	message_end(b, nlh);
}

void ruleset_init(struct ruleset *b, const char *table)
{
	*b = (struct ruleset){.buf = BUF_INIT(RULESET_MAX_BYTES), .table = table, .seq = 1};
	batch_mark(b, NFNL_MSG_BATCH_BEGIN);
}

int ruleset_commit(struct ruleset *b, struct netlink *n)
{
	int r = b->error;

	if (r == 0) {
		struct nlmsghdr *last = (void *)(b->buf.p + b->last);
		last->nlmsg_flags |= NLM_F_ACK;
	}
	batch_mark(b, NFNL_MSG_BATCH_END);
	if (r == 0)
		r = b->error;
	if (r == 0)
		r = netlink_call(n, buf_view(&b->buf), NULL, NULL);
	if (b->rule)
		nftnl_rule_free(b->rule);
	buf_deinit(&b->buf);
	return r;
}

static bool have(struct ruleset *b, const void *p)
{
	if (!p && b->error == 0)
		b->error = -ENOMEM;
	return p != NULL;
}

static void table_message(struct ruleset *b, uint16_t type, uint16_t nl_flags, uint32_t flags)
{
	struct nftnl_table *t = nftnl_table_alloc();
	struct nlmsghdr *nlh = message(b, type, nl_flags);

	if (have(b, t) && nlh) {
		nftnl_table_set_str(t, NFTNL_TABLE_NAME, b->table);
		if (flags)
			nftnl_table_set_u32(t, NFTNL_TABLE_FLAGS, flags);
		nftnl_table_nlmsg_build_payload(nlh, t);
		message_end(b, nlh);
	}
	if (t)
		nftnl_table_free(t);
}

void ruleset_add_table(struct ruleset *b, uint32_t flags)
{
	table_message(b, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, flags);
}

void ruleset_delete_table(struct ruleset *b)
{
	table_message(b, NFT_MSG_DELTABLE, 0, 0);
}

void ruleset_add_set(struct ruleset *b, const char *name, uint32_t key_type, uint32_t key_n,
		     uint32_t data_type, uint32_t data_n)
{
	struct nftnl_set *s = nftnl_set_alloc();
	struct nlmsghdr *nlh = message(b, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL);

	if (have(b, s) && nlh) {
		nftnl_set_set_str(s, NFTNL_SET_TABLE, b->table);
		nftnl_set_set_str(s, NFTNL_SET_NAME, name);
		nftnl_set_set_u32(s, NFTNL_SET_ID, ++b->set_id);
		nftnl_set_set_u32(s, NFTNL_SET_FAMILY, NFPROTO_INET);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_TYPE, key_type);
		nftnl_set_set_u32(s, NFTNL_SET_KEY_LEN, key_n);
		if (data_n) {
			nftnl_set_set_u32(s, NFTNL_SET_FLAGS, NFT_SET_MAP);
			nftnl_set_set_u32(s, NFTNL_SET_DATA_TYPE, data_type);
			nftnl_set_set_u32(s, NFTNL_SET_DATA_LEN, data_n);
		}
		nftnl_set_nlmsg_build_payload(nlh, s);
		message_end(b, nlh);
	}
	if (s)
		nftnl_set_free(s);
}

static void put_value(struct nlmsghdr *nlh, uint16_t attribute, const uint8_t *p, uint32_t n)
{
	struct nlattr *nest = mnl_attr_nest_start(nlh, attribute);

	mnl_attr_put(nlh, NFTA_DATA_VALUE, n, p);
	mnl_attr_nest_end(nlh, nest);
}

void ruleset_elements(struct ruleset *b, bool add, const char *set, uint32_t key_n, uint32_t data_n,
		      ruleset_element_fn fn, const void *data, uint32_t count)
{
	for (uint32_t i = 0; i < count;) {
		struct nlmsghdr *nlh = message(b, add ? NFT_MSG_NEWSETELEM : NFT_MSG_DELSETELEM,
					       add ? NLM_F_CREATE : 0);
		if (!nlh)
			return;
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_TABLE, b->table);
		mnl_attr_put_strz(nlh, NFTA_SET_ELEM_LIST_SET, set);
		struct nlattr *list = mnl_attr_nest_start(nlh, NFTA_SET_ELEM_LIST_ELEMENTS);
		for (uint32_t k = 0; k < ELEMENTS_PER_MESSAGE && i < count; k++, i++) {
			struct ruleset_element e = fn(data, i);
			struct nlattr *nest = mnl_attr_nest_start(nlh, NFTA_LIST_ELEM);
			put_value(nlh, NFTA_SET_ELEM_KEY, e.b, key_n);
			if (data_n)
				put_value(nlh, NFTA_SET_ELEM_DATA, e.b + key_n, data_n);
			mnl_attr_nest_end(nlh, nest);
		}
		mnl_attr_nest_end(nlh, list);
		message_end(b, nlh);
	}
}

void ruleset_add_chain(struct ruleset *b, const char *name, const char *type, uint32_t hook,
		       int32_t priority)
{
	struct nftnl_chain *c = nftnl_chain_alloc();
	struct nlmsghdr *nlh = message(b, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL);

	if (have(b, c) && nlh) {
		nftnl_chain_set_str(c, NFTNL_CHAIN_TABLE, b->table);
		nftnl_chain_set_str(c, NFTNL_CHAIN_NAME, name);
		if (type) {
			nftnl_chain_set_str(c, NFTNL_CHAIN_TYPE, type);
			nftnl_chain_set_u32(c, NFTNL_CHAIN_HOOKNUM, hook);
			nftnl_chain_set_s32(c, NFTNL_CHAIN_PRIO, priority);
		}
		nftnl_chain_nlmsg_build_payload(nlh, c);
		message_end(b, nlh);
	}
	if (c)
		nftnl_chain_free(c);
}

void ruleset_flush_chain(struct ruleset *b, const char *name)
{
	struct nlmsghdr *nlh = message(b, NFT_MSG_DELRULE, 0);

	if (!nlh)
		return;
	mnl_attr_put_strz(nlh, NFTA_RULE_TABLE, b->table);
	mnl_attr_put_strz(nlh, NFTA_RULE_CHAIN, name);
	message_end(b, nlh);
}

void ruleset_rule(struct ruleset *b, const char *chain)
{
	b->rule = nftnl_rule_alloc();
	if (!have(b, b->rule))
		return;
	nftnl_rule_set_str(b->rule, NFTNL_RULE_TABLE, b->table);
	nftnl_rule_set_str(b->rule, NFTNL_RULE_CHAIN, chain);
	nftnl_rule_set_u32(b->rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
}

void ruleset_rule_end(struct ruleset *b)
{
	struct nlmsghdr *nlh = message(b, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND);

	if (nlh && b->rule) {
		nftnl_rule_nlmsg_build_payload(nlh, b->rule);
		message_end(b, nlh);
	}
	if (b->rule)
		nftnl_rule_free(b->rule);
	b->rule = NULL;
}

struct expression {
	uint16_t attribute;
	uint32_t value;
};

#define EXPRESSION_END UINT16_MAX

/* Makes an expression with numeric attributes, which the rule owns. NULL: no memory. */
static struct nftnl_expr *add(struct ruleset *b, const char *kind, const struct expression *attrs)
{
	struct nftnl_expr *e = b->rule ? nftnl_expr_alloc(kind) : NULL;

	if (!have(b, e))
		return NULL;
	for (; attrs->attribute != EXPRESSION_END; attrs++)
		nftnl_expr_set_u32(e, attrs->attribute, attrs->value);
	nftnl_rule_add_expr(b->rule, e);
	return e;
}

#define ADD(b, kind, ...) \
	add((b), (kind), (const struct expression[]){__VA_ARGS__ __VA_OPT__(, ){EXPRESSION_END, 0}})

static uint32_t reg32(uint32_t n)
{
	return NFT_REG32_00 + n;
}

void rule_load_meta(struct ruleset *b, uint32_t key, uint32_t reg)
{
	ADD(b, "meta", {NFTNL_EXPR_META_KEY, key}, {NFTNL_EXPR_META_DREG, reg32(reg)});
}

void rule_load_payload(struct ruleset *b, uint32_t base, uint32_t offset, uint32_t n, uint32_t reg)
{
	ADD(b, "payload", {NFTNL_EXPR_PAYLOAD_BASE, base}, {NFTNL_EXPR_PAYLOAD_OFFSET, offset},
	    {NFTNL_EXPR_PAYLOAD_LEN, n}, {NFTNL_EXPR_PAYLOAD_DREG, reg32(reg)});
}

void rule_load_ct(struct ruleset *b, uint32_t key, uint32_t reg)
{
	struct nftnl_expr *e =
		ADD(b, "ct", {NFTNL_EXPR_CT_KEY, key}, {NFTNL_EXPR_CT_DREG, reg32(reg)});

	if (e)
		nftnl_expr_set_u8(e, NFTNL_EXPR_CT_DIR, IP_CT_DIR_ORIGINAL);
}

void rule_load_socket(struct ruleset *b, uint32_t key, uint32_t reg)
{
	ADD(b, "socket", {NFTNL_EXPR_SOCKET_KEY, key}, {NFTNL_EXPR_SOCKET_DREG, reg32(reg)});
}

void rule_mask_u8(struct ruleset *b, uint32_t reg, uint8_t mask)
{
	const uint8_t zero = 0;
	struct nftnl_expr *e =
		ADD(b, "bitwise", {NFTNL_EXPR_BITWISE_SREG, reg32(reg)},
		    {NFTNL_EXPR_BITWISE_DREG, reg32(reg)}, {NFTNL_EXPR_BITWISE_LEN, 1});

	if (e) {
		nftnl_expr_set(e, NFTNL_EXPR_BITWISE_MASK, &mask, 1);
		nftnl_expr_set(e, NFTNL_EXPR_BITWISE_XOR, &zero, 1);
	}
}

void rule_match_u8(struct ruleset *b, uint32_t reg, uint8_t value)
{
	struct nftnl_expr *e =
		ADD(b, "cmp", {NFTNL_EXPR_CMP_SREG, reg32(reg)}, {NFTNL_EXPR_CMP_OP, NFT_CMP_EQ});

	if (e)
		nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, &value, 1);
}

void rule_from_u16(struct ruleset *b, uint32_t reg, uint16_t value)
{
	const uint8_t data[2] = {(uint8_t)(value >> 8), (uint8_t)value};
	struct nftnl_expr *e =
		ADD(b, "cmp", {NFTNL_EXPR_CMP_SREG, reg32(reg)}, {NFTNL_EXPR_CMP_OP, NFT_CMP_GTE});

	if (e)
		nftnl_expr_set(e, NFTNL_EXPR_CMP_DATA, data, sizeof data);
}

void rule_match_set(struct ruleset *b, const char *set, uint32_t reg)
{
	struct nftnl_expr *e = ADD(b, "lookup", {NFTNL_EXPR_LOOKUP_SREG, reg32(reg)});

	if (e)
		nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, set);
}

void rule_match_map(struct ruleset *b, const char *map, uint32_t reg)
{
	struct nftnl_expr *e = ADD(b, "lookup", {NFTNL_EXPR_LOOKUP_SREG, reg32(reg)},
				   {NFTNL_EXPR_LOOKUP_DREG, reg32(reg)});

	if (e)
		nftnl_expr_set_str(e, NFTNL_EXPR_LOOKUP_SET, map);
}

void rule_dnat(struct ruleset *b, uint32_t family, uint32_t reg_addr, uint32_t reg_port)
{
	ADD(b, "nat", {NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT}, {NFTNL_EXPR_NAT_FAMILY, family},
	    {NFTNL_EXPR_NAT_REG_ADDR_MIN, reg32(reg_addr)},
	    {NFTNL_EXPR_NAT_REG_PROTO_MIN, reg32(reg_port)});
}

void rule_dnat_address(struct ruleset *b, uint32_t family, uint32_t reg_addr)
{
	ADD(b, "nat", {NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT}, {NFTNL_EXPR_NAT_FAMILY, family},
	    {NFTNL_EXPR_NAT_REG_ADDR_MIN, reg32(reg_addr)});
}

void rule_masquerade(struct ruleset *b)
{
	ADD(b, "masq");
}

void rule_notrack(struct ruleset *b)
{
	ADD(b, "notrack");
}

void rule_verdict(struct ruleset *b, int verdict, const char *chain)
{
	struct nftnl_expr *e = ADD(b, "immediate", {NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT},
				   {NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict});

	if (e && chain)
		nftnl_expr_set_str(e, NFTNL_EXPR_IMM_CHAIN, chain);
}
