/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The clients of a dead server: asked, heard, and settled batch by batch. The order is told in
 * failover-run.c.
 */
#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "failover-run.h"
#include "base/log.h"

struct probing {
	struct failover_server *s;
	int64_t now_ns;
	_Atomic int failed; /* negative errno of a probe that was not sent */
};

static void send_probe(void *ctx, uint32_t i)
{
	struct probing *p = ctx;
	const struct probed *a = &p->s->run->probed.entry[i];
	uint8_t frame[PROBE_FRAME_MAX];

	if (a->done)
		return;
	size_t n = probe_build(&a->snapshot, link_mac(p->s->link), p->now_ns, frame);
	int r = link_send(p->s->link, bytes_of(frame, n));
	if (r < 0)
		atomic_store_explicit(&p->failed, r, memory_order_relaxed);
}

void failover_clients_probe(struct failover_server *s)
{
	struct probing p = {.s = s, .now_ns = clock_mono_ns()};

	thread_pool_run(s->pool, send_probe, &p, s->run->probed.count);
	int failed = atomic_load_explicit(&p.failed, memory_order_relaxed);
	if (failed)
		log_event(LOG_WARNING, "probe-not-sent", LOG_STR("server", s->cfg->name),
			  LOG_ERR(failed));
}

bool failover_clients_waiting(const struct failover_run *run)
{
	return run->probed.outstanding > 0 || run->unprobed > 0;
}

bool failover_clients_silent(const struct failover_run *run)
{
	return run->probed.outstanding + run->unprobed > run->awaiting_n + run->unsealing_n;
}

static void work_on(void *ctx, uint32_t i)
{
	struct failover_server *s = ctx;

	failover_connection_work(s, s->run->batch[i]);
}

/*
 * Admits all clients, including those of refused connections: without a socket the kernel refuses
 * them.
 */
static void admit_all(struct failover_server *s)
{
	if (s->run->admitted_count > 0)
		failover_connection_admit(s, s->run->admitted, s->run->admitted_count);
	s->run->admitted_count = 0;
}

static void admit(struct failover_server *s, const struct takeover_item *item)
{
	struct failover_run *run = s->run;

	if (!item->result.pending)
		return;
	run->admitted[run->admitted_count++] = (struct guard_flow){item->server, item->client};
	if (run->admitted_count == FAILOVER_BATCH)
		admit_all(s);
}

static void settle_batch(struct failover_server *s, uint32_t count)
{
	struct failover_run *run = s->run;

	thread_pool_run(s->pool, work_on, s, count);
	for (uint32_t i = 0; i < count; i++) {
		struct takeover_item *item = run->batch[i];
		failover_connection_account(s, item);
		admit(s, item);
		list_for_each (it, &item->others)
			admit(s, list_entry(it, struct takeover_item, node));
		failover_connection_give_back(s, item);
		takeover_item_free(item);
	}
	admit_all(s);
}

/* Returns the item to be settled now; NULL: @item waits for its family. */
static struct takeover_item *note_item(struct failover_run *run, struct takeover_item *item)
{
	const struct probed *probed = probed_done(&run->probed, item);

	const bool refused_unprobed = item->kind == TAKEOVER_READY && item->taken.unprobed;

	run->summary.live += refused_unprobed;
	if (!probed && !refused_unprobed && item->kind != TAKEOVER_ENDED && run->unprobed > 0)
		run->unprobed--;
	item->result.pending = probed && probed->held;
	return family_add(&run->families, item);
}

/*
 * Settles families that will not be complete: a worker had no memory, or the main connection ended
 * after it had said what it expects and before its worker was asked about it.
 */
static void settle_families(struct failover_server *s)
{
	while ((s->run->batch[0] = family_give_up(&s->run->families)))
		settle_batch(s, 1);
}

static bool awaits_keys(struct failover_server *s, const struct takeover_item *item)
{
	const struct failover_keys *k = &s->env->keys;

	return k->lend && clock_mono_ns() < s->run->keys_until_ns &&
	       !k->decided(k->ctx, &item->server, &item->client);
}

