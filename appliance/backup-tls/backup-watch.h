/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * backup-watch: asks backups from time to time for a handshake, on a thread of its own, so that it
 * is known before a takeover whether they would be believed. Nothing is said inside, and before it
 * what asks for TLS at most. The tickets that they give are kept for the takeover.
 *
 * A backup of which no name is configured is asked for none: whether its certificate is for what
 * clients will ask for, a takeover shows.
 */
#ifndef APPLIANCE_BACKUP_WATCH_H
#define APPLIANCE_BACKUP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "base/netaddr.h"

struct backup_tls;
struct backup_watch;

/* A reply in lines (RFC 5321 section 4.2, RFC 959 section 4.2), and what is said then. */
struct backup_watch_words {
	const char *code; /* three digits that the reply has to have */
	const char *say;  /* NULL: it was the last one, TLS begins */
};

struct backup_watch_target {
	uint32_t server;
	const char *server_name; /* borrowed, as is `tls` */
	uint16_t port;           /* of the service */
	struct endpoint backup;
	struct backup_tls *tls;
	/* Borrowed; how it is asked for TLS (STARTTLS). NULL: it speaks it from the first byte on.
	 */
	const struct backup_watch_words *words;
};

struct backup_watch_config {
	const struct backup_watch_target *targets; /* copied */
	uint32_t count;
	int64_t interval_ns; /* between two questions to one that is believed */
	int64_t retry_ns;    /* to one that is not */
	int64_t timeout_ns;  /* of a question */
};

#define BACKUP_WATCH_CONFIG_DEFAULT                                        \
	((struct backup_watch_config){.interval_ns = INT64_C(10000000000), \
				      .retry_ns = INT64_C(1000000000),     \
				      .timeout_ns = INT64_C(3000000000)})

#define BACKUP_WATCH_WHY_STRLEN 200

/* Returns 0 or a negative errno. */
int backup_watch_start(const struct backup_watch_config *c, struct backup_watch **ret);
/* NULL is fine; returns NULL. */
struct backup_watch *backup_watch_stop(struct backup_watch *w);
/*
 * Whether all backups of @server would be believed. If not, @why says which one would not and why:
 * "web1:443: backup 10.9.0.2: certificate has expired". NULL, or a server without any: yes.
 * Thread-safe.
 */
bool backup_watch_ready(struct backup_watch *w, uint32_t server,
			char why[static BACKUP_WATCH_WHY_STRLEN]);

#endif
