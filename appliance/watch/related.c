/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "related.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "plan.h"

void related_begin(struct jeebs_flow *jf)
{
	list_init(&jf->related.expecting);
	list_init(&jf->related.companion);
	if (jf->service->companion)
		list_add_tail(watch_companions(jf->watch), &jf->related.companion);
}

void related_end(struct jeebs_flow *jf)
{
	list_del(&jf->related.expecting);
	list_del(&jf->related.companion);
}

void related_copy(struct jeebs_flow *to, const struct jeebs_flow *from)
{
	to->related.expect_n = from->related.expect_n;
	memcpy(to->related.expect, from->related.expect, sizeof to->related.expect);
	memcpy(to->related.expect_ns, from->related.expect_ns, sizeof to->related.expect_ns);
}

struct jeebs_flow *related_next_companion(struct watch *w, const struct jeebs_flow *after)
{
	struct list *all = watch_companions(w);
	struct list *it = after ? after->related.companion.next : all->next;

	return it == all ? NULL : list_entry(it, struct jeebs_flow, related.companion);
}

void related_bind(struct jeebs_flow *jf, const struct related_expected *e)
{
	jf->related.main = (struct related_main){
		.known = true, .worker = e->worker, .flow = e->flow, .tag = e->tag};
}

/* ---- what is expected ------------------------------------------------------------------- */

static void forget(struct jeebs_flow *jf, uint32_t i)
{
	jf->related.expect_n--;
	memmove(&jf->related.expect[i], &jf->related.expect[i + 1],
		(jf->related.expect_n - i) * sizeof jf->related.expect[0]);
	memmove(&jf->related.expect_ns[i], &jf->related.expect_ns[i + 1],
		(jf->related.expect_n - i) * sizeof jf->related.expect_ns[0]);
}

void related_expect(struct jeebs_flow *jf, const struct jeebs_expect *e)
{
	const int64_t *last = jf->flow->last_ns;

	for (uint32_t i = 0; i < jf->related.expect_n; i++)
		if (jf->related.expect[i].tag == e->tag) {
			forget(jf, i);
			break;
		}
	if (!watch_module(jf)->companion || (!e->server_port && !e->client_port))
		return;
	if (jf->related.expect_n == JEEBS_EXPECT_MAX)
		forget(jf, 0);
	jf->related.expect[jf->related.expect_n] = *e;
	jf->related.expect_ns[jf->related.expect_n++] = last[0] > last[1] ? last[0] : last[1];
	if (list_empty(&jf->related.expecting))
		list_add_tail(watch_expecting(jf->watch), &jf->related.expecting);
}

void related_expect_nothing(struct jeebs_flow *jf)
{
	jf->related.expect_n = 0;
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
		.since_ns = jf->related.expect_ns[i],
		.flow = jf->flow->id,
		.tag = jf->related.expect[i].tag,
	};

	e.server.port = jf->related.expect[i].server_port;
	e.client.port = jf->related.expect[i].client_port;
	return e;
}

