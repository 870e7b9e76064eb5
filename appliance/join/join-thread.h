/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * join-thread: one io_uring loop and the joins that live in it.
 *
 * Only the mailbox and the atomic counters are seen by other threads; everything else belongs to
 * the loop. A join crosses once, from the mailbox into `arrived`, and goes on into `joins`.
 *
 * The loop is level-triggered: join_settle() looks at the state of a join and
 * asks for what is missing. So nothing is lost when the submission queue is full: the join
 * goes into `again` and is settled after the next submission. The loop sleeps in the ring
 * unless somebody in `arrived`, `again` or `parked` could go on.
 */
#ifndef APPLIANCE_JOIN_THREAD_H
#define APPLIANCE_JOIN_THREAD_H

#include <liburing.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#include "join-buffer.h"
#include "join-splice.h"
#include "join.h"
#include "base/list.h"
#include "base/mailbox.h"

#define JOIN_COUNTER(field, ...) atomic_uint_fast64_t field;
struct join_counters {
	JOIN_COUNTERS(JOIN_COUNTER, JOIN_COUNTER)
};
#undef JOIN_COUNTER

struct join_thread {
	const struct join_config *config;
	struct io_uring ring;
	struct join_buffer buffers;
	struct join_splice splice;
	size_t kept_bytes; /* in the queues of all sides */
	/* kept_bytes has reached the ceiling: little of each buffer is offered. */
	bool scarce;
	struct __kernel_timespec connect_timeout;
	/* Taken from the mailbox, not started: a takeover's joins come all at once. */
	struct list arrived;
	struct list joins;   /* started, not ended */
	struct list again;   /* joins to be settled: there was no room in the submission queue */
	struct list timed;   /* joins with a timer */
	struct list reading; /* joins with spilled logs, the oldest first */
	struct list proving; /* joins that have sent what their client may acknowledge */
	struct list tls_waiting; /* handshakes with backups (struct join_tls) that have not begun */
	struct list securing;    /* those that have */
	bool tick_armed;         /* the tick is pending: one of these five is not empty */
	uint8_t *tls_text;       /* where what backups say is opened; NULL: nobody has needed it */
	int64_t tls_told_ns;
	struct list parked; /* sides that wait for a shared buffer, in order */
	bool stopping;
	const struct join *calling; /* the join whose module is being called */
	bool mail_armed;
	int watch_fd; /* an epoll of the sides whose stream has ended */
	bool watch_armed;
	int64_t ceiling_told_ns;

	struct join_counters count;

	struct mailbox mail; /* new joins; when closed, the loop is to end */

	_Atomic bool broken; /* the thread has no ring and takes no joins */
	pthread_t thread;
	bool running;
	sem_t ready;
	int ready_result;
};

/*
 * Starts the thread and waits until its loop runs. Returns 0 or a negative errno;
 * join_thread_deinit() is due in any case.
 */
int join_thread_init(struct join_thread *t, const struct join_config *config);
/* Tells the loop to end, and its joins to be reset. */
void join_thread_stop(struct join_thread *t);
/* After that, and thread_deadline(). False: it does not end, and is left as it is. */
bool join_thread_deinit(struct join_thread *t, int64_t deadline_ns);

/*
 * Has join_broken() called once on an error or hang-up of @fd. io_uring's poll is not usable: it
 * also reports RDHUP, which these descriptors already have. Returns 0, -ENOMEM or -ENOSPC.
 */
struct join_side;
int join_thread_watch(struct join_thread *t, int fd, struct join_side *side);
void join_thread_unwatch(struct join_thread *t, int fd);

/* Logs, at most once a second, that backups were not asked because of @error. */
void join_thread_tell_ceiling(struct join_thread *t, int error);

struct join;
/* May be called from any thread: @j then belongs to @t. */
void join_thread_post(struct join_thread *t, struct join *j, bool hold);
uint32_t join_thread_release(struct join_thread *t, uint32_t group);

/* Reserves @n places for joins, which count as active. Returns false when there are not so many. */
bool join_thread_reserve(struct join_thread *t, uint32_t n);
void join_thread_unreserve(struct join_thread *t, uint32_t n);
bool join_thread_broken(const struct join_thread *t);

/*
 * Whether the submission queue has room for @n entries of a join. If not, the join goes into
 * `again`. Three entries are reserved for the loop, so that busy joins cannot shut out new ones.
 */
static inline bool join_thread_room(struct join_thread *t, unsigned n)
{
	return io_uring_sq_space_left(&t->ring) >= n + 3;
}

static inline void join_count(atomic_uint_fast64_t *counter, uint64_t n)
{
	atomic_fetch_add_explicit(counter, n, memory_order_relaxed);
}

#endif
