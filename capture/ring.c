/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/if_packet.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "ring-block.h"
#include "ring-filter.h"
#include "ring-sys.h"

#define BLOCK_BYTES_MIN 4096
#define BLOCKS_MIN      4
#define RING_BYTES_MAX  ((size_t)1 << 40)
/* Number of instructions that drop frames sent by this host. */
#define NOT_OUTGOING 3

struct ring {
	int fd;
	bool ignore_outgoing;
	uint8_t *map;
	size_t map_bytes, block_bytes;
	uint32_t block_count;
	uint32_t next;      /* the block that the kernel will hand over next */
	bool last_full;     /* the block before it was handed over because it was full */
	uint64_t truncated; /* since the last ring_stats() */
};

/* Attaches the first @count instructions of @program. If frames of this host are not wanted,
 * instructions that drop them are put in front. */
static int ring_attach(const struct ring *r, struct sock_filter *program, uint32_t count)
{
	/* PACKET_IGNORE_OUTGOING does not work with a fanout group. Where it works, the frames
	 * it skips cost nothing here. */
	static const struct sock_filter not_outgoing[NOT_OUTGOING] = {
		{BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)(SKF_AD_OFF + SKF_AD_PKTTYPE)},
		{BPF_JMP | BPF_JEQ | BPF_K, 0, 1, PACKET_OUTGOING},
		{BPF_RET | BPF_K, 0, 0, 0},
	};

	if (!r->ignore_outgoing)
		return ring_sys_filter(r->fd, program, (uint16_t)count);
	memmove(program + NOT_OUTGOING, program, count * sizeof *program);
	memcpy(program, not_outgoing, sizeof not_outgoing);
	return ring_sys_filter(r->fd, program, (uint16_t)(NOT_OUTGOING + count));
}

static int ring_attach_verdict(const struct ring *r, uint32_t bytes)
{
	struct sock_filter verdict[NOT_OUTGOING + 1] = {{BPF_RET | BPF_K, 0, 0, bytes}};

	return ring_attach(r, verdict, 1);
}

int ring_listen(struct ring *ring, const struct netaddr *addresses, uint32_t count)
{
	if (count == 0)
		return ring_attach_verdict(ring, 0);
	_cleanup_free_ struct sock_filter *program = calloc(BPF_MAXINSNS, sizeof *program);
	if (!program)
		return -ENOMEM;
	int n = ring_filter_build(addresses, count, program, BPF_MAXINSNS - NOT_OUTGOING);
	return n < 0 ? n : ring_attach(ring, program, (uint32_t)n);
}

static int ring_attach_filter(struct ring *r, const struct ring_config *cfg)
{
	if (cfg->shut || cfg->address_count > 0)
		return ring_listen(r, cfg->addresses, cfg->shut ? 0 : cfg->address_count);
	return cfg->ignore_outgoing ? ring_attach_verdict(r, RING_FILTER_SNAPLEN) : 0;
}

/* Checks that no multiplication overflows. The kernel checks the size of a block itself. */
static int ring_dimension(struct ring *r, const struct ring_config *cfg)
{
	size_t block = cfg->block_bytes ? cfg->block_bytes : RING_BLOCK_DEFAULT;
	size_t count = cfg->ring_bytes / block;

	if (block < BLOCK_BYTES_MIN || (block & (block - 1)) != 0 || block > UINT32_MAX ||
	    cfg->ring_bytes > RING_BYTES_MAX)
		return -EINVAL;
	if (count < BLOCKS_MIN)
		count = BLOCKS_MIN;
	r->block_bytes = block;
	r->block_count = (uint32_t)count;
	r->map_bytes = count * block;
	return 0;
}

/*
 * Sets up the socket. Bind comes late, so that no unwanted packet arrives; a fanout group can be
 * joined only after it.
 */
