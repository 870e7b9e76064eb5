/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * config: the text of the operator to a validated struct.
 *
 * YAML subset: no anchors, aliases, tags, duplicate keys, second documents. One
 * table describes every key (type, unit, default, bounds); scalars are typed by
 * that table, never guessed. Unknown keys are errors with a did-you-mean. All
 * errors of a file are reported at once, each as
 *	file:line:col: what is wrong
 *	  the source line
 *	       ^
 * Durations need a unit (us, ms, s, m, h), sizes too (B, KiB, MiB, GiB).
 */
#ifndef APPLIANCE_CONFIG_H
#define APPLIANCE_CONFIG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/bytes.h"
#include "base/log.h"
#include "base/netaddr.h"
#include "config-text/config-report.h"

enum config_fence_policy {
	CONFIG_FENCE_NONE,     /* a command, if there is one, is not run */
	CONFIG_FENCE_PARALLEL, /* the command is run; the takeover does not wait for it */
	CONFIG_FENCE_REQUIRED, /* without exit status 0 in time there is no takeover */
};

enum config_rehearsal {
	CONFIG_REHEARSAL_OFF, /* readiness does not depend on it */
	CONFIG_REHEARSAL_ON,
};

/* What to do with an unanswered request whose processing may have had effects. */
enum config_replay {
	CONFIG_REPLAY_IDEMPOTENT, /* asked again if the protocol says that repeating does no harm */
	CONFIG_REPLAY_ALL,
	CONFIG_REPLAY_NONE,
};

enum config_login {
	CONFIG_LOGIN_REFUSE,
	CONFIG_LOGIN_REPLAY, /* a login that was seen may be repeated towards the backup */
};

/* Whether keys of a service's sessions are kept (keyvault), and when they are opened. */
enum config_keys {
	CONFIG_KEYS_OFF,
	CONFIG_KEYS_SEALED, /* at a takeover */
	CONFIG_KEYS_LIVE,   /* as they come */
};

/* Who has to approve that keys are opened at a takeover. */
enum config_approve {
	CONFIG_APPROVE_NOBODY,
	CONFIG_APPROVE_OPERATOR,
};

/* How the backup is spoken to about connections that were in TLS. */
enum config_backup_tls_mode {
	CONFIG_BACKUP_TLS,
	CONFIG_BACKUP_PLAIN,
};

struct config_backup_tls {
	enum config_backup_tls_mode mode;
	char *ca;      /* NULL: the system's */
	char *name;    /* that the certificate has to be for; NULL: that each client asked for */
	uint16_t port; /* where it is asked about continued connections; default: the service's */
};

/* Bounds of the verdict on a server, see health.h. */
#define CONFIG_FALL_MAX   64 /* of `fall` and `rise` */
#define CONFIG_PROBES_MAX 64 /* addresses times services */
#define CONFIG_ROUNDS_MAX 64 /* rounds open at once: timeout / interval + 2 */

struct config_health {
	int64_t interval_ns, timeout_ns;
	uint32_t fall, rise;
};

/* Of a service that speaks SSH. Lists end with NULL; NULL: there is none. */
struct config_ssh {
	char *user_ca;       /* private key that signs certificates for logins on the backup */
	char **host_keys;    /* private keys of the server, and of its backup */
	char **exec_restart; /* commands that may be run again, as patterns */
	char *shell;         /* a command in place of the user's shell; NULL: that */
};
#define CONFIG_HOST_KEYS_MAX 8

struct config_service {
	uint16_t port;
	char *protocol; /* module name */
	enum config_replay replay;
	enum config_login login;
	char *notice;  /* NULL: none */
	char *upgrade; /* module name, NULL: none */
	char *adopt;   /* socket of the program that adopts the connections; NULL: none */
	enum config_keys keys;
	uint64_t retain; /* bytes of each direction that a module may keep to the end */
	struct config_backup_tls backup_tls;
	struct config_ssh ssh;
};

struct config_vault {
	struct endpoint address;
};

/* A recovery identity: a file, credential:NAME or pkcs11:URI of each. */
struct config_identity {
	char *certificate, *key;
};

/* Where the keys of sessions come from. vault_count 0: there is none. */
struct config_keyvault {
	struct config_vault *vaults;
	uint32_t vault_count;
	char *certificate, *key; /* the recovery identity's */
	char *ca;
	char *crl;                      /* NULL: nobody is revoked */
	struct config_identity *former; /* before rotations */
	uint32_t former_count;
	int64_t deadline_ns; /* what the keys of a takeover may take; default 2s */
	enum config_approve approve;
	int64_t approve_timeout_ns; /* default 1m */
};

struct config_backup {
	struct netaddr address;
};

struct config_server {
	char *name;                /* [A-Za-z0-9_-], at most 32 */
	struct netaddr *addresses; /* all protected addresses */
	uint32_t address_count;
	char *interface;               /* of the takeover; default: the first capture interface */
	struct config_backup *backups; /* at least one for each address family */
	uint32_t backup_count;
	char **fence_command; /* NULL-terminated; NULL: none */
	int64_t fence_timeout_ns;
	enum config_fence_policy fence_policy;
	struct config_service *services;
	uint32_t service_count;
	struct config_health health;
};

