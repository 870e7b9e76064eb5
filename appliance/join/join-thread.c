/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "join-thread.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/private-memory.h"
#include "join-conn.h"
#include "join-family.h"
#include "join-module.h"
#include "join-proof.h"
#include "join-tls.h"
#include "base/log.h"
#include "base/thread.h"

#define SQ_ENTRIES 512
/* Only the fast path: the kernel keeps a larger burst (IORING_FEAT_NODROP). */
#define CQ_ENTRIES 4096

/* The precision of modules' timers. */
static struct __kernel_timespec tick = {.tv_nsec = 25 * NS_PER_MS};

/* How many joins start in one turn. Joins that go on must not wait for those that begin. */
#define START_AT_ONCE 64

bool join_thread_reserve(struct join_thread *t, uint32_t n)
{
	if (join_thread_broken(t))
		return false;
	uint_fast64_t active = atomic_load_explicit(&t->count.active, memory_order_relaxed);
	do {
		if (active + n > t->config->max_joins)
			return false;
	} while (!atomic_compare_exchange_weak(&t->count.active, &active, active + n));
	return true;
}

void join_thread_unreserve(struct join_thread *t, uint32_t n)
{
	atomic_fetch_sub(&t->count.active, n);
}

bool join_thread_broken(const struct join_thread *t)
{
	return atomic_load_explicit(&t->broken, memory_order_relaxed);
}

static bool is_of_group(struct list *node, void *group)
{
	return list_entry(node, struct join, node)->group == *(uint32_t *)group;
}

static uint32_t release(struct join_thread *t, bool (*wanted)(struct list *, void *), void *arg)
{
	uint32_t n = mailbox_release(&t->mail, wanted, arg);

	join_count(&t->count.held, -(uint64_t)n);
	return n;
}

void join_thread_post(struct join_thread *t, struct join *j, bool hold)
{
	join_family_move(j, t);
	if (!hold) {
		mailbox_post(&t->mail, &j->node);
		return;
	}
	join_count(&t->count.held, 1);
	mailbox_hold(&t->mail, &j->node);
	/* If the loop has ended, or is about to notice that it must, nobody else lets held joins
	 * go. They are reset. */
	if (join_thread_broken(t))
		release(t, NULL, NULL);
}

uint32_t join_thread_release(struct join_thread *t, uint32_t group)
{
	return release(t, is_of_group, &group);
}

/* Resets all joins, including those that have not started. */
static void stop_joins(struct join_thread *t)
{
	t->stopping = true;
	list_for_each (it, &t->joins) {
		struct join *j = list_entry(it, struct join, node);
		join_abort(j, "pool-closed");
		join_settle_later(j); /* the end of one join may be the end of others */
	}
}

static void read_mail(struct join_thread *t)
{
	bool stop = mailbox_closed(&t->mail);

	if (stop)
		release(t, NULL, NULL);
	mailbox_take(&t->mail, &t->arrived);
	if (stop) {
		list_move_all(&t->joins, &t->arrived);
		stop_joins(t);
	}
}

static void start_some(struct join_thread *t)
{
	for (int i = 0; i < START_AT_ONCE && !list_empty(&t->arrived); i++) {
		struct join *j = list_entry(t->arrived.next, struct join, node);
		list_del(&j->node);
		list_add_tail(&t->joins, &j->node);
		join_start(j);
	}
}

int join_thread_watch(struct join_thread *t, int fd, struct join_side *side)
{
	/* epoll reports errors and hang-ups without being asked. */
	struct epoll_event e = {.events = EPOLLONESHOT, .data.ptr = side};
	return epoll_ctl(t->watch_fd, EPOLL_CTL_ADD, fd, &e) < 0 ? -errno : 0;
}

void join_thread_tell_ceiling(struct join_thread *t, int error)
{
	int64_t now = clock_mono_ns();

	if (t->ceiling_told_ns && now - t->ceiling_told_ns < NS_PER_S)
		return;
	t->ceiling_told_ns = now;
	log_event(LOG_ERROR, "backup-not-asked",
		  LOG_INT("connections",
			  atomic_load_explicit(&t->count.connect_ceiling, memory_order_relaxed)),
		  LOG_STR("detail", error == EADDRNOTAVAIL
					    ? "net.ipv4.ip_local_port_range is used up"
					    : "the limit of descriptors is reached"),
		  LOG_ERR(-error));
}

void join_thread_unwatch(struct join_thread *t, int fd)
{
	epoll_ctl(t->watch_fd, EPOLL_CTL_DEL, fd, NULL);
}

/* One event at a time: it may end the join, and so the join's other side. */
static void read_watch(struct join_thread *t)
{
	struct epoll_event e;
	while (epoll_wait(t->watch_fd, &e, 1, 0) == 1)
		join_broken(e.data.ptr);
}

/* The loop's own operations. Their numbers are too small to be addresses of joins. */
enum own_op {
	OWN_MAIL = 1,
	OWN_WATCH = 2,
	OWN_TICK = 3,
};

