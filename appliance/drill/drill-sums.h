/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-sums: which checksums of a capture file mean something.
 *
 * A host that leaves its checksums to its NIC has frames without them in a capture made on that
 * host. If the field contains the sum of the pseudo-header, each segment shows that by itself
 * (SEGMENT_SUM_OPEN). Other hosts leave it empty or unchanged, and programs that anonymise
 * addresses do not correct checksums. Such a sender has next to no right sums. A sender with more
 * right ones is believed to have computed all of them: then a wrong sum means that the segment was
 * damaged and its receiver dropped it.
 *
 * Only the whole file tells. A drill that does not want to read it twice guesses, from the segments
 * counted when a sender is first asked about. At the end it checks whether the guesses hold.
 */
#ifndef APPLIANCE_DRILL_SUMS_H
#define APPLIANCE_DRILL_SUMS_H

#include "capture/decode.h"

#define DRILL_SUMS_RECENT 64

struct drill_sums {
	struct drill_sender {
		struct netaddr addr; /* NETADDR_NONE: the place is free */
		uint8_t guess;       /* enum drill_guess */
		uint64_t plausible, wrong;
	} * place;
	uint32_t places, used;
	/* Senders that were counted lately, by the last bytes of their addresses. */
	struct drill_sender *recent[DRILL_SUMS_RECENT];
};

void drill_sums_deinit(struct drill_sums *s);

/* Returns 0 or -ENOMEM. */
int drill_sums_count(struct drill_sums *s, const struct segment *seg);

/*
 * Whether the sums that @sender put on the wire are missing in this capture, by what was counted.
 */
bool drill_sums_absent(const struct drill_sums *s, const struct netaddr *sender);

/* The same, by what was counted when @sender was first asked about. Returns 0 or -ENOMEM. */
int drill_sums_guess(struct drill_sums *s, const struct netaddr *sender, bool *ret_absent);

/* Called when everything is counted: whether all guesses were right. */
bool drill_sums_guesses_hold(const struct drill_sums *s);

#endif