struct config {
	/* appliance */
	char *state_dir, *control_socket, *modules_dir;
	enum log_format log;
	/* capture */
	char **interfaces;
	uint32_t interface_count;
	uint32_t workers;
	uint64_t ring_bytes;
	uint64_t buffer_bytes; /* capture.buffer: ceiling of stream bytes, per worker; default
				  256MiB */
	uint64_t spill_bytes; /* capture.spill: longer logs of a connection go to the store; 4MiB */
	uint32_t max_flows;   /* capture.max_flows, per worker; default 200000 */
	/* store */
	int64_t store_interval_ns; /* store.interval; default 10ms */
	uint64_t store_bytes;      /* store.size: ceiling of the environment; default 1GiB */
	/* recovery */
	uint32_t recovery_threads; /* recovery.threads; default 1 */
	int64_t probe_timeout_ns;  /* recovery.probe_timeout: how long a client may take to answer;
				      default 50ms */
	enum config_rehearsal rehearsal; /* recovery.rehearsal: of the firewall; default on */
	/* Metrics; addr.family NETADDR_NONE: off. */
	struct endpoint metrics_listen;
	struct config_keyvault keyvault;
	struct config_server *servers;
	uint32_t server_count;
};

/*
 * Bounds of the rings' packet filter, which contains all protected addresses. The kernel limits the
 * program to 4096 instructions. It limits what it makes of the program to net.core.optmem_max
 * bytes: 128 KiB by default since Linux 6.9, 20 KiB before. The other constants are the most that
 * the filter and each address cost (ring-filter.h; the bytes measured, Linux 6.18).
 */
#define CONFIG_FILTER_MAX         4096
#define CONFIG_FILTER_FIXED       64
#define CONFIG_FILTER_V4          3
#define CONFIG_FILTER_V6          20
#define CONFIG_FILTER_MAX_BYTES   131072
#define CONFIG_FILTER_FIXED_BYTES 1280
#define CONFIG_FILTER_V4_BYTES    42
#define CONFIG_FILTER_V6_BYTES    240

#define CONFIG_MODULE_WHY_STRLEN 256

/*
 * Tells whether there is a recovery module for @protocol of @c. Returns 0, or a negative errno with
 * the reason in @why, one line. A callback, so that the text can be parsed without the modules.
 */
typedef int (*config_module_fn)(void *ctx, const struct config *c, const char *protocol,
				char why[static CONFIG_MODULE_WHY_STRLEN]);

/* The same of the keyvault's certificates and keys: tells whether they are there and belong
 * together. */
typedef int (*config_keyvault_fn)(const struct config_keyvault *k,
				  char why[static CONFIG_MODULE_WHY_STRLEN]);

/* Tells whether the certificates can be read by which the service's backups are believed. */
typedef int (*config_backup_tls_fn)(const struct config_backup_tls *b,
				    char why[static CONFIG_MODULE_WHY_STRLEN]);

/* Tells whether the keys of such a service can be read, and by nobody else. */
typedef int (*config_ssh_fn)(const struct config_ssh *s, char why[static CONFIG_MODULE_WHY_STRLEN]);

/* What is asked of this host; each may be NULL. */
struct config_checks {
	config_module_fn module;
	void *ctx; /* of module */
	config_keyvault_fn keyvault;
	config_backup_tls_fn backup_tls; /* of services that name a `ca` */
	config_ssh_fn ssh;               /* of services that speak it */
};

/*
 * Parses text into a struct, without I/O. @name is the file's name in messages. Returns CONFIG_*,
 * or -ENOMEM.
 */
int config_parse(struct bytes text, const char *name, FILE *errors, struct config **ret);
/*
 * Reads the file and parses it. Returns CONFIG_*, or a negative errno when the file cannot be read.
 */
int config_load(const char *path, FILE *errors, struct config **ret);
/* As config_load(). What @checks refuse is an error of the file like any other. NULL: nothing of
 * this host is looked at. */
int config_load_checked(const char *path, const struct config_checks *checks, FILE *errors,
			struct config **ret);
struct config *config_free(struct config *c); /* NULL is fine; returns NULL */

/* The defaults of a server's health and of a service. */
struct config_health config_default_health(void);
struct config_service config_default_service(void);

/*
 * The backup for connections of an address family. config_check() guarantees one for each address.
 */
const struct config_backup *config_backup_for(const struct config_server *s, uint8_t family);

/* The server's service on @port; NULL: there is none. */
const struct config_service *config_service_on(const struct config_server *s, uint16_t port);

/* The longest time until a death is noticed: (fall * interval) + timeout. */
int64_t config_detection_bound_ns(const struct config_health *h);

/* Upper bound of the interfaces that are captured or that a server is taken over on. */
#define CONFIG_PORTS_MAX 32

/*
 * Writes the first @max interfaces to @out that a server is taken over on but that are not
 * captured. Each comes once, in the order of the servers. Returns how many there are.
 */
uint32_t config_listens(const struct config *c, const char **out, uint32_t max);

/* The effective configuration as YAML, defaults included. */
void config_dump(const struct config *c, FILE *out);

/* The net.core.optmem_max that the filter of @v4 and @v6 addresses needs. */
static inline uint32_t config_filter_bytes(uint32_t v4, uint32_t v6)
{
	return CONFIG_FILTER_FIXED_BYTES + v4 * CONFIG_FILTER_V4_BYTES +
	       v6 * CONFIG_FILTER_V6_BYTES;
}

/* Formats a duration for people: "300ms", "1.5s". Writes at most @size bytes, terminated. */
const char *config_format_duration(int64_t ns, char *out, size_t size);

#endif
