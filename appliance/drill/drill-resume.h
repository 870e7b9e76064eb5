/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * drill-resume: lets the module of a connection that was taken over continue against an oracle. The
 * client says what the real client said when it had received as much. Every byte is compared with
 * what the real server went on to send. Of a conversation of several connections each one is
 * compared: the related ones, and those made later.
 */
#ifndef APPLIANCE_DRILL_RESUME_H
#define APPLIANCE_DRILL_RESUME_H

#include "drill-cut.h"

struct drill_seals;
struct takeover_item;

/* Returns 0 or a negative errno. @others are the truths of item->others. @jf is the watched
 * connection. @packet is the last one before the cut. @seals: of TLS, what was sealed, which is the
 * crypto service in the item's cut; otherwise NULL. */
int drill_resume(const struct drill_bench *b, struct takeover_item *item,
		 const struct jeebs_flow *jf, struct drill_flow *truth,
		 struct drill_flow *const others[JEEBS_EXPECT_MAX], uint64_t packet,
		 const struct drill_seals *seals, struct drill_finding *f);

#endif