/* Those whose keys have come, or do not come in time, are items like the others. */
static void end_waiting(struct failover_server *s)
{
	struct failover_run *run = s->run;

	if (!atomic_exchange(&s->keys_decided, false) && clock_mono_ns() < run->keys_until_ns)
		return;
	list_move_all(&run->items, &run->awaiting);
	run->awaiting_n = 0;
}

/* Whether the item is to be settled now, or is somebody else's. */
static bool is_unsealed(struct failover_server *s, struct takeover_item *item)
{
	struct failover_run *run = s->run;

	if (item->result.unsealing) {
		item->result.unsealing = false;
		run->unsealing_n--;
		return true;
	}
	if (!takeover_wants_keys(item))
		return true;
	if (awaits_keys(s, item)) {
		list_add_tail(&run->awaiting, &item->node);
		run->awaiting_n++;
		return false;
	}
	item->result.unsealing = true;
	run->unsealing_n++;
	unseal_post(s->unseal, run, item);
	return false;
}

bool failover_clients_settle(struct failover_server *s)
{
	struct failover_run *run = s->run;
	uint32_t n = 0;

	end_waiting(s);

	if (list_empty(&run->items))
		mailbox_take(&run->inbox, &run->items);
	list_for_each_safe (it, tmp, &run->items) {
		if (n == FAILOVER_BATCH)
			break;
		list_del(it);
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		if (!is_unsealed(s, item))
			continue;
		item = note_item(run, item);
		if (item)
			run->batch[n++] = item;
	}
	settle_batch(s, n);
	if (!list_empty(&run->items))
		return true;
	if (!failover_clients_waiting(run))
		settle_families(s); /* no more items will come */
	return false;
}

struct takeover_call {
	uint32_t server;
	struct related_list *expected;
	struct mailbox *inbox;
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

static void call_end(struct worker *w, void *arg)
{
	worker_takeover_end(w, *(const uint32_t *)arg);
}

/* Ends what the worker does for an earlier takeover. Then that takeover's inbox can be freed. */
static int end_worker(struct failover_server *s, uint32_t worker)
{
	uint32_t index = s->index;
	int r = worker_ask(s->env->workers[worker], call_end, &index, sizeof index);

	if (r < 0)
		s->ends_owed |= UINT64_C(1) << worker;
	else
		s->ends_owed &= ~(UINT64_C(1) << worker);
	return r;
}

/*
 * Asks a worker about its flows in parts, so that it handles packets in between. Returns as
 * worker_ask().
 */
static int ask_in_parts(struct failover_server *s, uint32_t worker, struct takeover_call *io,
			void (*fn)(struct worker *w, void *arg))
{
	int r = s->ends_owed & UINT64_C(1) << worker ? end_worker(s, worker) : 0;

	io->from = 0;
	if (r < 0)
		return -ETIMEDOUT; /* @fn was not called */
	do
		r = worker_ask(s->env->workers[worker], fn, io, sizeof *io);
	while (r == 0 && io->from > 0);
	if (r < 0)
		s->ends_owed |= UINT64_C(1) << worker;
	return r;
}

/*
 * Collects what the flows of all workers expect. What a worker that stands still knows is missing.
 * NULL: no memory.
 */
static struct related_list *collect_expected(struct failover_server *s)
{
	struct takeover_call c = {.server = s->index, .expected = calloc(1, sizeof *c.expected)};