static int ring_prepare(struct ring *r, const struct ring_config *cfg, const char **where)
{
	int index = 0;

	*where = "size";
	int e = ring_dimension(r, cfg);
	if (e < 0)
		return e;
	*where = "socket";
	r->fd = ring_sys_socket();
	if (r->fd < 0)
		return r->fd;
	*where = "interface";
	e = ring_sys_interface(r->fd, cfg->interface, &index);
	if (e < 0)
		return e;
	*where = "ring";
	e = ring_sys_setup(r->fd, r->block_bytes, r->block_count,
			   cfg->retire_ms ? cfg->retire_ms : RING_RETIRE_MS);
	if (e < 0)
		return e;
	*where = "filter";
	r->ignore_outgoing = cfg->ignore_outgoing;
	e = ring_attach_filter(r, cfg);
	if (e < 0)
		return e;
	*where = "ignore-outgoing";
	e = cfg->ignore_outgoing ? ring_sys_ignore_outgoing(r->fd) : 0;
	if (e < 0)
		return e;
	*where = "mmap";
	e = ring_sys_map(r->fd, r->map_bytes, &r->map);
	if (e < 0)
		return e;
	*where = "promiscuous";
	e = cfg->promiscuous ? ring_sys_promiscuous(r->fd, index) : 0;
	if (e < 0)
		return e;
	*where = "bind";
	e = ring_sys_bind(r->fd, index);
	if (e < 0)
		return e;
	*where = "fanout";
	return cfg->fanout_size > 1 ? ring_sys_fanout(r->fd, cfg->fanout_group) : 0;
}

int ring_open(const struct ring_config *cfg, struct ring **ret, const char **ret_where)
{
	struct ring *r = calloc(1, sizeof *r);

	*ret_where = "memory";
	if (!r)
		return -ENOMEM;
	r->fd = -1;
	int e = ring_prepare(r, cfg, ret_where);
	if (e < 0) {
		ring_close(r);
		return e;
	}
	*ret = r;
	return 0;
}

struct ring *ring_close(struct ring *r)
{
	if (!r)
		return NULL;
	if (r->map)
		ring_sys_unmap(r->map, r->map_bytes);
	if (r->fd >= 0)
		ring_sys_close(r->fd);
	free(r);
	return NULL;
}

int ring_fd(const struct ring *r)
{
	return r->fd;
}

/* Acquire: the block is read after the kernel has handed it over. */
static uint32_t next_status(const struct ring *r, struct tpacket_block_desc **ret)
{
	*ret = (struct tpacket_block_desc *)(r->map + (size_t)r->next * r->block_bytes);
	return __atomic_load_n(&(*ret)->hdr.bh1.block_status, __ATOMIC_ACQUIRE);
}

bool ring_peek(const struct ring *r, int64_t *ret_ns)
{
	struct tpacket_block_desc *block;

	if (!(next_status(r, &block) & TP_STATUS_USER))
		return false;
	/* ts_first_pkt is the time when the block was opened, which may be long before its first
	 * frame. */
	*ret_ns = block->hdr.bh1.ts_last_pkt.ts_sec * NS_PER_S + block->hdr.bh1.ts_last_pkt.ts_nsec;
	return true;
}

bool ring_is_busy(const struct ring *r)
{
	struct tpacket_block_desc *block;

	return r->last_full && !(next_status(r, &block) & TP_STATUS_USER);
}

int64_t ring_keeps_ns(size_t ring_bytes, uint64_t bytes_per_s)
{
	uint64_t blocks = ring_bytes / RING_BLOCK_DEFAULT;
	uint64_t timed_out = 1000 / RING_RETIRE_MS;
	uint64_t full = bytes_per_s / (RING_BLOCK_DEFAULT / 2);

	blocks = blocks < BLOCKS_MIN ? BLOCKS_MIN : blocks;
	return (int64_t)(blocks * (uint64_t)NS_PER_S / (timed_out + full));
}

int ring_read(struct ring *r, uint32_t max_blocks, frame_fn fn, void *ctx)
{
	uint32_t done = 0;
	int e = 0;

	while (done < max_blocks && e == 0) {
		struct tpacket_block_desc *block;
		uint32_t status = next_status(r, &block);

		if (!(status & TP_STATUS_USER))
			break;
		r->last_full = !(status & TP_STATUS_BLK_TMO);
		e = ring_block_walk(bytes_of(block, r->block_bytes), fn, ctx, &r->truncated);
		/* Release: the block was read before the kernel gets it back. */
		__atomic_store_n(&block->hdr.bh1.block_status, TP_STATUS_KERNEL, __ATOMIC_RELEASE);
		r->next = r->next + 1 == r->block_count ? 0 : r->next + 1;
		done++;
	}
	if (e < 0)
		return e;
	/* A socket error wakes poll() like a block does. It is reported when the ring is empty. */
	return done > 0 ? (int)done : ring_sys_error(r->fd);
}

int ring_stats(struct ring *r, struct ring_stats *io)
{
	struct ring_sys_counters c;
	int e = ring_sys_counters(r->fd, &c);

	if (e < 0)
		return e;
	io->packets += c.packets;
	io->drops += c.drops;
	io->freezes += c.freezes;
	io->truncated += r->truncated;
	r->truncated = 0;
	return 0;
}
