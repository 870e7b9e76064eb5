/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-conn.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

#define BIT(op)   ((uint8_t)(1u << (op)))
#define PASS_BOTH (1u << JEEBS_TO_SERVER | 1u << JEEBS_TO_CLIENT)

static int side_index(const struct join *j, const struct join_side *side)
{
	return (int)(side - j->side);
}

/* Every operation that uses the descriptor of side @s. */
static uint8_t side_ops(int s)
{
	uint8_t ops = BIT(JOIN_OP_RECV + s) | BIT(JOIN_OP_SEND + s) | BIT(JOIN_OP_CANCEL + s);
	return s == JOIN_BACKEND ? ops | BIT(JOIN_OP_CONNECT) | BIT(JOIN_OP_TIMEOUT) : ops;
}

static bool passes(const struct join *j, int s)
{
	return j->pass >> s & 1;
}

static void report(struct join *j, enum join_event event)
{
	struct join_report r = {
		.id = j->id,
		.event = event,
		.reason = event == JOIN_ABORTED ? j->reason : NULL,
		.now_ns = clock_mono_ns(),
		.to_client_bytes = j->to_client_bytes,
		.to_server_bytes = j->to_server_bytes,
	};
	j->report(j->ctx, &r);
}

void join_abort(struct join *j, const char *reason)
{
	if (j->dying)
		return;
	j->dying = true;
	j->reason = reason;
}

/* Submission ------------------------------------------------------------- */

/* The join waits for room in the submission queue, once, however much it wants. */
static void settle_again(struct join *j)
{
	if (list_empty(&j->again))
		list_add_tail(&j->thread->again, &j->again);
}

/* An entry for @op of @j; NULL: there is no room, the join is settled again later. */
static struct io_uring_sqe *operation(struct join *j, int op, unsigned room)
{
	if (!join_thread_room(j->thread, room)) {
		settle_again(j);
		return NULL;
	}
	j->pending |= BIT(op);
	return io_uring_get_sqe(&j->thread->ring);
}

/* After the prep call, which clears it. */
static void tag(struct io_uring_sqe *sqe, struct join *j, int op)
{
	io_uring_sqe_set_data64(sqe, (uintptr_t)j | (unsigned)op);
}

static void submit_recv(struct join *j, int s)
{
	struct io_uring_sqe *sqe = operation(j, JOIN_OP_RECV + s, 1);
	if (sqe == NULL)
		return;
	io_uring_prep_recv(sqe, j->side[s].fd, NULL, j->thread->buffers.bytes, 0);
	sqe->flags |= IOSQE_BUFFER_SELECT;
	sqe->buf_group = JOIN_BUFFER_GROUP;
	tag(sqe, j, JOIN_OP_RECV + s);
}

static void submit_send(struct join *j, int s)
{
	struct join_queue *q = &j->side[s].out;
	struct io_uring_sqe *sqe = operation(j, JOIN_OP_SEND + s, 1);
	if (sqe == NULL)
		return;
	struct bytes b = join_queue_head(q);
	/* A shared buffer does not wait for a slow peer. */
	int flags = MSG_NOSIGNAL | (join_queue_head_is_lent(q) ? MSG_DONTWAIT : 0);
	io_uring_prep_send(sqe, j->side[s].fd, b.p, b.n, flags);
	tag(sqe, j, JOIN_OP_SEND + s);
}

static void submit_cancel(struct join *j, int s)
{
	struct io_uring_sqe *sqe = operation(j, JOIN_OP_CANCEL + s, 1);
	if (sqe == NULL)
		return;
	io_uring_prep_cancel_fd(sqe, j->side[s].fd, IORING_ASYNC_CANCEL_ALL);
	tag(sqe, j, JOIN_OP_CANCEL + s);
}

static void submit_connect(struct join *j)
{
	struct io_uring_sqe *sqe = operation(j, JOIN_OP_CONNECT, 2);
	if (sqe == NULL)
		return;
	io_uring_prep_connect(sqe, j->side[JOIN_BACKEND].fd, &j->backend_address.sa,
			      j->backend_address_n);
	sqe->flags |= IOSQE_IO_LINK;
	tag(sqe, j, JOIN_OP_CONNECT);

	sqe = operation(j, JOIN_OP_TIMEOUT, 0);
	io_uring_prep_link_timeout(sqe, &j->thread->connect_timeout, 0);
	tag(sqe, j, JOIN_OP_TIMEOUT);
	j->backend = JOIN_BACKEND_CONNECTING;
}

