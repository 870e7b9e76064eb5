/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "track.h"

#include <stdlib.h>

#include "base/clock.h"
#include "track-internal.h"

#define HOUSEKEEPING_NS  (10 * NS_PER_MS)
#define CLOSED_MEMORY_NS (2 * NS_PER_S)
#define IDLE_BUFFERS_MAX ((size_t)16 << 20)

struct track *track_new(const struct track_config *cfg, const struct track_sink *sink, void *ctx)
{
	struct track *t = calloc(1, sizeof *t);

	if (!t)
		return NULL;
	t->sink = *sink;
	t->ctx = ctx;
	t->idle_timeout_ns = cfg->idle_timeout_ns;
	t->hole_timeout_ns = cfg->hole_timeout_ns;
	list_init(&t->lru);
	list_init(&t->half_open);
	list_init(&t->holes);
	list_init(&t->later);
	pool_init(&t->pool, cfg->buffer_max, IDLE_BUFFERS_MAX);
	if (cfg->stream_max < t->pool.block_max)
		t->pool.block_max = cfg->stream_max;

	t->closed = calloc(TRACK_CLOSED_SLOTS, sizeof t->closed[0]);
	t->ignore = calloc(cfg->ignore_count + 1, sizeof t->ignore[0]);
	t->service_flags = calloc(cfg->service_count + 1, 1);
	if (!t->closed || !t->ignore || !t->service_flags ||
	    flow_table_init(&t->table, cfg->max_flows, &cfg->key) < 0 ||
	    service_map_init(&t->services, cfg->services, cfg->service_count) < 0) {
		track_free(t);
		return NULL;
	}
	if (cfg->service_flags)
		memcpy(t->service_flags, cfg->service_flags, cfg->service_count);
	t->ignore_count = cfg->ignore_count;
	if (cfg->ignore_count > 0)
		memcpy(t->ignore, cfg->ignore_clients, cfg->ignore_count * sizeof t->ignore[0]);
	return t;
}

void track_free(struct track *t)
{
	if (!t)
		return;
	for (uint32_t i = 0; i < flow_table_places(&t->table); i++) {
		struct flow *f = flow_table_at(&t->table, i);
		if (f)
			track_close(t, f, TRACK_CLOSE_DROPPED);
	}
	flow_table_deinit(&t->table);
	service_map_deinit(&t->services);
	loans_deinit(&t->loans);
	pool_deinit(&t->pool);
	track_later_deinit(t);
	free(t->again);
	free(t->closed);
	free(t->ignore);
	free(t->service_flags);
	free(t);
}

static void count_live(struct track *t, struct flow *f)
{
	bool live = flow_is_live(f) && !(f->marks & FLOW_MARK_MIDSTREAM);

	if (live && !f->counted_live)
		t->live_count++;
	if (!live && f->counted_live)
		t->live_count--;
	f->counted_live = live;
}

void track_mark(struct track *t, struct flow *f, uint16_t set, uint16_t clear)
{
	f->marks = (uint16_t)((f->marks | set) & ~clear);
	count_live(t, f);
}

/* Anybody who knows an address can make any number of these. */
static bool is_half_open(const struct flow *f)
{
	bool one_spoke = f->packets[0] == 0 || f->packets[1] == 0;

	return f->state == FLOW_SYN_SENT || f->state == FLOW_SYN_RCVD || one_spoke;
}

void track_to_lru_end(struct track *t, struct flow *f)
{
	list_del(&f->lru);
	f->half_open = is_half_open(f);
	list_add_tail(f->half_open ? &t->half_open : &t->lru, &f->lru);
	f->lru_ns = t->now_ns;
}

void track_set_state(struct track *t, struct flow *f, enum flow_state state)
{
	f->state = (uint8_t)state;
	track_to_lru_end(t, f);
	count_live(t, f);
	if (state == FLOW_ESTABLISHED && f->marks & FLOW_MARK_MIDSTREAM)
		t->stats.flows_midstream++;
}

