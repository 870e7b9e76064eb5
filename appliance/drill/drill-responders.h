/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-responders: which addresses answer SYNs in a capture, and how often. If no server was
 * named, the one with the most answers is taken for the server.
 */
#ifndef APPLIANCE_DRILL_RESPONDERS_H
#define APPLIANCE_DRILL_RESPONDERS_H

#include "capture/decode.h"

struct drill_responders {
	struct drill_responder {
		struct endpoint server; /* port 0: all services of the address */
		uint64_t answered;
	} * v;
	uint32_t n;
	uint64_t answers; /* total */
};

void drill_responders_deinit(struct drill_responders *r);

/*
 * Counts the answer to a SYN. Returns 0 or -ENOMEM. Addresses beyond some thousands are not
 * counted.
 */
int drill_responders_count(struct drill_responders *r, const struct segment *s);

/*
 * The address with the most answers so far; of several, the first that answered. NULL: there is
 * none.
 */
const struct endpoint *drill_responders_most(const struct drill_responders *r);

#endif
