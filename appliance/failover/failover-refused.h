/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * failover-refused: connections whose clients were sent a RST, which may be lost, or not be
 * believed because the client's true ACK is not known. A client that only waits for bytes would
 * then wait for ever. So each is asked again a few times, as in the takeover: whoever still has the
 * connection answers, and the kernel, which has no such socket, resets it at the number it said.
 *
 * Pure; belongs to the failover thread.
 */
#ifndef APPLIANCE_FAILOVER_REFUSED_H
#define APPLIANCE_FAILOVER_REFUSED_H

#include "tcprepair/snapshot/snapshot.h"

#define REFUSED_ROUNDS 3      /* asked again so often: after 250 ms, 1 s and 3 s */
#define REFUSED_MAX    200000 /* as many as the guard can name */

struct refused {
	struct snapshot snapshot;
	int64_t due_ns;
	uint32_t round;
};

/* All zero is a valid empty table. */
struct refused_table {
	struct refused *entry;
	uint32_t count, cap;
	int64_t due_ns; /* the earliest; meaningless when empty */
};

void refused_deinit(struct refused_table *t);
/* Its RST was sent at @now_ns. 0, -ENOMEM, or -ENOSPC at the ceiling. */
int refused_add(struct refused_table *t, const struct snapshot *s, int64_t now_ns);
/* When refused_step() has something to do; INT64_MAX: never. */
int64_t refused_due_ns(const struct refused_table *t);
/* Calls @ask for each that is due, and forgets those that were asked often enough. */
void refused_step(struct refused_table *t, int64_t now_ns,
		  void (*ask)(void *ctx, const struct snapshot *s), void *ctx);

#endif