/* The module ------------------------------------------------------------- */

static const struct jeebs_join_ops join_ops;

static void tell(struct join *j, uint32_t event, struct jeebs_bytes b)
{
	if (j->dying || j->pass == PASS_BOTH)
		return;
	j->told = true;
	j->module->resume(j->module_state, &j->cut, (struct jeebs_join *)(void *)j, &join_ops,
			  event, b);
}

#define NO_BYTES ((struct jeebs_bytes){NULL, 0})

static void want_backend(struct join *j)
{
	if (j->backend == JOIN_BACKEND_NONE)
		j->backend = JOIN_BACKEND_WANTED;
}

static void queue_for(struct join *j, int s, struct jeebs_bytes b)
{
	struct join_queue *q = &j->side[s].out;
	size_t ceiling = j->thread->config->queue_bytes + (s == JOIN_CLIENT ? j->first_out_n : 0);

	if (j->side[s].finish) {
		join_abort(j, "module-misused");
	} else if (b.n > ceiling || q->bytes > ceiling - b.n) {
		join_count(&j->thread->count.queue_ceiling, 1);
		join_abort(j, "queue-ceiling");
	} else if (b.n > 0 && join_queue_copy(q, bytes_of(b.p, b.n)) < 0) {
		join_abort(j, "no-memory");
	}
}

static struct join *join_of(struct jeebs_join *opaque)
{
	return (struct join *)(void *)opaque;
}

static void op_to_client(struct jeebs_join *opaque, struct jeebs_bytes b)
{
	struct join *j = join_of(opaque);
	if (!j->dying)
		queue_for(j, JOIN_CLIENT, b);
}

static void op_to_backend(struct jeebs_join *opaque, struct jeebs_bytes b)
{
	struct join *j = join_of(opaque);
	if (j->dying)
		return;
	if (j->backend == JOIN_BACKEND_LOST) {
		join_abort(j, j->lost_reason);
		return;
	}
	want_backend(j);
	queue_for(j, JOIN_BACKEND, b);
}

static void op_finish_client(struct jeebs_join *opaque)
{
	join_of(opaque)->side[JOIN_CLIENT].finish = true;
}

static void op_finish_backend(struct jeebs_join *opaque)
{
	join_of(opaque)->side[JOIN_BACKEND].finish = true;
}

static void op_pass(struct jeebs_join *opaque, uint32_t dir)
{
	join_of(opaque)->pass |= (uint8_t)(1u << (dir & 1));
}

static void op_abort(struct jeebs_join *opaque, const char *reason)
{
	join_abort(join_of(opaque), reason);
}

static void op_hold_client(struct jeebs_join *opaque, int on)
{
	join_of(opaque)->hold = on;
}

static void op_timer(struct jeebs_join *opaque, uint32_t ms)
{
	struct join *j = join_of(opaque);

	list_del(&j->timed);
	if (ms == 0 || j->dying)
		return;
	j->timer_ns = clock_mono_ns() + ms * NS_PER_MS;
	list_add_tail(&j->thread->timed, &j->timed);
}

static const struct jeebs_join_ops join_ops = {
	.to_client = op_to_client,
	.to_backend = op_to_backend,
	.finish_client = op_finish_client,
	.finish_backend = op_finish_backend,
	.pass = op_pass,
	.abort = op_abort,
	.hold_client = op_hold_client,
	.timer = op_timer,
};

/* What the module reads through its cut: jeebs_flow is the join. Empty once START is over. */
static struct jeebs_bytes read_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	const struct join_log *log = &((struct join *)(void *)f)->log[dir & 1];
	if (log->p == NULL || off < log->off || off - log->off >= log->n)
		return NO_BYTES;
	size_t skip = (size_t)(off - log->off);
	return (struct jeebs_bytes){log->p + skip, log->n - skip};
}

static void free_logs(struct join *j)
{
	for (int d = 0; d < 2; d++) {
		free(j->log[d].p);
		j->log[d] = (struct join_log){0};
	}
}

/* What happens to a side --------------------------------------------------- */

static void backend_lost(struct join *j, const char *reason)
{
	if (j->backend == JOIN_BACKEND_LOST)
		return;
	j->backend = JOIN_BACKEND_LOST;
	j->lost_reason = reason;
	tell(j, JEEBS_EV_BACKEND_FAILED, NO_BYTES);
}

static void side_failed(struct join *j, int s, int error)
{
	if (s == JOIN_BACKEND)
		backend_lost(j, "backend-reset");
	else
		join_abort(j,
			   error == ECONNRESET || error == EPIPE ? "client-reset" : "client-lost");
}

