/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * mailbox: how threads hand things to the one thread that owns the mailbox.
 *
 * Anybody posts; the owner alone takes, all there is at once, in order. What is posted is a node
 * in the thing itself, so posting needs no memory and cannot fail. The thing belongs to the poster
 * until then, to the mailbox until it is taken, and then to the owner: no two threads see it at
 * the same time.
 *
 * The owner waits for the bell among its other descriptors. It rings for the first thing in
 * an empty mailbox, and when the mailbox is closed; taking silences it. A bell that several
 * mailboxes of one owner share is silenced by the owner, before it takes from any of them.
 *
 * What is held waits until somebody lets it go. There is no ceiling here: each user counts
 * what it lets live, which begins before it is posted and ends after it was taken.
 */
#ifndef BASE_MAILBOX_H
#define BASE_MAILBOX_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "list.h"

struct mailbox {
	int bell; /* -1: no bell */
	bool shared;
	_Atomic bool closed;
	pthread_mutex_t lock; /* protects the lists */
	struct list mail, held;
};

/*
 * Makes a mailbox with a bell of its own. Returns 0 or a negative errno; mailbox_deinit() is due
 * either way.
 */
int mailbox_init(struct mailbox *m);
/*
 * Makes a mailbox that rings @bell, which belongs to the owner. -1: nobody waits for this mailbox.
 */
void mailbox_init_shared(struct mailbox *m, int bell);
/* The mailbox must be empty: the owner has taken what was left. */
void mailbox_deinit(struct mailbox *m);

/* May be called from any thread. */
void mailbox_post(struct mailbox *m, struct list *node);
void mailbox_hold(struct mailbox *m, struct list *node);
/* Posts, in order, the held nodes for which @wanted is true (NULL: all). Returns how many. */
uint32_t mailbox_release(struct mailbox *m, bool (*wanted)(struct list *node, void *arg),
			 void *arg);
/* Tells the owner to end. */
void mailbox_close(struct mailbox *m);

/*
 * Called by the owner, before it takes. In that order nothing is lost that was posted before the
 * mailbox was closed.
 */
static inline bool mailbox_closed(struct mailbox *m)
{
	return atomic_load(&m->closed);
}

/* Moves all mail to the end of @out. Called by the owner. */
void mailbox_take(struct mailbox *m, struct list *out);
/*
 * Waits until there is mail, the mailbox is closed, or @deadline_ns has come. Only for a mailbox
 * with a bell of its own.
 */
void mailbox_wait(struct mailbox *m, int64_t deadline_ns);

#endif
