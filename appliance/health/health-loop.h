/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * health-loop: the thread that probes all protected servers and hands verdicts on.
 *
 * It owns one struct health and the probe sockets per server; the pure verdict is
 * in health.h. Evidence of the wire comes from the workers as atomics.
 */
#ifndef APPLIANCE_HEALTH_LOOP_H
#define APPLIANCE_HEALTH_LOOP_H

#include "config/config.h"
#include "health.h"
#include "watch/endings.h"
#include "watch/evidence.h"
#include "watch/watch.h"

/* One service of a server, by value. */
struct health_service {
	struct endpoint endpoint;
	bool down;
	/* Connections that it ended itself when it died, the total of all deaths. */
	struct ending_counts died;
	/* The same, since it last accepted a connect, dead or not. */
	struct ending_counts ended;
	int64_t accepted_ns; /* CLOCK_MONOTONIC: start of that connect; 0: never */
};

struct health_observer {
	void *ctx;
	/* Called in the loop's thread; must not block. @alive_ns: last sign of life,
	 * CLOCK_MONOTONIC. */
	void (*verdict)(void *ctx, uint32_t server, enum health_verdict v, enum health_rule rule,
			int64_t alive_ns);
	/* A service went down, or came back. The numbers are those of health_loop_service(). */
	void (*service)(void *ctx, uint32_t server, const struct health_service *s);
	void (*lag)(void *ctx, int64_t lag_ns);
};

struct health_loop_config {
	const struct config *config;          /* outlives the loop, and so does evidence */
	struct evidence *evidence;            /* by server */
	const struct watch_service *services; /* @service_count of them, with their ... */
	const struct endings *endings;
	uint32_t service_count;
	struct health_observer observer;
};

/* What is known about a server, by value. */
struct health_view {
	enum health_state state;
	enum health_rule rule;             /* the rule that suppresses a verdict now */
	enum health_result neighbour, tcp; /* last results */
	uint32_t failed_rounds;
	bool hold;
	struct health_stats stats;
};

struct health_loop;

/* How many connects may still be answered at once: the number of descriptors. */
uint32_t health_loop_probes(const struct config_server *c);
/* Returns 0 or a negative errno; *ret_interface is the interface that could not be used, or "-". */
int health_loop_start(const struct health_loop_config *cfg, struct health_loop **ret,
		      const char **ret_interface);
struct health_loop *health_loop_stop(struct health_loop *l); /* NULL is fine; returns NULL */

/* The following may be called from any thread. */
void health_loop_view(struct health_loop *l, uint32_t server, struct health_view *ret);
/* Reads the server's service @index. Returns false beyond the last one. */
bool health_loop_service(struct health_loop *l, uint32_t server, uint32_t index,
			 struct health_service *ret);
void health_loop_hold(struct health_loop *l, uint32_t server, bool on);
/* The takeover was called off: the server is SUSPECT again, after a pause without probes. */
void health_loop_retry(struct health_loop *l, uint32_t server, int64_t pause_ns);
/* The takeover has begun: probing stops. Probes that were sent may still be answered. */
void health_loop_pause(struct health_loop *l, uint32_t server);
/*
 * Whether a paused server has answered since it was paused, or since the last call. Called before
 * its address is taken: a server that answers, however late, lives.
 */
bool health_loop_answered(struct health_loop *l, uint32_t server);
/* The box has the address: answers do not count any more. */
void health_loop_taken(struct health_loop *l, uint32_t server);

#endif
