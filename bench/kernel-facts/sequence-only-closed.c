/* SPDX-License-Identifier: GPL-3.0-or-later */
/* The numbers of the queues can be set before connect() only. tcprepair/restore.c: set_sequence().
 */
#include <errno.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#include "fact.h"

int main(void)
{
	struct fact f;
	int queue = TCP_SEND_QUEUE;
	uint32_t seq = 1;

	fact_begin(&f, "sequence-only-closed");
	fact_connect(&f);
	fact_repair(f.box, TCP_REPAIR_ON);
	setsockopt(f.box, IPPROTO_TCP, TCP_REPAIR_QUEUE, &queue, sizeof queue);
	int r = setsockopt(f.box, IPPROTO_TCP, TCP_QUEUE_SEQ, &seq, sizeof seq) < 0 ? errno : 0;
	fact_end(&f, r == EPERM, "TCP_QUEUE_SEQ of an established socket: %s",
		 r ? strerror(r) : "taken");
}
