/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-conn: one joined connection.
 *
 * Two sides, client and backend. Direction d (JEEBS_TO_SERVER, JEEBS_TO_CLIENT)
 * is read from side d and queued for the other side; so at most one receive and one
 * send per side are with the kernel, and the order of bytes is the order of one queue.
 *
 * LIFE. join_new() -> join_start() -> any number of join_completed() -> the end.
 * Every completion changes the state and is followed by join_settle(), which
 * submits what the state calls for.
 *
 * DEATH. `pending` has one bit per operation the kernel may still complete (also
 * cancellations), set when the entry is written into the submission queue and cleared by its
 * completion, which comes exactly once. A join is ended by join_settle() alone, when it
 * is `dying` and `pending` is 0. Hence:
 *   - No completion can name a join that is gone: its bit would have been set.
 *   - No operation can touch a freed queue, chunk or address: each lives until the end, and a
 *     lost backend's queue until no bit of that side is set.
 *   - A descriptor is closed only without a bit of its side, so neither a queued entry nor a
 *     cancellation by descriptor can meet a number that was given to somebody else.
 *   - It does come to an end: while dying, each side with a bit and no cancellation
 *     under way gets one (again, if one completed without effect); the kernel completes what it
 * cancels, and a dying join submits nothing else. A connect's time limit ends with the connect.
 *   - No report of the watch names a join that is gone: a descriptor leaves the watch before it is
 *     closed, and reports are fetched one at a time.
 *   - Who calls join_settle() does not touch the join afterwards.
 *
 * FAMILY (join-family.h). A channel is a join like any other, and dies like one. What a
 * module does to another join than the one it was called for only marks that one, and it is
 * settled later; so no join ends while another one of its family is being looked at, but for
 * this: a main join that has ended stays in `joins`, with no bit set, and is freed with the last
 * of its channels, by the end of that one. A module is told of a channel's end after its
 * sockets are closed and before it is freed; no handle of it is used later.
 */
#ifndef APPLIANCE_JOIN_CONN_H
#define APPLIANCE_JOIN_CONN_H

#include <netinet/in.h>

#include "join-queue.h"
#include "join-thread.h"

struct join_family;

enum join_side_index {
	JOIN_CLIENT = JEEBS_TO_SERVER,
	JOIN_BACKEND = JEEBS_TO_CLIENT,
};

/* What the kernel does for a join, each once per side; low bits of user_data. */
enum join_op {
	JOIN_OP_RECV = 0,
	JOIN_OP_SEND = 2,
	JOIN_OP_CANCEL = 4,
	JOIN_OP_CONNECT = 6, /* or accept, of the client's side */
	JOIN_OP_TIMEOUT = 8, /* of these */
};
#define JOIN_OP_MASK UINT64_C(15)
#define JOIN_BIT(op) ((uint16_t)(1u << (op)))

#define JOIN_PASS_BOTH (1u << JEEBS_TO_SERVER | 1u << JEEBS_TO_CLIENT)

enum join_backend {
	JOIN_BACKEND_NONE,   /* nobody has asked for it */
	JOIN_BACKEND_VOID,   /* there is none, what is sent to it is lost */
	JOIN_BACKEND_WANTED, /* to be connected */
	JOIN_BACKEND_CONNECTING,
	JOIN_BACKEND_UP,
	JOIN_BACKEND_LOST, /* failed or reset; never comes back */
};

union join_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* How the client of a channel comes. */
enum join_arrival {
	JOIN_ARRIVED,   /* it is there */
	JOIN_LISTENING, /* it will connect */
	JOIN_CALLING,   /* it is being connected */
};

struct join_side {
	int fd;                /* -1: none (any more) */
	bool ended;            /* its peer sends no more */
	bool finish;           /* it is to be told so after `out` ... */
	bool finished;         /* ... and has been */
	bool watched;          /* for a reset */
	bool bulk;             /* what passes from it comes in large pieces */
	bool polled;           /* its receive only waits for what is spliced */
	struct join_queue out; /* to be sent to it */
	size_t kept;           /* its memory, as counted in thread->kept_bytes */
	struct list park;      /* in thread->parked */
	struct join *join;
};

