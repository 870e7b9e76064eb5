/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-responders: who answers SYNs in a capture, and how often. The one that does most is
 * taken for the server where none was named.
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
	uint64_t answers; /* of all */
};

void drill_responders_deinit(struct drill_responders *r);

/* 0 or -ENOMEM. Addresses beyond some thousands are not counted. */
int drill_responders_count(struct drill_responders *r, const struct segment *s);

/* Who answered most so far; of several the one that answered first. NULL: nobody did. */
const struct endpoint *drill_responders_most(const struct drill_responders *r);

#endif
