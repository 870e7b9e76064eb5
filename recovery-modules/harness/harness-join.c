/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "harness-join.h"

#include <errno.h>
#include <stdlib.h>

#include "base/private-memory.h"

/*
 * The first number given to a listening port or an own port. Numbers are arbitrary but the same in
 * each run.
 */
#define LISTEN_PORT  40000
#define CONNECT_PORT 50000

/* State of one harness_resume(). */
struct harness_run {
	const struct harness_backend *backend;
	const struct harness_client *client; /* NULL: the client says only what is in `more` */
	struct harness_channel main;
	bool bounded;   /* a bound has ended the run, perhaps within an event */
	bool disturbed; /* something happened at the backend: its other connections may speak */
	uint32_t alive; /* channels, without the main one, that are not gone */
};

static struct harness_channel *channel_of(struct jeebs_join *j)
{
	return (struct harness_channel *)(void *)j;
}

static void bound(struct harness_channel *c)
{
	c->outcome = HARNESS_OUTPUT_MAX;
	c->h->run->bounded = true;
}

static bool is_main(const struct harness_channel *c)
{
	return c->kind == HARNESS_MAIN;
}

/* Whether nothing can happen on the channel any more. */
static bool over(const struct harness_channel *c)
{
	return c->gone || c->outcome == HARNESS_ABORTED || c->outcome == HARNESS_OUTPUT_MAX ||
	       (is_main(c) && c->outcome == HARNESS_FINISHED);
}

static bool passes_all(const struct harness_channel *c)
{
	return c->pass[JEEBS_TO_SERVER] && c->pass[JEEBS_TO_CLIENT];
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
	else if (!fine || over(c))
		harness_violation(h, violation);
	return fine && !over(c);
}

static bool may_ask(struct harness_channel *c, const char *violation)
{
	return may(c, !c->pass[JEEBS_TO_SERVER] && !c->finish_backend, violation);
}

static bool may_answer(struct harness_channel *c, const char *violation)
{
	return may(c, !c->pass[JEEBS_TO_CLIENT] && c->outcome != HARNESS_FINISHED, violation);
}

static void append(struct harness_channel *c, struct buf *to, struct bytes b)
{
	if (buf_bytes(to, b) < 0)
		bound(c);
}

static void queue(struct harness_channel *c, struct buf *to, size_t *io_event, struct bytes b)
{
	if (b.n > c->h->options.queue_max - *io_event) {
		harness_violation(c->h, "more queued in one event than the host allows");
		bound(c);
		return;
	}
	*io_event += b.n;
	append(c, to, b);
}

/* What the module may do ------------------------------------------------------------ */

static void join_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness_channel *c = channel_of(j);

	if (may_answer(c, "to_client after pass, finish or abort"))
		queue(c, &c->client, &c->queued_client, bytes_of(b.p, b.n));
}

static void join_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness_channel *c = channel_of(j);

	if (!may_ask(c, "to_backend after pass, finish or abort"))
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
	if (is_main(c))
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
		append(c, &c->backend, b);
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
	bool early = is_main(c) ? !c->asked : c->backend_port == 0;

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

static struct jeebs_join *opaque(struct harness_channel *c)
{
	return (struct jeebs_join *)(void *)c;
}

static void init_channel(struct harness_channel *c, struct harness *h, enum harness_kind kind)
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

/* Makes a channel. NULL: there are too many, or the main one is over. */
static struct harness_channel *new_channel(struct harness *h, enum harness_kind kind)
{
	struct harness_run *run = h->run;
	struct harness_channel *c;

	if (run->bounded || run->main.outcome == HARNESS_ABORTED ||
	    run->alive == JEEBS_CHANNELS_MAX || h->channels == HARNESS_CHANNELS_MAX ||
	    !(c = malloc(sizeof *c)))
		return NULL;
	init_channel(c, h, kind);
	h->channel[h->channels++] = c;
	run->alive++;
	return c;
}

static struct jeebs_join *join_related(struct jeebs_join *j, uint32_t i)
{
	struct harness *h = channel_of(j)->h;

	if (i >= h->related_n) {
		harness_violation(h, "related: there are not so many");
		return NULL;
	}
	struct harness_channel *c = h->relation[i].channel;
	return c ? opaque(c) : NULL;
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
	struct harness_channel *c = new_channel(h, HARNESS_LISTENED);