struct join {
	/* Aligned, so that an operation fits below its address. */
	_Alignas(JOIN_OP_MASK + 1) struct list node; /* in the thread's mailbox or joins */
	struct list again;
	struct list timed; /* in thread->timed, until */
	int64_t timer_ns;
	struct list reading; /* in thread->reading, until */
	int64_t read_until_ns;
	struct join_thread *thread;
	struct join_side side[2];
	uint16_t pending;  /* JOIN_BIT(enum join_op + side) */
	uint8_t pass;      /* 1 << direction */
	bool hold;         /* the module does not want to hear the client */
	uint8_t backend;   /* enum join_backend */
	uint8_t arrival;   /* enum join_arrival */
	bool port_unknown; /* of the backend: it is not connected before that is named */
	bool client_fin;   /* the end of the client's stream came before the cut */
	bool ended;        /* of a main one: it stays for its channels, without sockets */
	bool dying;
	bool lingering;   /* the dying has begun */
	bool told;        /* the module was called: its wishes may have changed anything */
	bool started_out; /* JOIN_FIRST_BYTE was reported */
	bool agreed;      /* as in the request */
	bool asked;       /* the backend was the last to be told something */
	bool proven;      /* of a main one: JOIN_PROVEN was reported */
	uint64_t sent;    /* bytes that its own client's socket took */
	uint64_t heard;   /* bytes of its client that passed, as join-proof.h counts them */
	struct list
		proving; /* in thread->proving: its client may have acknowledged something new */
	uint32_t group;
	const char *reason;      /* of dying; NULL: in order */
	const char *lost_reason; /* of the backend */

	uint64_t id;
	size_t first_out_n;
	uint64_t to_client_bytes, to_server_bytes;
	union join_address backend_address;
	socklen_t backend_address_n;

	struct join_family *family; /* NULL: of one that is alone */
	struct list sibling;        /* of a channel: in family->channels */
	union join_address arrival_address;
	socklen_t arrival_address_n;
	struct __kernel_timespec arrival_limit;

	const struct jeebs_module *module;
	void *module_state;
	struct endpoint end[2]; /* JEEBS_END_*, of the client's connection */
	struct jeebs_cut cut;
	struct join_log log[2];
	void *ctx;
	void (*state_free)(void *ctx, void *module_state);
	void (*report)(void *ctx, const struct join_report *r);
};

/* 0; -ENOMEM or -EAFNOSUPPORT: nothing was taken. */
int join_new(const struct join_request *r, struct join **ret);

/* One without anything, for join_take_client(); NULL: no memory. */
struct join *join_alloc(void);
/* Its length; 0: @e is empty. */
socklen_t join_address(const struct endpoint *e, union join_address *ret);
/*
 * The client's restored socket, and what it is to be sent first. 0; -ENOMEM: nothing was taken.
 * Of @cut only the FINs are looked at.
 */
int join_take_client(struct join *j, int fd, uint8_t *first_out, size_t first_out_n,
		     const struct jeebs_cut *cut);

/* In the loop. Each of these but join_abort() may end the join: the caller forgets it. */
void join_start(struct join *j);
void join_completed(struct join *j, enum join_op op, int res, uint32_t flags);
void join_settle(struct join *j);
/* A parked side may try again. The submission queue has room for one entry. */
void join_unpark(struct join_side *side);

/* The watch found an error or hang-up behind the end of the stream. */
void join_broken(struct join_side *side);

void join_report(struct join *j, enum join_event event);

static inline bool join_passes(const struct join *j, int s)
{
	return j->pass >> s & 1;
}

/* It is settled in this turn of the loop or the next, once, however often this is called. */
static inline void join_settle_later(struct join *j)
{
	if (list_empty(&j->again))
		list_add_tail(&j->thread->again, &j->again);
}

/*
 * Of a main one: itself or one of its channels has a log that is not in memory. If @late, such
 * logs of which nothing is on its way are let go of first: nobody has asked for them for long.
 */
bool join_reads_elsewhere(struct join *j, bool late);

/* Only marks; join_settle() does it. The first reason counts. */
void join_abort(struct join *j, const char *reason);

#endif
