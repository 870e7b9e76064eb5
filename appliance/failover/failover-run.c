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
 * Nothing in it waits in line. It is a sequence of phases (enum run_phase), stepped by the failover
 * thread when time or a descriptor says so: a fence that hangs holds up this takeover
 * alone, while others go on, addresses that are held are renewed, and the end of the process is
 * obeyed at once. Sockets are built batch by batch, between which other servers have their turn.
 *
 * When the guard is open: clients that did not answer are asked again (Linux answers
 * an empty probe at most once every 500 ms), and at last restored without an answer, with
 * what is in flight taken as sent: slow for the client (its RTO), but never wrong.
 *
 * Two things take long with many connections: the probes, and the sockets. Both are pieces
 * that know nothing of each other, so the thread's pool (thread-pool.h) shares them, one batch
 * after the other; the phases, the account, the guard and what is told of it are the failover
 * thread's alone, and happen between batches, in the order in which the answers came. Workers are
 * asked for their flows in parts, because packets wait meanwhile.
 *
 * Until the address is added the server may show that it lives: nothing that was said to the box by
 * then is left unread. The health loop's probes are open that long, so no answer is too late, and
 * the workers have read their rings. A living server that is taken over is the worst that can
 * happen; so this comes before a fence, too, which would kill it.
 *
 * A takeover can be called off until the address is added. After that it goes on, one
 * connection failing alone. Whatever memory fails, each connection that was live ends as
 * continued, refused or gone: `asked` has the list.
 */
#include "failover-run.h"

#include <errno.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"

#define PROBE_REPEAT_NS    (550 * NS_PER_MS)
#define PROBE_GIVE_UP_NS   (1700 * NS_PER_MS)
#define FIRST_BYTE_WAIT_NS (1000 * NS_PER_MS)
#define ADDRESS_CHECK_NS   (50 * NS_PER_MS)
/* A frame and the answer in it are stamped by different clocks. */
#define SAME_SIGN_OF_LIFE_NS NS_PER_MS
/* How often a worker that is behind is asked: a full ring is read in so many turns. */
#define HEAR_TURNS_MAX 64

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

/* ---- fence ------------------------------------------------------------------------- */

static bool has_fence(const struct failover_server *s)
{
	return s->cfg->fence_policy != CONFIG_FENCE_NONE && s->cfg->fence_command;
}

/* Whether the fence must come first: the server has not fallen silent by itself, or the operator
 * demands it. */
static bool fence_needed(const struct failover_server *s)
{
	return s->cfg->fence_policy != CONFIG_FENCE_PARALLEL || !s->run->cause.silent;
}

static int fence_ended(struct failover_server *s, bool ok, int status, int error)
{
	const struct failover_observer *o = &s->env->observer;

	s->run->fence = fence_end(s->run->fence);
	s->run->fenced = ok;
	o->fenced(o->ctx, s->index, ok);
	log_event(ok ? LOG_INFO : LOG_ERROR, ok ? "fence-done" : "fence-failed",
		  LOG_STR("server", s->cfg->name), LOG_STR("command", s->cfg->fence_command[0]),
		  LOG_INT("status", status),
		  LOG_STR("error", ok          ? ""
				   : error < 0 ? log_strerror(error)
					       : "program failed"));
	if (ok || !fence_needed(s))
		return 0;
	s->run->summary.aborted = "fence-failed";
	return -EPERM;
}

static int start_fence(struct failover_server *s, int64_t now)
{
	const struct config_server *cfg = s->cfg;
	char address[NETADDR_STRLEN];

	if (!has_fence(s))
		return 0;
	int r = fence_start(cfg->fence_command, cfg->name,
			    netaddr_format(&cfg->addresses[0], address), s->run->cause.reason,
			    now + cfg->fence_timeout_ns, &s->run->fence);
	return r < 0 ? fence_ended(s, false, 0, r) : 0;
}