	if (!c)
		return NULL;
	if (!wanted)
		*io_port = (uint16_t)(LISTEN_PORT + h->channels);
	c->service_port = *io_port;
	return opaque(c);
}

static struct jeebs_join *join_connect_client(struct jeebs_join *j, const struct jeebs_address *to,
					      uint16_t from_port)
{
	struct harness *h = channel_of(j)->h;
	struct harness_channel *c = new_channel(h, HARNESS_CONNECTED);

	if (!c)
		return NULL;
	c->client_port = to->port;
	c->service_port = from_port ? from_port : (uint16_t)(CONNECT_PORT + h->channels);
	return opaque(c);
}

static size_t join_room(struct jeebs_join *j, uint32_t dir)
{
	struct harness_channel *c = channel_of(j);
	size_t most = c->h->options.room_max, queued;

	if (dir > 1) {
		harness_violation(c->h, "room: no such direction");
		return 0;
	}
	queued = dir == JEEBS_TO_CLIENT ? c->queued_client : c->queued_backend;
	c->wants_room[dir] |= queued >= most;
	return queued < most ? most - queued : 0;
}

static void *join_memory(struct jeebs_join *j, size_t n)
{
	struct harness_channel *c = channel_of(j);

	if (n == 0 || n > JEEBS_MEMORY_MAX || c->gone) {
		harness_violation(c->h, "memory: not so much, or of a channel that is gone");
		return NULL;
	}
	if (!c->memory) {
		c->memory = private_memory_new(n);
		c->memory_n = n;
	}
	return c->memory;
}

static void memory_free(struct harness_channel *c)
{
	c->memory = private_memory_free(c->memory, c->memory_n);
}

static const struct jeebs_join_ops join_ops = {
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
};

/* Events ------------------------------------------------------------------------------ */

static void tell(struct harness_channel *c, uint32_t what, struct bytes b)
{
	struct harness *h = c->h;
	struct harness_run *run = h->run;

	run->main.queued_client = run->main.queued_backend = 0;
	for (uint32_t i = 0; i < h->channels; i++)
		h->channel[i]->queued_client = h->channel[i]->queued_backend = 0;
	h->resuming = true;
	h->logs_shown = !run->main.pass[JEEBS_TO_SERVER];
	h->module->resume(h->state, &h->cut, opaque(c), &join_ops, what,
			  (struct jeebs_bytes){b.p, b.n});
	h->resuming = h->logs_shown = false;
	scratch_give_back();
}

static void event(struct harness_channel *c, uint32_t what, struct bytes b)
{
	if (!passes_all(c))
		tell(c, what, b);
}

/* Tells the module the channel's last event. */
static void channel_gone(struct harness_channel *c, uint32_t what)
{
	struct harness_run *run = c->h->run;

	c->gone = true;
	run->alive--;
	if (c->backend_ctx && run->backend->disconnect)
		run->backend->disconnect(c->backend_ctx);
	c->backend_ctx = NULL;
	tell(c, what, BYTES_NONE);
	memory_free(c);
	if (c->kind == HARNESS_RELATED)
		c->h->relation[c->related].channel = NULL;
}

/* The client -------------------------------------------------------------------------- */

static void client_failed(struct harness_channel *c)
{
	c->outcome = HARNESS_ABORTED;
	c->abort_reason = "client-failed";
	channel_gone(c, JEEBS_EV_CLIENT_FAILED);
}

static bool open_step(struct harness_channel *c)
{
	const struct harness_client *client = c->h->run->client;
	enum harness_opening there = HARNESS_NEVER;

	if (c->client_up)
		return false;
	if (client && client->open)
		there = client->open(client->ctx, c, &c->client_ctx);
	if (there == HARNESS_NOT_YET)
		return false;
	if (there == HARNESS_NEVER) {
		client_failed(c);
		return true;
	}
	c->client_up = true;
	event(c, JEEBS_EV_CLIENT_UP, BYTES_NONE);
	return true;
}

static void ask_client(struct harness_channel *c)
{
	const struct harness_client *client = c->h->run->client;

	if (!client || c->more.n > 0 || c->client_over || (!is_main(c) && !c->client_ctx))
		return;
	c->more =
		client->next(is_main(c) ? client->ctx : c->client_ctx, c->client.n, &c->client_eof);
	c->client_over = c->client_eof;
}

