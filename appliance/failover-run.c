/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * THEORY OF OPERATION
 *
 * The order of a takeover, and why it is this one:
 *
 *	fence	 before anything of ours is visible: the old server must not speak again.
 *	guard	 from here on packets to the address are dropped. An address without sockets
 *		 makes the kernel answer RST at once and kills connections.
 *	address  added, announced, and announced again later by the failover thread.
 *	probes	 each client is asked for its true ACK (probe.h). Its answer passes the ring,
 *		 the worker sees it, takes the flow out of its table and hands it over by value.
 *	sockets  built as answers come. What is refused gets its RST at its true sequence number.
 *	open	 one batch: the guard goes, except for clients that have not answered; new
 *		 connections go to the backup; the joins may send.
 *
 * Then, stepped by the thread: clients that did not answer are asked again (Linux answers
 * an empty probe at most once every 500 ms), and at last restored without an answer, with
 * what is in flight taken as sent: slow for the client (its RTO), but never wrong.
 *
 * Two things take long with many connections: the probes, and the sockets. Both are pieces
 * that know nothing of each other, so the thread's crew (crew.h) shares them, one batch after the
 * other; the phases, the account, the guard and what is told of it are the failover thread's
 * alone, and happen between batches, in the order in which the answers came. Workers are
 * asked for their flows in parts, because packets wait meanwhile.
 *
 * A takeover can be called off until the address is added. After that it goes on, one
 * connection failing alone. Whatever memory fails, each connection that was live ends as
 * continued, refused or gone: `asked` has the list.
 */
#include "failover-run.h"

#include <errno.h>
#include <stdlib.h>

#include "clock.h"
#include "log.h"

#define PROBE_REPEAT_NS    (550 * NS_PER_MS)
#define PROBE_GIVE_UP_NS   (1700 * NS_PER_MS)
#define FIRST_BYTE_WAIT_NS (1000 * NS_PER_MS)
#define OWN_ADDRESSES_MAX  64
#define ADDRESS_CHECK_NS   (50 * NS_PER_MS)
/* A frame and the answer it carried are stamped by different clocks. */
#define SAME_SIGN_OF_LIFE_NS NS_PER_MS

static void mark(struct failover_server *s, enum failover_phase p)
{
	struct failover_summary *sum = &s->run->summary;
	static const char *const event[FAILOVER_PHASE_COUNT_] = {
		[FAILOVER_DETECTED] = "failover-detected",
		[FAILOVER_FENCE] = "failover-fence",
		[FAILOVER_GUARD] = "failover-guard",
		[FAILOVER_ADDRESS] = "failover-address",
		[FAILOVER_PROBES] = "failover-probes",
		[FAILOVER_SOCKETS] = "failover-sockets",
		[FAILOVER_OPEN] = "failover-open",
		[FAILOVER_FIRST_BYTE] = "failover-first-byte",
	};

	if (!sum->at_ns[p])
		sum->at_ns[p] = clock_mono_ns();
	log_event(LOG_INFO, event[p], LOG_STR("failover", sum->id), LOG_STR("server", s->cfg->name),
		  LOG_MS("at_ms", sum->at_ns[p] - sum->alive_ns));
}

/* ---- clients ------------------------------------------------------------------------------- */

struct probing {
	struct failover_server *s;
	int64_t now_ns;
	_Atomic int failed; /* negative errno of one that was not sent */
};

static void send_probe(void *ctx, uint32_t i)
{
	struct probing *p = ctx;
	const struct asked *a = &p->s->run->asked.entry[i];
	uint8_t frame[PROBE_FRAME_MAX];

	if (a->done)
		return;
	size_t n = probe_build(&a->snapshot, link_mac(p->s->link), p->now_ns, frame);
	int r = link_send(p->s->link, bytes_of(frame, n));
	if (r < 0)
		atomic_store_explicit(&p->failed, r, memory_order_relaxed);
}

static void send_probes(struct failover_server *s)
{
	struct probing p = {.s = s, .now_ns = clock_mono_ns()};

	crew_run(s->crew, send_probe, &p, s->run->asked.count);
	int failed = atomic_load_explicit(&p.failed, memory_order_relaxed);
	if (failed)
		log_event(LOG_WARNING, "probe-not-sent", LOG_STR("server", s->cfg->name),
			  LOG_ERR(failed));
}

static bool is_waiting(const struct failover_run *run)
{
	return run->asked.outstanding > 0 || run->unasked > 0;
}

