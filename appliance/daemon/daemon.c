/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * THREADS
 *
 *	main		signals, metrics, life of all others
 *	worker 0..n	ring, flow table, modules' live half	     (worker.h)
 *	store		LMDB commits				     (store.h)
 *	health		probes and verdicts			     (health-loop.h)
 *	failover	takeovers, and keeping what was taken	     (failover.h)
 *	restore 1..n	its pool: probes and sockets, one a core     (thread-pool.h)
 *	keys		key vaults; opens keys of a takeover	     (keys.h)
 *	join 0..n	continued connections, io_uring		     (join.h)
 *	adopter		connections handed to local programs	     (adopt.h)
 *	control, http	jeebsctl and Prometheus
 *
 * A verdict goes from health to failover; failover asks workers for connections and
 * gives sockets to joins. Only workers are waited for (worker_ask(), by failover, firewall,
 * control and main), as long as they turn, and they wait for nobody.
 */
#include "backup-tls/backup-watch.h"
#include "daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "descriptor-need.h"
#include "base/log.h"
#include "base/service-notify.h"
#include "base/thread.h"
#include "tcprepair/tcprepair.h"

#define PROCESS_NICE      (-15)
#define TICK_NS           (200 * NS_PER_MS)
#define OWN_ADDRESSES_MAX 64
#define STATE_MAX_AGE_NS  (600 * NS_PER_S)

/* ---- messages between threads ------------------------------------------------------ */

static void request_takeover(struct daemon *d, uint32_t server, int64_t alive_ns)
{
	struct failover_cause cause = {.reason = "host-down", .alive_ns = alive_ns, .silent = true};
	int r = failover_request(d->failover, server, &cause);

	if (r == 0 || r == -EALREADY)
		return;
	int64_t pause = failover_retry_failed(&d->retry[server], "out-of-memory");
	log_event(LOG_ERROR, "failover-not-begun",
		  LOG_STR("server", d->config->servers[server].name), LOG_MS("in_ms", pause),
		  LOG_ERR(r));
	health_loop_retry(d->health, server, pause);
}

static void on_verdict(void *ctx, uint32_t server, enum health_verdict v, enum health_rule rule,
		       int64_t alive_ns)
{
	struct daemon *d = ctx;
	const char *name = d->config->servers[server].name;

	switch (v) {
	case HEALTH_V_NONE:
		break;
	case HEALTH_V_HEALTHY:
		failover_retry_clear(&d->retry[server]);
		log_event(LOG_NOTICE, "server-up", LOG_STR("server", name));
		break;
	case HEALTH_V_SUSPECT:
		log_event(LOG_NOTICE, "server-suspect", LOG_STR("server", name));
		break;
	case HEALTH_V_SERVICE_DOWN:
		break; /* on_service() names the service */
	case HEALTH_V_SUPPRESSED:
		log_event(LOG_WARNING, "verdict-suppressed", LOG_STR("server", name),
			  LOG_STR("rule", health_rule_name(rule)));
		break;
	case HEALTH_V_DOWN:
		log_event(LOG_WARNING, "server-down", LOG_STR("server", name),
			  LOG_MS("silent_ms", clock_mono_ns() - alive_ns));
		request_takeover(d, server, alive_ns);
		break;
	}
}

/*
 * A service went down, or came back, while its host lives. The host's kernel has already ended the
 * clients' connections, so nothing is taken over. They are counted, and the numbers are logged when
 * the service is back.
 */
static void on_service(void *ctx, uint32_t server, const struct health_service *s)
{
	struct daemon *d = ctx;
	const struct ending_counts *c = s->down ? &s->ended : &s->died;
	char service[ENDPOINT_STRLEN];

	log_event(s->down ? LOG_WARNING : LOG_NOTICE, s->down ? "service-down" : "service-up",
		  LOG_STR("server", d->config->servers[server].name),
		  LOG_STR("service", endpoint_format(&s->endpoint, service)),
		  LOG_INT("reset", c->n[ENDING_RESET]), LOG_INT("cut", c->n[ENDING_CUT]),
		  LOG_INT("finished", c->n[ENDING_FINISHED]),
		  s->accepted_ns ? LOG_MS("since_accepted_ms", clock_mono_ns() - s->accepted_ns)
				 : LOG_STR("since_accepted", "never"),
		  LOG_STR("detail", s->down ? "the host answers: no takeover" : ""));
}

