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
#include "failover-unseal.h"
#include "failover.h"
#include "fence.h"
#include "tcprepair/tcprepair.h"

/* Connections that are settled at once. The answers of the first one wait for this many at most. */
#define FAILOVER_BATCH 512
/* Refused connections of one takeover that are logged one by one. */
#define REFUSALS_SAID_MAX 64

/* What the box holds of one protected server. Lives as long as the thread. */
struct failover_server {
	const struct failover_config *env;
	const struct config_server *cfg;
	int bell; /* of the thread: rung when something has happened in another one */
	struct thread_pool *pool;
	struct unseal *unseal; /* works with failover_connection_unseal() */
	uint32_t index;        /* in the configuration; also the group of joins */
	_Atomic int state;     /* enum failover_state */
	struct guard *guard;
	struct link *link;
	bool forwarding[2]; /* switched on by the box: IPv4, IPv6 */
	uint32_t addresses_added;
	int64_t announce_ns, renew_ns; /* when the next one is due, CLOCK_MONOTONIC */
	uint32_t announced;
	int64_t conflict_logged_ns;
	struct refused_table refused;  /* outlives the takeover that refused them */
	_Atomic int64_t first_byte_ns; /* written by join threads */
	_Atomic bool keys_decided;     /* of some that wait */
	struct account account;
	struct failover_summary last; /* of a takeover that is over; until all are settled: */
	bool unsettled;
	struct failover_run *run; /* NULL: there is no takeover */
	/* Workers that stood still at the end of a takeover, one bit each. They may still write
	 * to the inboxes of the takeovers in the list, and so may who shows a module its keys. */
	uint64_t ends_owed;
	struct failover_run *left;
};

/*
 * The phase of a takeover. Only run_set_phase() changes it. Each phase begins with its entry
 * actions.
 */
enum run_phase {
	RUN_FENCE,      /* waits for a fence that must succeed */
	RUN_CHECK,      /* listens whether anybody still answers for the address */
	RUN_TAKE,       /* guard, address and probes, without waiting */
	RUN_SOCKETS,    /* the guard is closed, clients answer, sockets are built */
	RUN_OPEN,       /* the guard is open: late answers, the first byte, a parallel fence */
	RUN_OVER,       /* finished and reported */
	RUN_CALLED_OFF, /* nothing of it remains; reported */
};

struct failover_run {
	enum run_phase phase;
	struct failover_server *server;
	struct failover_run *next_left; /* in failover_server.left */
	struct failover_cause cause;
	struct failover_summary summary;
	struct mailbox inbox;
	struct list items; /* from the inbox, not settled yet */
	/*
	 * Of these, those whose keys have not come, and those whose modules are shown them. Their
	 * clients count as not settled.
	 */
	struct list awaiting;
	uint32_t awaiting_n, unsealing_n;
	int64_t keys_until_ns; /* they wait no longer */
	struct probed_table probed;
	uint32_t refusals_said;
	uint32_t unprobed;       /* live connections for which `asked` had no memory */
	uint32_t not_remembered; /* refused connections that will not be reset again */
	int not_remembered_error;
	bool restored; /* at least one connection was restored */
	bool open;     /* the guard is open: joins may send, late flows must be admitted */
	struct family_table families;
	struct takeover_item *batch[FAILOVER_BATCH];
	struct guard_flow admitted[FAILOVER_BATCH];
	uint32_t admitted_count;
	/* No client is waited for any more: all that workers had is in the inbox. */
	bool collected;
	int64_t until_ns; /* RUN_CHECK and RUN_SOCKETS end at this time */
	int64_t repeat_ns, give_up_ns, first_byte_until_ns;
	struct fence *fence; /* the fence that runs; NULL: none */
	bool fenced;         /* it has succeeded: the server cannot speak any more */
	int error;           /* RUN_CALLED_OFF: why, a negative errno */
};

/*
 * Begins to take the server over: s->run exists from here on and must be stepped. Nothing here
 * waits, except for workers, and workers wait for nobody. So many takeovers are stepped side by
 * side.
 */
