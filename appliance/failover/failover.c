/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "failover.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mailbox.h"
#include "base/thread.h"
#include "failover-run.h"
#include "fence.h"

/*
 * Ceiling of threads that restore; there is one for each core. More would only wait for the
 * kernel's locks.
 */
#define CREW_LIMIT      8
#define CONFLICT_LOG_NS NS_PER_S
/* The end of the process does not wait longer for fences that cannot be started or buried. */
#define FENCES_SETTLE_NS NS_PER_S

/*
 * The pauses between announcements. First a burst, for switches and hosts that missed one; then a
 * refresh as long as the address is held.
 */
static const int64_t announce_pause_ns[] = {
	50 * NS_PER_MS,  50 * NS_PER_MS,   100 * NS_PER_MS,   200 * NS_PER_MS,
	600 * NS_PER_MS, 4000 * NS_PER_MS, 60000 * NS_PER_MS,
};
#define ANNOUNCE_STEPS (sizeof announce_pause_ns / sizeof announce_pause_ns[0])

struct request {
	struct list node;
	uint32_t server;
	struct failover_cause cause;
};

struct failover {
	struct failover_config cfg;
	struct failover_server *server;
	struct thread_pool *pool;
	struct unseal *unseal;
	struct pollfd *waits; /* the bell, then one for each server */
	pthread_t thread;
	bool started;
	struct mailbox mail;  /* requests; its bell rings for anything there is to do */
	struct list requests; /* taken from the mailbox */
};

const char *failover_state_name(enum failover_state s)
{
	static const char *const name[] = {
		[FAILOVER_NONE] = "watching",       [FAILOVER_WAITING] = "takeover-waiting",
		[FAILOVER_RUNNING] = "taking-over", [FAILOVER_HELD] = "taken-over",
		[FAILOVER_ABORTED] = "aborted",
	};
	_Static_assert(sizeof name / sizeof name[0] == FAILOVER_STATE_COUNT_, "a name for each");
	return name[s];
}

/* ---- keeping what was taken ---------------------------------------------------------------- */

static void announce(struct failover_server *s, int64_t now)
{
	if (now < s->announce_ns)
		return;
	size_t step = s->announced < ANNOUNCE_STEPS ? s->announced : ANNOUNCE_STEPS - 1;
	s->announced++;
	s->announce_ns = now + announce_pause_ns[step];
	for (uint32_t i = 0; i < s->addresses_added; i++)
		link_announce(s->link, &s->cfg->addresses[i]);
}

static void renew(struct failover_server *s, int64_t now)
{
	if (now < s->renew_ns)
		return;
	s->renew_ns = now + ADDRESS_RENEW_S * NS_PER_S;
	/* An old server that has come back may keep quiet. It is heard only when it is asked. */
	failover_server_ask(s);
	for (uint32_t i = 0; i < s->addresses_added; i++) {
		int r = address_add(s->cfg->interface, &s->cfg->addresses[i]);
		if (r < 0) {
			log_event(LOG_ERROR, "address-not-renewed", LOG_STR("server", s->cfg->name),
				  LOG_ERR(r));
			s->renew_ns = now + NS_PER_S;
		}
	}
}

/* Watches for others that claim our address: an old server that came back unfenced. */
static void watch_conflicts(struct failover_server *s, int64_t now)
{
	const struct failover_observer *o = &s->env->observer;
	struct link_answer a;
	bool conflict = false;

	while (link_receive(s->link, &a) > 0)
		for (uint32_t i = 0; i < s->addresses_added; i++)
			if (netaddr_eq(&a.addr, &s->cfg->addresses[i]) &&
			    memcmp(a.mac, link_mac(s->link), sizeof a.mac) != 0)
				conflict = true;
	if (!conflict || now - s->conflict_logged_ns < CONFLICT_LOG_NS)
		return;
	s->conflict_logged_ns = now;
	log_event(LOG_ERROR, "address-conflict", LOG_STR("server", s->cfg->name),
		  LOG_STR("detail", "another host answers for a taken address: fence it"));
	o->address_conflict(o->ctx, s->index);
	s->announce_ns = now; /* announce again at once */
}

static void keep(struct failover_server *s, int64_t now)
{
	if (s->addresses_added > 0) {
		announce(s, now);
		renew(s, now);
		watch_conflicts(s, now);
		failover_connection_ask_refused(s, now);
	}
	if (s->run)
		failover_run_step(s, now);
	failover_server_tell_settled(s);
	if (!s->run)
		(void)failover_run_free_left(s);
}

