/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "harness.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_LOG_MAX    (64u << 20)
#define DEFAULT_QUEUE_MAX  (1u << 20)
#define DEFAULT_OUTPUT_MAX (64u << 20)
#define RANDOM_CHUNK_MAX   1500u

/* One harness_resume(). */
struct harness_run {
	const struct harness_backend *backend;
	const struct harness_client *client; /* NULL: only what is in `more` */
	struct bytes more;                   /* of the client, not sent yet */
	bool client_eof, client_over;        /* it is to end; it has been told so */
	bool pass[2];
	bool hold;           /* the client is not asked */
	bool timer;          /* set, */
	uint32_t timers;     /* and fired so often */
	bool finish_backend; /* the backend gets no more than what is queued */
	bool connected;
	size_t shown;   /* bytes of h->backend that `receive` has had */
	bool eof_shown; /* and the end */
	bool greeted;   /* it was asked at all: a server may speak first */
	struct buf answer;
	size_t answered; /* bytes of `answer` delivered */
	bool close, fail;
	bool backend_over;                    /* its end or its failure was delivered */
	size_t queued_client, queued_backend; /* in this event */
};

static void violation(struct harness *h, const char *what)
{
	if (!h->violation)
		h->violation = what;
}

/* xorshift64: the module must not see a pattern, nothing more. */
static uint64_t next_random(struct harness *h, uint64_t seed)
{
	uint64_t x = h->random ^ seed;

	if (x == 0)
		x = UINT64_C(0x9e3779b97f4a7c15);
	x ^= x << 13;
	x ^= x >> 7;
	x ^= x << 17;
	h->random = x ^ seed;
	return x;
}

static size_t chunk_length(struct harness *h, const struct harness_chunks *c, size_t n)
{
	size_t k = c->max ? c->max : n;

	if (c->seed)
		k = 1 + (size_t)((next_random(h, c->seed) >> 20) %
				 (c->max ? c->max : RANDOM_CHUNK_MAX));
	return k < n ? k : n;
}

/* Logs. */

static struct jeebs_bytes log_view(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness *h = (struct harness *)f;
	struct harness_log *l = &h->log[dir & 1];
	struct jeebs_bytes none = {NULL, 0};

	if (!h->logs_shown || dir > 1) {
		violation(h, "log read outside of the callbacks that may");
		return none;
	}
	if (off < l->base || off - l->base >= l->bytes.n)
		return none;
	size_t at = (size_t)(off - l->base), n = l->bytes.n - at;
	/* Boundaries lie at fixed offsets, as in a circular buffer. */
	if (h->options.view_max && n > h->options.view_max - off % h->options.view_max)
		n = h->options.view_max - (size_t)(off % h->options.view_max);
	return (struct jeebs_bytes){l->bytes.p + at, n};
}

static void log_keep_from(struct jeebs_flow *f, uint32_t dir, uint64_t off)
{
	struct harness *h = (struct harness *)f;
	struct harness_log *l = &h->log[dir & 1];

	uint64_t end = dir == h->dir ? h->end : l->next;

	if (!h->live_call || dir > 1)
		violation(h, "keep_from outside of a live callback");
	else if (off > end && !h->misled)
		violation(h, "keep_from beyond the bytes shown");
	else if (l->kept && off < l->keep && !h->misled)
		violation(h, "keep_from backwards");
	if (h->violation || off > end || (l->kept && off < l->keep))
		return;
	l->kept = true;
	l->keep = off;
}

static const struct jeebs_live_ops live_ops = {.keep_from = log_keep_from, .log = log_view};

/* Forgets what nobody asked for. */
static void log_trim(struct harness_log *l)
{
	uint64_t need = l->kept ? l->keep : l->next;

	if (need <= l->base)
		return;
	uint64_t drop = need - l->base;
	buf_consume(&l->bytes, drop < l->bytes.n ? (size_t)drop : l->bytes.n);
	l->base = need;
}

