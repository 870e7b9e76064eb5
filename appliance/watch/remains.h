/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * remains: what is left of a connection that left its watch: its bytes, and what its module knew.
 */
#ifndef APPLIANCE_REMAINS_H
#define APPLIANCE_REMAINS_H

#include "base/span.h"
#include "watch.h"

/* All zero: nothing is left. */
struct remains {
	struct jeebs_cut cut; /* flow and log unset: see remains_cut() */
	struct span log[2];   /* as far as the flow kept them; what is spilled comes with it */
	const struct jeebs_module *module; /* NULL: none was open */
	void *state;                       /* owned; to be closed by the module, then freed */
};

/* In this order. First its bytes: 0 or -ENOMEM; remains_deinit() is due in any case. */
int remains_copy_logs(struct remains *r, const struct jeebs_flow *jf);
/* Then the rest, out of the watch. */
void remains_detach(struct remains *r, struct jeebs_flow *jf);
void remains_deinit(struct remains *r); /* closes the module's state */

/* The logs, or all there is, belong to somebody else now. */
void remains_give_logs(struct remains *r);
void remains_give_all(struct remains *r);

/* The cut as a module sees it; valid as long as @r. */
struct jeebs_cut remains_cut(struct remains *r);
size_t remains_bytes(const struct remains *r); /* of the logs in memory */

#endif
