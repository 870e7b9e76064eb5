/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daemon: starts the threads in order, hands messages between them, ends them in
 * reverse order. The only place that knows all rooms.
 */
#ifndef APPLIANCE_DAEMON_H
#define APPLIANCE_DAEMON_H

#include <stdatomic.h>

#include "config/config.h"
#include "control/control.h"
#include "daemon-history.h"
#include "failover/failover-retry.h"
#include "failover/failover.h"
#include "failover/firewall.h"
#include "health/health-loop.h"
#include "join/join.h"
#include "metrics/metrics.h"
#include "metrics-http/metrics-http.h"
#include "metrics/metrics.h"
#include "recovery-modules/host/module-host.h"
#include "services/services.h"
#include "store/store.h"
#include "worker/worker.h"

struct daemon {
	const struct config *config;
	int64_t started_ns;
	struct module_host *modules;
	struct services services;
	struct evidence *evidence;    /* by server, written by workers */
	struct endings *endings;      /* by service, written by workers */
	_Atomic bool *hold;           /* by server */
	struct failover_retry *retry; /* by server */
	uint8_t boot_id[STORE_BOOT_ID_BYTES];
	struct store *store;
	struct metrics *metrics;
	struct metrics_http *http;
	/* Those of captured interfaces, then those of config_listens(). */
	struct ring_config *rings;
	uint32_t ring_count;
	uint8_t *listens; /* for worker_config.listens */
	struct worker **workers;
	uint32_t worker_count;
	struct join_pool *joins;
	struct adopter *adopter; /* NULL: no service names a program that adopts */
	struct failover *failover;
	struct health_loop *health;
	struct firewall *firewall;
	struct history history; /* past takeovers */
	struct control *control;
	int64_t surveyed_ns, survey_pause_ns; /* daemon-metrics.c; main thread only */
};

/* Runs until a signal ends it. Returns an exit code (sysexits(3)). */
int daemon_run(const struct config *c);

/* How many flows one worker_call() visits. It takes a few milliseconds, in which packets wait. */
#define DAEMON_FLOWS_PER_CALL 1024

/* ---- daemon-control.c, daemon-metrics.c: private to the daemon ------------------------------ */

extern const struct control_ops daemon_control_ops;

/*
 * The word for a server's state: that of failover if it has one, else that of health. Static text.
 */
const char *daemon_server_state(struct daemon *d, uint32_t server);
/* Why a takeover would not work now, static text; NULL: it would. */
const char *daemon_not_ready(struct daemon *d, uint32_t server);
/* Finds a client that @server has now. Implements firewall_config.client. */
bool daemon_client(void *ctx, uint32_t server, uint8_t family, struct netaddr *ret);
bool daemon_ready(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN]);

int daemon_metrics_open(struct daemon *d);
/*
 * Starts the metrics port. It comes last at start and is the first to end, because /readyz asks all
 * other parts.
 */
int daemon_metrics_listen(struct daemon *d);
void daemon_metrics_close(struct daemon *d);
/*
 * Copies what threads have counted into the metrics. Called in the main thread several times a
 * second.
 */
void daemon_metrics_publish(struct daemon *d, int64_t now_ns);
void daemon_metrics_failover(struct daemon *d, uint32_t server, const struct failover_summary *s);

#endif