static struct io_uring_sqe *own_entry(struct join_thread *t, bool *io_armed)
{
	if (*io_armed || t->stopping)
		return NULL;
	struct io_uring_sqe *sqe = io_uring_get_sqe(&t->ring);
	*io_armed = sqe != NULL;
	return sqe;
}

static void arm_own(struct join_thread *t)
{
	struct io_uring_sqe *sqe = own_entry(t, &t->mail_armed);
	if (sqe != NULL) {
		io_uring_prep_poll_add(sqe, t->mail.bell, POLLIN);
		io_uring_sqe_set_data64(sqe, OWN_MAIL);
	}
	sqe = own_entry(t, &t->watch_armed);
	if (sqe != NULL) {
		io_uring_prep_poll_add(sqe, t->watch_fd, POLLIN);
		io_uring_sqe_set_data64(sqe, OWN_WATCH);
	}
}

static void arm_tick(struct join_thread *t)
{
	if (list_empty(&t->timed) && list_empty(&t->reading) && list_empty(&t->proving) &&
	    list_empty(&t->securing) && list_empty(&t->tls_waiting))
		return;
	struct io_uring_sqe *sqe = own_entry(t, &t->tick_armed);
	if (sqe != NULL) {
		io_uring_prep_timeout(sqe, &tick, 0, 0);
		io_uring_sqe_set_data64(sqe, OWN_TICK);
	}
}

/* Calls the modules whose timers are due. A module may set its timer again, or end the join. */
static void read_timers(struct join_thread *t)
{
	int64_t now = clock_mono_ns();
	struct list due;
	list_init(&due);
	list_for_each_safe (it, tmp, &t->timed) {
		if (list_entry(it, struct join, timed)->timer_ns > now)
			continue;
		list_del(it);
		list_add_tail(&due, it);
	}
	while (!list_empty(&due)) {
		struct join *j = list_entry(due.next, struct join, timed);
		list_del(&j->timed);
		join_module_timer(j);
	}
}

/*
 * Ends the joins that read a spilled log for too long. Those that have finished reading leave the
 * list.
 */
static void read_deadlines(struct join_thread *t)
{
	int64_t now = clock_mono_ns();

	list_for_each_safe (it, tmp, &t->reading) {
		struct join *j = list_entry(it, struct join, reading);
		bool late = j->read_until_ns <= now;
		bool reads = join_reads_spilled(j, late);
		if (reads && !late)
			continue;
		list_del(it);
		if (!reads)
			continue;
		join_abort(j, "log-lost");
		join_settle_later(j);
	}
}

static void unpark(struct join_thread *t)
{
	/* At most one side for each free buffer. A side that finds none is parked again, behind
	 * the others. */
	uint32_t n = t->buffers.free < SQ_ENTRIES / 2 ? t->buffers.free : SQ_ENTRIES / 2;
	for (; n > 0 && !list_empty(&t->parked); n--) {
		if (!join_thread_room(t, 1))
			return;
		join_unpark(list_entry(t->parked.next, struct join_side, park));
	}
}

static void settle_again(struct join_thread *t)
{
	struct list again;
	list_init(&again);
	list_move_all(&again, &t->again);
	while (!list_empty(&again)) {
		struct join *j = list_entry(again.next, struct join, again);
		list_del(&j->again);
		join_settle(j);
	}
}

/*
 * Submits, and waits if nothing else can be done. Returns false when the kernel refuses our ring:
 * then none of the thread's connections can go on.
 */
static bool submit(struct join_thread *t)
{
	bool busy = !list_empty(&t->arrived) || !list_empty(&t->again) ||
		    (!list_empty(&t->parked) && t->buffers.free > 0);
	int r = busy ? io_uring_submit_and_get_events(&t->ring)
		     : io_uring_submit_and_wait(&t->ring, 1);
	if (r >= 0 || r == -EINTR || r == -EAGAIN || r == -EBUSY)
		return true;
	log_event(LOG_ERROR, "join-ring-failed",
		  LOG_INT("connections",
			  atomic_load_explicit(&t->count.active, memory_order_relaxed)),
		  LOG_ERR(r));
	join_count(&t->count.ring_failed, 1);
	return false;
}

/* Handles completions: first those of joins, then the loop's own. */
static void complete(struct join_thread *t)
{
	struct io_uring_cqe *cqe;
	unsigned head, n = 0;
	bool mail = false, watch = false, timers = false;
	io_uring_for_each_cqe(&t->ring, head, cqe)
	{
		n++;
		if (cqe->user_data == OWN_MAIL)
			mail = true;
		else if (cqe->user_data == OWN_WATCH)
			watch = true;
		else if (cqe->user_data == OWN_TICK)
			timers = true;
		else
			join_completed((void *)(uintptr_t)(cqe->user_data & ~JOIN_OP_MASK),
				       (enum join_op)(cqe->user_data & JOIN_OP_MASK), cqe->res,
				       cqe->flags);
	}
	io_uring_cq_advance(&t->ring, n);
	if (timers) {
		t->tick_armed = false;
		read_timers(t);
		read_deadlines(t);
		join_proof_look(t);
		join_tls_look(t);
	}
	if (watch) {
		t->watch_armed = false;
		read_watch(t);
	}
	if (mail) {
		t->mail_armed = false;
		read_mail(t);
	}
}