/*
 * The flow that has been silent longest. A flow that a takeover has probed is not evicted, because
 * it is accounted for.
 */
static struct flow *to_evict(const struct track *t)
{
	list_for_each (it, &t->half_open) {
		struct flow *f = list_entry(it, struct flow, lru);
		if (!f->probe_wanted)
			return f;
	}
	return NULL;
}

/*
 * Makes one place free among the VLANs with the same addresses and ports. Returns false when all
 * are taken by connections that got beyond a SYN. *ret_twin: there are others.
 */
static bool make_room_among_twins(struct track *t, const struct track_place *p, bool *ret_twin)
{
	struct flow *f = flow_table_find(&t->table, &p->key, p->hash), *old = NULL;
	uint32_t count = 0;

	for (; f; f = flow_table_twin(&t->table, f), count++) {
		f->twin = true;
		recent_forget(&t->recent, f);
		if (is_half_open(f) && !f->probe_wanted && (!old || f->lru_ns < old->lru_ns))
			old = f;
	}
	*ret_twin = count > 0;
	if (count < TRACK_VLANS_MAX)
		return true;
	if (!old)
		return false;
	t->stats.evicted++;
	track_close(t, old, TRACK_CLOSE_EVICTED);
	return true;
}

static struct flow *add_or_evict(struct track *t, const struct track_place *p)
{
	struct flow *f = flow_table_add(&t->table, &p->key, p->hash);
	struct flow *old = f ? NULL : to_evict(t);

	if (!old)
		return f;
	t->stats.evicted++;
	track_close(t, old, TRACK_CLOSE_EVICTED);
	return flow_table_add(&t->table, &p->key, p->hash);
}

struct flow *track_open(struct track *t, const struct track_place *p, enum flow_state state)
{
	bool twin;
	struct flow *f = make_room_among_twins(t, p, &twin) ? add_or_evict(t, p) : NULL;

	if (!f) {
		t->stats.table_full++;
		return NULL;
	}
	f->service = p->service;
	f->twin = twin;
	f->opened_ns = t->now_ns;
	list_init(&f->lru);
	list_init(&f->hole);
	list_init(&f->dirty);
	for (int d = 0; d < 2; d++) {
		f->keep_asked[d] = TRACK_KEEP_NOTHING;
		f->log_end[d] = UINT64_MAX;
	}
	f->state = (uint8_t)state;
	track_to_lru_end(t, f);
	t->stats.flows_opened++;
	return f;
}

void track_announce(struct track *t, struct flow *f)
{
	if (t->sink.open)
		t->sink.open(t->ctx, f);
}

static struct closed_slot *closed_slot(const struct track *t, uint64_t hash)
{
	return &t->closed[(hash >> 32) % TRACK_CLOSED_SLOTS];
}

void track_close(struct track *t, struct flow *f, enum track_close why)
{
	f->state = FLOW_CLOSED;
	count_live(t, f);
	if (t->sink.close)
		t->sink.close(t->ctx, f, why);
	/* An evicted flow may live: it is picked up when it is heard again. */
	if (why != TRACK_CLOSE_TIMEOUT && why != TRACK_CLOSE_REUSED && why != TRACK_CLOSE_EVICTED)
		*closed_slot(t, f->hash) =
			(struct closed_slot){f->hash, t->now_ns + CLOSED_MEMORY_NS};
	recent_forget(&t->recent, f);
	list_del(&f->lru);
	list_del(&f->hole);
	stream_deinit(&f->stream[0], &t->pool);
	stream_deinit(&f->stream[1], &t->pool);
	track_later_free(t, f);
	track_pass_free(t, f);
	track_aside_free(f, FLOW_TO_SERVER);
	track_aside_free(f, FLOW_TO_CLIENT);
	free(f->reuse_syn);
	free(f->infer);
	track_needs_free(t, f, FLOW_TO_SERVER);
	track_needs_free(t, f, FLOW_TO_CLIENT);
	flow_table_remove(&t->table, f);
	t->stats.flows_closed++;
}

