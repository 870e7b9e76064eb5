/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-run: one takeover of one server. Private to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_RUN_H
#define APPLIANCE_FAILOVER_RUN_H

#include <stdatomic.h>

#include "crew.h"
#include "failover-asked.h"
#include "failover-family.h"
#include "failover-refused.h"
#include "failover.h"
#include "fence.h"
#include "tcprepair.h"

/* Connections settled at once: so many answers are waited for by the first of them, at most. */
#define FAILOVER_BATCH 512

/* What the box holds of one protected server; lives as long as the thread. */
struct failover_server {
	const struct failover_config *env;
	const struct config_server *cfg;
	const _Atomic bool *ending; /* the thread is to end: no address is taken any more */
	struct crew *crew;
	uint32_t index;    /* in the configuration; also the join group */
	_Atomic int state; /* enum failover_state */
	struct guard *guard;
	struct link *link;
	bool forwarding[2]; /* switched on by us: IPv4, IPv6 */
	uint32_t addresses_added;
	int64_t announce_ns, renew_ns; /* next one due, CLOCK_MONOTONIC */
	uint32_t announced;
	int64_t conflict_logged_ns;
	struct refused_table refused;  /* outlives the run that refused them */
	_Atomic int64_t first_byte_ns; /* written by join threads */
	struct failover_run *run;      /* NULL: none under way */
};

struct failover_run {
	struct failover_summary summary;
	struct takeover_inbox inbox;
	struct asked_table asked;
	uint32_t unasked; /* live ones in workers' hands for which `asked` had no memory */
	bool open;        /* the guard is: joins may send, late flows must be let in */
	bool holding;     /* it drops the packets of those that were not done then */
	struct family_table families;
	struct takeover_item *batch[FAILOVER_BATCH];
	struct guard_flow let_in[FAILOVER_BATCH];
	uint32_t let_in_count;
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

/*
 * A connection has its plan, its others are with it; two halves, and the item stays the caller's.
 * First the system calls: restores and joins, or sends the RST. In any thread, while the server's
 * own thread waits.
 */
void failover_connection_work(struct failover_server *s, struct takeover_item *item);
/* Asks those again that were refused: see failover-refused.h. */
void failover_connection_ask_refused(struct failover_server *s, int64_t now_ns);
/* Then the account: counted, logged, told. In the failover thread. */
void failover_connection_account(struct failover_server *s, const struct takeover_item *item);
/* Nothing holds the packets of these clients back any longer. */
void failover_connection_let_in(struct failover_server *s, const struct guard_flow *flows,
				uint32_t count);
/* The backup for connections of an address family; the configuration guarantees one. */
const struct config_backup *failover_backup_for(const struct config_server *cfg, uint8_t family);

#endif
