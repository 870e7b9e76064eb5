/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "takeover.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/clock.h"

void takeover_inbox_deinit(struct mailbox *in)
{
	struct list left;

	list_init(&left);
	mailbox_take(in, &left);
	list_for_each_safe (it, tmp, &left) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	mailbox_deinit(in);
}

static struct takeover_item *item_new(enum takeover_kind kind, const struct endpoint *server,
				      const struct endpoint *client,
				      const struct watch_service *service)
{
	struct takeover_item *item = calloc(1, sizeof *item);

	if (!item)
		return NULL;
	list_init(&item->node);
	list_init(&item->others);
	item->kind = kind;
	item->server = *server;
	item->client = *client;
	item->service = service;
	return item;
}

static struct takeover_item *item_of(const struct flow *f, const struct watch_service *service,
				     uint16_t worker, enum takeover_kind kind)
{
	struct takeover_item *item = item_new(kind, &f->server, &f->client, service);

	if (!item)
		return NULL;
	item->worker = worker;
	item->flow = f->id;
	return item;
}

struct takeover_item *takeover_note(const struct jeebs_flow *jf, uint16_t worker,
				    enum takeover_kind kind)
{
	struct takeover_item *item = item_of(jf->flow, jf->service, worker, kind);

	if (!item)
		return NULL;
	item->main = *related_main_of(jf);
	if (kind == TAKEOVER_PROBE) {
		plan_snapshot(jf->flow, &item->probe.snapshot);
		item->probe.handshake_only = jf->flow->state == FLOW_SYN_RCVD;
	}
	return item;
}

struct takeover_item *takeover_refusal(const struct flow *f, const struct watch_service *service,
				       uint16_t worker, bool unprobed, const char *reason)
{
	struct takeover_item *item = item_of(f, service, worker, TAKEOVER_READY);

	if (item)
		taken_refused(f, unprobed, reason, &item->taken);
	return item;
}

void takeover_refuse_lost(struct takeover_item *item, const struct snapshot *snapshot,
			  const struct watch_service *service, const char *reason)
{
	*item = (struct takeover_item){
		.kind = TAKEOVER_READY,
		.server = snapshot->server,
		.client = snapshot->client,
		.service = service,
		.taken = {.snapshot = *snapshot, .plan = {.module = "-", .reason = reason}},
	};
	list_init(&item->node);
	list_init(&item->others);
}

struct takeover_item *takeover_extract(struct jeebs_flow *jf, uint16_t worker, bool answered)
{
	struct takeover_item *item = takeover_note(jf, worker, TAKEOVER_READY);

	if (item && taken_extract(jf, answered, &item->taken) < 0) {
		free(item);
		return NULL;
	}
	return item;
}

struct takeover_item *takeover_show_ended(const struct related_ended *e, uint32_t tag)
{
	struct takeover_item *item = item_new(TAKEOVER_ENDED, &e->server, &e->client, e->service);

	if (!item)
		return NULL;
	item->main = (struct related_main){.known = true, .tag = tag};
	item->ended.remains = e->remains;
	item->ended.at_ns = e->at_ns;
	return item;
}

struct takeover_item *takeover_ended(struct related_ended *e, const struct related_expected *by,
				     uint16_t worker)
{
	struct takeover_item *item = takeover_show_ended(e, by->tag);

	if (!item)
		return NULL;
	item->worker = worker;
	item->main.worker = by->worker;
	item->main.flow = by->flow;
	remains_give_all(&e->remains); /* they belong to the item */
	related_ended_free(e);
	return item;
}

struct remains *takeover_remains(struct takeover_item *item)
{
	static struct remains none; /* never written */

	switch (item->kind) {
	case TAKEOVER_READY:
		return &item->taken.remains;
	case TAKEOVER_ENDED:
		return &item->ended.remains;
	case TAKEOVER_PROBE:
	case TAKEOVER_GONE:
		break;
	}
	return &none;
}

void takeover_give_remains(struct takeover_item *item)
{
	if (item->kind == TAKEOVER_READY || item->kind == TAKEOVER_ENDED)
		remains_give_all(takeover_remains(item));
}

static struct takeover_item *item_at(struct list *node)
{
	return list_entry(node, struct takeover_item, node);
}

/*
 * Whether @a is told before @b: a connection that lived when the server died has seen more than an
 * ended one.
 */
