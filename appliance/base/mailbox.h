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
	int bell; /* -1: there is none */
	bool shared;
	_Atomic bool closed;
	pthread_mutex_t lock; /* protects the lists */
	struct list mail, held;
};

/* With a bell of its own. 0 or negative errno; mailbox_deinit() is due either way. */
int mailbox_init(struct mailbox *m);
/* Rings @bell, which is the owner's; -1: nobody waits for it. */
void mailbox_init_shared(struct mailbox *m, int bell);
/* It is empty: what was left in it has been taken. */
void mailbox_deinit(struct mailbox *m);

/* From any thread. */
void mailbox_post(struct mailbox *m, struct list *node);
void mailbox_hold(struct mailbox *m, struct list *node);
/* Posts what is held and @wanted (NULL: all of it), in order. Returns how many. */
uint32_t mailbox_release(struct mailbox *m, bool (*wanted)(struct list *node, void *arg),
			 void *arg);
/* The owner is to end. */
void mailbox_close(struct mailbox *m);

/* By the owner. Ask this before taking: then what was posted before it was closed is taken. */
static inline bool mailbox_closed(struct mailbox *m)
{
	return atomic_load(&m->closed);
}

/* Moves all mail to the end of @out. */
void mailbox_take(struct mailbox *m, struct list *out);
/* With a bell of its own: until there is mail, or it is closed, or it is @deadline_ns. */
void mailbox_wait(struct mailbox *m, int64_t deadline_ns);

#endif
