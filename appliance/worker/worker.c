/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "worker.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>

#include "base/clock.h"
#include "capture/decode.h"
#include "watch/life.h"
#include "watch/plan.h"
#include "base/log.h"
#include "capture/service-map.h"
#include "base/thread.h"
#include "worker-clock.h"
#include "worker-spill.h"
#include "worker-store.h"
#include "worker-tasks.h"
#include "worker-vlan.h"

#define TICK_INTERVAL_NS (10 * NS_PER_MS)
/*
 * A busy ring is polled in this interval: a wakeup for each block would cost more than the block
 * itself.
 */
#define BUSY_PAUSE_MS 1
/*
 * Places of the flow table visited in one call while packets wait. A flow costs one to three
 * microseconds.
 */
#define TAKEOVER_PART 1024

/* State of the takeover of one server. */
struct worker_taking {
	bool taken;            /* packets of the server no longer open flows */
	struct mailbox *inbox; /* where items go; NULL: all are collected */
};

struct worker {
	struct worker_config cfg;
	struct worker_rings rings;
	uint64_t drops_seen, drops_logged;
	int64_t drops_logged_ns;
	struct watch *watch;
	const struct segment *segment; /* the segment being tracked */
	struct worker_store store;
	struct worker_spill spill;
	/* Maps a server's address to the index of one of its services. */
	struct service_map addresses;
	struct worker_taking *taking; /* by server */
	struct life *life;            /* by server */
	struct worker_vlan *vlan;     /* by server */
	uint32_t taken_count;
	pthread_t thread;
	bool started;
	int64_t stop_deadline_ns;  /* 0: not told to stop yet */
	struct worker_tasks tasks; /* calls of other threads */
	/* Counted by this thread alone, and published now and then. */
	uint64_t packets, tcp, not_tcp, fragments, malformed, bad_sum;
	int64_t published_ns, ticked_ns, longest_turn_ns;
	struct worker_clock clock;
	int64_t unread_real_ns; /* how far the rings were read; 0: to their end */
	struct worker_counters counters;
};

/* ---- frames --------------------------------------------------------------------------------- */

#define NO_SERVER UINT32_MAX

/* The server that has address @a, whatever the port. */
static uint32_t server_of(const struct worker *w, const struct netaddr *a)
{
	struct endpoint any = {.addr = *a};
	int32_t service = service_map_find(&w->addresses, &any);

	return service == SERVICE_NONE ? NO_SERVER : w->cfg.watch.services[service].server;
}

static void note_life(struct worker *w, uint32_t server, int64_t time_ns)
{
	_Atomic int64_t *at = &w->cfg.evidence[server].server_ns;

	/* A race between workers is harmless: they write nearly the same time. */
	if (time_ns > atomic_load_explicit(at, memory_order_relaxed))
		atomic_store_explicit(at, time_ns, memory_order_relaxed);
}

static void put_or_complain(struct worker_taking *t, struct takeover_item *item)
{
	if (item)
		mailbox_post(t->inbox, &item->node);
	else
		log_event(LOG_ERROR, "takeover-item-lost", LOG_ERR(-ENOMEM));
}

static void hand_over(struct worker *w, struct jeebs_flow *jf, bool answered)
{
	struct worker_taking *t = &w->taking[jf->service->server];
	struct takeover_item *item = takeover_extract(jf, w->cfg.index, answered);

	/* There may be no memory for its bytes, but for a refusal. */
	if (!item) {
		item = takeover_refusal(jf->flow, jf->service, w->cfg.index, false,
					"out-of-memory");
		taken_abandon(jf);
	}
	put_or_complain(t, item);
	track_drop(watch_track(w->watch), jf->flow);
}

static void on_gap(void *ctx, const struct jeebs_flow *jf, enum flow_dir dir, uint64_t bytes)
{
	struct worker *w = ctx;
	struct evidence *e = &w->cfg.evidence[jf->service->server];

	atomic_fetch_add_explicit(&e->gaps[dir], 1, memory_order_relaxed);
	atomic_fetch_add_explicit(&e->gap_bytes[dir], bytes, memory_order_relaxed);
}

static struct endings *endings_of(const struct worker *w, const struct jeebs_flow *jf)
{
	return &w->cfg.endings[jf->service - w->cfg.watch.services];
}

static void on_spilled(void *ctx, const struct jeebs_flow *jf, struct spilled *ret)
{
	const struct worker *w = ctx;

	worker_spill_open(&w->spill, jf, ret);
}