static int step_fence(struct failover_server *s, int64_t now)
{
	struct fence *f = s->run->fence;
	enum fence_outcome out = f ? fence_poll(f, now) : FENCE_RUNNING;

	return out == FENCE_RUNNING
		       ? 0
		       : fence_ended(s, out == FENCE_OK, fence_status(f), fence_error(f));
}

static void drop_fence(struct failover_server *s)
{
	if (!s->run->fence)
		return;
	s->run->fence = fence_end(s->run->fence);
	log_event(LOG_WARNING, "fence-cancelled", LOG_STR("server", s->cfg->name),
		  LOG_STR("command", s->cfg->fence_command[0]));
}

/* ---- before the address moves ------------------------------------------------------ */

/* A server that has never answered the box has no known MAC, so any MAC may be its own. */
static bool may_be_server(const struct failover_server *s, const uint8_t mac[6])
{
	const struct evidence *e = &s->env->evidence[s->index];

	return evidence_mac_known(e, mac) || atomic_load(&e->mac[0]) == 0;
}

/*
 * Checks that the server does not answer for its address, if it has not fallen silent by itself.
 * Anybody can claim an address, so only a MAC from which the server has answered counts.
 */
static int check_address(struct failover_server *s)
{
	struct link_answer a;

	while (link_receive(s->link, &a) > 0)
		for (uint32_t i = 0; i < s->cfg->address_count; i++)
			if (netaddr_eq(&a.addr, &s->cfg->addresses[i]) && may_be_server(s, a.mac)) {
				s->run->summary.aborted = "address-in-use";
				return -EADDRINUSE;
			}
	return 0;
}

/* Reads how far the worker has read its rings. */
static void heard_until(struct worker *w, void *arg)
{
	*(int64_t *)arg = worker_heard_ns(w);
}

static void hear_all(const struct failover_server *s)
{
	const int64_t now = clock_mono_ns();

	for (uint32_t i = 0; i < s->env->worker_count; i++) {
		int64_t heard = 0;
		for (int turn = 0; turn < HEAR_TURNS_MAX && heard < now; turn++)
			if (worker_ask(s->env->workers[i], heard_until, &heard, sizeof heard) < 0)
				break; /* it stands still, and reads nothing */
	}
}

static int lives(struct failover_server *s, const char *by)
{
	s->run->summary.aborted = by;
	s->run->summary.false_alarm = true;
	return -EADDRINUSE;
}

/*
 * Looks at the wire for the last time. A server that has spoken since the verdict lives, and two
 * owners of an address are worse than none. After a successful fence the server cannot speak.
 */
static int still_silent(struct failover_server *s)
{
	const struct failover_observer *o = &s->env->observer;

	if (!s->run->cause.silent || s->run->fenced)
		return 0;
	hear_all(s);
	int64_t seen =
		atomic_load_explicit(&s->env->evidence[s->index].server_ns, memory_order_relaxed);
	if (seen > s->run->cause.alive_ns + SAME_SIGN_OF_LIFE_NS)
		return lives(s, "traffic-seen");
	return o->answered(o->ctx, s->index) ? lives(s, "server-answered") : 0;
}

static int enter_fence(struct failover_server *s, int64_t now)
{
	int r = link_open(s->cfg->interface, &s->link);

	if (r == 0 && has_fence(s))
		r = still_silent(s);
	return r < 0 ? r : start_fence(s, now);
}

static void enter_check(struct failover_server *s, int64_t now)
{
	if (has_fence(s))
		mark(s, FAILOVER_FENCE);
	/* After a successful fence the server cannot answer, so an ARP answer comes from others. */
	if (s->run->cause.silent || s->run->fenced)
		return;
	failover_server_ask(s);
	s->run->until_ns = now + ADDRESS_CHECK_NS;
}

