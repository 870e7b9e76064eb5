/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * Leaving repair clears SO_REUSEADDR, and nobody could listen on the port any more until it is set
 * again. tcprepair/restore.c: go_live().
 */
#include <netinet/in.h>
#include <linux/tcp.h>
#include <sys/socket.h>

#include "fact.h"

static int reuse(int fd)
{
	int v = -1;
	socklen_t n = sizeof v;

	getsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &v, &n);
	return v;
}

int main(void)
{
	struct fact f;
	struct fact_state s;
	int on = 1;

	fact_begin(&f, "repair-off-clears-reuseaddr");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.stay = true});
	setsockopt(f.box, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	fact_repair(f.box, TCP_REPAIR_OFF);
	int after = reuse(f.box);
	setsockopt(f.box, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	fact_end(&f, reuse(f.box) == 1, "SO_REUSEADDR is %d after it, and can be set again", after);
}
