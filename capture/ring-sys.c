/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "ring-sys.h"

#include <arpa/inet.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#ifndef PACKET_IGNORE_OUTGOING
#define PACKET_IGNORE_OUTGOING 23 /* Linux 4.20 */
#endif

/* Room for putting a stripped VLAN tag back into a frame. */
#define VLAN_TAG_BYTES 4
/*
 * TPACKET_V3 packs frames of any size into a block. The kernel still demands a frame size that
 * divides the block.
 */
#define FRAME_BYTES 2048

static int set_option(int fd, int option, const void *value, socklen_t n)
{
	return setsockopt(fd, SOL_PACKET, option, value, n) < 0 ? -errno : 0;
}

int ring_sys_socket(void)
{
	/* With protocol 0 nothing arrives until bind() names a protocol. By then the ring is
	 * ready. */
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

int ring_sys_interface(int fd, const char *name, int *ret_index)
{
	struct ifreq req = {0};

	if (strlen(name) >= sizeof req.ifr_name)
		return -ENODEV;
	strcpy(req.ifr_name, name);
	if (ioctl(fd, SIOCGIFHWADDR, &req) < 0)
		return -errno;
	if (req.ifr_hwaddr.sa_family != ARPHRD_ETHER && req.ifr_hwaddr.sa_family != ARPHRD_LOOPBACK)
		return -EPFNOSUPPORT;
	if (ioctl(fd, SIOCGIFINDEX, &req) < 0)
		return -errno;
	*ret_index = req.ifr_ifindex;
	return 0;
}

int ring_sys_setup(int fd, size_t block_bytes, uint32_t block_count, uint32_t retire_ms)
{
	const int version = TPACKET_V3;
	const unsigned int reserve = VLAN_TAG_BYTES;
	const int piece_header = 1;
	/* tp_feature_req_word stays 0: filling in the hash costs the kernel 150 ns per packet. */
	const struct tpacket_req3 req = {
		.tp_block_size = (unsigned int)block_bytes,
		.tp_block_nr = block_count,
		.tp_frame_size = FRAME_BYTES,
		.tp_frame_nr = (unsigned int)(block_bytes / FRAME_BYTES * block_count),
		.tp_retire_blk_tov = retire_ms,
	};

	int r = set_option(fd, PACKET_VERSION, &version, sizeof version);
	if (r == 0)
		r = set_option(fd, PACKET_RESERVE, &reserve, sizeof reserve);
	if (r == 0)
		r = set_option(fd, PACKET_VNET_HDR, &piece_header, sizeof piece_header);
	if (r == 0)
		r = set_option(fd, PACKET_RX_RING, &req, sizeof req);
	return r;
}

int ring_sys_filter(int fd, struct sock_filter *instructions, uint16_t count)
{
	const struct sock_fprog program = {.len = count, .filter = instructions};

	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program) < 0 ? -errno
											  : 0;
}

int ring_sys_ignore_outgoing(int fd)
{
	const int on = 1;

	return set_option(fd, PACKET_IGNORE_OUTGOING, &on, sizeof on);
}

int ring_sys_map(int fd, size_t bytes, uint8_t **ret)
{
	/* The kernel never swaps ring pages, so mlock() would add nothing. */
	void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE, fd, 0);

	if (map == MAP_FAILED)
		return -errno;
	*ret = map;
	return 0;
}

int ring_sys_promiscuous(int fd, int index)
{
	/* A membership, because it ends with the socket. A flag of the interface would not. */
	const struct packet_mreq req = {.mr_ifindex = index, .mr_type = PACKET_MR_PROMISC};

	return set_option(fd, PACKET_ADD_MEMBERSHIP, &req, sizeof req);
}

int ring_sys_bind(int fd, int index)
{
	const struct sockaddr_ll addr = {
		.sll_family = AF_PACKET,
		.sll_protocol = htons(ETH_P_ALL),
		.sll_ifindex = index,
	};

	return bind(fd, (const struct sockaddr *)&addr, sizeof addr) < 0 ? -errno : 0;
}

int ring_sys_fanout(int fd, uint16_t group)
{
	/* The hash is equal for both directions of a flow. Fragments have the hash of their
	 * packet. */
	const int arg =
		(int)(group | (uint32_t)(PACKET_FANOUT_HASH | PACKET_FANOUT_FLAG_DEFRAG) << 16);

	return set_option(fd, PACKET_FANOUT, &arg, sizeof arg);
}

int ring_sys_counters(int fd, struct ring_sys_counters *ret)
{
	struct tpacket_stats_v3 st;
	socklen_t n = sizeof st;

	if (getsockopt(fd, SOL_PACKET, PACKET_STATISTICS, &st, &n) < 0)
		return -errno;
	*ret = (struct ring_sys_counters){st.tp_packets, st.tp_drops, st.tp_freeze_q_cnt};
	return 0;
}

int ring_sys_error(int fd)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		return -errno;
	return -error;
}

void ring_sys_unmap(uint8_t *map, size_t bytes)
{
	munmap(map, bytes);
}

void ring_sys_close(int fd)
{
	close(fd);
}