static int enter_take(struct failover_server *s)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_run *run = s->run;
	int r = failover_server_guard(s);

	if (r < 0)
		return r;
	mark(s, FAILOVER_GUARD);
	r = still_silent(s);
	if (r == 0)
		r = failover_server_take_address(s, clock_mono_ns());
	if (r < 0)
		return r;
	mark(s, FAILOVER_ADDRESS);
	failover_clients_ask(s);
	run->keys_until_ns = clock_mono_ns() + s->env->keys.patience_ns;
	if (o->taking)
		o->taking(o->ctx, s->index, run->summary.id, &run->cause);
	while (!list_empty(&run->items)) /* they have spoken already, and are not asked */
		failover_clients_settle(s);
	failover_clients_probe(s);
	mark(s, FAILOVER_PROBES);
	return 0;
}

/* ---- afterwards -------------------------------------------------------------------- */

static void enter_sockets(struct failover_server *s)
{
	struct failover_run *run = s->run;
	int64_t now = clock_mono_ns(); /* sending many probes takes time */

	run->until_ns = now + s->env->config->probe_timeout_ns;
	run->repeat_ns = now + PROBE_REPEAT_NS;
	run->give_up_ns = now + PROBE_GIVE_UP_NS;
}

/*
 * Collects the clients that are not restored yet. The kernel would refuse their packets, so the
 * guard drops these.
 */
static uint32_t collect_pending(struct failover_server *s, struct guard_flow *pending, uint32_t max)
{
	const struct probed_table *t = &s->run->probed;
	uint32_t n = probed_hold(&s->run->probed, pending, max);

	if (n < t->outstanding)
		log_event(LOG_WARNING, "clients-not-held-back", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", t->outstanding - n), LOG_INT("held_back", n));
	return n;
}

/* They are still restored, unless they speak before. */
static int open_without_pending(struct failover_server *s, uint32_t n, int error)
{
	(void)probed_hold(&s->run->probed, NULL, 0);
	log_event(LOG_ERROR, "clients-not-held-back", LOG_STR("server", s->cfg->name),
		  LOG_INT("connections", n), LOG_INT("held_back", 0), LOG_ERR(error));
	return guard_open(s->guard, NULL, 0);
}

static void open_guard(struct failover_server *s)
{
	struct failover_run *run = s->run;
	uint32_t max = run->probed.outstanding < GUARD_FLOWS_MAX ? run->probed.outstanding
								 : GUARD_FLOWS_MAX;
	struct guard_flow *pending = calloc(max + 1, sizeof *pending);
	uint32_t n = pending ? collect_pending(s, pending, max) : 0;
	int r = pending ? guard_open(s->guard, pending, n) : -ENOMEM;

	if (r < 0 && (n > 0 || !pending))
		r = open_without_pending(s, run->probed.outstanding, r);
	if (r < 0) {
		/* An open guard is better than one closed for ever. Without our table the
		 * sockets still work; only new connections do not reach the backup. */
		log_event(LOG_ERROR, "guard-open-failed", LOG_STR("server", s->cfg->name),
			  LOG_ERR(r));
		s->guard = guard_down(s->guard);
	}
	free(pending);
	run->open = true;
	join_release(s->env->joins, s->index);
	adopt_release(s->env->adopter, s->index);
	mark(s, FAILOVER_OPEN);
}

static void enter_open(struct failover_server *s)
{
	mark(s, FAILOVER_SOCKETS);
	open_guard(s);
	s->run->first_byte_until_ns = clock_mono_ns() + FIRST_BYTE_WAIT_NS;
	failover_server_set_state(s, FAILOVER_HELD);
}

static void finish(struct failover_server *s)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_summary *sum = &s->run->summary;
	const uint32_t *n = sum->account.n;
	char took[FAILOVER_PHASE_COUNT_][32], refused[ACCOUNT_WHY_STRLEN],
		aborted[ACCOUNT_WHY_STRLEN];

	failover_clients_end(s);
	/* Each of them is reset only once, even if that RST is lost. */
	if (s->run->not_remembered > 0)
		log_event(LOG_WARNING, "refused-not-remembered", LOG_STR("server", s->cfg->name),
			  LOG_INT("connections", s->run->not_remembered),
			  LOG_ERR(s->run->not_remembered_error));
	account_get(&s->account, &sum->account);
	for (int p = 0; p < FAILOVER_PHASE_COUNT_; p++)
		snprintf(took[p], sizeof took[p], "%.3f",
			 sum->at_ns[p] ? (double)(sum->at_ns[p] - sum->alive_ns) / 1e6 : 0.0);
	log_event(LOG_NOTICE, "failover-summary", LOG_STR("failover", sum->id),
		  LOG_STR("server", s->cfg->name), LOG_INT("live", sum->live),
		  LOG_INT("continuing", n[FATE_CONTINUING]),
		  LOG_INT("continued", n[FATE_CONTINUED]), LOG_INT("refused", n[FATE_REFUSED]),
		  LOG_INT("aborted", n[FATE_ABORTED]), LOG_INT("gone", n[FATE_GONE]),
		  LOG_INT("unanswered", sum->unanswered),
		  LOG_STR("refused_because", account_why(&sum->account.refused, refused)),
		  LOG_STR("aborted_because", account_why(&sum->account.aborted, aborted)),
		  LOG_STR("detected_ms", took[FAILOVER_DETECTED]),
		  LOG_STR("open_ms", took[FAILOVER_OPEN]),
		  LOG_STR("first_byte_ms", took[FAILOVER_FIRST_BYTE]));
	o->done(o->ctx, s->index, sum);
	s->last = *sum;
	s->unsettled = true;
}

