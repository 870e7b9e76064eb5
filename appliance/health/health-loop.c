/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "health-loop.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/bell.h"
#include "base/clock.h"
#include "health-probe.h"
#include "base/log.h"
#include "tcprepair/tcprepair.h"
#include "base/thread.h"

#define OWN_ADDRESSES_MAX  64
#define WAIT_MAX_NS        (100 * NS_PER_MS)
#define PROBE_ERROR_LOG_NS (10 * NS_PER_S)

/*
 * One TCP probe of one round. Rounds overlap when the timeout exceeds the interval. A probe stays
 * open until the verdict for which its silence would be evidence, because a late answer is an
 * answer.
 */
struct probe {
	struct health_probe_tcp tcp;
	uint32_t round;
	uint32_t index; /* index of the service's endpoint */
	uint8_t mac[6]; /* the MAC to which it was sent, as far as the kernel knew */
	bool mac_known;
	struct ending_counts ended; /* the counts when it began */
	int64_t started_ns;
};

/* What the wire shows about one service endpoint. */
struct observed {
	const struct endings *endings;
	struct ending_counts accepted; /* the counts when it last accepted a connect */
	struct ending_counts died;     /* of earlier deaths */
	int64_t accepted_ns;
	bool refusing; /* it has refused since then */
	bool told_down;
};

struct watched {
	const struct config_server *cfg;
	struct evidence *evidence;
	struct health health;
	struct link *link;
	struct netaddr own[OWN_ADDRESSES_MAX];
	int own_count;
	struct probe *probe; /* for all endpoints, and all rounds that may still be answered */
	uint32_t probe_count, endpoint_count;
	struct observed observed[HEALTH_PROBES_MAX]; /* by endpoint */
	enum health_result last[HEALTH_KIND_COUNT_];
	/* Since the last health_loop_answered(): by the paused server itself. */
	bool answered;
	uint32_t round;      /* number of the last round; ARP answers count for it */
	uint32_t redirected; /* the round in which a connect was sent to another MAC */
	int64_t error_logged_ns;
	bool paused;
	int64_t resume_ns; /* end of a pause that ends by itself; 0: it does not */
};

struct health_loop {
	struct health_loop_config cfg;
	pthread_mutex_t lock; /* protects everything in server[] */
	struct watched *server;
	struct pollfd *poll;
	uint32_t poll_max;
	pthread_t thread;
	bool started;
	int bell;
	_Atomic bool stop;
};

/* ---- probes --------------------------------------------------------------------------------- */

static void record(struct watched *w, uint32_t round, enum health_kind kind, uint32_t index,
		   enum health_result r, int error, int64_t now)
{
	if (r == HEALTH_ERROR && now - w->error_logged_ns > PROBE_ERROR_LOG_NS) {
		w->error_logged_ns = now;
		log_event(LOG_WARNING, "probe-failed", LOG_STR("server", w->cfg->name),
			  LOG_STR("check", kind == HEALTH_TCP ? "tcp" : "neighbour"),
			  LOG_ERR(error));
	}
	w->last[kind] = r;
	w->answered |= r == HEALTH_OK || r == HEALTH_REFUSED;
	health_result(&w->health, round, kind, index, r, now);
}

static const struct netaddr *own_address(const struct watched *w, uint8_t family)
{
	for (int i = 0; i < w->own_count; i++) {
		bool link_local = w->own[i].family == NETADDR_V6 && w->own[i].b[0] == 0xfe &&
				  (w->own[i].b[1] & 0xc0) == 0x80;
		if (w->own[i].family == family && !link_local)
			return &w->own[i];
	}
	return NULL;
}

static void endpoint_of(const struct watched *w, uint32_t index, struct endpoint *ret)
{
	const struct config_server *c = w->cfg;

	*ret = (struct endpoint){.addr = c->addresses[index / c->service_count],
				 .port = c->services[index % c->service_count].port};
}

