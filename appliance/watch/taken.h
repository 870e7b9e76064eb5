/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * taken: a connection of a dead server that was taken out of its watch, with all that is needed to
 * restore and continue it.
 */
#ifndef APPLIANCE_TAKEN_H
#define APPLIANCE_TAKEN_H

#include "plan.h"
#include "remains.h"

struct taken {
	struct snapshot snapshot;
	uint64_t sacked_to; /* as in struct flow */
	struct plan plan;
	struct remains remains; /* empty if it is refused and was never watched */
	bool answered;          /* the snapshot contains the client's own answer */
	bool handshake_only;    /* SYN_RCVD: the client may lack the SYN-ACK */
	bool unprobed;          /* the client was not asked before */
	bool older;             /* the handshake was not seen: offset 0 is the first byte seen */
};

/*
 * Settles @jf, makes its plan, copies its logs, and takes the module's state. Returns 0, or
 * -ENOMEM; then @jf is unchanged.
 */
int taken_extract(struct jeebs_flow *jf, bool answered, struct taken *ret);
/* Makes one that is refused for @reason, whatever its plan would be. */
void taken_refused(const struct flow *f, bool unprobed, const char *reason, struct taken *ret);
void taken_deinit(struct taken *t);

/*
 * @jf is dropped without being taken, for lack of memory. It counts as taken: it has not closed by
 * itself.
 */
void taken_abandon(struct jeebs_flow *jf);
static inline bool taken_is(const struct jeebs_flow *jf)
{
	return jf->taken.left;
}

#endif