void track_mark_fragments(struct track *t)
{
	bool all = t->fragment_count > TRACK_FRAGMENT_PAIRS;

	for (uint32_t i = 0; i < flow_table_places(&t->table) && t->fragment_count > 0; i++) {
		struct flow *f = flow_table_at(&t->table, i);
		bool hit = all;

		for (uint32_t k = 0; f && !hit && k < t->fragment_count; k++) {
			const struct netaddr *pair = t->fragment[k];
			hit = (netaddr_eq(&f->server.addr, &pair[0]) &&
			       netaddr_eq(&f->client.addr, &pair[1])) ||
			      (netaddr_eq(&f->server.addr, &pair[1]) &&
			       netaddr_eq(&f->client.addr, &pair[0]));
		}
		if (f && hit)
			track_mark(t, f, FLOW_MARK_FRAGMENT, 0);
	}
	t->fragment_count = 0;
}

static void close_idle(struct track *t, struct list *l, int64_t timeout_ns)
{
	list_for_each_safe (it, tmp, l) {
		struct flow *f = list_entry(it, struct flow, lru);
		if (t->now_ns - f->lru_ns < timeout_ns + timeout_ns / 16)
			return;
		if (!is_half_open(f) || !f->probe_wanted)
			track_close(t, f, TRACK_CLOSE_TIMEOUT);
	}
}

static void housekeeping(struct track *t)
{
	t->housekeeping_ns = t->now_ns + HOUSEKEEPING_NS;
	list_for_each_safe (it, tmp, &t->holes) {
		struct flow *f = list_entry(it, struct flow, hole);
		if (track_expire_holes(t, f) && t->sink.changed)
			t->sink.changed(t->ctx, f);
	}
	track_later_expire(t);
	if (t->idle_timeout_ns > 0) {
		close_idle(t, &t->half_open,
			   t->idle_timeout_ns < TRACK_HALF_OPEN_NS ? t->idle_timeout_ns
								   : TRACK_HALF_OPEN_NS);
		close_idle(t, &t->lru, t->idle_timeout_ns);
	}
	track_mark_fragments(t);
}

void track_tick(struct track *t, int64_t now_ns)
{
	if (now_ns > t->now_ns)
		t->now_ns = now_ns;
	housekeeping(t);
}

/*
 * How well a segment fits a flow with its addresses and ports; 0: not at all. A direction keeps its
 * VLAN. If a direction was not seen yet, it should have the VLAN of the other. It may have another
 * one: a mirror may tag one direction only, or show private VLANs. Clients' answers to the box may
 * come without a tag, on another port.
 */
enum vlan_fit {
	VLAN_OTHER,
	VLAN_POSSIBLE,
	VLAN_LIKELY,
	VLAN_SAME
};

static enum vlan_fit vlan_fit(const struct flow *f, enum flow_dir d, uint16_t vlan)
{
	const enum flow_dir a = flow_other(d);

	if (f->vlan_seen[d] && f->vlan[d] == vlan)
		return VLAN_SAME;
	if (!f->vlan_seen[d])
		return f->vlan_seen[a] && f->vlan[a] == vlan ? VLAN_LIKELY : VLAN_POSSIBLE;
	return f->probe_wanted && vlan == 0 ? VLAN_POSSIBLE : VLAN_OTHER;
}

static struct flow *find_in_vlan(const struct track *t, const struct track_place *p, uint16_t vlan)
{
	struct flow *f = flow_table_find(&t->table, &p->key, p->hash), *best = NULL;
	enum vlan_fit best_fit = VLAN_OTHER;

	while (f) {
		enum vlan_fit fit = vlan_fit(f, p->dir, vlan);
		if (fit == VLAN_SAME)
			return f;
		if (fit > best_fit) {
			best = f;
			best_fit = fit;
		}
		f = flow_table_twin(&t->table, f);
	}
	return best;
}