static void work_on(void *ctx, uint32_t i)
{
	struct failover_server *s = ctx;

	failover_connection_work(s, s->run->batch[i]);
}

/* Also who was refused: without a socket the kernel refuses for us. */
static void let_in_all(struct failover_server *s)
{
	if (s->run->let_in_count > 0)
		failover_connection_let_in(s, s->run->let_in, s->run->let_in_count);
	s->run->let_in_count = 0;
}

static void let_in(struct failover_server *s, const struct takeover_item *item)
{
	struct failover_run *run = s->run;

	if (!item->result.pending)
		return;
	run->let_in[run->let_in_count++] =
		(struct guard_flow){item->snapshot.server, item->snapshot.client};
	if (run->let_in_count == FAILOVER_BATCH)
		let_in_all(s);
}

static void settle_batch(struct failover_server *s, uint32_t count)
{
	struct failover_run *run = s->run;

	crew_run(s->crew, work_on, s, count);
	for (uint32_t i = 0; i < count; i++) {
		struct takeover_item *item = run->batch[i];
		failover_connection_account(s, item);
		let_in(s, item);
		list_for_each (it, &item->others)
			let_in(s, list_entry(it, struct takeover_item, node));
		takeover_item_free(item);
	}
	let_in_all(s);
}

/* The one to be dealt with now, or NULL: it waits for its family. */
static struct takeover_item *note_item(struct failover_run *run, struct takeover_item *item)
{
	bool asked = asked_done(&run->asked, item);

	run->summary.live += item->unasked && !item->ended;
	if (!asked && !item->unasked && run->unasked > 0)
		run->unasked--;
	item->result.pending = asked && run->open && run->holding;
	return family_add(&run->families, item);
}

static void settle_items(struct failover_server *s, struct list *items)
{
	uint32_t n = 0;

	list_for_each_safe (it, tmp, items) {
		list_del(it);
		struct takeover_item *item =
			note_item(s->run, list_entry(it, struct takeover_item, node));
		if (item)
			s->run->batch[n++] = item;
		if (n == FAILOVER_BATCH) {
			settle_batch(s, n);
			n = 0;
		}
	}
	settle_batch(s, n);
}

/* Some of their family never came: memory failed a worker. */
static void settle_families(struct failover_server *s)
{
	while ((s->run->batch[0] = family_give_up(&s->run->families)))
		settle_batch(s, 1);
}

static void take_items(struct failover_server *s, int64_t deadline_ns)
{
	struct list items;

	list_init(&items);
	takeover_inbox_take(&s->run->inbox, deadline_ns, &items);
	settle_items(s, &items);
}

struct takeover_call {
	uint32_t server;
	struct related_list *expected;
	struct takeover_inbox *inbox;
	uint32_t from;
	int error;
};

static void call_expected(struct worker *w, void *arg)
{
	struct takeover_call *c = arg;
	int error;

	c->from = worker_takeover_expected(w, c->server, c->expected, &error, c->from);
	if (error)
		c->error = error;
}

static void call_begin(struct worker *w, void *arg)
{
	struct takeover_call *c = arg;

	c->from = worker_takeover_begin(w, c->server, c->expected, c->inbox, c->from);
}

static void call_collect(struct worker *w, void *arg)
{
	struct takeover_call *c = arg;

	c->from = worker_takeover_collect(w, c->server, c->from);
}

/* Each worker's flows in parts: packets come in between. */
static int call_in_parts(struct failover_server *s, struct related_list *expected,
			 void (*fn)(struct worker *w, void *arg))
{
	struct takeover_call c = {
		.server = s->index, .expected = expected, .inbox = &s->run->inbox};

	for (uint32_t i = 0; i < s->env->worker_count; i++) {
		do
			worker_call(s->env->workers[i], fn, &c);
		while (c.from > 0);
	}
	return c.error;
}

static void call_end(struct worker *w, void *arg)
{
	worker_takeover_end(w, *(const uint32_t *)arg);
}

