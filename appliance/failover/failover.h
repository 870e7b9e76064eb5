/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover: the thread that takes over dead servers and keeps what it took.
 *
 * Takeovers go on side by side, step by step: none waits for another, and what is held is
 * kept meanwhile. The order of one is told on top of failover-run.c.
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
	FAILOVER_WAITING, /* a takeover was asked for, and others go first */
	FAILOVER_RUNNING, /* being taken over */
	FAILOVER_HELD,    /* its address is ours */
	FAILOVER_ABORTED, /* called off before its address moved */
	FAILOVER_STATE_COUNT_,
};

/* Phases of a takeover; each has a moment in the timeline. */
enum failover_phase {
	FAILOVER_DETECTED,   /* the verdict, or the operator's word */
	FAILOVER_FENCE,      /* the fence program ended, or was started (parallel) */
	FAILOVER_GUARD,      /* packets to the address are held back */
	FAILOVER_ADDRESS,    /* address added, first announcement sent */
	FAILOVER_PROBES,     /* all clients asked */
	FAILOVER_SOCKETS,    /* the first wave is restored or refused */
	FAILOVER_OPEN,       /* guard open: clients and sockets talk */
	FAILOVER_FIRST_BYTE, /* a client's socket took the first byte */
	FAILOVER_PHASE_COUNT_,
};

struct failover_summary {
	char id[64];      /* "web1-1763696201123": server and start, milliseconds since the epoch */
	int64_t alive_ns; /* CLOCK_MONOTONIC: last proof of life; the zero of the timeline */
	int64_t at_ns[FAILOVER_PHASE_COUNT_]; /* CLOCK_MONOTONIC; 0: did not happen */
	uint32_t live, unanswered;
	struct account_numbers account; /* at this moment; adds up to live when all is decided */
	const char *aborted;            /* why it was called off, static; NULL: it was not */
	bool false_alarm;               /* because the server lives */
};

struct failover_observer {
	void *ctx;
	/* In the failover thread, or where said otherwise; must not block. */
	void (*state)(void *ctx, uint32_t server, enum failover_state state);
	void (*connection)(void *ctx, uint32_t server, const struct watch_service *service,
			   const struct endpoint *client, const struct plan *plan);
	/*
	 * @n connections have their fate; FATE_CONTINUING never comes here. In the failover thread,
	 * a join's, or the adopter's.
	 */
	void (*settled)(void *ctx, uint32_t server, const char *protocol, enum fate fate,
			uint32_t n);
	/* A restored connection ended by a reset of ours, proven or not. Likewise. */
	void (*join_aborted)(void *ctx, uint32_t server, const char *reason);
	void (*address_conflict)(void *ctx, uint32_t server);
	void (*fenced)(void *ctx, uint32_t server, bool ok);
	/* Has a silent server answered since the verdict? Before a fence and before the address is
	 * taken. */
	bool (*answered)(void *ctx, uint32_t server);
	/* The takeover is over, or was called off; connections may still be continuing. */
	void (*done)(void *ctx, uint32_t server, const struct failover_summary *s);
	/* After that: nobody is continuing any more. */
	void (*all_settled)(void *ctx, uint32_t server, const struct failover_summary *s);
};

struct failover_config {
	const struct config *config; /* all of these outlive the thread */
	struct worker **workers;
	uint32_t worker_count;
	const struct evidence *evidence; /* by server */
	const struct watch_service *services;
	uint32_t service_count;
	struct join_pool *joins;
	struct adopter *adopter; /* NULL: no service has a program that adopts */
	struct firewall *firewall;
	struct failover_observer observer;
};

struct failover;

/* 0 or negative errno. */
int failover_start(const struct failover_config *cfg, struct failover **ret);
/*
 * In this order at the end: halt (no takeover begins or goes on), then the caller
 * frees the join pool, so that clients get their RST while the address is ours, then
 * free: addresses, rules and forwarding are taken back. NULL is fine; free returns NULL.
 */
void failover_halt(struct failover *f);
struct failover *failover_free(struct failover *f);

/* Why a takeover is asked for. */
struct failover_cause {
	const char *reason; /* "host-down", "operator"; static */
	int64_t alive_ns;   /* CLOCK_MONOTONIC: last proof of life */
	/* The verdict rests on a server that has fallen silent; else (operator) it must be
	 * fenced, and its address is asked for before it is taken. */
	bool silent;
};

/* Queues a takeover. 0, -EALREADY: waiting, running or held. Thread-safe. */
int failover_request(struct failover *f, uint32_t server, const struct failover_cause *cause);
enum failover_state failover_state(const struct failover *f, uint32_t server);
/* Asked for, running or held: the server's own state says nothing any more. */
bool failover_is_on(enum failover_state s);
/* What becomes of the connections of the server's last takeover, now. Thread-safe. */
void failover_account(struct failover *f, uint32_t server, struct account_numbers *ret);
/* Servers whose address is ours. Thread-safe. */
uint32_t failover_held_count(const struct failover *f);

const char *failover_state_name(enum failover_state s);

/*
 * At start: can this kernel do what a takeover needs? Raises a guard on the first
 * server and takes it down again (packets to the address are not the box's yet, so
 * nobody notices), which also loads what a modular kernel would load in the first
 * takeover. 0; negative errno with *ret_what (static): what it cannot.
 */
int failover_preflight(const struct config *c, const char **ret_what);

/*
 * At start: removes rules and addresses an earlier run left behind, aloud. 0 or
 * negative errno; -EADDRINUSE: an address to be protected is this host's own.
 */
int failover_cleanup_stale(const struct config *c);

#endif
