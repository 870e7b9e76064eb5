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
	bool scarce;       /* it came to the ceiling: buffers are put back small */
	struct __kernel_timespec connect_timeout;
	struct list arrived; /* of the mail, not started: a takeover's come all at once */
	struct list joins;   /* started, not ended */
	struct list again;   /* wait for room in the submission queue */
	struct list timed;   /* have a timer */
	struct list reading; /* have logs that are not in memory, first come first */
	struct list proving; /* have sent what their client may acknowledge */
	bool tick_armed;     /* while there are any of the three */
	struct list parked;  /* sides that wait for a shared buffer, first come first served */
	bool stopping;
	const struct join *telling; /* the one whose module is being called */
	bool mail_armed;
	int watch_fd; /* an epoll of sides behind the end of their stream */
	bool watch_armed;
	int64_t ceiling_told_ns;

	struct join_counters count;

	struct mailbox mail; /* of joins; closed: the loop is to end */

	_Atomic bool broken; /* it has no ring any more, and takes no joins */
	pthread_t thread;
	bool running;
	sem_t ready;
	int ready_result;
};

/* Returns when the loop runs. 0, or a negative errno; join_thread_deinit() is due either way. */
int join_thread_init(struct join_thread *t, const struct join_config *config);
/* Resets its joins and ends the loop. */
void join_thread_deinit(struct join_thread *t);

/*
 * Reports errors and hang-ups of @fd, once, as join_broken(). Not by a poll of the ring: that
 * always asks for RDHUP too, which is what these descriptors have already. 0, -ENOMEM, -ENOSPC.
 */
struct join_side;
int join_thread_watch(struct join_thread *t, int fd, struct join_side *side);
void join_thread_unwatch(struct join_thread *t, int fd);

/* Logs, once a second at most, that backups were not asked because of @error. */
void join_thread_tell_ceiling(struct join_thread *t, int error);

struct join;
/* From any thread: @j now belongs to @t. */
void join_thread_post(struct join_thread *t, struct join *j, bool hold);
uint32_t join_thread_release(struct join_thread *t, uint32_t group);

/* Places for @n more joins, which count as active; false: not so many are left. */
bool join_thread_reserve(struct join_thread *t, uint32_t n);
void join_thread_unreserve(struct join_thread *t, uint32_t n);
bool join_thread_broken(const struct join_thread *t);

/*
 * Room in the submission queue for @n entries of a join, or false: then it is to wait in
 * `again`. Three entries are left for the loop's own, so that busy joins cannot shut out new ones.
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
