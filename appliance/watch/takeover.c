/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "takeover.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

void takeover_inbox_init(struct takeover_inbox *in)
{
	pthread_condattr_t attr;

	in->wake = -1;
	pthread_mutex_init(&in->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&in->filled, &attr);
	pthread_condattr_destroy(&attr);
	list_init(&in->items);
}

void takeover_inbox_deinit(struct takeover_inbox *in)
{
	list_for_each_safe (it, tmp, &in->items) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	pthread_cond_destroy(&in->filled);
	pthread_mutex_destroy(&in->lock);
}

void takeover_inbox_put(struct takeover_inbox *in, struct takeover_item *item)
{
	uint64_t one = 1;

	pthread_mutex_lock(&in->lock);
	bool first = list_empty(&in->items);
	list_add_tail(&in->items, &item->node);
	pthread_cond_signal(&in->filled);
	pthread_mutex_unlock(&in->lock);
	if (first && in->wake >= 0)
		(void)!write(in->wake, &one, sizeof one);
}

void takeover_inbox_take(struct takeover_inbox *in, int64_t deadline_ns, struct list *out)
{
	struct timespec ts = {.tv_sec = deadline_ns / NS_PER_S, .tv_nsec = deadline_ns % NS_PER_S};

	pthread_mutex_lock(&in->lock);
	while (list_empty(&in->items))
		if (pthread_cond_timedwait(&in->filled, &in->lock, &ts) != 0)
			break;
	list_for_each_safe (it, tmp, &in->items) {
		list_del(it);
		list_add_tail(out, it);
	}
	pthread_mutex_unlock(&in->lock);
}

static struct takeover_item *item_new(const struct flow *f, const struct watch_service *service,
				      uint16_t worker, enum takeover_kind kind)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	list_init(&item->node);
	list_init(&item->others);
	item->kind = kind;
	item->worker = worker;
	item->flow = f->id;
	item->service = service;
	item->handshake_only = f->state == FLOW_SYN_RCVD;
	item->sacked_to = f->sacked_to;
	item->older = f->infer != NULL;
	plan_snapshot(f, &item->snapshot);
	return item;
}

struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind)
{
	struct takeover_item *item = item_new(jf->flow, jf->service, worker, kind);

	if (item && related_main_of(jf)->known) {
		item->related = true;
		item->main_worker = related_main_of(jf)->worker;
		item->main_flow = related_main_of(jf)->flow;
		item->tag = related_main_of(jf)->tag;
	}
	return item;
}

struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unprobed, const char *reason)
{
	struct takeover_item *item = item_new(f, service, worker, TAKEOVER_READY);

	if (!item)
		return NULL;
	item->handshake_only = false;
	item->unprobed = unprobed;
	item->answered = f->probe_answered;
	item->plan = (struct plan){.module = "-", .reason = reason};
	return item;
}

struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered)
{
	track_settle(watch_track(jf->watch), jf->flow);

	struct takeover_item *item = takeover_note(jf, worker, TAKEOVER_READY);
	if (!item)
		return NULL;
	if (flow_log_copy(jf->flow, FLOW_TO_SERVER, &item->log[FLOW_TO_SERVER]) < 0 ||
	    flow_log_copy(jf->flow, FLOW_TO_CLIENT, &item->log[FLOW_TO_CLIENT]) < 0) {
		takeover_item_free(item);
		return NULL;
	}
	item->answered = answered;
	plan_make(jf, &item->plan);
	item->before = watch_take_older(jf, item->log[FLOW_TO_SERVER].off);
	plan_cut(jf, &item->cut);
	item->cut.flow = NULL;
	item->cut.log = NULL;
	if (watch_is_open(jf)) {
		item->module = watch_module(jf);
		item->state = watch_detach(jf);
	}
	jf->takeover.extracted = true;
	return item;
}

void takeover_abandon(struct jeebs_flow *jf)
{
	jf->takeover.extracted = true;
}

struct takeover_item *takeover_show_ended(const struct related_ended *e, uint32_t tag)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	list_init(&item->node);
	list_init(&item->others);
	item->kind = TAKEOVER_READY;
	item->service = e->service;
	item->snapshot.server = e->server;
	item->snapshot.client = e->client;
	item->unprobed = item->ended = item->related = true;
	item->ended_ns = e->at_ns;
	item->tag = tag;
	item->plan = (struct plan){.module = e->module->name, .reason = "ended"};
	item->cut = e->cut;
	item->log[0] = e->log[0];
	item->log[1] = e->log[1];
	item->module = e->module;
	item->state = e->state;
	return item;
}

