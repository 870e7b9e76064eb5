/* SPDX-License-Identifier: GPL-3.0-or-later */
#include "mailbox.h"

#include <poll.h>
#include <unistd.h>

#include "bell.h"
#include "clock.h"

void mailbox_init_shared(struct mailbox *m, int bell)
{
	*m = (struct mailbox){.bell = bell, .shared = true};
	pthread_mutex_init(&m->lock, NULL);
	list_init(&m->mail);
	list_init(&m->held);
}

int mailbox_init(struct mailbox *m)
{
	int bell = bell_open();

	mailbox_init_shared(m, bell < 0 ? -1 : bell);
	m->shared = false;
	return bell < 0 ? bell : 0;
}

void mailbox_deinit(struct mailbox *m)
{
	if (!m->shared && m->bell >= 0)
		close(m->bell);
	pthread_mutex_destroy(&m->lock);
}

void mailbox_post(struct mailbox *m, struct list *node)
{
	pthread_mutex_lock(&m->lock);
	bool first = list_empty(&m->mail);
	list_add_tail(&m->mail, node);
	pthread_mutex_unlock(&m->lock);
	if (first)
		bell_ring(m->bell);
}

void mailbox_hold(struct mailbox *m, struct list *node)
{
	pthread_mutex_lock(&m->lock);
	list_add_tail(&m->held, node);
	pthread_mutex_unlock(&m->lock);
}

uint32_t mailbox_release(struct mailbox *m, bool (*wanted)(struct list *node, void *arg), void *arg)
{
	uint32_t n = 0;

	pthread_mutex_lock(&m->lock);
	list_for_each_safe (it, tmp, &m->held) {
		if (wanted && !wanted(it, arg))
			continue;
		list_del(it);
		list_add_tail(&m->mail, it);
		n++;
	}
	pthread_mutex_unlock(&m->lock);
	if (n > 0)
		bell_ring(m->bell);
	return n;
}

void mailbox_close(struct mailbox *m)
{
	atomic_store(&m->closed, true);
	bell_ring(m->bell);
}

void mailbox_take(struct mailbox *m, struct list *out)
{
	if (!m->shared)
		bell_silence(m->bell);
	pthread_mutex_lock(&m->lock);
	list_move_all(out, &m->mail);
	pthread_mutex_unlock(&m->lock);
}

static bool is_ready(struct mailbox *m)
{
	pthread_mutex_lock(&m->lock);
	bool ready = !list_empty(&m->mail);
	pthread_mutex_unlock(&m->lock);
	return ready || mailbox_closed(m);
}

/* The bell may ring for mail that has been taken already, so this loops. */
void mailbox_wait(struct mailbox *m, int64_t deadline_ns)
{
	struct pollfd p = {.fd = m->bell, .events = POLLIN};

	while (!is_ready(m)) {
		int64_t left = deadline_ns - clock_mono_ns();
		struct timespec ts = {.tv_sec = left / NS_PER_S, .tv_nsec = left % NS_PER_S};
		if (left <= 0)
			return;
		if (ppoll(&p, 1, &ts, NULL) > 0)
			bell_silence(m->bell);
	}
}
