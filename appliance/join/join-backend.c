/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-backend.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/descriptors.h"
#include "join-module.h"
#include "join-side.h"
#include "join-tls.h"

#define OP_CONNECT (JOIN_OP_CONNECT + JOIN_BACKEND)
#define OP_TIMEOUT (JOIN_OP_TIMEOUT + JOIN_BACKEND)

int join_backend_init(struct join *j, const struct endpoint *e)
{
	j->backend_address_n = join_address(e, &j->backend_address);
	return j->backend_address_n == 0 ? -EAFNOSUPPORT : 0;
}

void join_backend_want(struct join *j)
{
	if (j->backend == JOIN_BACKEND_NONE)
		j->backend = JOIN_BACKEND_WANTED;
}

bool join_backend_set_port(struct join *j, uint16_t port)
{
	/* A backend whose port is not known is not connected yet, whatever is queued for it. */
	bool waits = j->port_unknown && j->backend == JOIN_BACKEND_WANTED;
	if (j->backend != JOIN_BACKEND_NONE && !waits)
		return false;
	if (port == 0) {
		j->backend = JOIN_BACKEND_VOID;
		join_queue_clear(&j->side[JOIN_BACKEND].out, &j->thread->buffers);
	}
	j->port_unknown = false;
	if (port == 0)
		return true;
	if (j->backend_address.sa.sa_family == AF_INET6)
		j->backend_address.in6.sin6_port = htons(port);
	else
		j->backend_address.in.sin_port = htons(port);
	return true;
}

void join_backend_lost(struct join *j, const char *reason)
{
	if (j->backend == JOIN_BACKEND_LOST)
		return;
	j->backend = JOIN_BACKEND_LOST;
	j->lost_reason = reason;
	join_module_tell(j, JEEBS_EV_BACKEND_FAILED, JOIN_NO_BYTES);
}

static void submit_connect(struct join *j)
{
	struct io_uring_sqe *sqe = join_side_entry(j, OP_CONNECT, 2);
	if (sqe == NULL)
		return;
	io_uring_prep_connect(sqe, j->side[JOIN_BACKEND].fd, &j->backend_address.sa,
			      j->backend_address_n);
	sqe->flags |= IOSQE_IO_LINK;
	join_side_tag(sqe, j, OP_CONNECT);

	sqe = join_side_entry(j, OP_TIMEOUT, 0);
	io_uring_prep_link_timeout(sqe, &j->thread->connect_timeout, 0);
	join_side_tag(sqe, j, OP_TIMEOUT);
	j->backend = JOIN_BACKEND_CONNECTING;
}

/*
 * Whether a limit of this box was reached: no descriptor, or no local port towards the backup. The
 * backup is not at fault.
 */
static bool is_ceiling(int error)
{
	return error == EMFILE || error == ENFILE || error == EADDRNOTAVAIL;
}

static void connect_failed(struct join *j, int error)
{
	struct join_thread *t = j->thread;

	if (is_ceiling(error)) {
		join_count(&t->count.connect_ceiling, 1);
		join_thread_tell_ceiling(t, error);
	}
	join_backend_lost(j, "backend-failed");
}

void join_backend_completed(struct join *j, int res)
{
	if (j->dying || j->backend != JOIN_BACKEND_CONNECTING)
		return;
	if (res < 0) {
		connect_failed(j, -res);
		return;
	}
	join_side_tune(j->side[JOIN_BACKEND].fd);
	if (join_tls_seals(j)) {
		join_tls_begin(j);
		return;
	}
	j->backend = JOIN_BACKEND_UP;
	join_module_tell(j, JEEBS_EV_BACKEND_UP, JOIN_NO_BYTES);
}

void join_backend_connect(struct join *j)
{
	struct join_side *b = &j->side[JOIN_BACKEND];
	if (j->backend != JOIN_BACKEND_WANTED || j->port_unknown)
		return;
	if (b->fd < 0)
		/* The socket is blocking: on a nonblocking one io_uring would not wait for the
		 * connection. */
		b->fd = descriptors_for_connection(
			socket(j->backend_address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
	if (b->fd < 0)
		connect_failed(j, errno);
	else
		submit_connect(j);
}

void join_backend_close_lost(struct join *j)
{
	struct join_side *b = &j->side[JOIN_BACKEND];
	if (j->backend != JOIN_BACKEND_LOST || b->fd < 0)
		return;
	if (j->pending & join_side_ops(JOIN_BACKEND)) {
		if (!(j->pending & JOIN_BIT(JOIN_OP_CANCEL + JOIN_BACKEND)))
			join_side_cancel(j, JOIN_BACKEND);
		return;
	}
	list_del(&b->park);
	join_side_close(j, JOIN_BACKEND);
}