static const struct evidence *evidence_of(const struct worker *w, const struct jeebs_flow *jf)
{
	return &w->cfg.evidence[jf->service->server];
}

static uint64_t session_id(const struct worker *w, const struct jeebs_flow *jf)
{
	return (uint64_t)w->cfg.index << 32 | jf->flow->id;
}

static void on_encrypted(void *ctx, const struct jeebs_flow *jf)
{
	struct worker *w = ctx;

	if (w->cfg.sessions.begun)
		w->cfg.sessions.begun(w->cfg.sessions.ctx, session_id(w, jf), jf);
}

static void *on_lend(void *ctx, const struct jeebs_flow *jf, struct jeebs_keys **ret_keys,
		     const struct jeebs_crypto_ops **ret_crypto)
{
	const struct worker_sessions *s = &((struct worker *)ctx)->cfg.sessions;

	return s->lend ? s->lend(s->ctx, jf, ret_keys, ret_crypto) : NULL;
}

static void on_lease_back(void *ctx, void *lease)
{
	const struct worker_sessions *s = &((struct worker *)ctx)->cfg.sessions;

	s->lease_back(s->ctx, lease);
}

static void session_closed(struct worker *w, const struct jeebs_flow *jf, enum track_close why)
{
	const struct handshake *h = watch_handshake(jf);

	if (h && h->state == HANDSHAKE_DONE && !taken_is(jf) && w->cfg.sessions.ended)
		w->cfg.sessions.ended(w->cfg.sessions.ctx, session_id(w, jf), why);
}

static void on_closed(void *ctx, struct jeebs_flow *jf, enum track_close why)
{
	struct worker *w = ctx;
	struct worker_taking *t = &w->taking[jf->service->server];

	if (why == TRACK_CLOSE_RST && w->segment && !jf->service->companion &&
	    !worker_vlan_foreign_flow(evidence_of(w, jf), jf->flow))
		endings_add(endings_of(w, jf), ending_by_reset(jf, w->segment));

	session_closed(w, jf, why);
	worker_store_closed(&w->store, jf);
	worker_spill_closed(&w->spill, jf);
	if (t->inbox && !taken_is(jf) && jf->flow->probe_wanted)
		put_or_complain(t, takeover_note(jf, w->cfg.index, TAKEOVER_GONE));
}

/*
 * Whether @s belongs to a flow that still waits. All others of a server that was taken over are
 * none of our business.
 */
static bool concerns_pending_flow(struct worker *w, const struct segment *s)
{
	struct track *t = watch_track(w->watch);

	return track_find(t, &s->dst, &s->src) || track_find(t, &s->src, &s->dst);
}

static bool is_taken(const struct worker *w, const struct netaddr *a)
{
	uint32_t server = server_of(w, a);

	return server != NO_SERVER && w->taking[server].taken;
}

/* A segment that belongs to no tracked flow, or that has ended one. */
static void on_other_segment(struct worker *w, const struct segment *s)
{
	uint32_t to = server_of(w, &s->dst.addr), from = server_of(w, &s->src.addr);

	if (to != NO_SERVER)
		life_asked(&w->life[to], s);
	if (from == NO_SERVER)
		return;
	if (track_ignores(watch_track(w->watch), &s->dst.addr))
		worker_vlan_heard(&w->vlan[from], &w->cfg.evidence[from], s);
	if (!worker_vlan_foreign(&w->cfg.evidence[from], segment_vlan(s)) &&
	    life_answered(&w->life[from], s, &w->cfg.evidence[from]))
		note_life(w, from, s->time_ns);
}

/* A client that sends a SYN has no established connection. Its new one will be with the backup. */
static bool begins_again(const struct flow *f, const struct segment *s)
{
	return f->state == FLOW_SYN_RCVD && (s->flags & (TCP_SYN | TCP_ACK)) == TCP_SYN &&
	       endpoint_eq(&s->src, &f->client);
}

/* A segment of a flow whose client was probed. If the flow is dropped, on_closed() reports that. */
static void on_asked(struct worker *w, struct jeebs_flow *jf, const struct segment *s)
{
	if (begins_again(jf->flow, s))
		track_drop(watch_track(w->watch), jf->flow);
	else if (jf->flow->probe_answered && !flow_began_anew(jf->flow) &&
		 (plan_is_hopeless(jf->flow) ||
		  (!flow_client_owes(jf->flow) && !flow_client_disowns(jf->flow))))
		hand_over(w, jf, true);
}

