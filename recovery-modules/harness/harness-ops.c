/* SPDX-License-Identifier: GPL-3.0-or-later */
/* What a module may do in a run, and what is a violation. */
#include "harness-join.h"

#include <stdlib.h>

#include "base/private-memory.h"

/*
 * The first number given to a listening port or an own port. Numbers are arbitrary but the same in
 * each run.
 */
#define LISTEN_PORT  40000
#define CONNECT_PORT 50000

static struct harness_channel *channel_of(struct jeebs_join *j)
{
	return (struct harness_channel *)(void *)j;
}

void harness_bound(struct harness_channel *c)
{
	c->outcome = HARNESS_OUTPUT_MAX;
	c->h->run->bounded = true;
}

bool harness_over(const struct harness_channel *c)
{
	return c->gone || c->outcome == HARNESS_ABORTED || c->outcome == HARNESS_OUTPUT_MAX ||
	       (harness_is_main(c) && c->outcome == HARNESS_FINISHED);
}

void harness_init_channel(struct harness_channel *c, struct harness *h, enum harness_kind kind)
{
	*c = (struct harness_channel){
		.kind = kind,
		.outcome = HARNESS_JOINED,
		.h = h,
		.client = BUF_INIT(h->options.output_max),
		.backend = BUF_INIT(h->backend.max),
		.answer = BUF_INIT(h->options.output_max),
	};
}

struct harness_channel *harness_new_channel(struct harness *h, enum harness_kind kind)
{
	struct harness_run *run = h->run;
	struct harness_channel *c;

	if (run->bounded || run->main.outcome == HARNESS_ABORTED ||
	    run->alive == JEEBS_CHANNELS_MAX || h->channels == HARNESS_CHANNELS_MAX ||
	    !(c = malloc(sizeof *c)))
		return NULL;
	harness_init_channel(c, h, kind);
	h->channel[h->channels++] = c;
	run->alive++;
	return c;
}

void harness_append(struct harness_channel *c, struct buf *to, struct bytes b)
{
	if (buf_bytes(to, b) < 0)
		harness_bound(c);
}

void harness_memory_free(struct harness_channel *c)
{
	c->memory = private_memory_free(c->memory, c->memory_n);
}

/*
 * Whether the module may do this with @c; if not, notes the violation. When the run has ended
 * within an event, what the module still does is no violation but has no effect.
 */
static bool may(struct harness_channel *c, bool fine, const char *violation)
{
	struct harness *h = c->h;

	if (h->run->bounded)
		return false;
	if (c->gone)
		harness_violation(h, "a channel was used that is gone");
	else if (!fine || harness_over(c))
		harness_violation(h, violation);
	return fine && !harness_over(c);
}

static bool may_ask(struct harness_channel *c, const char *violation)
{
	return may(c, !c->pass[JEEBS_TO_SERVER] && !c->finish_backend, violation);
}

static bool may_answer(struct harness_channel *c, const char *violation)
{
	return may(c, !c->pass[JEEBS_TO_CLIENT] && c->outcome != HARNESS_FINISHED, violation);
}

static void queue(struct harness_channel *c, struct buf *to, size_t *io_event, struct bytes b)
{
	if (b.n > c->h->options.queue_max - *io_event) {
		harness_violation(c->h, "more queued in one event than the host allows");
		harness_bound(c);
		return;
	}
	*io_event += b.n;
	harness_append(c, to, b);
}

static void join_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness_channel *c = channel_of(j);

	if (may_answer(c, "to_client after pass, finish or abort"))
		queue(c, &c->client, &c->queued_client, bytes_of(b.p, b.n));
}

static void join_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness_channel *c = channel_of(j);

	if (!may_ask(c, "to_backend after pass, finish or abort") ||
	    !may(c, !c->securing, "to_backend while the handshake is under way"))
		return;
	c->asked = true;
	if (!c->no_backend)
		queue(c, &c->backend, &c->queued_backend, bytes_of(b.p, b.n));
}

static void join_log_to_backend(struct jeebs_join *j, uint64_t from, uint64_t to)
{
	struct harness_channel *c = channel_of(j);
	const struct harness_log *l = NULL;

	if (from == to || !may_ask(c, "log_to_backend after pass, finish or abort"))
		return;
	if (harness_is_main(c))
		l = &c->h->log[JEEBS_TO_SERVER];
	else if (c->kind == HARNESS_RELATED)
		l = &c->h->relation[c->related].log[JEEBS_TO_SERVER];
	c->asked = true;
	if (!l || !span_has(&l->span, from, to)) {
		harness_violation(c->h, "log_to_backend of what is not in the log");
		return;
	}
	while (!c->no_backend && from < to) {
		struct bytes b = bytes_head(span_at(&l->span, from), (size_t)(to - from));
		harness_append(c, &c->backend, b);
		c->queued_log += b.n;
		from += b.n;
	}
}

static void join_finish_client(struct jeebs_join *j)
{
	struct harness_channel *c = channel_of(j);

	if (may_answer(c, "finish_client after pass, finish or abort"))
		c->outcome = HARNESS_FINISHED;
}

static void join_finish_backend(struct jeebs_join *j)
{
	struct harness_channel *c = channel_of(j);

	if (may_ask(c, "finish_backend after pass, finish or abort"))
		c->finish_backend = true;
}

static void join_pass(struct jeebs_join *j, uint32_t dir)
{
	struct harness_channel *c = channel_of(j);

	if (may(c, dir < 2 && !c->pass[dir & 1], "pass twice, or after finish or abort"))
		c->pass[dir] = true;
}

static void join_abort(struct jeebs_join *j, const char *reason)
{
	struct harness_channel *c = channel_of(j);

	if (!may(c, true, "abort after finish or abort"))
		return;
	c->outcome = HARNESS_ABORTED;
	c->abort_reason = reason;
}