struct takeover_item *takeover_ended(struct related_ended *e, const struct related_expected *by,
				     uint16_t worker)
{
	struct takeover_item *item = takeover_show_ended(e, by->tag);

	if (!item)
		return NULL;
	item->worker = worker;
	item->main_worker = by->worker;
	item->main_flow = by->flow;
	/* It is the item's from here on. */
	e->log[0].bytes = e->log[1].bytes = BUF_INIT(0);
	e->state = NULL;
	related_ended_free(e);
	return item;
}

static struct takeover_item *item_at(struct list *node)
{
	return list_entry(node, struct takeover_item, node);
}

/* One that lived when the server died has seen more than one that was over. */
static bool comes_before(const struct takeover_item *a, const struct takeover_item *b)
{
	bool a_gone = a->kind == TAKEOVER_GONE, b_gone = b->kind == TAKEOVER_GONE;

	if (a->ended != b->ended)
		return b->ended;
	return a->ended ? a->ended_ns > b->ended_ns : !a_gone && b_gone;
}

static void insert_other(struct list *others, struct takeover_item *o)
{
	struct list *at = others->next;

	while (at != others && !comes_before(o, item_at(at)))
		at = at->next;
	list_add_tail(at, &o->node); /* before it */
}

static bool is_superseded(const struct list *before, const struct takeover_item *o)
{
	if (!o->ended)
		return false;
	list_for_each (it, before)
		if (item_at(it)->tag == o->tag)
			return true;
	return false;
}

void takeover_order_others(struct takeover_item *item)
{
	struct list sorted, last;

	list_init(&sorted);
	list_init(&last);
	list_for_each_safe (it, tmp, &item->others) {
		list_del(it);
		insert_other(&sorted, item_at(it));
	}
	list_for_each_safe (it, tmp, &sorted) {
		struct takeover_item *o = item_at(it);
		o->superseded = is_superseded(&item->others, o);
		list_del(it);
		list_add_tail(o->superseded ? &last : &item->others, it);
	}
	list_for_each_safe (it, tmp, &last) {
		list_del(it);
		list_add_tail(&item->others, it);
	}
}

static struct jeebs_bytes item_log(struct jeebs_flow *flow, uint32_t dir, uint64_t off)
{
	const struct takeover_item *item = (const struct takeover_item *)(const void *)flow;
	const struct flow_log *l = &item->log[dir == JEEBS_TO_CLIENT];
	struct bytes b = off < l->off && dir == JEEBS_TO_SERVER ? older_at(&item->before, off)
								: flow_log_view(l, off);

	return (struct jeebs_bytes){b.p, b.n};
}

static void cut_of(struct takeover_item *item, struct jeebs_cut *ret)
{
	*ret = item->cut;
	ret->flow = (struct jeebs_flow *)(void *)item;
	ret->log = item_log;
}

uint32_t takeover_cut(struct takeover_item *item, struct jeebs_cut *ret,
		      struct jeebs_related related[static JEEBS_EXPECT_MAX])
{
	uint32_t n = 0;

	cut_of(item, ret);
	list_for_each (it, &item->others) {
		struct takeover_item *o = item_at(it);
		if (n == JEEBS_EXPECT_MAX || o->superseded)
			break;
		related[n] = (struct jeebs_related){
			.tag = o->tag,
			.server_port = o->snapshot.server.port,
			.client_port = o->snapshot.client.port,
			.state = o->state,
		};
		cut_of(o, &related[n].cut);
		related[n].cut.ended = o->ended || o->kind == TAKEOVER_GONE;
		related[n].cut.refused = !o->plan.cont;
		n++;
	}
	ret->related = related;
	ret->related_n = n;
	return n;
}

void takeover_plan_family(struct takeover_item *item)
{
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;

	/* What TCP forbids, or a lack of memory, no module mends. */
	if (item->kind != TAKEOVER_READY || !item->state || list_empty(&item->others))
		return;
	if (!item->plan.by_module)
		return;
	takeover_cut(item, &cut, related);
	plan_ask(item->module, item->state, &cut, &item->plan);
}

void takeover_item_free(struct takeover_item *item)
{
	if (!item)
		return;
	if (item->state && item->module)
		item->module->close(item->state);
	free(item->state);
	list_for_each_safe (it, tmp, &item->others) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	buf_deinit(&item->log[0].bytes);
	buf_deinit(&item->log[1].bytes);
	older_free(&item->before);
	free(item);
}
