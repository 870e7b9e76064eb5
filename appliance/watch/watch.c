/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "watch.h"

#include <errno.h>
#include <stdlib.h>

#include "base/private-memory.h"

#include "follow.h"
#include "related.h"
#include "spill.h"
#include "taken.h"

/* The tracker and the SDK number directions alike. */
_Static_assert(FLOW_TO_SERVER == (int)JEEBS_TO_SERVER, "direction numbers");
_Static_assert(FLOW_TO_CLIENT == (int)JEEBS_TO_CLIENT, "direction numbers");

struct watch {
	struct track *track;
	struct watch_config cfg;
	struct list dirty;
	struct list companions, ended, expecting, long_logs;
	struct related_left left;
	/* Freed connections are kept for reuse, so that opening a flow calls no malloc(). */
	struct jeebs_flow **spare;
	uint32_t spare_count;
	size_t state_max;
	uint64_t undetected;
};

#define WATCH_SPARE_MAX 1024

static void open_spilled(struct jeebs_flow *jf)
{
	struct watch *w = jf->watch;

	if (!jf->listener.spilled.view && w->cfg.hooks.spilled)
		w->cfg.hooks.spilled(w->cfg.ctx, jf, &jf->listener.spilled);
}

struct bytes watch_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off)
{
	if (dir > JEEBS_TO_CLIENT)
		return BYTES_NONE;
	track_recall(jf->watch->track, jf->flow);
	if (dir == JEEBS_TO_CLIENT || !spill_has(jf, off))
		return track_log(jf->flow, (enum flow_dir)dir, off);
	open_spilled(jf);
	return spilled_at(&jf->listener.spilled, off);
}

void watch_close_spilled(struct jeebs_flow *jf)
{
	spilled_free(&jf->listener.spilled);
}

struct spilled watch_take_spilled(struct jeebs_flow *jf, uint64_t end)
{
	const struct spill_part *p = spill_of(jf);
	struct spilled o;

	if (spill_has(jf, p->from)) /* whether the module has looked at it or not */
		open_spilled(jf);
	if (p->to != end || p->want >= p->to)
		return (struct spilled){0};
	o = jf->listener.spilled;
	if (o.from < p->want) /* parts are deleted late */
		o.from = p->want;
	jf->listener.spilled = (struct spilled){0};
	return o;
}

static void live_keep_from(struct jeebs_flow *jf, uint32_t dir, uint64_t off)
{
	if (dir > JEEBS_TO_CLIENT)
		return;
	jf->listener.kept[dir] = true;
	if (dir == JEEBS_TO_SERVER)
		spill_want(jf, off);
	track_keep_from(jf->watch->track, jf->flow, (enum flow_dir)dir, off);
}

static struct jeebs_bytes live_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off)
{
	struct bytes b = watch_log(jf, dir, off);
	return (struct jeebs_bytes){b.p, b.n};
}

static void live_expect(struct jeebs_flow *jf, const struct jeebs_expect *e)
{
	related_expect(jf, e);
}

/* The end of the log of @dir. If the chunk being shown is of @dir, it comes behind this. */
static uint64_t log_end(const struct flow *f, uint32_t dir)
{
	return f->log_end[dir] != UINT64_MAX ? f->log_end[dir] : f->stream[dir].next;
}

/* Whether everything from @off on is in the log or the chunk being shown. */
static bool reaches_back(const struct flow *f, uint32_t dir, uint64_t off)
{
	uint64_t end = log_end(f, dir);

	while (off < end) {
		struct bytes b = track_log(f, (enum flow_dir)dir, off);
		if (b.n == 0)
			return false;
		off += b.n;
	}
	return off <= f->stream[dir].shown;
}

bool watch_hand_over(struct jeebs_flow *jf, const struct jeebs_module *m,
		     const uint64_t begin[static 2])
{
	track_recall(jf->watch->track, jf->flow);
	for (uint32_t dir = 0; dir < 2; dir++)
		if (!reaches_back(jf->flow, dir, begin[dir]))
			return false;
	jf->listener.next_module = m;
	memcpy(jf->listener.next_begin, begin, sizeof jf->listener.next_begin);
	return true;
}

static int live_hand_over(struct jeebs_flow *jf, uint64_t to_server, uint64_t to_client)
{
	const struct jeebs_module *m = jf->listener.service.upgrade ? jf->service->upgrade : NULL;

	return m && watch_hand_over(jf, m, (uint64_t[2]){to_server, to_client});
}

