/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "rules.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <netinet/in.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <libnftnl/gen.h>
#include <libnftnl/common.h>
#include <libnftnl/trace.h>
#include <nftables/libnftables.h>

#include "base/cleanup.h"
#include "guard-name.h"
#include "netlink.h"

#define ANSWER_MAX 32768
/* Room for the trace of some dozens of packets. */
#define TRACE_ROOM (4 << 20)

/* Traces every packet that is received, before other rules see it. */
#define TRACE_TABLE                                                                           \
	"table inet rehearsal-trace {\n"                                                      \
	"chain received {\ntype filter hook prerouting priority -500\nmeta l4proto tcp meta " \
	"nftrace set 1\n}\n}\n"

#define LIST_MAX 512

static struct nft_ctx *context(void)
{
	struct nft_ctx *c = nft_ctx_new(NFT_CTX_DEFAULT);

	if (c && (nft_ctx_buffer_output(c) != 0 || nft_ctx_buffer_error(c) != 0)) {
		nft_ctx_free(c);
		return NULL;
	}
	return c;
}

static void context_free(struct nft_ctx **c)
{
	if (*c)
		nft_ctx_free(*c);
}

static int run(struct nft_ctx *c, const char *command)
{
	return nft_run_cmd_from_buffer(c, command) == 0 ? 0 : -EINVAL;
}

/* Appends the text of the table that @line names ("table inet filter"). */
static int append_table(struct nft_ctx *tables, const char *line, FILE *out)
{
	char command[LIST_MAX], name[LIST_MAX];

	if (sscanf(line, "table %*s %511s", name) != 1 ||
	    strncmp(name, GUARD_TABLE_PREFIX, strlen(GUARD_TABLE_PREFIX)) == 0)
		return 0;
	if (snprintf(command, sizeof command, "list %s", line) >= (int)sizeof command)
		return -EINVAL;
	int r = run(tables, command);
	if (r == 0)
		fputs(nft_ctx_get_output_buffer(tables), out);
	return r;
}

int rules_read(char **ret)
{
	_cleanup_(context_free) struct nft_ctx *list = context(), *tables = context();
	char *text = NULL, *line, *rest;
	size_t n = 0;

	if (!list || !tables)
		return -ENOMEM;
	/* Counters and expired elements are not rules. */
	nft_ctx_output_set_flags(tables, NFT_CTX_OUTPUT_STATELESS);
	int r = run(list, "list tables");
	if (r < 0)
		return r;
	_cleanup_free_ char *names = strdup(nft_ctx_get_output_buffer(list));
	FILE *out = open_memstream(&text, &n);
	if (!names || !out)
		r = -ENOMEM;
	for (line = r == 0 ? strtok_r(names, "\n", &rest) : NULL; line && r == 0;
	     line = strtok_r(NULL, "\n", &rest))
		r = append_table(tables, line, out);
	if (out && fclose(out) != 0 && r == 0)
		r = -ENOMEM;
	if (r < 0)
		free(text);
	else
		*ret = text;
	return r;
}

/* Copies the first line, without characters that cannot be shown. */
static void first_line(const char *from, char *out, size_t n)
{
	size_t i = 0;

	for (; i + 1 < n && from[i] && from[i] != '\n'; i++)
		out[i] = isprint((unsigned char)from[i]) ? from[i] : ' ';
	out[i] = '\0';
}

int rules_load(const char *text, char *why, size_t why_n)
{
	_cleanup_(context_free) struct nft_ctx *c = context();

	if (!c)
		return -ENOMEM;
	int r = run(c, text);
	if (r < 0)
		first_line(nft_ctx_get_error_buffer(c), why, why_n);
	return r;
}

bool rules_legacy_present(void)
{
	static const char *const lists[] = {"/proc/thread-self/net/ip_tables_names",
					    "/proc/thread-self/net/ip6_tables_names"};
	char c;

	for (size_t i = 0; i < sizeof lists / sizeof *lists; i++) {
		_cleanup_close_ int fd = open(lists[i], O_RDONLY | O_CLOEXEC);
		if (fd >= 0 && read(fd, &c, 1) == 1)
			return true;
	}
	return false;
}

static int generation_one(const struct nlmsghdr *nlh, void *data)
{
	struct nftnl_gen *g = nftnl_gen_alloc();

	if (!g)
		return -ENOMEM;
	if (nftnl_gen_nlmsg_parse(nlh, g) == 0 && nftnl_gen_is_set(g, NFTNL_GEN_ID))
		*(uint32_t *)data = nftnl_gen_get_u32(g, NFTNL_GEN_ID);
	nftnl_gen_free(g);
	return 0;
}

int rules_generation(uint32_t *ret)
{
	_Alignas(struct nlmsghdr) char out[64];
	const struct nlmsghdr *nlh =
		nftnl_nlmsg_build_hdr(out, NFT_MSG_GETGEN, AF_UNSPEC, NLM_F_ACK, 0);

	return netlink_ask(NETLINK_NETFILTER, nlh, generation_one, ret);
}

/* ---- which rule drops ---- */

struct rules_trace {
	struct netlink netlink;
	/* The last drop seen. */
	bool dropped, policy;
	uint32_t drops, asked; /* so many seen; so many when somebody asked */
	uint8_t family;
	uint64_t handle;
	char table[NFT_NAME_MAXLEN], chain[NFT_NAME_MAXLEN];
};