/* Nothing of the log is left; it goes on at @next. */
static void log_lose(struct harness_log *l, uint64_t next)
{
	buf_reset(&l->bytes);
	l->base = l->next = next;
}

static void log_append(struct harness_log *l, struct bytes b)
{
	uint64_t off = l->next, need = l->kept ? l->keep : off + b.n;

	l->next = off + b.n;
	log_trim(l);
	if (need > off)
		b = bytes_from(b, (size_t)(need - off));
	if (buf_bytes(&l->bytes, b) < 0)
		log_lose(l, l->next);
}

/* Live half. */

static void live_begin(struct harness *h, uint32_t dir, uint64_t end)
{
	h->live_call = h->logs_shown = true;
	h->dir = dir;
	h->end = end;
}

static void live_end(struct harness *h, int r)
{
	h->live_call = h->logs_shown = false;
	if (r != JEEBS_OK && r != JEEBS_GIVE_UP)
		violation(h, "a live callback returned neither JEEBS_OK nor JEEBS_GIVE_UP");
	if (r == JEEBS_OK)
		return;
	h->gave_up = true;
	for (int i = 0; i < 2; i++)
		log_lose(&h->log[i], h->log[i].next);
}

static int open_state(struct harness *h)
{
	static const struct jeebs_service defaults = {.protocol = "harness", .retain = 1 << 20};

	memset(h->state, 0, h->module->state_size);
	live_begin(h, JEEBS_TO_SERVER, h->log[JEEBS_TO_SERVER].next);
	int r = h->module->open(h->state, (struct jeebs_flow *)h, &live_ops,
				h->options.service ? h->options.service : &defaults);
	h->live_call = h->logs_shown = false;
	return r == JEEBS_OK ? 0 : -EPROTO;
}

static void init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options)
{
	memset(h, 0, sizeof *h);
	if (options)
		h->options = *options;
	if (h->options.log_max == 0)
		h->options.log_max = DEFAULT_LOG_MAX;
	if (h->options.queue_max == 0)
		h->options.queue_max = DEFAULT_QUEUE_MAX;
	if (h->options.output_max == 0)
		h->options.output_max = DEFAULT_OUTPUT_MAX;
	h->module = m;
	h->acked = UINT64_MAX;
	for (int i = 0; i < 2; i++) {
		struct harness_log *l = &h->log[i];
		l->bytes = BUF_INIT(h->options.log_max);
		l->base = l->next = h->options.service ? h->options.service->begin[i] : 0;
	}
	h->client = BUF_INIT(h->options.output_max);
	h->backend = BUF_INIT(DEFAULT_OUTPUT_MAX);
}

int harness_init(struct harness *h, const struct jeebs_module *m,
		 const struct harness_options *options)
{
	init(h, m, options);
	h->state = malloc(m->state_size ? m->state_size : 1);
	if (!h->state)
		return -ENOMEM;
	int r = open_state(h);
	if (r < 0) {
		free(h->state);
		h->state = NULL;
	}
	return r;
}

int harness_init_cut(struct harness *h, const struct jeebs_module *m,
		     const struct harness_options *options, void *state,
		     const struct jeebs_cut *cut, const struct bytes log[static 2])
{
	const uint64_t end[2] = {cut->to_server_end, cut->to_client_end};
	const bool fin[2] = {cut->client_fin, cut->server_fin};
	int r = 0;

	init(h, m, options);
	h->state = state;
	h->acked = cut->to_client_acked;
	for (int i = 0; i < 2; i++) {
		struct harness_log *l = &h->log[i];
		if (buf_bytes(&l->bytes, log[i]) < 0)
			r = -ENOMEM;
		l->next = l->keep = end[i];
		l->base = end[i] - l->bytes.n;
		l->fin = fin[i];
	}
	return r;
}

void harness_deinit(struct harness *h)
{
	if (h->state)
		h->module->close(h->state);
	free(h->state);
	h->state = NULL;
	for (int i = 0; i < 2; i++)
		buf_deinit(&h->log[i].bytes);
	buf_deinit(&h->client);
	buf_deinit(&h->backend);
}

