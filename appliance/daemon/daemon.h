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
#include "keys/keys.h"
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
	struct keys *keys; /* NULL: no keyvault is configured */
	struct daemon_key_services *key_services;
	struct backup_tls **backups; /* of services whose backups are spoken to in TLS */
	uint32_t backup_count;
	struct backup_watch *backup_watch;
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

/* Why a takeover would not work now, static text; NULL: it would. */
const char *daemon_not_ready(struct daemon *d, uint32_t server);
/* Finds a client that @server has now. Implements firewall_config.client. */
bool daemon_client(void *ctx, uint32_t server, uint8_t family, struct netaddr *ret);
bool daemon_ready(void *ctx, char why[static METRICS_HTTP_WHY_STRLEN]);

/* ---- daemon-keys.c --------------------------------------------------------------------------- */

/* The services of which keys are kept; static names. */
#define DAEMON_NO_KEYS UINT32_MAX
struct daemon_key_services {
	struct keys_service *v;
	uint32_t n;
	uint32_t *of_watch; /* by watch service: the index in v, or DAEMON_NO_KEYS */
	char (*names)[48];
};

/* Implements config_keyvault_fn. */
int daemon_keys_check(const struct config_keyvault *k, char why[static CONFIG_MODULE_WHY_STRLEN]);
int daemon_keys_start(struct daemon *d);
/* Without it the workers do not look for sessions. */
struct worker_sessions daemon_keys_sessions(struct daemon *d);
void daemon_keys_stop(struct daemon *d);
void daemon_keys_free(struct daemon *d);
void daemon_keys_taking(struct daemon *d, uint32_t server, const char *id,
			const struct failover_cause *cause);
void daemon_keys_connection(struct daemon *d, const struct watch_service *service,
			    const struct endpoint *client, bool continued);
void daemon_keys_over(struct daemon *d, uint32_t server);
struct failover_keys daemon_keys_lender(struct daemon *d);
/* Failover is told of keys that have come, until it is told no more. */
void daemon_keys_listen(struct daemon *d, bool on);
/* How many sessions of a watch service have keys. */
uint32_t daemon_keys_of_service(struct daemon *d, uint32_t watch_service);
/* Whether this plan is one to continue, if the keys of its connection are in a vault. */
bool daemon_keys_continue(struct daemon *d, const struct plan *p, const struct endpoint *server,
			  const struct endpoint *client);
/* Static text: why a takeover would not find keys; NULL: it would. @why, of KEYS_WHY_SIZE, says
 * more; it may be NULL. */
const char *daemon_keys_not_ready(struct daemon *d, uint32_t server, char *why);
/* For jeebsctl; json null without a keyvault. */
json_t *daemon_keys_status(struct daemon *d);
json_t *daemon_keys_services(struct daemon *d, uint32_t server);
json_t *daemon_op_approvals(void *ctx, struct control_error *e);
json_t *daemon_op_approve(void *ctx, const char *failover, bool alike, uid_t uid,
			  struct control_error *e);
json_t *daemon_op_refuse(void *ctx, const char *failover, uid_t uid, struct control_error *e);
json_t *daemon_op_revoke(void *ctx, const char *server, uid_t uid, struct control_error *e);
void daemon_keys_publish(struct daemon *d);
int daemon_find_server(const struct daemon *d, const char *name);

/* ---- daemon-backup.c: TLS towards the backups ---------------------------------------------------
 */

/* Implements config_backup_tls_fn. */
int daemon_ssh_check(const struct config_ssh *s, char why[static CONFIG_MODULE_WHY_STRLEN]);
int daemon_backup_check(const struct config_backup_tls *b,
			char why[static CONFIG_MODULE_WHY_STRLEN]);
/* Tells the services of what their connections to the backup share. Before anybody uses them. */
int daemon_backup_open(struct daemon *d);
void daemon_backup_close(struct daemon *d);
/* Asks the backups of services that are TLS whether they would be believed. */
int daemon_backup_watch(struct daemon *d);
/* Static text: why a takeover would not find a backup that is believed; NULL: it would. @why, of
 * METRICS_HTTP_WHY_STRLEN, says more; it may be NULL. */
const char *daemon_backup_not_ready(struct daemon *d, uint32_t server, char *why);
void daemon_backup_publish(struct daemon *d);

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
