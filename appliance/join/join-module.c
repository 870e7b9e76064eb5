/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-module.h"

#include "base/clock.h"
#include "base/private-memory.h"
#include "join-backend.h"
#include "join-channel.h"
#include "join-family.h"
#include "join-tls.h"

static void queue_for(struct join *j, int s, struct jeebs_bytes b)
{
	struct join_queue *q = &j->side[s].out;
	size_t ceiling = j->thread->config->queue_bytes + (s == JOIN_CLIENT ? j->first_out_n : 0);

	if (j->side[s].finish) {
		join_abort(j, "module-misused");
	} else if (b.n > ceiling || q->bytes - q->log_bytes > ceiling - b.n) {
		join_count(&j->thread->count.queue_ceiling, 1);
		join_abort(j, "queue-ceiling");
	} else if (b.n > 0 && join_queue_copy(q, bytes_of(b.p, b.n)) < 0) {
		join_abort(j, "no-memory");
	}
}

/* An operation on another join than the one whose module is called takes effect later. */
static struct join *join_of(struct jeebs_join *opaque)
{
	struct join *j = (struct join *)(void *)opaque;
	if (j->thread->calling != j)
		join_settle_later(j);
	return j;
}

static void op_to_client(struct jeebs_join *opaque, struct jeebs_bytes b)
{
	struct join *j = join_of(opaque);
	if (!j->dying)
		queue_for(j, JOIN_CLIENT, b);
}

/* Asks for a backend. Without a way to it the join is aborted. Returns whether the join goes on. */
static bool reach_backend(struct join *j)
{
	if (j->backend == JOIN_BACKEND_LOST)
		join_abort(j, j->lost_reason);
	if (j->dying)
		return false;
	join_backend_want(j);
	return true;
}

static void op_to_backend(struct jeebs_join *opaque, struct jeebs_bytes b)
{
	struct join *j = join_of(opaque);
	if (reach_backend(j) && j->backend != JOIN_BACKEND_VOID)
		queue_for(j, JOIN_BACKEND, b);
}

static void op_log_to_backend(struct jeebs_join *opaque, uint64_t from, uint64_t to)
{
	struct join *j = join_of(opaque);
	const struct span *log = &j->log[JEEBS_TO_SERVER];
	struct join_side *backend = &j->side[JOIN_BACKEND];

	if (from == to || !reach_backend(j))
		return;
	if (backend->finish || !span_has(log, from, to))
		join_abort(j, "module-misused");
	else if (j->backend != JOIN_BACKEND_VOID &&
		 join_queue_log(&backend->out, log, from, to) < 0)
		join_abort(j, "no-memory");
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
	struct join *j = join_of(opaque);

	/* A module knows that there is no backend; of TLS the join knows why. */
	if (j->tls != NULL && j->backend == JOIN_BACKEND_LOST &&
	    strcmp(reason, "backend-failed") == 0)
		reason = j->lost_reason;
	join_abort(j, reason);
}

static void op_backend_port(struct jeebs_join *opaque, uint16_t port)
{
	struct join *j = join_of(opaque);
	if (!j->dying && !join_backend_set_port(j, port))
		join_abort(j, "module-misused");
}

static void op_connect_backend(struct jeebs_join *opaque)
{
	reach_backend(join_of(opaque));
}

static void op_address(struct jeebs_join *opaque, uint32_t end, struct jeebs_address *ret)
{
	const struct join *main = join_main(join_of(opaque));
	struct endpoint e = {0};

	if (end != JEEBS_END_BACKEND)
		e = main->end[end & 1];
	else if (main->backend_address_n > 0)
		endpoint_from_sockaddr(&main->backend_address.sa, &e);
	*ret = (struct jeebs_address){.family = e.addr.family, .port = e.port};
	memcpy(ret->addr, e.addr.b, sizeof ret->addr);
}

static struct jeebs_join *opaque_of(struct join *j)
{
	return (struct jeebs_join *)(void *)j;
}

static struct jeebs_join *op_related(struct jeebs_join *opaque, uint32_t i)
{
	const struct join_family *f = join_of(opaque)->family;
	return f != NULL && i < f->related_n ? opaque_of(f->relation[i].channel) : NULL;
}

static struct jeebs_join *op_listen_client(struct jeebs_join *opaque, uint16_t *io_port)
{
	return opaque_of(join_channel_listen(join_of(opaque), io_port));
}

