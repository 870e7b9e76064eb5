/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-run: one takeover of one server. Private to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_RUN_H
#define APPLIANCE_FAILOVER_RUN_H

#include <stdatomic.h>

#include "thread-pool.h"
#include "failover-probed.h"
#include "failover-family.h"
#include "failover-refused.h"
#include "failover.h"
#include "fence.h"
#include "tcprepair/tcprepair.h"

/* Connections settled at once: so many answers are waited for by the first of them, at most. */
#define FAILOVER_BATCH 512
/* Refused connections of one takeover that the log names one by one. */
#define REFUSALS_SAID_MAX 64

/* What the box holds of one protected server; lives as long as the thread. */
struct failover_server {
	const struct failover_config *env;
	const struct config_server *cfg;
	int bell; /* of the thread: something happened in another one */
	struct thread_pool *pool;
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
	struct account account;
	struct failover_summary last; /* of a takeover that is over; until all are settled: */
	bool unsettled;
	struct failover_run *run; /* NULL: none under way */
	/* Workers that stood still when a takeover was over: one bit each. They may yet write to
	 * the inboxes of those in the list. */
	uint64_t ends_owed;
	struct failover_run *left;
};

/* How far a takeover is. Only run_set_phase() changes it; each begins with what has to be done. */
enum run_phase {
	RUN_FENCE,      /* waits for a fence that must have succeeded */
	RUN_CHECK,      /* listens whether somebody still answers for the address */
	RUN_TAKE,       /* guard, address, probes: at once */
	RUN_SOCKETS,    /* the guard is closed, clients answer, sockets are built */
	RUN_OPEN,       /* the guard is open; late answers, the first byte, a fence beside */
	RUN_OVER,       /* reported */
	RUN_CALLED_OFF, /* nothing remains, reported */
};

struct failover_run {
	enum run_phase phase;
	struct failover_run *next_left; /* of failover_server.left */
	struct failover_cause cause;
	struct failover_summary summary;
	struct mailbox inbox;
	struct list items; /* out of the inbox, not settled yet */
	struct probed_table probed;
	uint32_t refusals_said;
	uint32_t unprobed;       /* live ones in workers' hands for which `asked` had no memory */
	uint32_t not_remembered; /* refused, and not to be reset again */
	int not_remembered_error;
	bool restored; /* somebody was */
	bool open;     /* the guard is: joins may send, late flows must be let in */
	struct family_table families;
	struct takeover_item *batch[FAILOVER_BATCH];
	struct guard_flow admitted[FAILOVER_BATCH];
	uint32_t admitted_count;
	bool collected;   /* nobody is waited for any more: what workers had is in the inbox */
	int64_t until_ns; /* RUN_CHECK and RUN_SOCKETS: not longer than this */
	int64_t repeat_ns, give_up_ns, first_byte_until_ns;
	struct fence *fence; /* that runs; NULL: none */
	bool fenced;         /* it succeeded: the server cannot speak any more */
	int error;           /* RUN_CALLED_OFF: negative errno */
};

/*
 * Begins to take the server over: s->run is under way from here on and must be stepped. Nothing
 * here waits, except for workers, who wait for nobody: many servers are stepped side by side.
 */
void failover_run_begin(struct failover_server *s, const struct failover_cause *cause,
			int64_t now_ns);
/* What can be done now. True: over, reported, s->run freed. */
bool failover_run_step(struct failover_server *s, int64_t now_ns);
/* When to step next at the latest; sooner, when s->bell or failover_run_fd() says so. */
int64_t failover_run_due_ns(const struct failover_server *s, int64_t now_ns);
/* What it waits for becomes readable; -1: nothing. */
int failover_run_fd(const struct failover_server *s);

/* Frees what workers kept that stand still no longer. False: one does, and keeps it. */
bool failover_run_free_left(struct failover_server *s);
/* The thread ends: calls off a takeover that has taken nothing yet, forgets any other. */
void failover_run_cancel(struct failover_server *s);

/* ---- failover-server.c ------------------------------------------------------------- */

/*
 * Asks the link, from the box's own address, who has the server's: nobody but us may
 * answer. Answers come by link_receive().
 */
void failover_server_ask(struct failover_server *s);

/* Drops packets to the address from here on. 0 or negative errno. */
int failover_server_guard(struct failover_server *s);
/* Adds and announces it, lets new connections through to the backup. 0 or negative errno. */
int failover_server_take_address(struct failover_server *s, int64_t now_ns);
/* Once after a takeover: when nobody is continuing any more. */
void failover_server_tell_settled(struct failover_server *s);
/* Gives back address, rules and forwarding. Also after a takeover that was called off. */
void failover_server_release(struct failover_server *s);
void failover_server_set_state(struct failover_server *s, enum failover_state state);

/* ---- failover-clients.c ------------------------------------------------------------ */

/* Asks the workers who is to be asked, and who needs not be. */
void failover_clients_ask(struct failover_server *s);
/* Sends a probe to each that has not been dealt with. */
void failover_clients_probe(struct failover_server *s);
/* Deals with a batch of those that workers have handed over. True: there are more. */
bool failover_clients_settle(struct failover_server *s);
/* Somebody has not been dealt with. */
bool failover_clients_waiting(const struct failover_run *run);
/* Nobody is waited for any longer: workers hand over everything that is left. */
void failover_clients_collect(struct failover_server *s);
/* After that, when all is settled: refuses those for whom memory failed a worker. */
void failover_clients_give_up(struct failover_server *s);
/* The inbox may go, unless a worker stands still: see ends_owed. */
void failover_clients_end(struct failover_server *s);
/* Tries again. True: one stands still yet. */
bool failover_clients_end_owed(struct failover_server *s);

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
void failover_connection_admit(struct failover_server *s, const struct guard_flow *flows,
			       uint32_t count);

#endif
