/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-side.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "join-backend.h"
#include "join-family.h"
#include "join-module.h"
#include "join-proof.h"
#include "join-tls.h"

static int side_index(const struct join *j, const struct join_side *side)
{
	return (int)(side - j->side);
}

static bool can_send_to(const struct join *j, int s)
{
	return s == JOIN_CLIENT ? j->arrival == JOIN_ARRIVED : j->backend == JOIN_BACKEND_UP;
}

/* Also in the handshake of TLS, when nothing is said yet. */
static bool is_connected(const struct join *j, int s)
{
	return can_send_to(j, s) || (s == JOIN_BACKEND && j->backend == JOIN_BACKEND_SECURING);
}

/* What is sent to side @s, and read from it, is TLS. */
static bool is_sealed(const struct join *j, int s)
{
	return s == JOIN_BACKEND && join_tls_seals(j);
}

bool join_side_has_sent(const struct join *j, int s)
{
	return j->side[s].out.bytes == 0 && (!is_sealed(j, s) || join_tls_has_sent(j));
}

/* Whether bytes from side @s go on without a copy: they come in large pieces, and pass through. */
static bool splices(const struct join *j, int s)
{
	return j->tls == NULL && j->side[s].bulk && join_passes(j, s) && can_send_to(j, !s) &&
	       join_splice_ready(&j->thread->splice);
}

/* Submission ------------------------------------------------------------- */

uint16_t join_side_ops(int s)
{
	return (uint16_t)(JOIN_BIT(JOIN_OP_RECV + s) | JOIN_BIT(JOIN_OP_SEND + s) |
			  JOIN_BIT(JOIN_OP_CANCEL + s) | JOIN_BIT(JOIN_OP_CONNECT + s) |
			  JOIN_BIT(JOIN_OP_TIMEOUT + s));
}

struct io_uring_sqe *join_side_entry(struct join *j, int op, unsigned n)
{
	if (!join_thread_room(j->thread, n)) {
		join_settle_later(j);
		return NULL;
	}
	j->pending |= JOIN_BIT(op);
	return io_uring_get_sqe(&j->thread->ring);
}

void join_side_tag(struct io_uring_sqe *sqe, struct join *j, int op)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)j | (unsigned)op);
}

static void submit_recv(struct join *j, int s)
{
	struct io_uring_sqe *sqe = join_side_entry(j, JOIN_OP_RECV + s, 1);
	if (sqe == NULL)
		return;
	j->side[s].polled = splices(j, s);
	if (j->side[s].polled) {
		io_uring_prep_poll_add(sqe, j->side[s].fd, POLLIN);
	} else {
		io_uring_prep_recv(sqe, j->side[s].fd, NULL, j->thread->buffers.bytes, 0);
		sqe->flags |= IOSQE_BUFFER_SELECT;
		sqe->buf_group = JOIN_BUFFER_GROUP;
	}
	join_side_tag(sqe, j, JOIN_OP_RECV + s);
}

static void submit_send(struct join *j, int s)
{
	struct join_queue *q = &j->side[s].out;
	struct bytes b = is_sealed(j, s) ? join_tls_out(j) : join_queue_head(q);
	if (b.n == 0) {
		if (!is_sealed(j, s))
			join_abort(j, "log-lost");
		return;
	}
	struct io_uring_sqe *sqe = join_side_entry(j, JOIN_OP_SEND + s, 1);
	if (sqe == NULL)
		return;
	/* A shared buffer must not wait for a slow peer. */
	bool lent = !is_sealed(j, s) && join_queue_head_is_lent(q);
	int flags = MSG_NOSIGNAL | (lent ? MSG_DONTWAIT : 0);
	io_uring_prep_send(sqe, j->side[s].fd, b.p, b.n, flags);
	join_side_tag(sqe, j, JOIN_OP_SEND + s);
}

void join_side_cancel(struct join *j, int s)
{
	struct io_uring_sqe *sqe = join_side_entry(j, JOIN_OP_CANCEL + s, 1);
	if (sqe == NULL)
		return;
	io_uring_prep_cancel_fd(sqe, j->side[s].fd, IORING_ASYNC_CANCEL_ALL);
	join_side_tag(sqe, j, JOIN_OP_CANCEL + s);
}