static struct jeebs_join *op_connect_client(struct jeebs_join *opaque,
					    const struct jeebs_address *to, uint16_t from_port)
{
	struct endpoint e = {.addr.family = to->family, .port = to->port};
	memcpy(e.addr.b, to->addr, to->family == NETADDR_V6 ? 16 : 4);
	return opaque_of(join_channel_connect(join_of(opaque), &e, from_port));
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

static size_t op_room(struct jeebs_join *opaque, uint32_t dir)
{
	struct join_side *to = &join_of(opaque)->side[!(dir & 1)];

	if (to->out.bytes >= JEEBS_ROOM)
		to->wants_room = true;
	return to->wants_room ? 0 : JEEBS_ROOM - to->out.bytes;
}

static void *op_memory(struct jeebs_join *opaque, size_t n)
{
	struct join *j = join_of(opaque);

	if (j->memory == NULL && n > 0 && n <= JEEBS_MEMORY_MAX) {
		j->memory = private_memory_new(n);
		j->memory_n = n;
	}
	return j->memory;
}

static void op_backend_tls(struct jeebs_join *opaque, const char *name, const char *alpn)
{
	struct join *j = join_of(opaque);

	if (!j->dying)
		join_tls_open(j, name, alpn, false);
}

static void op_backend_tls_later(struct jeebs_join *opaque, const char *name, const char *alpn)
{
	struct join *j = join_of(opaque);

	if (!j->dying)
		join_tls_open(j, name, alpn, true);
}

static int op_secure_backend(struct jeebs_join *opaque, uint32_t step)
{
	struct join *j = join_of(opaque);

	if (j->dying || !join_tls_is_later(j))
		return 0;
	if (step == JEEBS_SECURE_BEGIN)
		join_tls_secure(j);
	return 1;
}

static const struct jeebs_join_ops join_ops = {
	.size = sizeof(struct jeebs_join_ops),
	.to_client = op_to_client,
	.to_backend = op_to_backend,
	.finish_client = op_finish_client,
	.finish_backend = op_finish_backend,
	.pass = op_pass,
	.abort = op_abort,
	.log_to_backend = op_log_to_backend,
	.backend_port = op_backend_port,
	.connect_backend = op_connect_backend,
	.address = op_address,
	.related = op_related,
	.listen_client = op_listen_client,
	.connect_client = op_connect_client,
	.hold_client = op_hold_client,
	.timer = op_timer,
	.room = op_room,
	.memory = op_memory,
	.backend_tls = op_backend_tls,
	.backend_tls_later = op_backend_tls_later,
	.secure_backend = op_secure_backend,
};

/* Calls the module, unless the conversation was aborted. */
static void call(struct join *j, uint32_t event, struct jeebs_bytes b)
{
	struct join *main = join_main(j);
	struct join_thread *t = j->thread;

	if (main->reason != NULL || t->stopping)
		return;
	t->calling = j;
	main->module->resume(main->module_state, &main->cut, opaque_of(j), &join_ops, event, b);
	scratch_give_back();
	t->calling = NULL;
}

void join_module_tell(struct join *j, uint32_t event, struct jeebs_bytes b)
{
	if (j->dying || j->pass == JOIN_PASS_BOTH)
		return;
	j->module_called = true;
	call(j, event, b);
}

void join_module_tell_end(struct join *channel)
{
	bool came = channel->arrival == JOIN_ARRIVED;
	call(channel, came ? JEEBS_EV_CHANNEL_CLOSED : JEEBS_EV_CLIENT_FAILED, JOIN_NO_BYTES);
}

void join_module_timer(struct join *j)
{
	join_module_tell(j, JEEBS_EV_TIMER, JOIN_NO_BYTES);
	join_settle(j);
}

void join_module_tell_room(struct join *j)
{
	for (int s = 0; s < 2; s++) {
		struct join_side *side = &j->side[s];
		if (!side->wants_room || side->out.bytes > 0)
			continue;
		side->wants_room = false;
		if (join_passes(j, !s) || (s == JOIN_BACKEND && j->backend == JOIN_BACKEND_LOST))
			continue;
		join_module_tell(j, s == JOIN_CLIENT ? JEEBS_EV_CLIENT_ROOM : JEEBS_EV_BACKEND_ROOM,
				 JOIN_NO_BYTES);
	}
}

uint8_t *join_module_scratch(struct jeebs_flow *f, size_t n)
{
	return scratch_take(n);
}

/* Implements the cut's log(). @f is the join. */
static struct jeebs_bytes read_log(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct bytes b = span_at(&((struct join *)(void *)f)->log[dir & 1], off);
	return (struct jeebs_bytes){b.p, b.n};
}

void join_module_init_cut(struct join *j)
{
	j->cut.flow = (struct jeebs_flow *)(void *)j;
	j->cut.log = read_log;
	j->cut.scratch = join_module_scratch;
}

void join_module_let_logs_go(struct join *j)
{
	/* A channel keeps its logs until it ends. */
	if (!join_passes(j, JOIN_CLIENT) || join_is_channel(j))
		return;
	join_family_let_logs_go(j);
	span_free(&j->log[JEEBS_TO_CLIENT]);
	if (j->side[JOIN_BACKEND].out.log_bytes == 0)
		span_free(&j->log[JEEBS_TO_SERVER]);
}
