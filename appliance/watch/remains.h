/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * remains: what is left of a connection that has left its watch: its bytes, and its module's state.
 */
#ifndef APPLIANCE_REMAINS_H
#define APPLIANCE_REMAINS_H

#include "base/span.h"
#include "watch.h"

/* All zero: nothing is left. */
struct remains {
	struct jeebs_cut cut; /* flow and log are not set, see remains_cut() */
	struct span log[2];   /* as far as the flow kept them, with the spilled bytes */
	const struct jeebs_module *module; /* NULL: no module was open */
	void *state;                       /* owned: the module closes it, then it is freed */
};

/* Comes first: copies the bytes. Returns 0 or -ENOMEM; remains_deinit() is due in any case. */
int remains_copy_logs(struct remains *r, const struct jeebs_flow *jf);
/* Comes second: takes the rest out of the watch. */
void remains_detach(struct remains *r, struct jeebs_flow *jf);
void remains_deinit(struct remains *r); /* also closes the module's state */

/* The logs, or everything, now belong to somebody else. */
void remains_give_logs(struct remains *r);
void remains_give_all(struct remains *r);

/* The cut for the module; valid as long as @r. */
struct jeebs_cut remains_cut(struct remains *r);
size_t remains_bytes(const struct remains *r); /* length of the logs in memory */

#endif
