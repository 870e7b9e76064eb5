/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-channel.h"

#include <errno.h>
#include <unistd.h>

#include "base/clock.h"
#include "join-channel-sys.h"
#include "join-family.h"
#include "join-module.h"
#include "join-side.h"

#define OP_ARRIVE  (JOIN_OP_CONNECT + JOIN_CLIENT) /* accept or connect */
#define OP_TIMEOUT (JOIN_OP_TIMEOUT + JOIN_CLIENT)

static struct __kernel_timespec limit(const struct join_thread *t)
{
	int64_t ns = clock_mono_ns() + t->config->client_timeout_ns;
	return (struct __kernel_timespec){.tv_sec = ns / NS_PER_S, .tv_nsec = ns % NS_PER_S};
}

static struct join *new_channel(struct join *j, int fd, enum join_arrival arrival)
{
	struct join *c = fd < 0 ? NULL : join_family_add(join_main(j));
	if (c == NULL) {
		if (fd >= 0)
			close(fd);
		return NULL;
	}
	c->side[JOIN_CLIENT].fd = fd;
	c->arrival = (uint8_t)arrival;
	c->arrival_limit = limit(c->thread);
	return c;
}

/* Counts a socket that could not be opened, for want of descriptors or otherwise. Passes @fd on. */
static int opened(struct join *j, int fd)
{
	if (fd < 0)
		join_count(&j->thread->count.channel_ceiling, 1);
	return fd;
}

struct join *join_channel_listen(struct join *j, uint16_t *io_port)
{
	const struct endpoint *service = &join_main(j)->end[JEEBS_END_SERVICE];
	uint16_t port = *io_port;
	int fd = opened(j, join_channel_listening_socket(service, &port));
	struct join *c = new_channel(j, fd, JOIN_LISTENING);

	if (c != NULL)
		*io_port = port;
	return c;
}

struct join *join_channel_connect(struct join *j, const struct endpoint *to, uint16_t from_port)
{
	const struct endpoint *end = join_main(j)->end;

	/* Without this check a client could make the box connect to a third host (RFC 2577
	 * section 3). */
	if (to->port == 0 || !netaddr_eq(&to->addr, &end[JEEBS_END_CLIENT].addr))
		return NULL;
	struct endpoint from = end[JEEBS_END_SERVICE];
	from.port = from_port;
	int fd = opened(j, join_channel_client_socket(&from));
	struct join *c = new_channel(j, fd, JOIN_CALLING);
	if (c == NULL)
		return NULL;
	c->end[JEEBS_END_SERVICE] = from;
	c->end[JEEBS_END_CLIENT] = *to;
	c->arrival_address_n = join_address(to, &c->arrival_address);
	return c;
}

void join_channel_work(struct join *c)
{
	int fd = c->side[JOIN_CLIENT].fd;

	if (c->arrival == JOIN_ARRIVED || c->pending & (JOIN_BIT(OP_ARRIVE) | JOIN_BIT(OP_TIMEOUT)))
		return;
	struct io_uring_sqe *sqe = join_side_entry(c, OP_ARRIVE, 2);
	if (sqe == NULL)
		return;
	if (c->arrival == JOIN_LISTENING) {
		/* accept() gives the address now: a client that resets at once has none for
		 * getpeername(). */
		c->arrival_address_n = sizeof c->arrival_address;
		io_uring_prep_accept(sqe, fd, &c->arrival_address.sa, &c->arrival_address_n,
				     SOCK_CLOEXEC);
	} else {
		io_uring_prep_connect(sqe, fd, &c->arrival_address.sa, c->arrival_address_n);
	}
	sqe->flags |= IOSQE_IO_LINK;
	join_side_tag(sqe, c, OP_ARRIVE);

	sqe = join_side_entry(c, OP_TIMEOUT, 0);
	io_uring_prep_link_timeout(sqe, &c->arrival_limit, IORING_TIMEOUT_ABS);
	join_side_tag(sqe, c, OP_TIMEOUT);
}

static void arrived(struct join *c)
{
	join_side_tune(c->side[JOIN_CLIENT].fd);
	c->arrival = JOIN_ARRIVED;
	join_module_tell(c, JEEBS_EV_CLIENT_UP, JOIN_NO_BYTES);
}

static void failed(struct join *c)
{
	join_count(&c->thread->count.channel_failed, 1);
	join_abort(c, "client-failed");
}

/* Closes a connection that comes from another address than the client's. */
static void accepted(struct join *c, int fd)
{
	const struct endpoint *client = &join_main(c)->end[JEEBS_END_CLIENT];
	struct endpoint peer;

	if (endpoint_from_sockaddr(&c->arrival_address.sa, &peer) < 0 ||
	    !netaddr_eq(&peer.addr, &client->addr)) {
		join_count(&c->thread->count.strangers, 1);
		join_channel_reset(fd);
		return;
	}
	/* No operation uses the listening socket: its accept has just completed. */
	close(c->side[JOIN_CLIENT].fd);
	c->side[JOIN_CLIENT].fd = fd;
	arrived(c);
}

static bool is_transient(int error)
{
	return error == EINTR || error == EAGAIN || error == ECONNABORTED;
}

/* The port already has a connection to the client's port. Any other port will do. */
static bool try_another_port(struct join *c, int error)
{
	struct endpoint from = c->end[JEEBS_END_SERVICE];

	if (error != EADDRNOTAVAIL || from.port == 0)
		return false;
	from.port = 0;
	int fd = join_channel_client_socket(&from);
	if (fd < 0)
		return false;
	close(c->side[JOIN_CLIENT].fd);
	c->side[JOIN_CLIENT].fd = fd;
	c->end[JEEBS_END_SERVICE] = from;
	return true;
}

void join_channel_completed(struct join *c, int res)
{
	bool listening = c->arrival == JOIN_LISTENING;

	if (c->dying) {
		if (listening && res >= 0)
			join_channel_reset(res);
	} else if (res < 0) {
		if (!(listening && is_transient(-res)) &&
		    !(!listening && try_another_port(c, -res)))
			failed(c);
	} else if (listening) {
		accepted(c, res);
	} else {
		arrived(c);
	}
}
