/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TCP_REPAIR_OPTIONS sets only the clamp of the MSS: without TCP_MAXSEG before connect() a restored
 * socket sends small segments for its whole life. tcprepair/restore.c: set_mss().
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

static uint32_t mss_of(int fd)
{
	struct tcp_info i;
	socklen_t n = sizeof i;

	return getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n) == 0 ? i.tcpi_snd_mss : 0;
}

int main(void)
{
	struct fact f;
	struct fact_state s;
	uint32_t without, with;

	fact_begin(&f, "mss-before-connect");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.no_maxseg = true});
	without = mss_of(f.box);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){0});
	with = mss_of(f.box);
	fact_end(&f, with == 1448, "%u without TCP_MAXSEG before connect(), %u with it", without,
		 with);
}
