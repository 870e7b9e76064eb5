/* SPDX-License-Identifier: GPL-3.0-or-later */
/* TCP_REPAIR belongs to CAP_NET_ADMIN: without it nobody builds sockets in other people's names. */
#include <errno.h>
#include <linux/tcp.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fact.h"

int main(void)
{
	struct fact f;

	fact_begin(&f, "repair-needs-net-admin");
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int root = fact_repair(fd, TCP_REPAIR_ON);
	fact_repair(fd, TCP_REPAIR_OFF);
	if (setresuid(65534, 65534, 65534) < 0)
		fact_skip(&f, "the user cannot be changed");
	int nobody = fact_repair(fd, TCP_REPAIR_ON);
	fact_end(&f, root == 0 && nobody == -EPERM, "root: %s; nobody: %s",
		 root ? strerror(-root) : "taken", nobody ? strerror(-nobody) : "taken");
}