static void side_ended(struct join *j, int s)
{
	j->side[s].ended = true;
	if (!passes(j, s))
		tell(j, s == JOIN_CLIENT ? JEEBS_EV_CLIENT_EOF : JEEBS_EV_BACKEND_EOF, NO_BYTES);
}

static bool can_send_to(const struct join *j, int s)
{
	return s == JOIN_CLIENT || j->backend == JOIN_BACKEND_UP;
}

/* Bytes from side @s go to the other one untouched. Whether the buffer was lent on. */
static bool pass_bytes(struct join *j, int s, uint32_t buffer, struct bytes b)
{
	struct join_side *to = &j->side[!s];
	if (s == JOIN_CLIENT)
		want_backend(j);
	if (s == JOIN_CLIENT && j->backend == JOIN_BACKEND_LOST) {
		join_abort(j, j->lost_reason);
		return false;
	}
	if (to->finish) {
		join_abort(j, "module-misused");
		return false;
	}
	bool lend = to->out.bytes == 0 && can_send_to(j, !s);
	int r = lend ? join_queue_lend(&to->out, &j->thread->buffers, buffer, b.n)
		     : join_queue_copy(&to->out, b);
	if (r < 0)
		join_abort(j, "no-memory");
	return lend && r == 0;
}

static void bytes_came(struct join *j, int s, uint32_t buffer, struct bytes b)
{
	bool lent = false;
	if (j->dying || (s == JOIN_BACKEND && j->backend == JOIN_BACKEND_LOST)) {
		/* Nobody wants them any more. */
	} else if (passes(j, s)) {
		lent = pass_bytes(j, s, buffer, b);
	} else {
		tell(j, s == JOIN_CLIENT ? JEEBS_EV_CLIENT_DATA : JEEBS_EV_BACKEND_DATA,
		     (struct jeebs_bytes){b.p, b.n});
	}
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

static void recv_completed(struct join *j, int s, int res, uint32_t flags)
{
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
	if (res == 0)
		side_ended(j, s);
	else if (res == -ENOBUFS)
		park(j, s);
	else if (res != -EINTR && res != -EAGAIN)
		side_failed(j, s, -res);
}

static void count_sent(struct join *j, int s, size_t n)
{
	struct join_counters *c = &j->thread->count;
	if (s == JOIN_BACKEND) {
		j->to_server_bytes += n;
		join_count(&c->to_server_bytes, n);
		return;
	}
	j->to_client_bytes += n;
	join_count(&c->to_client_bytes, n);
	if (!j->started_out) {
		j->started_out = true;
		report(j, JOIN_FIRST_BYTE);
	}
}

static void send_completed(struct join *j, int s, int res)
{
	struct join_queue *q = &j->side[s].out;
	struct join_buffer *pool = &j->thread->buffers;
	if (res > 0) {
		size_t offered = join_queue_head(q).n;
		count_sent(j, s, (size_t)res);
		join_queue_consume(q, pool, (size_t)res);
		if ((size_t)res == offered)
			return; /* the head is another chunk now, or none */
	} else if (res != -EAGAIN && res != -EINTR) {
		if (!j->dying)
			side_failed(j, s, -res);
		return;
	}
	if (join_queue_settle(q, pool) < 0)
		join_abort(j, "no-memory");
}

static void tune_socket(int fd)
{
	int on = 1;
	/* What we pass on was already written by somebody: it does not wait for more. */
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	/* A peer that vanished is found, if late. */
	setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
}

/* Ours: descriptors, or ports towards the backup, have come to an end. Not the backup's fault. */
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
	backend_lost(j, "backend-failed");
}

static void connect_completed(struct join *j, int res)
{
	if (j->dying || j->backend != JOIN_BACKEND_CONNECTING)
		return;
	if (res < 0) {
		connect_failed(j, -res);
		return;
	}
	tune_socket(j->side[JOIN_BACKEND].fd);
	j->backend = JOIN_BACKEND_UP;
	tell(j, JEEBS_EV_BACKEND_UP, NO_BYTES);
}

void join_completed(struct join *j, enum join_op op, int res, uint32_t flags)
{
	int s = (int)op & 1;
	j->pending &= (uint8_t)~BIT(op);
	switch ((int)op & ~1) {
	case JOIN_OP_RECV:
		recv_completed(j, s, res, flags);
		break;
	case JOIN_OP_SEND:
		send_completed(j, s, res);
		break;
	case JOIN_OP_CANCEL:
		break; /* what it cancelled completes by itself */
	case JOIN_OP_CONNECT:
		if (op == JOIN_OP_CONNECT)
			connect_completed(j, res);
		break;
	}
	join_settle(j);
}

