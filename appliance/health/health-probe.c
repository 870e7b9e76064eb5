/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "health-probe.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The one place where errno of a connect becomes a result. */
static enum health_result result_of(int error)
{
	switch (error) {
	case 0:
		return HEALTH_OK;
	case ECONNREFUSED:
	case ECONNRESET:
		return HEALTH_REFUSED;
	/* The kernel's neighbour table or a router found nobody there: silence, told early. */
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ETIMEDOUT:
		return HEALTH_SILENT;
	default:
		return HEALTH_ERROR;
	}
}

static int set_option(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof value) < 0 ? -errno : 0;
}

static int bind_own(int fd, const struct netaddr *own)
{
	struct endpoint e = {.addr = *own};
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(&e, &ss);

	/* The port is chosen at connect, when the other end is known: otherwise many probes from
	 * one address run out of ports. */
	int r = set_option(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1);
	if (r < 0)
		return r;
	return bind(fd, (struct sockaddr *)&ss, n) < 0 ? -errno : 0;
}

static int prepare(int fd, const struct netaddr *own)
{
	struct linger reset = {.l_onoff = 1, .l_linger = 0};

	if (setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof reset) < 0)
		return -errno;
	/* Delays the ACK of the SYN-ACK, so that the RST goes out in its place. */
	int r = set_option(fd, IPPROTO_TCP, TCP_QUICKACK, 0);
	if (r < 0)
		return r;
	return own ? bind_own(fd, own) : 0;
}

/* Afterwards the socket may have none any more. */
static uint16_t own_port(int fd)
{
	struct sockaddr_storage ss = {0};
	socklen_t n = sizeof ss;
	struct endpoint e;

	if (getsockname(fd, (struct sockaddr *)&ss, &n) < 0 ||
	    endpoint_from_sockaddr((struct sockaddr *)&ss, &e) < 0)
		return 0;
	return e.port;
}

enum health_result health_probe_tcp_start(struct health_probe_tcp *p, const struct endpoint *to,
					  const struct netaddr *own, int *ret_error)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(to, &ss);

	_cleanup_close_ int fd =
		socket(ss.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0) {
		*ret_error = -errno;
		return HEALTH_ERROR;
	}
	int r = prepare(fd, own);
	if (r < 0) {
		*ret_error = r;
		return HEALTH_ERROR;
	}
	int error = connect(fd, (struct sockaddr *)&ss, n) < 0 ? errno : 0;
	if (error == EINPROGRESS) {
		p->own_port = own_port(fd);
		p->fd = take_fd(&fd);
		return HEALTH_PENDING;
	}
	enum health_result result = result_of(error);
	if (result == HEALTH_ERROR)
		*ret_error = -error;
	return result;
}

enum health_result health_probe_tcp_check(struct health_probe_tcp *p, int *ret_error)
{
	struct pollfd pfd = {.fd = p->fd, .events = POLLOUT};
	int error = 0;
	socklen_t n = sizeof error;

	if (poll(&pfd, 1, 0) == 0) /* SO_ERROR is 0 before the handshake is over, too */
		return HEALTH_PENDING;
	if (getsockopt(p->fd, SOL_SOCKET, SO_ERROR, &error, &n) < 0)
		error = errno;
	health_probe_tcp_stop(p);
	enum health_result result = result_of(error);
	if (result == HEALTH_ERROR)
		*ret_error = -error;
	return result;
}

void health_probe_tcp_stop(struct health_probe_tcp *p)
{
	if (p->fd >= 0)
		close(p->fd);
	p->fd = -1;
}