/* ---- thread --------------------------------------------------------------------------------- */

static struct request *next_request(struct failover *f)
{
	if (list_empty(&f->requests))
		mailbox_take(&f->mail, &f->requests);
	if (list_empty(&f->requests))
		return NULL;
	struct request *rq = list_entry(f->requests.next, struct request, node);
	list_del(&rq->node);
	return rq;
}

static int64_t earlier(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int wait_ms(const struct failover *f, int64_t now)
{
	int64_t next = now + NS_PER_S;

	for (uint32_t i = 0; i < f->cfg.config->server_count; i++) {
		const struct failover_server *s = &f->server[i];
		if (s->run)
			next = earlier(next, failover_run_due_ns(s, now));
		if (s->addresses_added)
			next = earlier(next, earlier(s->announce_ns, refused_due_ns(&s->refused)));
	}
	return next > now ? (int)((next - now) / NS_PER_MS) + 1 : 0;
}

static void wait_for_work(struct failover *f)
{
	const uint32_t n = f->cfg.config->server_count;

	f->waits[0] = (struct pollfd){.fd = f->mail.bell, .events = POLLIN};
	for (uint32_t i = 0; i < n; i++)
		f->waits[i + 1] = (struct pollfd){
			.fd = f->server[i].run ? failover_run_fd(&f->server[i]) : -1,
			.events = POLLIN};
	poll(f->waits, n + 1, wait_ms(f, clock_mono_ns()));
	bell_silence(f->mail.bell);
}

static void *failover_main(void *arg)
{
	struct failover *f = arg;
	struct request *rq;

	while (!mailbox_closed(&f->mail)) {
		wait_for_work(f);
		while (!mailbox_closed(&f->mail) && (rq = next_request(f))) {
			int64_t now = clock_mono_ns();
			failover_run_begin(&f->server[rq->server], &rq->cause, now);
			keep(&f->server[rq->server],
			     now); /* a takeover that was called off may be asked for again */
			free(rq);
		}
		for (uint32_t i = 0; i < f->cfg.config->server_count && !mailbox_closed(&f->mail);
		     i++)
			keep(&f->server[i], clock_mono_ns());
	}
	return NULL;
}

int failover_request(struct failover *f, uint32_t server, const struct failover_cause *cause)
{
	struct request *rq = calloc(1, sizeof *rq);
	int expect_none = FAILOVER_NONE, expect_aborted = FAILOVER_ABORTED;
	_Atomic int *state = &f->server[server].state;

	if (!rq)
		return -ENOMEM;
	/* The verdict and the operator may ask at once. Whoever changes the state has the
	 * takeover. */
	if (!atomic_compare_exchange_strong(state, &expect_none, FAILOVER_WAITING) &&
	    !atomic_compare_exchange_strong(state, &expect_aborted, FAILOVER_WAITING)) {
		free(rq);
		return -EALREADY;
	}
	rq->server = server;
	rq->cause = *cause;
	mailbox_post(&f->mail, &rq->node);
	return 0;
}

enum failover_state failover_state(const struct failover *f, uint32_t server)
{
	return (enum failover_state)atomic_load(&f->server[server].state);
}

bool failover_is_on(enum failover_state s)
{
	return s == FAILOVER_WAITING || s == FAILOVER_RUNNING || s == FAILOVER_HELD;
}

void failover_account(struct failover *f, uint32_t server, struct account_numbers *ret)
{
	account_get(&f->server[server].account, ret);
}

void failover_keys_decided(struct failover *f, uint32_t server)
{
	atomic_store(&f->server[server].keys_decided, true);
	bell_ring(f->mail.bell);
}

uint32_t failover_held_count(const struct failover *f)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < f->cfg.config->server_count; i++)
		n += failover_is_on(failover_state(f, i));
	return n;
}