/* A free probe, or the oldest one, whose round ended long ago. */
static struct probe *free_probe(struct watched *w)
{
	struct probe *oldest = &w->probe[0];

	for (uint32_t i = 0; i < w->probe_count; i++) {
		if (w->probe[i].tcp.fd < 0)
			return &w->probe[i];
		if (w->probe[i].started_ns < oldest->started_ns)
			oldest = &w->probe[i];
	}
	health_probe_tcp_stop(&oldest->tcp);
	return oldest;
}

static void ask_neighbours(struct watched *w, uint32_t round, int64_t now)
{
	for (uint32_t i = 0; i < w->cfg->address_count; i++) {
		const struct netaddr *a = &w->cfg->addresses[i];
		const struct netaddr *own = own_address(w, a->family);
		int r = own                ? link_ask(w->link, a, own)
			: w->own_count < 0 ? w->own_count
					   : -EADDRNOTAVAIL;
		if (r < 0)
			record(w, round, HEALTH_NEIGHBOUR, i, HEALTH_ERROR, r, now);
	}
}

static bool mac_of(const struct watched *w, uint32_t index, uint8_t ret[6])
{
	struct endpoint e;

	endpoint_of(w, index, &e);
	return link_neighbour(w->link, &e.addr, ret) == 0;
}

static void connect_services(struct watched *w, uint32_t round, int64_t now)
{
	for (uint32_t i = 0; i < w->endpoint_count; i++) {
		struct probe *p = free_probe(w);
		struct endpoint to;
		int error = 0;
		endpoint_of(w, i, &to);
		enum health_result r = health_probe_tcp_start(
			&p->tcp, &to, own_address(w, to.addr.family), &error);
		if (r == HEALTH_PENDING) {
			p->round = round;
			p->index = i;
			p->ended = endings_read(w->observed[i].endings);
			p->started_ns = now;
			p->mac_known = mac_of(w, i, p->mac);
		} else {
			record(w, round, HEALTH_TCP, i, r, error, now);
		}
	}
}

static void ask_others(struct watched *w)
{
	for (uint32_t i = 0; i < w->cfg->backup_count; i++) {
		const struct netaddr *a = &w->cfg->backups[i].address;
		const struct netaddr *own = own_address(w, a->family);
		if (own)
			(void)link_ask(w->link, a, own);
	}
}

static void start_round(struct watched *w, uint32_t round, int64_t now)
{
	w->round = round;
	w->own_count = address_list(w->cfg->interface, w->own, OWN_ADDRESSES_MAX);
	if (w->own_count > OWN_ADDRESSES_MAX)
		w->own_count = OWN_ADDRESSES_MAX;
	ask_neighbours(w, round, now);
	connect_services(w, round, now);
	if (health_ask_others(&w->health, round, now))
		ask_others(w);
	health_sent(&w->health, round, clock_mono_ns());
}

static void end_round(struct watched *w, uint32_t round)
{
	for (uint32_t i = 0; i < w->probe_count; i++) {
		struct probe *p = &w->probe[i];
		if (p->tcp.fd < 0 || p->round != round)
			continue;
		w->observed[p->index].refusing = true;
		w->last[HEALTH_TCP] = HEALTH_SILENT;
	}
}

/*
 * The server answered a number that only it was told. So the MAC to which the kernel sent all this
 * time is the server's. Nothing is known of anybody who answers for the address from elsewhere. A
 * server that changes its MAC is known again with the first probe that it answers.
 */
static void learn(struct watched *w, const struct probe *p, int64_t now)
{
	uint8_t mac[6];

	atomic_store_explicit(&w->evidence->probed_ns, now, memory_order_relaxed);
	atomic_store_explicit(&w->evidence->answered_port, p->tcp.own_port, memory_order_relaxed);
	if (p->mac_known && mac_of(w, p->index, mac) && memcmp(mac, p->mac, sizeof mac) == 0)
		evidence_mac_learn(w->evidence, mac);
}

