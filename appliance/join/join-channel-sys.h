/* SPDX-License-Identifier: GPL-3.0-or-later */
/* join-channel-sys: the sockets of channels. They are blocking, for io_uring. */
#ifndef APPLIANCE_JOIN_CHANNEL_SYS_H
#define APPLIANCE_JOIN_CHANNEL_SYS_H

#include "base/netaddr.h"

/* On @service's address, on *io_port, or where that is 0, taken or @service's, on a port of the
 * kernel's choice; *io_port: which. Or negative errno. */
int join_channel_listening_socket(const struct endpoint *service, uint16_t *io_port);
/* Bound to @from; to another port of it where that one is taken or not allowed, or 0. */
int join_channel_client_socket(const struct endpoint *from);
/* Closes it with a reset. */
void join_channel_reset(int fd);

#endif