static void client_says(struct harness_channel *c)
{
	struct harness *h = c->h;
	struct bytes part = bytes_head(c->more, harness_chunk(h, &h->options.live, c->more.n));

	c->more = bytes_from(c->more, part.n);
	if (!c->pass[JEEBS_TO_SERVER]) {
		event(c, JEEBS_EV_CLIENT_DATA, part);
		return;
	}
	c->asked = true;
	if (!c->no_backend)
		append(c, &c->backend, part);
}

static void client_ends(struct harness_channel *c)
{
	c->client_eof = false;
	c->client_over = true;
	if (!c->pass[JEEBS_TO_SERVER])
		event(c, JEEBS_EV_CLIENT_EOF, BYTES_NONE);
	else if ((c->asked || !is_main(c)) && !c->no_backend)
		c->asked = c->finish_backend = true;
	else if (c->pass[JEEBS_TO_CLIENT])
		c->outcome = HARNESS_FINISHED; /* nobody is left to talk to */
}

static bool client_step(struct harness_channel *c)
{
	if (!c->client_up || (c->hold && !c->pass[JEEBS_TO_SERVER]))
		return false;
	ask_client(c);
	if (c->more.n > 0) {
		client_says(c);
		return true;
	}
	/* A client that got the FIN, and has nothing more to say, finishes too. */
	if (!c->client_over && !is_main(c) && c->outcome == HARNESS_FINISHED)
		c->client_eof = true;
	if (!c->client_eof)
		return false;
	client_ends(c);
	return true;
}

/* The backend ------------------------------------------------------------------------- */

static void backend_failed(struct harness_channel *c)
{
	c->backend_over = true;
	if (c->pass[JEEBS_TO_CLIENT]) {
		c->outcome = HARNESS_ABORTED;
		c->abort_reason = "backend-failed";
		return;
	}
	event(c, JEEBS_EV_BACKEND_FAILED, BYTES_NONE);
}

static bool connect_channel(struct harness_channel *c)
{
	const struct harness_backend *b = c->h->run->backend;

	if (is_main(c)) {
		c->backend_ctx = b->ctx;
		return !b->refuse;
	}
	c->backend_ctx = b->connect ? b->connect(b->ctx, c->backend_port) : NULL;
	return c->backend_ctx;
}

static bool connect_step(struct harness_channel *c)
{
	if (!c->asked || c->no_backend || c->connected || c->backend_over ||
	    (!is_main(c) && c->backend_port == 0))
		return false;
	if (!connect_channel(c)) {
		backend_failed(c);
		return true;
	}
	c->connected = true;
	c->h->run->disturbed = true;
	event(c, JEEBS_EV_BACKEND_UP, BYTES_NONE);
	return true;
}

/* Delivers a chunk of the backend's answer. */
static void deliver(struct harness_channel *c, struct bytes b)
{
	if (!c->pass[JEEBS_TO_CLIENT])
		event(c, JEEBS_EV_BACKEND_DATA, b);
	else
		append(c, &c->client, b);
}

static bool run_over(const struct harness_channel *c)
{
	return over(c) || c->h->run->bounded || c->h->run->main.outcome == HARNESS_ABORTED;
}

static int answer_now(void *to, struct bytes b)
{
	struct harness_channel *c = to;

	c->h->run->disturbed |= b.n > 0;
	while (b.n > 0 && !run_over(c)) {
		struct bytes part = bytes_head(b, harness_chunk(c->h, &c->h->options.backend, b.n));
		b = bytes_from(b, part.n);
		deliver(c, part);
	}
	return run_over(c) ? -ECANCELED : 0;
}

/*
 * Asks with a copy of the bytes: while the answer is delivered, the module may queue more and so
 * move the queue.
 */
static void ask_streaming(struct harness_channel *c, struct bytes b, bool eof)
{
	const struct harness_backend *backend = c->h->run->backend;
	struct buf copy = BUF_INIT(SIZE_MAX / 2);

	if (buf_bytes(&copy, b) < 0)
		bound(c);
	else
		backend->stream(c->backend_ctx, buf_view(&copy), eof, answer_now, c, &c->close,
				&c->fail);
	buf_deinit(&copy);
}