static void ask_workers(struct failover_server *s)
{
	struct failover_run *run = s->run;
	struct related_list expected = {0};
	struct list items, early;

	if (call_in_parts(s, &expected, call_expected) < 0)
		log_event(LOG_ERROR, "related-not-collected", LOG_STR("server", s->cfg->name),
			  LOG_ERR(-ENOMEM));
	call_in_parts(s, &expected, call_begin);
	related_list_deinit(&expected);
	/* Everybody to be asked is in the inbox by now; some may have spoken meanwhile. */
	list_init(&items);
	list_init(&early);
	takeover_inbox_take(&run->inbox, 0, &items);
	list_for_each_safe (it, tmp, &items) {
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		list_del(it);
		/* Without memory it is settled alone, and its main one is told of nothing. */
		if (item->related && (item->kind == TAKEOVER_PROBE || item->ended))
			(void)family_expect(&run->families, item);
		if (item->kind != TAKEOVER_PROBE) {
			list_add_tail(&early, it);
			continue;
		}
		run->unasked += asked_add(&run->asked, item) < 0;
		takeover_item_free(item);
	}
	run->summary.live = run->asked.count + run->unasked;
	if (run->unasked > 0)
		log_event(LOG_ERROR, "clients-not-asked", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", run->unasked), LOG_ERR(-ENOMEM));
	if (asked_index(&run->asked) < 0)
		log_event(LOG_WARNING, "takeover-slow", LOG_STR("server", s->cfg->name),
			  LOG_ERR(-ENOMEM));
	family_sort(&run->families);
	settle_items(s, &early);
}

/*
 * Memory has failed a worker for the item itself: the connection is refused on what was
 * known when its client was asked.
 */
static void refuse_lost(struct failover_server *s)
{
	struct failover_run *run = s->run;
	uint32_t lost = 0;

	for (uint32_t i = 0; i < run->asked.count; i++) {
		struct asked *a = &run->asked.entry[i];
		struct takeover_item item = {
			.kind = TAKEOVER_READY,
			.snapshot = a->snapshot,
			.service = a->service,
			.plan = {.module = "-", .reason = "out-of-memory"},
		};
		struct guard_flow flow = {a->snapshot.server, a->snapshot.client};
		if (a->done)
			continue;
		a->done = true;
		lost++;
		list_init(&item.others);
		failover_connection_work(s, &item);
		failover_connection_account(s, &item);
		if (run->holding)
			failover_connection_let_in(s, &flow, 1);
	}
	lost += run->unasked;
	run->summary.refused += run->unasked; /* without a socket, by the kernel */
	run->asked.outstanding = run->unasked = 0;
	if (lost > 0)
		log_event(LOG_ERROR, "connections-lost", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", lost), LOG_ERR(-ENOMEM));
}

/* ---- phases -------------------------------------------------------------------------------- */

static int phase_fence(struct failover_server *s, const struct failover_cause *cause)
{
	const struct config_server *cfg = s->cfg;
	const struct failover_observer *o = &s->env->observer;
	char address[NETADDR_STRLEN];

	if (cfg->fence_policy == CONFIG_FENCE_NONE || !cfg->fence_command)
		return 0;
	int64_t deadline = clock_mono_ns() + cfg->fence_timeout_ns;
	int r = fence_start(cfg->fence_command, cfg->name,
			    netaddr_format(&cfg->addresses[0], address), cause->reason, deadline,
			    &s->run->fence);
	if (r == 0 && cfg->fence_policy == CONFIG_FENCE_PARALLEL && cause->silent) {
		s->run->fence_running = true;
		mark(s, FAILOVER_FENCE);
		return 0;
	}
	bool ok = r == 0 && fence_wait(&s->run->fence) == FENCE_OK;
	mark(s, FAILOVER_FENCE);
	o->fenced(o->ctx, s->index, ok);
	if (ok)
		return 0;
	log_event(LOG_ERROR, "fence-failed", LOG_STR("server", cfg->name),
		  LOG_STR("command", cfg->fence_command[0]),
		  LOG_INT("status", s->run->fence.status),
		  LOG_STR("error", r < 0 ? log_strerror(r) : "program failed"));
	bool go_on = cfg->fence_policy == CONFIG_FENCE_PARALLEL && cause->silent;
	if (!go_on)
		s->run->summary.aborted = "fence-failed";
	return go_on ? 0 : -EPERM;
}

static bool is_own(const struct failover_server *s, const struct netaddr *a)
{
	for (uint32_t i = 0; i < s->cfg->address_count; i++)
		if (netaddr_eq(a, &s->cfg->addresses[i]))
			return false;
	return true;
}

void failover_server_ask(struct failover_server *s)
{
	struct netaddr own[OWN_ADDRESSES_MAX];
	int n = address_list(s->cfg->interface, own, OWN_ADDRESSES_MAX);

	if (n > OWN_ADDRESSES_MAX) /* it counts all, and writes so many */
		n = OWN_ADDRESSES_MAX;
	for (uint32_t i = 0; i < s->cfg->address_count; i++)
		for (int k = 0; k < n; k++)
			if (own[k].family == s->cfg->addresses[i].family && is_own(s, &own[k])) {
				link_ask(s->link, &s->cfg->addresses[i], &own[k]);
				break;
			}
}

/* A server that has not fallen silent by itself must not answer any more. */
static int phase_address_check(struct failover_server *s)
{
	int64_t until = clock_mono_ns() + ADDRESS_CHECK_NS;

	failover_server_ask(s);
	while (clock_mono_ns() < until) {
		struct link_answer a;
		struct timespec pause = {.tv_nsec = NS_PER_MS};
		while (link_receive(s->link, &a) > 0)
			for (uint32_t i = 0; i < s->cfg->address_count; i++)
				if (netaddr_eq(&a.addr, &s->cfg->addresses[i])) {
					s->run->summary.aborted = "address-in-use";
					return -EADDRINUSE;
				}
		nanosleep(&pause, NULL);
	}
	return 0;
}

/* The connections of companions: all other ports of the address. */
static uint32_t guard_companions(const struct failover_server *s, struct guard_service *out)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < s->env->service_count && n < s->cfg->address_count; i++) {
		const struct watch_service *w = &s->env->services[i];
		if (w->server != s->index || !w->companion)
			continue;
		const struct config_backup *b =
			failover_backup_for(s->cfg, w->endpoint.addr.family);
		out[n++] = (struct guard_service){.service = w->endpoint,
						  .backup = {.addr = b->address}};
	}
	return n;
}