static bool tcp_answers(const struct watched *w)
{
	return w->last[HEALTH_TCP] == HEALTH_OK || w->last[HEALTH_TCP] == HEALTH_REFUSED;
}

/*
 * An answer from a known MAC is a sign of life. Another MAC must prove to be the server's: while no
 * connect is answered, the next one is sent there. (The kernel itself accepts a new MAC, or the old
 * one again, a second later, which is too late for a verdict.)
 */
static void heard_from(struct watched *w, uint32_t i, const uint8_t mac[6], int64_t now)
{
	bool known = evidence_mac_known(w->evidence, mac);

	if (!w->paused && !tcp_answers(w) && (known || w->redirected != w->round)) {
		w->redirected = w->round;
		(void)link_set_neighbour(w->link, &w->cfg->addresses[i], mac);
	}
	if (known)
		record(w, w->round, HEALTH_NEIGHBOUR, i, HEALTH_OK, 0, now);
}

static void read_neighbours(struct watched *w, int64_t now)
{
	struct link_answer a;

	while (link_receive(w->link, &a) > 0) {
		for (uint32_t i = 0; i < w->cfg->address_count; i++)
			if (netaddr_eq(&a.addr, &w->cfg->addresses[i]) &&
			    memcmp(a.mac, link_mac(w->link), sizeof a.mac) != 0)
				heard_from(w, i, a.mac, now);
		for (uint32_t i = 0; i < w->cfg->backup_count; i++)
			if (netaddr_eq(&a.addr, &w->cfg->backups[i].address))
				health_others_answered(&w->health, now);
	}
}

static bool is_down(const struct watched *w, uint32_t index)
{
	return health_services_down(&w->health) >> index & 1;
}

static struct ending_counts ended_since_accepted(const struct observed *o)
{
	struct ending_counts now = endings_read(o->endings);

	return ending_counts_since(&now, &o->accepted);
}

/*
 * The server accepted a connect that began with these counts. Connections that had ended by then
 * belong to an earlier death, or do not matter.
 */
static void accepted(struct watched *w, const struct probe *p)
{
	struct observed *o = &w->observed[p->index];

	if (p->started_ns <= o->accepted_ns)
		return;
	if (is_down(w, p->index) && o->refusing) {
		struct ending_counts more = ending_counts_since(&p->ended, &o->accepted);
		ending_counts_add(&o->died, &more);
	}
	o->accepted = p->ended;
	o->accepted_ns = p->started_ns;
	o->refusing = false;
}

static void read_probes(struct watched *w, int64_t now)
{
	for (uint32_t i = 0; i < w->probe_count; i++) {
		struct probe *p = &w->probe[i];
		int error = 0;
		if (p->tcp.fd < 0)
			continue;
		uint32_t round = p->round, index = p->index;
		enum health_result r = health_probe_tcp_check(&p->tcp, &error);
		if (r == HEALTH_OK)
			accepted(w, p);
		else if (r != HEALTH_PENDING && p->started_ns > w->observed[index].accepted_ns)
			w->observed[index].refusing = true;
		if (r == HEALTH_OK || r == HEALTH_REFUSED)
			learn(w, p, now);
		if (r != HEALTH_PENDING)
			record(w, round, HEALTH_TCP, index, r, error, now);
	}
}

/* ---- loop ----------------------------------------------------------------------------------- */

static void read_evidence(struct health_loop *l, uint32_t server)
{
	struct watched *w = &l->server[server];
	int64_t seen =
		atomic_load_explicit(&l->cfg.evidence[server].server_ns, memory_order_relaxed);

	if (seen > 0)
		health_traffic(&w->health, seen);
	for (uint32_t i = 0; i < w->endpoint_count; i++) {
		struct ending_counts c = ended_since_accepted(&w->observed[i]);
		if (ending_counts_abrupt(&c) > 0)
			health_service_ended(&w->health, i);
	}
}