static void on_segment(struct worker *w, const struct segment *s)
{
	/* While nothing is taken over, this costs one comparison. */
	if (w->taken_count > 0 && (is_taken(w, &s->dst.addr) || is_taken(w, &s->src.addr)) &&
	    !concerns_pending_flow(w, s))
		return;
	w->segment = s;
	struct flow *f = track_segment(watch_track(w->watch), s);
	w->segment = NULL;
	if (!f || !f->user) {
		on_other_segment(w, s);
		return;
	}
	struct jeebs_flow *jf = watch_flow(f);
	if (endpoint_eq(&s->src, &f->server) &&
	    !worker_vlan_foreign(evidence_of(w, jf), segment_vlan(s))) {
		uint32_t server = jf->service->server;
		if (life_of_flow(&w->life[server], jf, s, evidence_of(w, jf)))
			note_life(w, server, s->time_ns);
		if (s->flags & TCP_FIN && !jf->service->companion)
			endings_add(endings_of(w, jf), ending_by_fin(jf));
	}
	if (f->probe_wanted && w->taking[jf->service->server].inbox)
		on_asked(w, jf, s);
}

static int on_frame(void *ctx, const struct frame *f)
{
	struct worker *w = ctx;
	struct segment s;

	if (w->cfg.held || worker_clock_too_early(&w->clock, f->time_ns))
		return 0;
	w->packets++;
	switch (decode_frame(f, &s)) {
	case DECODE_TCP:
		w->tcp++;
		if (s.sum == SEGMENT_SUM_WRONG) {
			w->bad_sum++;
			break;
		}
		s.time_ns = worker_clock_mono(&w->clock, s.time_ns);
		on_segment(w, &s);
		break;
	case DECODE_FRAGMENT:
		w->fragments++;
		if (s.sum == SEGMENT_SUM_WRONG)
			w->bad_sum++;
		else
			track_fragment(watch_track(w->watch), &s);
		break;
	case DECODE_NOT_TCP:
		w->not_tcp++;
		break;
	case DECODE_TRUNCATED:
	case DECODE_MALFORMED:
		w->malformed++;
		break;
	}
	return 0;
}

/* ---- takeover ------------------------------------------------------------------------------- */

struct begin {
	struct worker *w;
	uint32_t server;
	const struct related_list *expected;
};

struct expected {
	struct worker *w;
	uint32_t server;
	struct related_list *list;
	int error;
};

static bool has_companion(const struct worker *w, uint32_t server)
{
	for (uint32_t i = 0; i < w->cfg.watch.service_count; i++)
		if (w->cfg.watch.services[i].companion && w->cfg.watch.services[i].server == server)
			return true;
	return false;
}

static void collect_expected(void *ctx, struct flow *f)
{
	struct expected *e = ctx;
	struct jeebs_flow *jf = watch_flow(f);

	if (!jf || jf->service->server != e->server || !flow_is_live(f))
		return;
	watch_look_again(jf);
	int r = related_collect(e->list, jf, e->w->cfg.index);
	if (r < 0)
		e->error = r;
}

uint32_t worker_takeover_expected(struct worker *w, uint32_t server, struct related_list *io_list,
				  int *ret_error, uint32_t from)
{
	struct expected e = {w, server, io_list, 0};

	*ret_error = 0;
	if (!has_companion(w, server))
		return 0;
	if (from == 0)
		e.error = related_collect_left(io_list, w->watch, server, w->cfg.index,
					       clock_mono_ns());
	uint32_t next =
		track_each_part(watch_track(w->watch), from, TAKEOVER_PART, collect_expected, &e);

	*ret_error = e.error;
	return next;
}

/* Whether the flow is to be taken over. A companion's flow is only if it is expected. */
static bool is_wanted(const struct begin *b, struct jeebs_flow *jf)
{
	const struct related_expected *e;

	if (!jf->service->companion)
		return true;
	e = related_find(b->expected, &jf->flow->server, &jf->flow->client);
	if (!e)
		return false;
	related_bind(jf, e);
	return true;
}

static void tell_ended(const struct begin *b)
{
	struct worker *w = b->w;

	list_for_each_safe (it, tmp, watch_ended(w->watch)) {
		struct related_ended *ended = list_entry(it, struct related_ended, node);
		const struct related_expected *e =
			related_find(b->expected, &ended->server, &ended->client);
		if (!e || ended->service->server != b->server || ended->at_ns < e->since_ns)
			continue;
		list_del(it);
		struct takeover_item *item = takeover_ended(ended, e, w->cfg.index);
		if (!item)
			list_add_tail(watch_ended(w->watch), it);
		put_or_complain(&w->taking[b->server], item);
	}
}

