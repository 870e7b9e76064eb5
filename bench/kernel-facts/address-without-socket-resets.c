/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * An address without the socket is worse than no address: the kernel answers the client's next
 * segment with RST. So the guard is up before the address. tcprepair/guard.c.
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>

#include "fact.h"

int main(void)
{
	struct fact f;
	struct fact_state s;
	int error = 0;
	socklen_t n = sizeof error;

	fact_begin(&f, "address-without-socket-resets");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_say(f.client, 0, 1);
	struct pollfd p = {.fd = f.client, .events = POLLIN};
	poll(&p, 1, 3000);
	getsockopt(f.client, SOL_SOCKET, SO_ERROR, &error, &n);
	fact_end(&f, error == ECONNRESET, "the client's next segment is answered by %s",
		 error == ECONNRESET ? "RST" : "nothing");
}
