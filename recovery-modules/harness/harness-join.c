/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "harness-join.h"

#include <errno.h>
#include <stdlib.h>

#include "base/private-memory.h"

static bool passes_all(const struct harness_channel *c)
{
	return c->pass[JEEBS_TO_SERVER] && c->pass[JEEBS_TO_CLIENT];
}

/* Events ------------------------------------------------------------------------------ */

static void nothing_queued(struct harness_channel *c)
{
	c->queued_client = c->queued_backend = c->queued_log = 0;
}

static void tell(struct harness_channel *c, uint32_t what, struct bytes b)
{
	struct harness *h = c->h;
	struct harness_run *run = h->run;

	nothing_queued(&run->main);
	for (uint32_t i = 0; i < h->channels; i++)
		nothing_queued(h->channel[i]);
	h->resuming = true;
	h->logs_shown = !run->main.pass[JEEBS_TO_SERVER];
	h->module->resume(h->state, &h->cut, harness_opaque(c), &harness_ops, what,
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
	harness_memory_free(c);
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

	if (!client || c->more.n > 0 || c->client_over || (!harness_is_main(c) && !c->client_ctx))
		return;
	c->more = client->next(harness_is_main(c) ? client->ctx : c->client_ctx, c->client.n,
			       &c->client_eof);
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
		harness_append(c, &c->backend, part);
}

static void client_ends(struct harness_channel *c)
{
	c->client_eof = false;
	c->client_over = true;
	if (!c->pass[JEEBS_TO_SERVER])
		event(c, JEEBS_EV_CLIENT_EOF, BYTES_NONE);
	else if ((c->asked || !harness_is_main(c)) && !c->no_backend)
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
	if (!c->client_over && !harness_is_main(c) && c->outcome == HARNESS_FINISHED)
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

	if (harness_is_main(c)) {
		c->backend_ctx = b->ctx;
		return !b->refuse;
	}
	c->backend_ctx = b->connect ? b->connect(b->ctx, c->backend_port) : NULL;
	return c->backend_ctx;
}

static bool connect_step(struct harness_channel *c)
{
	if (!c->asked || c->no_backend || c->connected || c->backend_over ||
	    (!harness_is_main(c) && c->backend_port == 0))
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

/* The handshake with the backend is done. */
static bool secure_step(struct harness_channel *c)
{
	if (!c->securing || c->backend_over)
		return false;
	c->securing = false;
	event(c, JEEBS_EV_BACKEND_UP, BYTES_NONE);
	return true;
}

/* Delivers a chunk of the backend's answer. */
static void deliver(struct harness_channel *c, struct bytes b)
{
	if (!c->pass[JEEBS_TO_CLIENT])
		event(c, JEEBS_EV_BACKEND_DATA, b);
	else
		harness_append(c, &c->client, b);
}

static bool run_over(const struct harness_channel *c)
{
	return harness_over(c) || c->h->run->bounded || c->h->run->main.outcome == HARNESS_ABORTED;
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
		harness_bound(c);
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
		harness_bound(c);
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
	if (may_be_asked(&run->main) && !harness_over(&run->main))
		ask(&run->main, BYTES_NONE, false);
	for (uint32_t i = 0; i < h->channels && !run->bounded; i++)
		if (may_be_asked(h->channel[i]) && !harness_over(h->channel[i]))
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

	if (harness_is_main(c) || (c->outcome != HARNESS_ABORTED &&
				   (c->outcome != HARNESS_FINISHED || !c->client_over || !sent)))
		return false;
	channel_gone(c, c->client_up ? JEEBS_EV_CHANNEL_CLOSED : JEEBS_EV_CLIENT_FAILED);
	return true;
}

typedef bool step_fn(struct harness_channel *c);

static bool step(struct harness_channel *c)
{
	static step_fn *const steps[] = {open_step,   connect_step, secure_step, room_step,
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
	if (!c->timer || harness_over(c) || c->timers == HARNESS_TIMERS_MAX)
		return false;
	c->timer = false;
	c->timers++;
	event(c, JEEBS_EV_TIMER, BYTES_NONE);
	return true;
}

/* A client that has not come by now does not come. */
static bool patience_step(struct harness_channel *c)
{
	if (harness_is_main(c) || c->client_up || harness_over(c))
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
		if (r->cut.ended || r->cut.refused ||
		    !(c = harness_new_channel(h, HARNESS_RELATED)))
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
	h->secured_at = c->secured_at;
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
		harness_memory_free(c);
		buf_deinit(&c->answer);
	}
}

static void resume(struct harness *h, struct harness_run *run, struct bytes more, bool eof)
{
	harness_init_channel(&run->main, h, HARNESS_MAIN);
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
	harness_memory_free(&run->main);
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
