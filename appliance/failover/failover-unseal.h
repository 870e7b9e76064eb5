/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * unseal: threads that show modules their keys, which may take long: a module then reads all that
 * was kept of its conversation.
 *
 * Who has least to read comes first, so most clients wait little; there is a thread more than
 * cores, so a huge conversation holds up nobody. In which order they come back does not matter: no
 * connection depends on another one's.
 */
#ifndef APPLIANCE_FAILOVER_UNSEAL_H
#define APPLIANCE_FAILOVER_UNSEAL_H

#include "watch/takeover.h"

#define UNSEAL_THREADS_MAX 64

struct unseal;

/*
 * @work is called in one of @threads (1 to UNSEAL_THREADS_MAX) with what was posted. The item is
 * its own to hand on. Returns 0, -EINVAL, or a negative errno.
 */
int unseal_new(uint32_t threads, void (*work)(void *ctx, struct takeover_item *item),
	       struct unseal **ret);
/*
 * Ends the threads; nothing may be left in it that was not begun. False: one does not end, and what
 * it uses has to stay. NULL is fine.
 */
bool unseal_free(struct unseal *u);
void unseal_post(struct unseal *u, void *ctx, struct takeover_item *item);
/* Nothing more is begun for @ctx: that is moved to @out. Nobody waits for what was begun. NULL is
 * fine. */
void unseal_drop(struct unseal *u, const void *ctx, struct list *out);
/* Whether something that was begun for @ctx has not ended. NULL: no. */
bool unseal_is_at_work(struct unseal *u, const void *ctx);

#endif