static uint8_t *live_scratch(struct jeebs_flow *jf, size_t n)
{
	return scratch_take(n);
}

/* Not where the bytes are looked at beside the module. */
static void live_pass(struct jeebs_flow *jf, uint32_t dir, uint64_t from, uint64_t to)
{
	if (dir <= JEEBS_TO_CLIENT && !jf->handshake.seen && jf->watch->cfg.spill_above == 0)
		track_pass(jf->watch->track, jf->flow, (enum flow_dir)dir, from, to);
}

#define LIVE_OPS                                                                             \
	.size = sizeof(struct jeebs_live_ops), .keep_from = live_keep_from, .log = live_log, \
	.expect = live_expect, .hand_over = live_hand_over, .keys = follow_keys,             \
	.scratch = live_scratch

static const struct jeebs_live_ops live_ops = {LIVE_OPS};
/* Where bytes can be read again. */
static const struct jeebs_live_ops passing_ops = {LIVE_OPS, .pass = live_pass};

static struct jeebs_flow *flow_block_new(const struct watch *w)
{
	struct jeebs_flow *jf = calloc(1, sizeof *jf);

	if (jf && w->state_max && !(jf->listener.state = calloc(1, w->state_max))) {
		free(jf);
		return NULL;
	}
	return jf;
}

/* Gets a connection. The state has room for any module. */
static struct jeebs_flow *flow_block_get(struct watch *w)
{
	if (w->spare_count == 0)
		return flow_block_new(w);
	struct jeebs_flow *jf = w->spare[--w->spare_count];
	void *state = jf->listener.state;

	*jf = (struct jeebs_flow){.listener.state = state};
	return jf;
}

static void flow_block_put(struct watch *w, struct jeebs_flow *jf)
{
	if ((jf->listener.state || !w->state_max) && w->spare_count < WATCH_SPARE_MAX) {
		w->spare[w->spare_count++] = jf;
		return;
	}
	free(jf->listener.state);
	free(jf);
}

/*
 * Changes the stage. A module that is not shown bytes any more keeps none; its plan will say why.
 */
static void set_stage(struct jeebs_flow *jf, enum watch_stage stage)
{
	jf->listener.stage = (uint8_t)stage;
	if (stage == WATCH_EARLY || stage == WATCH_PUT_OFF || stage == WATCH_LISTENS)
		return;
	jf->listener.next_module = NULL;
	follow_end(jf);
	if (stage == WATCH_DETACHED)
		return;
	spill_want_nothing(jf);
	for (int dir = 0; dir < 2; dir++)
		track_keep_from(jf->watch->track, jf->flow, (enum flow_dir)dir, UINT64_MAX);
}

static void give_up(struct jeebs_flow *jf)
{
	set_stage(jf, WATCH_GAVE_UP);
}

/* Opens the module. A module that refuses may have asked for bytes before. */
static void open_listener(struct jeebs_flow *jf)
{
	struct watch_listener *l = &jf->listener;
	const struct jeebs_module *m = l->module;

	if (m)
		memset(l->state, 0, m->state_size); /* it may have been another connection's */
	const struct jeebs_live_ops *ops =
		track_can_pass(jf->watch->track) ? &passing_ops : &live_ops;
	bool ok = m && m->open(l->state, jf, ops, &l->service) == JEEBS_OK;

	set_stage(jf, ok ? WATCH_LISTENS : WATCH_ALONE);
}

/*
 * Tells the module of the bytes before the handshake was complete, so that it does not take later
 * bytes for the beginning.
 */
static void tell_missed(struct jeebs_flow *jf)
{
	struct watch_listener *l = &jf->listener;

	for (uint32_t dir = 0; dir < 2 && watch_listens(jf); dir++) {
		uint64_t end = l->missed[dir];
		int r = end ? l->module->gap(l->state, dir, 0, end) : JEEBS_OK;

		if (r == JEEBS_OK && l->missed_fin[dir])
			r = l->module->fin(l->state, dir, end);
		if (r != JEEBS_OK)
			give_up(jf);
	}
}

/* Tells the module that an unknown number of bytes came before offset 0. */
static void tell_unseen_beginning(struct jeebs_flow *jf)
{
	struct watch_listener *l = &jf->listener;

	for (uint32_t dir = 0; dir < 2 && watch_listens(jf); dir++)
		if (l->module->gap(l->state, dir, 0, 0) != JEEBS_OK)
			give_up(jf);
}