static void on_health_lag(void *ctx, int64_t lag_ns)
{
	struct daemon *d = ctx;

	metrics_observe_ns(d->metrics, METRIC_LOOP_LAG, METRIC_AT(METRIC_LOOP_HEALTH), lag_ns);
}

static void on_failover_state(void *ctx, uint32_t server, enum failover_state state)
{
	struct daemon *d = ctx;

	if (!d->health)
		return;
	if (state == FAILOVER_RUNNING)
		health_loop_pause(d->health, server);
	else if (state == FAILOVER_HELD)
		health_loop_taken(d->health, server);
}

static bool on_answered(void *ctx, uint32_t server)
{
	struct daemon *d = ctx;

	return d->health && health_loop_answered(d->health, server);
}

static void on_connection(void *ctx, uint32_t server, const struct watch_service *service,
			  const struct endpoint *client, const struct plan *plan)
{
	struct daemon *d = ctx;

	daemon_keys_connection(d, service, client, plan->cont);
	if (!plan->cont)
		metrics_add(d->metrics, METRIC_CONNECTIONS_REFUSED,
			    METRIC_AT((uint16_t)server, metrics_reason(d->metrics, plan->reason)),
			    1);
}

static void on_settled(void *ctx, uint32_t server, const char *protocol, enum fate fate, uint32_t n)
{
	static const enum metric_value result[FATE_COUNT_] = {
		[FATE_CONTINUED] = METRIC_RESULT_CONTINUED,
		[FATE_REFUSED] = METRIC_RESULT_RESET,
		[FATE_ABORTED] = METRIC_RESULT_LOST,
		[FATE_GONE] = METRIC_RESULT_GONE,
	};
	struct daemon *d = ctx;

	metrics_add(d->metrics, METRIC_CONNECTIONS_MIGRATED,
		    METRIC_AT((uint16_t)server, metrics_protocol(d->metrics, protocol),
			      (uint16_t)result[fate]),
		    n);
}

static void on_join_aborted(void *ctx, uint32_t server, const char *reason)
{
	struct daemon *d = ctx;

	metrics_add(d->metrics, METRIC_CONNECTIONS_REFUSED,
		    METRIC_AT((uint16_t)server, metrics_reason(d->metrics, reason)), 1);
}

static void on_address_conflict(void *ctx, uint32_t server)
{
	struct daemon *d = ctx;

	metrics_add(d->metrics, METRIC_ADDRESS_CONFLICTS, METRIC_AT((uint16_t)server), 1);
}

static void on_fenced(void *ctx, uint32_t server, bool ok)
{
	struct daemon *d = ctx;

	metrics_add(d->metrics, METRIC_FENCING_ACTIONS, METRIC_AT((uint16_t)server, ok), 1);
}

static void on_failover_done(void *ctx, uint32_t server, const struct failover_summary *s)
{
	struct daemon *d = ctx;

	daemon_metrics_failover(d, server, s);
	history_add(&d->history, server, s);
	if (!s->aborted)
		failover_retry_clear(&d->retry[server]);
	if (!s->aborted || !d->health || strcmp(s->aborted, "stopping") == 0)
		return;
	/* After a sign of life the server is watched again at once. */
	int64_t pause = s->false_alarm ? 0 : failover_retry_failed(&d->retry[server], s->aborted);
	if (pause > 0)
		log_event(LOG_WARNING, "failover-again",
			  LOG_STR("server", d->config->servers[server].name),
			  LOG_STR("reason", s->aborted), LOG_MS("in_ms", pause));
	health_loop_retry(d->health, server, pause);
}

