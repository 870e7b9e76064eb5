/* SPDX-License-Identifier: GPL-3.0-or-later */
/* socket-ends: both ends of a TCP connection, from the server's socket. */
#ifndef KEYVAULT_SOCKET_ENDS_H
#define KEYVAULT_SOCKET_ENDS_H

#include <stdbool.h>

#include "base/netaddr.h"

struct socket_ends {
	struct endpoint server;
	struct endpoint client;
};

/* False: @fd is none of a TCP connection. errno is as before. */
bool socket_ends_of(int fd, struct socket_ends *ret);

#endif