/* Makes @m the module. For @m the bytes before @begin were another conversation. */
static void take_module(struct jeebs_flow *jf, const struct jeebs_module *m,
			const uint64_t begin[static 2])
{
	struct watch_listener *l = &jf->listener;

	if (watch_is_open(jf))
		l->module->close(l->state);
	l->module = m;
	l->service.protocol = m->name;
	memcpy(l->service.begin, begin, sizeof l->service.begin);
	if (m == jf->service->upgrade) {
		l->service.upgrade = NULL; /* there is only one hand-over of this kind */
		l->service.inner = jf->service->upgrade_inner;
		l->service.inner_h2 = jf->service->upgrade_inner_h2;
		l->service.inner_any = NULL;
	}
	related_expect_nothing(jf);
	l->next_module = NULL;
	l->kept[0] = l->kept[1] = false;
	spill_want_nothing(jf);
	open_listener(jf);
}

/* Handles the result @r of a data callback. Returns whether more is to be shown. */
static bool goes_on(struct jeebs_flow *jf, int r)
{
	if (r != JEEBS_HAND_OVER)
		jf->listener.next_module = NULL;
	if (r != JEEBS_OK && !jf->listener.next_module)
		give_up(jf);
	return r == JEEBS_OK;
}

/* Shows the module bytes. What it has decrypted of them is zeroed. */
static int show(struct jeebs_flow *jf, uint32_t dir, uint64_t off, struct bytes b, int64_t now_ns)
{
	struct watch_listener *l = &jf->listener;
	int r = l->module->data(l->state, dir, off, (struct jeebs_bytes){b.p, b.n}, now_ns);

	scratch_give_back();
	return r;
}

/* Shows the module the log of @dir from @off on. Returns false when it wants no more for now. */
static bool show_log(struct jeebs_flow *jf, uint32_t dir, uint64_t off, int64_t now_ns)
{
	const uint64_t end = log_end(jf->flow, dir);

	while (off < end) {
		struct bytes b = track_log(jf->flow, (enum flow_dir)dir, off);
		if (b.n == 0)
			give_up(jf); /* it has released bytes that it was not shown yet */
		if (b.n == 0 || !goes_on(jf, show(jf, dir, off, b, now_ns)))
			return false;
		off += b.n;
	}
	return true;
}

struct chunk {
	uint32_t dir;
	uint64_t off;
	struct bytes b;
	int64_t now_ns;
};

/* Shows the part of a chunk that is behind the beginning. */
static bool show_chunk(struct jeebs_flow *jf, struct chunk c)
{
	uint64_t begin = jf->listener.service.begin[c.dir];
	size_t before = begin > c.off ? (size_t)(begin - c.off) : 0;
	struct bytes b = bytes_from(c.b, before);

	if (b.n == 0)
		return true;
	return goes_on(jf, show(jf, c.dir, c.off + before, b, c.now_ns));
}

/* Tells the module of the FIN, of which the module before may have been told already. */
static void show_fin(struct jeebs_flow *jf, uint32_t dir)
{
	const struct flow *f = jf->flow;
	uint64_t end = f->stream[dir].next;

	if (f->fin_seen[dir] && f->fin_off[dir] == end &&
	    jf->listener.module->fin(jf->listener.state, dir, end) != JEEBS_OK)
		give_up(jf);
}

/* Handles a hand-over. Each further module can be asked for once at most. */
static void hand_over(struct jeebs_flow *jf, struct chunk c)
{
	while (jf->listener.next_module) {
		take_module(jf, jf->listener.next_module, jf->listener.next_begin);
		const uint64_t *begin = jf->listener.service.begin;
		bool on = watch_listens(jf) && show_log(jf, JEEBS_TO_SERVER, begin[0], c.now_ns) &&
			  show_log(jf, JEEBS_TO_CLIENT, begin[1], c.now_ns) && show_chunk(jf, c);
		if (on)
			show_fin(jf, !c.dir);
	}
	/* Bytes that were kept for the modules before are released. */
	for (uint32_t dir = 0; dir < 2; dir++)
		if (!jf->listener.kept[dir])
			track_keep_from(jf->watch->track, jf->flow, (enum flow_dir)dir,
					TRACK_KEEP_NOTHING);
}

static void open_now(struct jeebs_flow *jf)
{
	jf->listener.service = jf->service->options;
	jf->listener.service.port = jf->flow->server.port;
	jf->listener.service.protocol = jf->service->protocol;
	open_listener(jf);
	if (jf->flow->infer)
		tell_unseen_beginning(jf);
	else
		tell_missed(jf);
}

