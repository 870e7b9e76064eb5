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

enum config_fence_policy {
	CONFIG_FENCE_NONE,     /* the command, if any, is not called */
	CONFIG_FENCE_PARALLEL, /* called; the takeover does not wait for it */
	CONFIG_FENCE_REQUIRED, /* must exit 0 in time, or there is no takeover */
};

enum config_rehearsal {
	CONFIG_REHEARSAL_OFF, /* readiness does not ask for it */
	CONFIG_REHEARSAL_ON,
};

/* What a client asked and nobody answered, when its answer may have had effects. */
enum config_replay {
	CONFIG_REPLAY_IDEMPOTENT, /* asked again where the protocol says it does no harm */
	CONFIG_REPLAY_ALL,
	CONFIG_REPLAY_NONE,
};

enum config_login {
	CONFIG_LOGIN_REFUSE,
	CONFIG_LOGIN_REPLAY, /* a login that was watched may be repeated towards the backup */
};

/* What the verdict on a server can hold: health.h. */
#define CONFIG_FALL_MAX   64 /* of `fall` and `rise` */
#define CONFIG_PROBES_MAX 64 /* addresses times services */
#define CONFIG_ROUNDS_MAX 64 /* open at once: timeout / interval + 2 */

struct config_health {
	int64_t interval_ns, timeout_ns;
	uint32_t fall, rise;
};

struct config_service {
	uint16_t port;
	char *protocol; /* module name */
	enum config_replay replay;
	enum config_login login;
	char *notice;    /* NULL: none */
	char *upgrade;   /* module name, NULL: none */
	char *adopt;     /* socket of the program that adopts connections, NULL: none */
	uint64_t retain; /* bytes of each direction that a module may keep for good */
};

struct config_backup {
	struct netaddr address;
};

struct config_server {
	char *name;                /* [A-Za-z0-9_-], at most 32 */
	struct netaddr *addresses; /* all protected addresses */
	uint32_t address_count;
	char *interface; /* where they are taken over; default: the first capture interface */
	struct config_backup *backups; /* at least one for each family of addresses */
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
	uint64_t buffer_bytes; /* capture.buffer: what streams of one worker may hold; default
				  256MiB */
	uint64_t spill_bytes;  /* capture.spill: a longer log of a client goes to the store; 4MiB */
	uint32_t max_flows;    /* capture.max_flows, per worker; default 200000 */
	/* store */
	int64_t store_interval_ns; /* store.interval; default 10ms */
	uint64_t store_bytes;      /* store.size: ceiling of the environment; default 1GiB */
	/* recovery */
	uint32_t recovery_threads; /* recovery.threads; default 1 */
	int64_t probe_timeout_ns;  /* recovery.probe_timeout: how long a client's answer is waited
				      for; default 50ms */
	enum config_rehearsal rehearsal; /* recovery.rehearsal: of the firewall; default on */
	/* metrics; listen.addr.family NETADDR_NONE: off */
	struct endpoint metrics_listen;
	struct config_server *servers;
	uint32_t server_count;
};

/*
 * All protected addresses are in the filter of each ring. The kernel limits its program to 4096
 * instructions, and what it makes of them to net.core.optmem_max bytes: 128 KiB by default since
 * Linux 6.9, 20 KiB before. What an address costs of both, at most (measured, libpcap 1.10).
 */
#define CONFIG_FILTER_MAX         4096
#define CONFIG_FILTER_FIXED       64
#define CONFIG_FILTER_V4          6
#define CONFIG_FILTER_V6          36
#define CONFIG_FILTER_MAX_BYTES   131072
#define CONFIG_FILTER_FIXED_BYTES 1024
#define CONFIG_FILTER_V4_BYTES    58
#define CONFIG_FILTER_V6_BYTES    2080

#define CONFIG_MODULE_WHY_STRLEN 256

/*
 * Whether there is a recovery module for @protocol of @c: 0, or a negative errno and why not in
 * @why, one line. A seam: the text is understood without the modules.
 */
typedef int (*config_module_fn)(void *ctx, const struct config *c, const char *protocol,
				char why[static CONFIG_MODULE_WHY_STRLEN]);

enum config_outcome {
	CONFIG_OK = 0,
	CONFIG_INVALID = 1, /* errors were written to @errors */
};

/* The pure half: text to struct. @name is what messages call the file. CONFIG_*, or -ENOMEM. */
int config_parse(struct bytes text, const char *name, FILE *errors, struct config **ret);
/* Reads the file and parses it. CONFIG_*, or negative errno when it cannot be read. */
int config_load(const char *path, FILE *errors, struct config **ret);
/* As config_load(); a protocol that @check refuses is an error of the file like any other. */
int config_load_checked(const char *path, config_module_fn check, void *ctx, FILE *errors,
			struct config **ret);
struct config *config_free(struct config *c); /* NULL is fine; returns NULL */

/* What a server's health and a service are of which the file says nothing more. */
struct config_health config_default_health(void);
struct config_service config_default_service(void);

/* The backup for connections of an address family; the checks guarantee one for each address. */
const struct config_backup *config_backup_for(const struct config_server *s, uint8_t family);

/* How long a server may be dead before it is noticed, at most: (fall * interval) + timeout. */
int64_t config_detection_bound_ns(const struct config_health *h);

/* Interfaces that are captured, or that a server is taken over on. */
#define CONFIG_PORTS_MAX 32

/*
 * The interfaces that a server is taken over on and that are not captured, each once, in the order
 * of the servers: the first @max of them to @out. Returns how many there are.
 */
uint32_t config_listens(const struct config *c, const char **out, uint32_t max);

/* The effective configuration as YAML, defaults included. */
void config_dump(const struct config *c, FILE *out);

/* What net.core.optmem_max must be for the filter of @v4 and @v6 addresses. */
static inline uint32_t config_filter_bytes(uint32_t v4, uint32_t v6)
{
	return CONFIG_FILTER_FIXED_BYTES + v4 * CONFIG_FILTER_V4_BYTES +
	       v6 * CONFIG_FILTER_V6_BYTES;
}

/* "300ms", "1.5s" ... for people; writes at most @size bytes and terminates. */
const char *config_format_duration(int64_t ns, char *out, size_t size);

#endif