/* What the state calls for ------------------------------------------------- */

static void pass_ends(struct join *j)
{
	struct join_side *client = &j->side[JOIN_CLIENT], *backend = &j->side[JOIN_BACKEND];
	if (backend->ended && passes(j, JOIN_BACKEND))
		client->finish = true;
	if (!client->ended || !passes(j, JOIN_CLIENT))
		return;
	if (j->backend == JOIN_BACKEND_NONE && j->pass == PASS_BOTH) {
		/* Goodbye to a backup that never heard of this client. */
		client->finish = true;
		return;
	}
	want_backend(j);
	backend->finish = true;
}

static void connect_backend(struct join *j)
{
	struct join_side *b = &j->side[JOIN_BACKEND];
	if (j->backend != JOIN_BACKEND_WANTED)
		return;
	if (b->fd < 0)
		/* Blocking: io_uring waits for it, where it would give up on a nonblocking one. */
		b->fd = socket(j->backend_address.sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (b->fd < 0)
		connect_failed(j, errno);
	else
		submit_connect(j);
}

static void finish_sides(struct join *j)
{
	for (int s = 0; s < 2; s++) {
		struct join_side *side = &j->side[s];
		if (!side->finish || side->finished || side->out.bytes > 0 || !can_send_to(j, s))
			continue;
		if (shutdown(side->fd, SHUT_WR) < 0)
			side_failed(j, s, errno == ENOTCONN ? ECONNRESET : errno);
		else
			side->finished = true;
	}
}

/* The client has said and heard everything, and the backup what there was to say. */
static bool is_complete(const struct join *j)
{
	const struct join_side *client = &j->side[JOIN_CLIENT];
	return client->ended && client->finished &&
	       (j->backend == JOIN_BACKEND_LOST || j->side[JOIN_BACKEND].out.bytes == 0);
}

static bool may_read(const struct join *j, int s)
{
	const struct join_side *side = &j->side[s];
	size_t queued = j->side[!s].out.bytes;

	if (side->ended || (s == JOIN_BACKEND && j->backend != JOIN_BACKEND_UP))
		return false;
	if (passes(j, s))
		return queued == 0;
	if (s == JOIN_CLIENT && j->hold)
		return false;
	/* Without a backend the module itself answers the client. */
	if (s == JOIN_CLIENT &&
	    (j->backend == JOIN_BACKEND_NONE || j->backend == JOIN_BACKEND_LOST))
		queued = side->out.bytes;
	return queued < j->thread->buffers.bytes;
}

static void read_side(struct join *j, int s)
{
	struct join_thread *t = j->thread;
	if (j->pending & BIT(JOIN_OP_RECV + s) || !list_empty(&j->side[s].park) || !may_read(j, s))
		return;
	/* Nobody overtakes those who wait for a buffer. */
	if (t->buffers.free == 0 || !list_empty(&t->parked))
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

/* No receive waits behind the end of a stream: somebody else has to notice a reset there. */
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
	/* With both ends said, what the watch saw is only that. */
	if (!j->dying && !side->finished && side->fd >= 0) {
		getsockopt(side->fd, SOL_SOCKET, SO_ERROR, &error, &n);
		side_failed(j, side_index(j, side), error != 0 ? error : ECONNRESET);
	}
	join_settle(j);
}

void join_timer(struct join *j)
{
	tell(j, JEEBS_EV_TIMER, NO_BYTES);
	join_settle(j);
}

static void close_side(struct join *j, int s)
{
	struct join_side *side = &j->side[s];
	join_queue_clear(&side->out, &j->thread->buffers);
	if (side->fd < 0)
		return;
	if (side->watched)
		join_thread_unwatch(j->thread, side->fd);
	close(side->fd);
	side->fd = -1;
}

/* The descriptor of a lost backend goes as soon as the kernel has let go of it. */
static void close_lost_backend(struct join *j)
{
	struct join_side *b = &j->side[JOIN_BACKEND];
	if (j->backend != JOIN_BACKEND_LOST || b->fd < 0)
		return;
	if (j->pending & side_ops(JOIN_BACKEND)) {
		if (!(j->pending & BIT(JOIN_OP_CANCEL + JOIN_BACKEND)))
			submit_cancel(j, JOIN_BACKEND);
		return;
	}
	list_del(&b->park);
	close_side(j, JOIN_BACKEND);
}

static void settle_living(struct join *j)
{
	pass_ends(j);
	connect_backend(j);
	finish_sides(j);
	if (j->backend == JOIN_BACKEND_LOST && j->pass == PASS_BOTH)
		join_abort(j, j->lost_reason);
	if (is_complete(j))
		j->dying = true;
	if (j->dying)
		return;

	close_lost_backend(j);
	for (int s = 0; s < 2; s++) {
		if (j->side[s].out.bytes > 0 && can_send_to(j, s) &&
		    !(j->pending & BIT(JOIN_OP_SEND + s)))
			submit_send(j, s);
		read_side(j, s);
		watch_side(j, s);
	}
}

/* Closing shall reset, and not wait for what is unsent. */
static void make_close_reset(int fd)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_LINGER, &now, sizeof now);
}

