/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-channel-sys.h"

#include <errno.h>
#include <netinet/in.h>
#include <unistd.h>

#include "base/descriptors.h"

/* One connection is expected. Strangers may come before it. */
#define BACKLOG 8

static int close_failed(int fd, int error)
{
	close(fd);
	return -error;
}

/*
 * The socket is transparent where the kernel allows it. So the guard can tell it from a new
 * connection for the backup (tcprepair.h). It also makes bind() work while the address is not on
 * this box yet.
 */
static int open_socket(const struct endpoint *e)
{
	bool v6 = e->addr.family == NETADDR_V6;
	int on = 1, fd = descriptors_for_connection(
			    socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));

	if (fd < 0)
		return -errno;
	if (setsockopt(fd, v6 ? IPPROTO_IPV6 : IPPROTO_IP, v6 ? IPV6_TRANSPARENT : IP_TRANSPARENT,
		       &on, sizeof on) < 0 &&
	    errno != EPERM)
		return close_failed(fd, errno);
	/* Other connections may use the same port, or may have used it. */
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) < 0)
		return close_failed(fd, errno);
	return fd;
}

static int bind_to(int fd, const struct endpoint *e, uint16_t port)
{
	struct endpoint at = *e;
	struct sockaddr_storage ss;

	at.port = port;
	socklen_t n = endpoint_to_sockaddr(&at, &ss);
	return bind(fd, (struct sockaddr *)&ss, n) < 0 ? -errno : 0;
}

static int listen_on(const struct endpoint *service, uint16_t port, struct endpoint *ret)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	int fd = open_socket(service);

	if (fd < 0)
		return fd;
	int r = bind_to(fd, service, port);
	if ((r == -EADDRINUSE || r == -EACCES) && port != 0)
		r = bind_to(fd, service, 0);
	if (r < 0)
		return close_failed(fd, -r);
	if (listen(fd, BACKLOG) < 0 || getsockname(fd, (struct sockaddr *)&ss, &n) < 0)
		return close_failed(fd, errno);
	r = endpoint_from_sockaddr((struct sockaddr *)&ss, ret);
	return r < 0 ? close_failed(fd, -r) : fd;
}

int join_channel_listening_socket(const struct endpoint *service, uint16_t *io_port)
{
	struct endpoint at;
	int fd = listen_on(service, *io_port == service->port ? 0 : *io_port, &at);

	if (fd >= 0 && at.port == service->port) {
		/* The kernel has chosen the service's own port, where new connections go to the
		 * backup. While this socket is open, the kernel chooses another one. */
		int other = listen_on(service, 0, &at);
		close(fd);
		fd = other;
	}
	if (fd >= 0)
		*io_port = at.port;
	return fd;
}

int join_channel_client_socket(const struct endpoint *from)
{
	int fd = open_socket(from), r;

	if (fd < 0)
		return fd;
	r = bind_to(fd, from, from->port);
	if ((r == -EADDRINUSE || r == -EACCES) && from->port != 0)
		r = bind_to(fd, from, 0);
	return r < 0 ? close_failed(fd, -r) : fd;
}

void join_channel_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};

	setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
	close(fd);
}