static int phase_guard(struct failover_server *s)
{
	const struct config_server *cfg = s->cfg;
	uint32_t n = 0;
	struct guard_service *svc =
		calloc((size_t)cfg->address_count * (cfg->service_count + 1), sizeof *svc);

	if (!svc)
		return -ENOMEM;
	for (uint32_t a = 0; a < cfg->address_count; a++)
		for (uint32_t k = 0; k < cfg->service_count; k++, n++) {
			const struct config_backup *b =
				failover_backup_for(cfg, cfg->addresses[a].family);
			svc[n].service = (struct endpoint){.addr = cfg->addresses[a],
							   .port = cfg->services[k].port};
			svc[n].backup = (struct endpoint){.addr = b->address,
							  .port = cfg->services[k].port};
		}
	n += guard_companions(s, svc + n);
	int r = guard_up(cfg->name, svc, n, &s->guard);
	free(svc);
	if (r == 0)
		mark(s, FAILOVER_GUARD);
	return r;
}

/*
 * The last look at the wire: a server that has spoken since the verdict lives, and
 * two owners of an address are worse than none.
 */
static int phase_still_silent(struct failover_server *s, const struct failover_cause *cause)
{
	int64_t seen =
		atomic_load_explicit(&s->env->evidence[s->index].server_ns, memory_order_relaxed);

	if (seen <= cause->alive_ns + SAME_SIGN_OF_LIFE_NS)
		return 0;
	s->run->summary.aborted = "traffic-seen";
	return -EADDRINUSE;
}

static int phase_address(struct failover_server *s)
{
	for (uint32_t i = 0; i < s->cfg->address_count; i++) {
		const struct netaddr *a = &s->cfg->addresses[i];
		bool changed = false;
		int v6 = a->family == NETADDR_V6;
		int r = address_add(s->cfg->interface, a);
		if (r < 0)
			return r;
		s->addresses_added = i + 1;
		r = link_announce(s->link, a);
		if (r < 0)
			log_event(LOG_WARNING, "announce-failed", LOG_STR("server", s->cfg->name),
				  LOG_ERR(r));
		r = guard_forwarding(s->cfg->interface, a->family, true, &changed);
		if (r < 0)
			log_event(LOG_WARNING, "forwarding-failed", LOG_STR("server", s->cfg->name),
				  LOG_STR("detail", "new connections will not reach the backup"),
				  LOG_ERR(r));
		s->forwarding[v6] = s->forwarding[v6] || changed;
	}
	int64_t now = clock_mono_ns();
	s->announced = 1;
	s->announce_ns = now + 50 * NS_PER_MS;
	s->renew_ns = now + ADDRESS_RENEW_S * NS_PER_S;
	mark(s, FAILOVER_ADDRESS);
	return 0;
}

