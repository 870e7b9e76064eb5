/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "neighbour.h"

#include <linux/if_ether.h>
#include <net/if_arp.h>
#include <netinet/icmp6.h>
#include <netinet/in.h>

#include "base/checksum.h"
#include "base/reader.h"
#include "base/writer.h"

#define ETHERNET_HEADER 14
#define IP6_HEADER      40
#define ND_SIZE         32 /* header, target, option with the link-layer address */
#define ND_HOP_LIMIT    255

static const uint8_t broadcast[6] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff};

static void put_ethernet(struct writer *w, const uint8_t dst[6], const uint8_t src[6],
			 uint16_t type)
{
	writer_copy(w, dst, 6);
	writer_copy(w, src, 6);
	writer_u16be(w, type);
}

static size_t build_arp(uint16_t op, const uint8_t mac[6], const struct netaddr *sender,
			const uint8_t target_mac[6], const struct netaddr *target,
			uint8_t out[static NEIGHBOUR_FRAME_MAX])
{
	struct writer w = writer_init(out, NEIGHBOUR_FRAME_MAX);

	put_ethernet(&w, broadcast, mac, ETH_P_ARP);
	writer_u16be(&w, ARPHRD_ETHER);
	writer_u16be(&w, ETH_P_IP);
	writer_u8(&w, 6);
	writer_u8(&w, 4);
	writer_u16be(&w, op);
	writer_copy(&w, mac, 6);
	writer_copy(&w, sender->b, 4);
	writer_copy(&w, target_mac, 6);
	writer_copy(&w, target->b, 4);
	return writer_pos(&w);
}

/* @flags is the first byte after the checksum. Only advertisements use it. */
static size_t build_nd(uint8_t type, uint8_t flags, const uint8_t mac[6], const struct netaddr *src,
		       const struct netaddr *dst, const struct netaddr *target,
		       uint8_t out[static NEIGHBOUR_FRAME_MAX])
{
	const uint8_t group_mac[6] = {0x33, 0x33, dst->b[12], dst->b[13], dst->b[14], dst->b[15]};
	struct writer w = writer_init(out, NEIGHBOUR_FRAME_MAX), sum_at;

	put_ethernet(&w, group_mac, mac, ETH_P_IPV6);
	writer_u32be(&w, 6u << 28);
	writer_u16be(&w, ND_SIZE);
	writer_u8(&w, IPPROTO_ICMPV6);
	writer_u8(&w, ND_HOP_LIMIT);
	writer_copy(&w, src->b, 16);
	writer_copy(&w, dst->b, 16);
	uint8_t *nd = out + writer_pos(&w);
	writer_copy(&w, (const uint8_t[8]){type, 0, 0, 0, flags}, 8);
	writer_copy(&w, target->b, 16);
	writer_u8(&w, type == ND_NEIGHBOR_ADVERT ? ND_OPT_TARGET_LINKADDR : ND_OPT_SOURCE_LINKADDR);
	writer_u8(&w, 1); /* length in units of 8 bytes */
	writer_copy(&w, mac, 6);
	uint32_t sum = checksum_pseudo(src, dst, IPPROTO_ICMPV6, ND_SIZE);
	sum_at = writer_init(nd + 2, 2);
	writer_u16be(&sum_at, checksum_fold(checksum_add(sum, bytes_of(nd, ND_SIZE))));
	return writer_pos(&w);
}

size_t neighbour_announce_arp(const struct netaddr *addr, const uint8_t mac[6], bool reply,
			      uint8_t out[static NEIGHBOUR_FRAME_MAX])
{
	static const uint8_t unknown[6];

	return reply ? build_arp(ARPOP_REPLY, mac, addr, mac, addr, out)
		     : build_arp(ARPOP_REQUEST, mac, addr, unknown, addr, out);
}

size_t neighbour_announce_nd(const struct netaddr *addr, const uint8_t mac[6],
			     uint8_t out[static NEIGHBOUR_FRAME_MAX])
{
	static const struct netaddr all_nodes = {
		.b = {0xff, 0x02, [15] = 1},
		.family = NETADDR_V6,
	};
	/* RFC 4861 section 4.4: the flags R, S, O from the highest bit on */
	const uint8_t override = 0x20;

	return build_nd(ND_NEIGHBOR_ADVERT, override, mac, addr, &all_nodes, addr, out);
}

