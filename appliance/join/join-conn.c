/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-conn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/private-memory.h"
#include "join-backend.h"
#include "join-channel.h"
#include "join-family.h"
#include "join-module.h"
#include "join-proof.h"
#include "join-side.h"
#include "join-tls.h"

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
	if (!join_is_channel(j))
		join_family_abort(j, reason);
	if (j->dying)
		return;
	join_proof_ends(j);
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
		if (s == JOIN_BACKEND)
			join_backend_completed(j, res);
		else
			join_channel_completed(j, res);
		break;
	case JOIN_OP_CANCEL:  /* the cancelled operation completes by itself */
	case JOIN_OP_TIMEOUT: /* so does the operation that was limited */
		break;
	}
	join_settle(j);
}

/*
 * Whether both ends of the client's stream have come, and nothing is left to be sent to the backup.
 */
static bool is_complete(const struct join *j)
{
	const struct join_side *client = &j->side[JOIN_CLIENT];
	return client->ended && client->finished &&
	       (j->backend == JOIN_BACKEND_LOST || join_side_has_sent(j, JOIN_BACKEND));
}

static void settle_living(struct join *j)
{
	if (j->client_fin) {
		j->client_fin = false;
		join_side_ended(j, JOIN_CLIENT);
	}
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
	join_channel_work(j);
	join_module_tell_room(j);
	for (int s = 0; s < 2; s++)
		join_side_work(j, s);
	if (!join_is_channel(j))
		join_proof_settled(j);
}

/* Frees the join, whose end has been reported. */
static void leave(struct join *j)
{
	struct join_thread *t = j->thread;

	list_del(&j->again);
	list_del(&j->timed);
	list_del(&j->reading);
	list_del(&j->proving);
	list_del(&j->node);
	private_memory_free(j->memory, j->memory_n);
	join_tls_free(j);
	free(j);
	/* This must come last. Whoever sees that no join is active may rely on all reports
	 * having been made. */
	join_thread_unreserve(t, 1);
}

/* The whole conversation is over. */
static void end_main(struct join *j)
{
	struct join_thread *t = j->thread;

	if (j->module != NULL)
		j->state_free(j->ctx, j->module_state);
	join_family_free(j);
	join_count(j->reason != NULL ? &t->count.aborted : &t->count.closed, 1);
	join_report(j, j->reason != NULL ? JOIN_ABORTED : JOIN_CLOSED);
	leave(j);
}

static void end_channel(struct join *c)
{
	struct join *main = join_main(c);

	join_family_remove(c);
	join_module_tell_end(c);
	leave(c);
	/* When it is told of the end, the module may open another channel. */
	if (main->ended && main->family->channel_n == 0)
		end_main(main);
}

static void end(struct join *j)
{
	for (int s = 0; s < 2; s++)
		join_side_close(j, s);
	for (int d = 0; d < 2; d++)
		span_free(&j->log[d]);
	if (join_is_channel(j)) {
		end_channel(j);
		return;
	}
	j->ended = true;
	if (j->family == NULL || j->family->channel_n == 0)
		end_main(j);
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
	if (j->ended)
		return;
	do {
		j->module_called = false;
		if (!j->dying)
			settle_living(j);
	} while (j->module_called && !j->dying);
	if (j->dying)
		settle_dying(j);
}

/* Frees the spilled parts of the logs, unless some of them is still to be sent. */
static void free_spilled(struct join *j)
{
	for (int d = 0; d < 2 && j->side[JOIN_BACKEND].out.log_bytes == 0; d++)
		spilled_free(&j->log[d].spilled);
}

static bool has_spilled(const struct join *j)
{
	return j->log[0].spilled.view != NULL || j->log[1].spilled.view != NULL;
}

bool join_reads_spilled(struct join *j, bool late)
{
	bool reads = false;

	if (late)
		free_spilled(j);
	if (j->family == NULL)
		return has_spilled(j);
	list_for_each (it, &j->family->channels) {
		struct join *c = list_entry(it, struct join, sibling);
		if (late)
			free_spilled(c);
		reads = reads || has_spilled(c);
	}
	for (uint32_t i = 0; i < j->family->related_n; i++)
		for (int d = 0; d < 2; d++) {
			struct spilled *o = &j->family->relation[i].log[d].spilled;
			if (late)
				spilled_free(o);
			reads = reads || o->view != NULL;
		}
	return reads || has_spilled(j);
}