static void end(struct join *j)
{
	struct join_thread *t = j->thread;
	for (int s = 0; s < 2; s++)
		close_side(j, s);
	free_logs(j);
	list_del(&j->again);
	list_del(&j->timed);
	list_del(&j->node);
	if (j->module != NULL)
		j->state_free(j->ctx, j->module_state);

	join_count(j->reason != NULL ? &t->count.aborted : &t->count.closed, 1);
	report(j, j->reason != NULL ? JOIN_ABORTED : JOIN_CLOSED);
	free(j);
	/* Last: who sees that nothing is active knows that everything was reported. */
	atomic_fetch_sub(&t->count.active, 1);
}

static void settle_dying(struct join *j)
{
	for (int s = 0; s < 2; s++) {
		if (!j->lingering && j->reason != NULL)
			make_close_reset(j->side[s].fd);
		list_del(&j->side[s].park);
		if ((j->pending & side_ops(s)) && !(j->pending & BIT(JOIN_OP_CANCEL + s)))
			submit_cancel(j, s);
	}
	j->lingering = true;
	if (j->pending == 0)
		end(j);
}

void join_settle(struct join *j)
{
	do {
		j->told = false;
		if (!j->dying)
			settle_living(j);
	} while (j->told && !j->dying);
	if (j->dying)
		settle_dying(j);
}

void join_start(struct join *j)
{
	tell(j, JEEBS_EV_START, NO_BYTES);
	free_logs(j);
	if (j->cut.client_fin)
		side_ended(j, JOIN_CLIENT);
	join_settle(j);
}

/* Birth -------------------------------------------------------------------- */

static int set_backend_address(struct join *j, const struct endpoint *e)
{
	struct sockaddr_storage ss;
	j->backend_address_n = endpoint_to_sockaddr(e, &ss);
	if (j->backend_address_n == 0 || j->backend_address_n > sizeof j->backend_address)
		return -EAFNOSUPPORT;
	memcpy(&j->backend_address, &ss, j->backend_address_n);
	return 0;
}

static void init_side(struct join *j, int s, int fd)
{
	j->side[s].fd = fd;
	j->side[s].join = j;
	list_init(&j->side[s].park);
}

static void make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

int join_new(const struct join_request *r, struct join **ret)
{
	struct join *j = malloc(sizeof *j);
	if (j == NULL)
		return -ENOMEM;
	*j = (struct join){
		.id = r->id,
		.group = r->group,
		.module = r->module,
		.module_state = r->module_state,
		.pass = r->module == NULL ? PASS_BOTH : 0,
		.cut = r->cut,
		.log = {r->log[0], r->log[1]},
		.first_out_n = r->first_out_n,
		.ctx = r->ctx,
		.state_free = r->state_free,
		.report = r->report,
	};
	init_side(j, JOIN_CLIENT, r->client_fd);
	init_side(j, JOIN_BACKEND, -1);
	list_init(&j->node);
	list_init(&j->again);
	list_init(&j->timed);
	j->cut.flow = (struct jeebs_flow *)(void *)j;
	j->cut.log = read_log;
	j->side[JOIN_CLIENT].finish = r->cut.server_fin;

	int err = set_backend_address(j, &r->backend);
	if (err == 0 && r->first_out_n > 0)
		err = join_queue_adopt(&j->side[JOIN_CLIENT].out, r->first_out, r->first_out_n);
	if (err < 0) {
		free(j);
		return err;
	}
	if (r->first_out_n == 0)
		free(r->first_out);
	make_blocking(r->client_fd);
	tune_socket(r->client_fd);
	*ret = j;
	return 0;
}
