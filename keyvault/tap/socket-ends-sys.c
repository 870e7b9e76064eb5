/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "socket-ends.h"

#include <errno.h>

static bool ends_of(int fd, struct socket_ends *e)
{
	struct sockaddr_storage here, there;
	socklen_t here_bytes = sizeof here, there_bytes = sizeof there;
	int type;
	socklen_t type_bytes = sizeof type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_bytes) < 0 || type != SOCK_STREAM)
		return false;
	if (getpeername(fd, (struct sockaddr *)&there, &there_bytes) < 0 ||
	    getsockname(fd, (struct sockaddr *)&here, &here_bytes) < 0)
		return false;
	return endpoint_from_sockaddr((const struct sockaddr *)&here, &e->server) == 0 &&
	       endpoint_from_sockaddr((const struct sockaddr *)&there, &e->client) == 0;
}

bool socket_ends_of(int fd, struct socket_ends *ret)
{
	struct socket_ends e;
	int error = errno;
	bool ok = fd >= 0 && ends_of(fd, &e);

	if (ok)
		*ret = e;
	errno = error;
	return ok;
}
