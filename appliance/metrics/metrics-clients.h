/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * metrics-clients: who is connected to the metrics port, and who has to go.
 *
 * Whoever comes is let in. When the last place is taken, room is made by a client of the peer
 * that has most of them, by the one that has been at it for longest. A request is asked and
 * answered within a deadline as a whole, however busily its bytes drip. Bookkeeping only: the
 * caller closes.
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
	METRICS_CLIENT_LEAVING, /* told to go; its connection is being closed */
};

struct metrics_client {
	enum metrics_client_state state;
	struct netaddr peer;
	uint32_t of_peer; /* how many of the same peer are here */
	int fd;           /* borrowed */
	int64_t since_ns; /* the connection began, or its last request was answered */
};

struct metrics_clients {
	uint32_t here;
	struct metrics_client v[METRICS_CLIENTS_MAX];
};

/* Its place, or NULL when there is none. */
struct metrics_client *metrics_clients_add(struct metrics_clients *t, const struct netaddr *peer,
					   int fd, int64_t now_ns);
/* Whoever makes room for who comes next, from now on leaving; NULL: nobody has to. */
struct metrics_client *metrics_clients_crowded(struct metrics_clients *t);
/*
 * One whose deadline is over, from now on leaving. NULL: there is none, and *ret_next_ns is when
 * the next one's is, INT64_MAX: never.
 */
struct metrics_client *metrics_clients_late(struct metrics_clients *t, int64_t now_ns,
					    int64_t *ret_next_ns);
/* Its connection is closed: the place is free. */
void metrics_client_gone(struct metrics_clients *t, struct metrics_client *c);

static inline void metrics_client_answered(struct metrics_client *c, int64_t now_ns)
{
	c->since_ns = now_ns;
}

#endif
