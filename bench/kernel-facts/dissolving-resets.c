/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * A connection whose descriptor another process holds too is not reset by closing ours, whatever
 * SO_LINGER says; connect() to AF_UNSPEC resets it. appliance/adopt/adopt-sys.c: adopt_sys_reset().
 */
#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

static bool is_told(const struct fact *f)
{
	struct pollfd p = {.fd = f->client, .events = POLLIN};

	return poll(&p, 1, 300) == 1;
}

int main(void)
{
	const struct linger now = {.l_onoff = 1, .l_linger = 0};
	const struct sockaddr none = {.sa_family = AF_UNSPEC};
	struct fact f;
	char c;

	fact_begin(&f, "dissolving-resets");
	fact_connect(&f);
	int theirs = dup(f.box), ours = dup(f.box);
	setsockopt(f.box, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(f.box);
	f.box = theirs;
	bool by_close = is_told(&f);
	int r = connect(ours, &none, sizeof none);
	bool by_connect = is_told(&f) && recv(f.client, &c, 1, 0) < 0 && errno == ECONNRESET;
	fact_end(&f, !by_close && r == 0 && by_connect,
		 "close() with a second descriptor: %s; connect(): %s",
		 by_close ? "told" : "nothing", by_connect ? "reset" : "nothing");
}
