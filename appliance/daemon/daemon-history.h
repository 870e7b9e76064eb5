/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * daemon-history: the last takeovers and what became of their connections. Private to the
 * daemon. The failover thread writes, control reads.
 */
#ifndef APPLIANCE_DAEMON_HISTORY_H
#define APPLIANCE_DAEMON_HISTORY_H

#include <jansson.h>
#include <pthread.h>

#include "failover/failover.h"

#define HISTORY_MAX 64

struct history_entry {
	uint32_t server;
	bool settled; /* nobody is continuing any more: the summary's account is the last word */
	struct failover_summary summary;
};

struct history {
	pthread_mutex_t lock;                /* protects the rest */
	struct history_entry v[HISTORY_MAX]; /* oldest first */
	uint32_t n;
};

void history_init(struct history *h);
void history_deinit(struct history *h);
/* A takeover is over, or was called off; beyond HISTORY_MAX the oldest goes. */
void history_add(struct history *h, uint32_t server, const struct failover_summary *s);
/* Its last word. */
void history_settled(struct history *h, uint32_t server, const struct failover_summary *s);
/*
 * An array, oldest first; NULL: no memory. @now tells the account of a server's takeover that is
 * not settled; @name is by server.
 */
json_t *history_json(struct history *h,
		     void (*now)(void *ctx, uint32_t server, struct account_numbers *ret),
		     const char *(*name)(void *ctx, uint32_t server), void *ctx);

#endif
