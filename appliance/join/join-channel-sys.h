/* SPDX-License-Identifier: GPL-3.0-or-later */
/* join-channel-sys: the sockets of channels. They are blocking, for io_uring. */
#ifndef APPLIANCE_JOIN_CHANNEL_SYS_H
#define APPLIANCE_JOIN_CHANNEL_SYS_H

#include "base/netaddr.h"

/* Listens on @service's address and the port *io_port. The kernel chooses the port if *io_port
 * is 0, taken, or @service's own; then *io_port becomes that port. Returns the socket or a
 * negative errno. */
int join_channel_listening_socket(const struct endpoint *service, uint16_t *io_port);
/* Makes a socket bound to @from. If the port is 0, taken or not allowed, the kernel chooses one. */
int join_channel_client_socket(const struct endpoint *from);
/* Closes @fd with a reset. */
void join_channel_reset(int fd);

#endif
