/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring-block.h"

#include <errno.h>
#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <stdbool.h>

#include "base/clock.h"

/* struct sockaddr_ll, with the packet's direction, follows the packet's header. */
#define ADDRESS_AT TPACKET_ALIGN(sizeof(struct tpacket3_hdr))
#define HEADER     (ADDRESS_AT + sizeof(struct sockaddr_ll))

/*
 * Converts what the kernel says about the TCP checksum (Documentation/networking/packet_mmap.rst).
 * GRO tests the sums of what it joins, and leaves the sum of the result open.
 */
static enum frame_sum sum_of(uint32_t status)
{
	if (status & TP_STATUS_CSUMNOTREADY)
		return FRAME_SUM_OPEN;
	return status & TP_STATUS_CSUM_VALID ? FRAME_SUM_TESTED : FRAME_SUM_ON_WIRE;
}

/*
 * Reads the segment size before the frame (PACKET_VNET_HDR). It is there if GRO joined several
 * segments, or a sender on this host did not split them yet. The kernel does not write it for a
 * frame that did not fit.
 */
static uint16_t piece_of(const struct frame *f)
{
	struct virtio_net_hdr v;
	uint8_t type;

	if (f->data.n < f->wire_len)
		return 0;
	memcpy(&v, f->data.p - sizeof v, sizeof v);
	type = v.gso_type & (uint8_t)~VIRTIO_NET_HDR_GSO_ECN;
	return type == VIRTIO_NET_HDR_GSO_TCPV4 || type == VIRTIO_NET_HDR_GSO_TCPV6 ? v.gso_size
										    : 0;
}

/* Reads the frame at @at. *ret_step leads to the next frame; 0: it is the last one. */
static bool frame_at(struct bytes block, size_t at, struct frame *ret, size_t *ret_step)
{
	if (at % _Alignof(struct tpacket3_hdr) || at > block.n || block.n - at < HEADER)
		return false;
	const struct tpacket3_hdr *h = (const void *)(block.p + at);
	const struct sockaddr_ll *from = (const void *)(block.p + at + ADDRESS_AT);
	size_t room = block.n - at;
	if (h->tp_mac > room || h->tp_snaplen > room - h->tp_mac ||
	    h->tp_mac < HEADER + sizeof(struct virtio_net_hdr))
		return false;

	*ret = (struct frame){
		.data = bytes_of(block.p + at + h->tp_mac, h->tp_snaplen),
		.wire_len = h->tp_len,
		.time_ns = h->tp_sec * NS_PER_S + h->tp_nsec,
		.link = FRAME_LINK_ETHERNET,
		.vlan_present = h->tp_status & TP_STATUS_VLAN_VALID,
		.vlan_tci = (uint16_t)h->hv1.tp_vlan_tci,
		.sum = (uint8_t)sum_of(h->tp_status),
		.outgoing = from->sll_pkttype == PACKET_OUTGOING,
	};
	ret->piece = piece_of(ret);
	*ret_step = h->tp_next_offset;
	return true;
}

int ring_block_walk(struct bytes block, frame_fn fn, void *ctx, uint64_t *io_truncated)
{
	const struct tpacket_block_desc *desc = (const void *)block.p;
	bool stopped = false;

	if (block.n < sizeof *desc)
		return -EBADMSG;
	size_t at = desc->hdr.bh1.offset_to_first_pkt;
	for (uint32_t left = desc->hdr.bh1.num_pkts; left > 0; left--) {
		struct frame f;
		size_t step;

		if (!frame_at(block, at, &f, &step))
			return -EBADMSG;
		if (f.data.n < f.wire_len)
			(*io_truncated)++;
		if (fn(ctx, &f))
			stopped = true;
		if (step == 0 && left > 1)
			return -EBADMSG;
		at += step;
	}
	return stopped ? RING_BLOCK_STOPPED : RING_BLOCK_DONE;
}
