/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-refused: clients of refused connections, which were sent a RST. The RST may be lost, or
 * not be believed because the client's true ACK is not known. A client that only waits for bytes
 * would then wait for ever. So each is asked again a few times, as in the takeover. A client that
 * still has the connection answers. The kernel has no such socket, and resets it at the number in
 * the answer.
 *
 * Pure; belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_REFUSED_H
#define APPLIANCE_FAILOVER_REFUSED_H

#include "tcprepair/snapshot/snapshot.h"

#define REFUSED_ROUNDS 3      /* how often each is asked again: after 250 ms, 1 s and 3 s */
#define REFUSED_MAX    200000 /* the guard can name as many */

struct refused {
	struct snapshot snapshot;
	int64_t due_ns;
	uint32_t round;
};

/* All zero is a valid empty table. */
struct refused_table {
	struct refused *entry;
	uint32_t count, cap;
	int64_t due_ns; /* the earliest time; no meaning when empty */
};

void refused_deinit(struct refused_table *t);
/* Adds a client whose RST was sent at @now_ns. Returns 0, -ENOMEM, or -ENOSPC at the ceiling. */
int refused_add(struct refused_table *t, const struct snapshot *s, int64_t now_ns);
/* When refused_step() is due; INT64_MAX: never. */
int64_t refused_due_ns(const struct refused_table *t);
/* Calls @ask for each client that is due, and removes those that were asked often enough. */
void refused_step(struct refused_table *t, int64_t now_ns,
		  void (*ask)(void *ctx, const struct snapshot *s), void *ctx);

#endif