static void phase_open(struct failover_server *s)
{
	struct failover_run *run = s->run;
	struct guard_flow *pending = calloc(run->asked.outstanding + 1, sizeof *pending);
	uint32_t n = 0;

	/* Without memory they are not held back: the kernel refuses who is heard before restored.
	 */
	run->holding = pending != NULL;
	for (uint32_t i = 0; pending && i < run->asked.count; i++)
		if (!run->asked.entry[i].done && n < run->asked.outstanding)
			pending[n++] = (struct guard_flow){run->asked.entry[i].snapshot.server,
							   run->asked.entry[i].snapshot.client};
	int r = guard_open(s->guard, pending, n);
	if (r < 0) {
		/* Better open than closed for ever: without our table the sockets still work,
		 * only new connections do not reach the backup. */
		log_event(LOG_ERROR, "guard-open-failed", LOG_STR("server", s->cfg->name),
			  LOG_ERR(r));
		s->guard = guard_down(s->guard);
		run->holding = false;
	}
	free(pending);
	run->open = true;
	join_release(s->env->joins, s->index);
	adopt_release(s->env->adopter, s->index);
	mark(s, FAILOVER_OPEN);
}

static void run_free(struct failover_server *s)
{
	struct failover_run *run = s->run;

	s->run = NULL;
	takeover_inbox_deinit(&run->inbox);
	asked_deinit(&run->asked);
	family_deinit(&run->families);
	free(run);
}

static void call_off(struct failover_server *s, int r)
{
	const struct failover_observer *o = &s->env->observer;

	if (!s->run->summary.aborted)
		s->run->summary.aborted = "system-error";
	log_event(LOG_ERROR, "failover-aborted", LOG_STR("failover", s->run->summary.id),
		  LOG_STR("server", s->cfg->name), LOG_STR("reason", s->run->summary.aborted),
		  LOG_ERR(r));
	if (s->run->fence_running)
		fence_wait(&s->run->fence);
	failover_server_release(s);
	o->done(o->ctx, s->index, &s->run->summary);
	run_free(s);
}

/* The fence took its time, and meanwhile the process was told to end. */
static int phase_still_wanted(struct failover_server *s)
{
	if (!atomic_load(s->ending))
		return 0;
	s->run->summary.aborted = "stopping";
	return -ECANCELED;
}

static int prepare(struct failover_server *s, const struct failover_cause *cause)
{
	int r = link_open(s->cfg->interface, &s->link);

	if (r == 0)
		r = phase_fence(s, cause);
	if (r == 0 && !cause->silent)
		r = phase_address_check(s);
	if (r == 0)
		r = phase_guard(s);
	if (r == 0 && cause->silent)
		r = phase_still_silent(s, cause);
	if (r == 0)
		r = phase_still_wanted(s);
	if (r == 0)
		r = phase_address(s);
	return r;
}

int failover_run_begin(struct failover_server *s, const struct failover_cause *cause)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_run *run = calloc(1, sizeof *run);

	if (!run) {
		struct failover_summary none = {.aborted = "out-of-memory"};
		failover_server_set_state(s, FAILOVER_ABORTED);
		o->done(o->ctx, s->index, &none);
		return -ENOMEM;
	}
	s->run = run;
	takeover_inbox_init(&run->inbox);
	run->summary.alive_ns = cause->alive_ns;
	snprintf(run->summary.id, sizeof run->summary.id, "%s-%lld", s->cfg->name,
		 (long long)(clock_real_ns() / NS_PER_MS));
	atomic_store(&s->first_byte_ns, 0);
	failover_server_set_state(s, FAILOVER_RUNNING);
	log_event(LOG_NOTICE, "failover-begin", LOG_STR("failover", run->summary.id),
		  LOG_STR("server", s->cfg->name), LOG_STR("reason", cause->reason));
	mark(s, FAILOVER_DETECTED);

	int r = prepare(s, cause);
	if (r < 0) {
		call_off(s, r);
		return r;
	}
	ask_workers(s);
	send_probes(s);
	mark(s, FAILOVER_PROBES);
	int64_t now = clock_mono_ns(), until = now + s->env->config->probe_timeout_ns;
	run->repeat_ns = now + PROBE_REPEAT_NS;
	run->give_up_ns = now + PROBE_GIVE_UP_NS;
	while (is_waiting(run) && clock_mono_ns() < until)
		take_items(s, until);
	mark(s, FAILOVER_SOCKETS);
	phase_open(s);
	run->first_byte_until_ns = clock_mono_ns() + FIRST_BYTE_WAIT_NS;
	failover_server_set_state(s, FAILOVER_HELD);
	return 0;
}