/* The flow was opened without memory for a module, so no module knows its bytes. */
static void begin_unwatched(struct worker *w, uint32_t server, struct flow *f)
{
	const struct watch_service *service = &w->cfg.watch.services[f->service];

	if (service->server != server)
		return;
	if (flow_is_live(f) && !service->companion)
		put_or_complain(&w->taking[server],
				takeover_refusal(f, service, w->cfg.index, true, "out-of-memory"));
	track_drop(watch_track(w->watch), f);
}

static void begin_flow(void *ctx, struct flow *f)
{
	struct begin *b = ctx;
	struct worker *w = b->w;
	struct jeebs_flow *jf = watch_flow(f);
	struct track *t = watch_track(w->watch);

	if (!jf) {
		begin_unwatched(w, b->server, f);
		return;
	}
	if (jf->service->server != b->server)
		return;
	track_settle(t, f); /* the flow may turn out to be established */
	if (!flow_is_live(f) || worker_vlan_elsewhere(evidence_of(w, jf), t, f) ||
	    !is_wanted(b, jf)) {
		/* An unanswered SYN is sent again, and then reaches the backup. */
		track_drop(t, f);
		return;
	}
	if (worker_vlan_ambiguous(evidence_of(w, jf), t, f)) {
		put_or_complain(
			&w->taking[b->server],
			takeover_refusal(f, jf->service, w->cfg.index, true, "vlan-unknown"));
		track_drop(t, f);
		return;
	}
	worker_vlan_drop_copies(t, f);
	track_probe_begin(f);
	put_or_complain(&w->taking[b->server], takeover_note(jf, w->cfg.index, TAKEOVER_PROBE));
}

static bool listens_on(const struct worker *w, uint32_t server, uint8_t ring)
{
	return w->cfg.listens[server] == ring && w->taking[server].inbox;
}

static bool holds(const struct netaddr *list, uint32_t n, const struct netaddr *a)
{
	for (uint32_t i = 0; i < n; i++)
		if (netaddr_eq(&list[i], a))
			return true;
	return false;
}

/*
 * Lets the ring show the addresses of all servers that wait for answers on it. Without any the ring
 * is shut.
 */
static int listen_on(struct worker *w, uint8_t ring)
{
	struct netaddr *list = calloc(w->cfg.watch.service_count + 1, sizeof *list);
	uint32_t n = 0;

	if (!list)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->cfg.watch.service_count; i++) {
		const struct watch_service *s = &w->cfg.watch.services[i];
		if (listens_on(w, s->server, ring) && !holds(list, n, &s->endpoint.addr))
			list[n++] = s->endpoint.addr;
	}
	int r = ring_listen(w->rings.ring[ring], list, n);
	free(list);
	return r;
}

/* Called when a server begins or ceases to wait for answers. */
static void listen_or_shut(struct worker *w, uint32_t server)
{
	uint8_t ring = w->cfg.listens ? w->cfg.listens[server] : WORKER_LISTENS_NOT;

	if (ring == WORKER_LISTENS_NOT)
		return;
	int r = listen_on(w, ring);
	if (r < 0)
		log_event(LOG_ERROR, "answers-not-heard",
			  LOG_STR("interface", w->cfg.rings[ring].interface),
			  LOG_INT("worker", w->cfg.index), LOG_ERR(r));
}

static void read_ring_stats(struct worker *w, int64_t now_ns)
{
	uint64_t drops = worker_rings_stats(&w->rings);

	if (drops > w->drops_seen) {
		track_capture_drops(watch_track(w->watch), clock_real_ns());
		/* At most once a second: dropped packets come in floods, and would flood the log
		 * too. */
		if (now_ns - w->drops_logged_ns >= NS_PER_S) {
			w->drops_logged_ns = now_ns;
			log_event(LOG_WARNING, "capture-dropped", LOG_INT("worker", w->cfg.index),
				  LOG_INT("packets", drops - w->drops_logged));
			w->drops_logged = drops;
		}
		w->drops_seen = drops;
	}
}

uint32_t worker_takeover_begin(struct worker *w, uint32_t server,
			       const struct related_list *expected, struct mailbox *inbox,
			       uint32_t from)
{
	struct begin b = {w, server, expected};

	if (!w->taking[server].taken)
		w->taken_count++;
	w->taking[server] = (struct worker_taking){.taken = true, .inbox = inbox};
	if (from == 0) {
		read_ring_stats(w, clock_mono_ns()); /* plans count on what was lost */
		listen_or_shut(w, server);
		tell_ended(&b);
	}
	return track_each_part(watch_track(w->watch), from, TAKEOVER_PART, begin_flow, &b);
}

