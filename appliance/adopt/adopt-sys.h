/* SPDX-License-Identifier: GPL-3.0-or-later */
/* adopt-sys: the system calls of handing a connection over. Nothing here blocks. */
#ifndef APPLIANCE_ADOPT_SYS_H
#define APPLIANCE_ADOPT_SYS_H

#include <sys/types.h>

#include "base/bytes.h"

/*
 * Connects to a program's socket, if it may be trusted: it runs as root, as this process's
 * user, or as the owner of the socket, whose folder nobody else may write to. 0; -EAGAIN its
 * queue is full; -EPERM not trusted; or what the kernel said.
 */
int adopt_sys_connect(const char *path, int *ret_fd);
/* One packet, with a descriptor if @passed >= 0. 0, -EAGAIN, or what the kernel said. */
int adopt_sys_send(int fd, struct bytes packet, int passed);
/* One packet. Its length, 0 at the end; -EMSGSIZE: longer than @cap; -EAGAIN; or errno. */
ssize_t adopt_sys_receive(int fd, uint8_t *out, size_t cap);
/* Resets the TCP connection, though others may hold descriptors of it, and closes ours. */
void adopt_sys_reset(int fd);

#endif