int rules_trace_open(struct rules_trace **ret)
{
	int group = NFNLGRP_NFTRACE, room = TRACE_ROOM;
	char why[1];

	int r = rules_load(TRACE_TABLE, why, sizeof why);
	if (r < 0)
		return r;
	struct rules_trace *t = calloc(1, sizeof *t);
	if (!t)
		return -ENOMEM;
	r = netlink_open(NETLINK_NETFILTER, &t->netlink);
	if (r < 0) {
		free(t);
		return r;
	}
	if (setsockopt(t->netlink.fd, SOL_SOCKET, SO_RCVBUFFORCE, &room, sizeof room) < 0 ||
	    setsockopt(t->netlink.fd, SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, &group, sizeof group) <
		    0) {
		r = -errno;
		rules_trace_close(t);
		return r;
	}
	*ret = t;
	return 0;
}

static bool is_drop(const struct nftnl_trace *e, bool *ret_policy)
{
	uint32_t type = nftnl_trace_get_u32(e, NFTNL_TRACE_TYPE);

	*ret_policy = type == NFT_TRACETYPE_POLICY;
	if (*ret_policy)
		return nftnl_trace_get_u32(e, NFTNL_TRACE_POLICY) == NF_DROP;
	return type == NFT_TRACETYPE_RULE && nftnl_trace_is_set(e, NFTNL_TRACE_VERDICT) &&
	       nftnl_trace_get_u32(e, NFTNL_TRACE_VERDICT) == NF_DROP;
}

static void copy_name(char out[static NFT_NAME_MAXLEN], const char *name)
{
	snprintf(out, NFT_NAME_MAXLEN, "%s", name ? name : "?");
}

static void note(struct rules_trace *t, const struct nlmsghdr *nlh)
{
	struct nftnl_trace *e = nftnl_trace_alloc();
	bool policy;

	if (e && nftnl_trace_nlmsg_parse(nlh, e) == 0 && is_drop(e, &policy)) {
		t->dropped = true;
		t->drops++;
		t->policy = policy;
		t->family = (uint8_t)nftnl_trace_get_u32(e, NFTNL_TRACE_FAMILY);
		t->handle = policy ? 0 : nftnl_trace_get_u64(e, NFTNL_TRACE_RULE_HANDLE);
		copy_name(t->table, nftnl_trace_get_str(e, NFTNL_TRACE_TABLE));
		copy_name(t->chain, nftnl_trace_get_str(e, NFTNL_TRACE_CHAIN));
	}
	if (e)
		nftnl_trace_free(e);
}

static void collect(struct rules_trace *t)
{
	_Alignas(struct nlmsghdr) char answer[ANSWER_MAX];
	ssize_t got;

	/* Traces that did not fit into the queue were of the same kind as those in it. */
	while ((got = recv(t->netlink.fd, answer, sizeof answer, MSG_DONTWAIT)) > 0 ||
	       (got < 0 && errno == ENOBUFS)) {
		int left = got < 0 ? 0 : (int)got;
		for (const struct nlmsghdr *nlh = (void *)answer; mnl_nlmsg_ok(nlh, left);
		     nlh = mnl_nlmsg_next(nlh, &left))
			if (nlh->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE))
				note(t, nlh);
	}
}

static const char *family_name(uint8_t family)
{
	switch (family) {
	case NFPROTO_INET:
		return "inet";
	case NFPROTO_IPV4:
		return "ip";
	case NFPROTO_IPV6:
		return "ip6";
	case NFPROTO_NETDEV:
		return "netdev";
	case NFPROTO_BRIDGE:
		return "bridge";
	default:
		return "?";
	}
}

/*
 * Finds the text of rule @handle in the listing of its chain: "\t\ttcp dport 22 drop # handle 7".
 */
static void rule_text(const struct rules_trace *t, const char *chain, char *out, size_t n)
{
	_cleanup_(context_free) struct nft_ctx *c = context();
	char command[LIST_MAX + 16], mark[32];

	snprintf(out, n, "rule with handle %" PRIu64, t->handle);
	if (!c)
		return;
	nft_ctx_output_set_flags(c, NFT_CTX_OUTPUT_HANDLE | NFT_CTX_OUTPUT_STATELESS);
	snprintf(command, sizeof command, "list chain %s", chain);
	if (run(c, command) < 0)
		return;
	_cleanup_free_ char *text = strdup(nft_ctx_get_output_buffer(c));
	char *rest = NULL;
	int mark_n = snprintf(mark, sizeof mark, " # handle %" PRIu64, t->handle);
	for (char *line = text ? strtok_r(text, "\n", &rest) : NULL; line;
	     line = strtok_r(NULL, "\n", &rest)) {
		size_t len = strlen(line);
		if (len <= (size_t)mark_n || strcmp(line + len - (size_t)mark_n, mark) != 0 ||
		    strstr(line, "chain "))
			continue;
		line[len - (size_t)mark_n] = '\0';
		first_line(line + strspn(line, "\t "), out, n);
		return;
	}
}

bool rules_trace_dropped(struct rules_trace *t)
{
	collect(t);
	bool more = t->drops != t->asked;
	t->asked = t->drops;
	return more;
}

void rules_trace_begin(struct rules_trace *t)
{
	(void)rules_trace_dropped(t);
	t->dropped = false;
}

int rules_trace_drop(struct rules_trace *t, char *out, size_t n)
{
	char chain[LIST_MAX], text[LIST_MAX] = "policy drop";

	collect(t);
	if (!t->dropped)
		return -ENOENT;
	snprintf(chain, sizeof chain, "%s %.200s %.200s", family_name(t->family), t->table,
		 t->chain);
	if (!t->policy)
		rule_text(t, chain, text, sizeof text);
	snprintf(out, n, "%s: %s", chain, text);
	return 0;
}

struct rules_trace *rules_trace_close(struct rules_trace *t)
{
	if (t) {
		netlink_close(&t->netlink);
		free(t);
	}
	return NULL;
}
