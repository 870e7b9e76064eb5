/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Since Linux 6.7 bit 0 of TCP_TIMESTAMP switches the socket to microseconds. A value from the wire
 * must lose it, or the clock runs a thousand times too fast. tcprepair/snapshot/snapshot.c:
 * snapshot_tsval_at().
 */
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>

#include "fact.h"

/* Ticks in 100 ms, after @value was set. */
static uint32_t ticks(int fd, uint32_t value)
{
	uint32_t before, after;
	socklen_t n = sizeof before;

	if (setsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &value, sizeof value) < 0 ||
	    getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &before, &n) < 0)
		return 0;
	poll(NULL, 0, 100); /* what is measured */
	return getsockopt(fd, IPPROTO_TCP, TCP_TIMESTAMP, &after, &n) < 0 ? 0 : after - before;
}

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "timestamp-low-bit");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.stay = true});
	uint32_t even = ticks(f.box, 1000000), odd = ticks(f.box, 1000001);
	fact_end(&f,
		 even >= 50 && even<5000,
				    "an even value counts milliseconds (%u in 100 ms), an odd one "
				    "%s (%u)",
				    even, odd> 20000
			 ? "microseconds"
			 : "milliseconds too",
		 odd);
}