static bool comes_before(const struct takeover_item *a, const struct takeover_item *b)
{
	static const uint8_t place[] = {[TAKEOVER_PROBE] = 0,
					[TAKEOVER_READY] = 0,
					[TAKEOVER_GONE] = 1,
					[TAKEOVER_ENDED] = 2};

	if (a->kind == TAKEOVER_ENDED && b->kind == TAKEOVER_ENDED)
		return a->ended.at_ns > b->ended.at_ns;
	return place[a->kind] < place[b->kind];
}

static void insert_other(struct list *others, struct takeover_item *o)
{
	struct list *at = others->next;

	while (at != others && !comes_before(o, item_at(at)))
		at = at->next;
	list_add_tail(at, &o->node); /* before it */
}

static bool has_tag(const struct list *items, uint32_t tag)
{
	list_for_each (it, items)
		if (item_at(it)->main.tag == tag)
			return true;
	return false;
}

static bool is_superseded(const struct takeover_item *item)
{
	return item->kind == TAKEOVER_ENDED && item->ended.superseded;
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
		if (o->kind == TAKEOVER_ENDED)
			o->ended.superseded = has_tag(&item->others, o->main.tag);
		list_del(it);
		list_add_tail(is_superseded(o) ? &last : &item->others, it);
	}
	list_for_each_safe (it, tmp, &last) {
		list_del(it);
		list_add_tail(&item->others, it);
	}
}

uint32_t takeover_cut(struct takeover_item *item, struct jeebs_cut *ret,
		      struct jeebs_related related[static JEEBS_EXPECT_MAX])
{
	uint32_t n = 0;

	*ret = remains_cut(takeover_remains(item));
	list_for_each (it, &item->others) {
		struct takeover_item *o = item_at(it);
		if (n == JEEBS_EXPECT_MAX || is_superseded(o))
			break;
		related[n] = (struct jeebs_related){
			.tag = o->main.tag,
			.server_port = o->server.port,
			.client_port = o->client.port,
			.cut = remains_cut(takeover_remains(o)),
			.state = takeover_remains(o)->state,
		};
		related[n].cut.ended = takeover_is_over(o);
		related[n].cut.refused = takeover_is_over(o) || !o->taken.plan.cont;
		n++;
	}
	ret->related = related;
	ret->related_n = n;
	return n;
}

uint64_t takeover_to_unseal(const struct takeover_item *item)
{
	const struct remains *r = &item->taken.remains;
	uint64_t n = 0;

	for (int dir = 0; dir < 2; dir++)
		n += span_end(&r->log[dir]) - span_from(&r->log[dir]);
	if (r->module && JEEBS_HAS(r->module, unseal_more) && r->module->unseal_more)
		n += r->module->unseal_more(r->state);
	return n;
}

void takeover_unseal(struct takeover_item *item, struct jeebs_keys *keys,
		     const struct jeebs_crypto_ops *crypto)
{
	struct taken *t = &item->taken;

	t->remains.cut.keys = keys;
	t->remains.cut.crypto = crypto;
	struct jeebs_cut cut = remains_cut(&t->remains);
	plan_unseal(t->remains.module, t->remains.state, &cut);
	t->plan.if_keys = false;
	if (item->service->companion)
		plan_companion(t->remains.module, t->remains.state, &cut, &t->plan);
	else
		plan_ask(t->remains.module, t->remains.state, &cut, &t->plan);
}

void takeover_plan_family(struct takeover_item *item)
{
	struct jeebs_related related[JEEBS_EXPECT_MAX];
	struct jeebs_cut cut;

	/* No module can make good what TCP forbids, or a lack of memory. */
	if (item->kind != TAKEOVER_READY || list_empty(&item->others))
		return;
	struct taken *t = &item->taken;

	if (!t->remains.state || !t->plan.by_module)
		return;
	takeover_cut(item, &cut, related);
	plan_ask(t->remains.module, t->remains.state, &cut, &t->plan);
}

void takeover_item_free(struct takeover_item *item)
{
	if (!item)
		return;
	if (item->kind == TAKEOVER_READY || item->kind == TAKEOVER_ENDED)
		remains_deinit(takeover_remains(item));
	list_for_each_safe (it, tmp, &item->others) {
		list_del(it);
		takeover_item_free(list_entry(it, struct takeover_item, node));
	}
	free(item);
}
