/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "decode.h"

#include <stddef.h>

#include "base/checksum.h"

/* Ethertypes and IP protocol numbers (IANA) that can lead to TCP. */
enum {
	TYPE_IPV4 = 0x0800,
	TYPE_IPV6 = 0x86dd,
	TYPE_VLAN = 0x8100,     /* 802.1Q */
	TYPE_QINQ = 0x88a8,     /* 802.1ad */
	TYPE_QINQ_OLD = 0x9100, /* used by switches before 802.1ad */
	TYPE_PPPOE = 0x8864,    /* RFC 2516, session stage */

	PPP_IPV4 = 0x0021,
	PPP_IPV6 = 0x0057,

	PROTO_HOPOPT = 0,
	PROTO_TCP = 6,
	PROTO_ROUTING = 43,
	PROTO_FRAGMENT = 44,
	PROTO_DSTOPT = 60,
};

/* TCP option kinds (IANA). */
enum {
	KIND_END = 0,
	KIND_NOP = 1,
	KIND_MSS = 2,
	KIND_WSCALE = 3,
	KIND_SACK_PERM = 4,
	KIND_SACK = 5,
	KIND_TIMESTAMP = 8,
	KIND_MD5 = 19,
	KIND_AO = 29,
	KIND_MPTCP = 30,
	KIND_TFO = 34,
};

#define ETHERNET_HEADER 14
#define IPV4_HEADER     20
#define IPV6_HEADER     40
#define TCP_HEADER      20

/*
 * What is left of the frame: @captured bytes, followed by @cut bytes that were on the wire but not
 * captured. Both are needed: a header beyond the wire contradicts the lengths around it, one beyond
 * the captured bytes was cut off by the capture.
 */
struct layer {
	const uint8_t *p;
	size_t captured, cut;
};

static inline uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static inline uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* How many bytes were on the wire. */
static inline size_t layer_wire(const struct layer *l)
{
	return l->captured + l->cut;
}

/* Takes the next @n bytes. NULL: they were not captured. */
static inline const uint8_t *layer_take(struct layer *l, size_t n)
{
	const uint8_t *p = l->p;

	if (n > l->captured)
		return NULL;
	l->p += n;
	l->captured -= n;
	return p;
}

/* Why layer_take(l, n) returned NULL. */
static inline enum decode_outcome layer_lacks(const struct layer *l, size_t n)
{
	return n > layer_wire(l) ? DECODE_MALFORMED : DECODE_TRUNCATED;
}

/* Limits the layer to its next @n bytes on the wire. What follows is padding or a trailer. */
static inline bool layer_limit(struct layer *l, size_t n)
{
	if (n > layer_wire(l))
		return false;
	l->cut = n > l->captured ? n - l->captured : 0;
	if (l->captured > n)
		l->captured = n;
	return true;
}

static void option_timestamp(const uint8_t *p, struct tcp_options *ret)
{
	ret->seen |= TCP_OPT_TIMESTAMP;
	ret->tsval = be32(p);
	ret->tsecr = be32(p + 4);
}

/* The highest edge is found by comparison modulo 2^32, because sequence numbers wrap. */
static void option_sack(const uint8_t *p, size_t n, struct tcp_options *ret)
{
	ret->seen |= TCP_OPT_SACK;
	ret->sack_high = be32(p + 4);
	for (size_t at = 12; at + 4 <= n; at += 8) {
		uint32_t right = be32(p + at);
		if ((int32_t)(right - ret->sack_high) > 0)
			ret->sack_high = right;
	}
}

/* Notes an option of which only the presence is used. */
static bool option_present(enum tcp_option_bit bit, bool length_ok, struct tcp_options *ret)
{
	if (length_ok)
		ret->seen |= (uint16_t)bit;
	return length_ok;
}