/*
 * Opens the module, unless half of the handshake is missing: a SYN may be captured after its
 * answer. A connection whose handshake was not seen is shown from its first byte on. The module
 * finds where messages begin while the tracker infers the options.
 */
static void open_module(struct jeebs_flow *jf)
{
	const struct flow *f = jf->flow;

	if (jf->listener.stage == WATCH_EARLY && (!(f->marks & FLOW_MARK_MIDSTREAM) || f->infer))
		open_now(jf);
}

/* ---- what is read later ------------------------------------------------------------------ */

/*
 * Not where others depend on what is read meanwhile: on the connections a module expects, the
 * module it hands over to, the handshake by which keys are found.
 */
static bool concerns_nobody(const struct jeebs_flow *jf, const struct jeebs_module *m)
{
	const struct watch_service *s = jf->service;
	const uint64_t above = jf->watch->cfg.spill_above;
	bool spills = above > 0 && above < TRACK_LATER_BYTES;

	return m && !m->companion && !s->companion && !s->options.upgrade && !s->keys && !spills;
}

/* Not while a protocol is looked for. A copy is made to be asked. */
static bool may_put_off(const struct jeebs_flow *jf)
{
	const struct flow *f = jf->flow;
	bool begins = f->state == FLOW_SYN_SENT && !(f->marks & FLOW_MARK_MIDSTREAM) &&
		      f->packets[0] + f->packets[1] == 0;

	return begins && jf->service->candidate_count == 0 &&
	       concerns_nobody(jf, jf->listener.module);
}

/* Whether the protocol was found by the first piece of all, so that nothing else was shown. */
static bool may_put_off_found(const struct jeebs_flow *jf, const struct chunk *c)
{
	const struct flow *f = jf->flow;

	return c->off == 0 && f->stream[!c->dir].next == 0 && !f->fin_seen[!c->dir] && !f->infer &&
	       jf->listener.next_begin[0] + jf->listener.next_begin[1] == 0 &&
	       jf->service->candidate_count > 0 && concerns_nobody(jf, jf->listener.next_module);
}

/* The module that was found is shown the piece when it is opened. */
static void put_off_found(struct jeebs_flow *jf)
{
	struct watch_listener *l = &jf->listener;

	l->module->close(l->state);
	l->module = l->next_module;
	l->next_module = NULL;
	set_stage(jf, WATCH_PUT_OFF);
	track_put_off(jf->flow);
}

static void open_put_off(struct jeebs_flow *jf)
{
	static const uint64_t begin[2];

	if (jf->listener.stage != WATCH_PUT_OFF)
		return;
	if (jf->service->candidate_count > 0)
		take_module(jf, jf->listener.module, begin);
	else
		open_now(jf);
}

void watch_read(struct jeebs_flow *jf)
{
	track_catch_up(jf->watch->track, jf->flow);
	open_put_off(jf);
}

void watch_look_again(struct jeebs_flow *jf)
{
	const struct jeebs_module *m = jf->listener.module;
	const uint64_t end = jf->flow->stream[FLOW_TO_CLIENT].next;

	if (!watch_listens(jf) || !(m->flags & JEEBS_MODULE_LAYERED) || !m->companion ||
	    !jf->service->live_keys || jf->follow.lease)
		return;
	jf->follow.ask_ns = 0;
	goes_on(jf, show(jf, JEEBS_TO_CLIENT, end, BYTES_NONE, jf->flow->last_ns[FLOW_TO_CLIENT]));
}

/* ---- what the tracker tells -------------------------------------------------------------- */

static void on_open(void *ctx, struct flow *f)
{
	struct watch *w = ctx;
	const struct watch_service *service = &w->cfg.services[f->service];
	const struct jeebs_module *m = w->cfg.choose_module && !service->companion
					       ? w->cfg.choose_module(w->cfg.ctx, f->server.port)
					       : service->module;
	struct jeebs_flow *jf = flow_block_get(w);

	list_init(&f->dirty);
	f->user = jf;
	if (!jf)
		return; /* without memory: tracked, and refused as no-module */
	jf->watch = w;
	jf->flow = f;
	jf->service = service;
	jf->listener.module = m;
	if (service->keys)
		jf->handshake.seen = calloc(1, sizeof *jf->handshake.seen);
	related_begin(jf);
	spill_init(jf);
	if (!may_put_off(jf)) {
		open_module(jf);
		return;
	}
	set_stage(jf, WATCH_PUT_OFF);
	track_put_off(f);
}