void harness_data(struct harness *h, uint32_t dir, struct bytes b)
{
	struct harness_log *l = &h->log[dir];

	while (b.n > 0) {
		struct bytes part = bytes_head(b, chunk_length(h, &h->options.live, b.n));
		b = bytes_from(b, part.n);
		if (h->gave_up) {
			log_lose(l, l->next + part.n);
			continue;
		}
		live_begin(h, dir, l->next + part.n);
		int r = h->module->data(h->state, dir, l->next,
					(struct jeebs_bytes){part.p, part.n}, h->now_ns);
		log_append(l, part);
		/* What the other direction does not need any more. */
		log_trim(&h->log[!dir]);
		live_end(h, r);
	}
}

void harness_gap(struct harness *h, uint32_t dir, uint64_t n)
{
	struct harness_log *l = &h->log[dir];
	uint64_t from = l->next;

	log_lose(l, from + n);
	if (h->gave_up)
		return;
	live_begin(h, dir, l->next);
	live_end(h, h->module->gap(h->state, dir, from, from + n));
}

void harness_fin(struct harness *h, uint32_t dir)
{
	h->log[dir].fin = true;
	if (h->gave_up)
		return;
	live_begin(h, dir, h->log[dir].next);
	live_end(h, h->module->fin(h->state, dir, h->log[dir].next));
}

int harness_checkpoint(struct harness *h, struct buf *out)
{
	size_t n = h->module->checkpoint(h->state, NULL, 0);

	if (buf_reserve(out, n) < 0)
		return -ENOMEM;
	if (h->module->checkpoint(h->state, out->p + out->n, n) != n)
		violation(h, "checkpoint: two lengths for one state");
	out->n += n;
	return 0;
}

static bool restore(struct harness *h, struct bytes checkpoint)
{
	h->module->close(h->state);
	bool ok = open_state(h) == 0 &&
		  h->module->restore(h->state, (struct jeebs_bytes){checkpoint.p, checkpoint.n}) ==
			  JEEBS_OK;
	if (!ok) {
		/* A host begins anew with a state that knows nothing. */
		h->module->close(h->state);
		(void)open_state(h);
		h->gave_up = true;
	}
	return ok;
}

bool harness_restore(struct harness *h, struct bytes checkpoint)
{
	h->misled = true;
	return restore(h, checkpoint);
}

int harness_reopen(struct harness *h)
{
	struct buf before = BUF_INIT(1u << 20), after = BUF_INIT(1u << 20);
	bool gave_up = h->gave_up;
	int r = harness_checkpoint(h, &before);

	if (r == 0 && !restore(h, buf_view(&before)))
		r = -EPROTO;
	h->gave_up = gave_up;
	if (r == 0)
		r = harness_checkpoint(h, &after);
	if (r == 0 && !bytes_eq(buf_view(&before), buf_view(&after)))
		violation(h, "checkpoint: restored state differs");
	buf_deinit(&before);
	buf_deinit(&after);
	return r;
}

/* Recovery half. */

static void set_cut(struct harness *h)
{
	const struct harness_log *s = &h->log[JEEBS_TO_SERVER], *c = &h->log[JEEBS_TO_CLIENT];

	h->cut = (struct jeebs_cut){
		.to_server_end = s->next,
		.to_client_end = c->next,
		.to_client_acked = h->acked < c->next ? h->acked : c->next,
		.client_fin = s->fin,
		.server_fin = c->fin,
		.flow = (struct jeebs_flow *)h,
		.log = log_view,
	};
}

