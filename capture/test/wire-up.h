/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * wire-up: a cable that tests have just laid. Its carrier comes by the kernel's worker; what is
 * sent before is lost, and nobody is told.
 */
#ifndef CAPTURE_WIRE_UP_H
#define CAPTURE_WIRE_UP_H

#include <arpa/inet.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define WIRE_UP_ETHERTYPE 0x88b5 /* for local experiments; no test's filter passes it */
#define WIRE_UP_TRIES     6000
#define WIRE_UP_TRY_MS    10

static inline int wire_up_socket(const char *interface)
{
	struct sockaddr_ll addr = {.sll_family = AF_PACKET,
				   .sll_protocol = htons(WIRE_UP_ETHERTYPE),
				   .sll_ifindex = (int)if_nametoindex(interface)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	if (fd < 0 || bind(fd, (struct sockaddr *)&addr, sizeof addr) == 0)
		return fd;
	close(fd);
	return -1;
}

/* Waits for frame @i or a later one. */
static inline int wire_up_came(int fd, uint32_t i)
{
	struct pollfd p = {.fd = fd, .events = POLLIN};
	uint8_t frame[64];
	uint32_t got = 0;

	do {
		if (poll(&p, 1, WIRE_UP_TRY_MS) != 1)
			return 0;
		if (recv(fd, frame, sizeof frame, 0) != sizeof frame)
			return 0;
		memcpy(&got, frame + 14, sizeof got);
	} while (got < i);
	return 1;
}

/* Sends frames on @from until the last one arrives on @to. Returns false when none ever does. */
static inline int wire_up(const char *from, const char *to)
{
	uint8_t frame[64] = {0};
	int out = wire_up_socket(from), in = wire_up_socket(to), up = 0;

	memset(frame, 2, 12);
	frame[12] = WIRE_UP_ETHERTYPE >> 8;
	frame[13] = WIRE_UP_ETHERTYPE & 0xff;
	for (uint32_t i = 1; out >= 0 && in >= 0 && !up && i < WIRE_UP_TRIES; i++) {
		memcpy(frame + 14, &i, sizeof i);
		(void)!send(out, frame, sizeof frame, 0); /* refused while the link is down */
		up = wire_up_came(in, i);
	}
	if (out >= 0)
		close(out);
	if (in >= 0)
		close(in);
	return up;
}

#endif
