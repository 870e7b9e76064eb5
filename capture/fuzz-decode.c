/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: one byte of flags (bits 0-3 choose the link type, bit 4 sets a metadata
 * tag, bit 5 says that bytes were cut), then the frame.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "decode.h"
#include "base/demand.h"

const char *const fuzz_outcomes[] = {"tcp",  "fragment", "not tcp",    "truncated", "malformed",
				     "ipv6", "vlan",     "timestamps", "payload",   NULL};

static const uint16_t links[16] = {
	FRAME_LINK_ETHERNET, FRAME_LINK_NULL, FRAME_LINK_RAW,  FRAME_LINK_RAW_OLD, FRAME_LINK_LOOP,
	FRAME_LINK_SLL,      FRAME_LINK_IPV4, FRAME_LINK_IPV6, FRAME_LINK_SLL2,    147,
};

static void check(bool ok)
{
	if (!ok)
		abort();
}

/* What every caller may rely on. */
static void check_segment(const struct frame *f, const struct segment *s)
{
	check(s->payload.n <= s->payload_len);
	check(s->payload_len <= f->wire_len);
	if (s->payload.n > 0) {
		check(s->payload.p >= f->data.p);
		check(s->payload.n <= f->data.n - (size_t)(s->payload.p - f->data.p));
	}
	check(s->src.addr.family == s->dst.addr.family);
	check(s->src.addr.family == NETADDR_V4 || s->src.addr.family == NETADDR_V6);
	check(s->mac_valid == (f->link == FRAME_LINK_ETHERNET));
	check(!f->vlan_present || (s->vlan_present && s->vlan_tci == f->vlan_tci));
	/* Only what was seen has a value. */
	check(s->opt.seen & TCP_OPT_MSS || s->opt.mss == 0);
	check(s->opt.seen & TCP_OPT_WSCALE || s->opt.wscale == 0);
	check(s->opt.seen & TCP_OPT_TIMESTAMP || (s->opt.tsval == 0 && s->opt.tsecr == 0));
}

/* Complete: what was there before it was decoded is nowhere to be seen. */
static void check_complete(const struct segment *a, const struct segment *b)
{
	check(endpoint_eq(&a->src, &b->src) && endpoint_eq(&a->dst, &b->dst));
	check(a->seq == b->seq && a->ack == b->ack && a->window == b->window);
	check(a->flags == b->flags && a->ttl == b->ttl && a->tos == b->tos);
	check(memcmp(&a->may_fragment, &b->may_fragment, sizeof a->may_fragment) == 0);
	check(memcmp(&a->vlan_present, &b->vlan_present, sizeof a->vlan_present) == 0);
	check(memcmp(&a->mac_valid, &b->mac_valid, sizeof a->mac_valid) == 0);
	check(memcmp(&a->outgoing, &b->outgoing, sizeof a->outgoing) == 0);
	check(!a->vlan_present || a->vlan_tci == b->vlan_tci);
	check(!a->mac_valid ||
	      (memcmp(a->src_mac, b->src_mac, 6) == 0 && memcmp(a->dst_mac, b->dst_mac, 6) == 0));
	check(a->sum == b->sum && a->piece == b->piece && a->time_ns == b->time_ns);
	check(a->opt.seen == b->opt.seen && a->opt.mss == b->opt.mss &&
	      a->opt.wscale == b->opt.wscale && a->opt.tsval == b->opt.tsval &&
	      a->opt.tsecr == b->opt.tsecr && a->opt.sack_high == b->opt.sack_high);
	check(a->payload_len == b->payload_len && a->payload.n == b->payload.n &&
	      a->payload.p == b->payload.p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct segment s;
	struct tcp_options o;

	if (size < 1)
		return 0;
	struct frame f = {
		.data = bytes_of(data + 1, size - 1),
		.wire_len = (uint32_t)(size - 1) + (data[0] & 0x20 ? 100000 : 0),
		.link = links[data[0] & 0x0f],
		.vlan_present = data[0] & 0x10,
		.vlan_tci = 0x2064,
	};
	struct segment other;
	memset(&s, 0x00, sizeof s);
	memset(&other, 0xff, sizeof other);
	enum decode_outcome r = decode_frame(&f, &s);
	static const char *const outcome[] = {[DECODE_TCP] = "tcp",
					      [DECODE_FRAGMENT] = "fragment",
					      [DECODE_NOT_TCP] = "not tcp",
					      [DECODE_TRUNCATED] = "truncated",
					      [DECODE_MALFORMED] = "malformed"};
	check(decode_frame(&f, &other) == r);
	reached(outcome[r]);
	if (r == DECODE_TCP && s.src.addr.family == NETADDR_V6)
		reached("ipv6");
	if (r == DECODE_TCP && s.vlan_present)
		reached("vlan");
	if (r == DECODE_TCP && s.opt.seen & TCP_OPT_TIMESTAMP)
		reached("timestamps");
	if (r == DECODE_TCP && s.payload.n > 0)
		reached("payload");
	if (r == DECODE_TCP) {
		check_segment(&f, &s);
		check_complete(&s, &other);
	}
	/* Nothing was cut: then it cannot be that. */
	check(r != DECODE_TRUNCATED || f.wire_len > f.data.n);
	decode_tcp_options(bytes_head(f.data, 40), &o);
	return 0;
}