static void collect_flow(void *ctx, struct flow *f)
{
	struct begin *b = ctx;
	struct jeebs_flow *jf = watch_flow(f);

	if (!jf || jf->service->server != b->server || !f->probe_wanted)
		return;
	if (flow_began_anew(f))
		track_drop(watch_track(b->w->watch), f);
	else
		hand_over(b->w, jf, f->probe_answered);
}

uint32_t worker_takeover_collect(struct worker *w, uint32_t server, uint32_t from)
{
	struct begin b = {.w = w, .server = server};

	if (!w->taking[server].inbox)
		return 0;
	return track_each_part(watch_track(w->watch), from, TAKEOVER_PART, collect_flow, &b);
}

static void drop_flow(void *ctx, struct flow *f)
{
	struct begin *b = ctx;
	struct jeebs_flow *jf = watch_flow(f);

	if (jf && jf->service->server == b->server)
		track_drop(watch_track(b->w->watch), f);
}

void worker_takeover_end(struct worker *w, uint32_t server)
{
	struct begin b = {.w = w, .server = server};

	w->taking[server].inbox = NULL;
	listen_or_shut(w, server);
	track_each(watch_track(w->watch), drop_flow, &b);
}

/* ---- thread --------------------------------------------------------------------------------- */

#define PUBLISH(field, source, ...) \
	atomic_store_explicit(&w->counters.field, (source), memory_order_relaxed);
#define PUBLISH_BOTH(field, source, ...) \
	PUBLISH(field[0], (source)[0])   \
	PUBLISH(field[1], (source)[1])
#define PUBLISH_RING(field, ...) PUBLISH(ring[i].field, w->rings.stats[i].field)

static void publish(struct worker *w)
{
	struct track *t = watch_track(w->watch);
	const struct track_stats *s = track_stats(t);

	WORKER_COUNTERS(PUBLISH, PUBLISH_BOTH, PUBLISH)
	for (uint32_t i = 0; i < w->rings.count; i++) {
		WORKER_RING_COUNTERS(PUBLISH_RING, PUBLISH_RING)
	}
	PUBLISH(lag_ns, w->longest_turn_ns)
	w->longest_turn_ns = 0;
}

/* Until when silence is certain. After a stop of the thread, packets wait unread in the rings. */
static int64_t heard_until(const struct worker *w, int64_t now)
{
	return w->unread_real_ns ? worker_clock_mono(&w->clock, w->unread_real_ns) : now;
}

static void after_packets(struct worker *w, int64_t now)
{
	worker_store_flush(&w->store, w->watch, now);
	worker_spill_flush(&w->spill, w->watch, now);
	if (now - w->ticked_ns >= TICK_INTERVAL_NS) {
		w->ticked_ns = now;
		track_tick(watch_track(w->watch), heard_until(w, now));
	}
	if (now - w->published_ns >= WORKER_PUBLISH_NS) {
		w->published_ns = now;
		read_ring_stats(w, now);
		publish(w);
	}
}

static void read_rings(struct worker *w)
{
	if (worker_rings_read(&w->rings, w->cfg.index, on_frame, w, &w->unread_real_ns)) {
		w->unread_real_ns = 0;
		worker_clock_caught_up(&w->clock);
	}
}

static void *worker_main(void *arg)
{
	struct worker *w = arg;
	struct pollfd p[WORKER_RINGS_MAX + 1], *wake = &p[w->rings.count];

	for (uint32_t i = 0; i < w->rings.count; i++)
		p[i] = (struct pollfd){.fd = ring_fd(w->rings.ring[i]), .events = POLLIN};
	*wake = (struct pollfd){.fd = w->tasks.mail.bell, .events = POLLIN};
	while (!mailbox_closed(&w->tasks.mail)) {
		worker_tasks_turn(&w->tasks);
		if (worker_rings_busy(&w->rings))
			poll(wake, 1, BUSY_PAUSE_MS);
		else
			poll(p, w->rings.count + 1, (int)(TICK_INTERVAL_NS / NS_PER_MS));
		worker_clock_read(&w->clock);
		read_rings(w);
		if (wake->revents)
			worker_tasks_run(&w->tasks, w);
		int64_t now = clock_mono_ns();
		after_packets(w, now);
		if (now - w->clock.turn_ns > w->longest_turn_ns)
			w->longest_turn_ns = now - w->clock.turn_ns;
	}
	worker_tasks_run(&w->tasks, w);
	return NULL;
}