void harness_plan(struct harness *h, struct jeebs_plan *ret)
{
	memset(ret, 0xff, sizeof *ret);
	set_cut(h);
	h->logs_shown = true;
	h->module->plan(h->state, &h->cut, ret);
	h->logs_shown = false;
	if (ret->verdict != JEEBS_CONTINUE && ret->verdict != JEEBS_REFUSE)
		violation(h, "plan: no verdict");
	if (!memchr(ret->detail, 0, sizeof ret->detail))
		violation(h, "plan: detail is not terminated");
	if (h->gave_up && ret->verdict != JEEBS_REFUSE)
		violation(h, "plan: continues what was given up");
}

static bool ended(const struct harness *h)
{
	return h->outcome != HARNESS_JOINED;
}

static void queue(struct harness *h, struct buf *to, size_t *io_event, struct bytes b)
{
	if (b.n > h->options.queue_max - *io_event) {
		violation(h, "more queued in one event than the host allows");
		h->outcome = HARNESS_OUTPUT_MAX;
		return;
	}
	*io_event += b.n;
	if (buf_bytes(to, b) < 0)
		h->outcome = HARNESS_OUTPUT_MAX;
}

/* The bound ended the run in the middle of an event: what the module goes on to do is no fault. */
static bool bounded(const struct harness *h)
{
	return h->outcome == HARNESS_OUTPUT_MAX;
}

static void join_to_client(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || h->run->pass[JEEBS_TO_CLIENT])
		violation(h, "to_client after pass, finish or abort");
	else
		queue(h, &h->client, &h->run->queued_client, bytes_of(b.p, b.n));
}

static void join_to_backend(struct jeebs_join *j, struct jeebs_bytes b)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || h->run->pass[JEEBS_TO_SERVER] || h->run->finish_backend)
		violation(h, "to_backend after pass, finish or abort");
	else
		queue(h, &h->backend, &h->run->queued_backend, bytes_of(b.p, b.n));
	h->asked = true;
}

static void join_log_to_backend(struct jeebs_join *j, uint64_t from, uint64_t to)
{
	struct harness *h = (struct harness *)j;
	const struct harness_log *l = &h->log[JEEBS_TO_SERVER];

	if (bounded(h) || from == to)
		return;
	h->asked = true;
	if (ended(h) || h->run->pass[JEEBS_TO_SERVER] || h->run->finish_backend)
		violation(h, "log_to_backend after pass, finish or abort");
	else if (from > to || from < l->base || to - l->base > l->bytes.n)
		violation(h, "log_to_backend of what is not in the log");
	else if (buf_append(&h->backend, l->bytes.p + (from - l->base), (size_t)(to - from)) < 0)
		h->outcome = HARNESS_OUTPUT_MAX;
}

static void join_backend_port(struct jeebs_join *j, uint16_t port)
{
	struct harness *h = (struct harness *)j;

	if (h->asked)
		violation(h, "backend_port after something was sent to it");
	h->no_backend = port == 0;
}

static void join_connect_backend(struct jeebs_join *j)
{
	((struct harness *)j)->asked = true;
}

static void join_address(struct jeebs_join *j, uint32_t end, struct jeebs_address *ret)
{
	const struct harness_options *o = &((struct harness *)j)->options;

	*ret = end == JEEBS_END_SERVICE ? o->service_address : o->client_address;
}

static void join_finish_client(struct jeebs_join *j)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || h->run->pass[JEEBS_TO_CLIENT])
		violation(h, "finish_client after pass, finish or abort");
	else
		h->outcome = HARNESS_FINISHED;
}

static void join_finish_backend(struct jeebs_join *j)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || h->run->pass[JEEBS_TO_SERVER] || h->run->finish_backend)
		violation(h, "finish_backend after pass, finish or abort");
	h->run->finish_backend = true;
}

static void join_pass(struct jeebs_join *j, uint32_t dir)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || dir > 1 || h->run->pass[dir])
		violation(h, "pass twice, or after finish or abort");
	else
		h->run->pass[dir] = true;
}

static void join_abort(struct jeebs_join *j, const char *reason)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h))
		violation(h, "abort after finish or abort");
	h->outcome = HARNESS_ABORTED;
	h->abort_reason = reason;
}