/* Returns static text. */
static const char *word_of(int error)
{
	switch (error) {
	case -ENOMEM:
	case -ENOBUFS:
		return "out-of-memory";
	case -EMFILE:
	case -ENFILE:
		return "descriptor-limit";
	case -ENODEV:
	case -ENXIO:
		return "no-interface";
	default:
		return "system-error";
	}
}

static void call_off(struct failover_server *s)
{
	struct failover_run *run = s->run;
	const struct failover_observer *o = &s->env->observer;

	if (!run->summary.aborted)
		run->summary.aborted = word_of(run->error);
	if (run->summary.false_alarm)
		log_event(LOG_WARNING, "false-alarm", LOG_STR("failover", run->summary.id),
			  LOG_STR("server", s->cfg->name), LOG_STR("reason", run->summary.aborted),
			  LOG_STR("detail", "the server lives: no takeover"));
	else
		log_event(LOG_ERROR, "failover-aborted", LOG_STR("failover", run->summary.id),
			  LOG_STR("server", s->cfg->name), LOG_STR("reason", run->summary.aborted),
			  LOG_ERR(run->error));
	drop_fence(s);
	failover_server_release(s);
	o->done(o->ctx, s->index, &run->summary);
}

/* ---- phases ------------------------------------------------------------------------ */

static void run_set_phase(struct failover_server *s, enum run_phase phase, int64_t now)
{
	int r = 0;

	s->run->phase = phase;
	switch (phase) {
	case RUN_FENCE:
		r = enter_fence(s, now);
		break;
	case RUN_CHECK:
		enter_check(s, now);
		break;
	case RUN_TAKE:
		r = enter_take(s);
		break;
	case RUN_SOCKETS:
		enter_sockets(s);
		break;
	case RUN_OPEN:
		enter_open(s);
		break;
	case RUN_OVER:
		finish(s);
		break;
	case RUN_CALLED_OFF:
		call_off(s);
		break;
	}
	if (r < 0) {
		s->run->error = r;
		run_set_phase(s, RUN_CALLED_OFF, now);
	}
}

static enum run_phase failed(struct failover_run *run, int r)
{
	run->error = r;
	return RUN_CALLED_OFF;
}

static enum run_phase step_fencing(struct failover_server *s, int64_t now)
{
	int r = step_fence(s, now);

