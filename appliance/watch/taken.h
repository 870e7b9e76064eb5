/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * taken: a connection of a dead server, taken out of its watch with everything that is needed to
 * restore it and to go on.
 */
#ifndef APPLIANCE_TAKEN_H
#define APPLIANCE_TAKEN_H

#include "plan.h"
#include "remains.h"

struct taken {
	struct snapshot snapshot;
	uint64_t sacked_to; /* as in struct flow */
	struct plan plan;
	struct remains remains; /* nothing of one that is refused unseen */
	bool answered;          /* the snapshot is the client's own answer */
	bool handshake_only;    /* SYN_RCVD: the client may not have the SYN-ACK */
	bool unprobed;          /* its client was not asked before */
	bool older;             /* than the box: offset 0 is the first byte that was seen */
};

/*
 * Settles @jf, makes its plan, copies its logs, moves the module's state. 0, or -ENOMEM: @jf is
 * unchanged.
 */
int taken_extract(struct jeebs_flow *jf, bool answered, struct taken *ret);
/* One that is refused for @reason, whatever it is. */
void taken_refused(const struct flow *f, bool unprobed, const char *reason, struct taken *ret);
void taken_deinit(struct taken *t);

/* For lack of memory @jf goes without being taken; it does not close by itself either. */
void taken_abandon(struct jeebs_flow *jf);
static inline bool taken_is(const struct jeebs_flow *jf)
{
	return jf->taken.left;
}

#endif
