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
struct join_tls;

enum join_side_index {
	JOIN_CLIENT = JEEBS_TO_SERVER,
	JOIN_BACKEND = JEEBS_TO_CLIENT,
};

/*
 * Operations of the kernel for a join. Each has one bit per side in `pending`. In user_data the
 * operation is in the low bits.
 */
enum join_op {
	JOIN_OP_RECV = 0,
	JOIN_OP_SEND = 2,
	JOIN_OP_CANCEL = 4,
	JOIN_OP_CONNECT = 6, /* for the client's side of a channel, connect or accept */
	JOIN_OP_TIMEOUT = 8, /* limits a connect or accept */
};
#define JOIN_OP_MASK UINT64_C(15)
#define JOIN_BIT(op) ((uint16_t)(1u << (op)))

#define JOIN_PASS_BOTH (1u << JEEBS_TO_SERVER | 1u << JEEBS_TO_CLIENT)

enum join_backend {
	JOIN_BACKEND_NONE,   /* nobody has asked for the backend */
	JOIN_BACKEND_VOID,   /* there is no backend: what is sent to it is lost */
	JOIN_BACKEND_WANTED, /* it is to be connected */
	JOIN_BACKEND_CONNECTING,
	JOIN_BACKEND_SECURING, /* it is connected; the handshake of TLS is under way */
	JOIN_BACKEND_UP,
	JOIN_BACKEND_LOST, /* it failed or was reset, and does not come back */
};

union join_address {
	struct sockaddr sa;
	struct sockaddr_in in;
	struct sockaddr_in6 in6;
};

/* How a channel gets its client. */
enum join_arrival {
	JOIN_ARRIVED,   /* the client is connected */
	JOIN_LISTENING, /* the client will connect to the box */
	JOIN_CALLING,   /* the box is connecting to the client */
};

struct join_side {
	int fd;                /* -1: there is none, or none any more */
	bool ended;            /* the peer sends no more: its end of stream has come */
	bool wants_room;       /* room() has found `out` long */
	bool finish;           /* a FIN is to follow `out` ... */
	bool finished;         /* ... and was sent */
	bool watched;          /* for a reset, by the thread's epoll */
	bool bulk;             /* bytes that pass from this side come in large pieces */
	bool polled;           /* the pending receive is a poll, before a splice */
	struct join_queue out; /* bytes to be sent to this side */
	size_t kept;           /* what this side adds to thread->kept_bytes */
	struct list park;      /* in thread->parked */
	struct join *join;
};

struct join {
	/* Aligned, so that the low bits of a join's address are free for the operation. */
	_Alignas(JOIN_OP_MASK + 1) struct list node; /* in the thread's mailbox or joins */
	struct list again;
	struct list timed; /* in thread->timed, until */
	int64_t timer_ns;
	struct list reading; /* in thread->reading, until */
	int64_t read_until_ns;
	struct join_thread *thread;
	struct join_side side[2];
	uint16_t pending;  /* operations the kernel has: JOIN_BIT(enum join_op + side) */
	uint8_t pass;      /* directions that pass through: 1 << direction */
	bool hold;         /* the module does not want to read from the client now */
	uint8_t backend;   /* enum join_backend */
	uint8_t arrival;   /* enum join_arrival */
	bool port_unknown; /* the backend is not connected before the module names its port */
	bool client_fin;   /* the client's FIN came before the old server died */
	/* A main join that has ended: it stays, without sockets, until its channels have ended. */
	bool ended;
	bool dying;
	bool lingering;     /* the dying has begun: resets are set, cancellations submitted */
	bool module_called; /* the module was called and may have changed anything */
	bool started_out;   /* JOIN_FIRST_BYTE was reported */
	/* The client's ACK covers all that the old server sent, see join_request. */
	bool agreed;
	bool answer_owed; /* the backend has been sent something and has not answered */
	bool proven;      /* of a main join: JOIN_PROVEN was reported */
	uint64_t sent;    /* bytes that this join's client socket took */
	/* Bytes of this join's client that passed to the backend, see join-proof.h. */
	uint64_t heard;
	struct list
		proving; /* in thread->proving: its client may have acknowledged something new */
	uint32_t group;
	const char *reason;      /* why the join dies; NULL: it ends in order */
	const char *lost_reason; /* why the backend was lost */

	uint64_t id;
	size_t first_out_n;
	uint64_t to_client_bytes, to_server_bytes;
	union join_address backend_address;
	socklen_t backend_address_n;
	/* What its service's connections to the backup share, of a main join; NULL: plain. */
	struct backup_tls *backup_tls;
	struct join_tls *tls; /* join-tls.h; NULL: the backup is spoken to in plain */

	struct join_family *family; /* NULL: a conversation of one connection */
	struct list sibling;        /* of a channel: its place in family->channels */
	union join_address arrival_address;
	socklen_t arrival_address_n;
	struct __kernel_timespec arrival_limit;

	const struct jeebs_module *module;
	void *module_state;
	struct endpoint end[2]; /* by JEEBS_END_*, addresses of the client's connection */
	struct jeebs_cut cut;
	struct span log[2];
	void *memory; /* of the module's memory(); NULL: it has not asked */
	size_t memory_n;
	void *ctx;
	void (*state_free)(void *ctx, void *module_state);
	void (*report)(void *ctx, const struct join_report *r);
};

/*
 * Makes a join from a request. Returns 0, -ENOMEM or -EAFNOSUPPORT; after an error the caller owns
 * everything.
 */
int join_new(const struct join_request *r, struct join **ret);

/* Makes an empty join for join_take_client(). NULL: no memory. */
struct join *join_alloc(void);
/* Converts an address. Returns its length; 0: @e is empty. */
socklen_t join_address(const struct endpoint *e, union join_address *ret);
/*
 * Takes over the client's restored socket, and the bytes to be sent first. Returns 0; on -ENOMEM
 * nothing was taken. Only the FINs of @cut are used.
 */
int join_take_client(struct join *j, int fd, uint8_t *first_out, size_t first_out_n,
		     const struct jeebs_cut *cut);

/* Both are called in the loop and may end the join, so the caller must not use it afterwards. */
void join_start(struct join *j);
void join_completed(struct join *j, enum join_op op, int res, uint32_t flags);
void join_settle(struct join *j);
/*
 * A parked side may try to read again. The submission queue must have room for one entry. May end
 * the join.
 */
void join_unpark(struct join_side *side);

/* The thread's epoll has seen an error or hang-up after the end of the stream. May end the join. */
void join_broken(struct join_side *side);

void join_report(struct join *j, enum join_event event);

static inline bool join_passes(const struct join *j, int s)
{
	return j->pass >> s & 1;
}

/* Has the join settled in this turn of the loop or the next: once, however often this is called. */
static inline void join_settle_later(struct join *j)
{
	if (list_empty(&j->again))
		list_add_tail(&j->thread->again, &j->again);
}

/*
 * Whether the main join @j or one of its channels has a log with a spilled part. If @late, spilled
 * parts are freed first unless some of them is still to be sent: nobody has asked for them for
 * long.
 */
bool join_reads_spilled(struct join *j, bool late);

/* Marks the join for a reset, which join_settle() makes. The first reason counts. */
void join_abort(struct join *j, const char *reason);

#endif
