/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * TCP_REPAIR_WINDOW refuses a largest window below the present one, and an update that lies beyond
 * our own window. tcprepair/restore.c: set_window() keeps to both.
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "fact.h"

static int set(int fd, struct tcp_repair_window w)
{
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR_WINDOW, &w, sizeof w) < 0 ? errno : 0;
}

int main(void)
{
	struct fact f;
	struct fact_state s;

	fact_begin(&f, "window-is-checked");
	fact_connect(&f);
	fact_take_apart(&f, &s);
	fact_restore(&f, &s, &(struct fact_restore){.stay = true});
	int small = set(f.box, (struct tcp_repair_window){s.rcv, 5000, 4000, 60000, s.rcv});
	int ahead = set(f.box, (struct tcp_repair_window){s.rcv + 70000, 5000, 6000, 60000, s.rcv});
	int fine = set(f.box, (struct tcp_repair_window){s.rcv, 5000, 6000, 60000, s.rcv});
	fact_end(&f, small == EINVAL && ahead == EINVAL && fine == 0,
		 "largest below present: %s; update ahead: %s; in order: %s", strerror(small),
		 strerror(ahead), fine ? strerror(fine) : "taken");
}