static void stop_probes(struct watched *w)
{
	for (uint32_t i = 0; i < w->probe_count; i++)
		health_probe_tcp_stop(&w->probe[i].tcp);
}

/* Stops probing. Probes that were sent may still be answered. */
static void pause_probes(struct watched *w, int64_t resume_ns)
{
	w->paused = true;
	w->resume_ns = resume_ns;
}

static void resume_if_due(struct watched *w, int64_t now)
{
	if (!w->paused || w->resume_ns == 0 || now < w->resume_ns)
		return;
	w->paused = false;
	stop_probes(w);
	health_retry(&w->health, now);
}

/* A verdict is reported after the lock was released. */
struct decision {
	enum health_verdict verdict;
	enum health_rule rule;
	int64_t alive_ns;
};

static struct decision tick(struct watched *w, int64_t now)
{
	struct decision t = {.verdict = HEALTH_V_NONE};

	for (;;) {
		struct health_action a = health_tick(&w->health, now);
		switch (a.kind) {
		case HEALTH_NOTHING:
			return t;
		case HEALTH_START_ROUND:
			start_round(w, a.round, now);
			break;
		case HEALTH_END_ROUND:
			end_round(w, a.round);
			break;
		case HEALTH_VERDICT:
			t = (struct decision){a.verdict, a.rule,
					      health_last_proof_of_life_ns(&w->health)};
			if (a.verdict == HEALTH_V_DOWN) {
				/* Ask again: there is time for an answer until the address is
				 * taken. */
				ask_neighbours(w, w->round, now);
				pause_probes(w, 0);
			}
			return t;
		}
	}
}

static struct health_service service_view(const struct watched *w, uint32_t index)
{
	const struct observed *o = &w->observed[index];
	struct health_service s = {
		.down = is_down(w, index),
		.died = o->died,
		.ended = ended_since_accepted(o),
		.accepted_ns = o->accepted_ns,
	};

	endpoint_of(w, index, &s.endpoint);
	if (s.down && o->refusing)
		ending_counts_add(&s.died, &s.ended);
	return s;
}

static void tell_services(struct health_loop *l, uint32_t i)
{
	struct watched *w = &l->server[i];
	const struct health_observer *o = &l->cfg.observer;

	for (uint32_t k = 0; k < w->endpoint_count; k++) {
		pthread_mutex_lock(&l->lock);
		struct health_service s = service_view(w, k);
		bool changed = s.down != w->observed[k].told_down;
		w->observed[k].told_down = s.down;
		pthread_mutex_unlock(&l->lock);
		if (changed)
			o->service(o->ctx, i, &s);
	}
}

static void turn(struct health_loop *l, uint32_t i)
{
	struct watched *w = &l->server[i];
	const struct health_observer *o = &l->cfg.observer;
	struct decision t;

	do {
		pthread_mutex_lock(&l->lock);
		int64_t now = clock_mono_ns();
		t = (struct decision){.verdict = HEALTH_V_NONE};
		resume_if_due(w, now);
		if (!w->paused) {
			read_neighbours(w, now);
			read_probes(w, now);
			read_evidence(l, i);
			t = tick(w, now);
		}
		pthread_mutex_unlock(&l->lock);
		if (t.verdict != HEALTH_V_NONE)
			o->verdict(o->ctx, i, t.verdict, t.rule, t.alive_ns);
	} while (t.verdict != HEALTH_V_NONE);
	tell_services(l, i);
}