	if (r < 0)
		return failed(s->run, r);
	return s->run->fence && fence_needed(s) ? RUN_FENCE : RUN_CHECK;
}

static enum run_phase step_check(struct failover_server *s, int64_t now)
{
	if (s->run->cause.silent)
		return RUN_TAKE;
	int r = check_address(s);
	if (r < 0)
		return failed(s->run, r);
	return now < s->run->until_ns ? RUN_CHECK : RUN_TAKE;
}

static enum run_phase step_sockets(struct failover_server *s, int64_t now)
{
	bool more = failover_clients_settle(s);

	/* Whoever waits for keys does so behind the open guard. */
	if (failover_clients_waiting(s->run) &&
	    (more || (failover_clients_silent(s->run) && now < s->run->until_ns)))
		return RUN_SOCKETS;
	return RUN_OPEN;
}

static void note_first_byte(struct failover_server *s)
{
	struct failover_summary *sum = &s->run->summary;
	int64_t first = atomic_load(&s->first_byte_ns);

	if (!first || sum->at_ns[FAILOVER_FIRST_BYTE])
		return;
	sum->at_ns[FAILOVER_FIRST_BYTE] = first;
	mark(s, FAILOVER_FIRST_BYTE);
}

static bool waits_for_keys(const struct failover_run *run)
{
	return run->awaiting_n + run->unsealing_n > 0;
}

/* Counts the rounds of probes without an answer. */
static void step_unanswered(struct failover_server *s, int64_t now)
{
	struct failover_run *run = s->run;

	if (run->collected) {
		if (!waits_for_keys(run))
			failover_clients_give_up(s);
	} else if (now >= run->give_up_ns) {
		run->collected = true;
		failover_clients_collect(s);
	} else if (now >= run->repeat_ns) {
		failover_clients_probe(s);
		run->repeat_ns = now + PROBE_REPEAT_NS;
	}
}

static bool waits_for_byte(const struct failover_run *run, int64_t now)
{
	return run->restored && !run->summary.at_ns[FAILOVER_FIRST_BYTE] &&
	       now < run->first_byte_until_ns;
}

/* Whether nothing is waited for any more. */
static bool may_finish(const struct failover_run *run, int64_t now)
{
	return list_empty(&run->items) && !failover_clients_waiting(run) && !run->fence &&
	       !waits_for_byte(run, now);
}

static enum run_phase step_open(struct failover_server *s, int64_t now)
{
	struct failover_run *run = s->run;
	bool more = failover_clients_settle(s);

	(void)step_fence(s, now); /* meanwhile: its outcome is logged and changes nothing */
	if (!more && failover_clients_waiting(run))
		step_unanswered(s, now);
	note_first_byte(s);
	return may_finish(run, now) ? RUN_OVER : RUN_OPEN;
}

static enum run_phase step_phase(struct failover_server *s, int64_t now)
{
	switch (s->run->phase) {
	case RUN_FENCE:
		return step_fencing(s, now);
	case RUN_CHECK:
		return step_check(s, now);
	case RUN_TAKE:
		return RUN_SOCKETS;
	case RUN_SOCKETS:
		return step_sockets(s, now);
	case RUN_OPEN:
		return step_open(s, now);
	case RUN_OVER:
	case RUN_CALLED_OFF:
		break;
	}
	return s->run->phase;
}

static void run_free(struct failover_server *s, struct failover_run *run)
{
	list_move_all(&run->items, &run->awaiting);
	mailbox_take(&run->inbox, &run->items);
	list_for_each_safe (it, tmp, &run->items) {
		struct takeover_item *item = list_entry(it, struct takeover_item, node);
		list_del(it);
		failover_connection_give_back(s, item);
		takeover_item_free(item);
	}
	takeover_inbox_deinit(&run->inbox);
	probed_deinit(&run->probed);
	family_deinit(&run->families);
	free(run);
}