static struct flow *find_as(const struct track *t, const struct segment *s, enum flow_dir d,
			    int32_t service, struct track_place *ret)
{
	ret->key.server = d == FLOW_TO_SERVER ? s->dst : s->src;
	ret->key.client = d == FLOW_TO_SERVER ? s->src : s->dst;
	ret->hash = flow_table_hash(&t->table, &ret->key);
	ret->dir = d;
	ret->service = (uint16_t)service;
	return find_in_vlan(t, ret, segment_vlan(s));
}

/*
 * Finds the flow of @s. If it is NULL, *ret is the place of a new one. Returns false when @s is of
 * no protected service.
 */
static bool find(const struct track *t, const struct segment *s, struct track_place *ret,
		 struct flow **ret_flow)
{
	int32_t dst = service_map_find(&t->services, &s->dst);

	*ret_flow = NULL;
	if (dst != SERVICE_NONE) {
		*ret_flow = find_as(t, s, FLOW_TO_SERVER, dst, ret);
		if (*ret_flow)
			return true;
	}
	int32_t src = service_map_find(&t->services, &s->src);
	if (src == SERVICE_NONE)
		return dst != SERVICE_NONE;
	struct track_place as_src;
	*ret_flow = find_as(t, s, FLOW_TO_CLIENT, src, &as_src);
	/* When two protected servers talk to each other, the one that answers a SYN is the
	 * server. */
	if (*ret_flow || dst == SERVICE_NONE ||
	    (s->flags & (TCP_SYN | TCP_ACK)) == (TCP_SYN | TCP_ACK))
		*ret = as_src;
	return true;
}

bool track_ignores(const struct track *t, const struct netaddr *client)
{
	for (uint32_t i = 0; i < t->ignore_count; i++) {
		if (netaddr_eq(&t->ignore[i], client))
			return true;
	}
	return false;
}

/*
 * Whether a segment of an unknown connection may open a flow in the middle. Not if the connection
 * has just ended. Not without data: late ACKs and FINs. Not with one byte, which may be a
 * keep-alive's. With a service of all ports the lower port is taken for the server; otherwise
 * connections that the server opened would count. If either end may open a connection, nothing
 * tells the server.
 */
static bool midstream_plausible(const struct track *t, const struct track_place *p,
				const struct segment *s)
{
	const struct closed_slot *c = closed_slot(t, p->hash);

	if (!(s->flags & TCP_ACK) || s->payload_len <= 1)
		return false;
	if (c->hash == p->hash && t->now_ns < c->until_ns)
		return false;
	if (track_either_end(t, p))
		return false;
	return !t->services.any_port || p->key.server.port < p->key.client.port;
}

static bool opens(const struct track *t, const struct track_place *p, const struct segment *s)
{
	uint8_t kind = s->flags & (TCP_SYN | TCP_ACK | TCP_FIN | TCP_RST);

	if (track_ignores(t, &p->key.client.addr))
		return false;
	if (kind == TCP_SYN)
		return p->dir == FLOW_TO_SERVER || track_either_end(t, p);
	if (kind == (TCP_SYN | TCP_ACK))
		return p->dir == FLOW_TO_CLIENT;
	return !(kind & (TCP_SYN | TCP_RST)) && midstream_plausible(t, p, s);
}

/* The flow of @s, if find() would certainly find the same one. */
static struct flow *find_recent(struct track *t, const struct segment *s, enum flow_dir *ret_dir)
{
	struct flow *f = recent_find(&t->recent, s, ret_dir);

	return f && vlan_fit(f, *ret_dir, segment_vlan(s)) != VLAN_OTHER ? f : NULL;
}

static void note_recent(struct track *t, struct flow *f)
{
	if (!f->twin && service_map_find(&t->services, &f->client) == SERVICE_NONE)
		recent_note(&t->recent, f);
}

struct flow *track_segment(struct track *t, const struct segment *s)
{
	struct track_place p;
	enum flow_dir d;
	struct flow *f;

