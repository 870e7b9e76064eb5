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
	HANDOVER_WAITING, /* for its turn; no channel yet */
	HANDOVER_GREETED, /* connected; the program has to say hello */
	HANDOVER_GIVING,
	HANDOVER_GIVEN, /* the verdict is the program's */
	HANDOVER_TAKEN,
};

/* What a step has come to. */
enum handover_outcome {
	HANDOVER_GOES_ON, /* waits for the channel: to be writable while GIVING, else readable */
	HANDOVER_IS_TAKEN,
	HANDOVER_IS_DONE,
	HANDOVER_IS_RESET, /* `reason` and `detail` say why */
	HANDOVER_FULL,     /* only of begin: the program's queue is full, try later */
};

struct handover {
	struct list node; /* of its lane, or of the taken ones */
	struct adopt_request rq;
	enum handover_state state;
	int channel; /* -1: none */
	int64_t deadline_ns;
	uint32_t part;  /* being given; ADOPT_PARTS: END is next */
	size_t off;     /* in the part */
	bool announced; /* CONNECTION has been given */
	const char *reason;
	char detail[128];
};

/* Checks the request and copies it. 0, -ENOMEM, -EPROTO. */
int handover_new(const struct adopt_request *r, struct handover **ret);
/* Closes the channel and our descriptor of the connection, with a RST if @reset. */
void handover_free(struct handover *h, bool reset);

/* Connects. GOES_ON, IS_RESET or FULL. */
enum handover_outcome handover_begin(struct handover *h);
enum handover_outcome handover_step(struct handover *h);

#endif