void join_side_make_reset(struct join *j, int s)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	int fd = j->side[s].fd;
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void side_failed(struct join *j, int s, int error)
{
	if (s == JOIN_BACKEND)
		join_backend_lost(j, j->backend == JOIN_BACKEND_SECURING ? "backup-tls-failed"
									 : "backend-reset");
	else
		join_abort(j,
			   error == ECONNRESET || error == EPIPE ? "client-reset" : "client-lost");
}

void join_side_ended(struct join *j, int s)
{
	j->side[s].ended = true;
	if (!join_passes(j, s))
		join_module_tell(j, s == JOIN_CLIENT ? JEEBS_EV_CLIENT_EOF : JEEBS_EV_BACKEND_EOF,
				 JOIN_NO_BYTES);
}

/*
 * Passes bytes from side @s on to the other one. Returns whether the other queue has taken the
 * buffer.
 */
static bool pass_bytes(struct join *j, int s, uint32_t buffer, struct bytes b)
{
	struct join_side *to = &j->side[!s];
	if (s == JOIN_CLIENT)
		join_backend_want(j);
	if (s == JOIN_CLIENT && j->backend == JOIN_BACKEND_LOST) {
		join_abort(j, j->lost_reason);
		return false;
	}
	if (s == JOIN_CLIENT && j->backend == JOIN_BACKEND_VOID)
		return false;
	if (to->finish) {
		join_abort(j, "module-misused");
		return false;
	}
	j->side[s].bulk = b.n >= j->thread->config->splice_bytes;
	bool lend = to->out.bytes == 0 && can_send_to(j, !s) && !is_sealed(j, !s) &&
		    buffer != JOIN_NO_BUFFER;
	int r = lend ? join_queue_lend(&to->out, &j->thread->buffers, buffer, b.n)
		     : join_queue_copy(&to->out, b);
	if (r < 0)
		join_abort(j, "no-memory");
	else if (s == JOIN_CLIENT)
		join_proof_heard(j, b.n);
	return lend && r == 0;
}

/* Returns whether the buffer was lent to a queue. */
static bool take_bytes(struct join *j, int s, uint32_t buffer, struct bytes b)
{
	if (s == JOIN_BACKEND)
		j->answer_owed = false;
	if (j->dying || (s == JOIN_BACKEND && j->backend == JOIN_BACKEND_LOST))
		return false; /* nobody wants the bytes any more */
	if (join_passes(j, s))
		return pass_bytes(j, s, buffer, b);
	join_module_tell(j, s == JOIN_CLIENT ? JEEBS_EV_CLIENT_DATA : JEEBS_EV_BACKEND_DATA,
			 (struct jeebs_bytes){b.p, b.n});
	return false;
}

void join_side_heard(struct join *j, int s, struct bytes b)
{
	take_bytes(j, s, JOIN_NO_BUFFER, b);
}

static void bytes_came(struct join *j, int s, uint32_t buffer, struct bytes b)
{
	bool lent = false;

	if (is_sealed(j, s))
		join_tls_came(j, b);
	else
		lent = take_bytes(j, s, buffer, b);
	if (!lent)
		join_buffer_put(&j->thread->buffers, buffer);
}

static void park(struct join *j, int s)
{
	if (!list_empty(&j->side[s].park))
		return;
	join_count(&j->thread->count.buffer_starved, 1);
	list_add_tail(&j->thread->parked, &j->side[s].park);
}

static bool may_read(const struct join *j, int s)
{
	const struct join_side *side = &j->side[s];
	size_t queued = j->side[!s].out.bytes;

	if (side->ended || !is_connected(j, s))
		return false;
	if (!can_send_to(j, s))
		return true; /* no handshake waits for a slow client */
	if (join_passes(j, s))
		return queued == 0;
	if (s == JOIN_CLIENT && j->hold)
		return false;
	/* Without a backend the module answers the client, so the client's own queue must not
	 * grow either. */
	if (s == JOIN_CLIENT &&
	    (j->backend == JOIN_BACKEND_NONE || j->backend == JOIN_BACKEND_VOID ||
	     j->backend == JOIN_BACKEND_LOST))
		queued = side->out.bytes;
	return queued < j->thread->buffers.most;
}