	if (s->time_ns > t->now_ns)
		t->now_ns = s->time_ns;
	if (t->now_ns >= t->housekeeping_ns)
		housekeeping(t);

	f = find_recent(t, s, &d);
	if (f)
		return track_follow(t, f, d, s);
	if (!find(t, s, &p, &f) || (!f && !opens(t, &p, s))) {
		t->stats.ignored++;
		return NULL;
	}
	f = f ? track_follow(t, f, p.dir, s) : track_pick_up(t, &p, s);
	if (f)
		note_recent(t, f);
	return f;
}

int track_borrow(struct track *t)
{
	return loans_init(&t->loans);
}

void track_repay(struct track *t)
{
	loans_repay(&t->loans);
}

void track_fragment(struct track *t, const struct segment *s)
{
	uint32_t n = t->fragment_count;

	if (!service_map_has_address(&t->services, &s->src.addr) &&
	    !service_map_has_address(&t->services, &s->dst.addr))
		return;
	if (n > 0 && n <= TRACK_FRAGMENT_PAIRS &&
	    netaddr_eq(&t->fragment[n - 1][0], &s->src.addr) &&
	    netaddr_eq(&t->fragment[n - 1][1], &s->dst.addr))
		return;
	if (n < TRACK_FRAGMENT_PAIRS) {
		t->fragment[n][0] = s->src.addr;
		t->fragment[n][1] = s->dst.addr;
	}
	if (n <= TRACK_FRAGMENT_PAIRS)
		t->fragment_count++;
}

void track_capture_drops(struct track *t, int64_t now_ns)
{
	if (now_ns > t->drops_ns)
		t->drops_ns = now_ns;
	for (uint32_t i = 0; i < flow_table_places(&t->table); i++) {
		struct flow *f = flow_table_at(&t->table, i);
		if (!f || !flow_is_live(f))
			continue;
		track_mark(t, f, FLOW_MARK_CAPTURE_DROPS, 0);
		f->resync[0] = f->resync[1] = true;
		f->told_since_drops[0] = f->told_since_drops[1] = false;
		if (f->infer)
			infer_lost(f->infer);
	}
}

void track_probe_begin(struct flow *f)
{
	free(f->reuse_syn);
	f->reuse_syn = NULL;
	f->probe_wanted = true;
	f->probe_answered = false;
	f->probe_said = 0;
	f->probe_stands = -1;
	f->probe_from = f->stream[FLOW_TO_SERVER].next;
}

uint32_t track_each_part(struct track *t, uint32_t from, uint32_t count,
			 void (*fn)(void *ctx, struct flow *f), void *ctx)
{
	uint32_t i = from;

	for (; count > 0 && i < flow_table_places(&t->table); i++, count--) {
		struct flow *f = flow_table_at(&t->table, i);
		if (f)
			fn(ctx, f);
	}
	return i < flow_table_places(&t->table) ? i : 0;
}

void track_each(struct track *t, void (*fn)(void *ctx, struct flow *f), void *ctx)
{
	track_each_part(t, 0, UINT32_MAX, fn, ctx);
}

struct flow *track_find(const struct track *t, const struct endpoint *server,
			const struct endpoint *client)
{
	struct flow_key k = {*server, *client};

	return flow_table_find(&t->table, &k, flow_table_hash(&t->table, &k));
}

struct flow *track_twin(const struct track *t, const struct flow *f)
{
	return flow_table_twin(&t->table, f);
}

void track_drop(struct track *t, struct flow *f)
{
	track_close(t, f, TRACK_CLOSE_DROPPED);
}

uint32_t track_count(const struct track *t)
{
	return t->table.count;
}

uint32_t track_live_count(const struct track *t)
{
	return t->live_count;
}

const struct track_stats *track_stats(const struct track *t)
{
	return &t->stats;
}

const struct pool *track_pool(const struct track *t)
{
	return &t->pool;
}