/* Runs until the pool ends. Returns false when the ring has failed. */
static bool run(struct join_thread *t)
{
	while (!t->stopping || !list_empty(&t->joins)) {
		arm_own(t);
		arm_tick(t);
		if (!submit(t))
			return false;
		/* Joins that have waited go before those that complete now. The submission queue
		 * is empty. */
		unpark(t);
		settle_again(t);
		complete(t);
		start_some(t);
	}
	return true;
}

static int open_ring(struct join_thread *t)
{
	/* Completions run only in this thread and only when it asks for them (Linux 6.1). */
	struct io_uring_params params = {
		.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SINGLE_ISSUER |
			 IORING_SETUP_DEFER_TASKRUN,
		.cq_entries = CQ_ENTRIES,
	};
	int r = io_uring_queue_init_params(SQ_ENTRIES, &t->ring, &params);
	if (r < 0)
		return r;
	r = join_buffer_init(&t->buffers, &t->ring, t->config->buffers, t->config->buffer_bytes);
	if (r < 0)
		io_uring_queue_exit(&t->ring);
	else
		join_splice_init(&t->splice);
	return r;
}

static void close_ring(struct join_thread *t)
{
	io_uring_queue_exit(&t->ring);
	join_buffer_deinit(&t->buffers);
	join_splice_deinit(&t->splice);
}

/* Resets all joins after the ring was lost. Operations that were pending never complete. */
static void reset_joins(struct join_thread *t)
{
	t->stopping = true; /* nothing new begins meanwhile */
	list_for_each (it, &t->joins) {
		struct join *j = list_entry(it, struct join, node);
		j->pending = 0;
		join_abort(j, "ring-failed");
		join_settle_later(j);
	}
	while (!list_empty(&t->again))
		settle_again(t);
	t->stopping = false;
}

/*
 * After a failure of the ring: resets the joins that used it, and opens a new ring for those that
 * have not begun.
 */
static int begin_again(struct join_thread *t)
{
	/* This must come first: it cancels the operations that hold the sockets. */
	io_uring_queue_exit(&t->ring);
	reset_joins(t);
	join_buffer_deinit(&t->buffers);
	join_splice_deinit(&t->splice);
	t->mail_armed = t->watch_armed = t->tick_armed = false;
	return open_ring(t);
}

/* No new ring can be had. Resets every join that arrives, until the pool ends. */
static void stay_broken(struct join_thread *t, int error)
{
	atomic_store(&t->broken, true);
	log_event(LOG_ERROR, "join-thread-ended", LOG_ERR(error));
	for (;;) {
		bool stop = mailbox_closed(&t->mail);
		release(t, NULL, NULL);
		mailbox_take(&t->mail, &t->arrived);
		list_move_all(&t->joins, &t->arrived);
		reset_joins(t);
		if (stop)
			return;
		mailbox_wait(&t->mail, INT64_MAX);
	}
}

/* The ring is opened in this thread, because it may be used only by the thread that made it. */
static void *thread_main(void *arg)
{
	struct join_thread *t = arg;
	int r = open_ring(t);
	t->ready_result = r;
	sem_post(&t->ready);
	if (r < 0)
		return NULL;
	while (!run(t)) {
		r = begin_again(t);
		if (r < 0) {
			stay_broken(t, r);
			return NULL;
		}
	}
	close_ring(t);
	return NULL;
}

int join_thread_init(struct join_thread *t, const struct join_config *config)
{
	*t = (struct join_thread){.config = config, .watch_fd = -1};
	list_init(&t->arrived);
	list_init(&t->joins);
	list_init(&t->again);
	list_init(&t->parked);
	list_init(&t->timed);
	list_init(&t->reading);
	list_init(&t->proving);
	list_init(&t->securing);
	list_init(&t->tls_waiting);
	t->connect_timeout.tv_sec = config->connect_timeout_ns / NS_PER_S;
	t->connect_timeout.tv_nsec = config->connect_timeout_ns % NS_PER_S;
	int r = mailbox_init(&t->mail);
	sem_init(&t->ready, 0, 0);

	if (r < 0)
		return r;
	t->watch_fd = epoll_create1(EPOLL_CLOEXEC);
	if (t->watch_fd < 0)
		return -errno;

	r = thread_start(&t->thread, thread_main, t);
	if (r < 0)
		return r;
	t->running = true;
	pthread_setname_np(t->thread, "join");
	while (sem_wait(&t->ready) < 0) /* EINTR */
		;
	return t->ready_result;
}

void join_thread_stop(struct join_thread *t)
{
	if (t->running)
		mailbox_close(&t->mail);
}

bool join_thread_deinit(struct join_thread *t, int64_t deadline_ns)
{
	if (t->running && !thread_end(t->thread, "join", deadline_ns))
		return false;
	if (t->watch_fd >= 0)
		close(t->watch_fd);
	private_memory_free(t->tls_text, JOIN_TLS_TEXT);
	sem_destroy(&t->ready);
	mailbox_deinit(&t->mail);
	return true;
}
