/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "related.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "plan.h"

/* ---- what is expected ------------------------------------------------------------------- */

static void forget(struct jeebs_flow *jf, uint32_t i)
{
	jf->expect_n--;
	memmove(&jf->expect[i], &jf->expect[i + 1], (jf->expect_n - i) * sizeof jf->expect[0]);
	memmove(&jf->expect_ns[i], &jf->expect_ns[i + 1],
		(jf->expect_n - i) * sizeof jf->expect_ns[0]);
}

void related_expect(struct jeebs_flow *jf, const struct jeebs_expect *e)
{
	const int64_t *last = jf->flow->last_ns;

	for (uint32_t i = 0; i < jf->expect_n; i++)
		if (jf->expect[i].tag == e->tag) {
			forget(jf, i);
			break;
		}
	if (!jf->module->companion || (!e->server_port && !e->client_port))
		return;
	if (jf->expect_n == JEEBS_EXPECT_MAX)
		forget(jf, 0);
	jf->expect[jf->expect_n] = *e;
	jf->expect_ns[jf->expect_n++] = last[0] > last[1] ? last[0] : last[1];
	if (list_empty(&jf->expecting))
		list_add_tail(watch_expecting(jf->watch), &jf->expecting);
}

static struct related_expected *room_for_one(struct related_list *l)
{
	if (l->n == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 64;
		struct related_expected *v = realloc(l->v, cap * sizeof *v);
		if (!v)
			return NULL;
		l->v = v;
		l->cap = cap;
	}
	return &l->v[l->n++];
}

static struct related_expected expected_by(const struct jeebs_flow *jf, uint32_t i)
{
	struct related_expected e = {
		.server = jf->flow->server,
		.client = jf->flow->client,
		.since_ns = jf->expect_ns[i],
		.flow = jf->flow->id,
		.tag = jf->expect[i].tag,
	};

	e.server.port = jf->expect[i].server_port;
	e.client.port = jf->expect[i].client_port;
	return e;
}

int related_collect(struct related_list *l, const struct jeebs_flow *jf, uint32_t worker)
{
	for (uint32_t i = 0; i < jf->expect_n; i++) {
		struct related_expected *e = room_for_one(l);
		if (!e)
			return -ENOMEM;
		*e = expected_by(jf, i);
		e->worker = worker;
	}
	return 0;
}

void related_leave(struct watch *w, const struct jeebs_flow *jf, int64_t now_ns)
{
	struct related_left *left = watch_left(w);

	for (uint32_t i = 0; i < jf->expect_n; i++)
		left->v[left->n++ % RELATED_LEFT_MAX] =
			(struct related_left_one){expected_by(jf, i), jf->service->server, now_ns};
}

int related_collect_left(struct related_list *l, struct watch *w, uint32_t server, uint32_t worker,
			 int64_t now_ns)
{
	const struct related_left *left = watch_left(w);

	for (uint32_t i = 0; i < RELATED_LEFT_MAX && i < left->n; i++) {
		const struct related_left_one *one = &left->v[i];
		if (one->server != server || now_ns - one->at_ns >= RELATED_LEFT_NS)
			continue;
		struct related_expected *e = room_for_one(l);
		if (!e)
			return -ENOMEM;
		*e = one->by;
		e->worker = worker;
	}
	return 0;
}

void related_list_deinit(struct related_list *l)
{
	free(l->v);
	*l = (struct related_list){0};
}

static bool same_end(const struct endpoint *wanted, const struct endpoint *have)
{
	return netaddr_eq(&wanted->addr, &have->addr) &&
	       (wanted->port == 0 || wanted->port == have->port);
}

const struct related_expected *related_find(const struct related_list *l,
					    const struct endpoint *server,
					    const struct endpoint *client)
{
	const struct related_expected *best = NULL;

	for (uint32_t i = 0; i < l->n; i++) {
		const struct related_expected *e = &l->v[i];
		if (same_end(&e->server, server) && same_end(&e->client, client) &&
		    (!best || e->since_ns > best->since_ns))
			best = e;
	}
	return best;
}

/* ---- what is over ----------------------------------------------------------------------- */

struct related_ended *related_ended_free(struct related_ended *e)
{
	if (!e)
		return NULL;
	if (e->state) {
		e->module->close(e->state);
		free(e->state);
	}
	buf_deinit(&e->log[0].bytes);
	buf_deinit(&e->log[1].bytes);
	free(e);
	return NULL;
}

struct jeebs_bytes related_ended_log(struct jeebs_flow *flow, uint32_t dir, uint64_t off)
{
	const struct related_ended *e = (const struct related_ended *)(const void *)flow;
	struct bytes b = flow_log_view(&e->log[dir == JEEBS_TO_CLIENT], off);

	return (struct jeebs_bytes){b.p, b.n};
}

static size_t ended_bytes(const struct related_ended *e)
{
	return e->log[0].bytes.n + e->log[1].bytes.n;
}