	for (uint32_t i = 0; c.expected && i < s->env->worker_count; i++)
		if (ask_in_parts(s, i, &c, call_expected) == -EINPROGRESS)
			/* The old list is left to the worker. */
			c.expected = calloc(1, sizeof *c.expected);
	if (c.error || !c.expected)
		log_event(LOG_ERROR, "related-not-collected", LOG_STR("server", s->cfg->name),
			  LOG_ERR(-ENOMEM));
	return c.expected;
}

static uint64_t live_of(const struct failover_server *s, uint32_t worker)
{
	return atomic_load(&worker_counters(s->env->workers[worker])->live);
}

/* Makes the workers fill the inbox. The connections of a worker that stands still are lost. */
static void begin_workers(struct failover_server *s)
{
	static struct related_list none; /* never written */
	struct related_list *expected = collect_expected(s);
	struct takeover_call c = {.server = s->index,
				  .expected = expected ? expected : &none,
				  .inbox = &s->run->inbox};
	bool mine = expected;

	for (uint32_t i = 0; i < s->env->worker_count; i++) {
		int r = ask_in_parts(s, i, &c, call_begin);
		if (r == -EINPROGRESS)
			mine = false; /* the worker reads the list */
		if (r < 0)
			log_event(LOG_ERROR, "worker-lost", LOG_STR("server", s->cfg->name),
				  LOG_INT("worker", i), LOG_INT("connections", live_of(s, i)),
				  LOG_ERR(r));
	}
	if (mine) {
		related_list_deinit(expected);
		free(expected);
	}
}

void failover_clients_ask(struct failover_server *s)
{
	struct failover_run *run = s->run;
	struct list items;

	begin_workers(s);
	/* The inbox has everybody who must be asked. Some may have answered already. */
	list_init(&items);
	mailbox_take(&run->inbox, &items);
	list_for_each_safe (it, tmp, &items) {
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		list_del(it);
		/* Without memory it is settled alone, and the main connection's module is not
		 * told of it. */
		if (item->main.known &&
		    (item->kind == TAKEOVER_PROBE || item->kind == TAKEOVER_ENDED))
			(void)family_expect(&run->families, item);
		if (item->kind != TAKEOVER_PROBE) {
			list_add_tail(&run->items, it);
			continue;
		}
		run->unprobed += probed_add(&run->probed, item) < 0;
		takeover_item_free(item);
	}
	run->summary.live = run->probed.count + run->unprobed;
	if (run->unprobed > 0)
		log_event(LOG_ERROR, "clients-not-asked", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", run->unprobed), LOG_ERR(-ENOMEM));
	if (probed_index(&run->probed) < 0)
		log_event(LOG_WARNING, "takeover-slow", LOG_STR("server", s->cfg->name),
			  LOG_ERR(-ENOMEM));
	family_sort(&run->families);
}

/*
 * Refuses connections that no worker has handed over: it had no memory for the item, or it stands
 * still. Only what was known when the client was asked is used.
 */
static void refuse_lost(struct failover_server *s)
{
	struct failover_run *run = s->run;
	const char *why = s->ends_owed ? "worker-stands-still" : "out-of-memory";
	uint32_t lost = 0;

	for (uint32_t i = 0; i < run->probed.count; i++) {
		struct probed *a = &run->probed.entry[i];
		struct takeover_item item;

		struct guard_flow flow = {a->snapshot.server, a->snapshot.client};
		if (a->done)
			continue;
		a->done = true;
		lost++;
		takeover_refuse_lost(&item, &a->snapshot, a->service, why);
		failover_connection_work(s, &item);
		failover_connection_account(s, &item);
		if (a->held)
			failover_connection_admit(s, &flow, 1);
	}
	lost += run->unprobed;
	/* They have no socket, so the kernel refuses them. Their service is not known. */
	account_add(&s->account, FATE_REFUSED, why, run->unprobed);
	if (run->unprobed > 0)
		s->env->observer.settled(s->env->observer.ctx, s->index,
					 s->cfg->services[0].protocol, FATE_REFUSED, run->unprobed);
	run->probed.outstanding = run->unprobed = 0;
	if (lost > 0)
		log_event(LOG_ERROR, "connections-lost", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", lost), LOG_STR("reason", why));
}

void failover_clients_collect(struct failover_server *s)
{
	struct takeover_call c = {.server = s->index, .inbox = &s->run->inbox};

	for (uint32_t i = 0; i < s->env->worker_count; i++)
		(void)ask_in_parts(s, i, &c, call_collect); /* missing connections are lost */
}

void failover_clients_give_up(struct failover_server *s)
{
	refuse_lost(s);
	settle_families(s);
}

void failover_clients_end(struct failover_server *s)
{
	for (uint32_t i = 0; i < s->env->worker_count; i++)
		(void)end_worker(s, i);
}

bool failover_clients_end_owed(struct failover_server *s)
{
	for (uint32_t i = 0; i < s->env->worker_count; i++)
		if (s->ends_owed & UINT64_C(1) << i)
			(void)end_worker(s, i);
	return s->ends_owed != 0;
}
