/* SPDX-License-Identifier: GPL-3.0-or-later */
/* fake-block: a block of the ring, as the kernel fills it; and who is shown its frames. */
#ifndef CAPTURE_TEST_FAKE_BLOCK_H
#define CAPTURE_TEST_FAKE_BLOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/if_packet.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "capture/frame.h"

#define BLOCK 4096

struct fake_frame {
	const char *data;
	uint32_t captured, wire, status, tci;
	uint8_t pkttype;
	uint8_t gso_type;
	uint16_t gso_size;
};

#define PACKET_AT 128 /* of the packet behind its header */

/* Fills a block: the first frame is at 48, each further one 256 bytes behind the one before. */
static inline void block_fill(uint8_t *block, const struct fake_frame *frames, uint32_t count)
{
	struct tpacket_block_desc *d = (void *)block;

	d->hdr.bh1.num_pkts = count;
	d->hdr.bh1.offset_to_first_pkt = 48;
	for (uint32_t i = 0; i < count; i++) {
		struct tpacket3_hdr *h = (void *)(block + 48 + 256 * i);
		struct sockaddr_ll *from =
			(void *)((uint8_t *)h + TPACKET_ALIGN(sizeof(struct tpacket3_hdr)));
		*h = (struct tpacket3_hdr){
			.tp_next_offset = i + 1 < count ? 256 : 0,
			.tp_sec = 1700000000,
			.tp_nsec = i,
			.tp_snaplen = frames[i].captured,
			.tp_len = frames[i].wire,
			.tp_status = TP_STATUS_USER | frames[i].status,
			.tp_mac = PACKET_AT,
			.hv1.tp_vlan_tci = frames[i].tci,
		};
		struct virtio_net_hdr v = {.gso_type = frames[i].gso_type,
					   .gso_size = frames[i].gso_size};
		from->sll_pkttype = frames[i].pkttype;
		memcpy((uint8_t *)h + PACKET_AT - sizeof v, &v, sizeof v);
		memcpy((uint8_t *)h + PACKET_AT, frames[i].data, frames[i].captured);
	}
}

struct seen {
	uint32_t count;
	struct frame last[16];
	char first_byte[17];
	uint32_t stop_at;
};

static inline int see(void *ctx, const struct frame *f)
{
	struct seen *s = ctx;

	assert_true(s->count < 16);
	s->last[s->count] = *f;
	s->first_byte[s->count++] = f->data.n ? (char)f->data.p[0] : '-';
	return s->stop_at == s->count;
}

#endif
