/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "adopt.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "adopt-handover.h"
#include "base/bell.h"
#include "base/clock.h"
#include "base/mailbox.h"
#include "base/thread.h"

#define EVENTS_MAX 64
#define RETRY_NS   (2 * NS_PER_MS) /* pause before a full queue of a program is tried again */

/* The connections for one socket path. */
struct lane {
	struct list node;
	const char *path;
	struct list queue;  /* WAITING, in order of submission */
	struct list active; /* between connect and verdict, in order of connect */
	uint32_t active_count;
	int64_t retry_ns; /* the program's queue was full: no attempt before this */
};

struct adopter {
	struct adopt_config config;
	struct list lanes, taken; /* used by the thread alone */
	int epoll;
	atomic_uint_fast64_t active, adopted, taken_count, ended, reset, refused;

	struct mailbox mail; /* handovers; when closed, the thread is to end */
	pthread_t thread;
	bool running;
};

static void count(atomic_uint_fast64_t *c, uint64_t n)
{
	atomic_fetch_add_explicit(c, n, memory_order_relaxed);
}

static struct handover *handover_at(struct list *node)
{
	return list_entry(node, struct handover, node);
}

/* ---- the end of one ---------------------------------------------------------------- */

static void report(const struct handover *h, enum adopt_event event)
{
	const struct adopt_report r = {event, h->reason ? h->reason : "", h->detail};

	h->rq.report(h->rq.ctx, &r);
}

/* Reports the last event and frees @h. Closing the channel removes it from the epoll set. */
static void end(struct adopter *a, struct handover *h, enum adopt_event event)
{
	const struct adopt_request rq = h->rq;
	char detail[sizeof h->detail];
	const struct adopt_report r = {event, h->reason ? h->reason : "", detail};

	list_del(&h->node);
	if (h->state == HANDOVER_TAKEN)
		count(&a->adopted, -UINT64_C(1));
	memcpy(detail, h->detail, sizeof detail);
	handover_free(h, event == ADOPT_RESET);
	count(event == ADOPT_RESET ? &a->reset : &a->ended, 1);
	rq.report(rq.ctx, &r);
	count(&a->active, -UINT64_C(1));
}

static void end_because(struct adopter *a, struct handover *h, const char *reason)
{
	h->reason = reason;
	h->detail[0] = 0;
	end(a, h, ADOPT_RESET);
}

/* ---- lanes ------------------------------------------------------------------------- */

static struct lane *lane_for(struct adopter *a, const char *path)
{
	list_for_each (it, &a->lanes) {
		struct lane *l = list_entry(it, struct lane, node);
		if (strcmp(l->path, path) == 0)
			return l;
	}
	struct lane *l = calloc(1, sizeof *l);
	if (!l)
		return NULL;
	l->path = path;
	list_init(&l->queue);
	list_init(&l->active);
	list_add_tail(&a->lanes, &l->node);
	return l;
}

/* Waits for the event that the handover's state needs. */
static int watch_channel(struct adopter *a, struct handover *h, int op)
{
	struct epoll_event e = {
		.events = EPOLLIN | (h->state == HANDOVER_GIVING ? EPOLLOUT : 0u),
		.data.ptr = h,
	};

	return epoll_ctl(a->epoll, op, h->channel, &e) < 0 ? -errno : 0;
}

static void leave_lane(struct adopter *a, struct handover *h)
{
	if (h->state != HANDOVER_TAKEN)
		lane_for(a, h->rq.path)->active_count--;
}

static void start_next(struct adopter *a, struct lane *l, int64_t now)
{
	while (!list_empty(&l->queue) && l->active_count < a->config.lane_max &&
	       now >= l->retry_ns) {
		struct handover *h = handover_at(l->queue.next);
		enum handover_outcome o = handover_begin(h);
		if (o == HANDOVER_FULL) {
			l->retry_ns = now + RETRY_NS;
			return;
		}
		if (o == HANDOVER_IS_RESET) {
			end(a, h, ADOPT_RESET);
			continue;
		}
		if (watch_channel(a, h, EPOLL_CTL_ADD) < 0) {
			end_because(a, h, "no-memory");
			continue;
		}
		list_del(&h->node);
		list_add_tail(&l->active, &h->node);
		l->active_count++;
	}
}