/* Collects the descriptors to wait for. *io_deadline becomes the time until when. */
static uint32_t prepare_poll(struct health_loop *l, int64_t *io_deadline)
{
	uint32_t n = 0;

	l->poll[n++] = (struct pollfd){.fd = l->bell, .events = POLLIN};
	pthread_mutex_lock(&l->lock);
	for (uint32_t i = 0; i < l->cfg.config->server_count; i++) {
		struct watched *w = &l->server[i];
		int64_t d = w->paused ? w->resume_ns : health_next_deadline(&w->health);
		if (d != 0 && d < *io_deadline)
			*io_deadline = d;
		if (w->paused)
			continue;
		l->poll[n++] = (struct pollfd){.fd = link_fd(w->link), .events = POLLIN};
		for (uint32_t k = 0; k < w->probe_count; k++)
			if (w->probe[k].tcp.fd >= 0)
				l->poll[n++] = (struct pollfd){.fd = w->probe[k].tcp.fd,
							       .events = POLLOUT};
	}
	pthread_mutex_unlock(&l->lock);
	return n;
}

static void *loop_main(void *arg)
{
	struct health_loop *l = arg;

	while (!atomic_load(&l->stop)) {
		int64_t now = clock_mono_ns(), deadline = now + WAIT_MAX_NS;
		uint32_t n = prepare_poll(l, &deadline);
		int64_t wait = deadline > now ? deadline - now : 0;
		struct timespec ts = {.tv_sec = wait / NS_PER_S, .tv_nsec = wait % NS_PER_S};
		ppoll(l->poll, n, &ts, NULL);
		bell_silence(l->bell);
		int64_t late = clock_mono_ns() - deadline;
		if (late > 0)
			l->cfg.observer.lag(l->cfg.observer.ctx, late);
		for (uint32_t i = 0; i < l->cfg.config->server_count; i++)
			turn(l, i);
	}
	return NULL;
}

/* ---- from other threads ------------------------------------------------------------ */

void health_loop_view(struct health_loop *l, uint32_t server, struct health_view *ret)
{
	const struct watched *w = &l->server[server];

	pthread_mutex_lock(&l->lock);
	*ret = (struct health_view){
		.state = health_state(&w->health),
		.rule = w->health.rule,
		.neighbour = w->last[HEALTH_NEIGHBOUR],
		.tcp = w->last[HEALTH_TCP],
		.failed_rounds = w->health.failed,
		.hold = w->health.hold,
		.stats = *health_stats(&w->health),
	};
	pthread_mutex_unlock(&l->lock);
}

bool health_loop_service(struct health_loop *l, uint32_t server, uint32_t index,
			 struct health_service *ret)
{
	const struct watched *w = &l->server[server];

	if (index >= w->endpoint_count)
		return false;
	pthread_mutex_lock(&l->lock);
	*ret = service_view(w, index);
	pthread_mutex_unlock(&l->lock);
	return true;
}

void health_loop_hold(struct health_loop *l, uint32_t server, bool on)
{
	pthread_mutex_lock(&l->lock);
	health_hold(&l->server[server].health, on);
	pthread_mutex_unlock(&l->lock);
	bell_ring(l->bell);
}

void health_loop_retry(struct health_loop *l, uint32_t server, int64_t pause_ns)
{
	pthread_mutex_lock(&l->lock);
	pause_probes(&l->server[server], clock_mono_ns() + pause_ns);
	pthread_mutex_unlock(&l->lock);
	bell_ring(l->bell);
}

void health_loop_pause(struct health_loop *l, uint32_t server)
{
	pthread_mutex_lock(&l->lock);
	pause_probes(&l->server[server], 0);
	pthread_mutex_unlock(&l->lock);
}

bool health_loop_answered(struct health_loop *l, uint32_t server)
{
	struct watched *w = &l->server[server];

	pthread_mutex_lock(&l->lock);
	int64_t now = clock_mono_ns();
	w->answered = false;
	read_neighbours(w, now);
	read_probes(w, now);
	bool answered = w->answered;
	pthread_mutex_unlock(&l->lock);
	return answered;
}

void health_loop_taken(struct health_loop *l, uint32_t server)
{
	pthread_mutex_lock(&l->lock);
	stop_probes(&l->server[server]);
	pthread_mutex_unlock(&l->lock);
}

