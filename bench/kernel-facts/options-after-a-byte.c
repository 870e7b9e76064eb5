/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Options cannot be set any more once a byte was sent: they come first. tcprepair/restore.c:
 * build(). */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "fact.h"

int main(void)
{
	struct fact f;
	struct tcp_repair_opt opt = {4, 0};

	fact_begin(&f, "options-after-a-byte");
	fact_connect(&f);
	fact_say(f.box, 0, 10);
	fact_hear(f.client, 0, 10, 3000);
	fact_repair(f.box, TCP_REPAIR_ON);
	int r = setsockopt(f.box, IPPROTO_TCP, TCP_REPAIR_OPTIONS, &opt, sizeof opt) < 0 ? errno
											 : 0;
	fact_end(&f, r == EPERM, "TCP_REPAIR_OPTIONS after ten bytes: %s",
		 r ? strerror(r) : "taken");
}
