/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-sums: which checksums of a capture file mean something.
 *
 * A host that leaves its checksums to its NIC shows them as they are before: where that is the
 * sum of the pseudo-header each segment tells it alone (SEGMENT_SUM_OPEN); other hosts leave
 * nothing, or what was there, and who hides addresses mends no checksums. Such a sender has next
 * to none that are right. One with more than that is believed to have computed them all: what is
 * wrong there was damaged, and its receiver dropped it.
 *
 * Only the whole file tells. Who does not want to read it twice goes by guesses, from what was
 * counted when a sender is asked for first, and looks at the end whether they hold.
 */
#ifndef APPLIANCE_DRILL_SUMS_H
#define APPLIANCE_DRILL_SUMS_H

#include "capture/decode.h"

#define DRILL_SUMS_RECENT 64

struct drill_sums {
	struct drill_sender {
		struct netaddr addr; /* NETADDR_NONE: a free place */
		uint8_t guess;       /* enum drill_guess */
		uint64_t plausible, wrong;
	} * place;
	uint32_t places, used;
	/* Senders that were counted lately, by the last bytes of their addresses. */
	struct drill_sender *recent[DRILL_SUMS_RECENT];
};

void drill_sums_deinit(struct drill_sums *s);

/* 0 or -ENOMEM. */
int drill_sums_count(struct drill_sums *s, const struct segment *seg);

/* The checksums that @sender put on the wire are not in this capture, by what was counted. */
bool drill_sums_absent(const struct drill_sums *s, const struct netaddr *sender);

/* The same by what was counted when @sender was first asked for. 0 or -ENOMEM. */
int drill_sums_guess(struct drill_sums *s, const struct netaddr *sender, bool *ret_absent);

/* Everything is counted: were all guesses right? */
bool drill_sums_guesses_hold(const struct drill_sums *s);

#endif