/* @n is the length of the value alone. Returns false when the option may not have this length. */
static bool option(uint8_t kind, const uint8_t *p, size_t n, struct tcp_options *ret)
{
	switch (kind) {
	case KIND_MSS:
		if (n != 2)
			return false;
		ret->seen |= TCP_OPT_MSS;
		ret->mss = be16(p);
		return true;
	case KIND_WSCALE:
		if (n != 1)
			return false;
		ret->seen |= TCP_OPT_WSCALE;
		ret->wscale = p[0];
		return true;
	case KIND_TIMESTAMP:
		if (n != 8)
			return false;
		option_timestamp(p, ret);
		return true;
	case KIND_SACK:
		if (n < 8 || n % 8)
			return false;
		option_sack(p, n, ret);
		return true;
	case KIND_SACK_PERM:
		return option_present(TCP_OPT_SACK_PERM, n == 0, ret);
	case KIND_MD5:
		return option_present(TCP_OPT_MD5, n == 16, ret);
	case KIND_AO:
		return option_present(TCP_OPT_AO, n >= 2, ret);
	case KIND_MPTCP:
		return option_present(TCP_OPT_MPTCP, n >= 1, ret);
	case KIND_TFO:
		return option_present(TCP_OPT_TFO, true, ret);
	default:
		return true;
	}
}

static void options_one_by_one(struct bytes area, struct tcp_options *ret)
{
	const uint8_t *p = area.p;
	size_t left = area.n;

	while (left > 0 && p[0] != KIND_END) {
		if (p[0] == KIND_NOP) {
			p++;
			left--;
			continue;
		}
		if (left < 2 || p[1] < 2 || p[1] > left ||
		    !option(p[0], p + 2, (size_t)p[1] - 2, ret)) {
			ret->seen |= TCP_OPT_BAD;
			return;
		}
		left -= p[1];
		p += p[1];
	}
}

static inline void options(struct bytes area, struct tcp_options *ret)
{
	*ret = (struct tcp_options){0};
	/* The layout of RFC 7323 appendix A. Nearly every segment has it. */
	if (area.n == 12 && be32(area.p) == 0x0101080a)
		option_timestamp(area.p + 4, ret);
	else
		options_one_by_one(area, ret);
}

void decode_tcp_options(struct bytes area, struct tcp_options *ret)
{
	options(area, ret);
}

/* Whether the field contains what a host leaves to its NIC: the sum of the pseudo-header, or
 * nothing. If the NIC is to split the segment, the sum is without the length (Windows, BSD). */
static bool left_open(uint16_t field, uint32_t pseudo, size_t n)
{
	return field == checksum_carry(pseudo) ||
	       checksum_fold(field + (uint32_t)checksum_carry(n)) == checksum_fold(pseudo);
}

/* Kept out of decode_tcp(): inlined, it would take the registers that decode_tcp() needs. */
static __attribute__((noinline)) enum segment_sum tcp_sum(struct bytes tcp, enum frame_sum known,
							  const struct segment *s)
{
	uint64_t pseudo = checksum_pseudo_words(&s->src.addr, &s->dst.addr, PROTO_TCP, tcp.n);

	if (checksum_carry(pseudo + checksum_words(tcp)) == 0xffff)
		return SEGMENT_SUM_RIGHT;
	uint16_t open = ntohs(checksum_carry(pseudo));
	return known == FRAME_SUM_FILE && left_open(be16(tcp.p + 16), open, tcp.n)
		       ? SEGMENT_SUM_OPEN
		       : SEGMENT_SUM_WRONG;
}

static inline enum segment_sum tcp_sum_if_unknown(struct layer l, enum frame_sum known,
						  const struct segment *s)
{
	if (known == FRAME_SUM_TESTED)
		return SEGMENT_SUM_RIGHT;
	if (known == FRAME_SUM_OPEN)
		return SEGMENT_SUM_OPEN;
	if (l.cut > 0)
		return SEGMENT_SUM_TRUNCATED;
	return tcp_sum(bytes_of(l.p, l.captured), known, s);
}

static inline __attribute__((always_inline)) enum decode_outcome
decode_tcp(struct layer l, enum frame_sum known, struct segment *ret)
{
	const struct layer whole = l;
	const uint8_t *p = layer_take(&l, TCP_HEADER);

	if (!p)
		return layer_lacks(&l, TCP_HEADER);
	if (ret->sum != SEGMENT_SUM_WRONG)
		ret->sum = (uint8_t)tcp_sum_if_unknown(whole, known, ret);
	size_t header = (size_t)(p[12] >> 4) * 4;
	if (header < TCP_HEADER)
		return DECODE_MALFORMED;
	size_t option_bytes = header - TCP_HEADER;
	const uint8_t *area = layer_take(&l, option_bytes);
	if (!area)
		return layer_lacks(&l, option_bytes);

	ret->src.port = be16(p);
	ret->dst.port = be16(p + 2);
	ret->seq = be32(p + 4);
	ret->ack = be32(p + 8);
	ret->flags = p[13];
	ret->window = be16(p + 14);
	options(bytes_of(area, option_bytes), &ret->opt);
	ret->payload_len = (uint32_t)layer_wire(&l);
	ret->payload = bytes_of(l.p, l.captured);
	return DECODE_TCP;
}