static void join_hold_client(struct jeebs_join *j, int on)
{
	struct harness *h = (struct harness *)j;

	if (bounded(h))
		return;
	if (ended(h) || h->run->pass[JEEBS_TO_SERVER])
		violation(h, "hold_client after pass, finish or abort");
	h->run->hold = on;
}

static void join_timer(struct jeebs_join *j, uint32_t ms)
{
	struct harness *h = (struct harness *)j;

	h->run->timer = ms > 0;
}

static const struct jeebs_join_ops join_ops = {
	.to_client = join_to_client,
	.to_backend = join_to_backend,
	.finish_client = join_finish_client,
	.finish_backend = join_finish_backend,
	.pass = join_pass,
	.abort = join_abort,
	.log_to_backend = join_log_to_backend,
	.backend_port = join_backend_port,
	.connect_backend = join_connect_backend,
	.address = join_address,
	.hold_client = join_hold_client,
	.timer = join_timer,
};

static void event(struct harness *h, uint32_t what, struct bytes b)
{
	struct harness_run *run = h->run;

	if (run->pass[JEEBS_TO_SERVER] && run->pass[JEEBS_TO_CLIENT])
		return;
	run->queued_client = run->queued_backend = 0;
	h->logs_shown = !run->pass[JEEBS_TO_SERVER];
	h->module->resume(h->state, &h->cut, (struct jeebs_join *)h, &join_ops, what,
			  (struct jeebs_bytes){b.p, b.n});
	h->logs_shown = false;
}

static void ask_client(struct harness *h)
{
	struct harness_run *run = h->run;

	if (!run->client || run->more.n > 0 || run->client_over)
		return;
	run->more = run->client->next(run->client->ctx, h->client.n, &run->client_eof);
	run->client_over = run->client_eof;
}

static bool client_step(struct harness *h)
{
	struct harness_run *run = h->run;

	if (run->hold && !run->pass[JEEBS_TO_SERVER])
		return false;
	ask_client(h);
	if (run->more.n > 0) {
		struct bytes part =
			bytes_head(run->more, chunk_length(h, &h->options.live, run->more.n));
		run->more = bytes_from(run->more, part.n);
		if (!run->pass[JEEBS_TO_SERVER]) {
			event(h, JEEBS_EV_CLIENT_DATA, part);
			return true;
		}
		h->asked = true;
		if (buf_bytes(&h->backend, part) < 0)
			h->outcome = HARNESS_OUTPUT_MAX;
		return true;
	}
	if (!run->client_eof)
		return false;
	run->client_eof = false;
	if (!run->pass[JEEBS_TO_SERVER])
		event(h, JEEBS_EV_CLIENT_EOF, BYTES_NONE);
	else if (h->asked)
		run->finish_backend = true;
	else if (run->pass[JEEBS_TO_CLIENT])
		h->outcome = HARNESS_FINISHED; /* nobody is left to talk to */
	return true;
}

static void backend_failed(struct harness *h)
{
	struct harness_run *run = h->run;

	run->backend_over = true;
	if (run->pass[JEEBS_TO_CLIENT]) {
		h->outcome = HARNESS_ABORTED;
		h->abort_reason = "backend-failed";
		return;
	}
	event(h, JEEBS_EV_BACKEND_FAILED, BYTES_NONE);
}

static bool connect_step(struct harness *h)
{
	struct harness_run *run = h->run;

	if (!h->asked || h->no_backend || run->connected || run->backend_over)
		return false;
	if (run->backend->refuse) {
		backend_failed(h);
		return true;
	}
	run->connected = true;
	event(h, JEEBS_EV_BACKEND_UP, BYTES_NONE);
	return true;
}

/* Some of the backend's answer. */
static void deliver(struct harness *h, struct bytes b)
{
	if (!h->run->pass[JEEBS_TO_CLIENT])
		event(h, JEEBS_EV_BACKEND_DATA, b);
	else if (buf_bytes(&h->client, b) < 0)
		h->outcome = HARNESS_OUTPUT_MAX;
}

