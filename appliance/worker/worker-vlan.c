/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker-vlan.h"

#include "base/clock.h"

/* After this time the segment that answered a probe no longer proves its VLAN. */
#define ANSWER_HOLDS_NS (60 * NS_PER_S)
#define LEARNT          UINT32_C(0x10000)

static uint32_t learnt(const struct evidence *e)
{
	return atomic_load_explicit(&e->vlan, memory_order_relaxed);
}

static struct worker_vlan_answer *place(struct worker_vlan *v, uint16_t port)
{
	return &v->answer[port % WORKER_VLAN_ANSWERS];
}

static bool is_of(const struct worker_vlan_answer *a, uint16_t port, int64_t now_ns)
{
	return a->at_ns && a->port == port && now_ns - a->at_ns < ANSWER_HOLDS_NS;
}

void worker_vlan_heard(struct worker_vlan *v, struct evidence *e, const struct segment *s)
{
	uint16_t vlan = segment_vlan(s), port = s->dst.port;
	struct worker_vlan_answer *a = place(v, port);

	if (!is_of(a, port, s->time_ns))
		*a = (struct worker_vlan_answer){s->time_ns, port, vlan, false};
	else if (a->vlan != vlan)
		a->several = true;

	port = atomic_load_explicit(&e->answered_port, memory_order_relaxed);
	a = place(v, port);
	if (port && is_of(a, port, s->time_ns) && !a->several)
		atomic_store_explicit(&e->vlan, LEARNT | a->vlan, memory_order_relaxed);
}

static bool vlan_known(const struct evidence *e)
{
	return learnt(e);
}

bool worker_vlan_foreign(const struct evidence *e, uint16_t vlan)
{
	uint32_t v = learnt(e);

	return v && v != (LEARNT | vlan);
}

bool worker_vlan_foreign_flow(const struct evidence *e, const struct flow *f)
{
	return f->vlan_seen[FLOW_TO_CLIENT] && worker_vlan_foreign(e, f->vlan[FLOW_TO_CLIENT]);
}

static bool is_whole(const struct flow *f)
{
	return f->vlan_seen[FLOW_TO_SERVER] && f->vlan_seen[FLOW_TO_CLIENT];
}

/*
 * The same ISNs are the same connection, captured twice: so a mirror of both sides of a router
 * shows it.
 */
static bool is_same_connection(const struct flow *a, const struct flow *b)
{
	return a->isn[0] == b->isn[0] && a->isn[1] == b->isn[1];
}

static bool is_better(const struct flow *a, const struct flow *b)
{
	return is_whole(a) != is_whole(b) ? is_whole(a) : a->id < b->id;
}

static struct flow *first_twin(const struct track *t, const struct flow *f)
{
	return track_find(t, &f->server, &f->client);
}

/*
 * Whether another live flow has the same addresses and ports in another VLAN, with both directions
 * seen, and is another connection.
 */
static bool has_whole_twin(const struct track *t, const struct flow *f)
{
	for (struct flow *o = first_twin(t, f); o; o = track_twin(t, o))
		if (o != f && flow_is_live(o) && is_whole(o) && !is_same_connection(o, f))
			return true;
	return false;
}

static bool has_better_copy(const struct evidence *e, const struct track *t, const struct flow *f)
{
	for (struct flow *o = first_twin(t, f); o; o = track_twin(t, o))
		if (o != f && flow_is_live(o) && is_same_connection(o, f) && is_better(o, f) &&
		    !worker_vlan_foreign_flow(e, o))
			return true;
	return false;
}

bool worker_vlan_elsewhere(const struct evidence *e, const struct track *t, const struct flow *f)
{
	return worker_vlan_foreign_flow(e, f) || (!is_whole(f) && has_whole_twin(t, f)) ||
	       has_better_copy(e, t, f);
}

bool worker_vlan_ambiguous(const struct evidence *e, const struct track *t, struct flow *f)
{
	if (vlan_known(e) || !(watch_flow(f)->vlan.ambiguous || has_whole_twin(t, f)))
		return false;
	for (struct flow *o = first_twin(t, f); o; o = track_twin(t, o))
		if (o->user)
			watch_flow(o)->vlan.ambiguous = true;
	return true;
}

void worker_vlan_drop_copies(struct track *t, const struct flow *f)
{
	struct flow *o = first_twin(t, f);

	while (o) {
		struct flow *next = track_twin(t, o);
		/* Dropping an entry may move others in the table, so the search starts again. */
		if (o != f && is_same_connection(o, f)) {
			track_drop(t, o);
			next = first_twin(t, f);
		}
		o = next;
	}
}