/* Whether there is a module that wants to be shown bytes. */
static bool listens(struct jeebs_flow *jf)
{
	if (!jf)
		return false;
	open_put_off(jf);
	open_module(jf);
	return watch_listens(jf);
}

static void look_for_handshake(struct watch *w, struct jeebs_flow *jf, enum flow_dir dir,
			       struct bytes b)
{
	if (handshake_data(jf->handshake.seen, dir, b) && w->cfg.hooks.encrypted)
		w->cfg.hooks.encrypted(w->cfg.ctx, jf);
}

static void on_data(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off, struct bytes b)
{
	struct jeebs_flow *jf = f->user;
	int64_t now = f->last_ns[dir];

	if (jf && jf->handshake.seen)
		look_for_handshake(ctx, jf, dir, b);
	if (!listens(jf)) {
		if (jf)
			jf->listener.missed[dir] = off + b.n;
		return;
	}
	goes_on(jf, show(jf, dir, off, b, now));
	const struct chunk c = {dir, off, b, now};
	if (jf->listener.next_module && may_put_off_found(jf, &c))
		put_off_found(jf);
	else if (jf->listener.next_module)
		hand_over(jf, c);
	if (dir == FLOW_TO_SERVER && jf->watch->cfg.spill_above > 0)
		spill_note_length(jf, jf->watch->cfg.spill_above);
	watch_close_spilled(jf);
}

static void on_gap(void *ctx, struct flow *f, enum flow_dir dir, uint64_t from, uint64_t to)
{
	struct watch *w = ctx;
	struct jeebs_flow *jf = f->user;

	if (jf && w->cfg.hooks.gap)
		w->cfg.hooks.gap(w->cfg.ctx, jf, dir, to - from);
	if (jf && jf->handshake.seen)
		handshake_gap(jf->handshake.seen);
	if (!listens(jf)) {
		if (jf)
			jf->listener.missed[dir] = to;
		return;
	}
	if (jf->listener.module->gap(jf->listener.state, dir, from, to) != JEEBS_OK)
		give_up(jf);
}

static void on_fin(void *ctx, struct flow *f, enum flow_dir dir, uint64_t off)
{
	struct jeebs_flow *jf = f->user;

	if (!listens(jf)) {
		if (jf)
			jf->listener.missed_fin[dir] = true;
		return;
	}
	if (jf->listener.module->fin(jf->listener.state, dir, off) != JEEBS_OK)
		give_up(jf);
}

static void on_changed(void *ctx, struct flow *f)
{
	struct watch *w = ctx;
	struct jeebs_flow *jf = f->user;

	if (jf)
		open_module(jf);
	if (list_empty(&f->dirty))
		list_add_tail(&w->dirty, &f->dirty);
}

static int64_t last_ns(const struct flow *f)
{
	return f->last_ns[0] > f->last_ns[1] ? f->last_ns[0] : f->last_ns[1];
}

static void on_close(void *ctx, struct flow *f, enum track_close why)
{
	struct watch *w = ctx;
	struct jeebs_flow *jf = f->user;

	list_del(&f->dirty);
	if (!jf)
		return;
	follow_end(jf);
	if (w->cfg.hooks.closed)
		w->cfg.hooks.closed(w->cfg.ctx, jf, why);
	if (jf->service->companion && why == TRACK_CLOSE_FIN)
		related_remember(w, jf, last_ns(f));
	if (!taken_is(jf))
		related_leave(w, jf, last_ns(f));
	related_end(jf);
	spill_close(jf);
	free(jf->handshake.seen);
	watch_close_spilled(jf);
	if (watch_is_open(jf))
		jf->listener.module->close(jf->listener.state);
	f->user = NULL;
	flow_block_put(w, jf);
}

static const struct track_sink sink = {
	.open = on_open,
	.data = on_data,
	.gap = on_gap,
	.fin = on_fin,
	.changed = on_changed,
	.close = on_close,
};

static void need_state(struct watch *w, const struct jeebs_module *m)
{
	if (m && m->state_size > w->state_max)
		w->state_max = m->state_size;
}

struct watch *watch_new(const struct watch_config *cfg)
{
	struct watch *w = calloc(1, sizeof *w);
	struct endpoint *services = calloc(cfg->service_count + 1, sizeof *services);
	uint8_t *flags = calloc(cfg->service_count + 1, 1);

