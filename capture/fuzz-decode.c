/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Input: one byte of flags (bits 0-3 choose the link type, bit 4 sets a metadata
 * tag, bit 5 says that bytes were cut), then the frame.
 */
#include <stdint.h>
#include <stdlib.h>

#include "decode.h"

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
	enum decode_outcome r = decode_frame(&f, &s);
	if (r == DECODE_TCP)
		check_segment(&f, &s);
	/* Nothing was cut: then it cannot be that. */
	check(r != DECODE_TRUNCATED || f.wire_len > f.data.n);
	decode_tcp_options(bytes_head(f.data, 40), &o);
	return 0;
}