size_t neighbour_ask(const struct netaddr *addr, const struct netaddr *own, const uint8_t mac[6],
		     uint8_t out[static NEIGHBOUR_FRAME_MAX])
{
	static const uint8_t unknown[6];

	if (addr->family == NETADDR_V4)
		return build_arp(ARPOP_REQUEST, mac, own, unknown, addr, out);
	struct netaddr group = {
		.b = {0xff, 0x02, [11] = 1, [12] = 0xff, addr->b[13], addr->b[14], addr->b[15]},
		.family = NETADDR_V6,
	};
	return build_nd(ND_NEIGHBOR_SOLICIT, 0, mac, own, &group, addr, out);
}

static bool parse_arp(struct reader *r, struct link_answer *ret)
{
	struct link_answer a = {.addr.family = NETADDR_V4};
	uint8_t target[4];
	uint16_t hardware = reader_u16be(r), protocol = reader_u16be(r);
	uint8_t hardware_n = reader_u8(r), protocol_n = reader_u8(r);
	uint16_t op = reader_u16be(r);

	reader_copy(r, a.mac, sizeof a.mac);
	reader_copy(r, a.addr.b, 4);
	reader_skip(r, 6);
	reader_copy(r, target, 4);
	if (!reader_ok(r) || hardware != ARPHRD_ETHER || protocol != ETH_P_IP || hardware_n != 6 ||
	    protocol_n != 4)
		return false;
	a.gratuitous = memcmp(a.addr.b, target, 4) == 0;
	if (op != ARPOP_REPLY && !(op == ARPOP_REQUEST && a.gratuitous))
		return false;
	*ret = a;
	return true;
}

/*
 * Parses an advertisement. Without the option the MAC is the frame's sender: an answer to a unicast
 * solicitation may omit it.
 */
static bool parse_advertisement(struct reader *r, const uint8_t sender[6], struct link_answer *ret)
{
	struct link_answer a = {.addr.family = NETADDR_V6};

	memcpy(a.mac, sender, sizeof a.mac);
	uint8_t type = reader_u8(r), code = reader_u8(r);
	reader_skip(r, 2);
	uint8_t flags = reader_u8(r);
	reader_skip(r, 3);
	reader_copy(r, a.addr.b, 16);
	if (!reader_ok(r) || type != ND_NEIGHBOR_ADVERT || code != 0 || a.addr.b[0] == 0xff)
		return false;
	while (reader_left(r) > 0) {
		uint8_t option = reader_u8(r), units = reader_u8(r);
		if (units == 0)
			return false;
		struct reader body = reader_sub(r, (size_t)units * 8 - 2);
		if (option == ND_OPT_TARGET_LINKADDR)
			reader_copy(&body, a.mac, sizeof a.mac);
	}
	if (!reader_ok(r))
		return false;
	a.gratuitous = !(flags & 0x40); /* the flag Solicited */
	*ret = a;
	return true;
}

static bool parse_ip6(struct reader *r, const uint8_t sender[6], struct link_answer *ret)
{
	struct netaddr src = {.family = NETADDR_V6}, dst = {.family = NETADDR_V6};

	reader_skip(r, 4);
	uint16_t payload_n = reader_u16be(r);
	uint8_t next = reader_u8(r), hop_limit = reader_u8(r);
	reader_copy(r, src.b, 16);
	reader_copy(r, dst.b, 16);
	struct bytes payload = reader_bytes(r, payload_n);
	if (!reader_ok(r) || next != IPPROTO_ICMPV6 || hop_limit != ND_HOP_LIMIT)
		return false;
	uint32_t sum = checksum_pseudo(&src, &dst, IPPROTO_ICMPV6, payload.n);
	if (checksum_fold(checksum_add(sum, payload)) != 0)
		return false;
	struct reader nd = reader_init(payload);
	return parse_advertisement(&nd, sender, ret);
}

bool neighbour_parse(struct bytes frame, struct link_answer *ret)
{
	struct reader r = reader_init(frame);
	uint8_t sender[6];

	reader_skip(&r, 6);
	reader_copy(&r, sender, 6);
	switch (reader_u16be(&r)) {
	case ETH_P_ARP:
		return parse_arp(&r, ret);
	case ETH_P_IPV6:
		return parse_ip6(&r, sender, ret);
	default:
		return false;
	}
}
