/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * tap PORT FROM-OUT TO-OUT [DELAY-US [FROM-VLAN [TO-VLAN]]]: a mirror of one port of the lab's
 * switch. What comes in at PORT (from who is plugged in there) is copied to FROM-OUT, what goes out
 * to it to TO-OUT, which may be the same; the latter DELAY-US microseconds later. Each gets the tag
 * of its VLAN; 0: none. Frames must not be offloaded ones.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#define FRAME_MAX   2048
#define BUFFER      (64 << 20)
#define ADDRESSES   12
#define TAG         4
#define NS_PER_US   1000
#define NS_PER_S    1000000000LL
#define FAILED(...) (fprintf(stderr, "tap: " __VA_ARGS__), exit(1))

struct late {
	struct late *next;
	int64_t due_ns;
	size_t n;
	uint8_t frame[];
};

static struct late *first, **last = &first;

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * NS_PER_S + t.tv_nsec;
}

static int packet_socket(const char *interface, int protocol)
{
	struct sockaddr_ll at = {.sll_family = AF_PACKET,
				 .sll_protocol = htons((uint16_t)protocol)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0), bytes = BUFFER;

	at.sll_ifindex = (int)if_nametoindex(interface);
	if (fd < 0 || at.sll_ifindex == 0)
		FAILED("no interface %s\n", interface);
	setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof bytes);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &bytes, sizeof bytes);
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0)
		FAILED("%s: %s\n", interface, strerror(errno));
	return fd;
}

/* With a tag behind the addresses (IEEE 802.1Q). */
static size_t tag(uint8_t *frame, size_t n, int vlan)
{
	const uint8_t t[4] = {0x81, 0x00, (uint8_t)(vlan >> 8), (uint8_t)vlan};

	if (vlan == 0 || n < ADDRESSES)
		return n;
	memmove(frame + ADDRESSES + sizeof t, frame + ADDRESSES, n - ADDRESSES);
	memcpy(frame + ADDRESSES, t, sizeof t);
	return n + sizeof t;
}

static void put(int fd, const uint8_t *frame, size_t n)
{
	if (send(fd, frame, n, 0) != (ssize_t)n)
		FAILED("a frame of %zu bytes: %s\n", n, strerror(errno));
}

static void keep(const uint8_t *frame, size_t n, int64_t due_ns)
{
	struct late *l = malloc(sizeof *l + n);

	if (!l)
		FAILED("memory\n");
	*l = (struct late){.due_ns = due_ns, .n = n};
	memcpy(l->frame, frame, n);
	*last = l;
	last = &l->next;
}

/* How long until the next one is due; negative: none waits. */
static int64_t put_due(int fd)
{
	while (first) {
		struct late *l = first;
		int64_t left = l->due_ns - now_ns();
		if (left > 0)
			return left;
		put(fd, l->frame, l->n);
		first = l->next;
		if (!first)
			last = &first;
		free(l);
	}
	return -1;
}

int main(int argc, char **argv)
{
	if (argc < 4)
		FAILED("usage: tap PORT FROM-OUT TO-OUT [DELAY-US [FROM-VLAN [TO-VLAN]]]\n");
	int port = packet_socket(argv[1], ETH_P_ALL);
	int from = packet_socket(argv[2], 0), to = packet_socket(argv[3], 0);
	int64_t delay_ns = argc > 4 ? strtoll(argv[4], NULL, 10) * NS_PER_US : 0;
	int from_vlan = argc > 5 ? atoi(argv[5]) : 0, to_vlan = argc > 6 ? atoi(argv[6]) : 0;

	puts("ready");
	fflush(stdout);
	for (;;) {
		struct pollfd p = {.fd = port, .events = POLLIN};
		int64_t left = put_due(to);
		struct timespec t = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
		ppoll(&p, 1, left < 0 ? NULL : &t, NULL);

		uint8_t frame[FRAME_MAX];
		struct sockaddr_ll addr;
		socklen_t addr_n = sizeof addr;
		ssize_t got = recvfrom(port, frame, sizeof frame - TAG, MSG_DONTWAIT | MSG_TRUNC,
				       (struct sockaddr *)&addr, &addr_n);
		if (got < 0)
			continue;
		if (got > (ssize_t)sizeof frame - TAG)
			FAILED("a frame of %zd bytes\n", got);
		bool is_from = addr.sll_pkttype != PACKET_OUTGOING;
		size_t n = tag(frame, (size_t)got, is_from ? from_vlan : to_vlan);
		if (is_from)
			put(from, frame, n);
		else if (delay_ns > 0)
			keep(frame, n, now_ns() + delay_ns);
		else
			put(to, frame, n);
	}
}
