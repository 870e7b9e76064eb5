/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "clock.h"
#include "join-backend.h"
#include "join-module.h"
#include "join-side.h"

void join_report(struct join *j, enum join_event event)
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

void join_completed(struct join *j, enum join_op op, int res, uint32_t flags)
{
	int s = (int)op & 1;
	j->pending &= (uint16_t)~JOIN_BIT(op);
	switch ((int)op & ~1) {
	case JOIN_OP_RECV:
		join_side_recv_completed(j, s, res, flags);
		break;
	case JOIN_OP_SEND:
		join_side_send_completed(j, s, res);
		break;
	case JOIN_OP_CONNECT:
		join_backend_completed(j, res);
		break;
	case JOIN_OP_CANCEL:  /* what it cancelled completes by itself */
	case JOIN_OP_TIMEOUT: /* so does what it limited */
		break;
	}
	join_settle(j);
}

/* The client has said and heard everything, and the backup what there was to say. */
static bool is_complete(const struct join *j)
{
	const struct join_side *client = &j->side[JOIN_CLIENT];
	return client->ended && client->finished &&
	       (j->backend == JOIN_BACKEND_LOST || j->side[JOIN_BACKEND].out.bytes == 0);
}

static void settle_living(struct join *j)
{
	join_side_pass_ends(j);
	join_backend_connect(j);
	join_side_finish(j);
	if (j->backend == JOIN_BACKEND_LOST && j->pass == JOIN_PASS_BOTH)
		join_abort(j, j->lost_reason);
	if (is_complete(j))
		j->dying = true;
	if (j->dying)
		return;

	join_module_let_logs_go(j);
	join_backend_close_lost(j);
	for (int s = 0; s < 2; s++)
		join_side_work(j, s);
}

static void end(struct join *j)
{
	struct join_thread *t = j->thread;
	for (int s = 0; s < 2; s++)
		join_side_close(j, s);
	for (int d = 0; d < 2; d++)
		join_log_free(&j->log[d]);
	list_del(&j->again);
	list_del(&j->timed);
	list_del(&j->node);
	if (j->module != NULL)
		j->state_free(j->ctx, j->module_state);

	join_count(j->reason != NULL ? &t->count.aborted : &t->count.closed, 1);
	join_report(j, j->reason != NULL ? JOIN_ABORTED : JOIN_CLOSED);
	free(j);
	/* Last: who sees that nothing is active knows that everything was reported. */
	atomic_fetch_sub(&t->count.active, 1);
}

static void settle_dying(struct join *j)
{
	for (int s = 0; s < 2; s++) {
		if (!j->lingering && j->reason != NULL)
			join_side_make_reset(j, s);
		list_del(&j->side[s].park);
		if ((j->pending & join_side_ops(s)) && !(j->pending & JOIN_BIT(JOIN_OP_CANCEL + s)))
			join_side_cancel(j, s);
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
	join_module_tell(j, JEEBS_EV_START, JOIN_NO_BYTES);
	if (j->cut.client_fin)
		join_side_ended(j, JOIN_CLIENT);
	join_settle(j);
}

/* Birth -------------------------------------------------------------------- */

static void make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/* One that cannot tell its addresses is lost anyway: it is found out by the first receive. */
static void read_ends(struct join *j, int fd)
{
	struct sockaddr_storage ss;
	socklen_t n = sizeof ss;
	if (getsockname(fd, (struct sockaddr *)&ss, &n) == 0)
		endpoint_from_sockaddr((struct sockaddr *)&ss, &j->end[JEEBS_END_SERVICE]);
	n = sizeof ss;
	if (getpeername(fd, (struct sockaddr *)&ss, &n) == 0)
		endpoint_from_sockaddr((struct sockaddr *)&ss, &j->end[JEEBS_END_CLIENT]);
}

int join_new(const struct join_request *r, struct join **ret)
{
	/* Its address and an operation share a word. */
	struct join *j = aligned_alloc(_Alignof(struct join), sizeof *j);
	if (j == NULL)
		return -ENOMEM;
	*j = (struct join){
		.id = r->id,
		.group = r->group,
		.module = r->module,
		.module_state = r->module_state,
		.pass = r->module == NULL ? JOIN_PASS_BOTH : 0,
		.cut = r->cut,
		.log = {r->log[0], r->log[1]},
		.first_out_n = r->first_out_n,
		.ctx = r->ctx,
		.state_free = r->state_free,
		.report = r->report,
	};
	join_side_init(j, JOIN_CLIENT, r->client_fd);
	join_side_init(j, JOIN_BACKEND, -1);
	list_init(&j->node);
	list_init(&j->again);
	list_init(&j->timed);
	join_module_init_cut(j);
	j->side[JOIN_CLIENT].finish = r->cut.server_fin;

	int err = join_backend_init(j, &r->backend);
	if (err == 0 && r->first_out_n > 0)
		err = join_queue_adopt(&j->side[JOIN_CLIENT].out, r->first_out, r->first_out_n);
	if (err < 0) {
		free(j);
		return err;
	}
	if (r->first_out_n == 0)
		free(r->first_out);
	read_ends(j, r->client_fd);
	make_blocking(r->client_fd);
	join_side_tune(r->client_fd);
	*ret = j;
	return 0;
}