static int answer_now(void *to, struct bytes b)
{
	struct harness *h = to;

	while (b.n > 0 && !ended(h)) {
		struct bytes part = bytes_head(b, chunk_length(h, &h->options.backend, b.n));
		b = bytes_from(b, part.n);
		deliver(h, part);
	}
	return ended(h) ? -ECANCELED : 0;
}

/* A copy: while it is answered the module may queue more, and the queue move. */
static void ask_streaming(struct harness *h, struct bytes b, bool eof)
{
	struct harness_run *run = h->run;
	struct buf copy = BUF_INIT(SIZE_MAX / 2);

	if (buf_bytes(&copy, b) < 0)
		h->outcome = HARNESS_OUTPUT_MAX;
	else
		run->backend->stream(run->backend->ctx, buf_view(&copy), eof, answer_now, h,
				     &run->close, &run->fail);
	buf_deinit(&copy);
}

static bool ask_step(struct harness *h)
{
	struct harness_run *run = h->run;
	bool eof = run->finish_backend && !run->eof_shown;

	if (!run->connected || run->close || run->fail ||
	    (run->greeted && run->shown == h->backend.n && !eof))
		return false;
	run->greeted = true;
	struct bytes b = bytes_from(buf_view(&h->backend), run->shown);
	run->shown = h->backend.n;
	run->eof_shown |= eof;
	if (run->backend->stream)
		ask_streaming(h, b, eof);
	else
		run->backend->receive(run->backend->ctx, b, eof, &run->answer, &run->close,
				      &run->fail);
	if (buf_error(&run->answer) < 0)
		h->outcome = HARNESS_OUTPUT_MAX;
	return true;
}

static bool answer_step(struct harness *h)
{
	struct harness_run *run = h->run;
	struct bytes b = bytes_from(buf_view(&run->answer), run->answered);

	if (run->backend_over)
		return false;
	if (b.n > 0) {
		b = bytes_head(b, chunk_length(h, &h->options.backend, b.n));
		run->answered += b.n;
		deliver(h, b);
		return true;
	}
	if (run->fail) {
		backend_failed(h);
		return true;
	}
	if (!run->close)
		return false;
	run->backend_over = true;
	if (run->pass[JEEBS_TO_CLIENT])
		h->outcome = HARNESS_FINISHED;
	else
		event(h, JEEBS_EV_BACKEND_EOF, BYTES_NONE);
	return true;
}

static bool timer_step(struct harness *h)
{
	struct harness_run *run = h->run;

	if (!run->timer || run->timers == HARNESS_TIMERS_MAX)
		return false;
	run->timer = false;
	run->timers++;
	event(h, JEEBS_EV_TIMER, BYTES_NONE);
	return true;
}

static void resume(struct harness *h, struct harness_run *run)
{
	run->answer = BUF_INIT(h->options.output_max);
	set_cut(h);
	h->run = run;
	h->outcome = HARNESS_JOINED;
	event(h, JEEBS_EV_START, BYTES_NONE);
	/* Each step consumes something that is bounded, so this ends. */
	while (!ended(h)) {
		bool moved = connect_step(h);
		moved |= !ended(h) && client_step(h);
		moved |= !ended(h) && ask_step(h);
		moved |= !ended(h) && answer_step(h);
		if (!moved && !timer_step(h))
			break;
	}
	h->run = NULL;
	buf_deinit(&run->answer);
}

void harness_resume(struct harness *h, const struct harness_backend *backend, struct bytes more,
		    bool client_eof)
{
	struct harness_run run = {.backend = backend, .more = more, .client_eof = client_eof};

	resume(h, &run);
}

void harness_resume_with(struct harness *h, const struct harness_backend *backend,
			 const struct harness_client *client)
{
	struct harness_run run = {.backend = backend, .client = client};

	resume(h, &run);
}