int failover_start(const struct failover_config *cfg, struct failover **ret)
{
	struct failover *f = calloc(1, sizeof *f);
	int r;

	if (!f)
		return -ENOMEM;
	f->cfg = *cfg;
	list_init(&f->requests);
	int opened = mailbox_init(&f->mail);
	f->server = calloc(cfg->config->server_count, sizeof *f->server);
	f->waits = calloc(cfg->config->server_count + 1, sizeof *f->waits);
	r = opened < 0 ? opened : f->server && f->waits ? 0 : -ENOMEM;
	if (r == 0)
		r = thread_pool_new(thread_pool_size(CREW_LIMIT), &f->pool);
	if (r == 0)
		r = unseal_new(thread_pool_size(CREW_LIMIT) + 1, failover_connection_unseal,
			       &f->unseal);
	for (uint32_t i = 0; r == 0 && i < cfg->config->server_count; i++) {
		f->server[i].env = &f->cfg;
		f->server[i].cfg = &cfg->config->servers[i];
		f->server[i].bell = f->mail.bell;
		f->server[i].pool = f->pool;
		f->server[i].unseal = f->unseal;
		f->server[i].index = i;
		account_init(&f->server[i].account);
	}
	if (r == 0) {
		r = thread_start(&f->thread, failover_main, f);
		f->started = r == 0;
	}
	if (r < 0) {
		failover_free(f);
		return r;
	}
	*ret = f;
	return 0;
}

void failover_halt(struct failover *f)
{
	if (!f || !f->started)
		return;
	mailbox_close(&f->mail);
	pthread_join(f->thread, NULL);
	f->started = false;
	for (uint32_t i = 0; i < f->cfg.config->server_count; i++)
		failover_run_cancel(&f->server[i]);
}

struct failover *failover_free(struct failover *f)
{
	if (!f)
		return NULL;
	failover_halt(f);
	for (uint32_t i = 0; f->server && i < f->cfg.config->server_count; i++)
		if (failover_state(f, i) != FAILOVER_NONE)
			failover_server_release(&f->server[i]);
	if (!unseal_free(f->unseal))
		return NULL; /* a module reads what would be freed */
	f->unseal = NULL;
	for (uint32_t i = 0; f->server && i < f->cfg.config->server_count; i++)
		f->server[i].unseal = NULL;
	for (uint32_t i = 0; f->server && i < f->cfg.config->server_count; i++)
		if (!failover_run_free_left(&f->server[i]))
			return NULL; /* it may still ring the bell */
	fences_settle(FENCES_SETTLE_NS);
	mailbox_take(&f->mail, &f->requests);
	list_for_each_safe (it, tmp, &f->requests) {
		list_del(it);
		free(list_entry(it, struct request, node));
	}
	mailbox_deinit(&f->mail);
	thread_pool_free(f->pool);
	free(f->waits);
	free(f->server);
	free(f);
	return NULL;
}

static int try_repair(void)
{
	int on = 1;
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (fd < 0)
		return -errno;
	return setsockopt(fd, IPPROTO_TCP, TCP_REPAIR, &on, sizeof on) < 0 ? -errno : 0;
}

int failover_preflight(const struct config *c, const char **ret_what)
{
	const struct config_server *s = &c->servers[0];
	const struct config_backup *b = config_backup_for(s, s->addresses[0].family);
	struct guard *g = NULL;
	struct guard_service svc = {
		.service = {.addr = s->addresses[0], .port = s->services[0].port},
		.backup = {.addr = b->address, .port = s->services[0].port},
	};

	*ret_what = "nftables guard";
	int r = guard_up(s->name, GUARD_UNTRACKED, &svc, 1, &g);
	guard_down(g);
	if (r < 0)
		return r;
	*ret_what = "TCP_REPAIR";
	return try_repair();
}

/* Removes an address that an earlier process took. The host's own addresses are not removed. */
static int drop_stale_address(const struct config_server *s, const struct netaddr *a)
{
	char text[NETADDR_STRLEN];
	int r = address_present(a);

	if (r <= 0)
		return r;
	r = address_del(s->interface, a);
	if (r == 0 && address_present(a) > 0)
		r = -EADDRINUSE;
	log_event(r < 0 ? LOG_ERROR : LOG_WARNING,
		  r < 0 ? "address-not-removed" : "stale-address-removed",
		  LOG_STR("server", s->name), LOG_STR("address", netaddr_format(a, text)),
		  LOG_ERR(r));
	return r;
}

int failover_cleanup_stale(const struct config *c)
{
	int r = guard_cleanup_stale();

	if (r > 0)
		log_event(LOG_WARNING, "stale-rules-removed", LOG_INT("tables", r));
	for (uint32_t i = 0; r >= 0 && i < c->server_count; i++)
		for (uint32_t a = 0; r >= 0 && a < c->servers[i].address_count; a++)
			r = drop_stale_address(&c->servers[i], &c->servers[i].addresses[a]);
	return r < 0 ? r : 0;
}
