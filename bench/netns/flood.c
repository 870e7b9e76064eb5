/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * flood ADDRESS PORT BYTES: UDP datagrams at an address, from many ports, as fast as it goes,
 * until it is ended. Fanout spreads them over all rings of who listens in.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>

#define SOURCES   16
#define BATCH     64
#define BYTES_MAX 1472

static int source(const struct sockaddr_in *to)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	if (fd < 0 || connect(fd, (const struct sockaddr *)to, sizeof *to) < 0) {
		perror("flood");
		exit(EX_OSERR);
	}
	return fd;
}

int main(int argc, char **argv)
{
	static uint8_t payload[BYTES_MAX];
	struct sockaddr_in to = {.sin_family = AF_INET};
	struct mmsghdr batch[BATCH] = {0};
	int fd[SOURCES];

	if (argc != 4 || inet_pton(AF_INET, argv[1], &to.sin_addr) != 1) {
		fprintf(stderr, "usage: flood ADDRESS PORT BYTES\n");
		return EX_USAGE;
	}
	to.sin_port = htons((uint16_t)atoi(argv[2]));
	size_t n = strtoul(argv[3], NULL, 10);
	struct iovec v = {payload, n < BYTES_MAX ? n : BYTES_MAX};

	for (int i = 0; i < SOURCES; i++)
		fd[i] = source(&to);
	for (int i = 0; i < BATCH; i++)
		batch[i].msg_hdr = (struct msghdr){.msg_iov = &v, .msg_iovlen = 1};
	/* What the target answers (port unreachable) is reported here, and does not matter. */
	for (unsigned i = 0;; i++)
		if (sendmmsg(fd[i % SOURCES], batch, BATCH, 0) < 0 && errno != ECONNREFUSED &&
		    errno != ENOBUFS && errno != EHOSTUNREACH && errno != ENETDOWN) {
			perror("flood");
			return EX_OSERR;
		}
}
