/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover: the thread that takes over dead servers, and keeps what it took.
 *
 * Takeovers go on side by side, step by step. None waits for another, and held addresses are kept
 * meanwhile. The top of failover-run.c tells the order of one takeover.
 */
#ifndef APPLIANCE_FAILOVER_H
#define APPLIANCE_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#include "adopt/adopt.h"
#include "config/config.h"
#include "failover-account.h"
#include "firewall.h"
#include "join/join.h"
#include "watch/plan.h"
#include "worker/worker.h"

enum failover_state {
	FAILOVER_NONE,    /* the server serves */
	FAILOVER_WAITING, /* a takeover was asked for; others come first */
	FAILOVER_RUNNING, /* being taken over */
	FAILOVER_HELD,    /* the box holds its address */
	FAILOVER_ABORTED, /* called off before the address was taken */
	FAILOVER_STATE_COUNT_,
};

/* Phases of a takeover. Each has a time in the timeline. */
enum failover_phase {
	FAILOVER_DETECTED,   /* the verdict, or the operator's order */
	FAILOVER_FENCE,      /* the fence program ended, or was started (parallel) */
	FAILOVER_GUARD,      /* packets to the address are held back */
	FAILOVER_ADDRESS,    /* address added, first announcement sent */
	FAILOVER_PROBES,     /* all clients were asked */
	FAILOVER_SOCKETS,    /* the first wave is restored or refused */
	FAILOVER_OPEN,       /* the guard is open: clients and sockets talk */
	FAILOVER_FIRST_BYTE, /* a client's socket took the first byte */
	FAILOVER_PHASE_COUNT_,
};

struct failover_summary {
	char id[64];      /* "web1-1763696201123": server and start, milliseconds since the epoch */
	int64_t alive_ns; /* CLOCK_MONOTONIC: last sign of life; zero of the timeline */
	int64_t at_ns[FAILOVER_PHASE_COUNT_]; /* CLOCK_MONOTONIC; 0: it did not happen */
	uint32_t live, unanswered;
	/* At this moment; the sum is `live` when all fates are decided. */
	struct account_numbers account;
	const char *aborted; /* why it was called off, static text; NULL: it was not */
	bool false_alarm;    /* it was called off because the server lives */
};

struct failover_cause;

struct failover_observer {
	void *ctx;
	/* Called in the failover thread unless stated otherwise. Must not block. */
	void (*state)(void *ctx, uint32_t server, enum failover_state state);
	/* The address is ours, and clients are asked: it is not called off any more. May be NULL.
	 */
	void (*taking)(void *ctx, uint32_t server, const char *id,
		       const struct failover_cause *cause);
	void (*connection)(void *ctx, uint32_t server, const struct watch_service *service,
			   const struct endpoint *client, const struct plan *plan);
	/*
	 * @n connections have their final fate, so never FATE_CONTINUING. Called in the failover
	 * thread, a join's, or the adopter's.
	 */
	void (*settled)(void *ctx, uint32_t server, const char *protocol, enum fate fate,
			uint32_t n);
	/* The box has reset a restored connection, proven or not. Called in the same threads. */
	void (*join_aborted)(void *ctx, uint32_t server, const char *reason);
	void (*address_conflict)(void *ctx, uint32_t server);
	void (*fenced)(void *ctx, uint32_t server, bool ok);
	/* Whether a silent server has answered since the verdict. Asked before a fence and
	 * before the address is taken. */
	bool (*answered)(void *ctx, uint32_t server);
	/* The takeover is over, or was called off. Connections may still be continuing. */
	void (*done)(void *ctx, uint32_t server, const struct failover_summary *s);
	/* Comes after that: no connection is continuing any more. */
	void (*all_settled)(void *ctx, uint32_t server, const struct failover_summary *s);
};

/*
 * Lends the keys of connections that are continued only with them (plan.if_keys). Called in the
 * failover thread, its pool, and the joins'.
 */
struct failover_keys {
	void *ctx;
	/* Whether it is settled that they are there, or are not. Until then the connection waits,
	 * its client behind the guard; failover_keys_decided() tells of it. */
	bool (*decided)(void *ctx, const struct endpoint *server, const struct endpoint *client);
	/* Returns the lease; NULL, and *ret_reason, static text: there are none. */
	void *(*lend)(void *ctx, const struct endpoint *server, const struct endpoint *client,
		      struct jeebs_keys **ret_keys, const struct jeebs_crypto_ops **ret_crypto,
		      const char **ret_reason);
	/* The connection is over, or not continued. */
	void (*end)(void *ctx, void *lease);
	int64_t patience_ns; /* nobody waits longer */
};

struct failover_config {
	const struct config *config; /* all pointers here outlive the thread */
	struct worker **workers;
	uint32_t worker_count;
	const struct evidence *evidence; /* by server */
	const struct watch_service *services;
	uint32_t service_count;
	struct join_pool *joins;
	struct adopter *adopter; /* NULL: no service names a program that adopts */
	struct firewall *firewall;
	struct failover_keys keys; /* lend NULL: there are none */
	struct failover_observer observer;
};

struct failover;

/* Returns 0 or a negative errno. */
int failover_start(const struct failover_config *cfg, struct failover **ret);
/*
 * The end has this order. failover_halt(): no takeover begins or goes on. Then the caller frees the
 * join pool, so that clients get their RST while the box has the address. Then failover_free():
 * gives back addresses, rules and forwarding. NULL is fine; failover_free() returns NULL.
 */
void failover_halt(struct failover *f);
struct failover *failover_free(struct failover *f);

/* Why a takeover is asked for. */
struct failover_cause {
	const char *reason; /* "host-down", "operator"; static text */
	int64_t alive_ns;   /* CLOCK_MONOTONIC: last sign of life */
	/* The server has fallen silent by itself. Otherwise (operator) it must be fenced, and
	 * the box asks for the address before it takes it. */
	bool silent;
};

/* Queues a takeover. Returns 0, or -EALREADY: waiting, running or held. Thread-safe. */
int failover_request(struct failover *f, uint32_t server, const struct failover_cause *cause);
enum failover_state failover_state(const struct failover *f, uint32_t server);
/*
 * Whether a takeover waits, runs, or holds the address. Then the server's own state means nothing.
 */
bool failover_is_on(enum failover_state s);
/* Reads the current account of the server's last takeover. Thread-safe. */
void failover_account(struct failover *f, uint32_t server, struct account_numbers *ret);
/* Of keys of @server it is settled whether they are there. Thread-safe. */
void failover_keys_decided(struct failover *f, uint32_t server);
/* How many servers' addresses the box holds. Thread-safe. */
uint32_t failover_held_count(const struct failover *f);

const char *failover_state_name(enum failover_state s);

/*
 * At start: checks that this kernel can do what a takeover needs. Raises a guard for the first
 * server and takes it down again. Nobody notices, because packets to the address do not reach the
 * box yet. A modular kernel loads its modules for it, which it would otherwise do in the first
 * takeover. Returns 0, or a negative errno with *ret_what (static text): what it cannot do.
 */
int failover_preflight(const struct config *c, const char **ret_what);

/*
 * At start: removes rules and addresses that an earlier process has left, and logs that. Returns 0
 * or a negative errno. -EADDRINUSE: a protected address is this host's own.
 */
int failover_cleanup_stale(const struct config *c);

#endif