void join_start(struct join *j)
{
	if (join_reads_spilled(j, false)) {
		j->read_until_ns = clock_mono_ns() + j->thread->config->log_timeout_ns;
		list_add_tail(&j->thread->reading, &j->reading);
	}
	join_module_tell(j, JEEBS_EV_START, JOIN_NO_BYTES);
	join_family_start(j);
	join_settle(j);
}

/* Birth -------------------------------------------------------------------- */

static void make_blocking(int fd)
{
	int flags = fcntl(fd, F_GETFL);
	if (flags >= 0)
		fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
}

/*
 * The addresses are unknown when the connection is lost already. The first receive will find that
 * out.
 */
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

socklen_t join_address(const struct endpoint *e, union join_address *ret)
{
	struct sockaddr_storage ss;
	socklen_t n = endpoint_to_sockaddr(e, &ss);
	if (n > sizeof *ret)
		return 0;
	memcpy(ret, &ss, n);
	return n;
}

struct join *join_alloc(void)
{
	/* The low bits of the address carry the operation, in user_data. */
	struct join *j = aligned_alloc(_Alignof(struct join), sizeof *j);
	if (j == NULL)
		return NULL;
	*j = (struct join){0};
	join_side_init(j, JOIN_CLIENT, -1);
	join_side_init(j, JOIN_BACKEND, -1);
	list_init(&j->node);
	list_init(&j->again);
	list_init(&j->timed);
	list_init(&j->reading);
	list_init(&j->sibling);
	list_init(&j->proving);
	return j;
}

int join_take_client(struct join *j, int fd, uint8_t *first_out, size_t first_out_n,
		     const struct jeebs_cut *cut)
{
	struct join_side *client = &j->side[JOIN_CLIENT];

	if (first_out_n > 0 && join_queue_adopt(&client->out, first_out, first_out_n) < 0)
		return -ENOMEM;
	client->fd = fd;
	client->finish = cut->server_fin;
	j->client_fin = cut->client_fin;
	j->first_out_n = first_out_n;
	return 0;
}

/* From here on nothing can fail, so the join takes over what the request owns. */
static void keep(struct join *j, const struct join_request *r)
{
	int fd = j->side[JOIN_CLIENT].fd;

	read_ends(j, fd);
	make_blocking(fd);
	join_side_tune(fd);
	if (r->first_out_n == 0)
		free(r->first_out);
	for (uint32_t i = 0; i < r->related_n; i++) {
		if (r->related[i].client_fd >= 0) {
			make_blocking(r->related[i].client_fd);
			join_side_tune(r->related[i].client_fd);
		}
		if (r->related[i].client_fd < 0 || r->related[i].first_out_n == 0)
			free(r->related[i].first_out);
	}
}

int join_new(const struct join_request *r, struct join **ret)
{
	struct join *j = join_alloc();
	if (j == NULL)
		return -ENOMEM;
	j->id = r->id;
	j->group = r->group;
	j->agreed = r->agreed;
	j->backup_tls = r->backup_tls;
	j->module = r->module;
	j->module_state = r->module_state;
	j->pass = r->module == NULL ? JOIN_PASS_BOTH : 0;
	j->cut = r->cut;
	j->log[0] = r->log[0];
	j->log[1] = r->log[1];
	j->ctx = r->ctx;
	j->state_free = r->state_free;
	j->report = r->report;
	join_module_init_cut(j);

	int err = join_backend_init(j, &r->backend);
	if (err == 0 && r->related_n > 0)
		err = join_family_init(j, r);
	if (err == 0)
		err = join_take_client(j, r->client_fd, r->first_out, r->first_out_n, &r->cut);
	if (err < 0) {
		join_family_give_back(j);
		free(j);
		return err;
	}
	keep(j, r);
	*ret = j;
	return 0;
}