	if (w) {
		list_init(&w->dirty);
		list_init(&w->companions);
		list_init(&w->ended);
		list_init(&w->expecting);
		list_init(&w->long_logs);
	}
	if (!w || !services || !flags ||
	    !(w->spare = calloc(WATCH_SPARE_MAX, sizeof(struct jeebs_flow *)))) {
		free(services);
		free(flags);
		return watch_free(w);
	}
	w->cfg = *cfg;
	for (uint32_t i = 0; i < cfg->service_count; i++) {
		services[i] = cfg->services[i].endpoint;
		flags[i] = cfg->services[i].companion ? TRACK_SERVICE_EITHER_END : 0;
		need_state(w, cfg->services[i].module);
		need_state(w, cfg->services[i].upgrade);
		for (uint32_t k = 0; k < cfg->services[i].candidate_count; k++)
			need_state(w, cfg->services[i].candidates[k]);
	}
	struct track_config tc = cfg->track;
	tc.services = services;
	tc.service_count = cfg->service_count;
	tc.service_flags = flags;
	w->track = track_new(&tc, &sink, w);
	free(services);
	free(flags);
	return w->track ? w : watch_free(w);
}

struct watch *watch_free(struct watch *w)
{
	if (!w)
		return NULL;
	track_free(w->track);
	list_for_each_safe (it, tmp, &w->ended)
		related_ended_free(list_entry(it, struct related_ended, node));
	for (uint32_t i = 0; i < w->spare_count; i++) {
		free(w->spare[i]->listener.state);
		free(w->spare[i]);
	}
	free(w->spare);
	free(w);
	return NULL;
}

const struct watch_hooks *watch_hooks_of(const struct watch *w, void **ret_ctx)
{
	*ret_ctx = w->cfg.ctx;
	return &w->cfg.hooks;
}

struct track *watch_track(struct watch *w)
{
	return w->track;
}

struct list *watch_companions(struct watch *w)
{
	return &w->companions;
}

struct list *watch_ended(struct watch *w)
{
	return &w->ended;
}

struct list *watch_expecting(struct watch *w)
{
	return &w->expecting;
}

struct related_left *watch_left(struct watch *w)
{
	return &w->left;
}

struct list *watch_long(struct watch *w)
{
	return &w->long_logs;
}

struct list *watch_dirty(struct watch *w)
{
	return &w->dirty;
}

void *watch_detach(struct jeebs_flow *jf)
{
	void *state = jf->listener.state;

	jf->listener.state = NULL;
	set_stage(jf, WATCH_DETACHED);
	return state;
}

const struct watch_service *watch_service_of(const struct jeebs_flow *jf)
{
	return jf->service;
}

uint64_t watch_undetected(const struct watch *w)
{
	return w->undetected;
}

void watch_count_undetected(struct jeebs_flow *jf)
{
	jf->watch->undetected++;
}

static bool copy_state(struct jeebs_flow *to, const struct jeebs_flow *from)
{
	const struct watch_listener *l = &from->listener;
	size_t n = l->module->checkpoint(l->state, NULL, 0);
	uint8_t *p = malloc(n + 1);

	if (!p)
		return false;
	bool ok = l->module->checkpoint(l->state, p, n) == n &&
		  l->module->restore(to->listener.state, (struct jeebs_bytes){p, n}) == JEEBS_OK;
	free(p);
	return ok;
}

struct jeebs_flow *watch_clone(struct watch *to, struct jeebs_flow *from)
{
	watch_read(from);

	struct flow *f = track_clone(to->track, from->flow);
	struct jeebs_flow *jf = f ? f->user : NULL;

	if (!f)
		return NULL;
	/* It was opened before half of the handshake turned out to be missing. */
	if (jf && watch_is_open(from) && !watch_is_open(jf))
		open_now(jf);
	if (jf && watch_is_open(jf) && watch_module(jf) != watch_module(from)) {
		jf->listener.service = from->listener.service;
		take_module(jf, from->listener.module, from->listener.service.begin);
	}
	if (!jf || watch_is_open(jf) != watch_is_open(from) ||
	    (watch_is_open(from) && !copy_state(jf, from))) {
		track_drop(to->track, f);
		return NULL;
	}
	set_stage(jf, (enum watch_stage)from->listener.stage);
	related_copy(jf, from);
	memcpy(jf->listener.missed, from->listener.missed, sizeof jf->listener.missed);
	memcpy(jf->listener.missed_fin, from->listener.missed_fin, sizeof jf->listener.missed_fin);
	return jf;
}
