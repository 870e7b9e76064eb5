/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A FIN that the client has acknowledged is recorded by shutdown() in repair with the send
 * queue selected: no packet leaves, and the client's next ACK covers it. So a half-closed
 * connection goes on half-closed. tcprepair/restore.c: queue_fin(); libsoccr does the same.
 */
#include "fact.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>

#define FIN_WAIT1 4 /* enum tcp_state of the kernel */
#define FIN_WAIT2 5
#define BYTES     100

static int state(int fd)
{
	struct tcp_info i = {0};
	socklen_t n = sizeof i;

	getsockopt(fd, IPPROTO_TCP, TCP_INFO, &i, &n);
	return i.tcpi_state;
}

static bool is_half_closed(void *ctx)
{
	return state(*(int *)ctx) == FIN_WAIT2;
}

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "fin-recorded-in-repair");
	fact_connect(&f);
	shutdown(f.box, SHUT_WR);
	if (!fact_wait(is_half_closed, &f.box, 3000))
		fact_end(&f, false, "the FIN was never acknowledged");
	fact_take_apart(&f, &s);
	uint32_t before = fact_segs_in(f.client);
	int r = fact_restore(&f, &s, &(struct fact_restore){.back = 1, .stay = true});
	bool queued = r == 0 && shutdown(f.box, SHUT_WR) == 0 && state(f.box) == FIN_WAIT1;
	/* Out of repair only an ESTABLISHED socket probes: nothing from this one either. */
	bool live = queued && fact_repair(f.box, TCP_REPAIR_OFF) == 0;
	bool silent = fact_segs_in(f.client) == before;
	fact_say(f.client, 0, BYTES);
	size_t heard = live ? fact_hear(f.box, 0, BYTES, 3000) : 0;
	bool covered = live && fact_wait(is_half_closed, &f.box, 3000);
	fact_end(&f, live && silent && heard == BYTES && covered,
		 "shutdown() in repair: %s; the client's next ACK %s it; %zu of %d bytes heard",
		 silent ? "no packet" : "a packet", covered ? "covers" : "does not cover", heard,
		 BYTES);
}