static void expire(struct adopter *a, struct lane *l, int64_t now)
{
	while (!list_empty(&l->active) && handover_at(l->active.next)->deadline_ns <= now) {
		l->active_count--;
		end_because(a, handover_at(l->active.next), "adopt-timeout");
	}
	while (!list_empty(&l->queue) && handover_at(l->queue.next)->deadline_ns <= now)
		end_because(a, handover_at(l->queue.next), "adopt-timeout");
}

/* ---- the thread -------------------------------------------------------------------- */

static void on_ready(struct adopter *a, struct handover *h)
{
	enum handover_state before = h->state;
	enum handover_outcome o = handover_step(h);

	switch (o) {
	case HANDOVER_GOES_ON:
		if (h->state != before)
			(void)watch_channel(a, h, EPOLL_CTL_MOD);
		return;
	case HANDOVER_IS_TAKEN:
		lane_for(a, h->rq.path)->active_count--;
		list_del(&h->node);
		list_add_tail(&a->taken, &h->node);
		count(&a->adopted, 1);
		count(&a->taken_count, 1);
		report(h, ADOPT_TAKEN);
		return;
	case HANDOVER_IS_DONE:
		end(a, h, ADOPT_ENDED);
		return;
	case HANDOVER_IS_RESET:
	case HANDOVER_FULL:
		leave_lane(a, h);
		end(a, h, ADOPT_RESET);
		return;
	}
}

/* Moves the mail into the lanes. Returns false when the adopter is to end. */
static bool sort_mail(struct adopter *a)
{
	bool stop = mailbox_closed(&a->mail);
	struct list mail;

	list_init(&mail);
	mailbox_take(&a->mail, &mail);
	list_for_each_safe (it, tmp, &mail) {
		struct handover *h = handover_at(it);
		struct lane *l = lane_for(a, h->rq.path);
		list_del(it);
		if (l)
			list_add_tail(&l->queue, it);
		else
			end_because(a, h, "no-memory");
	}
	return !stop;
}

