/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A frame longer than a block of the ring is cut, not dropped, and tells its true length (tp_len
 * above tp_snaplen): so cut frames are counted, and blocks of 128 KiB hold any offloaded segment.
 * capture/ring-block.c: ring_block_walk().
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "fact.h"

#define SMALL  16384
#define LARGE  131072
#define BYTES  (16u << 20) /* of each ring: none of it comes round again */
#define ROUND  40000
#define ROUNDS 20

struct ring {
	uint8_t *at;
	uint32_t block;
	int whole_above_small, cut; /* frames longer than SMALL: all there, or not */
};

static struct ring ring_open(const struct fact *f, uint32_t block)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET, .sll_protocol = htons(ETH_P_ALL)};
	struct tpacket_req3 req = {.tp_block_size = block,
				   .tp_block_nr = BYTES / block,
				   .tp_frame_size = 2048,
				   .tp_frame_nr = BYTES / 2048,
				   .tp_retire_blk_tov = 10};
	int version = TPACKET_V3, fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	struct ring r = {.block = block};

	at.sll_ifindex = (int)if_nametoindex("client0");
	if (fd < 0 || setsockopt(fd, SOL_PACKET, PACKET_VERSION, &version, sizeof version) < 0 ||
	    setsockopt(fd, SOL_PACKET, PACKET_RX_RING, &req, sizeof req) < 0)
		fact_skip(f, "no ring");
	r.at = mmap(NULL, BYTES, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (r.at == MAP_FAILED || bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		fact_skip(f, "no ring");
	return r;
}

static void walk(struct ring *r)
{
	r->cut = r->whole_above_small = 0;
	for (uint32_t i = 0; i < BYTES / r->block; i++) {
		uint8_t *p = r->at + (size_t)i * r->block;
		struct tpacket_hdr_v1 *h = &((struct tpacket_block_desc *)p)->hdr.bh1;
		if (!(__atomic_load_n(&h->block_status, __ATOMIC_ACQUIRE) & TP_STATUS_USER))
			continue;
		p += h->offset_to_first_pkt;
		for (uint32_t k = 0; k < h->num_pkts; k++) {
			const struct tpacket3_hdr *frame = (const struct tpacket3_hdr *)p;
			r->cut += frame->tp_snaplen < frame->tp_len;
			r->whole_above_small +=
				frame->tp_len > SMALL && frame->tp_snaplen == frame->tp_len;
			p += frame->tp_next_offset;
		}
	}
}

/* Both rings have told what they hold of the same frames. */
static bool told(void *ctx)
{
	struct ring *r = ctx;

	walk(&r[0]);
	walk(&r[1]);
	return r[1].whole_above_small > 0 && r[0].cut >= r[1].whole_above_small;
}

int main(void)
{
	struct fact f;
	size_t got = 0;

	fact_begin(&f, "small-blocks-truncate");
	struct ring r[] = {ring_open(&f, SMALL), ring_open(&f, LARGE)};
	fact_connect(&f);
	for (int i = 0; i < ROUNDS; i++) {
		fact_say(f.box, (uint64_t)i * ROUND, ROUND);
		got += fact_hear(f.client, (uint64_t)i * ROUND, ROUND, 3000);
	}
	bool both = fact_wait(told, r, 3000);
	if (got == (size_t)ROUND * ROUNDS && r[1].whole_above_small == 0)
		fact_skip(&f, "no frame above 16 KiB came");
	fact_end(
		&f, both && r[1].cut == 0 && r[0].whole_above_small == 0,
		"blocks of 16 KiB cut %d frames, blocks of 128 KiB cut %d and hold %d above 16 KiB",
		r[0].cut, r[1].cut, r[1].whole_above_small);
}