static void ask(struct harness_channel *c, struct bytes b, bool eof)
{
	const struct harness_backend *backend = c->h->run->backend;
	size_t before = c->answer.n;

	if (backend->stream)
		ask_streaming(c, b, eof);
	else
		backend->receive(c->backend_ctx, b, eof, &c->answer, &c->close, &c->fail);
	if (buf_error(&c->answer) < 0)
		bound(c);
	c->h->run->disturbed |= b.n > 0 || eof || c->answer.n > before || c->close || c->fail;
}

static bool may_be_asked(const struct harness_channel *c)
{
	return c->connected && !c->close && !c->fail;
}

static bool ask_step(struct harness_channel *c)
{
	bool eof = c->finish_backend && !c->eof_shown;

	if (!may_be_asked(c) || (c->greeted && c->shown == c->backend.n && !eof))
		return false;
	c->greeted = true;
	struct bytes b = bytes_from(buf_view(&c->backend), c->shown);
	c->shown = c->backend.n;
	c->eof_shown |= eof;
	ask(c, b, eof);
	return true;
}

static bool answer_step(struct harness_channel *c)
{
	struct bytes b = bytes_from(buf_view(&c->answer), c->answered);

	if (c->backend_over)
		return false;
	if (b.n > 0) {
		b = bytes_head(b, harness_chunk(c->h, &c->h->options.backend, b.n));
		c->answered += b.n;
		deliver(c, b);
		return true;
	}
	if (c->fail) {
		backend_failed(c);
		return true;
	}
	if (!c->close)
		return false;
	c->backend_over = true;
	if (c->pass[JEEBS_TO_CLIENT])
		c->outcome = HARNESS_FINISHED;
	else
		event(c, JEEBS_EV_BACKEND_EOF, BYTES_NONE);
	return true;
}

/* Asks the backend's connections whether one speaks because of what happened on another. */
static bool disturb_step(struct harness *h)
{
	struct harness_run *run = h->run;

	if (!run->disturbed || !run->backend->connect)
		return false;
	run->disturbed = false;
	if (may_be_asked(&run->main) && !over(&run->main))
		ask(&run->main, BYTES_NONE, false);
	for (uint32_t i = 0; i < h->channels && !run->bounded; i++)
		if (may_be_asked(h->channel[i]) && !over(h->channel[i]))
			ask(h->channel[i], BYTES_NONE, false);
	return run->disturbed;
}

/* Nothing of what was queued in an earlier event is left. */
static bool room_step(struct harness_channel *c)
{
	for (uint32_t dir = 0; dir < 2; dir++) {
		if (!c->wants_room[dir] || c->pass[dir])
			continue;
		c->wants_room[dir] = false;
		event(c, dir == JEEBS_TO_CLIENT ? JEEBS_EV_CLIENT_ROOM : JEEBS_EV_BACKEND_ROOM,
		      BYTES_NONE);
		return true;
	}
	return false;
}

/* The run ----------------------------------------------------------------------------- */

/* Ends the channel when everything was said and heard, or after a reset. */
static bool close_step(struct harness_channel *c)
{
	bool sent = c->no_backend || !c->asked || c->backend_over ||
		    (c->shown == c->backend.n && (!c->finish_backend || c->eof_shown));

	if (is_main(c) || (c->outcome != HARNESS_ABORTED &&
			   (c->outcome != HARNESS_FINISHED || !c->client_over || !sent)))
		return false;
	channel_gone(c, c->client_up ? JEEBS_EV_CHANNEL_CLOSED : JEEBS_EV_CLIENT_FAILED);
	return true;
}

typedef bool step_fn(struct harness_channel *c);

static bool step(struct harness_channel *c)
{
	static step_fn *const steps[] = {open_step,   connect_step, room_step,
					 client_step, ask_step,     answer_step};
	struct harness_run *run = c->h->run;
	bool moved = false;

	for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++)
		moved |= !run_over(c) && steps[i](c);
	if (!c->gone && !run->bounded && run->main.outcome != HARNESS_ABORTED)
		moved |= close_step(c);
	return moved;
}

static bool timer_step(struct harness_channel *c)
{
	if (!c->timer || over(c) || c->timers == HARNESS_TIMERS_MAX)
		return false;
	c->timer = false;
	c->timers++;
	event(c, JEEBS_EV_TIMER, BYTES_NONE);
	return true;
}