static int64_t earliest(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int wait_ms(struct adopter *a, int64_t now)
{
	int64_t until = INT64_MAX;

	list_for_each (it, &a->lanes) {
		const struct lane *l = list_entry(it, struct lane, node);
		if (!list_empty(&l->active))
			until = earliest(until, handover_at(l->active.next)->deadline_ns);
		if (list_empty(&l->queue))
			continue;
		until = earliest(until, handover_at(l->queue.next)->deadline_ns);
		if (l->active_count < a->config.lane_max)
			until = earliest(until, l->retry_ns);
	}
	if (until == INT64_MAX)
		return -1;
	return until > now ? (int)((until - now) / NS_PER_MS) + 1 : 0;
}

static void end_all(struct adopter *a, struct list *list)
{
	while (!list_empty(list))
		end_because(a, handover_at(list->next), "pool-closed");
}

static void end_everything(struct adopter *a)
{
	struct list left;

	list_for_each_safe (it, tmp, &a->lanes) {
		struct lane *l = list_entry(it, struct lane, node);
		end_all(a, &l->active);
		end_all(a, &l->queue);
		list_del(it);
		free(l);
	}
	end_all(a, &a->taken);
	list_init(&left); /* nobody submits any more */
	mailbox_release(&a->mail, NULL, NULL);
	mailbox_take(&a->mail, &left);
	end_all(a, &left);
}

static void *adopter_main(void *arg)
{
	struct adopter *a = arg;
	struct epoll_event events[EVENTS_MAX];

	for (;;) {
		int n = epoll_wait(a->epoll, events, EVENTS_MAX, wait_ms(a, clock_mono_ns()));
		bool woken = false;
		/* A handover is at most once among the events, so none is freed before its turn. */
		for (int i = 0; i < n; i++) {
			if (events[i].data.ptr)
				on_ready(a, events[i].data.ptr);
			else
				woken = true;
		}
		if (woken && !sort_mail(a))
			break;
		int64_t now = clock_mono_ns();
		list_for_each (it, &a->lanes) {
			struct lane *l = list_entry(it, struct lane, node);
			expire(a, l, now);
			start_next(a, l, now);
		}
	}
	end_everything(a);
	return NULL;
}

/* ---- for others -------------------------------------------------------------------- */

static int open_descriptors(struct adopter *a)
{
	struct epoll_event e = {.events = EPOLLIN};

	a->epoll = epoll_create1(EPOLL_CLOEXEC);
	if (a->epoll < 0)
		return -errno;
	return epoll_ctl(a->epoll, EPOLL_CTL_ADD, a->mail.bell, &e) < 0 ? -errno : 0;
}

int adopter_new(const struct adopt_config *config, struct adopter **ret)
{
	struct adopter *a = calloc(1, sizeof *a);

	if (!a)
		return -ENOMEM;
	a->config = *config;
	a->epoll = -1;
	list_init(&a->lanes);
	list_init(&a->taken);
	int r = mailbox_init(&a->mail);
	if (r == 0)
		r = open_descriptors(a);
	if (r == 0)
		r = thread_start(&a->thread, adopter_main, a);
	a->running = r == 0;
	if (r < 0) {
		adopter_free(a);
		return r;
	}
	*ret = a;
	return 0;
}

struct adopter *adopter_free(struct adopter *a)
{
	if (!a)
		return NULL;
	if (a->running) {
		mailbox_close(&a->mail);
		if (!thread_end(a->thread, "adopter", thread_deadline(false)))
			return NULL;
	}
	if (a->epoll >= 0)
		close(a->epoll);
	mailbox_deinit(&a->mail);
	free(a);
	return NULL;
}

static bool reserve(struct adopter *a)
{
	uint_fast64_t n = atomic_load(&a->active);

	do {
		if (n >= a->config.max) {
			count(&a->refused, 1);
			return false;
		}
	} while (!atomic_compare_exchange_weak(&a->active, &n, n + 1));
	return true;
}

int adopt_submit(struct adopter *a, const struct adopt_request *r)
{
	struct handover *h;

	if (!reserve(a))
		return -ENOSPC;
	int e = handover_new(r, &h);
	if (e < 0) {
		count(&a->active, -UINT64_C(1));
		return e;
	}
	h->deadline_ns = clock_mono_ns() + a->config.timeout_ns;
	if (r->hold)
		mailbox_hold(&a->mail, &h->node);
	else
		mailbox_post(&a->mail, &h->node);
	return 0;
}

struct release {
	uint32_t group;
	int64_t deadline_ns;
};

static bool is_released(struct list *node, void *arg)
{
	const struct release *r = arg;
	struct handover *h = handover_at(node);

	if (h->rq.group != r->group)
		return false;
	h->deadline_ns = r->deadline_ns;
	return true;
}

void adopt_release(struct adopter *a, uint32_t group)
{
	if (!a)
		return;
	struct release r = {group, clock_mono_ns() + a->config.timeout_ns};
	mailbox_release(&a->mail, is_released, &r);
	bell_ring(a->mail.bell); /* even if nothing was released: deadlines have changed */
}

uint64_t adopt_active(const struct adopter *a)
{
	return a ? atomic_load_explicit(&a->active, memory_order_relaxed) : 0;
}

void adopt_stats(const struct adopter *a, struct adopt_stats *ret)
{
	*ret = (struct adopt_stats){
		.active = adopt_active(a),
		.adopted = atomic_load_explicit(&a->adopted, memory_order_relaxed),
		.taken = atomic_load_explicit(&a->taken_count, memory_order_relaxed),
		.ended = atomic_load_explicit(&a->ended, memory_order_relaxed),
		.reset = atomic_load_explicit(&a->reset, memory_order_relaxed),
		.refused = atomic_load_explicit(&a->refused, memory_order_relaxed),
	};
}
