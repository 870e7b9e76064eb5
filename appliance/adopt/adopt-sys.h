/* SPDX-License-Identifier: GPL-3.0-or-later */
/* adopt-sys: the system calls of handing a connection over. Nothing here blocks. */
#ifndef APPLIANCE_ADOPT_SYS_H
#define APPLIANCE_ADOPT_SYS_H

#include <sys/types.h>

#include "base/bytes.h"

/*
 * Connects to a program's socket, if the program may be trusted. It must run as root, as this
 * process's user, or as the owner of the socket, and nobody else may write to the socket's folder.
 * Returns 0, -EAGAIN (the program's queue is full), -EPERM (not trusted), or the kernel's errno.
 */
int adopt_sys_connect(const char *path, int *ret_fd);
/*
 * Sends one packet, with the descriptor @passed if it is not negative. Returns 0, -EAGAIN, or the
 * kernel's errno.
 */
int adopt_sys_send(int fd, struct bytes packet, int passed);
/*
 * Receives one packet. Returns its length, 0 at the end, -EMSGSIZE (longer than @cap), -EAGAIN, or
 * the kernel's errno.
 */
ssize_t adopt_sys_receive(int fd, uint8_t *out, size_t cap);
/* Resets the TCP connection, even if other processes hold descriptors of it. Closes @fd. */
void adopt_sys_reset(int fd);

#endif
