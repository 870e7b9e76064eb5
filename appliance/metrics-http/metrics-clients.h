/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-clients: who is connected to the metrics port, and who has to go.
 *
 * Every client is accepted. When the last place is taken, a client has to leave: of the peer that
 * has most clients, the one that has been connected longest. A request must be asked and answered
 * within one deadline, however busily its bytes drip. This file only keeps account; the caller
 * closes.
 */
#ifndef APPLIANCE_METRICS_CLIENTS_H
#define APPLIANCE_METRICS_CLIENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/netaddr.h"

#define METRICS_CLIENTS_MAX         128
#define METRICS_CLIENTS_DEADLINE_NS (10 * NS_PER_S)

enum metrics_client_state {
	METRICS_CLIENT_NONE, /* the place is free */
	METRICS_CLIENT_HERE,
	METRICS_CLIENT_LEAVING, /* is to leave; its connection is being closed */
};

struct metrics_client {
	enum metrics_client_state state;
	struct netaddr peer;
	uint32_t of_peer; /* how many present clients have the same peer */
	int fd;           /* borrowed */
	int64_t since_ns; /* when the connection began, or its last request was answered */
};

struct metrics_clients {
	uint32_t here;
	struct metrics_client v[METRICS_CLIENTS_MAX];
};

/* Returns the new client's place, or NULL when all places are taken. */
struct metrics_client *metrics_clients_add(struct metrics_clients *t, const struct netaddr *peer,
					   int fd, int64_t now_ns);
/*
 * When all places are taken, marks the client that has to leave and returns it. Otherwise returns
 * NULL.
 */
struct metrics_client *metrics_clients_crowded(struct metrics_clients *t);
/*
 * Marks a client whose deadline has passed as leaving, and returns it. If there is none, returns
 * NULL with the next deadline in *ret_next_ns (INT64_MAX: there is none).
 */
struct metrics_client *metrics_clients_late(struct metrics_clients *t, int64_t now_ns,
					    int64_t *ret_next_ns);
/* Frees the place of a client whose connection is closed. */
void metrics_client_gone(struct metrics_clients *t, struct metrics_client *c);

static inline void metrics_client_answered(struct metrics_client *c, int64_t now_ns)
{
	c->since_ns = now_ns;
}

#endif