static void join_backend_port(struct jeebs_join *j, uint16_t port)
{
	struct harness_channel *c = channel_of(j);
	/* A channel without a port is not connected yet, even if it has been asked to. */
	bool early = harness_is_main(c) ? !c->asked : c->backend_port == 0;

	if (!may(c, early && !c->no_backend,
		 "backend_port twice, or after something was sent to it"))
		return;
	c->backend_port = port;
	c->no_backend = port == 0;
	if (c->no_backend)
		buf_reset(&c->backend);
}

static void join_connect_backend(struct jeebs_join *j)
{
	struct harness_channel *c = channel_of(j);

	if (may(c, true, "connect_backend after finish or abort"))
		c->asked = true;
}

static void join_address(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret)
{
	const struct harness_options *o = &channel_of(j)->h->options;

	*ret = end == JEEBS_END_SERVICE  ? o->service_address
	       : end == JEEBS_END_CLIENT ? o->client_address
					 : o->backend_address;
}

static void join_hold_client(struct jeebs_join *j, int on)
{
	struct harness_channel *c = channel_of(j);

	if (may(c, !c->pass[JEEBS_TO_SERVER], "hold_client after pass, finish or abort"))
		c->hold = on;
}

static void join_timer(struct jeebs_join *j, uint32_t ms)
{
	channel_of(j)->timer = ms > 0;
}

static struct jeebs_join *join_related(struct jeebs_join *j, uint32_t i)
{
	struct harness *h = channel_of(j)->h;

	if (i >= h->related_n) {
		harness_violation(h, "related: there are not so many");
		return NULL;
	}
	struct harness_channel *c = h->relation[i].channel;
	return c ? harness_opaque(c) : NULL;
}

static bool listens_at(const struct harness *h, uint16_t port)
{
	for (uint32_t i = 0; i < h->channels; i++)
		if (h->channel[i]->kind == HARNESS_LISTENED && !h->channel[i]->gone &&
		    h->channel[i]->service_port == port)
			return true;
	return false;
}

static struct jeebs_join *join_listen_client(struct jeebs_join *j, uint16_t *io_port)
{
	struct harness *h = channel_of(j)->h;
	bool wanted = *io_port && !listens_at(h, *io_port);
	struct harness_channel *c = harness_new_channel(h, HARNESS_LISTENED);

	if (!c)
		return NULL;
	if (!wanted)
		*io_port = (uint16_t)(LISTEN_PORT + h->channels);
	c->service_port = *io_port;
	return harness_opaque(c);
}

static struct jeebs_join *join_connect_client(struct jeebs_join *j, const struct jeebs_address *to,
					      uint16_t from_port)
{
	struct harness *h = channel_of(j)->h;
	struct harness_channel *c = harness_new_channel(h, HARNESS_CONNECTED);

	if (!c)
		return NULL;
	c->client_port = to->port;
	c->service_port = from_port ? from_port : (uint16_t)(CONNECT_PORT + h->channels);
	return harness_opaque(c);
}

static size_t join_room(struct jeebs_join *j, uint32_t dir)
{
	struct harness_channel *c = channel_of(j);
	size_t most = c->h->options.room_max, queued;

	if (dir > 1) {
		harness_violation(c->h, "room: no such direction");
		return 0;
	}
	queued = dir == JEEBS_TO_CLIENT ? c->queued_client : c->queued_backend + c->queued_log;
	c->wants_room[dir] |= queued >= most;
	return queued < most ? most - queued : 0;
}

static void *join_memory(struct jeebs_join *j, size_t n)
{
	struct harness_channel *c = channel_of(j);

	if (n == 0 || n > JEEBS_MEMORY_MAX || (c->gone && !c->memory)) {
		harness_violation(c->h, "memory: not so much, or of a channel that is gone");
		return NULL;
	}
	if (!c->memory) {
		c->memory = private_memory_new(n);
		c->memory_n = n;
	}
	return c->memory;
}

/* Oracles speak plain. */
static void join_backend_tls(struct jeebs_join *j, const char *name, const char *alpn)
{
	struct harness_channel *c = channel_of(j);

	may(c, !c->asked, "backend_tls after something was sent to the backend");
}

static void join_backend_tls_later(struct jeebs_join *j, const char *name, const char *alpn)
{
	join_backend_tls(j, name, alpn);
	channel_of(j)->later = channel_of(j)->h->options.secures;
}

static int join_secure_backend(struct jeebs_join *j, uint32_t step)
{
	struct harness_channel *c = channel_of(j);

	if (step == JEEBS_SECURE_BEGIN && c->later) {
		may(c, c->connected && c->secured_at == 0,
		    "secure_backend without a backend, or twice");
		c->securing = true;
		c->secured_at = c->backend.n;
	}
	return c->later;
}

const struct jeebs_join_ops harness_ops = {
	.size = sizeof(struct jeebs_join_ops),
	.to_client = join_to_client,
	.to_backend = join_to_backend,
	.finish_client = join_finish_client,
	.finish_backend = join_finish_backend,
	.pass = join_pass,
	.abort = join_abort,
	.log_to_backend = join_log_to_backend,
	.hold_client = join_hold_client,
	.timer = join_timer,
	.related = join_related,
	.backend_port = join_backend_port,
	.connect_backend = join_connect_backend,
	.listen_client = join_listen_client,
	.connect_client = join_connect_client,
	.address = join_address,
	.room = join_room,
	.memory = join_memory,
	.backend_tls = join_backend_tls,
	.backend_tls_later = join_backend_tls_later,
	.secure_backend = join_secure_backend,
};
