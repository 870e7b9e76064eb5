/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * endings: connections that a service ended by itself, as the wire told it.
 *
 * A server process that is killed leaves its kernel behind, which resets its connections or
 * finishes them wherever they stood. What a client has received by then is final: it
 * knows that the connection is over, and nobody can continue it. Counted by workers, read
 * by anybody. Only the side that ended first counts, and each connection once.
 */
#ifndef APPLIANCE_ENDINGS_H
#define APPLIANCE_ENDINGS_H

#include <stdatomic.h>

#include "watch.h"

enum ending {
	ENDING_RESET,    /* by RST */
	ENDING_CUT,      /* by FIN in the middle of something: its module would refuse it now */
	ENDING_FINISHED, /* by FIN with nothing outstanding: as any server may at any time */
	ENDING_COUNT_,
	ENDING_NONE = ENDING_COUNT_,
};

struct endings {
	_Alignas(64) _Atomic uint64_t count[ENDING_COUNT_];
};

struct ending_counts {
	uint64_t n[ENDING_COUNT_];
};

/* After a FIN of the server was tracked: does it end the connection? */
enum ending ending_by_fin(struct jeebs_flow *jf);
/* The flow is closed by @s, a RST of the server: was it live until then? */
enum ending ending_by_reset(struct jeebs_flow *jf, const struct segment *s);

void endings_add(struct endings *e, enum ending how); /* ENDING_NONE: nothing */
struct ending_counts endings_read(const struct endings *e);

/* What @now has more than @before. */
struct ending_counts ending_counts_since(const struct ending_counts *now,
					 const struct ending_counts *before);
void ending_counts_add(struct ending_counts *io, const struct ending_counts *more);
/* Those that no server in good health makes. */
uint64_t ending_counts_abrupt(const struct ending_counts *c);

/* "reset", "cut", "finished": the words of logs and metrics. */
const char *ending_name(enum ending how);

#endif
