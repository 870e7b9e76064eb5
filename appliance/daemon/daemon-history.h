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
	bool settled; /* no connection is continuing any more, so the summary is final */
	struct failover_summary summary;
};

struct history {
	pthread_mutex_t lock;                /* protects the members below */
	struct history_entry v[HISTORY_MAX]; /* the oldest first */
	uint32_t n;
};

void history_init(struct history *h);
void history_deinit(struct history *h);
/* Adds a takeover that is over, or was called off. Beyond HISTORY_MAX the oldest is removed. */
void history_add(struct history *h, uint32_t server, const struct failover_summary *s);
/* Replaces the summary by the final one. */
void history_settled(struct history *h, uint32_t server, const struct failover_summary *s);
/*
 * Returns an array, the oldest first; NULL: no memory. @now reads the account of a takeover that is
 * not settled. @name is by server.
 */
json_t *history_json(struct history *h,
		     void (*now)(void *ctx, uint32_t server, struct account_numbers *ret),
		     const char *(*name)(void *ctx, uint32_t server), void *ctx);

#endif