/* ---- life ----------------------------------------------------------------------------------- */

/* The configuration's check bounds a server's services by HEALTH_PROBES_MAX. */
static void observe_services(struct watched *w, const struct health_loop_config *cfg)
{
	for (uint32_t i = 0; i < w->endpoint_count; i++) {
		struct endpoint e;
		endpoint_of(w, i, &e);
		for (uint32_t k = 0; k < cfg->service_count; k++)
			if (endpoint_eq(&cfg->services[k].endpoint, &e))
				w->observed[i].endings = &cfg->endings[k];
	}
}

uint32_t health_loop_probes(const struct config_server *c)
{
	uint32_t rounds =
		(uint32_t)(c->health.timeout_ns / c->health.interval_ns) + 2 + c->health.fall;

	return c->address_count * c->service_count * rounds;
}

static int watched_init(struct watched *w, const struct health_loop_config *cfg,
			const struct config_server *c, int64_t now)
{
	w->cfg = c;
	w->endpoint_count = c->address_count * c->service_count;
	struct health_config hc = {
		.interval_ns = c->health.interval_ns,
		.timeout_ns = c->health.timeout_ns,
		.fall = c->health.fall,
		.rise = c->health.rise,
		.probes = {[HEALTH_NEIGHBOUR] = c->address_count, [HEALTH_TCP] = w->endpoint_count},
	};
	int r = health_init(&w->health, &hc, now);
	if (r < 0)
		return r;
	w->probe_count = health_loop_probes(c);
	w->probe = calloc(w->probe_count, sizeof *w->probe);
	if (!w->probe)
		return -ENOMEM;
	for (uint32_t i = 0; i < w->probe_count; i++)
		w->probe[i].tcp = HEALTH_PROBE_TCP_INIT;
	observe_services(w, cfg);
	return link_open(c->interface, &w->link);
}

int health_loop_start(const struct health_loop_config *cfg, struct health_loop **ret,
		      const char **ret_interface)
{
	struct health_loop *l = calloc(1, sizeof *l);
	int r = 0;

	*ret_interface = "-";

	if (!l)
		return -ENOMEM;
	l->cfg = *cfg;
	pthread_mutex_init(&l->lock, NULL);
	l->bell = bell_open();
	l->server = calloc(cfg->config->server_count, sizeof *l->server);
	if (l->bell < 0 || !l->server)
		r = l->bell < 0 ? l->bell : -ENOMEM;
	l->poll_max = 1;
	for (uint32_t i = 0; r == 0 && i < cfg->config->server_count; i++) {
		l->server[i].evidence = &cfg->evidence[i];
		r = watched_init(&l->server[i], cfg, &cfg->config->servers[i], clock_mono_ns());
		if (r < 0)
			*ret_interface = cfg->config->servers[i].interface;
		l->poll_max += 1 + l->server[i].probe_count;
	}
	if (r == 0 && !(l->poll = calloc(l->poll_max, sizeof *l->poll)))
		r = -ENOMEM;
	/* Set before the thread starts: its observer may use the loop. */
	*ret = l;
	if (r == 0) {
		r = thread_start(&l->thread, loop_main, l);
		l->started = r == 0;
	}
	if (r < 0)
		*ret = health_loop_stop(l);
	return r;
}

struct health_loop *health_loop_stop(struct health_loop *l)
{
	if (!l)
		return NULL;
	if (l->started) {
		atomic_store(&l->stop, true);
		bell_ring(l->bell);
		pthread_join(l->thread, NULL);
	}
	for (uint32_t i = 0; l->server && i < l->cfg.config->server_count; i++) {
		struct watched *w = &l->server[i];
		if (w->probe)
			stop_probes(w);
		free(w->probe);
		link_close(w->link);
	}
	if (l->bell >= 0)
		close(l->bell);
	pthread_mutex_destroy(&l->lock);
	free(l->server);
	free(l->poll);
	free(l);
	return NULL;
}