/* ---- afterwards ---------------------------------------------------------------------------- */

static void finish(struct failover_server *s)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_summary *sum = &s->run->summary;
	char took[FAILOVER_PHASE_COUNT_][32];

	for (uint32_t i = 0; i < s->env->worker_count; i++)
		worker_call(s->env->workers[i], call_end, &s->index);
	for (int p = 0; p < FAILOVER_PHASE_COUNT_; p++)
		snprintf(took[p], sizeof took[p], "%.3f",
			 sum->at_ns[p] ? (double)(sum->at_ns[p] - sum->alive_ns) / 1e6 : 0.0);
	log_event(LOG_NOTICE, "failover-summary", LOG_STR("failover", sum->id),
		  LOG_STR("server", s->cfg->name), LOG_INT("live", sum->live),
		  LOG_INT("continued", sum->continued), LOG_INT("refused", sum->refused),
		  LOG_INT("gone", sum->gone), LOG_INT("unanswered", sum->unanswered),
		  LOG_STR("detected_ms", took[FAILOVER_DETECTED]),
		  LOG_STR("open_ms", took[FAILOVER_OPEN]),
		  LOG_STR("first_byte_ms", took[FAILOVER_FIRST_BYTE]));
	o->done(o->ctx, s->index, sum);
	run_free(s);
}

static void step_fence(struct failover_server *s, int64_t now)
{
	const struct failover_observer *o = &s->env->observer;

	if (!s->run->fence_running)
		return;
	enum fence_outcome out = fence_poll(&s->run->fence, now);
	if (out == FENCE_RUNNING)
		return;
	s->run->fence_running = false;
	o->fenced(o->ctx, s->index, out == FENCE_OK);
	log_event(out == FENCE_OK ? LOG_INFO : LOG_ERROR,
		  out == FENCE_OK ? "fence-done" : "fence-failed", LOG_STR("server", s->cfg->name),
		  LOG_INT("status", s->run->fence.status));
}

bool failover_run_step(struct failover_server *s, int64_t now)
{
	struct failover_run *run = s->run;

	take_items(s, 0);
	step_fence(s, now);
	if (is_waiting(run) && now >= run->give_up_ns) {
		call_in_parts(s, NULL, call_collect);
		take_items(s, 0);
		refuse_lost(s);
		settle_families(s);
	} else if (run->asked.outstanding > 0 && now >= run->repeat_ns) {
		send_probes(s);
		run->repeat_ns = now + PROBE_REPEAT_NS;
	}
	int64_t first = atomic_load(&s->first_byte_ns);
	if (first && !run->summary.at_ns[FAILOVER_FIRST_BYTE]) {
		run->summary.at_ns[FAILOVER_FIRST_BYTE] = first;
		mark(s, FAILOVER_FIRST_BYTE);
	}
	bool waits_for_byte =
		run->summary.continued > 0 && !first && now < run->first_byte_until_ns;
	if (is_waiting(run) || run->fence_running || waits_for_byte)
		return false;
	finish(s);
	return true;
}

void failover_run_cancel(struct failover_server *s)
{
	if (!s->run)
		return;
	for (uint32_t i = 0; i < s->env->worker_count; i++)
		worker_call(s->env->workers[i], call_end, &s->index);
	if (s->run->fence_running)
		fence_wait(&s->run->fence);
	run_free(s);
}

void failover_server_release(struct failover_server *s)
{
	for (uint32_t i = 0; i < s->addresses_added; i++) {
		int r = address_del(s->cfg->interface, &s->cfg->addresses[i]);
		if (r < 0)
			log_event(LOG_ERROR, "address-not-removed", LOG_STR("server", s->cfg->name),
				  LOG_ERR(r));
	}
	s->addresses_added = 0;
	for (int v6 = 0; v6 < 2; v6++)
		if (s->forwarding[v6])
			guard_forwarding(s->cfg->interface, v6 ? NETADDR_V6 : NETADDR_V4, false,
					 &s->forwarding[v6]);
	s->forwarding[0] = s->forwarding[1] = false;
	refused_deinit(&s->refused);
	s->guard = guard_down(s->guard);
	s->link = link_close(s->link);
	failover_server_set_state(s, FAILOVER_ABORTED);
}

void failover_server_set_state(struct failover_server *s, enum failover_state state)
{
	const struct failover_observer *o = &s->env->observer;

	atomic_store(&s->state, (int)state);
	o->state(o->ctx, s->index, state);
}
