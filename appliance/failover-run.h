/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-run: one takeover of one server. Private to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_RUN_H
#define APPLIANCE_FAILOVER_RUN_H

#include <stdatomic.h>

#include "failover-asked.h"
#include "failover.h"
#include "fence.h"
#include "tcprepair.h"

/* What the box holds of one protected server; lives as long as the thread. */
struct failover_server {
	const struct failover_config *env;
	const struct config_server *cfg;
	const _Atomic bool *ending; /* the thread is to end: no address is taken any more */
	uint32_t index;             /* in the configuration; also the join group */
	_Atomic int state;          /* enum failover_state */
	struct guard *guard;
	struct link *link;
	bool forwarding[2]; /* switched on by us: IPv4, IPv6 */
	uint32_t addresses_added;
	int64_t announce_ns, renew_ns; /* next one due, CLOCK_MONOTONIC */
	uint32_t announced;
	int64_t conflict_logged_ns;
	_Atomic int64_t first_byte_ns; /* written by join threads */
	struct failover_run *run;      /* NULL: none under way */
};

struct failover_run {
	struct failover_summary summary;
	struct takeover_inbox inbox;
	struct asked_table asked;
	bool open; /* the guard is: joins may send, late flows must be let in */
	int64_t repeat_ns, give_up_ns, first_byte_until_ns;
	struct fence fence;
	bool fence_running;
};

/*
 * Takes the server over, up to the open guard, synchronously. 0: s->run is under
 * way and must be stepped; negative errno: called off, nothing remains, reported.
 */
int failover_run_begin(struct failover_server *s, const struct failover_cause *cause);
/* Late answers, repeated probes. True: over, reported, s->run freed. */
bool failover_run_step(struct failover_server *s, int64_t now_ns);

/* The thread ends: forgets a takeover under way. */
void failover_run_cancel(struct failover_server *s);

/*
 * Asks the link, from the box's own address, who has the server's: nobody but us may
 * answer. Answers come by link_receive().
 */
void failover_server_ask(struct failover_server *s);

/* Gives back address, rules and forwarding. Also after a takeover that was called off. */
void failover_server_release(struct failover_server *s);
void failover_server_set_state(struct failover_server *s, enum failover_state state);

/* ---- failover-connection.c ------------------------------------------------------------------ */

/* A TAKEOVER_READY item: restores, or refuses, as its plan says. The item stays the caller's. */
void failover_connection_settle(struct failover_server *s, struct takeover_item *item);
/* Nothing holds this client's packets back any longer (once the guard is open). */
void failover_connection_let_in(struct failover_server *s, const struct takeover_item *item);
/* The backup for connections of an address family; the configuration guarantees one. */
const struct config_backup *failover_backup_for(const struct config_server *cfg, uint8_t family);

#endif