void failover_run_begin(struct failover_server *s, const struct failover_cause *cause,
			int64_t now_ns);
/*
 * Does what can be done now. Returns true when the takeover was finished and reported, and s->run
 * freed.
 */
bool failover_run_step(struct failover_server *s, int64_t now_ns);
/*
 * When to step next at the latest. It is earlier when s->bell rings or failover_run_fd() becomes
 * readable.
 */
int64_t failover_run_due_ns(const struct failover_server *s, int64_t now_ns);
/* A descriptor that becomes readable when the takeover can go on; -1: there is none. */
int failover_run_fd(const struct failover_server *s);

/* Frees takeovers whose workers no longer stand still, and of which no module is shown its keys any
 * more. Returns false when one is left. */
bool failover_run_free_left(struct failover_server *s);
/* The thread ends. Calls off a takeover that has taken nothing yet, and forgets any other. */
void failover_run_cancel(struct failover_server *s);

/* ---- failover-server.c ------------------------------------------------------------- */

/*
 * Asks on the link, from the box's own address, who has the server's. Nobody but the box may
 * answer. Answers come through link_receive().
 */
void failover_server_ask(struct failover_server *s);

/* Drops packets to the address from here on. Returns 0 or a negative errno. */
int failover_server_guard(struct failover_server *s);
/*
 * Adds and announces the address, and lets new connections through to the backup. Returns 0 or a
 * negative errno.
 */
int failover_server_take_address(struct failover_server *s, int64_t now_ns);
/* Called once after a takeover, when no connection is continuing any more. */
void failover_server_tell_settled(struct failover_server *s);
/* Gives back address, rules and forwarding, also after a takeover that was called off. */
void failover_server_release(struct failover_server *s);
void failover_server_set_state(struct failover_server *s, enum failover_state state);

/* ---- failover-clients.c ------------------------------------------------------------ */

/* Asks the workers which clients must be probed, and takes those that need not be. */
void failover_clients_ask(struct failover_server *s);
/* Sends a probe to each client that is not settled. */
void failover_clients_probe(struct failover_server *s);
/* Settles a batch of the items that workers have handed over. Returns true when there are more. */
bool failover_clients_settle(struct failover_server *s);
/* Whether a client is not settled. */
bool failover_clients_waiting(const struct failover_run *run);
/* Whether one is not that waits for something else than its keys. */
bool failover_clients_silent(const struct failover_run *run);
/* Stops waiting for clients: workers hand over all that is left. */
void failover_clients_collect(struct failover_server *s);
/*
 * Comes after that, when all items are settled: refuses connections for which a worker had no
 * memory.
 */
void failover_clients_give_up(struct failover_server *s);
/*
 * Makes workers forget the inbox, which can then be freed; unless one stands still, see ends_owed.
 */
void failover_clients_end(struct failover_server *s);
/* Tries that again. Returns true when a worker still stands still. */
bool failover_clients_end_owed(struct failover_server *s);

/* ---- failover-connection.c ------------------------------------------------------------------ */

/*
 * A connection with its plan, and with its others, is settled in two halves. The item stays the
 * caller's. The first half makes the system calls: it restores and joins, or sends the RST. It may
 * run in any thread while the server's own thread waits.
 */
void failover_connection_work(struct failover_server *s, struct takeover_item *item);
/*
 * Comes before that for one whose module needs its keys: it is shown them, plans anew, and is in
 * the inbox again. Who has none is refused. Takes the item. In any thread.
 */
void failover_connection_unseal(void *run, struct takeover_item *item);
/* Asks clients of refused connections again, see failover-refused.h. */
void failover_connection_ask_refused(struct failover_server *s, int64_t now_ns);
/*
 * The second half keeps the account: it counts, logs and reports. It runs in the failover thread.
 */
void failover_connection_account(struct failover_server *s, const struct takeover_item *item);
/* Its keys are not needed any more, unless somebody else has them now. */
void failover_connection_give_back(struct failover_server *s, struct takeover_item *item);
/* Stops holding back the packets of these clients. */
void failover_connection_admit(struct failover_server *s, const struct guard_flow *flows,
			       uint32_t count);

#endif