void worker_call(struct worker *w, void (*fn)(struct worker *w, void *arg), void *arg)
{
	worker_tasks_call(&w->tasks, fn, arg);
}

int worker_ask(struct worker *w, void (*fn)(struct worker *w, void *arg), void *io_arg, size_t size)
{
	return worker_tasks_ask(&w->tasks, fn, io_arg, size);
}

bool worker_stands_still(struct worker *w)
{
	return worker_tasks_stand_still(&w->tasks);
}

static int map_addresses(struct worker *w)
{
	const struct watch_config *wc = &w->cfg.watch;
	struct endpoint *e = calloc(wc->service_count + 1, sizeof *e);

	if (!e)
		return -ENOMEM;
	for (uint32_t i = 0; i < wc->service_count; i++)
		e[i].addr = wc->services[i].endpoint.addr;
	int r = service_map_init(&w->addresses, e, wc->service_count);
	free(e);
	return r;
}

int worker_start(const struct worker_config *cfg, struct worker **ret,
		 struct worker_failure *ret_why)
{
	struct worker *w = aligned_alloc(64, (sizeof *w + 63) / 64 * 64);
	int r;

	*ret_why = (struct worker_failure){"memory", ""};
	if (!w)
		return -ENOMEM;
	memset(w, 0, sizeof *w);
	w->cfg = *cfg;
	int opened = worker_tasks_init(&w->tasks, w->cfg.index);
	w->cfg.watch.hooks = (struct watch_hooks){.spilled = on_spilled,
						  .gap = on_gap,
						  .encrypted = on_encrypted,
						  .lend = on_lend,
						  .lease_back = on_lease_back,
						  .closed = on_closed};
	w->cfg.watch.ctx = w;
	w->taking = calloc(cfg->server_count, sizeof *w->taking);
	w->life = calloc(cfg->server_count, sizeof *w->life);
	w->vlan = calloc(cfg->server_count, sizeof *w->vlan);
	for (uint32_t i = 0; w->life && i < cfg->server_count; i++)
		life_init(&w->life[i], &cfg->watch.track.key);
	w->watch = watch_new(&w->cfg.watch);
	worker_store_init(&w->store, &w->cfg);
	worker_spill_init(&w->spill, &w->cfg);
	r = w->taking && w->life && w->vlan && w->watch ? map_addresses(w) : -ENOMEM;
	if (r == 0)
		r = worker_rings_open(&w->rings, cfg->rings, cfg->ring_count, ret_why);
	if (r == 0) {
		ret_why->step = "eventfd";
		r = opened;
	}
	if (r == 0) {
		ret_why->step = "thread";
		r = thread_start(&w->thread, worker_main, w);
		w->started = r == 0;
	}
	if (r < 0) {
		worker_stop(w);
		return r;
	}
	pthread_setname_np(w->thread, "capture"); /* shown by ps -L, and used to set priorities */
	*ret = w;
	return 0;
}

static void begin_now(struct worker *w, void *arg)
{
	w->cfg.held = false;
	worker_clock_begin(&w->clock);
}

void worker_begin(struct worker *w)
{
	worker_call(w, begin_now, NULL);
}

void worker_tell_stop(struct worker *w)
{
	if (!w || !w->started || w->stop_deadline_ns)
		return;
	mailbox_close(&w->tasks.mail);
	w->stop_deadline_ns = thread_deadline(worker_stands_still(w));
}

struct worker *worker_stop(struct worker *w)
{
	if (!w)
		return NULL;
	worker_tell_stop(w);
	if (w->started && !thread_end(w->thread, "capture", w->stop_deadline_ns))
		return NULL;
	worker_rings_close(&w->rings);
	watch_free(w->watch);
	worker_store_deinit(&w->store);
	worker_spill_deinit(&w->spill);
	service_map_deinit(&w->addresses);
	free(w->taking);
	free(w->life);
	free(w->vlan);
	worker_tasks_deinit(&w->tasks);
	free(w);
	return NULL;
}

const struct worker_counters *worker_counters(const struct worker *w)
{
	return &w->counters;
}

struct watch *worker_watch(struct worker *w)
{
	return w->watch;
}

int64_t worker_heard_ns(const struct worker *w)
{
	return heard_until(w, clock_mono_ns());
}

uint16_t worker_index(const struct worker *w)
{
	return w->cfg.index;
}