/* A client that has not come by now does not come. */
static bool patience_step(struct harness_channel *c)
{
	if (is_main(c) || c->client_up || over(c))
		return false;
	client_failed(c);
	return true;
}

/* A client may have waited until nothing comes any more. */
static bool silence_step(struct harness_channel *c)
{
	const struct harness_client *client = c->h->run->client;

	return client && client->again && !c->gone && !run_over(c) && client_step(c);
}

/* Takes one step on each channel. Channels made meanwhile are included. */
static bool all(struct harness *h, step_fn *what, bool only_one)
{
	bool moved = what(&h->run->main);

	for (uint32_t i = 0; i < h->channels && !(moved && only_one); i++)
		moved |= !h->channel[i]->gone && what(h->channel[i]);
	return moved;
}

static bool alive(const struct harness *h)
{
	const struct harness_run *run = h->run;

	return !run->bounded && run->main.outcome != HARNESS_ABORTED &&
	       (run->main.outcome == HARNESS_JOINED || run->alive > 0);
}

/* Makes a channel for each related connection that was restored. */
static void open_related(struct harness *h)
{
	const struct harness_client *client = h->run->client;

	for (uint32_t i = 0; i < h->related_n; i++) {
		const struct jeebs_related *r = &h->related[i];
		struct harness_channel *c;
		if (r->cut.ended || r->cut.refused || !(c = new_channel(h, HARNESS_RELATED)))
			continue;
		c->related = i;
		c->service_port = r->server_port;
		c->client_port = r->client_port;
		c->client_up = true;
		c->client_eof = c->client_over = r->cut.client_fin;
		if (r->cut.server_fin)
			c->outcome = HARNESS_FINISHED;
		h->relation[i].channel = c;
		if (client && client->open)
			client->open(client->ctx, c, &c->client_ctx);
	}
}

/* Copies the main channel's results into the harness. */
static void show_main(struct harness *h, const struct harness_channel *c)
{
	h->client = c->client;
	h->backend = c->backend;
	h->outcome = h->run->bounded ? HARNESS_OUTPUT_MAX : c->outcome;
	h->abort_reason = c->abort_reason;
	h->asked = c->asked;
	h->no_backend = c->no_backend;
}

static void end_channels(struct harness *h)
{
	const struct harness_backend *b = h->run->backend;

	for (uint32_t i = 0; i < h->channels; i++) {
		struct harness_channel *c = h->channel[i];
		if (c->backend_ctx && b->disconnect)
			b->disconnect(c->backend_ctx);
		c->backend_ctx = NULL;
		if (!c->gone && h->run->main.outcome == HARNESS_ABORTED) {
			c->outcome = HARNESS_ABORTED;
			c->abort_reason = h->run->main.abort_reason;
		}
		memory_free(c);
		buf_deinit(&c->answer);
	}
}

static void resume(struct harness *h, struct harness_run *run, struct bytes more, bool eof)
{
	init_channel(&run->main, h, HARNESS_MAIN);
	run->main.client_up = true;
	run->main.more = more;
	run->main.client_eof = eof;
	run->main.client = h->client;
	run->main.backend = h->backend;
	h->run = run;
	harness_set_cut(h);
	open_related(h);
	tell(&run->main, JEEBS_EV_START, BYTES_NONE);
	/* Each step consumes something bounded, so the loop ends. */
	while (alive(h)) {
		bool moved = all(h, step, false);
		if (!moved && alive(h) && !disturb_step(h) && !all(h, silence_step, true) &&
		    !all(h, timer_step, true) && !all(h, patience_step, true))
			break;
	}
	end_channels(h);
	show_main(h, &run->main);
	memory_free(&run->main);
	buf_deinit(&run->main.answer);
	h->run = NULL;
}

void harness_resume(struct harness *h, const struct harness_backend *backend, struct bytes more,
		    bool client_eof)
{
	struct harness_run run = {.backend = backend};

	resume(h, &run, more, client_eof);
}

void harness_resume_with(struct harness *h, const struct harness_backend *backend,
			 const struct harness_client *client)
{
	struct harness_run run = {.backend = backend, .client = client};

	resume(h, &run, BYTES_NONE, false);
}

struct bytes harness_received(const struct harness *h)
{
	return buf_view(h->run ? &h->run->main.client : &h->client);
}