static void on_taking(void *ctx, uint32_t server, const char *id,
		      const struct failover_cause *cause)
{
	daemon_keys_taking(ctx, server, id, cause);
}

static void on_all_settled(void *ctx, uint32_t server, const struct failover_summary *s)
{
	struct daemon *d = ctx;

	daemon_keys_over(d, server);
	history_settled(&d->history, server, s);
}

/* ---- start ------------------------------------------------------------------------- */

static int load_services(struct daemon *d)
{
	struct services_error why;

	d->modules = module_host_new(d->config->modules_dir);
	if (!d->modules)
		return -ENOMEM;
	int r = services_load(&d->services, d->config, d->modules, &why);
	if (r < 0 && why.server)
		log_event(LOG_ERROR, "module-refused", LOG_STR("server", why.server),
			  LOG_STR("protocol", why.protocol), LOG_STR("detail", why.detail),
			  LOG_ERR(r));
	return r;
}

static void on_store_commit(void *ctx, int64_t duration_ns)
{
	struct daemon *d = ctx;

	metrics_observe_ns(d->metrics, METRIC_STORE_COMMIT_DURATION, METRIC_AT(0), duration_ns);
}

static int make_state_dir(const char *path)
{
	if (mkdir(path, 0700) == 0 || errno == EEXIST)
		return 0;
	int r = -errno;
	log_event(LOG_ERROR, "state-dir-not-made", LOG_STR("state_dir", path),
		  LOG_STR("detail", r == -ENOENT
					    ? "the directory it is to be made in does not exist"
					    : "it cannot be made"),
		  LOG_ERR(r));
	return r;
}

static int open_store(struct daemon *d)
{
	struct store_loaded loaded;
	struct store_config sc = {
		.state_dir = d->config->state_dir,
		.size = d->config->store_bytes,
		.max_age_ns = STATE_MAX_AGE_NS,
		.committed = on_store_commit,
		.ctx = d,
	};
	int r = make_state_dir(d->config->state_dir);

	if (r < 0)
		return r;
	r = store_boot_id(d->boot_id);
	memcpy(sc.boot_id, d->boot_id, sizeof sc.boot_id);
	if (r == 0)
		r = store_open(&sc, &d->store, &loaded);
	if (r < 0) {
		log_event(LOG_ERROR, "store-not-opened", LOG_STR("state_dir", d->config->state_dir),
			  LOG_ERR(r));
		return r;
	}
	log_event(LOG_INFO, "store-loaded", LOG_INT("usable", loaded.usable),
		  LOG_INT("other_boot", loaded.other_boot), LOG_INT("too_old", loaded.too_old),
		  LOG_INT("other_version", loaded.other_version),
		  LOG_INT("malformed", loaded.malformed),
		  LOG_INT("environment_replaced", loaded.environment_bad));
	return 0;
}

/* Describes the rings of takeover interfaces that are not captured. */
static int describe_listens(struct daemon *d)
{
	const struct config *c = d->config;

	d->listens = malloc(c->server_count);
	if (!d->listens)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->server_count; i++) {
		d->listens[i] = WORKER_LISTENS_NOT;
		for (uint32_t k = c->interface_count; k < d->ring_count; k++)
			if (strcmp(d->rings[k].interface, c->servers[i].interface) == 0)
				d->listens[i] = (uint8_t)k;
	}
	return 0;
}

