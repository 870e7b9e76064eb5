/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * handover: one connection on its way to a program, and afterwards. Belongs to the adopter's
 * thread, which calls handover_step() when the channel is ready.
 */
#ifndef APPLIANCE_ADOPT_HANDOVER_H
#define APPLIANCE_ADOPT_HANDOVER_H

#include "adopt.h"
#include "base/list.h"

enum handover_state {
	HANDOVER_WAITING, /* waits for its turn; there is no channel yet */
	HANDOVER_GREETED, /* connected; waits for the program's hello */
	HANDOVER_GIVING,
	HANDOVER_GIVEN, /* all is given; waits for the program's verdict */
	HANDOVER_TAKEN,
};

/* The result of a step. */
enum handover_outcome {
	HANDOVER_GOES_ON, /* wait until the channel is writable (while GIVING) or readable */
	HANDOVER_IS_TAKEN,
	HANDOVER_IS_DONE,
	HANDOVER_IS_RESET, /* `reason` and `detail` say why */
	HANDOVER_FULL,     /* handover_begin() only: the program's queue is full, try later */
};

struct handover {
	struct list node; /* in the queue or active list of its lane, or in the taken list */
	struct adopt_request rq;
	enum handover_state state;
	int channel; /* -1: none */
	int64_t deadline_ns;
	uint32_t part;  /* the part being given; ADOPT_PARTS: END is next */
	size_t off;     /* within the part */
	bool announced; /* the message CONNECTION has been given */
	const char *reason;
	char detail[128];
};

/* Checks the request and copies it. Returns 0, -ENOMEM or -EPROTO. */
int handover_new(const struct adopt_request *r, struct handover **ret);
/* Closes the channel and our descriptor of the connection; with @reset, the client gets a RST. */
void handover_free(struct handover *h, bool reset);

/* Connects to the program. Returns GOES_ON, IS_RESET or FULL. */
enum handover_outcome handover_begin(struct handover *h);
enum handover_outcome handover_step(struct handover *h);

#endif
