/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * endings: connections that a service ended itself, as seen on the wire.
 *
 * When a server process is killed, its kernel resets its connections or finishes them, wherever
 * they are. What a client has received by then is final: it knows that the connection is over, and
 * nobody can continue it. Workers count, anybody reads. Only the side that ended first counts, and
 * each connection counts once.
 */
#ifndef APPLIANCE_ENDINGS_H
#define APPLIANCE_ENDINGS_H

#include <stdatomic.h>

#include "watch.h"

enum ending {
	ENDING_RESET,    /* by a RST */
	ENDING_CUT,      /* by a FIN in the middle of something: its module would refuse it now */
	ENDING_FINISHED, /* by a FIN with nothing outstanding, as any server may end it */
	ENDING_COUNT_,
	ENDING_NONE = ENDING_COUNT_,
};

struct endings {
	_Alignas(64) _Atomic uint64_t count[ENDING_COUNT_];
};

struct ending_counts {
	uint64_t n[ENDING_COUNT_];
};

/* How the connection ends, after a FIN of the server was tracked. */
enum ending ending_by_fin(struct jeebs_flow *jf);
/*
 * How the connection ends, when @s, a RST of the server, has closed the flow: it counts if it was
 * live until then.
 */
enum ending ending_by_reset(struct jeebs_flow *jf, const struct segment *s);

void endings_add(struct endings *e, enum ending how); /* ENDING_NONE counts nothing */
struct ending_counts endings_read(const struct endings *e);

/* The difference: @now minus @before. */
struct ending_counts ending_counts_since(const struct ending_counts *now,
					 const struct ending_counts *before);
void ending_counts_add(struct ending_counts *io, const struct ending_counts *more);
/* How many endings no healthy server causes. */
uint64_t ending_counts_abrupt(const struct ending_counts *c);

/* The word in logs and metrics: "reset", "cut", "finished". */
const char *ending_name(enum ending how);

#endif