/* Describes the rings of captured interfaces: one for each worker, which share the traffic. */
static int describe_rings(struct daemon *d, const struct netaddr *protected_addrs, uint32_t n)
{
	const struct config *c = d->config;
	uint16_t base = (uint16_t)(getpid() & 0x7fff);
	const char *port[CONFIG_PORTS_MAX];

	d->ring_count = c->interface_count + config_listens(c, port + c->interface_count,
							    CONFIG_PORTS_MAX - c->interface_count);
	d->rings = calloc(d->ring_count, sizeof *d->rings);
	if (!d->rings)
		return -ENOMEM;
	for (uint32_t i = 0; i < c->interface_count; i++)
		port[i] = c->interfaces[i];
	for (uint32_t i = 0; i < d->ring_count; i++)
		d->rings[i] = (struct ring_config){
			.interface = port[i],
			.ring_bytes = c->ring_bytes,
			.fanout_group = (uint16_t)(base + i),
			.fanout_size = (uint16_t)c->workers,
			.promiscuous = i < c->interface_count,
			.ignore_outgoing = true,
			.addresses = protected_addrs,
			.address_count = n,
			.shut = i >= c->interface_count,
		};
	return describe_listens(d);
}

static uint32_t protected_addresses(const struct config *c, struct netaddr **ret)
{
	uint32_t n = 0;
	struct netaddr *p;

	for (uint32_t i = 0; i < c->server_count; i++)
		n += c->servers[i].address_count;
	p = calloc(n, sizeof *p);
	n = 0;
	for (uint32_t i = 0; p && i < c->server_count; i++)
		for (uint32_t a = 0; a < c->servers[i].address_count; a++)
			p[n++] = c->servers[i].addresses[a];
	*ret = p;
	return n;
}

/*
 * Collects the addresses from which the box sends its own probes: those of all servers' interfaces,
 * each once.
 */
static uint32_t own_addresses(const struct config *c, struct netaddr out[static OWN_ADDRESSES_MAX])
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < c->server_count; i++) {
		bool listed = false;
		for (uint32_t k = 0; k < i; k++)
			listed |= strcmp(c->servers[k].interface, c->servers[i].interface) == 0;
		if (listed)
			continue;
		uint32_t room = OWN_ADDRESSES_MAX - n;
		int got = address_list(c->servers[i].interface, out + n, room);
		if (got > 0)
			n += (uint32_t)got < room ? (uint32_t)got : room;
	}
	return n;
}

/* With many addresses the kernel reports no memory, and means net.core.optmem_max. */
static void tell_filter_memory(const struct ring_config *ring, int r, const char *step)
{
	uint32_t v6 = 0;

	if (r != -ENOMEM || strcmp(step, "filter") != 0)
		return;
	for (uint32_t i = 0; i < ring->address_count; i++)
		v6 += ring->addresses[i].family == NETADDR_V6;
	log_event(LOG_ERROR, "filter-needs-memory",
		  LOG_INT("net.core.optmem_max", config_filter_bytes(ring->address_count - v6, v6)),
		  LOG_STR("detail",
			  "so many protected addresses need this sysctl to be at least that"));
}

static int start_workers(struct daemon *d)
{
	const struct config *c = d->config;
	struct netaddr own[OWN_ADDRESSES_MAX];
	_cleanup_free_ struct netaddr *addrs = NULL;
	uint32_t n = protected_addresses(c, &addrs);
	struct worker_config wc = {
		.watch =
			{
				.track = watch_track_config(c->max_flows, c->buffer_bytes),
				.services = d->services.v,
				.service_count = d->services.n,
				.spill_above = c->spill_bytes,
			},
		.server_count = c->server_count,
		.server_names = d->services.server_names,
		.evidence = d->evidence,
		.endings = d->endings,
		.sessions = daemon_keys_sessions(d),
		.store = d->store,
		.store_interval_ns = c->store_interval_ns,
		.held = true,
	};

	d->workers = calloc(c->workers, sizeof(struct worker *));
	if (!addrs || !d->workers || describe_rings(d, addrs, n) < 0)
		return -ENOMEM;
	wc.watch.track.ignore_clients = own;
	wc.watch.track.ignore_count = own_addresses(c, own);
	if (getrandom(&wc.watch.track.key, sizeof wc.watch.track.key, 0) < 0)
		return -errno;
	memcpy(wc.boot_id, d->boot_id, sizeof wc.boot_id);
	wc.rings = d->rings;
	wc.ring_count = d->ring_count;
	wc.listens = d->listens;
	for (uint32_t i = 0; i < c->workers; i++) {
		struct worker_failure why;
		wc.index = (uint16_t)i;
		int r = worker_start(&wc, &d->workers[i], &why);
		if (r < 0) {
			log_event(LOG_ERROR, "capture-not-started", LOG_INT("worker", i),
				  LOG_STR("interface", why.interface), LOG_STR("step", why.step),
				  LOG_ERR(r));
			tell_filter_memory(d->rings, r, why.step);
			return r;
		}
		d->worker_count = i + 1;
	}
	for (uint32_t i = 0; i < c->workers; i++)
		worker_begin(d->workers[i]);
	return 0;
}