/* Room for one more; what is too old goes first. */
static void forget_ended(struct list *ended, size_t bytes, int64_t now_ns)
{
	size_t n = 1;

	list_for_each (it, ended) {
		bytes += ended_bytes(list_entry(it, struct related_ended, node));
		n++;
	}
	list_for_each_safe (it, tmp, ended) {
		struct related_ended *e = list_entry(it, struct related_ended, node);
		if (n <= RELATED_ENDED_MAX && bytes <= RELATED_ENDED_BYTES &&
		    now_ns - e->at_ns < RELATED_ENDED_NS)
			return;
		n--;
		bytes -= ended_bytes(e);
		list_del(it);
		related_ended_free(e);
	}
}

void related_remember(struct watch *w, struct jeebs_flow *jf, int64_t now_ns)
{
	const struct flow *f = jf->flow;
	struct related_ended *e;

	if (!jf->opened || !jf->state || !(e = calloc(1, sizeof *e)))
		return;
	list_init(&e->node);
	e->server = f->server;
	e->client = f->client;
	e->at_ns = now_ns;
	e->service = jf->service;
	e->module = jf->module;
	plan_cut(jf, &e->cut);
	e->cut.flow = NULL;
	e->cut.log = NULL;
	e->cut.ended = 1;
	if (flow_log_copy(f, FLOW_TO_SERVER, &e->log[0]) < 0 ||
	    flow_log_copy(f, FLOW_TO_CLIENT, &e->log[1]) < 0 ||
	    ended_bytes(e) > RELATED_ENDED_BYTES) {
		related_ended_free(e);
		return;
	}
	forget_ended(watch_ended(w), ended_bytes(e), now_ns);
	e->state = watch_detach(jf);
	list_add_tail(watch_ended(w), &e->node);
}

/* ---- a preview -------------------------------------------------------------------------- */

static bool expects(const struct jeebs_flow *jf, uint32_t i, const struct endpoint *server,
		    const struct endpoint *client)
{
	struct endpoint s = jf->flow->server, c = jf->flow->client;

	s.port = jf->expect[i].server_port;
	c.port = jf->expect[i].client_port;
	return same_end(&s, server) && same_end(&c, client);
}

struct jeebs_flow *related_main(const struct jeebs_flow *jf)
{
	struct jeebs_flow *best = NULL;
	int64_t since = INT64_MIN;

	list_for_each (it, watch_expecting(jf->watch)) {
		struct jeebs_flow *m = list_entry(it, struct jeebs_flow, expecting);
		for (uint32_t i = 0; i < m->expect_n; i++)
			if (flow_is_live(m->flow) && m->expect_ns[i] >= since &&
			    expects(m, i, &jf->flow->server, &jf->flow->client)) {
				best = m;
				since = m->expect_ns[i];
			}
	}
	return best;
}

static void from_live(const struct jeebs_flow *jf, uint32_t i, struct jeebs_flow *other,
		      struct jeebs_related *ret)
{
	struct plan p;

	plan_make(other, &p);
	*ret = (struct jeebs_related){
		.tag = jf->expect[i].tag,
		.server_port = other->flow->server.port,
		.client_port = other->flow->client.port,
		.state = other->gave_up ? NULL : other->state,
	};
	plan_cut(other, &ret->cut);
	ret->cut.refused = !p.cont;
}

static void from_ended(const struct jeebs_flow *jf, uint32_t i, struct related_ended *e,
		       struct jeebs_related *ret)
{
	*ret = (struct jeebs_related){
		.tag = jf->expect[i].tag,
		.server_port = e->server.port,
		.client_port = e->client.port,
		.cut = e->cut,
		.state = e->state,
	};
	ret->cut.flow = (struct jeebs_flow *)(void *)e;
	ret->cut.log = related_ended_log;
}

static bool find_related(struct jeebs_flow *jf, uint32_t i, struct jeebs_related *ret)
{
	list_for_each (it, watch_companions(jf->watch)) {
		struct jeebs_flow *other = list_entry(it, struct jeebs_flow, companion);
		if (flow_is_live(other->flow) &&
		    expects(jf, i, &other->flow->server, &other->flow->client)) {
			from_live(jf, i, other, ret);
			return true;
		}
	}
	struct related_ended *newest = NULL;
	list_for_each (it, watch_ended(jf->watch)) {
		struct related_ended *e = list_entry(it, struct related_ended, node);
		if (e->at_ns >= jf->expect_ns[i] && expects(jf, i, &e->server, &e->client))
			newest = e;
	}
	if (newest)
		from_ended(jf, i, newest, ret);
	return newest != NULL;
}

uint32_t related_preview(struct jeebs_flow *jf, struct jeebs_related out[static JEEBS_EXPECT_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < jf->expect_n; i++)
		n += find_related(jf, i, &out[n]);
	return n;
}

void related_preview_close(const struct jeebs_related *related, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!related[i].cut.ended) /* what is over has no log but in memory */
			watch_close_older(related[i].cut.flow);
}