void join_side_count_sent(struct join *channel, int s, size_t n)
{
	struct join *j = join_main(channel);
	struct join_counters *c = &j->thread->count;
	if (s == JOIN_BACKEND) {
		j->answer_owed = true;
		j->to_server_bytes += n;
		join_count(&c->to_server_bytes, n);
		return;
	}
	join_proof_sent(channel, n);
	j->to_client_bytes += n;
	join_count(&c->to_client_bytes, n);
	if (!j->started_out) {
		j->started_out = true;
		join_report(j, JOIN_FIRST_BYTE);
	}
}

/* Splices from side @s, which has bytes or the end of its stream. */
static void splice_side(struct join *j, int s)
{
	struct join_side *from = &j->side[s], *to = &j->side[!s];
	struct join_thread *t = j->thread;
	struct join_spliced r;
	if (join_splice_move(&t->splice, from->fd, to->fd, t->buffers.most, &r) < 0) {
		join_abort(j, "no-memory");
		return;
	}
	from->bulk = r.moved + r.rest_n >= t->config->splice_bytes;
	join_count(&t->count.spliced_bytes, r.moved);
	if (r.moved > 0)
		join_side_count_sent(j, !s, r.moved);
	if (s == JOIN_CLIENT)
		join_proof_heard(j, r.moved + r.rest_n);
	if (r.rest_n > 0 && join_queue_adopt(&to->out, r.rest, r.rest_n) < 0) {
		free(r.rest);
		join_abort(j, "no-memory");
	} else if (r.to_error != 0) {
		side_failed(j, !s, r.to_error);
	} else if (r.from_error != 0) {
		side_failed(j, s, r.from_error);
	} else if (r.ended) {
		join_side_ended(j, s);
	}
}

static void poll_completed(struct join *j, int s, int res)
{
	if (j->dying || !may_read(j, s))
		return;
	if (res > 0 && (res & POLLIN) && splices(j, s) && !j->side[!s].finish)
		splice_side(j, s);
	else
		/* An error without bytes, or bytes that must not pass: receiving tells more than
		 * splicing. */
		j->side[s].bulk = false;
}

void join_side_recv_completed(struct join *j, int s, int res, uint32_t flags)
{
	if (j->side[s].polled) {
		poll_completed(j, s, res);
		return;
	}
	if (flags & IORING_CQE_F_BUFFER) {
		uint32_t id = flags >> IORING_CQE_BUFFER_SHIFT;
		const uint8_t *p = join_buffer_take(&j->thread->buffers, id);
		if (res > 0) {
			bytes_came(j, s, id, bytes_of(p, (size_t)res));
			return;
		}
		join_buffer_put(&j->thread->buffers, id);
	}
	if (j->dying || (s == JOIN_BACKEND && j->backend == JOIN_BACKEND_LOST))
		return;
	if (res == 0 && is_sealed(j, s))
		join_tls_ended(j);
	else if (res == 0)
		join_side_ended(j, s);
	else if (res == -ENOBUFS)
		park(j, s);
	else if (res != -EINTR && res != -EAGAIN)
		side_failed(j, s, -res);
}

void join_side_send_completed(struct join *j, int s, int res)
{
	struct join_queue *q = &j->side[s].out;
	struct join_buffer *pool = &j->thread->buffers;
	if (res > 0 && is_sealed(j, s)) {
		join_tls_sent(j, (size_t)res);
		return;
	}
	if (res > 0) {
		size_t offered = join_queue_head(q).n;
		join_side_count_sent(j, s, (size_t)res);
		join_queue_consume(q, pool, (size_t)res);
		if (s == JOIN_BACKEND)
			join_tls_plain_sent(j);
		if ((size_t)res == offered)
			return; /* the head is another chunk now, or the queue is empty */
	} else if (res != -EAGAIN && res != -EINTR) {
		if (!j->dying)
			side_failed(j, s, -res);
		return;
	}
	if (!is_sealed(j, s) && join_queue_settle(q, pool) < 0)
		join_abort(j, "no-memory");
}

