/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * With IP_TRANSPARENT a socket can be built before its address is here; with IP_FREEBIND connect()
 * fails. tcprepair/restore.c: set_transparent().
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

static int build(int option)
{
	struct sockaddr_in own = {.sin_family = AF_INET, .sin_port = htons(FACT_PORT)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(40000)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;

	own.sin_addr.s_addr = htonl(0x0a09004d); /* 10.9.0.77: nobody's */
	to.sin_addr.s_addr = htonl(0x0a09000a);
	int r = setsockopt(fd, IPPROTO_IP, option, &on, sizeof on) < 0 || fact_repair(fd, 1) < 0 ||
				bind(fd, (struct sockaddr *)&own, sizeof own) < 0 ||
				connect(fd, (struct sockaddr *)&to, sizeof to) < 0
			? errno
			: 0;
	fact_repair(fd, 1);
	close(fd);
	return r;
}

int main(void)
{
	struct fact f;

	fact_begin(&f, "transparent-before-address");
	fact_enter_box(&f);
	int transparent = build(IP_TRANSPARENT), freebind = build(IP_FREEBIND);
	fact_end(&f, transparent == 0, "IP_TRANSPARENT: %s; IP_FREEBIND: %s",
		 transparent ? strerror(transparent) : "built",
		 freebind ? strerror(freebind) : "built");
}