static void put_away(struct failover_server *s)
{
	struct failover_run *run = s->run;

	unseal_drop(s->unseal, run, &run->items);
	s->run = NULL;
	if (!s->ends_owed && !unseal_is_at_work(s->unseal, run)) {
		run_free(s, run);
		return;
	}
	run->next_left = s->left;
	s->left = run;
}

bool failover_run_free_left(struct failover_server *s)
{
	struct failover_run **next = &s->left;

	if (s->ends_owed && failover_clients_end_owed(s))
		return false;
	while (*next) {
		struct failover_run *run = *next;
		if (unseal_is_at_work(s->unseal, run)) {
			next = &run->next_left;
			continue;
		}
		*next = run->next_left;
		run_free(s, run);
	}
	return !s->left;
}

bool failover_run_step(struct failover_server *s, int64_t now)
{
	enum run_phase next;

	while ((next = step_phase(s, now)) != s->run->phase)
		run_set_phase(s, next, now);
	if (next != RUN_OVER && next != RUN_CALLED_OFF)
		return false;
	put_away(s);
	return true;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

int64_t failover_run_due_ns(const struct failover_server *s, int64_t now)
{
	const struct failover_run *run = s->run;
	int64_t due = INT64_MAX;

	if (run->fence)
		due = fence_due_ns(run->fence);
	if (!list_empty(&run->items) || (run->collected && !waits_for_keys(run)))
		return now;
	if (!list_empty(&run->awaiting))
		due = earlier(due, run->keys_until_ns);
	if (run->phase == RUN_CHECK || run->phase == RUN_SOCKETS)
		due = earlier(due, run->until_ns);
	if (run->phase != RUN_OPEN)
		return due;
	if (failover_clients_waiting(run) && !run->collected)
		due = earlier(due, earlier(run->repeat_ns, run->give_up_ns));
	return waits_for_byte(run, now) ? earlier(due, run->first_byte_until_ns) : due;
}

int failover_run_fd(const struct failover_server *s)
{
	if (s->run->phase == RUN_CHECK)
		return link_fd(s->link);
	return s->run->fence ? fence_fd(s->run->fence) : -1;
}

void failover_run_begin(struct failover_server *s, const struct failover_cause *cause, int64_t now)
{
	const struct failover_observer *o = &s->env->observer;
	struct failover_run *run = calloc(1, sizeof *run);

	if (!run) {
		struct failover_summary none = {.aborted = "out-of-memory"};
		failover_server_set_state(s, FAILOVER_ABORTED);
		log_event(LOG_ERROR, "failover-aborted", LOG_STR("server", s->cfg->name),
			  LOG_STR("reason", none.aborted), LOG_ERR(-ENOMEM));
		o->done(o->ctx, s->index, &none);
		return;
	}
	s->run = run;
	run->server = s;
	run->cause = *cause;
	list_init(&run->items);
	list_init(&run->awaiting);
	mailbox_init_shared(&run->inbox, s->bell);
	run->summary.alive_ns = cause->alive_ns;
	snprintf(run->summary.id, sizeof run->summary.id, "%s-%lld", s->cfg->name,
		 (long long)(clock_real_ns() / NS_PER_MS));
	atomic_store(&s->first_byte_ns, 0);
	account_begin(&s->account);
	failover_server_set_state(s, FAILOVER_RUNNING);
	log_event(LOG_NOTICE, "failover-begin", LOG_STR("failover", run->summary.id),
		  LOG_STR("server", s->cfg->name), LOG_STR("reason", cause->reason));
	mark(s, FAILOVER_DETECTED);
	run_set_phase(s, RUN_FENCE, now);
}

void failover_run_cancel(struct failover_server *s)
{
	if (!s->run)
		return;
	if (s->run->phase < RUN_TAKE) {
		s->run->summary.aborted = "stopping";
		s->run->error = -ECANCELED;
		run_set_phase(s, RUN_CALLED_OFF, clock_mono_ns());
	} else {
		failover_clients_end(s);
		drop_fence(s);
	}
	put_away(s);
}