void join_side_tune(int fd)
{
	int on = 1;
	/* Bytes that pass were written by somebody already, and must not wait for more (Nagle). */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* Keep-alive finds a peer that vanished, if late. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

void join_side_pass_ends(struct join *j)
{
	struct join_side *client = &j->side[JOIN_CLIENT], *backend = &j->side[JOIN_BACKEND];
	if (backend->ended && join_passes(j, JOIN_BACKEND))
		client->finish = true;
	if (!client->ended || !join_passes(j, JOIN_CLIENT))
		return;
	bool silent = j->backend == JOIN_BACKEND_NONE && !join_is_channel(j);
	if ((silent || j->backend == JOIN_BACKEND_VOID) && j->pass == JOIN_PASS_BOTH) {
		/* The client is leaving, and the backup has never heard of it. */
		client->finish = true;
		return;
	}
	join_backend_want(j);
	backend->finish = true;
}

void join_side_finish(struct join *j)
{
	for (int s = 0; s < 2; s++) {
		struct join_side *side = &j->side[s];
		if (!side->finish || side->finished || side->out.bytes > 0 || !can_send_to(j, s))
			continue;
		if (is_sealed(j, s) && !join_tls_finish(j))
			continue; /* close_notify goes first */
		if (shutdown(side->fd, SHUT_WR) < 0)
			side_failed(j, s, errno == ENOTCONN ? ECONNRESET : errno);
		else
			side->finished = true;
	}
}

static void read_side(struct join *j, int s)
{
	struct join_thread *t = j->thread;
	if (j->pending & JOIN_BIT(JOIN_OP_RECV + s) || !list_empty(&j->side[s].park) ||
	    !may_read(j, s))
		return;
	/* A side that needs a buffer must not overtake the parked ones. */
	if (!splices(j, s) && (t->buffers.free == 0 || !list_empty(&t->parked)))
		park(j, s);
	else
		submit_recv(j, s);
}

void join_unpark(struct join_side *side)
{
	struct join *j = side->join;
	int s = side_index(j, side);
	list_del(&side->park);
	if (!j->dying && may_read(j, s))
		submit_recv(j, s);
}

/*
 * After the end of the stream no receive is pending that would report a reset. The thread's epoll
 * reports it.
 */
static void watch_side(struct join *j, int s)
{
	struct join_side *side = &j->side[s];
	if (!side->ended || side->finished || side->watched || !can_send_to(j, s))
		return;
	if (join_thread_watch(j->thread, side->fd, side) < 0)
		join_abort(j, "no-memory");
	else
		side->watched = true;
}

void join_broken(struct join_side *side)
{
	struct join *j = side->join;
	int error = 0;
	socklen_t n = sizeof error;
	/* After both FINs the socket hangs up in order. */
	if (!j->dying && !side->finished && side->fd >= 0) {
		getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		side_failed(j, side_index(j, side), error != 0 ? error : ECONNRESET);
	}
	join_settle(j);
}

/*
 * Updates the bytes kept in the thread's queues. Buffers are offered whole again when half of the
 * ceiling is free.
 */
static void count_kept(struct join *j, int s)
{
	struct join_side *side = &j->side[s];
	struct join_thread *t = j->thread;
	size_t ceiling = t->config->kept_bytes;

	t->kept_bytes += side->out.memory - side->kept;
	side->kept = side->out.memory;
	if (t->scarce ? t->kept_bytes > ceiling / 2 : t->kept_bytes <= ceiling)
		return;
	t->scarce = !t->scarce;
	join_count(&t->count.kept_ceiling, t->scarce);
	join_buffer_set_scarce(&t->buffers, t->scarce);
}

void join_side_work(struct join *j, int s)
{
	count_kept(j, s);
	bool some = is_sealed(j, s) || j->side[s].out.bytes > 0;
	bool ready = is_sealed(j, s) ? is_connected(j, s) : can_send_to(j, s);
	if (!j->dying && some && ready && !(j->pending & JOIN_BIT(JOIN_OP_SEND + s)))
		submit_send(j, s);
	if (!j->dying)
		read_side(j, s);
	if (!j->dying)
		watch_side(j, s);
}

void join_side_init(struct join *j, int s, int fd)
{
	j->side[s].fd = fd;
	j->side[s].join = j;
	list_init(&j->side[s].park);
}

void join_side_close(struct join *j, int s)
{
	struct join_side *side = &j->side[s];
	join_queue_clear(&side->out, &j->thread->buffers);
	count_kept(j, s);
	if (side->fd < 0)
		return;
	if (side->watched)
		join_thread_unwatch(j->thread, side->fd);
	close(side->fd);
	side->fd = -1;
}