static int start_joins(struct daemon *d)
{
	struct join_config jc = JOIN_CONFIG_DEFAULT;

	jc.threads = d->config->recovery_threads;
	int r = join_pool_new(&jc, &d->joins);
	if (r < 0)
		log_event(LOG_ERROR, "recovery-not-started", LOG_ERR(r));
	return r;
}

static bool wants_adopter(const struct services *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (s->v[i].adopt)
			return true;
	return false;
}

static int start_adopter(struct daemon *d)
{
	const struct adopt_config ac = ADOPT_CONFIG_DEFAULT;

	if (!wants_adopter(&d->services))
		return 0;
	int r = adopter_new(&ac, &d->adopter);
	if (r < 0)
		log_event(LOG_ERROR, "adopter-not-started", LOG_ERR(r));
	return r;
}

/* How many connections go on through this process. */
static uint64_t continued_now(const struct daemon *d)
{
	return join_active(d->joins) + adopt_active(d->adopter);
}

static int start_failover(struct daemon *d)
{
	struct failover_config fc = {
		.config = d->config,
		.workers = d->workers,
		.worker_count = d->worker_count,
		.evidence = d->evidence,
		.services = d->services.v,
		.service_count = d->services.n,
		.joins = d->joins,
		.adopter = d->adopter,
		.firewall = d->firewall,
		.keys = daemon_keys_lender(d),
		.observer = {.ctx = d,
			     .state = on_failover_state,
			     .taking = on_taking,
			     .connection = on_connection,
			     .settled = on_settled,
			     .join_aborted = on_join_aborted,
			     .address_conflict = on_address_conflict,
			     .fenced = on_fenced,
			     .answered = on_answered,
			     .done = on_failover_done,
			     .all_settled = on_all_settled},
	};
	int r = failover_start(&fc, &d->failover);

	daemon_keys_listen(d, r == 0);
	if (r < 0)
		log_event(LOG_ERROR, "failover-not-started", LOG_ERR(r));
	return r;
}

static int start_health(struct daemon *d)
{
	struct health_loop_config hc = {
		.config = d->config,
		.evidence = d->evidence,
		.services = d->services.v,
		.endings = d->endings,
		.service_count = d->services.n,
		.observer = {.ctx = d,
			     .verdict = on_verdict,
			     .service = on_service,
			     .lag = on_health_lag},
	};
	const char *interface;
	int r = health_loop_start(&hc, &d->health, &interface);

	if (r < 0)
		log_event(LOG_ERROR, "health-not-started", LOG_STR("interface", interface),
			  LOG_ERR(r));
	return r;
}

static int start_firewall(struct daemon *d)
{
	struct firewall_config fc = {.config = d->config, .client = daemon_client, .ctx = d};
	if (d->config->rehearsal == CONFIG_REHEARSAL_OFF)
		return 0;
	int r = firewall_start(&fc, &d->firewall);

	if (r < 0)
		log_event(LOG_ERROR, "firewall-not-rehearsed", LOG_ERR(r));
	return r;
}