int related_collect(struct related_list *l, const struct jeebs_flow *jf, uint32_t worker)
{
	for (uint32_t i = 0; i < jf->related.expect_n; i++) {
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

	for (uint32_t i = 0; i < jf->related.expect_n; i++)
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
	remains_deinit(&e->remains);
	free(e);
	return NULL;
}

/* Makes room for one more: removes those that are too old, then the oldest. */
static void forget_ended(struct list *ended, size_t bytes, int64_t now_ns)
{
	size_t n = 1;

	list_for_each (it, ended) {
		bytes += remains_bytes(&list_entry(it, struct related_ended, node)->remains);
		n++;
	}
	list_for_each_safe (it, tmp, ended) {
		struct related_ended *e = list_entry(it, struct related_ended, node);
		if (n <= RELATED_ENDED_MAX && bytes <= RELATED_ENDED_BYTES &&
		    now_ns - e->at_ns < RELATED_ENDED_NS)
			return;
		n--;
		bytes -= remains_bytes(&e->remains);
		list_del(it);
		related_ended_free(e);
	}
}

void related_remember(struct watch *w, struct jeebs_flow *jf, int64_t now_ns)
{
	const struct flow *f = jf->flow;
	struct related_ended *e;

	if (!watch_is_open(jf) || !(e = calloc(1, sizeof *e)))
		return;
	list_init(&e->node);
	e->server = f->server;
	e->client = f->client;
	e->at_ns = now_ns;
	e->service = jf->service;
	if (remains_copy_logs(&e->remains, jf) < 0 ||
	    remains_bytes(&e->remains) > RELATED_ENDED_BYTES) {
		related_ended_free(e);
		return;
	}
	forget_ended(watch_ended(w), remains_bytes(&e->remains), now_ns);
	remains_detach(&e->remains, jf);
	e->remains.cut.ended = 1;
	list_add_tail(watch_ended(w), &e->node);
}

/* ---- a preview -------------------------------------------------------------------------- */

static bool expects(const struct jeebs_flow *jf, uint32_t i, const struct endpoint *server,
		    const struct endpoint *client)
{
	struct endpoint s = jf->flow->server, c = jf->flow->client;

	s.port = jf->related.expect[i].server_port;
	c.port = jf->related.expect[i].client_port;
	return same_end(&s, server) && same_end(&c, client);
}

struct jeebs_flow *related_main(const struct jeebs_flow *jf)
{
	struct jeebs_flow *best = NULL;
	int64_t since = INT64_MIN;

	list_for_each (it, watch_expecting(jf->watch)) {
		struct jeebs_flow *m = list_entry(it, struct jeebs_flow, related.expecting);
		for (uint32_t i = 0; i < m->related.expect_n; i++)
			if (flow_is_live(m->flow) && m->related.expect_ns[i] >= since &&
			    expects(m, i, &jf->flow->server, &jf->flow->client)) {
				best = m;
				since = m->related.expect_ns[i];
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
		.tag = jf->related.expect[i].tag,
		.server_port = other->flow->server.port,
		.client_port = other->flow->client.port,
		.state = watch_listens(other) ? watch_state(other) : NULL,
	};
	plan_cut(other, &ret->cut);
	ret->cut.refused = !p.cont;
}

static void from_ended(const struct jeebs_flow *jf, uint32_t i, struct related_ended *e,
		       struct jeebs_related *ret)
{
	*ret = (struct jeebs_related){
		.tag = jf->related.expect[i].tag,
		.server_port = e->server.port,
		.client_port = e->client.port,
		.cut = remains_cut(&e->remains),
		.state = e->remains.state,
	};
}

static bool find_related(struct jeebs_flow *jf, uint32_t i, struct jeebs_related *ret)
{
	for (struct jeebs_flow *other = NULL; (other = related_next_companion(jf->watch, other));) {
		if (flow_is_live(other->flow) &&
		    expects(jf, i, &other->flow->server, &other->flow->client)) {
			from_live(jf, i, other, ret);
			return true;
		}
	}
	struct related_ended *newest = NULL;
	list_for_each (it, watch_ended(jf->watch)) {
		struct related_ended *e = list_entry(it, struct related_ended, node);
		if (e->at_ns >= jf->related.expect_ns[i] && expects(jf, i, &e->server, &e->client))
			newest = e;
	}
	if (newest)
		from_ended(jf, i, newest, ret);
	return newest != NULL;
}

uint32_t related_preview(struct jeebs_flow *jf, struct jeebs_related out[static JEEBS_EXPECT_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < jf->related.expect_n; i++)
		n += find_related(jf, i, &out[n]);
	return n;
}

void related_preview_close(const struct jeebs_related *related, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (!related[i].cut.ended) /* an ended one has its log in memory only */
			watch_close_spilled(related[i].cut.flow);
}