static inline void set_addresses(struct segment *ret, const uint8_t *src, size_t n, uint8_t family)
{
	ret->src = (struct endpoint){0};
	ret->dst = (struct endpoint){0};
	memcpy(ret->src.addr.b, src, n);
	memcpy(ret->dst.addr.b, src + n, n);
	ret->src.addr.family = ret->dst.addr.family = family;
}

/* A host that leaves this sum to its NIC writes 0. */
static bool ipv4_sum_wrong(struct bytes header, enum frame_sum known)
{
	bool open = known == FRAME_SUM_FILE && header.p[10] == 0 && header.p[11] == 0;

	if (open)
		return false;
	/* With a constant length the compiler makes this five additions. */
	uint64_t sum = header.n == IPV4_HEADER ? checksum_words(bytes_of(header.p, IPV4_HEADER))
					       : checksum_words(header);
	return checksum_carry(sum) != 0xffff;
}

static inline enum decode_outcome decode_ipv4(struct layer l, enum frame_sum known,
					      struct segment *ret)
{
	struct layer packet = l;
	const uint8_t *p = layer_take(&l, IPV4_HEADER);

	if (!p)
		return layer_lacks(&l, IPV4_HEADER);
	size_t header = (size_t)(p[0] & 0x0f) * 4;
	size_t total = be16(p + 2);
	if (total == 0)
		total = layer_wire(&packet);
	if (p[0] >> 4 != 4 || header < IPV4_HEADER || total < header ||
	    !layer_limit(&l, total - IPV4_HEADER))
		return DECODE_MALFORMED;
	if (p[9] != PROTO_TCP)
		return DECODE_NOT_TCP;
	set_addresses(ret, p + 12, 4, NETADDR_V4);
	ret->tos = p[1];
	ret->ttl = p[8];
	ret->may_fragment = !(p[6] & 0x40);
	bool whole = header == IPV4_HEADER || layer_take(&l, header - IPV4_HEADER);
	if (whole && ipv4_sum_wrong(bytes_of(p, header), known))
		ret->sum = SEGMENT_SUM_WRONG;
	if (be16(p + 6) & 0x3fff) /* more fragments, or an offset */
		return DECODE_FRAGMENT;
	return whole ? decode_tcp(l, known, ret) : DECODE_TRUNCATED;
}

/*
 * Judges the protocol after an IPv6 fragment header. Only the first fragment has the rest of the
 * header chain. So another fragment whose chain goes on may be TCP.
 */
static enum decode_outcome fragment_of(uint8_t next)
{
	switch (next) {
	case PROTO_TCP:
	case PROTO_HOPOPT:
	case PROTO_ROUTING:
	case PROTO_DSTOPT:
		return DECODE_FRAGMENT;
	default:
		return DECODE_NOT_TCP;
	}
}

/* RFC 8200 section 4. Each header takes at least 8 bytes, so the frame's length bounds the loop. */
static enum decode_outcome decode_ipv6_extensions(struct layer l, uint8_t next,
						  enum frame_sum known, struct segment *ret)
{
	while (next != PROTO_TCP) {
		if (next != PROTO_HOPOPT && next != PROTO_ROUTING && next != PROTO_DSTOPT &&
		    next != PROTO_FRAGMENT)
			return DECODE_NOT_TCP;
		const uint8_t *p = layer_take(&l, 8);
		if (!p)
			return layer_lacks(&l, 8);
		if (next == PROTO_FRAGMENT) {
			/* Offset 0 without more fragments is a whole packet (RFC 6946). */
			if (be16(p + 2) & 0xfff9)
				return fragment_of(p[0]);
		} else {
			size_t more = (size_t)p[1] * 8;
			if (!layer_take(&l, more))
				return layer_lacks(&l, more);
		}
		next = p[0];
	}
	return decode_tcp(l, known, ret);
}