static int open_control(struct daemon *d)
{
	int r = control_open(d->config->control_socket, &daemon_control_ops, d, &d->control);

	if (r < 0)
		log_event(LOG_ERROR, "control-not-opened",
			  LOG_STR("socket", d->config->control_socket), LOG_ERR(r));
	return r;
}

/*
 * Raises the priority above other programs of the host: packets do not wait, and a late answer to a
 * probe is a doubtful one. Without the right to do so the daemon runs at normal priority.
 */
static void raise_priority(void)
{
	if (setpriority(PRIO_PROCESS, 0, PROCESS_NICE) < 0)
		log_event(LOG_INFO, "priority-not-raised", LOG_ERR(-errno));
}

static void log_started(const struct daemon *d)
{
	for (uint32_t i = 0; i < d->config->server_count; i++) {
		const struct config_server *s = &d->config->servers[i];
		log_event(LOG_INFO, "watching", LOG_STR("server", s->name),
			  LOG_STR("interface", s->interface),
			  LOG_MS("detection_bound_ms", config_detection_bound_ns(&s->health)));
	}
	log_event(LOG_NOTICE, "started", LOG_STR("version", JEEBS_VERSION),
		  LOG_INT("workers", d->worker_count), LOG_INT("servers", d->config->server_count));
}

/*
 * Warns of sockets that do not find out the MTU: a path may take only smaller segments than the
 * client has offered, and the dead server may not have found out.
 */
static void warn_of_mtu(void)
{
	bool probes = false;

	if (restore_probes_mtu(&probes) < 0 || !probes)
		log_event(LOG_WARNING, "mtu-probing-off",
			  LOG_STR("sysctl", "net.ipv4.tcp_mtu_probing"));
}

/* Changes the network's state. Comes after the store, whose lock keeps a second instance away. */
static int prepare_host(struct daemon *d)
{
	const char *what = "cleanup";
	int r = failover_cleanup_stale(d->config);

	if (r == 0)
		r = failover_preflight(d->config, &what);
	warn_of_mtu();
	if (r < 0)
		log_event(LOG_ERROR, "preflight-failed", LOG_STR("what", what), LOG_ERR(r));
	return r;
}

static int make_endings(struct daemon *d)
{
	size_t n = (d->services.n + 1) * sizeof *d->endings;

	d->endings = aligned_alloc(_Alignof(struct endings), n);
	if (!d->endings)
		return -ENOMEM;
	memset(d->endings, 0, n);
	return 0;
}

static int start(struct daemon *d)
{
	const uint32_t n = d->config->server_count;
	int r;

	history_init(&d->history);
	r = descriptor_need_meet(d->config);
	if (r < 0)
		return r;
	raise_priority(); /* threads inherit it */
	d->evidence = aligned_alloc(_Alignof(struct evidence), n * sizeof *d->evidence);
	d->hold = calloc(n, sizeof *d->hold);
	d->retry = calloc(n, sizeof *d->retry);
	if (!d->evidence || !d->hold || !d->retry)
		return -ENOMEM;
	memset(d->evidence, 0, n * sizeof *d->evidence);
	if ((r = load_services(d)) < 0 || (r = daemon_backup_open(d)) < 0 ||
	    (r = make_endings(d)) < 0 || (r = daemon_metrics_open(d)) < 0 ||
	    (r = open_store(d)) < 0 || (r = prepare_host(d)) < 0 ||
	    (r = daemon_keys_start(d)) < 0 || (r = start_workers(d)) < 0 ||
	    (r = start_joins(d)) < 0 || (r = start_adopter(d)) < 0 || (r = start_firewall(d)) < 0 ||
	    (r = start_failover(d)) < 0 || (r = start_health(d)) < 0 ||
	    (r = daemon_backup_watch(d)) < 0 || (r = open_control(d)) < 0 ||
	    (r = daemon_metrics_listen(d)) < 0)
		return r;
	log_started(d);
	return 0;
}

/* What a thread that does not end may use cannot be freed; what the network has of ours is given
 * back. */