static inline enum decode_outcome decode_ipv6(struct layer l, enum frame_sum known,
					      struct segment *ret)
{
	const uint8_t *p = layer_take(&l, IPV6_HEADER);

	if (!p)
		return layer_lacks(&l, IPV6_HEADER);
	/* Length 0 is a jumbogram (RFC 2675), which BIG TCP makes. It is as long as the frame. */
	size_t length = be16(p + 4);
	if (p[0] >> 4 != 6 || (length > 0 && !layer_limit(&l, length)))
		return DECODE_MALFORMED;
	set_addresses(ret, p + 8, 16, NETADDR_V6);
	ret->tos = (uint8_t)(p[0] << 4 | p[1] >> 4);
	ret->ttl = p[7];
	return decode_ipv6_extensions(l, p[6], known, ret);
}

/*
 * The strip_*() functions remove link headers from @l. *ret_type is what follows, as an ethertype.
 * They return DECODE_TCP to go on.
 */
static enum decode_outcome strip_raw(const struct layer *l, uint16_t *ret_type)
{
	if (l->captured == 0)
		return layer_lacks(l, 1);
	*ret_type = l->p[0] >> 4 == 6 ? TYPE_IPV6 : TYPE_IPV4;
	return DECODE_TCP;
}

/* RFC 2516 section 4, then the PPP protocol number, which is never compressed there (section 7). */
static enum decode_outcome strip_pppoe(struct layer *l, uint16_t *ret_type)
{
	const uint8_t *p = layer_take(l, 6);

	if (!p)
		return layer_lacks(l, 6);
	if (p[1] != 0)
		return DECODE_NOT_TCP;
	if (p[0] != 0x11 || !layer_limit(l, be16(p + 4)))
		return DECODE_MALFORMED;
	p = layer_take(l, 2);
	if (!p)
		return layer_lacks(l, 2);
	switch (be16(p)) {
	case PPP_IPV4:
		*ret_type = TYPE_IPV4;
		return DECODE_TCP;
	case PPP_IPV6:
		*ret_type = TYPE_IPV6;
		return DECODE_TCP;
	default:
		return DECODE_NOT_TCP;
	}
}

/* Reports the outermost tag. */
static enum decode_outcome strip_tags(struct layer *l, uint16_t *io_type, struct segment *ret)
{
	while (*io_type == TYPE_VLAN || *io_type == TYPE_QINQ || *io_type == TYPE_QINQ_OLD) {
		const uint8_t *p = layer_take(l, 4);
		if (!p)
			return layer_lacks(l, 4);
		if (!ret->vlan_present) {
			ret->vlan_present = true;
			ret->vlan_tci = be16(p);
		}
		*io_type = be16(p + 2);
	}
	return *io_type == TYPE_PPPOE ? strip_pppoe(l, io_type) : DECODE_TCP;
}

static inline enum decode_outcome strip_ethernet(struct layer *l, uint16_t *ret_type,
						 struct segment *ret)
{
	const uint8_t *p = layer_take(l, ETHERNET_HEADER);

	if (!p)
		return layer_lacks(l, ETHERNET_HEADER);
	memcpy(ret->dst_mac, p, 6);
	memcpy(ret->src_mac, p + 6, 6);
	ret->mac_valid = true;
	*ret_type = be16(p + 12);
	return DECODE_TCP;
}

/*
 * Linux cooked capture: tcpdump.org/linktypes/LINKTYPE_LINUX_SLL and _SLL2. Packet type 4 is
 * outgoing.
 */
static enum decode_outcome strip_sll(struct layer *l, uint16_t *ret_type, struct segment *ret)
{
	const uint8_t *p = layer_take(l, 16);

	if (!p)
		return layer_lacks(l, 16);
	ret->outgoing = be16(p) == 4;
	*ret_type = be16(p + 14);
	return strip_tags(l, ret_type, ret);
}

static enum decode_outcome strip_sll2(struct layer *l, uint16_t *ret_type, struct segment *ret)
{
	const uint8_t *p = layer_take(l, 20);

	if (!p)
		return layer_lacks(l, 20);
	ret->outgoing = p[10] == 4;
	*ret_type = be16(p);
	return strip_tags(l, ret_type, ret);
}

/*
 * BSD loopback: a 32-bit address family, in the byte order of the capturing host (NULL) or the
 * network (LOOP). Families are small numbers, so the order can be seen. AF_INET is 2 everywhere.
 * AF_INET6 is 10 on Linux, 24 on NetBSD and OpenBSD, 28 on FreeBSD, 30 on Darwin.
 */
static enum decode_outcome strip_loop(struct layer *l, uint16_t *ret_type)
{
	const uint8_t *p = layer_take(l, 4);

	if (!p)
		return layer_lacks(l, 4);
	uint32_t family = be32(p);
	if (family > UINT16_MAX)
		family = __builtin_bswap32(family);
	switch (family) {
	case 2:
		*ret_type = TYPE_IPV4;
		return DECODE_TCP;
	case 10:
	case 24:
	case 28:
	case 30:
		*ret_type = TYPE_IPV6;
		return DECODE_TCP;
	default:
		return DECODE_NOT_TCP;
	}
}

static enum decode_outcome strip_other(struct layer *l, uint16_t link, uint16_t *ret_type,
				       struct segment *ret)
{
	memset(ret->src_mac, 0, sizeof ret->src_mac);
	memset(ret->dst_mac, 0, sizeof ret->dst_mac);
	switch (link) {
	case FRAME_LINK_NULL:
	case FRAME_LINK_LOOP:
		return strip_loop(l, ret_type);
	case FRAME_LINK_SLL:
		return strip_sll(l, ret_type, ret);
	case FRAME_LINK_SLL2:
		return strip_sll2(l, ret_type, ret);
	case FRAME_LINK_RAW:
	case FRAME_LINK_RAW_OLD:
		return strip_raw(l, ret_type);
	case FRAME_LINK_IPV4:
		*ret_type = TYPE_IPV4;
		return DECODE_TCP;
	case FRAME_LINK_IPV6:
		*ret_type = TYPE_IPV6;
		return DECODE_TCP;
	default:
		return DECODE_NOT_TCP;
	}
}

/*
 * Sets what the layers below may leave unset. One by one, because clearing the whole struct costs
 * more.
 */
static inline void segment_init(struct segment *s, const struct frame *f)
{
	s->vlan_present = f->vlan_present;
	s->vlan_tci = f->vlan_present ? f->vlan_tci : 0;
	s->mac_valid = false;
	s->outgoing = f->outgoing;
	s->may_fragment = false;
	s->sum = SEGMENT_SUM_RIGHT;
	s->time_ns = f->time_ns;
	s->piece = f->piece;
}

/*
 * Removes the link headers from @l. Not inlined, so that the caller's copy stays in registers until
 * it is needed here.
 */
static __attribute__((noinline)) enum decode_outcome strip(struct layer *l, uint16_t link,
							   uint16_t *io_type, struct segment *ret)
{
	return link == FRAME_LINK_ETHERNET ? strip_tags(l, io_type, ret)
					   : strip_other(l, link, io_type, ret);
}

enum decode_outcome decode_frame(const struct frame *f, struct segment *ret)
{
	/* Some programs write an original length of 0. */
	size_t cut = f->wire_len > f->data.n ? f->wire_len - f->data.n : 0;
	struct layer l = {f->data.p, f->data.n, cut};
	enum decode_outcome r = DECODE_TCP;
	uint16_t type = 0;

	segment_init(ret, f);
	if (f->link == FRAME_LINK_ETHERNET)
		r = strip_ethernet(&l, &type, ret);
	if (r == DECODE_TCP && type != TYPE_IPV4) {
		struct layer rest = l;
		uint16_t behind = type;
		r = strip(&rest, f->link, &behind, ret);
		l = rest;
		type = behind;
	}
	if (r != DECODE_TCP)
		return r;
	switch (type) {
	case TYPE_IPV4:
		return decode_ipv4(l, (enum frame_sum)f->sum, ret);
	case TYPE_IPV6:
		return decode_ipv6(l, (enum frame_sum)f->sum, ret);
	default:
		return DECODE_NOT_TCP;
	}
}