static void leave_threads(void)
{
	uint32_t n = threads_left();

	if (n == 0)
		return;
	log_event(LOG_ERROR, "ended-without-threads", LOG_INT("threads", n));
	_exit(EX_SOFTWARE);
}

/*
 * Stops the parts in order: whoever asks stops before whoever is asked. Every part may be missing.
 * Failover is halted before health, which calls it, ends. Verdicts that reach a halted failover
 * stay in its queue.
 */
static void stop(struct daemon *d, bool started)
{
	d->http = metrics_http_close(d->http);
	d->control = control_close(d->control);
	d->backup_watch = backup_watch_stop(d->backup_watch);
	failover_halt(d->failover);
	d->health = health_loop_stop(d->health);
	d->joins = join_pool_free(d->joins);
	/* Clients get their RST while the box has the address. */
	d->adopter = adopter_free(d->adopter);
	daemon_keys_listen(d, false);
	d->failover = failover_free(d->failover);
	d->firewall = firewall_stop(d->firewall);
	for (uint32_t i = 0; i < d->worker_count; i++)
		worker_tell_stop(d->workers[i]);
	for (uint32_t i = 0; i < d->worker_count; i++)
		worker_stop(d->workers[i]);
	daemon_keys_stop(d);
	leave_threads();
	/* A clean end leaves no record; a start that failed leaves what it found. */
	d->store = started ? store_clear(d->store) : store_close(d->store);
	leave_threads();
	daemon_keys_free(d);
	daemon_metrics_close(d);
	history_deinit(&d->history);
	module_host_free(d->modules);
	free(d->workers);
	free(d->rings);
	free(d->listens);
	services_deinit(&d->services);
	daemon_backup_close(d);
	free(d->evidence);
	free(d->endings);
	free(d->hold);
	free(d->retry);
}

/* ---- main loop --------------------------------------------------------------------- */

/*
 * The first SIGTERM after a takeover is only announced: the box serves the connections now, and its
 * end would end them. The second one ends the daemon.
 */
static bool should_end(struct daemon *d, bool *io_announced)
{
	uint32_t held = failover_held_count(d->failover);

	if (held == 0 || *io_announced)
		return true;
	*io_announced = true;
	log_event(LOG_WARNING, "still-serving", LOG_INT("servers", held),
		  LOG_INT("connections", continued_now(d)),
		  LOG_STR("detail", "connections end with this process: "
				    "send the signal again to end it"));
	return false;
}

static void main_loop(struct daemon *d, int signals)
{
	bool announced = false;

	for (;;) {
		struct pollfd p = {.fd = signals, .events = POLLIN};
		struct signalfd_siginfo si;
		poll(&p, 1, (int)(TICK_NS / NS_PER_MS));
		if (read(signals, &si, sizeof si) == sizeof si) {
			if (si.ssi_signo == SIGHUP)
				log_event(LOG_WARNING, "reload-not-supported",
					  LOG_STR("detail", "restart to read the configuration"));
			else if (should_end(d, &announced))
				return;
		}
		daemon_metrics_publish(d, clock_mono_ns());
	}
}

int daemon_run(const struct config *c)
{
	struct daemon d = {.config = c, .started_ns = clock_mono_ns()};
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGCHLD, SIG_DFL); /* if it is inherited as ignored, a fence's exit status is lost */
	_cleanup_close_ int signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	int r = signals < 0 ? -errno : 0;
	if (r < 0)
		log_event(LOG_ERROR, "signals-not-taken", LOG_ERR(r));
	else
		r = start(&d);
	if (r == 0) {
		service_notify_ready();
		main_loop(&d, signals);
		service_notify_stopping();
		log_event(LOG_NOTICE, "stopping", LOG_INT("connections", continued_now(&d)));
	}
	stop(&d, r == 0);
	if (r == 0)
		return 0;
	return r == -ENOENT || r == -ENOEXEC ? EX_CONFIG : EX_UNAVAILABLE;
}
